#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mutation.h"
#include "base/secret.h"
#include "broker/memory.h"
#include "broker/worker_parts.h"
#include "broker/worker_sweep.h"
#include "connector/call.h"
#include "policy/expiry.h"
#include "policy/retry.h"
#include "store/refreshed.h"
#include "vault/seal.h"
#include "wire/doc.h"

enum { STORE_RETRY_MS = 250, TRIES_MAX = 8, BLOB_MAX = 4 << 20 };

static void on(struct flight *flight, enum flight_input input);

/* ---- the table of flights ------------------------------------------------------------------------ */

struct flight *flight_find(struct worker *self, struct text id)
{
    struct flight *flight = NULL;
    if (BURSAR_MUTATION != 4)
        HASH_FIND(hh, self->flights, id.data, id.len, flight);
    return flight;
}

struct flight *flight_new(struct worker *self, const struct conn_row *row)
{
    struct flight *flight = memory_new(sizeof *flight);
    flight->worker = self;
    flight->phase = FLIGHT_IDLE;
    flight->end = EXCHANGE_UNSENT;
    flight->captures = call_values_make();
    memcpy(flight->id, row->id.data, row->id.len);
    if (conn_row_copy(row, &flight->row) < 0) {
        free(flight);
        return NULL;
    }
    flight->is_touched = seal_is_ending(self->broker->keyring, row->owner);
    HASH_ADD(hh, self->flights, id, row->id.len, flight);
    atomic_fetch_add(&self->figures.in_flight, 1);
    return flight;
}

static void set_timer(struct flight *flight, int64_t delay_ms)
{
    if (heap_set(&flight->worker->timers, &flight->timer, clock_boot_ms() + delay_ms) < 0)
        abort();
}

static void forget_prepared(struct flight *flight)
{
    if (flight->prepared.is_made && flight->prepared.result == 0)
        http_request_free(&flight->prepared.request);
    flight->prepared.is_made = false;
}

static void forget_now(struct flight *flight)
{
    if (flight->now)
        conn_row_free(flight->now);
    free(flight->now);
    flight->now = NULL;
}

static void flight_free(struct flight *flight)
{
    struct worker *self = flight->worker;
    HASH_DEL(self->flights, flight);
    worker_gate_leave(flight);
    heap_remove(&self->timers, &flight->timer);
    atomic_fetch_sub(&self->figures.in_flight, 1);
    conn_row_free(&flight->row);
    forget_now(flight);
    http_reply_free(&flight->reply);
    forget_prepared(flight);
    flight_forget_credential(flight);
    call_values_free(&flight->captures);
    write_free(flight->unsaved);
    free(flight->origin);
    free(flight);
    worker_plan_soon(self);
}

void flight_abandon(struct flight *flight)
{
    request_free_all(flight->waiters);
    flight_free(flight);
}

struct flight *flight_begin(struct worker *self, const struct conn_row *row, int64_t delay_ms)
{
    struct flight *flight = self->is_draining ? NULL : flight_new(self, row);
    if (!flight)
        return NULL;
    int64_t grant_ms = worker_gate_grant_wait_ms(self, row);
    flight->outcome.delay_ms = delay_ms > grant_ms ? delay_ms : grant_ms;
    on(flight, flight->outcome.delay_ms > 0 ? FLIGHT_ON_AGAIN : FLIGHT_ON_START);
    return flight; /* nothing ends before the store has answered */
}

struct flight *flight_begin_for(const struct request *request, struct worker *self,
                                const struct conn_row *row, int64_t delay_ms)
{
    struct flight *flight = flight_begin(self, row, delay_ms);
    if (flight)
        flight->origin = origin_copy(request->origin);
    return flight;
}

void flight_join(struct flight *flight, struct request *request)
{
    if (request->ticket == TICKET_NONE) { /* nobody waits */
        request_free(request);
        return;
    }
    request->next = flight->waiters;
    flight->waiters = request;
    worker_gate_raise(flight);
}

struct request *flight_take_waiters(struct flight *flight)
{
    struct request *oldest = NULL;
    while (flight->waiters) { /* the list is newest first */
        struct request *request = flight->waiters;
        flight->waiters = request->next;
        request->next = oldest;
        oldest = request;
    }
    return oldest;
}

/* ---- the request --------------------------------------------------------------------------------- */

