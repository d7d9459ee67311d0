/* Lines of a file that hold secrets, one at a time.
 * Thread: the program's only one. */
#ifndef CMD_CMD_LINES_H
#define CMD_CMD_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define CMD_LINE_MAX (256u << 10) /* bytes; a longer one is told of and passed over */

struct cmd_lines {
    int fd;
    const char *name; /* for messages; borrowed */
    struct buf data;  /* what was read and not given yet; wiped */
    size_t at;
    size_t number; /* of the last line that was given, from 1 */
    bool has_ended;
};

/* Opens a file, or standard input for "-". false where it cannot be, which was printed. */
bool cmd_lines_open(struct cmd_lines *lines, const char *path);
void cmd_lines_close(struct cmd_lines *lines);

enum cmd_line_end {
    CMD_LINE_GIVEN,
    CMD_LINE_TOO_LONG, /* it was passed over */
    CMD_LINE_NO_MORE,
    CMD_LINE_FAILED, /* the file cannot be read; that was printed */
};
/* The next line, without its end; borrowed until the next call. */
enum cmd_line_end cmd_lines_next(struct cmd_lines *lines, struct text *out_line);

#endif
