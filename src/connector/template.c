#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "base/id.h"
#include "config/url.h"
#include "connector/host.h"

enum { NAME_MAX_BYTES = 63 };

/* Where in a URL a placeholder stands: what may be inserted follows from it. */
enum place {
    PLACE_TEXT,  /* no URL */
    PLACE_START, /* `{instance_url}/…`: a whole base URL, which is checked with the rest */
    PLACE_HOST,  /* part of a host's name, or all of it and a port */
    PLACE_REST,  /* path or query: encoded */
};

static enum place place_of(bool is_url, const struct buf *out)
{
    struct text before = {(const char *)out->data, out->len};
    if (!is_url)
        return PLACE_TEXT;
    if (before.len == 0)
        return PLACE_START;
    for (size_t i = 0; i + 3 <= before.len; i++) {
        if (memcmp(before.data + i, "://", 3) == 0)
            return memchr(before.data + i + 3, '/', before.len - i - 3) ||
                           memchr(before.data + i + 3, '?', before.len - i - 3)
                       ? PLACE_REST
                       : PLACE_HOST;
    }
    return PLACE_REST;
}

/* A name of hosts, perhaps with a port; nothing that begins another part of the URL. */
static bool is_host_part(struct text value)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == 0 || !strchr(allowed, value.data[i]))
            return false;
    }
    return value.len > 0 && value.len <= 253;
}

static int insert(struct buf *out, enum place place, struct text value)
{
    switch (place) {
    case PLACE_TEXT:
    case PLACE_START: buf_append_text(out, value); return 0;
    case PLACE_HOST:
        if (!is_host_part(value))
            return BURSAR_E_BAD_REQUEST;
        buf_append_text(out, value);
        return 0;
    case PLACE_REST:
        if (text_is(value, ".") ||
            text_is(value, "..")) /* would be another place, encoded or not */
            return BURSAR_E_BAD_REQUEST;
        buf_append_percent(out, value);
        return 0;
    }
    return BURSAR_E_INTERNAL;
}

/* ---- variables ----------------------------------------------------------------------------------- */

#define NO_ROW SIZE_MAX

/* The row of `variables` that describes a name. */
static size_t variable_of(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings_rows(settings, "variables"); i++) {
        if (text_is(settings_cell(settings, "variables", i, "name"), name))
            return i;
    }
    return NO_ROW;
}

/* Where a request goes with our client's secret is not for the visitor of a callback to say. */
static bool is_from_outside(const struct settings *settings, size_t row)
{
    struct text from = settings_cell(settings, "variables", row, "from");
    return text_is(from, "callback") || text_is(from, "reply");
}

static const struct setting *allowed_of(const struct settings *settings, size_t row)
{
    char name[64];
    snprintf(name, sizeof name, "variables.%zu.allow", row);
    return settings_find(settings, name);
}

static struct text host_of_url(struct text url)
{
    const char *slashes = memmem(url.data, url.len, "://", 3);
    if (!slashes)
        return (struct text){NULL, 0};
    struct text host = {slashes + 3, url.len - (size_t)(slashes + 3 - url.data)};
    for (size_t i = 0; i < host.len; i++) {
        if (strchr("/?#:", host.data[i]))
            host.len = i;
    }
    return host;
}

/* `name.example` is that host alone, `*.name.example` each one below it. */
static bool is_host_allowed(struct text host, struct text allowed)
{
    bool is_below = allowed.len > 2 && memcmp(allowed.data, "*.", 2) == 0;
    if (is_below)
        allowed = (struct text){allowed.data + 1, allowed.len - 1};
    if (is_below ? host.len <= allowed.len : host.len != allowed.len)
        return false;
    return strncasecmp(host.data + host.len - allowed.len, allowed.data, allowed.len) == 0;
}

