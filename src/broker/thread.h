/* Starting a thread so that the start returns when it is ready.
 * Thread: thread_start, _launch, _join: whoever starts; thread_ready: the new thread. */
#ifndef BROKER_THREAD_H
#define BROKER_THREAD_H

#include <pthread.h>
#include <stdbool.h>

typedef void *thread_fn(void *context);

struct thread {
    pthread_t id;
    thread_fn *function;
    void *context;
    char name[16];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_told;
    int result;
};

/* Runs the function with all signals blocked; returns what thread_ready() was told: 0, or a negative
 * error with which the function has ended. Of its name 15 bytes are kept. */
int thread_start(struct thread *thread, const char *name, thread_fn *function, void *context);
void thread_ready(struct thread *thread, int result);
/* The same without waiting: 0 where it is on its way, which it need not tell, or BURSAR_E_NOMEM. */
int thread_launch(struct thread *thread, const char *name, thread_fn *function, void *context);
void thread_join(struct thread *thread);

#endif
