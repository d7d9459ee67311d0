#include "http/open_header.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How the message is framed and for how long it holds, what a browser may do with it, who made it. No name
 * under which a provider hands out anything: no cookie, no Location, no ETag, no authentication.
 * In order, whatever the case. */
static const struct text names[] = {
#define NAME(s)         \
    {                   \
        s, sizeof s - 1 \
    }
    NAME("Accept-Ranges"),
    NAME("Access-Control-Allow-Credentials"),
    NAME("Access-Control-Allow-Headers"),
    NAME("Access-Control-Allow-Methods"),
    NAME("Access-Control-Allow-Origin"),
    NAME("Access-Control-Expose-Headers"),
    NAME("Access-Control-Max-Age"),
    NAME("Age"),
    NAME("Allow"),
    NAME("Alt-Svc"),
    NAME("Cache-Control"),
    NAME("CF-Cache-Status"),
    NAME("CF-RAY"),
    NAME("Connection"),
    NAME("Content-Encoding"),
    NAME("Content-Language"),
    NAME("Content-Length"),
    NAME("Content-Security-Policy"),
    NAME("Content-Type"),
    NAME("Cross-Origin-Embedder-Policy"),
    NAME("Cross-Origin-Opener-Policy"),
    NAME("Cross-Origin-Resource-Policy"),
    NAME("Date"),
    NAME("Expires"),
    NAME("Keep-Alive"),
    NAME("Last-Modified"),
    NAME("NEL"),
    NAME("P3P"),
    NAME("Permissions-Policy"),
    NAME("Pragma"),
    NAME("RateLimit-Limit"),
    NAME("RateLimit-Remaining"),
    NAME("RateLimit-Reset"),
    NAME("Referrer-Policy"),
    NAME("Report-To"),
    NAME("Reporting-Endpoints"),
    NAME("Retry-After"),
    NAME("Server"),
    NAME("Server-Timing"),
    NAME("Strict-Transport-Security"),
    NAME("Transfer-Encoding"),
    NAME("Vary"),
    NAME("Via"),
    NAME("X-Content-Type-Options"),
    NAME("X-DNS-Prefetch-Control"),
    NAME("X-Download-Options"),
    NAME("X-Frame-Options"),
    NAME("X-Permitted-Cross-Domain-Policies"),
    NAME("X-Powered-By"),
    NAME("X-RateLimit-Limit"),
    NAME("X-RateLimit-Remaining"),
    NAME("X-RateLimit-Reset"),
    NAME("X-XSS-Protection"),
#undef NAME
};

int http_header_compare(const void *a, const void *b)
{
    const struct text *one = a, *other = b;
    size_t len = one->len < other->len ? one->len : other->len;
    int order = strncasecmp(one->data, other->data, len);
    return order != 0 ? order : (one->len > other->len) - (one->len < other->len);
}

const struct text *http_open_headers(size_t *out_count)
{
    *out_count = sizeof names / sizeof names[0];
    return names;
}

bool http_header_is_open(struct text line)
{
    const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
    struct text name = {line.data, colon ? (size_t)(colon - line.data) : 0};
    if (name.len == 0)
        return line.len >= 5 && memcmp(line.data, "HTTP/", 5) == 0;
    return bsearch(&name, names, sizeof names / sizeof names[0], sizeof names[0],
                   http_header_compare) != NULL;
}
