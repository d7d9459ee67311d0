#include "http/request.h"

#include <string.h>

/* As the settings have it: no {placeholder} was filled in, no parameter was added. */
static bool is_of_settings(const struct connector *connector, struct text url)
{
    static const char *const names[] = {"refresh_url", "token_url"};
    bool is_found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct setting *setting = settings_find(connector->settings, names[i]);
        is_found = is_found || (setting && setting->option->type != BURSAR_OPTION_SECRET &&
                                text_equal(setting_text(setting), url));
    }
    return is_found;
}

struct http_request http_request_of(struct call_request *made, const struct connector *connector,
                                    long timeout_ms)
{
    struct http_request request = {
        .url = made->url,
        .headers = made->headers,
        .body = made->body,
        .tls_certificate = made->tls_certificate,
        .tls_key = made->tls_key,
        .sigv4 = made->sigv4,
        .sigv4_user = made->sigv4_user,
        .has_body = made->has_body,
        .is_url_open = is_of_settings(connector, buf_text(&made->url)),
        .timeout_ms = timeout_ms > 0 ? timeout_ms : connector->timeout_ms,
        .connect_timeout_ms = timeout_ms > 0 ? timeout_ms : connector->connect_timeout_ms};
    memcpy(request.method, made->method, sizeof request.method);
    return request;
}
