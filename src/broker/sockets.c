#include "broker/sockets.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#include <bursar/error.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/z85.h"
#include "broker/memory.h"

enum {
    CLOSED_MS = 2000,
    HIGH_WATER = 100000,
    UNREAD_MAX = 2000, /* messages of one peer that wait to be read: then it waits itself */
    LINGER_MS = 1000,
    BACKLOG = 1024,
    HANDSHAKE_MS = 10000,
    CURVE_BYTES = 32
};

void *socket_new(void *zmq, int type, struct buf *error)
{
    int high_water = HIGH_WATER, unread = UNREAD_MAX, linger_ms = LINGER_MS, backlog = BACKLOG,
        handshake_ms = HANDSHAKE_MS, one = 1;
    void *socket = zmq_socket(zmq, type);
    if (!socket) {
        buf_printf(error, "a socket: %s", zmq_strerror(zmq_errno()));
        return NULL;
    }
    zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "bursar", strlen("bursar"));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof high_water);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unread, sizeof unread);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt(socket, ZMQ_BACKLOG, &backlog, sizeof backlog);
    zmq_setsockopt(socket, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms);
    zmq_setsockopt(socket, ZMQ_IPV6, &one, sizeof one);
    zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE, &one, sizeof one); /* who is gone is found out */
    return socket;
}

static bool is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", strlen("tcp://")) == 0;
}

/* What is bound from now on speaks CURVE: an endpoint has the options that hold when it is bound. */
static bool use_curve(void *socket, const struct secret *key)
{
    int one = 1;
    uint8_t raw[CURVE_BYTES];
    bool is_set = z85_decode(secret_text(key), sizeof raw, raw) &&
                  zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one) == 0 &&
                  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, raw, sizeof raw) == 0;
    secret_wipe(raw, sizeof raw);
    return is_set;
}

static bool has_tcp(const struct config_list *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        if (is_tcp(endpoints->items[i]))
            return true;
    }
    return false;
}

bool socket_public_key(const struct config *config, char out[static SOCKET_KEY_SIZE])
{
    bool is_needed = has_tcp(&config->jobs) || has_tcp(&config->intake) || has_tcp(&config->events);
    return is_needed &&
           zmq_curve_public(out, (const char *)secret_text(&config->curve_key).data) == 0;
}

static int bind_all(void *socket, const struct config_list *endpoints, bool of_tcp,
                    struct buf *error)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        if (is_tcp(endpoints->items[i]) == of_tcp && zmq_bind(socket, endpoints->items[i]) < 0) {
            buf_printf(error, "%s: %s", endpoints->items[i], zmq_strerror(zmq_errno()));
            return BURSAR_E_IO;
        }
    }
    return 0;
}

int socket_bind(void *socket, const struct config *config, const struct config_list *endpoints,
                struct buf *error)
{
    int result = bind_all(socket, endpoints, false, error);
    if (result < 0 || !has_tcp(endpoints))
        return result;
    if (!use_curve(socket, &config->curve_key)) {
        buf_append_string(error, "listen.curve_key is no secret CURVE key");
        return BURSAR_E_IO;
    }
    return bind_all(socket, endpoints, true, error);
}

void socket_set_open(const struct config_list *endpoints, bool is_open)
{
    static const char ipc[] = "ipc://";
    for (size_t i = 0; i < endpoints->count; i++) {
        const char *endpoint = endpoints->items[i];
        if (strncmp(endpoint, ipc, sizeof ipc - 1) == 0 &&
            chmod(endpoint + sizeof ipc - 1, is_open ? 0666 : 0600) < 0)
            LOG(LOG_WARNING, "the mode of a socket cannot be set", LOG_S("endpoint", endpoint),
                LOG_S("error", strerror(errno)));
    }
}

void socket_close(void *socket)
{
    if (socket)
        zmq_close(socket);
}

/* Reads what the monitor says until so many listeners have closed; each event is two frames. */
static void wait_closed(void *monitor, size_t count)
{
    while (count > 0) {
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, CLOSED_MS) <= 0)
            return;
        int more = 1;
        for (bool is_first = true; more; is_first = false) {
            zmq_msg_t frame;
            zmq_msg_init(&frame);
            if (zmq_msg_recv(&frame, monitor, 0) < 0)
                return;
            count -= is_first; /* the monitor was asked for this event alone */
            more = zmq_msg_more(&frame);
            zmq_msg_close(&frame);
        }
    }
}

void socket_close_bound(void *zmq, void *socket, const struct config_list *endpoints)
{
    static const char watch[] = "inproc://closing";
    size_t count = 0;
    void *monitor = zmq_socket(zmq, ZMQ_PAIR);
    bool is_watched = monitor && zmq_socket_monitor(socket, watch, ZMQ_EVENT_CLOSED) == 0 &&
                      zmq_connect(monitor, watch) == 0;
    for (size_t i = 0; i < endpoints->count; i++)
        count += zmq_unbind(socket, endpoints->items[i]) == 0;
    if (is_watched)
        wait_closed(monitor, count);
    zmq_socket_monitor(socket, NULL, 0);
    socket_close(monitor);
    socket_close(socket);
}

int socket_send(void *socket, struct text bytes, int flags)
{
    return zmq_send(socket, bytes.data, bytes.len, flags | ZMQ_DONTWAIT) < 0 ? BURSAR_E_IO : 0;
}

struct socket_unread {
    int64_t begun; /* bytes of frames, ever: the sender's */
    char apart
        [64]; /* what one thread writes is not next to what another does, in the processor's cache */
    atomic_int_fast64_t
        ended; /* of those, ever; from the release on less those begun: at 0 all is over */
};

struct socket_unread *socket_unread_new(void)
{
    struct socket_unread *unread = memory_new(sizeof *unread);
    atomic_init(&unread->ended, 0);
    return unread;
}

static void count_ended(struct socket_unread *unread, int64_t bytes)
{
    if (atomic_fetch_add_explicit(&unread->ended, bytes, memory_order_acq_rel) + bytes == 0)
        free(unread);
}

void socket_unread_release(struct socket_unread *unread)
{
    if (unread)
        count_ended(unread, -unread->begun);
}

uint64_t socket_unread_bytes(const struct socket_unread *unread)
{
    return (uint64_t)(unread->begun - atomic_load_explicit(&unread->ended, memory_order_relaxed));
}

/* Runs on ZeroMQ's thread when the last copy is on its way. ready orders the frame's bytes before their end
 * on another thread: ZeroMQ does so too, but in a way that ThreadSanitizer cannot see. */
static void wipe_frame(void *data, void *hint)
{
    struct frame *frame = hint;
    if (atomic_load_explicit(&frame->ready, memory_order_acquire))
        secret_wipe(data, frame->len);
    if (frame->unread)
        count_ended(frame->unread, (int64_t)frame->len);
    frame_pool_end(frame);
}

void socket_secret_frame(struct frame_pool *pool, struct buf *bytes, struct socket_unread *unread,
                         zmq_msg_t *out_frame)
{
    assert(!bytes->is_secret && buf_error(bytes) == 0 && bytes->len > 0);
    struct frame *frame = frame_pool_begin(pool, bytes);
    frame->unread = unread;
    if (unread)
        unread->begun += (int64_t)frame->len;
    atomic_store_explicit(&frame->ready, true, memory_order_release);
    if (zmq_msg_init_data(out_frame, bytes->data, bytes->len, wipe_frame, frame) < 0)
        abort(); /* no memory */
    *bytes = buf_make(bytes->max);
}
