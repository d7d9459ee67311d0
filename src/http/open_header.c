#include "http/open_header.h"

#include <string.h>
#include <strings.h>

/* How the message is framed and for how long it holds, what a browser may do with it, who made it. No name
 * under which a provider hands out anything: no cookie, no Location, no ETag, no authentication. */
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

bool http_header_is_open(struct text line)
{
    const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
    size_t len = colon ? (size_t)(colon - line.data) : 0;
    if (len == 0)
        return line.len >= 5 && memcmp(line.data, "HTTP/", 5) == 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].len == len && strncasecmp(names[i].data, line.data, len) == 0)
            return true;
    }
    return false;
}
