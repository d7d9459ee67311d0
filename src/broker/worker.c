#include "broker/worker.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/store_thread.h"
#include "broker/worker_consent.h"
#include "broker/worker_exchange.h"
#include "broker/worker_export.h"
#include "broker/worker_parts.h"
#include "broker/worker_sweep.h"
#include "broker/worker_validate.h"

enum {
    LOOK_TOGETHER = 64,  /* messages, by one view of the store */
    SEND_TOGETHER = 16,  /* changes, to the store */
    OPEN_AGAIN_MS = 1000 /* while what was closed for a rest cannot be opened */
};

/* ---- messages ------------------------------------------------------------------------------------ */

/* What one part of a turn has for the store goes there together: the store thread, which sleeps whenever it has
 * nothing, is woken once. None is held while the worker waits. */
static void send_writes(struct worker *self)
{
    if (self->newest_write)
        store_send_all(self->broker->store_thread, self->newest_write, self->oldest_write);
    self->newest_write = self->oldest_write = NULL;
    self->held_writes = 0;
}

void worker_wait(struct worker *self, int timeout_ms)
{
    send_writes(self);
    mailbox_wait(&self->inbox, timeout_ms);
}

void worker_write(struct worker *self, struct write_message *message, write_done_fn *done,
                  void *context)
{
    message->reply_to = &self->inbox;
    message->done = done;
    message->context = context;
    if (message->request && message->request->origin)
        message->change.origin = &message->request->origin->audit;
    self->writes++;
    message->message.mail.next = self->newest_write;
    self->newest_write = &message->message.mail;
    if (!self->oldest_write)
        self->oldest_write = self->newest_write;
    if (++self->held_writes == SEND_TOGETHER)
        send_writes(self);
}

int64_t worker_remind_at(const struct worker *self)
{
    return clock_wall_s() + self->broker->config->events_reminder_s;
}

static void take_request(struct worker *self, struct request *request)
{
    if (!self->reader) {
        worker_refuse(self, request, BURSAR_E_STORE_UNAVAILABLE, NULL);
        return;
    }
    switch (request->job.op) {
    case OP_VEND:
    case OP_REFRESH:
    case OP_INVALIDATE: worker_look(self, request); break;
    case OP_CONNECT_BEGIN: worker_begin_consent(self, request); break;
    case OP_CONNECT_COMPLETE: worker_complete_consent(self, request); break;
    case OP_CONNECT_DEVICE: worker_device(self, request); break;
    case OP_EXPORT: worker_export(self, request); break;
    case OP_PAUSE:
    case OP_RESUME: worker_pause(self, request); break;
    case OP_CONNECTOR_VALIDATE: worker_validate(self, request); break;
    default: worker_admin(self, request);
    }
}

/* What has come together reads the store as it is at one moment, behind the coming of the last of it: each
 * commit that anybody was told of before he sent his job is in it. */
static void look_together(struct worker *self, size_t taken)
{
    if (taken % LOOK_TOGETHER == 0) {
        self->broker->store->let_go(self->reader);
        self->broker->store->hold(self->reader);
    }
}

void worker_take_messages(struct worker *self)
{
    struct mail *mail = mailbox_take(&self->inbox);
    bool is_alone = !mail || !mail->next || !self->reader;
    size_t taken = 0;
    if (mail)
        worker_rest_busy(self);
    for (struct mail *next; mail; mail = next) {
        struct message *message = (struct message *)mail;
        next = mail->next;
        if (!is_alone)
            look_together(self, taken++);
        switch (message->type) {
        case MESSAGE_REQUEST: take_request(self, (struct request *)mail); break;
        case MESSAGE_WRITE:
            self->writes--;
            flight_note_change(self, &((struct write_message *)mail)->change);
            ((struct write_message *)mail)
                ->done(((struct write_message *)mail)->context, (struct write_message *)mail);
            break;
        case MESSAGE_START:
            self->is_open = true;
            self->plan_at_ms = self->remind_at_ms = self->sweep_at_ms = 0;
            free(message);
            break;
        case MESSAGE_SWEEP: worker_sweep_changed(self, (struct sweep_message *)mail); break;
        case MESSAGE_KEYS: flight_renew_all(self, (struct keys_message *)mail); break;
        case MESSAGE_DRAIN:
            self->is_draining = true;
            free(message);
            break;
        default: self->is_stopping = true; free(message);
        }
    }
    if (!is_alone)
        self->broker->store->let_go(self->reader);
}

