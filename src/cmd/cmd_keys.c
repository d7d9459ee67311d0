#include "cmd/cmd_keys.h"

#include <stdio.h>
#include <string.h>

#include <bursar/client.h>

#include "base/z85.h"
#include "cmd/cmd_key.h"

enum { KEY_MAX = 64, KEY_BYTES = 32 };

static bool is_tcp(const char *endpoint)
{
    return endpoint && strncmp(endpoint, "tcp://", strlen("tcp://")) == 0;
}

static bool is_key(struct text text)
{
    uint8_t raw[KEY_BYTES];
    return z85_decode(text, sizeof raw, raw);
}

/* The key itself, for it is no secret, or the file that has it. */
static bool read_server(struct buf *out, const char *given)
{
    if (!is_key(text_of(given)))
        return cmd_key_read(given, out);
    buf_append_string(out, given);
    return buf_error(out) == 0;
}

bool cmd_keys_read(struct cmd_keys *keys, const struct cmd_args *args)
{
    bool has_tcp = is_tcp(args->endpoint) || is_tcp(args->events_endpoint);
    if (!args->key_file != !args->server_key || (has_tcp && !args->key_file)) {
        fprintf(stderr, "bursar: a daemon on tcp:// is asked with --key FILE and --server-key "
                        "KEY|FILE together\n");
        return false;
    }
    if (!args->key_file)
        return true;
    keys->secret = buf_make_secret(KEY_MAX);
    keys->server = buf_make(KEY_MAX);
    if (!cmd_key_read_own(args->key_file, &keys->secret) ||
        !read_server(&keys->server, args->server_key))
        return false;
    buf_append_byte(&keys->secret, 0);
    buf_append_byte(&keys->server, 0);
    return buf_error(&keys->secret) == 0 && buf_error(&keys->server) == 0;
}

void cmd_keys_wipe(struct cmd_keys *keys)
{
    buf_free(&keys->secret);
    buf_free(&keys->server);
}

static const char *text_in(const struct buf *buf)
{
    return buf->len > 0 ? (const char *)buf->data : NULL;
}

const char *cmd_keys_server(const struct cmd_keys *keys)
{
    return text_in(&keys->server);
}

const char *cmd_keys_secret(const struct cmd_keys *keys)
{
    return text_in(&keys->secret);
}