/* Of the credential that is open. */
static void prepare(struct flight *flight, struct open_credential *credential)
{
    struct worker *self = flight->worker;
    struct prepared *prepared = &flight->prepared;
    struct call_request made;
    struct call call = worker_call_of(self, credential, clock_wall_s());
    forget_prepared(flight);
    prepared->unknown[0] = 0;
    call.step = flight->step;
    call.captures = &flight->captures;
    call.out_unknown = prepared->unknown;
    flight->has_next_secret = call.has_next_secret;
    prepared->result = call_build(&call, &made);
    prepared->is_made = true;
    if (prepared->result == 0)
        prepared->request = http_request_of(&made, self->connector, 0);
}

/* ---- commits ------------------------------------------------------------------------------------- */

void flight_note_change(struct worker *self, const struct store_change *change)
{
    struct flight *flight, *next;
    bool is_own = change->type == CHANGE_INTENT || change->type == CHANGE_REPLY ||
                  change->type == CHANGE_REFRESHED;
    if (is_own)
        return;
    if (change->connection.data) {
        flight = flight_find(self, change->connection);
        if (flight)
            flight->is_touched = true;
        return;
    }
    HASH_ITER(hh, self->flights, flight, next) {
        flight->is_touched = true;
    }
}

/* All that changes rows of this provider comes back to this worker in the order of the commits: where nothing has since the
 * row was read, it is known as it is now. But key.shred ends rows from another thread. Of its owners nothing
 * is known: flights that began before are told of it (flight_renew_all), those that begin while it goes on see
 * it in the keys, and behind it the row is another one. */
static void know_row(struct flight *flight, const struct store_change *change)
{
    struct conn_row row;
    bool is_known = !flight->is_touched && store_row_refreshed(&flight->row, change, &row);
    forget_now(flight);
    flight->now = is_known ? malloc(sizeof *flight->now) : NULL;
    if (flight->now && conn_row_gather(&row, flight->now) < 0) {
        free(flight->now);
        flight->now = NULL;
    }
}

static void committed(void *context, struct write_message *message)
{
    struct flight *flight = context;
    int result = message->change.result;
    if (BURSAR_MUTATION == 8 && result == BURSAR_E_STORE_UNAVAILABLE)
        result = 0;
    if (message->change.type == CHANGE_REFRESHED)
        know_row(flight, &message->change);
    if (result == BURSAR_E_STORE_UNAVAILABLE && message->change.type != CHANGE_INTENT)
        flight->unsaved = message; /* what it holds must not be lost */
    else
        write_free(message);
    if (result == 0)
        on(flight, FLIGHT_ON_COMMITTED);
    else
        on(flight,
           result == BURSAR_E_STORE_UNAVAILABLE ? FLIGHT_ON_STORE_DOWN : FLIGHT_ON_CONFLICT);
}

/* A token that may have been spent is taken again for a while only. Behind that it is sent as the one
 * probe of a connection that is in doubt, or not at all. */
static bool is_past_grace(const struct flight *flight)
{
    const struct connector *connector = flight->worker->connector;
    return BURSAR_MUTATION != 12 && connector->rotation == ROTATION_REUSE_GRACE &&
           connector->reuse_grace_s > 0 && flight->row.state == CONN_ACTIVE &&
           flight->row.lost_at != EXPIRY_NEVER &&
           expiry_is_past_grace(flight->row.lost_at, connector->reuse_grace_s, clock_wall_s());
}

static void commit_intent(struct flight *flight)
{
    struct worker *self = flight->worker;
    struct open_credential credential;
    flight->is_past_grace = is_past_grace(flight);
    if (flight->is_past_grace) {
        snprintf(flight->reply.error, sizeof flight->reply.error,
                 "a reply was lost, and its token is not taken again any more");
        on(flight, FLIGHT_ON_NO_REPLY);
        return;
    }
    flight_forget_credential(flight); /* of an earlier attempt */
    int result = flight_open_credential(flight, &credential);
    if (result < 0) {
        flight->is_local = true;
        snprintf(flight->outcome.text, sizeof flight->outcome.text,
                 "the stored secret does not open (%s)", bursar_error_code(result));
        on(flight, FLIGHT_ON_NO_REPLY);
        return;
    }
    struct write_message *message = write_new(CHANGE_INTENT, flight->row.id);
    message->change.place = flight->row.place;
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = flight->row.generation;
    message->change.node = text_of(self->broker->node);
    message->change.is_probe = flight->row.state == CONN_IN_DOUBT;
    secret_fingerprint(doc_part(tree_root(self->grant_tree), "refresh_token"),
                       message->change.token_hash);
    prepare(flight,
            &credential); /* now that it is open: nothing of it has to be opened again to be sent */
    flight_keep_credential(flight, &credential);
    worker_close_credential(&credential);
    worker_write(self, message, committed, flight);
}