/* Flights that only wait for their next attempt have nothing to finish. */
static void drain(struct worker *self)
{
    struct flight *flight, *next;
    HASH_ITER(hh, self->flights, flight, next) {
        if (flight->phase == FLIGHT_BACKOFF || flight->phase == FLIGHT_TURN)
            flight_timer(flight);
    }
    exchange_end_waiting(self);
    if (self->has_drained || self->flights || self->writes > 0 || self->errands > 0)
        return;
    self->has_drained = true;
    dispatcher_send_drained(self->broker->dispatcher);
}

/* ---- the thread ---------------------------------------------------------------------------------- */

int worker_wait_ms(const struct worker *self)
{
    const struct heap_node *first = heap_top(&self->timers), *poll = heap_top(&self->polls);
    int64_t until = self->plan_at_ms, now_ms = clock_boot_ms();
    if (self->reminders == 0 && self->remind_at_ms < until)
        until = self->remind_at_ms;
    if (first && first->at < until)
        until = first->at;
    if (poll && !self->is_draining && poll->at < until)
        until = poll->at;
    if (self->recheck_at_ms < until)
        until = self->recheck_at_ms;
    if (self->gate_at_ms < until)
        until = self->gate_at_ms;
    if (self->sweep_at_ms < until)
        until = self->sweep_at_ms;
    if (worker_rest_at(self) < until)
        until = worker_rest_at(self);
    return until > now_ms ? (int)(until - now_ms) : 0;
}

static void fire_timers(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    for (struct heap_node *first = heap_top(&self->timers); first && first->at <= now_ms;
         first = heap_top(&self->timers)) {
        heap_remove(&self->timers, first);
        flight_timer((struct flight *)first);
    }
}

int worker_open_own(struct worker *self)
{
    const struct broker *broker = self->broker;
    struct http_options options = {.ca_file = broker->config->ca_file,
                                   .allow_http_loopback = broker->config->allow_http_loopback,
                                   .allow_private_addresses =
                                       broker->config->allow_private_addresses};
    int result = broker->store->reader_open(broker->store_where, &self->reader, self->open_error);
    if (result < 0)
        return result;
    self->http = http_engine_new(&options);
    return self->http ? 0 : BURSAR_E_NOMEM;
}

void worker_close_own(struct worker *self)
{
    http_engine_free(self->http);
    self->http = NULL;
    self->broker->store->reader_close(self->reader);
    self->reader = NULL;
    process_key_free(self->kept_key);
    self->kept_key = NULL;
}

int worker_begin(struct worker *self)
{
    int result = worker_open_own(self);
    if (result < 0)
        return result;
    self->secret_tree = tree_new();
    self->grant_tree = tree_new();
    self->metadata_tree = tree_new();
    self->made_tree = tree_new();
    if (!self->secret_tree || !self->grant_tree || !self->metadata_tree || !self->made_tree)
        return BURSAR_E_NOMEM;
    int result_of_resume = worker_plan_open(self);
    worker_availability_open(self);
    if (result_of_resume == 0)
        result_of_resume = worker_gate_open(self);
    if (result_of_resume == 0)
        result_of_resume = worker_sweep_start(self);
    if (result_of_resume == 0 && self->connector)
        result_of_resume = worker_resume(self);
    if (result_of_resume == 0 && self->connector)
        result_of_resume = worker_resume_devices(self);
    if (result_of_resume < 0 || !self->connector || !self->connector->shared_id)
        return result_of_resume;
    return worker_seed(self);
}

void worker_end(struct worker *self)
{
    struct flight *flight, *next;
    http_engine_free(self->http); /* first: what it would have called is ending */
    self->http = NULL;
    exchange_end_all(self);
    HASH_ITER(hh, self->flights, flight, next) {
        flight_abandon(flight);
    }
    heap_free(&self->timers);
    worker_gate_close(self);
    free(self->due.ids);
    worker_forget_devices(self);
    worker_forget_completions(self);
    worker_recheck_end(self);
    worker_sweep_end(self);
    tree_free(self->secret_tree);
    tree_free(self->grant_tree);
    tree_free(self->metadata_tree);
    tree_free(self->made_tree);
    worker_close_own(self);
}

