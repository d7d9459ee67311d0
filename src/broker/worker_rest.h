/* A worker's rest: one that has had nothing to do for a while ends its thread and its connections.
 * Thread: as each function says.
 *
 * Its connection to the store ends, and those to the provider; what it knows stays, and the next message or due work
 * starts a thread for it. While it rests nobody owns it but its lock. It rests only with an empty mailbox, with nothing
 * under way and nothing due soon. Whoever sends it something wakes it, without waiting: what was sent waits in the
 * mailbox until the new thread has seen the one before it end. What falls due while it rests is known beforehand, and
 * the publisher, which wakes up for its beat anyway, looks who is to be woken for that, or could not be. */
#ifndef BROKER_WORKER_REST_H
#define BROKER_WORKER_REST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

struct worker_rest {
    pthread_mutex_t lock; /* around going to rest and being woken; for moments only */
    atomic_int is_resting;
    atomic_int_fast64_t until_ms;  /* wall clock: it is woken before that */
    atomic_int_fast64_t offset_ms; /* wall clock less boot time when it went to rest */
    int64_t after_ms;              /* with so long nothing to do it rests; 0: never */
    int64_t idle_since_ms;         /* boot time */
    bool has_failed;               /* no thread could be started, which was told */
};

void worker_rest_init(struct worker *worker, int64_t after_ms);
void worker_rest_fini(struct worker *worker);

/* Its own thread: notes that something was done. */
void worker_rest_busy(struct worker *worker);
/* Its own thread, when a turn has ended: true where the thread is to end now, and must not touch the worker
 * any more. */
bool worker_rest(struct worker *worker);
/* Boot time at which worker_rest() is to be asked; INT64_MAX: it need not be. */
int64_t worker_rest_at(const struct worker *worker);

/* Any thread, after something was sent to it. False where it rests on, because no thread can be started: that is
 * tried again by whoever sends it the next message, and by the publisher. */
bool worker_wake(struct worker *worker);
/* Any thread: true where it rests and has no mail. Then it is the caller's until worker_rest_let_go(). */
bool worker_rest_hold(struct worker *worker);
void worker_rest_let_go(struct worker *worker);
/* The main thread, at its end: true where it rests. It does not wake up any more. */
bool worker_rest_end(struct worker *worker);

#endif