static bool may_go_to(const struct settings *settings, size_t row, struct text url)
{
    struct text host = host_of_url(url);
    const struct setting *allowed = allowed_of(settings, row);
    for (size_t i = 0; allowed && i < allowed->item_count; i++) {
        if (host.data && is_host_allowed(host, text_of(allowed->items[i].value)))
            return true;
    }
    return false;
}

/* Whether what follows a placeholder in the template settles where it leads: a `.` and a domain of two
 * names at least, as in `https://{shop}.vendor.example/`. */
static bool is_suffix_fixed(struct text behind)
{
    size_t len = 0;
    bool has_dot = false;
    while (len < behind.len && !strchr("/?#:{", behind.data[len])) {
        has_dot = has_dot || (len > 1 && behind.data[len] == '.');
        len++;
    }
    return len > 0 && behind.data[0] == '.' && has_dot &&
           (len == behind.len || behind.data[len] != '{');
}

/* ---- values -------------------------------------------------------------------------------------- */

/* What comes along with a callback is whatever its visitor wrote there: it counts only under the names
 * that the protocol and the entry give it. */
static struct text input_of(const struct call *call, const char *name)
{
    static const char *const standard[] = {"code", "code_verifier", "redirect_uri", "state"};
    const struct settings *settings = call->connector->settings;
    const struct setting *captures = settings_find(settings, "callback_captures");
    size_t row = variable_of(settings, name);
    bool is_named = call->purpose != BURSAR_EXCHANGE;
    if (!call->inputs)
        return (struct text){NULL, 0};
    for (size_t i = 0; captures && i < captures->item_count; i++) {
        if (strcmp(captures->items[i].name, name) == 0)
            return call_values_get(call->inputs, captures->items[i].value);
    }
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        is_named = is_named || strcmp(standard[i], name) == 0;
    if (row != NO_ROW)
        is_named =
            is_named || text_is(settings_cell(settings, "variables", row, "from"), "callback");
    return is_named ? call_values_get(call->inputs, name) : (struct text){NULL, 0};
}

/* {nonce}: the same one wherever it stands in a request. */
static struct text nonce_of(struct host *host)
{
    uint8_t random[16];
    if (!host->nonce) {
        host->nonce = host_make(host, 64);
        if (!host->nonce)
            return (struct text){NULL, 0};
        id_random(random, sizeof random);
        base64url_append(host->nonce, (struct text){(const char *)random, sizeof random});
    }
    return buf_text(host->nonce);
}

static struct text value_of(struct host *host, const char *name)
{
    const struct call *call = host->call;
    const struct settings *settings = call->connector->settings;
    size_t row = variable_of(settings, name);
    struct text value = host->locals ? call_values_get(host->locals, name) : (struct text){NULL, 0};
    if (!value.data && call->captures)
        value = call_values_get(call->captures, name);
    if (!value.data)
        value = input_of(call, name);
    if (!value.data)
        value = host_secret(host, name);
    if (!value.data)
        value = host_metadata(host, name);
    if (!value.data && row != NO_ROW)
        value = settings_cell(settings, "variables", row, "default");
    if (!value.data)
        value = host_setting(host, name);
    if (!value.data && strcmp(name, "nonce") == 0)
        value = nonce_of(host);
    return !value.data && strcmp(name, "scopes") == 0 ? TEXT_LITERAL("") : value; /* none */
}

/* ---- templates ----------------------------------------------------------------------------------- */

/* The placeholder at the beginning of text; 0 where there is none, else its length. */
static size_t name_at(struct text text, char out_name[static NAME_MAX_BYTES + 1])
{
    size_t len = 1;
    while (len < text.len && text.data[len] != '}') {
        char c = text.data[len];
        bool is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
        if (!is_name || len > NAME_MAX_BYTES)
            return 0;
        out_name[len - 1] = c;
        len++;
    }
    if (len == 1 || len >= text.len)
        return 0;
    out_name[len - 1] = 0;
    return len + 1;
}