void worker_turn(struct worker *self)
{
    http_run(self->http, worker_wait_ms(self), mailbox_fd(&self->inbox));
    send_writes(self);
    self->round++;
    worker_take_messages(self);
    fire_timers(self);
    worker_plan(self);
    worker_recheck(self);
    worker_sweep(self);
    worker_gate_run(self);
    if (!self->is_draining)
        worker_poll_devices(self);
    if (self->is_draining)
        drain(self);
    send_writes(self);
}

/* Until it is told to end, or rests. */
static void *live(struct worker *self)
{
    send_writes(self); /* of its beginning */
    while (!self->is_stopping) {
        worker_turn(self);
        if (worker_rest(self))
            return NULL;
    }
    worker_end(self);
    return NULL;
}

static void *run(void *context)
{
    struct worker *self = context;
    int result = worker_begin(self);
    while (result < 0 && self->writes > 0) { /* they come back to this mailbox */
        worker_wait(self, -1);
        worker_take_messages(self);
    }
    self->open_error = NULL;
    thread_ready(&self->threads[self->thread], result);
    if (result == 0)
        return live(self);
    worker_end(self);
    return NULL;
}

/* One attempt; what failed is told the first time. */
static bool open_again(struct worker *self, bool is_first)
{
    struct buf error = buf_make(1024);
    self->open_error = &error;
    int result = worker_open_own(self);
    self->open_error = NULL;
    if (result < 0) {
        worker_close_own(self);
        if (is_first)
            LOG(LOG_ERROR, "a worker cannot open what it needs: tried again",
                LOG_S("provider", self->connector ? self->connector->provider : "-"),
                LOG_T("error", buf_text(&error)));
    }
    buf_free(&error);
    return result == 0;
}

/* Who asks meanwhile is told, and all else is kept. */
static void *run_again(void *context)
{
    struct worker *self = context;
    thread_join(
        &self->threads[!self->thread]); /* it closes what it had, and has nothing more to do */
    worker_rest_busy(self);
    self->plan_at_ms = self->remind_at_ms = 0;
    for (bool is_first = true; !open_again(self, is_first); is_first = false) {
        worker_take_messages(self);
        if (self->is_draining)
            drain(self);
        if (self->is_stopping)
            break;
        worker_wait(self, OPEN_AGAIN_MS);
    }
    return live(self);
}

static int start_thread(struct worker *self,
                        int (*start)(struct thread *, const char *, thread_fn *, void *),
                        thread_fn *function)
{
    const char *name = self->connector ? self->connector->provider : "worker";
    return start(&self->threads[self->thread], name, function, self);
}

int worker_go_on(struct worker *self)
{
    self->thread = !self->thread;
    int result = start_thread(self, thread_launch, run_again);
    if (result < 0)
        self->thread = !self->thread;
    return result;
}

int worker_new(const struct broker *broker, const struct connector *connector,
               struct worker **out_worker, struct buf *error)
{
    struct worker *self = memory_new(sizeof *self);
    self->broker = broker;
    self->connector = connector;
    self->open_error = error;
    int result = mailbox_init(&self->inbox);
    if (result < 0)
        free(self);
    else
        *out_worker = self;
    return result;
}

int worker_start(const struct broker *broker, const struct connector *connector,
                 struct worker **out_worker, struct buf *error)
{
    struct worker *self;
    int result = worker_new(broker, connector, &self, error);
    if (result < 0)
        return result;
    worker_rest_init(self, broker->config->idle_s * INT64_C(1000));
    result = start_thread(self, thread_start, run);
    if (result < 0) {
        worker_rest_fini(self);
        mailbox_fini(&self->inbox);
        free(self);
        return result;
    }
    *out_worker = self;
    return 0;
}

/* Wakes it where it rests. */
static void send_mail(struct worker *self, struct mail *mail)
{
    mailbox_send(&self->inbox, mail);
    worker_wake(self);
}

void worker_open(struct worker *self)
{
    send_mail(self, &message_new(MESSAGE_START)->mail);
}

void worker_drain(struct worker *self)
{
    if (!worker_rest_hold(self)) {
        send_mail(self, &message_new(MESSAGE_DRAIN)->mail);
        return;
    }
    self->is_draining = true;
    drain(self); /* nothing is under way */
    worker_rest_let_go(self);
}

