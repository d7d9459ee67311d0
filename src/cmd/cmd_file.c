#include "cmd/cmd_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include <bursar/error.h>

static bool write_all(int fd, struct text text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            text = (struct text){text.data + n, text.len - (size_t)n};
    }
    return fsync(fd) == 0;
}

int cmd_file_make(int folder_fd, const char *name, mode_t mode, struct text text)
{
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return BURSAR_E_IO;
    bool is_ok = write_all(fd, text);
    int reason = errno;
    if (close(fd) != 0 && is_ok) {
        is_ok = false;
        reason = errno;
    }
    if (is_ok)
        return 0;
    unlinkat(folder_fd, name, 0);
    errno = reason;
    return BURSAR_E_IO;
}
