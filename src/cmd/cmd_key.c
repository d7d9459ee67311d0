#include "cmd/cmd_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/z85.h"
#include "cmd/cmd_file.h"
#include "cmd/cmd_lines.h"

enum { KEY_LEN = BURSAR_CURVE_KEY_SIZE - 1, KEY_BYTES = 32, MODE_BITS = 07777, OTHERS = 077 };

static bool complain(const char *path, const char *why)
{
    fprintf(stderr, "bursar: %s: %s\n", path, why);
    return false;
}

static bool complain_no_key(const char *path)
{
    fprintf(stderr, "bursar: %s: is no key: one line of %d characters, as `bursar init` makes\n",
            path, KEY_LEN);
    return false;
}

bool cmd_key_read(const char *path, struct buf *out)
{
    struct cmd_lines lines;
    struct text line = {NULL, 0};
    if (!cmd_lines_open(&lines, path))
        return false;
    bool is_read = cmd_lines_next(&lines, &line) == CMD_LINE_GIVEN && line.len == KEY_LEN;
    if (is_read)
        buf_append_text(out, line);
    else
        complain_no_key(path);
    cmd_lines_close(&lines);
    return is_read && buf_error(out) == 0;
}

/* ---- one's own -------------------------------------------------------------------------------- */

static bool is_private(int fd, const char *path)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return complain(path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return complain(path, "is no file");
    if ((status.st_mode & OTHERS) == 0)
        return true;
    fprintf(stderr,
            "bursar: %s: has mode %03o: a secret key is for its owner alone (chmod 600), and if "
            "somebody may have read it, make another one\n",
            path, (unsigned)(status.st_mode & MODE_BITS));
    return false;
}

static bool read_line(int fd, const char *path, struct buf *out)
{
    uint8_t raw[KEY_BYTES];
    uint8_t *to = buf_reserve(out, KEY_LEN + 2); /* a longer one shows */
    ssize_t n = to ? read(fd, to, KEY_LEN + 2) : -1;
    if (n < 0)
        return complain(path, to ? strerror(errno) : "no memory");
    bool is_line = n == KEY_LEN || (n == KEY_LEN + 1 && to[KEY_LEN] == '\n');
    bool is_key = is_line && z85_decode((struct text){(const char *)to, KEY_LEN}, sizeof raw, raw);
    secret_wipe(raw, sizeof raw);
    if (!is_key)
        return complain_no_key(path);
    buf_added(out, KEY_LEN);
    return true;
}

bool cmd_key_read_own(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return complain(path, errno == ELOOP ? "is a symbolic link: name the file itself"
                                             : strerror(errno));
    bool is_read = is_private(fd, path) && read_line(fd, path, out);
    close(fd);
    return is_read;
}

/* ---- new ones --------------------------------------------------------------------------------- */

int cmd_key_pair_make(struct cmd_key_pair *pair, const char **out_name)
{
    char public_line[BURSAR_CURVE_KEY_SIZE + 1], secret_line[BURSAR_CURVE_KEY_SIZE + 1];
    int error = bursar_curve_keypair(public_line, secret_line);
    *out_name = pair->secret_name;
    if (error != 0)
        return error;
    memcpy(pair->public_key, public_line, BURSAR_CURVE_KEY_SIZE);
    strcat(public_line, "\n");
    strcat(secret_line, "\n");
    error = cmd_file_make(pair->folder_fd, pair->secret_name, 0600, text_of(secret_line));
    secret_wipe(secret_line, sizeof secret_line);
    if (error != 0)
        return error;
    *out_name = pair->public_name;
    error = cmd_file_make(pair->folder_fd, pair->public_name, 0644, text_of(public_line));
    if (error != 0) {
        int reason = errno;
        unlinkat(pair->folder_fd, pair->secret_name, 0);
        errno = reason;
    }
    return error;
}

void cmd_key_pair_take_back(const struct cmd_key_pair *pair)
{
    unlinkat(pair->folder_fd, pair->secret_name, 0);
    unlinkat(pair->folder_fd, pair->public_name, 0);
}
