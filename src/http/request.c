#include "http/request.h"

#include <string.h>

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
        .timeout_ms = timeout_ms > 0 ? timeout_ms : connector->timeout_ms,
        .connect_timeout_ms = timeout_ms > 0 ? timeout_ms : connector->connect_timeout_ms};
    memcpy(request.method, made->method, sizeof request.method);
    return request;
}
