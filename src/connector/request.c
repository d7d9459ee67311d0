#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "base/header.h"
#include "connector/host.h"

enum { HEADER_MAX = 65536 };

static void add_header(struct call_request *request, const char *name, struct text value)
{
    if (!header_is_line(text_of(name), value))
        request->headers.error = BURSAR_E_BAD_REQUEST;
    buf_append_string(&request->headers, name);
    buf_append_string(&request->headers, ": ");
    buf_append_text(&request->headers, value);
    buf_append_byte(&request->headers, 0);
}

/* RFC 6749 section 2.3.1: both parts are form-encoded before they are joined; RFC 7617 does not. */
static void add_basic(struct call_request *request, struct text user, struct text password,
                      bool is_form_encoded)
{
    struct buf plain = buf_make_secret(HEADER_MAX);
    void (*append)(struct buf *, struct text) = is_form_encoded ? buf_append_form : buf_append_text;
    append(&plain, user);
    buf_append_byte(&plain, ':');
    append(&plain, password);
    buf_append_string(&request->headers, "Authorization: Basic ");
    base64_append(&request->headers, buf_text(&plain)); /* of which any is a line */
    buf_append_byte(&request->headers, 0);
    if (buf_error(&plain) != 0)
        request->headers.error = BURSAR_E_TOO_BIG;
    buf_free(&plain);
}

static void add_pair(struct buf *to, struct text name, struct text value)
{
    buf_append_form(to, name);
    buf_append_byte(to, '=');
    buf_append_form(to, value);
}

static void add_form(struct call_request *request, struct text name, struct text value)
{
    if (request->body.len > 0)
        buf_append_byte(&request->body, '&');
    add_pair(&request->body, name, value);
    if (!request->has_body)
        add_header(request, "Content-Type", TEXT_LITERAL("application/x-www-form-urlencoded"));
    request->has_body = true;
}

static void set_text(struct buf *buf, struct text value)
{
    buf_clear(buf);
    buf_append_text(buf, value);
    buf_append_byte(buf, 0);
    buf_truncate(buf, value.len); /* a C string behind its length */
}

/* What stands behind `#` waits until the parameters are there. */
static void set_url(struct host *host, struct text value)
{
    const char *mark = memchr(value.data, '#', value.len);
    size_t len = mark ? (size_t)(mark - value.data) : value.len;
    buf_clear(&host->fragment);
    buf_append_text(&host->fragment, (struct text){value.data + len, value.len - len});
    set_text(&host->request->url, (struct text){value.data, len});
}

/* The URL comes first, as every module emits it. */
static void add_query(struct call_request *request, struct text name, struct text value)
{
    bool has_query = memchr(request->url.data, '?', request->url.len) != NULL;
    bool is_open = request->url.len > 0 && strchr("?&", request->url.data[request->url.len - 1]);
    if (!is_open)
        buf_append_byte(&request->url, has_query ? '&' : '?');
    add_pair(&request->url, name, value);
}

static void add_json(struct host *host, struct text name, struct text value)
{
    buf_append_byte(&host->json, host->json.len == 0 ? '{' : ',');
    buf_append_json(&host->json, name);
    buf_append_byte(&host->json, ':');
    buf_append_json(&host->json, value);
}

static void set_method(struct host *host, struct text value)
{
    bool is_word = value.len > 0 && value.len < sizeof host->request->method;
    for (size_t i = 0; i < value.len; i++)
        is_word = is_word && value.data[i] >= 'A' && value.data[i] <= 'Z';
    if (!is_word) {
        host->error = BURSAR_E_BAD_REQUEST;
        return;
    }
    memcpy(host->request->method, value.data, value.len);
    host->request->method[value.len] = 0;
}

static void set_sigv4(struct call_request *request, const char *scope, struct text user)
{
    buf_clear(&request->sigv4);
    buf_printf(&request->sigv4, "aws:amz:%s", scope);
    set_text(&request->sigv4_user, user);
}

/* A value that the module has worked out and that {placeholders} of the same request stand for. */
static void add_local(struct host *host, const char *name, struct text value)
{
    if (!host->locals) {
        host->locals = malloc(sizeof *host->locals);
        if (!host->locals) {
            host->error = BURSAR_E_NOMEM;
            return;
        }
        *host->locals = call_values_make();
    }
    if (!call_values_set(host->locals, name, value))
        host->error = BURSAR_E_TOO_BIG;
}

void host_emit_request(const struct bursar_call *call, enum bursar_emit part, const char *name,
                       const char *value, size_t value_len)
{
    struct host *host = call->host;
    struct call_request *request = host->request;
    struct text text = {value ? value : "", value ? value_len : 0};
    if (!name)
        name = "";
    switch (part) {
    case BURSAR_REQ_METHOD: set_method(host, text); break;
    case BURSAR_REQ_URL: set_url(host, text); break;
    case BURSAR_REQ_HEADER: add_header(request, name, text); break;
    case BURSAR_REQ_QUERY: add_query(request, text_of(name), text); break;
    case BURSAR_REQ_FORM: add_form(request, text_of(name), text); break;
    case BURSAR_REQ_JSON: add_json(host, text_of(name), text); break;
    case BURSAR_REQ_BASIC: add_basic(request, text_of(name), text, true); break;
    case BURSAR_REQ_BASIC_RAW: add_basic(request, text_of(name), text, false); break;
    case BURSAR_REQ_BODY:
        set_text(&request->body, text);
        request->has_body = true;
        break;
    case BURSAR_REQ_TLS:
        set_text(&request->tls_certificate, text_of(name));
        set_text(&request->tls_key, text);
        break;
    case BURSAR_REQ_SIGV4: set_sigv4(request, name, text); break;
    case BURSAR_OUT_CAPTURE: add_local(host, name, text); break;
    default: host->error = BURSAR_E_INTERNAL; /* a part of an outcome has no place in a request */
    }
}

int host_finish_request(struct host *host)
{
    struct call_request *request = host->request;
    if (host->json.len > 0) {
        buf_append_byte(&host->json, '}');
        if (request->has_body || buf_error(&host->json) != 0)
            return BURSAR_E_INTERNAL; /* two bodies */
        buf_append_text(&request->body, buf_text(&host->json));
        add_header(request, "Content-Type", TEXT_LITERAL("application/json"));
        request->has_body = true;
    }
    if (host->fragment.len > 0)
        buf_append_text(&request->url, buf_text(&host->fragment));
    if (request->headers.error == BURSAR_E_BAD_REQUEST)
        return BURSAR_E_BAD_REQUEST;
    if (buf_error(&host->fragment) || buf_error(&request->url) || buf_error(&request->headers) ||
        buf_error(&request->body) || buf_error(&request->tls_certificate) ||
        buf_error(&request->tls_key) || buf_error(&request->sigv4) ||
        buf_error(&request->sigv4_user) || request->url.len == 0)
        return BURSAR_E_INTERNAL;
    if (request->method[0] == 0)
        strcpy(request->method, request->has_body ? "POST" : "GET");
    /* Servers ask for a length where a method means a body (RFC 9110 section 8.6). */
    if (!request->has_body &&
        (strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0 ||
         strcmp(request->method, "PATCH") == 0))
        add_header(request, "Content-Length", TEXT_LITERAL("0"));
    return buf_error(&request->headers) == 0 ? 0 : BURSAR_E_INTERNAL;
}
