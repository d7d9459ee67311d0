#include "connector/host.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "base/header.h"
#include "base/id.h"
#include "connector/path.h"
#include "connector/predicate.h"
#include "connector/sign.h"

enum { MADE_MAX = 262144, COOKIE_HEADERS_MAX = 64, SMALL_BYTES = 1023 };

static struct bursar_text give(struct text text)
{
    return (struct bursar_text){text.data, text.len};
}

static struct text take(struct bursar_text text)
{
    return (struct text){text.data, text.len};
}

static struct host *host_of(const struct bursar_call *call)
{
    return call->host;
}

struct buf *host_make(struct host *host, size_t max)
{
    if (host->made_count == HOST_MADE_MAX) {
        host->error = BURSAR_E_TOO_BIG;
        return NULL;
    }
    struct buf *made = &host->made[host->made_count++];
    *made = buf_make_secret(max);
    return made;
}

char *host_small(struct host *host, size_t len)
{
    struct buf *small = &host->small;
    if (small->cap == 0)
        buf_make_room(small, SMALL_BYTES);
    if (buf_error(small) != 0 || len >= SMALL_BYTES - small->len)
        return NULL;
    char *room = (char *)buf_reserve(small, len + 1); /* it does not move */
    room[len] = 0;
    buf_added(small, len + 1);
    return room;
}

static struct bursar_text made_text(struct host *host, const struct buf *made)
{
    static const struct bursar_text absent = {NULL, 0};
    if (!made || buf_error(made) != 0) {
        if (host->error == 0)
            host->error = made ? buf_error(made) : BURSAR_E_TOO_BIG;
        return absent;
    }
    return made->data ? give(buf_text(made)) : (struct bursar_text){"", 0};
}

/* ---- values ------------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* Settings that a connection may give where the operator gave none: not where requests go to, no file
 * of this machine, and no part of a group or of rows, which say what requests look like. */
static bool may_be_given(const struct setting *setting, const char *name)
{
    if (ends_with(name, "_url") || ends_with(name, "_file") || strchr(name, '.'))
        return false;
    return !setting || (!setting->is_given && setting->option->type != BURSAR_OPTION_URL &&
                        setting->option->type != BURSAR_OPTION_TEMPLATE);
}

/* A list as one text, for {placeholders}: scopes as the provider separates them. */
static struct text join_list(struct host *host, const struct setting *setting)
{
    bool are_scopes = strcmp(setting_name(setting), "scopes") == 0;
    struct text gap = are_scopes ? settings_text(host->call->connector->settings, "scope_separator")
                                 : TEXT_LITERAL(" ");
    struct buf *made = host_make(host, MADE_MAX);
    for (size_t i = 0; made && i < setting->item_count; i++) {
        if (i > 0)
            buf_append_text(made, gap.data ? gap : TEXT_LITERAL(" "));
        buf_append_string(made, setting->items[i].value);
    }
    return made && buf_error(made) == 0 ? buf_text(made) : (struct text){NULL, 0};
}

struct text host_setting(struct host *host, const char *name)
{
    const struct settings *settings = host->call->connector->settings;
    if (host->call->has_next_secret && strcmp(name, "client_secret") == 0)
        return settings_text(settings, "client_secret_next");
    const struct setting *setting = settings_find(settings, name);
    if (host->given && may_be_given(setting, name)) {
        const struct node *given = node_get(host->given, name);
        if (node_type(given) == NODE_TEXT)
            return node_text(given);
    }
    return setting && setting->option->type == BURSAR_OPTION_LIST ? join_list(host, setting)
                                                                  : setting_text(setting);
}

static const struct node *secret_of(struct host *host)
{
    const struct call *call = host->call;
    if (!call->open_secret)
        return call->secret;
    const struct node *secret = call->open_secret(call->secret_context);
    host->is_secret_shut = host->is_secret_shut || !secret;
    return secret;
}

