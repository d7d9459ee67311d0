#include "cmd/cmd_key.h"

#include <stdio.h>

#include <bursar/client.h>

#include "cmd/cmd_lines.h"

bool cmd_key_read(const char *path, struct buf *out)
{
    struct cmd_lines lines;
    struct text line = {NULL, 0};
    if (!cmd_lines_open(&lines, path))
        return false;
    bool is_read =
        cmd_lines_next(&lines, &line) == CMD_LINE_GIVEN && line.len == BURSAR_CURVE_KEY_SIZE - 1;
    if (is_read)
        buf_append_text(out, line);
    else
        fprintf(stderr,
                "bursar: %s: is no key: one line of %d characters, as `bursar init` makes\n", path,
                BURSAR_CURVE_KEY_SIZE - 1);
    cmd_lines_close(&lines);
    return is_read && buf_error(out) == 0;
}
