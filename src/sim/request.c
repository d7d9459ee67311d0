#include "sim/request.h"

#include <string.h>
#include <strings.h>

#include <jansson.h>

enum { TEXTS_MAX = 1 << 20, URL_MAX = 16384, BASIC_MAX = 8192 };

struct text sim_request_header(const struct sim_request *request, const char *name)
{
    size_t name_len = strlen(name);
    const char *line = request->headers.data;
    const char *end = line ? line + request->headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        return text_of(value + strspn(value, " \t"));
    }
    return (struct text){NULL, 0};
}

/* ---- parameters --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void decode(struct text text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = text.data[i] == '%' && i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        if (low >= 0)
            i += 2;
        buf_append_byte(out, low >= 0 ? (uint8_t)(high * 16 + low)
                                      : (uint8_t)(text.data[i] == '+' ? ' ' : text.data[i]));
    }
}

static struct text text_at(const struct sim_seen *seen, size_t at, size_t len)
{
    return (struct text){len > 0 ? (const char *)seen->texts.data + at : "", len};
}

struct text sim_seen_value(const struct sim_seen *seen, size_t index, struct text *out_name)
{
    const struct sim_param *param = &seen->params[index];
    if (out_name)
        *out_name = text_at(seen, param->name_at, param->name_len);
    return text_at(seen, param->value_at, param->value_len);
}

struct text sim_seen_param(const struct sim_seen *seen, enum sim_place place, struct text name)
{
    for (size_t i = 0; i < seen->param_count; i++) {
        struct text found;
        struct text value = sim_seen_value(seen, i, &found);
        if (seen->params[i].place == place && text_equal(found, name))
            return value;
    }
    return (struct text){NULL, 0};
}

struct text sim_seen_any(const struct sim_seen *seen, struct text name)
{
    struct text value = {NULL, 0};
    for (enum sim_place place = SIM_QUERY; place <= SIM_BODY_JSON && !value.data; place++)
        value = sim_seen_param(seen, place, name);
    return value;
}

/* RFC 6749 section 3.2: no parameter stands there twice. */
static void keep(struct sim_seen *seen, const struct sim_param *param)
{
    struct text name = text_at(seen, param->name_at, param->name_len);
    if (sim_seen_param(seen, param->place, name).data)
        seen->problem = "a parameter stands there twice";
    else if (seen->param_count == SIM_PARAMS_MAX)
        seen->problem = "too many parameters";
    else
        seen->params[seen->param_count++] = *param;
}

static void read_form(struct sim_seen *seen, struct text text, enum sim_place place)
{
    while (text.len > 0) {
        const char *end = memchr(text.data, '&', text.len);
        struct text pair = {text.data, end ? (size_t)(end - text.data) : text.len};
        const char *sign = memchr(pair.data, '=', pair.len);
        size_t name_len = sign ? (size_t)(sign - pair.data) : pair.len;
        struct sim_param param = {.place = place, .name_at = seen->texts.len};
        decode((struct text){pair.data, name_len}, &seen->texts);
        param.name_len = seen->texts.len - param.name_at;
        param.value_at = seen->texts.len;
        if (sign)
            decode((struct text){sign + 1, pair.len - name_len - 1}, &seen->texts);
        param.value_len = seen->texts.len - param.value_at;
        if (pair.len > 0)
            keep(seen, &param);
        text = end ? (struct text){end + 1, text.len - pair.len - 1} : (struct text){NULL, 0};
    }
}

static void read_json(struct sim_seen *seen, struct text text)
{
    const char *key;
    json_t *value;
    json_t *root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!root && !text_is(text, "null"))
        seen->problem = "the body is no JSON";
    json_object_foreach(root, key, value) {
        const char *string = json_string_value(value);
        struct sim_param param = {SIM_BODY_JSON, seen->texts.len, strlen(key), 0, 0};
        buf_append_string(&seen->texts, key);
        param.value_at = seen->texts.len;
        if (string)
            buf_append(&seen->texts, string, json_string_length(value));
        param.value_len = seen->texts.len - param.value_at;
        keep(seen, &param);
    }
    json_decref(root);
}

