/* Starting a thread so that the start returns when it is ready.
 * Thread: thread_start, _join: whoever starts; thread_ready: the new thread. */
#ifndef BROKER_THREAD_H
#define BROKER_THREAD_H

#include <pthread.h>
#include <stdbool.h>

struct thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_told;
    int result;
};

typedef void *thread_fn(void *context);

/* Runs the function with all signals blocked; returns what thread_ready() was told: 0, or a negative
 * error with which the function has ended. name has at most 15 bytes. */
int thread_start(struct thread *thread, const char *name, thread_fn *function, void *context);
void thread_ready(struct thread *thread, int result);
void thread_join(struct thread *thread);

#endif