void worker_stop(struct worker *self)
{
    if (!self)
        return;
    mailbox_send(&self->inbox, &message_new(MESSAGE_STOP)->mail);
    bool is_resting = worker_rest_end(self);
    thread_join(&self->threads[self->thread]);
    if (is_resting)
        worker_end(self);
}

void worker_free(struct worker *self)
{
    if (!self)
        return;
    for (struct mail *mail = self->newest_write, *next; mail; mail = next) {
        next = mail->next;
        write_free((struct write_message *)mail);
    }
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        struct message *message = (struct message *)mail;
        next = mail->next;
        if (message->type == MESSAGE_REQUEST)
            request_free((struct request *)mail);
        else if (message->type == MESSAGE_WRITE)
            write_free((struct write_message *)mail);
        else
            free(message);
    }
    worker_rest_fini(self);
    mailbox_fini(&self->inbox);
    free(self);
}

bool worker_send(struct worker *self, struct request *request)
{
    if (atomic_load(&self->figures.queue) >= WORKER_QUEUE_MAX || !worker_wake(self))
        return false;
    atomic_fetch_add(&self->figures.queue, 1);
    request->counted = &self->figures.queue;
    send_mail(self, &request->message.mail);
    return true;
}

void worker_send_sweep(struct worker *self)
{
    static const struct text none = {NULL, 0};
    if (worker_rest_hold(self))
        worker_rest_let_go(self); /* it has none */
    else
        send_mail(self, &sweep_message_new(none, none, false)->message.mail);
}

void worker_send_sweep_begun(struct worker *self, struct text sweep, struct text provider,
                             bool has_hold)
{
    send_mail(self, &sweep_message_new(sweep, provider, has_hold)->message.mail);
}

void worker_send_keys(struct worker *self, struct mailbox *reply_to)
{
    struct keys_message *keys = memory_new(sizeof *keys);
    keys->message.type = MESSAGE_KEYS;
    keys->reply_to = reply_to;
    if (worker_rest_hold(self)) {
        worker_rest_let_go(self);
        mailbox_send(reply_to, &keys->message.mail); /* it has no flight */
    } else {
        send_mail(self, &keys->message.mail);
    }
}

/* ---- figures ------------------------------------------------------------------------------------- */

/* The upper bound of the bucket in which the given share of all lies. */
static uint64_t percentile(const uint64_t *counts, uint64_t total, double share)
{
    uint64_t seen = 0;
    for (int i = 0; i < WORKER_LATENCY_BUCKETS; i++) {
        seen += counts[i];
        if (total > 0 && (double)seen >= share * (double)total)
            return (uint64_t)1 << i;
    }
    return 0;
}

struct worker_figures worker_figures(struct worker *self)
{
    uint64_t counts[WORKER_LATENCY_BUCKETS], total = 0;
    for (int i = 0; i < WORKER_LATENCY_BUCKETS; i++) {
        counts[i] = atomic_load(&self->figures.latency[i]);
        total += counts[i];
    }
    return (struct worker_figures){
        .queue = atomic_load(&self->figures.queue),
        .in_flight = atomic_load(&self->figures.in_flight),
        .refreshed = atomic_load(&self->figures.refreshed),
        .failed = atomic_load(&self->figures.failed),
        .p50_ms = percentile(counts, total, 0.5),
        .p99_ms = percentile(counts, total, 0.99),
        .gate = (enum gate_reason)atomic_load(&self->figures.gate_reason),
        .breaker = (enum breaker_state)atomic_load(&self->figures.breaker_state),
        .gate_wait_ms = atomic_load(&self->figures.gate_wait_ms),
        .budget_left = atomic_load(&self->figures.budget_left),
        .room_1h = atomic_load(&self->figures.room_1h),
        .waiting = atomic_load(&self->figures.waiting),
        .has_next_secret = atomic_load(&self->figures.has_next_secret),
        .paused_since = atomic_load(&self->figures.paused_since),
        .covered_s = atomic_load(&self->figures.covered_s),
        .missing_s = atomic_load(&self->figures.missing_s),
        .lead_s = atomic_load(&self->figures.lead_s)};
}
