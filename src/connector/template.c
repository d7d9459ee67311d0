#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

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

/* The default that the entry gives a variable. */
static struct text variable_default(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings_rows(settings, "variables"); i++) {
        if (text_is(settings_cell(settings, "variables", i, "name"), name))
            return settings_cell(settings, "variables", i, "default");
    }
    return (struct text){NULL, 0};
}

static struct text value_of(struct host *host, const char *name)
{
    const struct call *call = host->call;
    struct text value =
        call->captures ? call_values_get(call->captures, name) : (struct text){NULL, 0};
    if (!value.data && call->inputs)
        value = call_values_get(call->inputs, name);
    if (!value.data)
        value = host_secret(host, name);
    if (!value.data)
        value = host_metadata(host, name);
    if (!value.data)
        value = variable_default(call->connector->settings, name);
    return value.data ? value : host_setting(host, name);
}

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

int host_expand(struct host *host, struct text text, bool is_url, struct buf *out)
{
    bool has_inserted = false;
    for (size_t i = 0; i < text.len;) {
        char name[NAME_MAX_BYTES + 1];
        struct text rest = {text.data + i, text.len - i};
        size_t len = rest.data[0] == '{' ? name_at(rest, name) : 0;
        if (len == 0) {
            bool is_escape = rest.len > 1 && rest.data[0] == '{' && rest.data[1] == '{';
            buf_append_byte(out, (uint8_t)rest.data[0]);
            i += is_escape ? 2 : 1;
            continue;
        }
        struct text value = value_of(host, name);
        if (!value.data)
            return BURSAR_E_NOT_FOUND;
        int result = insert(out, place_of(is_url, out), value);
        if (result < 0)
            return result;
        has_inserted = true;
        i += len;
    }
    if (is_url && has_inserted && url_problem(buf_text(out), host->call->connector->allow_http))
        return BURSAR_E_BAD_REQUEST;
    return buf_error(out);
}
