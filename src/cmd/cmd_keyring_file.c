#include "cmd/cmd_keyring_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/cmd_input.h"
#include "vault/keyring.h"

enum { PASSPHRASE_MAX = 65536, PASSPHRASE_MIN = 12, ERROR_MAX = 1024 };

static int fail(struct buf *error, int result)
{
    fprintf(stderr, "bursar: %s\n",
            error->len > 0 ? (const char *)error->data : bursar_error_text(result));
    return CMD_REFUSED;
}

/* The first line of what is piped in, or what is typed, twice where it is_new. */
static bool ask_passphrase(bool is_new, struct buf *out)
{
    struct buf again = buf_make_secret(PASSPHRASE_MAX);
    bool is_given = true;
    if (!cmd_input_is_terminal()) {
        is_given = cmd_input_all(out) == 0;
        if (!is_given)
            fprintf(stderr, "bursar: the passphrase cannot be read from standard input\n");
        const char *end = is_given && out->data ? memchr(out->data, '\n', out->len) : NULL;
        if (end)
            buf_truncate(out, (size_t)(end - (const char *)out->data));
    } else {
        is_given = cmd_input_line("Passphrase of the keyring: ", true, out);
        if (is_given && is_new && cmd_input_line("Once more: ", true, &again) &&
            !secret_equal(buf_text(out), buf_text(&again))) {
            fprintf(stderr, "bursar: these are two passphrases\n");
            is_given = false;
        }
    }
    buf_free(&again);
    if (is_given && is_new && out->len < PASSPHRASE_MIN) {
        fprintf(stderr, "bursar: a passphrase has %d bytes at least\n", PASSPHRASE_MIN);
        is_given = false;
    }
    return is_given && buf_error(out) == 0;
}

int cmd_keyring_add(const char *path, bool is_active)
{
    char *where = NULL, id_text[KEYRING_ID_SIZE];
    uint8_t id[KEYRING_ID_LEN];
    struct buf error = buf_make(ERROR_MAX), passphrase = buf_make_secret(PASSPHRASE_MAX);
    struct keyring_source source = {NULL, {NULL, 0}};
    if (asprintf(&where, "file:%s", path) < 0)
        return CMD_REFUSED;
    source.where = where;
    int status = CMD_DONE;
    if (keyring_source_needs_passphrase(&source)) {
        if (ask_passphrase(false, &passphrase))
            source.passphrase = buf_text(&passphrase);
        else
            status = CMD_REFUSED;
    }
    int result = status == CMD_DONE
                     ? keyring_add_key(&source, is_active ? KEY_ACTIVE : KEY_NEW, id, &error)
                     : 0;
    if (result < 0)
        status = fail(&error, result);
    if (status == CMD_DONE) {
        key_id_text(id, id_text);
        printf("%s %s\n", id_text, key_role_name(is_active ? KEY_ACTIVE : KEY_NEW));
    }
    free(where);
    buf_free(&error);
    buf_free(&passphrase);
    return status;
}

int cmd_keyring_seal(const char *path)
{
    char *where = NULL;
    struct buf error = buf_make(ERROR_MAX), passphrase = buf_make_secret(PASSPHRASE_MAX);
    struct keyring_source source = {NULL, {NULL, 0}};
    struct key_set *set = NULL;
    if (asprintf(&where, "file:%s", path) < 0)
        return CMD_REFUSED;
    source.where = where;
    int result = keyring_source_read(&source, &set, &error), status = CMD_DONE;
    if (result == 0 && !ask_passphrase(true, &passphrase))
        status = CMD_REFUSED;
    if (result == 0 && status == CMD_DONE) {
        source.passphrase = buf_text(&passphrase);
        result = keyring_source_write(&source, set, &error);
    }
    if (result < 0)
        status = fail(&error, result);
    key_set_free(set);
    free(where);
    buf_free(&error);
    buf_free(&passphrase);
    return status;
}
