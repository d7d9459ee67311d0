#include "connector/call.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "base/secret.h"

enum { URL_MAX = 16384, BODY_MAX = 262144, HEADERS_MAX = 65536, VALUES_MAX = 1 << 20 };

/* What stands behind the `host` pointer of a call. */
struct host {
    const struct connector *connector;
    const struct call_credential *credential;
    struct call_request *request;
    struct call_outcome *outcome;
    int error;
};

/* ---- what a module asks ------------------------------------------------------------------------ */

static struct bursar_text give(struct text text)
{
    return (struct bursar_text){text.data, text.len};
}

static struct bursar_text get_setting(const struct bursar_call *call, const char *name)
{
    const struct host *host = call->host;
    return give(settings_text(host->connector->settings, name));
}

static bool get_setting_item(const struct bursar_call *call, const char *name, size_t index,
                             struct bursar_text *out_name, struct bursar_text *out_value)
{
    const struct host *host = call->host;
    const struct setting *setting = settings_find(host->connector->settings, name);
    if (!setting || index >= setting->item_count)
        return false;
    *out_name = give(text_of(setting->items[index].name));
    *out_value = give(text_of(setting->items[index].value));
    return true;
}

static struct bursar_text get_secret(const struct bursar_call *call, const char *name)
{
    const struct host *host = call->host;
    struct text part = doc_part(host->credential->grant, name);
    return give(part.data ? part : doc_part(host->credential->secret, name));
}

/* ---- what a module gives: requests -------------------------------------------------------------- */

static void add_header(struct call_request *request, const char *name, struct text value)
{
    bool is_split = memchr(value.data, '\n', value.len) || memchr(value.data, '\r', value.len) ||
                    memchr(value.data, 0, value.len) || strpbrk(name, "\r\n");
    if (is_split)
        request->headers.error = BURSAR_E_BAD_REQUEST;
    buf_append_string(&request->headers, name);
    buf_append_string(&request->headers, ": ");
    buf_append_text(&request->headers, value);
    buf_append_byte(&request->headers, 0);
}

/* RFC 6749 section 2.3.1: both parts are form-encoded before they are joined. */
static void add_basic(struct call_request *request, const char *user, struct text password)
{
    struct buf plain = buf_make_secret(HEADERS_MAX);
    struct buf value = buf_make_secret(HEADERS_MAX);
    buf_append_form(&plain, text_of(user));
    buf_append_byte(&plain, ':');
    buf_append_form(&plain, password);
    buf_append_string(&value, "Basic ");
    base64_append(&value, buf_text(&plain));
    add_header(request, "Authorization", buf_text(&value));
    buf_free(&plain);
    buf_free(&value);
}

static void add_form(struct call_request *request, const char *name, struct text value)
{
    if (request->body.len > 0)
        buf_append_byte(&request->body, '&');
    buf_append_form(&request->body, text_of(name));
    buf_append_byte(&request->body, '=');
    buf_append_form(&request->body, value);
    if (!request->has_body)
        add_header(request, "Content-Type", TEXT_LITERAL("application/x-www-form-urlencoded"));
    request->has_body = true;
}

static void set_text(struct buf *buf, struct text value)
{
    buf_clear(buf);
    buf_append_text(buf, value);
}

static void emit_request(const struct bursar_call *call, enum bursar_emit part, const char *name,
                         const char *value, size_t value_len)
{
    struct host *host = call->host;
    struct call_request *request = host->request;
    struct text text = {value ? value : "", value_len};
    switch (part) {
    case BURSAR_REQ_METHOD:
        snprintf(request->method, sizeof request->method, "%.*s", (int)text.len, text.data);
        break;
    case BURSAR_REQ_URL: set_text(&request->url, text); break;
    case BURSAR_REQ_HEADER: add_header(request, name, text); break;
    case BURSAR_REQ_FORM: add_form(request, name, text); break;
    case BURSAR_REQ_BASIC: add_basic(request, name, text); break;
    case BURSAR_REQ_BODY:
        set_text(&request->body, text);
        request->has_body = true;
        break;
    default: host->error = BURSAR_E_INTERNAL; /* a part of an outcome has no place in a request */
    }
}

/* ---- what a module gives: outcomes --------------------------------------------------------------- */

static bool is_repeatable(enum bursar_emit part)
{
    return part == BURSAR_OUT_FIELD;
}

static void emit_outcome(const struct bursar_call *call, enum bursar_emit part, const char *name,
                         const char *value, size_t value_len)
{
    struct host *host = call->host;
    struct call_outcome *outcome = host->outcome;
    struct call_part *to = NULL;
    for (size_t i = 0; i < outcome->part_count && !is_repeatable(part); i++) {
        if (outcome->parts[i].part == part)
            to = &outcome->parts[i];
    }
    if (!to && outcome->part_count == CALL_PARTS_MAX) {
        host->error = BURSAR_E_TOO_BIG;
        return;
    }
    if (!to)
        to = &outcome->parts[outcome->part_count++];
    *to = (struct call_part){.part = part, .at = outcome->values.len, .len = value_len};
    snprintf(to->name, sizeof to->name, "%s", name ? name : "");
    buf_append(&outcome->values, value, value_len);
}

