#include "broker/thread.h"

#include <signal.h>
#include <stdio.h>

#include <bursar/error.h>

enum { STACK_BYTES = 512 * 1024 };

/* It names itself: another's name is set through a file, which cannot always be opened. */
static void *begin(void *context)
{
    const struct thread *thread = context;
    pthread_setname_np(pthread_self(), thread->name);
    return thread->function(thread->context);
}

static int create(struct thread *thread)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return BURSAR_E_NOMEM;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* whoever made a call that the sandbox refuses says so */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&thread->id, &attributes, begin, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result == 0 ? 0 : BURSAR_E_NOMEM;
}

int thread_launch(struct thread *thread, const char *name, thread_fn *function, void *context)
{
    *thread = (struct thread){.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER,
                              .function = function,
                              .context = context};
    snprintf(thread->name, sizeof thread->name, "%s", name);
    return create(thread);
}

int thread_start(struct thread *thread, const char *name, thread_fn *function, void *context)
{
    int result = thread_launch(thread, name, function, context);
    if (result < 0)
        return result;
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
