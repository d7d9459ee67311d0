#include "cmd/cmd_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

enum { PIECE = 65536 };

bool cmd_lines_open(struct cmd_lines *lines, const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    *lines = (struct cmd_lines){.fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC),
                                .name = is_input ? "standard input" : path,
                                .data = buf_make_secret(CMD_LINE_MAX + PIECE)};
    if (lines->fd < 0)
        fprintf(stderr, "bursar: %s: %s\n", path, strerror(errno));
    return lines->fd >= 0;
}

void cmd_lines_close(struct cmd_lines *lines)
{
    if (lines->fd > STDIN_FILENO)
        close(lines->fd);
    buf_free(&lines->data);
}

/* Moves what is left to the front, and reads more behind it. */
static bool read_more(struct cmd_lines *lines)
{
    struct buf *data = &lines->data;
    size_t left = data->len - lines->at;
    if (lines->at > 0) {
        memmove(data->data, data->data + lines->at, left);
        secret_wipe(data->data + left, data->len - left);
        buf_truncate(data, left);
        lines->at = 0;
    }
    uint8_t *to = buf_reserve(data, PIECE);
    if (!to) {
        fprintf(stderr, "bursar: no memory\n");
        return false;
    }
    ssize_t n;
    do
        n = read(lines->fd, to, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        fprintf(stderr, "bursar: %s: %s\n", lines->name, strerror(errno));
        return false;
    }
    lines->has_ended = n == 0;
    buf_added(data, (size_t)n);
    return true;
}

enum cmd_line_end cmd_lines_next(struct cmd_lines *lines, struct text *out_line)
{
    bool is_too_long = false;
    for (;;) {
        size_t left = lines->data.len - lines->at;
        const char *from = (const char *)lines->data.data + lines->at;
        const char *end = left > 0 ? memchr(from, '\n', left) : NULL;
        size_t len = end ? (size_t)(end - from) : left;
        bool is_whole = end || (lines->has_ended && left > 0);
        is_too_long = is_too_long || len > CMD_LINE_MAX;
        if (is_whole || is_too_long)
            lines->at += len + (end != NULL);
        if (is_whole) {
            lines->number++;
            *out_line = (struct text){from, len};
            return is_too_long ? CMD_LINE_TOO_LONG : CMD_LINE_GIVEN;
        }
        if (lines->has_ended && is_too_long) { /* its end was passed over already */
            lines->number++;
            return CMD_LINE_TOO_LONG;
        }
        if (lines->has_ended)
            return CMD_LINE_NO_MORE;
        if (!read_more(lines))
            return CMD_LINE_FAILED;
    }
}