struct text host_secret(struct host *host, const char *name)
{
    struct text part = doc_part(host->call->grant, name);
    if (!part.data) {
        const struct node *given = node_get(host->given, name);
        if (node_type(given) == NODE_TEXT)
            part = node_text(given);
    }
    return part.data ? part : doc_part(secret_of(host), name);
}

struct text host_metadata(struct host *host, const char *name)
{
    const struct node *value = node_get(host->call->metadata, name);
    return node_type(value) == NODE_TEXT ? node_text(value) : (struct text){NULL, 0};
}

static struct bursar_text get_setting(const struct bursar_call *call, const char *name)
{
    return give(host_setting(host_of(call), name));
}

static bool get_setting_item(const struct bursar_call *call, const char *name, size_t index,
                             struct bursar_text *out_name, struct bursar_text *out_value)
{
    const struct host *host = call->host;
    const struct setting *setting = settings_find(host->call->connector->settings, name);
    if (!setting || !setting->items || index >= setting->item_count)
        return false;
    *out_name = give(text_of(setting->items[index].name));
    *out_value = give(text_of(setting->items[index].value));
    return true;
}

static size_t get_setting_rows(const struct bursar_call *call, const char *name)
{
    return settings_rows(host_of(call)->call->connector->settings, name);
}

static struct bursar_text get_secret(const struct bursar_call *call, const char *name)
{
    return give(host_secret(host_of(call), name));
}

static struct bursar_text get_metadata(const struct bursar_call *call, const char *name)
{
    return give(host_metadata(host_of(call), name));
}

static struct bursar_text get_value(const struct call_values *values, const char *name)
{
    return values ? give(call_values_get(values, name)) : (struct bursar_text){NULL, 0};
}

static struct bursar_text get_input(const struct bursar_call *call, const char *name)
{
    return get_value(host_of(call)->call->inputs, name);
}

static bool get_input_item(const struct bursar_call *call, size_t index,
                           struct bursar_text *out_name, struct bursar_text *out_value)
{
    const struct call_values *inputs = host_of(call)->call->inputs;
    struct text name, value;
    if (!inputs || !call_values_item(inputs, index, &name, &value))
        return false;
    *out_name = give(name);
    *out_value = give(value);
    return true;
}

static struct bursar_text get_captured(const struct bursar_call *call, const char *name)
{
    return get_value(host_of(call)->call->captures, name);
}

/* ---- services ----------------------------------------------------------------------------------- */

static struct bursar_text expand(const struct bursar_call *call, struct bursar_text text,
                                 bool is_url)
{
    struct host *host = call->host;
    bool is_plain = text.data && !memchr(text.data, '{', text.len);
    char *small = is_plain ? host_small(host, text.len) : NULL;
    if (small) {
        memcpy(small, text.data, text.len);
        return (struct bursar_text){small, text.len};
    }
    struct buf *made = text.data ? host_make(host, MADE_MAX) : NULL;
    if (!made || host_expand(host, take(text), is_url, made) < 0)
        return (struct bursar_text){NULL, 0};
    return made_text(host, made);
}

static void append_hex(struct buf *out, struct text data)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.len; i++) {
        unsigned char byte = (unsigned char)data.data[i];
        buf_append_byte(out, (uint8_t)digits[byte >> 4]);
        buf_append_byte(out, (uint8_t)digits[byte & 15]);
    }
}

static struct bursar_text encode(const struct bursar_call *call, enum bursar_encoding encoding,
                                 struct bursar_text data)
{
    static void (*const appends[])(struct buf *,
                                   struct text) = {[BURSAR_BASE64] = base64_append,
                                                   [BURSAR_BASE64URL] = base64url_append,
                                                   [BURSAR_HEX] = append_hex,
                                                   [BURSAR_PERCENT] = buf_append_percent};
    struct host *host = call->host;
    struct buf *made = host_make(host, MADE_MAX);
    if (!made || (size_t)encoding >= sizeof appends / sizeof appends[0])
        return (struct bursar_text){NULL, 0};
    appends[encoding](made, take(data));
    return made_text(host, made);
}