static void commit_reply(struct flight *flight)
{
    struct write_message *message = write_new(CHANGE_REPLY, flight->row.id);
    fault_point("reply-received");
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = flight->row.generation;
    if (reply_seal(flight, &message->secret) < 0)
        LOG(LOG_ERROR, "a reply could not be sealed", LOG_S("connection", flight->id));
    message->change.reply = buf_text(&message->secret);
    worker_write(flight->worker, message, committed, flight);
}

static void renew(const struct worker *self, struct text blob)
{
    seal_renew(self->broker->keyring, (uint8_t *)(uintptr_t)blob.data, blob.len);
}

void flight_renew_all(struct worker *self, struct keys_message *message)
{
    struct flight *flight, *next;
    HASH_ITER(hh, self->flights, flight, next) {
        flight->is_touched = true;
        renew(self, flight->row.secret);
        renew(self, flight->row.grant);
        if (flight->unsaved) {
            renew(self, buf_text(&flight->unsaved->secret));
            renew(self, buf_text(&flight->unsaved->grant));
        }
    }
    mailbox_send(message->reply_to, &message->message.mail);
}

static void commit_again(struct flight *flight)
{
    struct write_message *message = flight->unsaved;
    flight->unsaved = NULL;
    worker_write(flight->worker, message, committed, flight);
}

static void conclude(struct flight *flight)
{
    struct write_message *message = flight_conclude(flight);
    fault_point("conclusion-made");
    if (!message) {
        on(flight, FLIGHT_ON_NEXT);
        return;
    }
    if (flight->origin)
        message->change.origin = &flight->origin->audit;
    if (BURSAR_MUTATION == 9) {
        struct request *early = flight_take_waiters(flight);
        for (struct request *request = early; request; request = request->next)
            request->has_waited = true;
        worker_look_all(flight->worker, early, NULL);
    }
    worker_write(flight->worker, message, committed, flight);
}

/* ---- the request --------------------------------------------------------------------------------- */

static void note_latency(struct worker *self, int64_t took_ms)
{
    int bucket = 0;
    while (bucket < WORKER_LATENCY_BUCKETS - 1 && took_ms > (int64_t)1 << bucket)
        bucket++;
    atomic_fetch_add(&self->figures.latency[bucket], 1);
}

static void replied(void *context, struct http_reply *reply)
{
    struct flight *flight = context;
    flight->reply = *reply;
    flight->end = reply->end;
    flight->replied_at = clock_wall_s();
    if (reply->end == EXCHANGE_REPLY)
        note_latency(flight->worker, reply->took_ms);
    on(flight, reply->end == EXCHANGE_REPLY ? FLIGHT_ON_REPLIED : FLIGHT_ON_NO_REPLY);
}

