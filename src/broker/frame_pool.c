#include "broker/frame_pool.h"

#include <stdlib.h>

#include "broker/memory.h"

enum {
    LINE_BYTES = 64
}; /* of a processor's cache: what one thread writes is not next to what another reads */

struct frame_pool {
    struct frame *idle; /* the owner's: their memory, if they have any, waits for its next use */
    struct frame *bare; /* the owner's: a buffer has their memory now */
    int64_t begun;      /* frames, ever */
    unsigned kept;      /* frames that come back, at most FRAME_POOL_KEPT */
    char apart[LINE_BYTES];
    _Atomic(struct frame *) ended; /* as they come back: any thread */
    atomic_int_fast64_t
        end_count; /* of all ever; from the release on less those begun: at 0 all is over */
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
    atomic_init(&pool->ended, NULL);
    atomic_init(&pool->end_count, 0);
    return pool;
}

static void count_ends(struct frame_pool *pool, int64_t ends)
{
    if (atomic_fetch_add_explicit(&pool->end_count, ends, memory_order_acq_rel) + ends != 0)
        return;
    free_all(atomic_load_explicit(&pool->ended, memory_order_acquire));
    free_all(pool->idle);
    free_all(pool->bare);
    free(pool);
}

void frame_pool_release(struct frame_pool *pool)
{
    if (pool)
        count_ends(pool, -pool->begun);
}

struct buf frame_pool_take(struct frame_pool *pool, size_t max)
{
    struct buf buf = buf_make(max);
    if (!pool->idle)
        pool->idle = atomic_exchange_explicit(&pool->ended, NULL, memory_order_acquire);
    struct frame *frame = pool->idle;
    if (frame) {
        pool->idle = frame->next;
        buf.data = frame->data;
        buf.cap = frame->cap;
        frame->data = NULL;
        frame->next = pool->bare;
        pool->bare = frame;
    }
    if (!buf.data)
        buf_reserve(&buf, FRAME_POOL_BYTES - 1);
    return buf;
}

struct frame *frame_pool_begin(struct frame_pool *pool, const struct buf *bytes)
{
    struct frame *frame = pool->bare;
    if (frame) {
        pool->bare = frame->next;
    } else {
        frame = memory_new(sizeof *frame);
        frame->pool = pool;
        frame->is_kept = pool->kept < FRAME_POOL_KEPT;
        pool->kept += frame->is_kept;
    }
    pool->begun++;
    frame->data = bytes->data;
    frame->cap = bytes->cap;
    frame->len = bytes->len;
    return frame;
}

void frame_pool_end(struct frame *frame)
{
    struct frame_pool *pool = frame->pool;
    bool has_use = frame->cap >= FRAME_POOL_BYTES && frame->cap <= FRAME_POOL_LARGEST;
    if (!frame->is_kept || !has_use) {
        free(frame->data);
        frame->data = NULL;
        frame->cap = 0;
    }
    if (frame->is_kept) {
        struct frame *before = atomic_load_explicit(&pool->ended, memory_order_relaxed);
        do {
            frame->next = before;
        } while (!atomic_compare_exchange_weak_explicit(
            &pool->ended, &before, frame, memory_order_release, memory_order_relaxed));
    } else {
        free(frame);
    }
    count_ends(pool, 1);
}