static struct bursar_text make_random(const struct bursar_call *call, size_t len)
{
    struct host *host = call->host;
    struct buf *made = len <= 1024 ? host_make(host, 1024) : NULL;
    uint8_t *room = made ? buf_reserve(made, len) : NULL;
    if (!room)
        return (struct bursar_text){NULL, 0};
    id_random(room, len);
    buf_added(made, len);
    return made_text(host, made);
}

static const enum sign_hash hashes[] = {
    [BURSAR_SHA1] = SIGN_SHA1, [BURSAR_SHA256] = SIGN_SHA256, [BURSAR_SHA512] = SIGN_SHA512};
static const enum sign_algorithm algorithms[] = {
    [BURSAR_RS256] = SIGN_RS256, [BURSAR_ES256] = SIGN_ES256, [BURSAR_RSA_SHA1] = SIGN_RSA_SHA1};

static struct bursar_text give_digest(struct host *host, enum sign_hash hash, int result,
                                      const uint8_t digest[static SIGN_DIGEST_MAX])
{
    struct buf *made = host_make(host, 128);
    if (!made || result < 0)
        return (struct bursar_text){NULL, 0};
    buf_append(made, digest, sign_digest_len(hash));
    return made_text(host, made);
}

static struct bursar_text make_hash(const struct bursar_call *call, enum bursar_hash hash,
                                    struct bursar_text data)
{
    uint8_t digest[SIGN_DIGEST_MAX];
    int result = sign_digest(hashes[hash], take(data), digest);
    return give_digest(host_of(call), hashes[hash], result, digest);
}

static struct bursar_text make_hmac(const struct bursar_call *call, enum bursar_hash hash,
                                    struct bursar_text key, struct bursar_text data)
{
    uint8_t digest[SIGN_DIGEST_MAX];
    int result = sign_hmac(hashes[hash], take(key), take(data), digest);
    return give_digest(host_of(call), hashes[hash], result, digest);
}

static struct bursar_text make_signature(const struct bursar_call *call, enum bursar_sign algorithm,
                                         struct bursar_text pem, struct bursar_text data)
{
    struct sign_key *key = NULL;
    struct buf *made = host_make(host_of(call), 4096);
    int result = made ? sign_key_new(take(pem), &key, NULL) : BURSAR_E_NOMEM;
    if (result == 0)
        result = sign_data(key, algorithms[algorithm], take(data), made);
    sign_key_free(key);
    return result < 0 ? (struct bursar_text){NULL, 0} : made_text(host_of(call), made);
}

static struct bursar_text join(const struct bursar_call *call, const struct bursar_text *parts,
                               size_t count)
{
    struct host *host = call->host;
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    char *small = host_small(host, len);
    for (size_t i = 0, at = 0; small && i < count; at += parts[i].len, i++) {
        if (parts[i].len > 0)
            memcpy(small + at, parts[i].data, parts[i].len);
    }
    if (small)
        return (struct bursar_text){small, len};
    struct buf *made = host_make(host, MADE_MAX);
    for (size_t i = 0; made && i < count; i++)
        buf_append_text(made, take(parts[i]));
    return made_text(host, made);
}

/* ---- replies ------------------------------------------------------------------------------------ */

struct text call_reply_header(const struct call_reply *reply, const char *name)
{
    return header_find(reply->headers, name);
}

static struct bursar_text get_header(const struct bursar_response *response, const char *name)
{
    const struct host *host = response->host;
    return give(call_reply_header(host->reply, name));
}

/* RFC 6265 section 5.2, as far as a name and a value go. */
static struct bursar_text get_cookie(const struct bursar_response *response, const char *name)
{
    static const char header[] = "set-cookie:";
    const struct host *host = response->host;
    size_t name_len = strlen(name);
    const char *line = host->reply->headers.data;
    const char *end = line ? line + host->reply->headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, header, sizeof header - 1) != 0)
            continue;
        const char *at = line + sizeof header - 1;
        at += strspn(at, " \t");
        if (strncmp(at, name, name_len) == 0 && at[name_len] == '=')
            return (struct bursar_text){at + name_len + 1, strcspn(at + name_len + 1, "; \t")};
    }
    return (struct bursar_text){NULL, 0};
}