static void send_request(struct flight *flight)
{
    struct prepared *prepared = &flight->prepared;
    struct open_credential credential;
    fault_point("intent-committed");
    http_reply_free(&flight->reply); /* of an earlier step */
    flight->sent_at = clock_wall_s();
    int result = 0;
    if (!prepared->is_made) { /* a further step has no intent of its own */
        result = flight_open_credential(flight, &credential);
        if (result == 0) {
            prepare(flight, &credential);
            worker_close_credential(&credential);
        }
    }
    const char *unknown = prepared->is_made ? prepared->unknown : "";
    if (result == 0)
        result = prepared->result;
    prepared->is_made = false;
    if (result == 0)
        result = http_start(flight->worker->http, &prepared->request, replied, flight);
    if (result == 0) {
        worker_gate_sent(flight);
        return;
    }
    flight->is_local = true;
    flight->has_nothing = result == BURSAR_E_NEEDS_REAUTH;
    flight->lacks_value = result == BURSAR_E_CONFIG && unknown[0] != 0;
    flight->end = EXCHANGE_UNSENT;
    if (flight->lacks_value)
        snprintf(flight->outcome.text, sizeof flight->outcome.text,
                 "no request can be made: {%s} has no value", unknown);
    else
        snprintf(flight->outcome.text, sizeof flight->outcome.text, "no request can be made (%s)",
                 bursar_error_code(result));
    on(flight, FLIGHT_ON_NO_REPLY);
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* Those who can still wait for the next attempt stay; the others are told now. */
static void part_waiters(struct flight *flight)
{
    struct request *waiters = flight_take_waiters(flight), *told = NULL, **end = &told;
    int64_t next_ms = clock_boot_ms() + flight->outcome.delay_ms;
    bool may_wait = flight->row.failures + 1 < RETRY_ATTEMPTS &&
                    flight->outcome.verdict != VERDICT_CLIENT && !flight->worker->is_draining &&
                    !flight->is_local;
    for (struct request *request = waiters, *next; request; request = next) {
        next = request->next;
        request->next = NULL;
        if (may_wait && next_ms < request->deadline_ms) {
            flight_join(flight, request);
            continue;
        }
        request->has_waited = true;
        request->wait_error = flight->outcome.error;
        request->retry_after_ms = flight->outcome.delay_ms;
        *end = request;
        end = &request->next;
    }
    worker_look_all(flight->worker, told, NULL);
}

/* A verdict that is final for this generation, good or bad: the row says it all. */
static void release_waiters(struct flight *flight, int error, const struct conn_row *row)
{
    struct worker *self = flight->worker;
    struct request *waiters = flight_take_waiters(flight);
    for (struct request *request = waiters; request; request = request->next) {
        request->has_waited = true;
        request->wait_error = error;
    }
    flight_free(flight);
    worker_look_all(self, waiters, row);
}

static void answer(struct flight *flight)
{
    struct worker *self = flight->worker;
    enum verdict_class verdict = flight->outcome.verdict;
    fault_point("conclusion-committed");
    atomic_fetch_add(verdict == VERDICT_OK ? &self->figures.refreshed : &self->figures.failed, 1);
    struct conn_row row;
    bool is_read = flight->now != NULL;
    if (is_read) {
        row = *flight->now;
        *flight->now = (struct conn_row){0};
        worker_tell_row(self, &row);
    } else {
        is_read = worker_read_changed(self, text_of(flight->id), &row);
    }
    if (verdict == VERDICT_GRANT)
        self->remind_at_ms = 0; /* its owner's first reminder may be the next one */
    if (verdict == VERDICT_OK || verdict == VERDICT_GRANT || verdict == VERDICT_UNCERTAIN) {
        release_waiters(flight, 0, is_read ? &row : NULL);
        if (is_read)
            conn_row_free(&row);
        fault_point("answered");
        return;
    }
    if (is_read)
        conn_row_free(&row);
    int64_t grant_ms = worker_gate_grant_wait_ms(self, &flight->row);
    if (grant_ms > flight->outcome.delay_ms) /* a second attempt counts for its ceiling too */
        flight->outcome.delay_ms = grant_ms;
    part_waiters(flight);
    if (flight->waiters)
        on(flight, FLIGHT_ON_AGAIN);
    else
        flight_free(flight);
}

/* The row has changed under the flight: everybody decides anew, a bounded number of times. */
static void look_again(struct flight *flight)
{
    struct worker *self = flight->worker;
    struct request *waiters = flight_take_waiters(flight);
    for (struct request *request = waiters; request; request = request->next) {
        request->has_waited = ++request->tries > TRIES_MAX;
        request->wait_error = BURSAR_E_PROVIDER_UNAVAILABLE;
    }
    flight_free(flight);
    worker_look_all(self, waiters, NULL);
    /* The planner finds the row as it is now; should it find the same again, then not in a circle. */
    self->plan_at_ms = clock_boot_ms() + STORE_RETRY_MS;
}

static void give_up(struct flight *flight)
{
    struct worker *self = flight->worker;
    release_waiters(flight, BURSAR_E_STORE_UNAVAILABLE, NULL);
    self->plan_at_ms = clock_boot_ms() + 4 * STORE_RETRY_MS;
}

/* Another attempt is for the row as it was: where that has changed, or nobody waits any more and the
 * planner would not begin it now, there is none. */
static bool read_again(struct flight *flight)
{
    struct worker *self = flight->worker;
    struct conn_row row;
    http_reply_free(&flight->reply);
    forget_prepared(flight);
    flight_forget_credential(flight);
    call_values_free(&flight->captures);
    flight->step = 0;
    flight->end = EXCHANGE_UNSENT;
    flight->is_local = flight->has_nothing = flight->has_rolled = flight->lacks_value = false;
    flight->is_unseen = false;
    flight->outcome = (struct flight_outcome){0};
    int result = self->broker->store->find(self->reader, flight->row.owner, text_of(flight->id),
                                           (struct text){NULL, 0}, (struct text){NULL, 0}, &row);
    if (result < 0)
        return false;
    bool is_same = row.generation == flight->row.generation && row.state == flight->row.state &&
                   !worker_is_swept(self, &row);
    bool is_planned = row.next_refresh_at <= clock_wall_s();
    conn_row_free(&flight->row);
    flight->row = row;
    flight->is_touched = seal_is_ending(self->broker->keyring, row.owner);
    return is_same && (flight->waiters || is_planned);
}

static void on(struct flight *flight, enum flight_input input)
{
    struct flight_step step = flight_next(flight->phase, input);
    flight->phase = step.phase;
    if ((BURSAR_MUTATION == 1 && step.action == FLIGHT_COMMIT_REPLY) ||
        (BURSAR_MUTATION == 2 && step.action == FLIGHT_COMMIT_INTENT)) {
        on(flight, FLIGHT_ON_COMMITTED);
        return;
    }
    switch (step.action) {
    case FLIGHT_QUEUE: worker_gate_queue(flight); break;
    case FLIGHT_COMMIT_INTENT: commit_intent(flight); break;
    case FLIGHT_SEND: send_request(flight); break;
    case FLIGHT_COMMIT_REPLY: commit_reply(flight); break;
    case FLIGHT_CONCLUDE:
        fault_point("reply-committed");
        conclude(flight);
        break;
    case FLIGHT_COMMIT_LATER: set_timer(flight, STORE_RETRY_MS); break;
    case FLIGHT_COMMIT_AGAIN: commit_again(flight); break;
    case FLIGHT_WAIT: set_timer(flight, flight->outcome.delay_ms); break;
    case FLIGHT_ANSWER: answer(flight); break;
    case FLIGHT_LOOK_AGAIN: look_again(flight); break;
    case FLIGHT_GIVE_UP: give_up(flight); break;
    }
}

void flight_timer(struct flight *flight)
{
    bool is_idle = flight->phase == FLIGHT_BACKOFF || flight->phase == FLIGHT_TURN;
    if (is_idle && flight->worker->is_draining) {
        struct worker *self = flight->worker;
        struct request *waiters = flight_take_waiters(flight);
        flight_free(flight);
        for (struct request *request = waiters, *next; request; request = next) {
            next = request->next;
            worker_refuse(self, request, BURSAR_E_SHUTTING_DOWN, NULL);
        }
        return;
    }
    if (flight->phase == FLIGHT_BACKOFF && !read_again(flight)) {
        on(flight, FLIGHT_ON_CONFLICT);
        return;
    }
    on(flight, FLIGHT_ON_TIMER);
}

void flight_turn(struct flight *flight)
{
    bool has_waited = flight->asked_in_round != flight->worker->round;
    on(flight, has_waited && !read_again(flight) ? FLIGHT_ON_CONFLICT : FLIGHT_ON_TURN);
}

void flight_sift(struct flight *flight)
{
    struct request *told = NULL;
    for (struct request *request = flight_take_waiters(flight), *next; request; request = next) {
        next = request->next;
        request->next = NULL;
        request->wait_error = worker_gate_refusal(flight->worker, request, NULL);
        request->has_waited = request->wait_error != 0;
        struct request **list = request->has_waited ? &told : &flight->waiters;
        request->next = *list;
        *list = request;
    }
    worker_look_all(flight->worker, told, NULL);
}

void flight_resume(struct flight *flight, bool has_reply)
{
    on(flight, has_reply ? FLIGHT_ON_RESUME : FLIGHT_ON_SETTLE);
}
