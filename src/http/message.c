#include <string.h>
#include <strings.h>

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
    size_t name_len = strlen(name);
    const char *line = (const char *)reply->headers.data;
    const char *end = line ? line + reply->headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        value += strspn(value, " \t");
        return text_of(value);
    }
    return (struct text){NULL, 0};
}
