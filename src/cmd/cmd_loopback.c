#include "cmd/cmd_loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"

enum {
    LISTENERS = 2, /* `localhost` is both 127.0.0.1 and ::1 */
    PEERS = 16,
    REQUEST_MAX = 16384,
    PEER_LIFE_MS = 15000,
    PATH_MAX_BYTES = 1024,
    ACCEPTS_AT_ONCE = 16
};

struct peer {
    int fd; /* -1: free */
    int64_t until_ms;
    struct buf request;
};

struct cmd_loopback {
    int listeners[LISTENERS];
    char path[PATH_MAX_BYTES];
    struct peer peers[PEERS];
};

/* ---- the address ---------------------------------------------------------------------------------- */

struct place {
    bool is_v4, is_v6;
    uint16_t port;
    struct text path;
};

static bool read_port(struct text authority, uint16_t *out_port)
{
    uint64_t port = 80;
    if (authority.len > 0 &&
        (authority.data[0] != ':' ||
         !text_to_uint((struct text){authority.data + 1, authority.len - 1}, 65535, &port)))
        return false;
    *out_port = (uint16_t)port;
    return port > 0;
}

/* http://HOST[:PORT]/PATH, where HOST is one of the names of this machine alone. */
static bool read_place(const char *uri, struct place *out)
{
    static const struct {
        const char *name;
        bool is_v4, is_v6;
    } hosts[] = {{"127.0.0.1", true, false}, {"[::1]", false, true}, {"localhost", true, true}};
    const char *rest = uri + strlen("http://");
    if (strncasecmp(uri, "http://", strlen("http://")) != 0)
        return false;
    size_t len = strcspn(rest, "/?#");
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t host_len = strlen(hosts[i].name);
        if (len < host_len || strncasecmp(rest, hosts[i].name, host_len) != 0)
            continue;
        size_t path_len = strcspn(rest + len, "?#");
        struct place place = {.is_v4 = hosts[i].is_v4,
                              .is_v6 = hosts[i].is_v6,
                              .path = path_len > 0 ? (struct text){rest + len, path_len}
                                                   : TEXT_LITERAL("/")};
        if (!read_port((struct text){rest + host_len, len - host_len}, &place.port))
            return false;
        *out = place;
        return true;
    }
    return false;
}

bool cmd_loopback_fits(const char *uri)
{
    struct place place;
    return read_place(uri, &place);
}

static int listen_on(const struct sockaddr *address, socklen_t len)
{
    const int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, len) == 0 && listen(fd, PEERS) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void listen_for(struct cmd_loopback *self, const struct place *place)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons(place->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(place->port),
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (place->is_v6)
        self->listeners[1] = listen_on((struct sockaddr *)&v6, sizeof v6);
    if (place->is_v4)
        self->listeners[0] = listen_on((struct sockaddr *)&v4, sizeof v4);
}

struct cmd_loopback *cmd_loopback_open(const char *uri, struct buf *error)
{
    struct place place;
    struct cmd_loopback *self = calloc(1, sizeof *self);
    if (!self || !read_place(uri, &place) || place.path.len >= sizeof self->path) {
        buf_append_string(error, "not an http:// address of this machine");
        free(self);
        return NULL;
    }
    for (size_t i = 0; i < LISTENERS; i++)
        self->listeners[i] = -1;
    for (size_t i = 0; i < PEERS; i++)
        self->peers[i].fd = -1;
    memcpy(self->path, place.path.data, place.path.len);
    listen_for(self, &place);
    /* Where a name means both, a browser may try either; the one that is asked first must be ours. */
    if (self->listeners[0] < 0 && (place.is_v4 || self->listeners[1] < 0)) {
        buf_printf(error, "cannot listen on port %u: %s", place.port, strerror(errno));
        cmd_loopback_close(self);
        return NULL;
    }
    return self;
}

