#include "vault/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/secret.h"

enum {
    KEYS_MAX = 64,
    FILE_MAX_BYTES = 16384,
    BASE64_LEN = sodium_base64_ENCODED_LEN(KEYRING_KEY_LEN, sodium_base64_VARIANT_ORIGINAL)
};

struct key {
    uint8_t id[KEYRING_ID_LEN];
    uint8_t bytes[KEYRING_KEY_LEN];
    bool is_active;
};

/* The whole of it lives in locked memory. Active key first. */
struct keyring {
    size_t count;
    struct key keys[KEYS_MAX];
};

void keyring_free(struct keyring *keyring)
{
    secret_memory_free(keyring, sizeof *keyring);
}

static int fail(struct buf *error, const char *path, const char *what)
{
    buf_printf(error, "%s: %s", path, what);
    return BURSAR_E_CONFIG;
}

static int fail_line(struct buf *error, const char *path, int line, const char *what)
{
    buf_printf(error, "%s:%d: %s", path, line, what);
    return BURSAR_E_CONFIG;
}

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

static bool parse_key(char *line, struct key *key)
{
    char *save = NULL;
    const char *word = strtok_r(line, " \t", &save);
    const char *id = strtok_r(NULL, " \t", &save);
    const char *base64 = strtok_r(NULL, " \t", &save);
    const char *role = strtok_r(NULL, " \t", &save);
    size_t len = 0;
    if (!word || strcmp(word, "key") != 0 || !id || !base64 || !role ||
        strtok_r(NULL, " \t", &save))
        return false;
    if (strlen(id) != sizeof key->id * 2 ||
        sodium_hex2bin(key->id, sizeof key->id, id, strlen(id), NULL, &len, NULL) != 0)
        return false;
    if (sodium_base642bin(key->bytes, sizeof key->bytes, base64, strlen(base64), NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len != sizeof key->bytes)
        return false;
    key->is_active = strcmp(role, "active") == 0;
    return key->is_active || strcmp(role, "old") == 0;
}

static int add_line(struct keyring *keyring, char *text, const char *path, int line,
                    struct buf *error)
{
    text += strspn(text, " \t");
    if (*text == 0 || *text == '#')
        return 0;
    if (keyring->count == KEYS_MAX)
        return fail_line(error, path, line, "too many keys");
    struct key *key = &keyring->keys[keyring->count];
    if (!parse_key(text, key))
        return fail_line(error, path, line, "expected `key ID BASE64 active|old`");
    if (keyring_find(keyring, key->id))
        return fail_line(error, path, line, "a key with this id stands above");
    if (key->is_active && keyring->count > 0 && keyring->keys[0].is_active)
        return fail_line(error, path, line, "a second active key");
    keyring->count++;
    if (key->is_active && key != keyring->keys) {
        struct key first = keyring->keys[0];
        keyring->keys[0] = *key;
        *key = first;
        secret_wipe(&first, sizeof first);
    }
    return 0;
}

static int parse_lines(struct keyring *keyring, char *content, const char *path, struct buf *error)
{
    char *next = NULL;
    int line = 0, result = 0;
    for (char *text = content; result == 0 && text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = 0;
        result = add_line(keyring, text, path, ++line, error);
    }
    if (result == 0 && (keyring->count == 0 || !keyring->keys[0].is_active))
        result = fail(error, path, "has no active key");
    return result;
}

/* Makes a keyring of a file's content, which is taken apart for it. */
static int parse(struct buf *content, const char *path, struct keyring **out_keyring,
                 struct buf *error)
{
    struct keyring *keyring = secret_memory_new(sizeof *keyring);
    buf_append(content, "", 0); /* so that there is memory, and a NUL in it */
    if (!keyring || buf_error(content) != 0) {
        keyring_free(keyring);
        buf_printf(error, "%s: %s", path, bursar_error_text(BURSAR_E_NOMEM));
        return BURSAR_E_NOMEM;
    }
    memset(keyring, 0, sizeof *keyring);
    int result = strlen((char *)content->data) == content->len
                     ? parse_lines(keyring, (char *)content->data, path, error)
                     : fail(error, path, "is not a text file");
    if (result == 0)
        *out_keyring = keyring;
    else
        keyring_free(keyring);
    return result;
}

int keyring_load_file(const char *path, struct keyring **out_keyring, struct buf *error)
{
    struct buf content = buf_make_secret(FILE_MAX_BYTES);
    int result = read_private(path, &content, error);
    if (result == 0)
        result = parse(&content, path, out_keyring, error);
    buf_free(&content);
    return result;
}

/* Appends a new active key as a line. */
static void append_new_key(struct buf *text)
{
    uint8_t id[KEYRING_ID_LEN];
    char hex[KEYRING_ID_LEN * 2 + 1];
    uint8_t *key = secret_memory_new(KEYRING_KEY_LEN);
    char *base64 = secret_memory_new(BASE64_LEN);
    if (key && base64) {
        randombytes_buf(id, sizeof id);
        randombytes_buf(key, KEYRING_KEY_LEN);
        sodium_bin2hex(hex, sizeof hex, id, sizeof id);
        sodium_bin2base64(base64, BASE64_LEN, key, KEYRING_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
        buf_append_string(text, "key ");
        buf_append_string(text, hex);
        buf_append_byte(text, ' ');
        buf_append_string(text, base64);
        buf_append_string(text, " active\n");
    } else {
        text->error = BURSAR_E_NOMEM;
    }
    secret_memory_free(key, KEYRING_KEY_LEN);
    secret_memory_free(base64, BASE64_LEN);
}

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

/* Writes a new file beside path and puts it in place whole: with link() nothing is overwritten. */
static int write_private(const char *path, const struct buf *content, bool may_replace)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.new", path) < 0)
        return BURSAR_E_NOMEM;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = fd < 0 ? BURSAR_E_IO : 0;
    if (fd >= 0) {
        if (write(fd, content->data, content->len) != (ssize_t)content->len || fsync(fd) < 0)
            result = BURSAR_E_IO;
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

int keyring_create_file(const char *path)
{
    if (sodium_init() < 0)
        return BURSAR_E_IO;
    struct buf content = buf_make_secret(FILE_MAX_BYTES);
    buf_append_string(&content,
                      "# bursar keyring: who reads this file reads every stored credential.\n"
                      "# Without it nothing can be read: keep a copy apart from the database.\n");
    append_new_key(&content);
    int result = buf_error(&content);
    if (result == 0)
        result = write_private(path, &content, false);
    buf_free(&content);
    return result;
}

/* Where the word `active` begins that ends a line of a key; NULL in any other line. */
static const char *find_active(const char *line, size_t len)
{
    static const char active[] = "active";
    while (len > 0 && strchr(" \t", line[len - 1]))
        len--;
    size_t from = strspn(line, " \t");
    if (len <= from + sizeof active || line[from] == '#')
        return NULL;
    const char *word = line + len - (sizeof active - 1);
    return memcmp(word, active, sizeof active - 1) == 0 ? word : NULL;
}

/* Copies the lines with `active` turned into `old`. */
static void append_retired(struct buf *out, const char *content)
{
    for (const char *line = content; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        const char *active = find_active(line, len);
        buf_append(out, line, active ? (size_t)(active - line) : len);
        buf_append_string(out, active ? "old\n" : "\n");
        line = end ? end + 1 : NULL;
    }
}

/* Whether what is about to be written can be read again. */
static int check_text(const struct buf *text, const char *path, struct buf *error)
{
    struct keyring *keyring = NULL;
    struct buf copy = buf_make_secret(FILE_MAX_BYTES);
    buf_append_text(&copy, buf_text(text));
    int result = parse(&copy, path, &keyring, error);
    keyring_free(keyring);
    buf_free(&copy);
    return result;
}

int keyring_add_key(const char *path, struct buf *error)
{
    struct buf before = buf_make_secret(FILE_MAX_BYTES);
    struct buf after = buf_make_secret(FILE_MAX_BYTES);
    int result = read_private(path, &before, error);
    if (result == 0)
        result = check_text(&before, path, error);
    if (result == 0) {
        append_retired(&after, (char *)before.data);
        append_new_key(&after);
        result = buf_error(&after) == 0 ? check_text(&after, path, error)
                                        : fail(error, path, "is too large for a further key");
    }
    if (result == 0 && (result = write_private(path, &after, true)) < 0)
        buf_printf(error, "%s: cannot be written: %s", path, strerror(errno));
    buf_free(&before);
    buf_free(&after);
    return result;
}

const uint8_t *keyring_active_id(const struct keyring *keyring)
{
    return keyring->keys[0].id;
}

const uint8_t *keyring_find(const struct keyring *keyring, const uint8_t id[static KEYRING_ID_LEN])
{
    for (size_t i = 0; i < keyring->count; i++) {
        if (memcmp(keyring->keys[i].id, id, KEYRING_ID_LEN) == 0)
            return keyring->keys[i].bytes;
    }
    return NULL;
}

size_t keyring_count(const struct keyring *keyring)
{
    return keyring->count;
}

void keyring_id_text(const struct keyring *keyring, size_t index,
                     char text[static KEYRING_ID_LEN * 2 + 1])
{
    sodium_bin2hex(text, KEYRING_ID_LEN * 2 + 1, keyring->keys[index].id, KEYRING_ID_LEN);
}
