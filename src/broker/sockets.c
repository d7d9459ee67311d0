#include "broker/sockets.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "broker/memory.h"

enum { HIGH_WATER = 100000, LINGER_MS = 1000 };

void *socket_new(void *zmq, int type, struct buf *error)
{
    int high_water = HIGH_WATER, linger_ms = LINGER_MS;
    void *socket = zmq_socket(zmq, type);
    if (!socket) {
        buf_printf(error, "a socket: %s", zmq_strerror(zmq_errno()));
        return NULL;
    }
    zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "bursar", strlen("bursar"));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof high_water);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof high_water);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    return socket;
}

int socket_bind(void *socket, const struct config_list *endpoints, struct buf *error)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        if (zmq_bind(socket, endpoints->items[i]) < 0) {
            buf_printf(error, "%s: %s", endpoints->items[i], zmq_strerror(zmq_errno()));
            return BURSAR_E_IO;
        }
    }
    return 0;
}

void socket_close(void *socket)
{
    if (socket)
        zmq_close(socket);
}

int socket_send(void *socket, struct text bytes, int flags)
{
    return zmq_send(socket, bytes.data, bytes.len, flags | ZMQ_DONTWAIT) < 0 ? BURSAR_E_IO : 0;
}

/* What goes along with a frame. ready orders the frame's bytes before their end on another thread:
 * ZeroMQ does so too, but in a way that ThreadSanitizer cannot see. */
struct frame_memory {
    size_t cap;
    atomic_bool ready;
};

/* Runs on ZeroMQ's thread when the last copy is on its way. */
static void wipe_frame(void *data, void *hint)
{
    struct frame_memory *memory = hint;
    if (atomic_load_explicit(&memory->ready, memory_order_acquire))
        secret_wipe(data, memory->cap);
    free(data);
    free(memory);
}

int socket_send_secret(void *socket, struct buf *bytes)
{
    zmq_msg_t frame;
    assert(!bytes->is_secret && buf_error(bytes) == 0 && bytes->data);
    struct frame_memory *memory = memory_new(sizeof *memory);
    memory->cap = bytes->cap;
    atomic_store_explicit(&memory->ready, true, memory_order_release);
    if (zmq_msg_init_data(&frame, bytes->data, bytes->len, wipe_frame, memory) < 0)
        abort(); /* no memory; frames before this one are on their way and cannot be taken back */
    *bytes = buf_make(bytes->max);
    if (zmq_msg_send(&frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return BURSAR_E_IO;
    }
    return 0;
}
