#include "broker/thread.h"

#include <signal.h>

#include <bursar/error.h>

enum { STACK_BYTES = 512 * 1024 };

static int create(struct thread *thread, thread_fn *function, void *context)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return BURSAR_E_NOMEM;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* whoever made a call that the sandbox refuses says so */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&thread->id, &attributes, function, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result == 0 ? 0 : BURSAR_E_NOMEM;
}

int thread_start(struct thread *thread, const char *name, thread_fn *function, void *context)
{
    *thread =
        (struct thread){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    int result = create(thread, function, context);
    if (result < 0)
        return result;
    pthread_setname_np(thread->id, name);
    pthread_mutex_lock(&thread->lock);
    while (!thread->is_told)
        pthread_cond_wait(&thread->changed, &thread->lock);
    result = thread->result;
    pthread_mutex_unlock(&thread->lock);
    if (result < 0)
        thread_join(thread);
    return result;
}

void thread_ready(struct thread *thread, int result)
{
    pthread_mutex_lock(&thread->lock);
    thread->is_told = true;
    thread->result = result;
    pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
}

void thread_join(struct thread *thread)
{
    pthread_join(thread->id, NULL);
    pthread_cond_destroy(&thread->changed);
    pthread_mutex_destroy(&thread->lock);
}
