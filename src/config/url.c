#include "config/url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { MAX_URL = 2048, MAX_HOST = 253 };

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Characters that RFC 3986 lets stand in a URL at all; the rest must be percent-encoded. */
static bool has_only_url_characters(struct text url)
{
    for (size_t i = 0; i < url.len; i++) {
        char c = url.data[i];
        if (!is_letter(c) && !is_digit(c) && (c == 0 || !strchr("-._~:/?#[]@!$&'()*+,;=%", c)))
            return false;
    }
    return true;
}

static struct text after(struct text text, size_t len)
{
    return (struct text){text.data + len, text.len - len};
}

static bool take_prefix(struct text *url, const char *prefix)
{
    size_t len = strlen(prefix);
    if (url->len < len || strncasecmp(url->data, prefix, len) != 0)
        return false;
    *url = after(*url, len);
    return true;
}

static size_t span_until(struct text text, const char *stops)
{
    size_t n = 0;
    while (n < text.len && !strchr(stops, text.data[n]))
        n++;
    return n;
}

static bool is_port(struct text port)
{
    uint64_t number = 0;
    return text_to_uint(port, 65535, &number) && number > 0;
}

/* Splits `host`, `host:port` and `[address]:port`; false where the port is none. */
static bool split_host(struct text authority, struct text *out_host)
{
    size_t host_len = span_until(authority, ":");
    if (authority.len > 0 && authority.data[0] == '[') {
        host_len = span_until(authority, "]");
        if (host_len == authority.len)
            return false;
        host_len++;
    }
    struct text port = after(authority, host_len);
    *out_host = (struct text){authority.data, host_len};
    return port.len == 0 || (port.data[0] == ':' && is_port(after(port, 1)));
}

static bool copy_text(struct text text, char out[static INET6_ADDRSTRLEN])
{
    if (text.len >= INET6_ADDRSTRLEN)
        return false;
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return true;
}

static bool to_ipv6(struct text host, struct in6_addr *out_address)
{
    char text[INET6_ADDRSTRLEN];
    return host.len > 2 && host.data[0] == '[' &&
           copy_text((struct text){host.data + 1, host.len - 2}, text) &&
           inet_pton(AF_INET6, text, out_address) == 1;
}

static bool is_host(struct text host)
{
    struct in6_addr address;
    if (host.len == 0 || host.len > MAX_HOST)
        return false;
    if (host.data[0] == '[')
        return to_ipv6(host, &address);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_')
            return false;
    }
    return host.data[0] != '.';
}

static bool is_loopback(struct text host)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr address;
    struct in6_addr address6;
    if (to_ipv6(host, &address6))
        return IN6_IS_ADDR_LOOPBACK(&address6);
    if (!copy_text(host, text))
        return false;
    return strcasecmp(text, "localhost") == 0 ||
           (inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

const char *url_problem(struct text url, bool allow_http_loopback)
{
    if (url.len > MAX_URL)
        return "must be a URL of at most 2048 bytes";
    if (!has_only_url_characters(url))
        return "has characters that a URL cannot have: percent-encode them";
    struct text rest = url;
    bool is_http = false;
    if (!take_prefix(&rest, "https://")) {
        is_http = take_prefix(&rest, "http://");
        if (!is_http)
            return "must be an absolute URL that begins with https://";
    }
    struct text authority = {rest.data, span_until(rest, "/?#")};
    struct text host = {NULL, 0};
    if (memchr(authority.data, '@', authority.len))
        return "must not have a user or password in the URL";
    if (memchr(rest.data, '#', rest.len))
        return "must not have a fragment (#…)";
    if (!split_host(authority, &host) || !is_host(host))
        return "has no valid host and port";
    if (is_http && !allow_http_loopback)
        return "must be https (http on loopback only with connectors.allow_http_loopback)";
    if (is_http && !is_loopback(host))
        return "must be https: http is for loopback addresses alone";
    return NULL;
}
