#include "client/link.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/secret.h"

enum {
    RECONNECT_MS = 20, /* a daemon that starts again is found soon */
    RECONNECT_MAX_MS = 1000,
    MAX_MESSAGE_BYTES = 64 << 20,
    MAX_ENDED = 3, /* handshakes that a daemon which starts or ends may break off */
};

static const int watched = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

static int error_of_errno(void)
{
    if (errno == EINVAL || errno == EPROTONOSUPPORT || errno == ENOCOMPATPROTO)
        return BURSAR_E_BAD_REQUEST;
    return errno == ENOMEM || errno == EMFILE ? BURSAR_E_NOMEM : BURSAR_E_IO;
}

/* Only a ready connection takes jobs, so none is sent to a daemon that comes too late. For a SUB that
 * would put its subscriptions off until it is next read. */
static bool set_options(void *socket, int type)
{
    int is_immediate = type == ZMQ_DEALER;
    static const struct {
        int option, value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
    };
    int64_t max_bytes = MAX_MESSAGE_BYTES;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof(int)) != 0)
            return false;
    }
    return zmq_setsockopt(socket, ZMQ_IMMEDIATE, &is_immediate, sizeof(int)) == 0 &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0;
}

static bool open_monitor(void *context, struct link *link)
{
    char name[64];
    int no_linger = 0;
    snprintf(name, sizeof name, "inproc://bursar-link-%p", link->socket);
    if (zmq_socket_monitor(link->socket, name, watched) != 0)
        return false;
    link->monitor = zmq_socket(context, ZMQ_PAIR);
    return link->monitor &&
           zmq_setsockopt(link->monitor, ZMQ_LINGER, &no_linger, sizeof no_linger) == 0 &&
           zmq_connect(link->monitor, name) == 0;
}

int link_open(void *context, int type, const char *endpoint, const struct curve *curve,
              struct link *out_link)
{
    bool has_keys = curve_is_for(endpoint);
    if (has_keys && !curve)
        return BURSAR_E_BAD_REQUEST;
    struct link link = {.socket = zmq_socket(context, type), .has_keys = has_keys};
    if (!link.socket)
        return error_of_errno();
    if (!set_options(link.socket, type) || (has_keys && !curve_use(curve, link.socket)) ||
        !open_monitor(context, &link) || zmq_connect(link.socket, endpoint) != 0) {
        int error = error_of_errno();
        link_close(&link);
        return error;
    }
    *out_link = link;
    return 0;
}

void link_close(struct link *link)
{
    if (link->monitor) {
        zmq_socket_monitor(link->socket, NULL, 0);
        zmq_close(link->monitor);
    }
    if (link->socket)
        zmq_close(link->socket);
    *link = (struct link){0};
}

void link_message_end(zmq_msg_t *message)
{
    secret_wipe(zmq_msg_data(message), zmq_msg_size(message));
    zmq_msg_close(message);
}

/* A server whose key is another one cannot read the first message, and ends the connection without a
 * word, again and again. */
static void take_end(struct link *link)
{
    if (link->has_keys && ++link->times_ended >= MAX_ENDED)
        link->state = LINK_FOREIGN;
}

static void take_event(struct link *link, uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        link->state = LINK_READY;
        link->times_ready++;
        link->times_ended = 0;
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (link->state == LINK_READY)
            link->state = LINK_LOST;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: link->state = LINK_REFUSED; break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: link->state = LINK_FOREIGN; break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: take_end(link); break;
    default: break;
    }
}

/* An event is two frames; the first begins with its number. false where none is waiting. */
static bool next_event(struct link *link)
{
    unsigned char head[6];
    char rest[256];
    uint16_t event = 0;
    int len = zmq_recv(link->monitor, head, sizeof head, ZMQ_DONTWAIT);
    if (len < 0)
        return errno == EINTR;
    int more = 0;
    size_t more_len = sizeof more;
    while (zmq_getsockopt(link->monitor, ZMQ_RCVMORE, &more, &more_len) == 0 && more)
        zmq_recv(link->monitor, rest, sizeof rest, ZMQ_DONTWAIT);
    if (len < (int)sizeof event)
        return true;
    memcpy(&event, head, sizeof event);
    take_event(link, event);
    return true;
}

enum link_state link_update(struct link *link)
{
    enum { MAX_EVENTS = 1000 }; /* a connection that flutters must not keep its caller */
    for (int i = 0; i < MAX_EVENTS && next_event(link); i++)
        continue;
    return link->state;
}

int link_error(const struct link *link)
{
    static const int errors[] = {
        [LINK_CONNECTING] = BURSAR_E_NO_DAEMON, [LINK_READY] = 0,
        [LINK_LOST] = BURSAR_E_NO_DAEMON,       [LINK_REFUSED] = BURSAR_E_FORBIDDEN,
        [LINK_FOREIGN] = BURSAR_E_BAD_REPLY,
    };
    return errors[link->state];
}

static long left_ms(int64_t until_ms)
{
    int64_t left = until_ms - clock_boot_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (long)left;
}

int link_await(struct link *link, int64_t until_ms)
{
    for (;;) {
        enum link_state state = link_update(link);
        if (state != LINK_CONNECTING && state != LINK_LOST)
            return link_error(link);
        long left = left_ms(until_ms);
        if (left == 0)
            return BURSAR_E_NO_DAEMON;
        zmq_pollitem_t item = {link->monitor, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, left) < 0 && errno != EINTR)
            return BURSAR_E_IO;
    }
}

/* One wait on both; the number of ready ones, the first is the socket. */
static int poll_both(struct link *link, int64_t until_ms, bool *out_has_message)
{
    zmq_pollitem_t items[] = {{link->socket, 0, ZMQ_POLLIN, 0}, {link->monitor, 0, ZMQ_POLLIN, 0}};
    int found = zmq_poll(items, 2, left_ms(until_ms));
    *out_has_message = found > 0 && (items[0].revents & ZMQ_POLLIN);
    return found;
}

bool link_poll(struct link *link, int64_t until_ms)
{
    bool has_message = false;
    poll_both(link, until_ms, &has_message);
    link_update(link);
    return has_message;
}

void link_poll_state(struct link *link, int64_t until_ms)
{
    zmq_pollitem_t item = {link->monitor, 0, ZMQ_POLLIN, 0};
    zmq_poll(&item, 1, left_ms(until_ms));
    link_update(link);
}

int link_wait(struct link *link, int64_t until_ms)
{
    for (;;) {
        bool has_message = false;
        bool is_last = left_ms(until_ms) == 0;
        if (poll_both(link, until_ms, &has_message) < 0 && errno != EINTR)
            return BURSAR_E_IO;
        if (has_message)
            return 0;
        if (link_update(link) != LINK_READY)
            return link_error(link);
        if (is_last)
            return BURSAR_E_DEADLINE_EXCEEDED;
    }
}