/* ---- queries -------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void decode(struct text text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        if (text.data[i] == '%' && low >= 0) {
            buf_append_byte(out, (uint8_t)(high << 4 | low));
            i += 2;
        } else {
            buf_append_byte(out, text.data[i] == '+' ? ' ' : (uint8_t)text.data[i]);
        }
    }
}

bool cmd_query_item(struct text query, size_t index, struct buf *out_name, struct buf *out_value)
{
    for (size_t at = 0; at < query.len;) {
        const char *end = memchr(query.data + at, '&', query.len - at);
        size_t len = end ? (size_t)(end - query.data) - at : query.len - at;
        if (index-- == 0) {
            const char *equals = memchr(query.data + at, '=', len);
            size_t name_len = equals ? (size_t)(equals - query.data) - at : len;
            size_t skip = name_len + (equals != NULL);
            decode((struct text){query.data + at, name_len}, out_name);
            decode((struct text){query.data + at + skip, len - skip}, out_value);
            return buf_error(out_name) == 0 && buf_error(out_value) == 0;
        }
        at += len + 1;
    }
    return false;
}

bool cmd_query_get(struct text query, const char *name, struct buf *out_value)
{
    size_t found = 0;
    for (size_t i = 0; found < 2; i++) {
        struct buf item_name = buf_make(REQUEST_MAX), value = buf_make_secret(REQUEST_MAX);
        bool is_there = cmd_query_item(query, i, &item_name, &value);
        if (is_there && text_is(buf_text(&item_name), name) && found++ == 0)
            buf_append_text(out_value, buf_text(&value));
        buf_free(&item_name);
        buf_free(&value);
        if (!is_there)
            break;
    }
    return found == 1 && buf_error(out_value) == 0;
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    buf_free(&peer->request);
    peer->fd = -1;
}

/* Short enough for the socket's buffer: what a browser does not take is of no use to it. */
static void answer(struct peer *peer, const char *status, const char *line)
{
    char page[1024];
    char body[512];
    int body_len = snprintf(body, sizeof body,
                            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
                            "<title>bursar</title>\n<p>%s</p></html>\n",
                            line);
    int len = snprintf(page, sizeof page,
                       "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\n"
                       "Content-Length: %d\r\nConnection: close\r\nCache-Control: no-store\r\n"
                       "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
                       "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
                       "\r\n%s",
                       status, body_len, body);
    if (send(peer->fd, page, (size_t)len, MSG_NOSIGNAL) == len)
        shutdown(peer->fd, SHUT_WR);
    hang_up(peer);
}

/* `GET /path?query HTTP/1.1`, the first line of a whole request. */
static bool read_target(struct text request, struct text *out_path, struct text *out_query)
{
    static const char method[] = "GET ";
    const char *line_end = memchr(request.data, '\r', request.len);
    size_t len = line_end ? (size_t)(line_end - request.data) : 0;
    size_t head = strlen(method);
    if (len <= head || memcmp(request.data, method, head) != 0)
        return false;
    const char *target = request.data + head;
    const char *space = memchr(target, ' ', len - head);
    if (!space || strncmp(space, " HTTP/1.", strlen(" HTTP/1.")) != 0)
        return false;
    struct text whole = {target, (size_t)(space - target)};
    const char *mark = memchr(whole.data, '?', whole.len);
    size_t path_len = mark ? (size_t)(mark - whole.data) : whole.len;
    *out_path = (struct text){whole.data, path_len};
    *out_query = mark ? (struct text){mark + 1, whole.len - path_len - 1}
                      : (struct text){whole.data + path_len, 0};
    return true;
}

static bool is_state(struct text query, struct text state)
{
    struct buf given = buf_make_secret(REQUEST_MAX);
    bool is_same = cmd_query_get(query, "state", &given) && secret_equal(buf_text(&given), state);
    buf_free(&given);
    return is_same;
}

