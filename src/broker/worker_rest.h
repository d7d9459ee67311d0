/* A worker's rest: one that has had nothing to do for a while ends its thread and its connections.
 * Thread: as each function says.
 *
 * Its connection to the store ends, and those to the provider; what it knows stays, and the next message or due work
 * starts a thread for it. While it rests nobody owns it but its lock. It rests only with an empty mailbox, with nothing
 * under way and nothing due soon. Whoever sends it something wakes it; what falls due while it rests is known
 * beforehand, and the publisher, which wakes up for its beat anyway, looks who is to be woken for that. */
#ifndef BROKER_WORKER_REST_H
#define BROKER_WORKER_REST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

struct worker_rest {
    pthread_mutex_t lock; /* around going to rest and being woken */
    atomic_int is_resting;
    atomic_int_fast64_t until_ms;  /* wall clock: it is woken before that */
    atomic_int_fast64_t offset_ms; /* wall clock less boot time when it went to rest */
    int64_t after_ms;              /* with so long nothing to do it rests; 0: never */
    int64_t idle_since_ms;         /* boot time */
    bool has_thread;               /* that is not joined yet */
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

/* Its own thread, at a start or a return: opens what it needs, as often as that takes. */
void worker_must_open_own(struct worker *worker);

/* Any thread: whether it has one, that whoever ends it has to join. */
bool worker_rest_has_thread(struct worker *worker);
/* Any thread, after something was sent to it. */
void worker_wake(struct worker *worker);

#endif