struct text call_outcome_part(const struct call_outcome *outcome, enum bursar_emit part)
{
    for (size_t i = 0; i < outcome->part_count; i++) {
        const struct call_part *found = &outcome->parts[i];
        if (found->part == part)
            return (struct text){(const char *)outcome->values.data + found->at, found->len};
    }
    return (struct text){NULL, 0};
}

void call_outcome_free(struct call_outcome *outcome)
{
    buf_free(&outcome->values);
    outcome->part_count = 0;
}

/* ---- replies -------------------------------------------------------------------------------------- */

struct text call_reply_header(const struct call_reply *reply, const char *name)
{
    size_t name_len = strlen(name);
    const char *line = reply->headers.data;
    const char *end = line ? line + reply->headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        return text_of(line + name_len + 1 + strspn(line + name_len + 1, " \t"));
    }
    return (struct text){NULL, 0};
}

static struct bursar_text get_header(const struct bursar_response *response, const char *name)
{
    return give(call_reply_header(response->host, name));
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static struct bursar_call call_of(struct host *host, int64_t now)
{
    return (struct bursar_call){.now = now,
                                .setting = get_setting,
                                .setting_item = get_setting_item,
                                .secret = get_secret,
                                .emit = host->request ? emit_request : emit_outcome,
                                .host = host};
}

void call_request_free(struct call_request *request)
{
    buf_free(&request->url);
    buf_free(&request->headers);
    buf_free(&request->body);
}

static int build(int (*function)(const struct bursar_call *), const struct connector *connector,
                 const struct call_credential *credential, int64_t now,
                 struct call_request *out_request)
{
    if (!function)
        return BURSAR_E_UNSUPPORTED_OP;
    struct call_request request = {.url = buf_make_secret(URL_MAX),
                                   .headers = buf_make_secret(HEADERS_MAX),
                                   .body = buf_make_secret(BODY_MAX)};
    struct host host = {.connector = connector, .credential = credential, .request = &request};
    struct bursar_call call = call_of(&host, now);
    int result = function(&call);
    if (result == 0)
        result = host.error;
    if (result == 0 && (buf_error(&request.url) || buf_error(&request.headers) ||
                        buf_error(&request.body) || request.url.len == 0))
        result = BURSAR_E_INTERNAL;
    if (result != 0) {
        call_request_free(&request);
        return result;
    }
    if (request.method[0] == 0)
        snprintf(request.method, sizeof request.method, "%s", request.has_body ? "POST" : "GET");
    *out_request = request;
    return 0;
}

int call_build_refresh(const struct connector *connector, const struct call_credential *credential,
                       int64_t now, struct call_request *out_request)
{
    return build(connector->module->build_refresh, connector, credential, now, out_request);
}

int call_build_revoke(const struct connector *connector, const struct call_credential *credential,
                      int64_t now, struct call_request *out_request)
{
    return build(connector->module->build_revoke, connector, credential, now, out_request);
}

int call_read_refresh(const struct connector *connector, const struct call_credential *credential,
                      int64_t now, const struct call_reply *reply, struct call_outcome *out_outcome)
{
    if (!connector->module->read_refresh)
        return BURSAR_E_UNSUPPORTED_OP; /* the provider's kind was changed meanwhile */
    static const enum reply_shape shapes[] = {[BURSAR_READ_SECRET] = REPLY_SECRET,
                                              [BURSAR_READ_ERROR] = REPLY_ERROR,
                                              [BURSAR_READ_MALFORMED] = REPLY_MALFORMED};
    struct call_outcome outcome = {.values = buf_make_secret(VALUES_MAX)};
    struct host host = {.connector = connector, .credential = credential, .outcome = &outcome};
    struct bursar_call call = call_of(&host, now);
    struct bursar_response response = {.status = reply->status,
                                       .content_type =
                                           give(call_reply_header(reply, "Content-Type")),
                                       .body = give(reply->body),
                                       .header = get_header,
                                       .host = (void *)(uintptr_t)reply};
    enum bursar_read read = connector->module->read_refresh(&call, &response);
    if (buf_error(&outcome.values) == BURSAR_E_NOMEM) {
        call_outcome_free(&outcome);
        return BURSAR_E_NOMEM;
    }
    bool is_sound = host.error == 0 && buf_error(&outcome.values) == 0 &&
                    read <= BURSAR_READ_MALFORMED &&
                    (read != BURSAR_READ_SECRET ||
                     call_outcome_part(&outcome, BURSAR_OUT_ACCESS_TOKEN).len > 0);
    outcome.shape = is_sound ? shapes[read] : REPLY_MALFORMED;
    *out_outcome = outcome;
    return 0;
}

int call_seed(const struct connector *connector, int64_t now, struct call_outcome *out_outcome)
{
    static const struct call_credential none = {NULL, NULL};
    struct call_outcome outcome = {.values = buf_make_secret(VALUES_MAX)};
    struct host host = {.connector = connector, .credential = &none, .outcome = &outcome};
    struct bursar_call call = call_of(&host, now);
    int result = connector->module->seed ? connector->module->seed(&call) : BURSAR_E_CONFIG;
    if (result == 0)
        result = host.error != 0 ? host.error : buf_error(&outcome.values);
    if (result < 0) {
        call_outcome_free(&outcome);
        return result;
    }
    *out_outcome = outcome;
    return 0;
}
