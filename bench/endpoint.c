/* A token endpoint that costs next to nothing: each request gets the same token.
 * Thread: one.
 *
 *     endpoint TOKEN_BYTES [DELAY_MS [hang | busy]]
 *
 * listens on a free loopback port, says "ready PORT", and goes on until it is ended. With a delay it answers one
 * request after the other, each so late; `hang` reads requests and answers none, `busy` answers each with 429. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TOKEN_MAX = 32768,
    REPLY_MAX = TOKEN_MAX + 1024,
    REQUEST_MAX = 65536,
    EVENTS = 256,
    BACKLOG = 1024
};

struct peer {
    int fd;
    size_t len;
    char bytes[REQUEST_MAX + 1];
};

static char reply[REPLY_MAX];
static size_t reply_len;
static struct timespec delay;
static int is_hanging;

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "endpoint: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void make_refusal(void)
{
    static const char body[] = "{\"error\":\"slow_down\"}";
    reply_len =
        (size_t)snprintf(reply, sizeof reply,
                         "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         sizeof body - 1, body);
}

static void make_reply(size_t token_bytes)
{
    static char token[TOKEN_MAX + 1];
    memset(token, 'a', token_bytes);
    char body[REPLY_MAX / 2 * 2];
    int body_len =
        snprintf(body, sizeof body,
                 "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":86400}", token);
    int len =
        snprintf(reply, sizeof reply,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                 body_len);
    memcpy(reply + len, body, (size_t)body_len);
    reply_len = (size_t)(len + body_len);
}

/* Bytes of the first whole request; 0 while it is not there. */
static size_t whole(const struct peer *peer)
{
    const char *end = strstr(peer->bytes, "\r\n\r\n"),
               *length = strcasestr(peer->bytes, "content-length:");
    if (!end)
        return 0;
    size_t len = (size_t)(end + 4 - peer->bytes);
    if (length && length < end)
        len += strtoul(length + strlen("content-length:"), NULL, 10);
    return len <= peer->len ? len : 0;
}

/* false: the peer is gone. */
static int serve(struct peer *peer)
{
    ssize_t got = read(peer->fd, peer->bytes + peer->len, REQUEST_MAX - peer->len);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    peer->len += (size_t)got;
    peer->bytes[peer->len] = 0;
    for (size_t len = whole(peer); len > 0; len = whole(peer)) {
        peer->len -= len;
        memmove(peer->bytes, peer->bytes + len, peer->len + 1);
        if (is_hanging)
            continue;
        if (delay.tv_sec > 0 || delay.tv_nsec > 0)
            nanosleep(&delay, NULL);
        if (write(peer->fd, reply, reply_len) !=
            (ssize_t)reply_len) /* a socket's buffer is larger */
            return 0;
    }
    return 1;
}

static void let_in(int epoll, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer *peer = fd >= 0 ? calloc(1, sizeof *peer) : NULL;
    if (!peer)
        return;
    peer->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        give_up("epoll_ctl");
}

int main(int argc, char **argv)
{
    size_t token_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    long delay_ms = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_len = sizeof address;
    if (token_bytes < 1 || token_bytes > TOKEN_MAX)
        give_up("usage: endpoint TOKEN_BYTES [DELAY_MS [hang | busy]]");
    delay = (struct timespec){delay_ms / 1000, delay_ms % 1000 * 1000000};
    is_hanging = argc > 3 && strcmp(argv[3], "hang") == 0;
    if (argc > 3 && strcmp(argv[3], "busy") == 0)
        make_refusal();
    else
        make_reply(token_bytes);
    int epoll = epoll_create1(EPOLL_CLOEXEC),
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (epoll < 0 || listener < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, BACKLOG) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &address_len) < 0)
        give_up("a socket");
    struct epoll_event first = {.events = EPOLLIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first) < 0)
        give_up("epoll_ctl");
    printf("ready %u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) {
                let_in(epoll, listener);
            } else if (!serve(peer)) {
                close(peer->fd);
                free(peer);
            }
        }
    }
}
