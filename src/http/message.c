#include "base/header.h"
#include "http/engine.h"

void http_request_free(struct http_request *request)
{
    buf_free(&request->url);
    buf_free(&request->headers);
    buf_free(&request->body);
    buf_free(&request->tls_certificate);
    buf_free(&request->tls_key);
    buf_free(&request->sigv4);
    buf_free(&request->sigv4_user);
}

void http_reply_free(struct http_reply *reply)
{
    buf_free(&reply->body);
    buf_free(&reply->headers);
}

struct text http_reply_header(const struct http_reply *reply, const char *name)
{
    return header_find(buf_text(&reply->headers), name);
}
