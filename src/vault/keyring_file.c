#include "vault/keyring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "vault/command.h"
#include "vault/passphrase.h"

static int fail(struct buf *error, const char *path, const char *what)
{
    buf_printf(error, "%s: %s", path, what);
    return BURSAR_E_CONFIG;
}

/* ---- what a source is -------------------------------------------------------------------------- */

static const char *behind(const char *text, const char *scheme)
{
    size_t len = strlen(scheme);
    return strncmp(text, scheme, len) == 0 ? text + len : NULL;
}

const char *keyring_source_file(const struct keyring_source *source)
{
    return behind(source->where, "file:");
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* The file's content into a secret buffer, after looking at whose it is. */
static int read_private(const char *path, struct buf *content, struct buf *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a FIFO would wait */
    if (fd < 0) {
        buf_printf(error, "%s: cannot be opened: %s", path, strerror(errno));
        return BURSAR_E_IO;
    }
    int result = 0;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        result = fail(error, path, "is not a regular file");
    else if (status.st_uid != geteuid() && status.st_uid != 0)
        result = fail(error, path, "belongs to another user");
    else if ((status.st_mode & 077) != 0)
        result = fail(error, path, "can be read by others: chmod 600 it");
    while (result == 0) {
        uint8_t *to = buf_reserve(content, 1024);
        ssize_t got = to ? read(fd, to, 1024) : -1;
        if (!to)
            result = fail(error, path, "is too large for a keyring");
        else if (got < 0)
            result = fail(error, path, "cannot be read");
        else if (got == 0)
            break;
        else
            buf_added(content, (size_t)got);
    }
    close(fd);
    return result;
}

/* systemd gives the file to the service's user alone, by an ACL where it does not own it: its group bits
 * then show the mask. Nobody else can enter the folder. */
static int read_credential(const char *name, struct buf *content, struct buf *error)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;
    if (!folder)
        return fail(error, "keyring", "there are no credentials: CREDENTIALS_DIRECTORY is not set");
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return BURSAR_E_NOMEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), result = 0;
    struct stat status;
    if (fd < 0) {
        buf_printf(error, "%s: cannot be opened: %s", path, strerror(errno));
        result = BURSAR_E_IO;
    } else if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        result = fail(error, path, "is not a regular file");
    else if ((status.st_mode & 07) != 0)
        result = fail(error, path, "can be read by everybody");
    for (ssize_t got = 1; result == 0 && got > 0;) {
        uint8_t *to = buf_reserve(content, 1024);
        got = to ? read(fd, to, 1024) : -1;
        if (!to || got < 0)
            result = fail(error, path, to ? "cannot be read" : "is too large for a keyring");
        else
            buf_added(content, (size_t)got);
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return result;
}

/* The text in the clear; name stands in messages. */
static int open_text(const struct keyring_source *source, const char *name, struct buf *content,
                     struct buf *error)
{
    bool is_sealed = passphrase_is_sealed(buf_text(content));
    if (!is_sealed && source->passphrase.data)
        return fail(error, name, "is not under a passphrase, and keyring_passphrase gives one");
    if (!is_sealed)
        return 0;
    if (!source->passphrase.data)
        return fail(error, name, "is under a passphrase: set keyring_passphrase");
    struct buf plain = buf_make_secret(KEYRING_TEXT_MAX);
    int result = passphrase_open(source->passphrase, buf_text(content), &plain);
    if (result == BURSAR_E_BAD_SEAL)
        fail(error, name, "does not open: it is another passphrase, or the file is damaged");
    else if (result < 0)
        fail(error, name,
             result == BURSAR_E_NOMEM ? "no memory to derive the key of its passphrase"
                                      : "is no text under a passphrase");
    buf_free(content);
    *content = plain;
    return result;
}

bool keyring_source_needs_passphrase(const struct keyring_source *source)
{
    const char *path = keyring_source_file(source);
    struct buf content = buf_make_secret(KEYRING_TEXT_MAX), error = buf_make(1024);
    bool is_sealed = path && read_private(path, &content, &error) == 0 &&
                     passphrase_is_sealed(buf_text(&content));
    buf_free(&content);
    buf_free(&error);
    return is_sealed;
}

