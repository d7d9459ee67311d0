#include "broker/frame_pool.h"

#include <stdlib.h>

#include "broker/memory.h"

struct frame_pool {
    atomic_uint held;              /* by the owner, and by each frame under way */
    atomic_uint kept;              /* those in `ended` and `idle` */
    _Atomic(struct frame *) ended; /* as they come back: any thread */
    struct frame *idle;            /* the owner's, with memory */
    struct frame *bare;            /* without: a buffer has it now */
};

static void free_all(struct frame *frame)
{
    for (struct frame *next; frame; frame = next) {
        next = frame->next;
        free(frame->data);
        free(frame);
    }
}

struct frame_pool *frame_pool_new(void)
{
    struct frame_pool *pool = memory_new(sizeof *pool);
    atomic_init(&pool->held, 1);
    atomic_init(&pool->kept, 0);
    atomic_init(&pool->ended, NULL);
    return pool;
}

static void let_go(struct frame_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->held, 1, memory_order_acq_rel) != 1)
        return;
    free_all(atomic_load_explicit(&pool->ended, memory_order_acquire));
    free_all(pool->idle);
    free_all(pool->bare);
    free(pool);
}

void frame_pool_release(struct frame_pool *pool)
{
    if (pool)
        let_go(pool);
}

struct buf frame_pool_take(struct frame_pool *pool, size_t max)
{
    struct buf buf = buf_make(max);
    if (!pool->idle)
        pool->idle = atomic_exchange_explicit(&pool->ended, NULL, memory_order_acquire);
    struct frame *frame = pool->idle;
    if (!frame) {
        buf_reserve(&buf, FRAME_POOL_BYTES - 1);
        return buf;
    }
    atomic_fetch_sub_explicit(&pool->kept, 1, memory_order_relaxed);
    pool->idle = frame->next;
    buf.data = frame->data;
    buf.cap = frame->cap;
    frame->data = NULL;
    frame->next = pool->bare;
    pool->bare = frame;
    return buf;
}

struct frame *frame_pool_begin(struct frame_pool *pool, const struct buf *bytes)
{
    struct frame *frame = pool->bare;
    if (frame)
        pool->bare = frame->next;
    else
        frame = memory_new(sizeof *frame);
    atomic_fetch_add_explicit(&pool->held, 1, memory_order_relaxed);
    frame->pool = pool;
    frame->data = bytes->data;
    frame->cap = bytes->cap;
    frame->len = bytes->len;
    return frame;
}

/* Counts it among those that are kept; false where it has no useful size, or there are enough. */
static bool keep(struct frame_pool *pool, const struct frame *frame)
{
    if (frame->cap < FRAME_POOL_BYTES || frame->cap > FRAME_POOL_LARGEST)
        return false;
    if (atomic_fetch_add_explicit(&pool->kept, 1, memory_order_relaxed) < FRAME_POOL_KEPT)
        return true;
    atomic_fetch_sub_explicit(&pool->kept, 1, memory_order_relaxed);
    return false;
}

void frame_pool_end(struct frame *frame)
{
    struct frame_pool *pool = frame->pool;
    if (keep(pool, frame)) {
        struct frame *before = atomic_load_explicit(&pool->ended, memory_order_relaxed);
        do {
            frame->next = before;
        } while (!atomic_compare_exchange_weak_explicit(
            &pool->ended, &before, frame, memory_order_release, memory_order_relaxed));
    } else {
        free(frame->data);
        free(frame);
    }
    let_go(pool);
}