static void read_body(struct sim_seen *seen)
{
    struct text type = sim_request_header(seen->request, "Content-Type");
    struct text body = seen->request->body;
    static const char form[] = "application/x-www-form-urlencoded", json[] = "application/json";
    if (body.len == 0)
        return;
    if (type.data && strncasecmp(type.data, json, sizeof json - 1) == 0)
        read_json(seen, body);
    else if (type.data && strncasecmp(type.data, form, sizeof form - 1) == 0)
        read_form(seen, body, SIM_BODY_FORM);
    else if (!type.data)
        seen->problem = "a body without a Content-Type";
}

/* ---- all ---------------------------------------------------------------------------------------- */

struct sim_seen sim_seen_of(const struct sim_request *request)
{
    struct sim_seen seen = {
        .request = request, .url = buf_make_secret(URL_MAX), .texts = buf_make_secret(TEXTS_MAX)};
    struct text url = request->url;
    const char *host = memmem(url.data, url.len < 16 ? url.len : 16, "://", 3);
    size_t at = host ? (size_t)(host - url.data) + 3 : 0;
    size_t path_at = at;
    while (host && path_at < url.len && url.data[path_at] != '/' && url.data[path_at] != '?')
        path_at++;
    struct text rest = {url.data + path_at, url.len - path_at};
    const char *mark = memchr(rest.data, '?', rest.len);
    size_t path_len = mark ? (size_t)(mark - rest.data) : rest.len;
    seen.path = (struct text){rest.data, path_len};
    buf_append_string(&seen.url, "https://");
    if (host)
        buf_append(&seen.url, url.data + at, path_at - at);
    else
        buf_append_text(&seen.url, sim_request_header(request, "Host"));
    if (seen.path.len == 0)
        seen.path = TEXT_LITERAL("/");
    buf_append_text(&seen.url, seen.path);
    if (mark)
        read_form(&seen, (struct text){mark + 1, rest.len - path_len - 1}, SIM_QUERY);
    read_body(&seen);
    if (buf_error(&seen.texts) != 0 || buf_error(&seen.url) != 0)
        seen.problem = "the request is too large";
    return seen;
}

void sim_seen_free(struct sim_seen *seen)
{
    buf_free(&seen->url);
    buf_free(&seen->texts);
}

/* ---- the client --------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool decode_base64(struct text text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    while (text.len > 0 && text.data[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6) | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_append_byte(out, (uint8_t)(bits >> count));
        }
    }
    return buf_error(out) == 0;
}

static bool basic_of(const struct sim_seen *seen, struct buf *out)
{
    struct text header = sim_request_header(seen->request, "Authorization");
    return header.len > 6 && strncasecmp(header.data, "Basic ", 6) == 0 &&
           decode_base64((struct text){header.data + 6, header.len - 6}, out);
}

bool sim_seen_basic(const struct sim_seen *seen, bool is_form, struct buf *out_user,
                    struct buf *out_password)
{
    struct buf plain = buf_make_secret(BASIC_MAX);
    bool is_there = basic_of(seen, &plain);
    const char *colon = is_there && plain.len > 0 ? memchr(plain.data, ':', plain.len) : NULL;
    if (colon) {
        size_t user_len = (size_t)(colon - (const char *)plain.data);
        struct text user = {(const char *)plain.data, user_len};
        struct text password = {colon + 1, plain.len - user_len - 1};
        void (*append)(struct text, struct buf *) = decode;
        if (!is_form) {
            buf_append_text(out_user, user);
            buf_append_text(out_password, password);
        } else {
            append(user, out_user);
            append(password, out_password);
        }
    }
    buf_free(&plain);
    return colon != NULL;
}

static bool has(struct text text, struct text part)
{
    return text.len >= part.len && part.len > 0 && memmem(text.data, text.len, part.data, part.len);
}

bool sim_seen_has(const struct sim_seen *seen, struct text text)
{
    struct buf other = buf_make_secret(BASIC_MAX);
    bool is_there = has(seen->request->headers, text) || has(seen->request->body, text) ||
                    has(seen->request->url, text) || has(buf_text(&seen->texts), text);
    buf_append_percent(&other, text);
    is_there = is_there || has(seen->request->url, buf_text(&other));
    buf_clear(&other);
    is_there = is_there || (basic_of(seen, &other) && has(buf_text(&other), text));
    buf_free(&other);
    return is_there;
}
