#include "broker/worker_rest.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/worker.h"
#include "broker/worker_parts.h"

enum {
    LEAST_MS = 40000,      /* a shorter rest is none */
    MOST_MS = 3600 * 1000, /* then it looks whether all is as it should be */
    EARLY_MS = 25000, /* before something is due it is woken: whoever looks does so now and then */
    CLOCK_STEP_MS = 60000
};

void worker_rest_init(struct worker *worker, int64_t after_ms)
{
    struct worker_rest *rest = &worker->rest;
    pthread_mutex_init(&rest->lock, NULL);
    atomic_init(&rest->is_resting, 0);
    atomic_init(&rest->until_ms, INT64_MAX);
    atomic_init(&rest->offset_ms, 0);
    rest->after_ms = after_ms;
    rest->idle_since_ms = clock_boot_ms();
}

void worker_rest_fini(struct worker *worker)
{
    pthread_mutex_destroy(&worker->rest.lock);
}

void worker_rest_busy(struct worker *worker)
{
    worker->rest.idle_since_ms = clock_boot_ms();
}

/* ---- going ----------------------------------------------------------------------------------------- */

/* Nothing is under way, and nothing waits but for a time that is known: when it looked last, nothing was due. */
static bool has_nothing(struct worker *self, int64_t now_ms)
{
    return self->is_open && !self->is_draining && !self->is_stopping && !self->flights &&
           self->writes == 0 && self->errands == 0 && !heap_top(&self->timers) &&
           !heap_top(&self->polls) && !self->completions && !self->exchanges &&
           !self->first_waiting && !self->sweeps && !self->holds && !self->must_load_sweeps &&
           self->sweep_at_ms == INT64_MAX && self->gate_at_ms == INT64_MAX &&
           self->recheck_at_ms == INT64_MAX && self->due.count == 0 && self->reminders == 0 &&
           self->plan_at_ms > now_ms && self->remind_at_ms > now_ms &&
           gate_is_at_rest(&self->gate, now_ms);
}

/* Wall clock at which the worker has to do something that nobody asks it for. */
static int64_t next_work_ms(const struct worker *self)
{
    int64_t at_s =
        self->due.next_at < self->next_reminder_at ? self->due.next_at : self->next_reminder_at;
    return self->connector && at_s != EXPIRY_NEVER ? at_s * 1000 : INT64_MAX;
}

int64_t worker_rest_at(const struct worker *self)
{
    return self->rest.after_ms > 0 ? self->rest.idle_since_ms + self->rest.after_ms : INT64_MAX;
}

bool worker_rest(struct worker *self)
{
    struct worker_rest *rest = &self->rest;
    int64_t boot_ms = clock_boot_ms(), now_ms = clock_wall_ms(), work_ms = next_work_ms(self);
    if (rest->after_ms == 0)
        return false;
    if (!has_nothing(self, boot_ms) || (work_ms != INT64_MAX && work_ms - now_ms < LEAST_MS)) {
        rest->idle_since_ms = boot_ms;
        return false;
    }
    if (boot_ms < worker_rest_at(self))
        return false;
    pthread_mutex_lock(&rest->lock);
    /* Whoever sends looks at this behind the sending: either it is seen here what was sent, or there that
     * nobody will take it. */
    atomic_exchange(&rest->is_resting, 1);
    if (!mailbox_is_empty(&self->inbox)) {
        atomic_store(&rest->is_resting, 0);
        pthread_mutex_unlock(&rest->lock);
        return false;
    }
    atomic_store(&rest->until_ms, work_ms < now_ms + MOST_MS ? work_ms : now_ms + MOST_MS);
    atomic_store(&rest->offset_ms, now_ms - boot_ms);
    struct http_engine *http = self->http;
    struct store_reader *reader = self->reader;
    const struct store_engine *store = self->broker->store;
    self->http = NULL;
    self->reader = NULL;
    pthread_mutex_unlock(&rest->lock);
    http_engine_free(http); /* nobody is to wait for this */
    store->reader_close(reader);
    return true;
}

/* ---- coming back ----------------------------------------------------------------------------------- */

/* By the holder of the lock. */
static bool start_again(struct worker *self)
{
    struct worker_rest *rest = &self->rest;
    if (!atomic_load(&rest->is_resting))
        return true;
    atomic_store(&rest->is_resting, 0);
    bool has_started = worker_go_on(self) == 0;
    if (!has_started) {
        if (!rest->has_failed)
            LOG(LOG_ERROR, "a worker's thread cannot be started: tried again",
                LOG_S("provider", self->connector ? self->connector->provider : "-"));
        atomic_store(&rest->until_ms, 0);
        atomic_store(&rest->is_resting, 1);
    }
    rest->has_failed = !has_started;
    return has_started;
}

bool worker_wake(struct worker *self)
{
    if (!atomic_fetch_or(&self->rest.is_resting, 0))
        return true;
    pthread_mutex_lock(&self->rest.lock);
    bool has_thread = start_again(self);
    pthread_mutex_unlock(&self->rest.lock);
    return has_thread;
}

bool worker_rest_hold(struct worker *self)
{
    if (!atomic_load(&self->rest.is_resting))
        return false;
    pthread_mutex_lock(&self->rest.lock);
    if (atomic_load(&self->rest.is_resting) && mailbox_is_empty(&self->inbox))
        return true;
    pthread_mutex_unlock(&self->rest.lock);
    return false;
}

void worker_rest_let_go(struct worker *self)
{
    pthread_mutex_unlock(&self->rest.lock);
}

bool worker_rest_end(struct worker *self)
{
    pthread_mutex_lock(&self->rest.lock);
    bool is_resting = atomic_exchange(&self->rest.is_resting, 0) != 0;
    pthread_mutex_unlock(&self->rest.lock);
    return is_resting;
}

void worker_wake_due(struct worker *self)
{
    const struct worker_rest *rest = &self->rest;
    if (!atomic_load(&rest->is_resting))
        return;
    int64_t now_ms = clock_wall_ms(), offset_ms = now_ms - clock_boot_ms();
    int64_t step_ms = offset_ms - atomic_load(&rest->offset_ms);
    if (now_ms >= atomic_load(&rest->until_ms) - EARLY_MS || llabs(step_ms) > CLOCK_STEP_MS)
        worker_wake(self);
}