static const struct document *document_of(struct host *host)
{
    if (!host->document) {
        host->document =
            document_new(host->reply->body, call_reply_header(host->reply, "Content-Type"));
        if (!host->document)
            host->error = BURSAR_E_NOMEM;
    }
    return host->document;
}

/* Paths of settings are compiled once. */
static struct document_value look(struct host *host, struct bursar_text text)
{
    const struct document *document = document_of(host);
    struct document_value value = {.type = BURSAR_VALUE_ABSENT};
    if (!document || !text.data)
        return value;
    const struct path *known = paths_find(host->call->connector->paths, take(text));
    if (known)
        return document_find(document, known);
    struct path *path = NULL;
    struct buf error = buf_make(256);
    if (path_compile(take(text), &path, &error) == 0)
        value = document_find(document, path);
    path_free(path);
    buf_free(&error);
    return value;
}

static struct bursar_value give_value(const struct document_value *value)
{
    return (struct bursar_value){value->type, give(value->text), value->count};
}

static struct bursar_value find(const struct bursar_response *response, struct bursar_text path)
{
    struct document_value value = look(response->host, path);
    return give_value(&value);
}

static struct bursar_value find_item(const struct bursar_response *response,
                                     struct bursar_text path, size_t index)
{
    struct host *host = response->host;
    struct document_value list = look(host, path);
    struct document_value item = {.type = BURSAR_VALUE_ABSENT};
    if (list.type == BURSAR_VALUE_LIST)
        item = document_item(document_of(host), &list, index);
    return give_value(&item);
}

static bool holds(const struct bursar_response *response, struct bursar_text text)
{
    struct host *host = response->host;
    const struct document *document = document_of(host);
    struct predicate *predicate = NULL;
    struct buf error = buf_make(256);
    bool is_true = document && predicate_compile(take(text), &predicate, &error) == 0 &&
                   predicate_holds(predicate, document);
    predicate_free(predicate);
    buf_free(&error);
    return is_true;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void emit_nothing(const struct bursar_call *call, enum bursar_emit part, const char *name,
                         const char *value, size_t value_len)
{
    (void)part, (void)name, (void)value, (void)value_len;
    host_of(call)->error = BURSAR_E_INTERNAL;
}

void host_init(struct host *host, const struct call *about)
{
    memset(host, 0, offsetof(struct host, made));
    host->call = about;
    host->given = node_get(about->grant, "grant");
    host->small = buf_make_secret(SMALL_BYTES);
}

struct bursar_call host_call(struct host *host)
{
    return (struct bursar_call){.now = host->call->now,
                                .purpose = host->call->purpose,
                                .step = host->call->step,
                                .setting = get_setting,
                                .setting_item = get_setting_item,
                                .setting_rows = get_setting_rows,
                                .secret = get_secret,
                                .metadata = get_metadata,
                                .input = get_input,
                                .input_item = get_input_item,
                                .captured = get_captured,
                                .emit = host->request ? host_emit_request : emit_nothing,
                                .expand = expand,
                                .encode = encode,
                                .random = make_random,
                                .hash = make_hash,
                                .hmac = make_hmac,
                                .sign = make_signature,
                                .join = join,
                                .host = host};
}

struct bursar_response host_response(struct host *host)
{
    return (struct bursar_response){.status = host->reply->status,
                                    .content_type =
                                        give(call_reply_header(host->reply, "Content-Type")),
                                    .body = give(host->reply->body),
                                    .header = get_header,
                                    .find = find,
                                    .find_item = find_item,
                                    .holds = holds,
                                    .cookie = get_cookie,
                                    .host = host};
}

void host_fini(struct host *host)
{
    for (size_t i = 0; i < host->made_count; i++)
        buf_free(&host->made[i]);
    buf_free(&host->small);
    buf_free(&host->json);
    buf_free(&host->fragment);
    if (host->locals)
        call_values_free(host->locals);
    free(host->locals);
    document_free(host->document);
}