/* Answers a whole request; true where it is the callback. */
static bool serve(struct cmd_loopback *self, struct peer *peer, struct text state,
                  struct buf *out_query)
{
    struct text path, query;
    if (!read_target(buf_text(&peer->request), &path, &query)) {
        answer(peer, "400 Bad Request", "This is not a request that is served here.");
        return false;
    }
    if (!text_is(path, self->path)) {
        answer(peer, "404 Not Found", "There is nothing here.");
        return false;
    }
    if (!is_state(query, state)) {
        answer(peer, "400 Bad Request", "This is not the answer that is waited for.");
        return false;
    }
    buf_append_text(out_query, query);
    answer(peer, "200 OK", "bursar has the provider's answer. You can close this window.");
    return buf_error(out_query) == 0;
}

/* ---- the loop ------------------------------------------------------------------------------------- */

static void accept_peers(struct cmd_loopback *self, int listener)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct peer *place = &self->peers[0];
        for (size_t j = 0; j < PEERS && place->fd >= 0; j++) {
            /* A free place, or else that of whoever has been here longest. */
            if (self->peers[j].fd < 0 || self->peers[j].until_ms < place->until_ms)
                place = &self->peers[j];
        }
        hang_up(place);
        *place = (struct peer){fd, clock_boot_ms() + PEER_LIFE_MS, buf_make_secret(REQUEST_MAX)};
    }
}

/* True where a whole request is there; a peer that is gone or says too much is hung up on. */
static bool read_peer(struct peer *peer)
{
    char piece[4096];
    ssize_t n = recv(peer->fd, piece, sizeof piece, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0)
        buf_append(&peer->request, piece, (size_t)n);
    secret_wipe(piece, sizeof piece);
    if (n <= 0 || buf_error(&peer->request) != 0) {
        hang_up(peer);
        return false;
    }
    return memmem(peer->request.data, peer->request.len, "\r\n\r\n", 4) != NULL;
}

static int64_t next_end(const struct cmd_loopback *self, int64_t until_ms)
{
    for (size_t i = 0; i < PEERS; i++) {
        if (self->peers[i].fd >= 0 && self->peers[i].until_ms < until_ms)
            until_ms = self->peers[i].until_ms;
    }
    return until_ms;
}

static void wait_for_any(struct cmd_loopback *self, struct pollfd *fds, int64_t until_ms)
{
    int64_t left_ms = next_end(self, until_ms) - clock_boot_ms();
    for (size_t i = 0; i < LISTENERS; i++)
        fds[i] = (struct pollfd){self->listeners[i], POLLIN, 0};
    for (size_t i = 0; i < PEERS; i++)
        fds[LISTENERS + i] = (struct pollfd){self->peers[i].fd, POLLIN, 0};
    if (poll(fds, LISTENERS + PEERS, left_ms > 0 ? (int)left_ms : 0) < 0) {
        for (size_t i = 0; i < LISTENERS + PEERS; i++)
            fds[i].revents = 0;
    }
}

bool cmd_loopback_wait(struct cmd_loopback *self, struct text state, int64_t until_ms,
                       struct buf *out_query)
{
    struct pollfd fds[LISTENERS + PEERS];
    while (clock_boot_ms() < until_ms) {
        wait_for_any(self, fds, until_ms);
        int64_t now_ms = clock_boot_ms();
        for (size_t i = 0; i < PEERS; i++) {
            struct peer *peer = &self->peers[i];
            bool is_whole = peer->fd >= 0 && fds[LISTENERS + i].revents && read_peer(peer);
            if (is_whole && serve(self, peer, state, out_query))
                return true;
            if (peer->fd >= 0 && now_ms >= peer->until_ms)
                hang_up(peer);
        }
        for (size_t i = 0; i < LISTENERS; i++) {
            if (fds[i].revents)
                accept_peers(self, self->listeners[i]);
        }
    }
    return false;
}

void cmd_loopback_close(struct cmd_loopback *self)
{
    if (!self)
        return;
    for (size_t i = 0; i < LISTENERS; i++) {
        if (self->listeners[i] >= 0)
            close(self->listeners[i]);
    }
    for (size_t i = 0; i < PEERS; i++)
        hang_up(&self->peers[i]);
    free(self);
}
