/* The memory of replies, which comes back when ZeroMQ has sent them: a reply needs none of the system's.
 * Thread: the pool's owner takes and begins; frames end on any thread.
 *
 * Blocks go from the thread that writes replies to ZeroMQ's, which sends them. Given back by free() they would
 * have both threads meet at the allocator's lock for each of them. Here the owner writes nothing that the other
 * thread does. */
#ifndef BROKER_FRAME_POOL_H
#define BROKER_FRAME_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_POOL_KEPT 1024u    /* that come back, at most */
#define FRAME_POOL_BYTES 2048u   /* what a new one has room for; a smaller one is not kept */
#define FRAME_POOL_LARGEST 8192u /* a larger one is not kept */

struct frame_pool;
struct socket_unread;

/* What goes along with a frame while it is ZeroMQ's. */
struct frame {
    struct frame *next;
    struct frame_pool *pool;
    void *data;
    size_t cap, len;
    struct socket_unread *unread;
    bool is_kept;      /* it comes back to the pool */
    atomic_bool ready; /* orders the bytes before their end on another thread */
};

struct frame_pool *frame_pool_new(void);
/* The owner's part of it ends; the last of the frames under way ends the rest. NULL is fine. */
void frame_pool_release(struct frame_pool *pool);

/* Gives an empty buffer that has room already, to be sent or ended like any other. */
struct buf frame_pool_take(struct frame_pool *pool, size_t max);
/* Gives the frame of a buffer's memory, which it takes. */
struct frame *frame_pool_begin(struct frame_pool *pool, const struct buf *bytes);
/* Takes the frame with its memory, which is wiped by now. */
void frame_pool_end(struct frame *frame);

#endif