/* Rows of `variables` that say where a URL leads. */
#define HOST_ROWS_MAX 8
struct leading {
    size_t rows[HOST_ROWS_MAX];
    size_t count;
};

static bool is_item(const struct settings *settings, const char *setting, const char *name)
{
    const struct setting *found = settings_find(settings, setting);
    for (size_t i = 0; found && i < found->item_count; i++) {
        if (strcmp(found->items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Whether the value of a name is what somebody else has said, now or when it was captured. */
static bool is_said_by_others(struct host *host, const char *name)
{
    const struct call *call = host->call;
    const struct settings *settings = call->connector->settings;
    if (call->captures && call_values_get(call->captures, name).data)
        return true;
    if (call->purpose == BURSAR_EXCHANGE && input_of(call, name).data)
        return true;
    return host_secret(host, name).data &&
           (is_item(settings, "captures", name) || is_item(settings, "callback_captures", name));
}

/* Notes a placeholder of a URL's host that has to lead to an allowed one. False where nothing says
 * where it may lead. */
static bool note_leading(struct host *host, const char *name, enum place place, struct text behind,
                         struct leading *leading)
{
    const struct settings *settings = host->call->connector->settings;
    size_t row = variable_of(settings, name);
    if (place != PLACE_START && place != PLACE_HOST)
        return true;
    if (row == NO_ROW || !allowed_of(settings, row)) {
        bool is_outside =
            (row != NO_ROW && is_from_outside(settings, row)) || is_said_by_others(host, name);
        return !is_outside || (place == PLACE_HOST && is_suffix_fixed(behind));
    }
    if (leading->count == HOST_ROWS_MAX)
        return false;
    leading->rows[leading->count++] = row;
    return true;
}

static int insert_value(struct host *host, const char *name, struct text behind, bool is_url,
                        struct leading *leading, struct buf *out)
{
    struct text value = value_of(host, name);
    enum place place = place_of(is_url, out);
    if (!value.data && host->call->out_unknown)
        snprintf(host->call->out_unknown, CALL_UNKNOWN_SIZE, "%s", name);
    if (!value.data)
        return BURSAR_E_NOT_FOUND;
    if (!note_leading(host, name, place, behind, leading))
        return BURSAR_E_BAD_REQUEST;
    return insert(out, place, value);
}

static int check_url(const struct host *host, const struct leading *leading, struct text url)
{
    const struct connector *connector = host->call->connector;
    for (size_t i = 0; i < leading->count; i++) {
        if (!may_go_to(connector->settings, leading->rows[i], url))
            return BURSAR_E_BAD_REQUEST;
    }
    return url_problem(url, connector->allow_http) ? BURSAR_E_BAD_REQUEST : 0;
}

int host_expand(struct host *host, struct text text, bool is_url, struct buf *out)
{
    struct leading leading = {{0}, 0};
    bool has_inserted = false;
    for (size_t i = 0; i < text.len;) {
        char name[NAME_MAX_BYTES + 1];
        struct text rest = {text.data + i, text.len - i};
        const char *brace = memchr(rest.data, '{', rest.len);
        size_t before = brace ? (size_t)(brace - rest.data) : rest.len;
        if (before > 0) {
            buf_append(out, rest.data, before);
            i += before;
            continue;
        }
        size_t len = name_at(rest, name);
        if (len == 0) {
            bool is_escape = rest.len > 1 && rest.data[0] == '{' && rest.data[1] == '{';
            buf_append_byte(out, (uint8_t)rest.data[0]);
            i += is_escape ? 2 : 1;
            continue;
        }
        struct text behind = {rest.data + len, rest.len - len};
        int result = insert_value(host, name, behind, is_url, &leading, out);
        if (result < 0)
            return result;
        has_inserted = true;
        i += len;
    }
    if (is_url && has_inserted && buf_error(out) == 0) {
        int result = check_url(host, &leading, buf_text(out));
        if (result < 0)
            return result;
    }
    return buf_error(out);
}