int keyring_source_read(const struct keyring_source *source, struct key_set **out_set,
                        struct buf *error)
{
    struct buf content = buf_make_secret(KEYRING_TEXT_MAX);
    const char *path = behind(source->where, "file:"), *name = path;
    int result;
    if (path)
        result = read_private(path, &content, error);
    else if ((name = behind(source->where, "credential:")))
        result = read_credential(name, &content, error);
    else if ((name = behind(source->where, "command:")))
        result = command_read(name, COMMAND_TIMEOUT_MS, &content, error);
    else
        result = fail(error, name = "keyring", "is not file:, credential: or command:");
    if (result == 0)
        result = open_text(source, name, &content, error);
    if (result == 0)
        result = key_set_read(&content, name, out_set, error);
    buf_free(&content);
    return result;
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* The name of a file is on the disk when its folder is. */
static int sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd < 0 || fsync(fd) < 0 ? BURSAR_E_IO : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

static int put_in_place(const char *temporary, const char *path, bool may_replace)
{
    if (may_replace)
        return rename(temporary, path) < 0 ? BURSAR_E_IO : 0;
    if (link(temporary, path) < 0)
        return errno == EEXIST ? BURSAR_E_CONFLICT : BURSAR_E_IO;
    return 0;
}

static int write_all(int fd, const struct buf *content)
{
    for (size_t at = 0; at < content->len;) {
        ssize_t done = write(fd, content->data + at, content->len - at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return BURSAR_E_IO;
        at += (size_t)done;
    }
    return fsync(fd) < 0 ? BURSAR_E_IO : 0;
}

/* Root may write the file of a user: it stays that user's. */
static int keep_owner(int fd, const char *path)
{
    struct stat before, now;
    if (lstat(path, &before) < 0 || fstat(fd, &now) < 0)
        return BURSAR_E_IO;
    if (before.st_uid == now.st_uid && before.st_gid == now.st_gid)
        return 0;
    return fchown(fd, before.st_uid, before.st_gid) < 0 ? BURSAR_E_IO : 0;
}

/* Writes a new file beside path and puts it in place whole: with link() nothing is overwritten. What an
 * earlier try may have left beside it is nobody's. */
static int write_private(const char *path, const struct buf *content, bool may_replace)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.new", path) < 0)
        return BURSAR_E_NOMEM;
    if (may_replace)
        unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = fd < 0 ? BURSAR_E_IO : 0;
    if (fd >= 0) {
        result = may_replace ? keep_owner(fd, path) : 0;
        if (result == 0)
            result = write_all(fd, content);
        if (close(fd) < 0)
            result = BURSAR_E_IO;
        if (result == 0)
            result = put_in_place(temporary, path, may_replace);
        int error = errno;
        unlink(temporary);
        errno = error;
    }
    if (result == 0)
        result = sync_folder(path);
    free(temporary);
    return result;
}

int keyring_file_create(const char *path, const struct buf *content)
{
    return write_private(path, content, false);
}

int keyring_source_write(const struct keyring_source *source, const struct key_set *set,
                         struct buf *error)
{
    const char *path = keyring_source_file(source);
    struct buf plain = buf_make_secret(KEYRING_TEXT_MAX), sealed = buf_make(KEYRING_TEXT_MAX * 2);
    if (!path)
        return fail(error, source->where, "cannot be written by this program");
    key_set_write(set, &plain);
    int result = buf_error(&plain);
    if (result == 0 && source->passphrase.data)
        result = passphrase_seal(source->passphrase, buf_text(&plain), &sealed);
    if (result < 0)
        buf_printf(error, "%s: %s", path, bursar_error_text(result));
    else if ((result = write_private(path, source->passphrase.data ? &sealed : &plain, true)) < 0)
        buf_printf(error, "%s: cannot be written: %s", path, strerror(errno));
    buf_free(&plain);
    buf_free(&sealed);
    return result;
}
