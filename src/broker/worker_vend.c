#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/secret.h"
#include "broker/dispatcher.h"
#include "broker/worker_export.h"
#include "broker/worker_parts.h"
#include "broker/worker_spender.h"
#include "broker/worker_sweep.h"
#include "policy/retry.h"
#include "policy/vend.h"
#include "vault/seal.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum {
    TRIES_MAX = 3,
    PLAIN_MAX = 1 << 20,
    SHARED_MAX =
        512 /* who share an answer: of ten thousand the first have theirs while the last are gone through */
};

/* ---- small answers ------------------------------------------------------------------------------- */

static void give(struct worker *self, struct answer *answer)
{
    dispatcher_send(self->broker->dispatcher, answer);
}

void worker_refuse(struct worker *self, struct request *request, int error, const char *text)
{
    struct answer *answer = answer_new(request->ticket);
    answer->error = error;
    answer->retry_after_ms = request->retry_after_ms;
    if (text)
        buf_append_string(&answer->text, text);
    give(self, answer);
    request_free(request);
}

/* A refusal with what the row tells about it. */
static void refuse_with_row(struct worker *self, struct request *request, int error,
                            const struct conn_row *row)
{
    struct answer *answer = answer_new(request->ticket);
    answer->error = error;
    answer->retry_after_ms = request->retry_after_ms;
    if (row->last_error.data && error != BURSAR_E_REVOKED && error != BURSAR_E_FROZEN)
        buf_append_text(&answer->provider_error, row->last_error);
    if (error == BURSAR_E_NEEDS_REAUTH && row->reason.data) {
        buf_append_string(&answer->text, bursar_error_text(error));
        buf_append_string(&answer->text, " (");
        buf_append_text(&answer->text, row->reason);
        buf_append_string(&answer->text, ")");
    }
    give(self, answer);
    request_free(request);
}

/* Nothing can be sent for the row in time: why, and what the provider said last. */
static void refuse_at_gate(struct worker *self, struct request *request, int error,
                           const struct conn_row *row)
{
    struct answer *answer = answer_new(request->ticket);
    const char *text = worker_gate_text(self, error);
    answer->error = error;
    answer->retry_after_ms = request->retry_after_ms;
    if (text)
        buf_append_string(&answer->text, text);
    if (row->last_error.data)
        buf_append_text(&answer->provider_error, row->last_error);
    give(self, answer);
    request_free(request);
}

/* ---- the row ------------------------------------------------------------------------------------- */

/* To whoever asks, what a freeze that is under way has selected is frozen. */
static void hide_if_swept(struct worker *self, struct conn_row *row)
{
    if (worker_is_swept(self, row)) {
        row->prior_state = row->state;
        row->state = CONN_FROZEN;
    }
}

int worker_find(struct worker *self, const struct job *job, struct conn_row *out_row)
{
    struct text account = job->account.data ? job->account : TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
    int result = self->broker->store->find(self->reader, job->owner, job->connection, job->provider,
                                           account, out_row);
    if (result == BURSAR_E_NOT_FOUND && !job->connection.data)
        return BURSAR_E_NOT_CONNECTED;
    if (result == 0 && !worker_sweep_knows_all(self)) {
        conn_row_free(out_row);
        return BURSAR_E_STORE_UNAVAILABLE;
    }
    if (result == 0)
        hide_if_swept(self, out_row);
    return result == BURSAR_E_NOMEM ? BURSAR_E_STORE_UNAVAILABLE : result;
}

bool worker_can_refresh(const struct worker *self, const struct conn_row *row)
{
    return row->can_refresh && self->connector && connector_can_refresh(self->connector, true);
}

struct vend_view worker_view(const struct worker *self, const struct conn_row *row)
{
    struct vend_view view = conn_row_view(row);
    view.can_refresh = worker_can_refresh(self, row);
    return view;
}

/* ---- serving ------------------------------------------------------------------------------------- */

/* An answer with the row's credential for one ticket; more can be added. */
static struct answer *credential_answer(struct worker *self, const struct conn_row *row,
                                        const struct vend_view *view,
                                        const struct vend_decision *decision, uint64_t ticket)
{
    struct answer *answer = answer_new(ticket);
    bool is_in_flight = flight_find(self, row->id) != NULL;
    answer->entry = warm_of_row(row);
    answer->is_stale = decision->is_stale;
    answer->refresh_state = vend_refresh_state(view, clock_wall_s(), is_in_flight);
    if (vend_is_due(view, clock_wall_s()) && !worker_gate_lets_through(self))
        answer->refresh_state = "held";
    answer->keep = decision->action == VEND_SERVE && !decision->is_stale ? WARM_YES : WARM_NOT;
    if (view->is_failing || decision->is_stale)
        buf_append_text(&answer->last_error,
                        row->last_error.data ? row->last_error : TEXT_LITERAL(""));
    return answer;
}

static void serve(struct worker *self, struct request *request, const struct conn_row *row,
                  const struct vend_view *view, const struct vend_decision *decision)
{
    struct answer *answer = credential_answer(self, row, view, decision, request->ticket);
    if (request->may_export && row->grant.data)
        buf_append_text(&answer->grant, row->grant);
    give(self, answer);
    request_free(request);
}

/* What the op answers about the generation alone: the row as it is, whatever its state. */
static void serve_generation(struct worker *self, struct request *request,
                             const struct conn_row *row)
{
    struct vend_view view = worker_view(self, row);
    struct vend_decision decision = {.action = VEND_SERVE_REFRESH};
    serve(self, request, row, &view, &decision);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

/* How a caller hears of the last failed attempt where none is under way. */
static int error_of_row(const struct conn_row *row)
{
    /* Of a refusal that is not confirmed yet nobody has to hear as of one that is. */
    bool is_told = row->last_outcome != VERDICT_OK && row->last_outcome != VERDICT_GRANT;
    return is_told ? verdict_error(row->last_outcome) : BURSAR_E_PROVIDER_UNAVAILABLE;
}

/* Joins the flight of the row, or begins one; refuses at once where waiting is of no use. */
static void wait_for_flight(struct worker *self, struct request *request,
                            const struct conn_row *row)
{
    struct flight *flight = flight_find(self, row->id);
    int64_t now_ms = clock_boot_ms(), delay_ms = 0;
    bool is_queued = flight && (flight->phase == FLIGHT_TURN || flight->phase == FLIGHT_BACKOFF);
    int refusal = 0;
    if (!flight || is_queued)
        refusal = worker_gate_refusal(self, request, flight ? NULL : row);
    if (refusal != 0) {
        refuse_at_gate(self, request, refusal, row);
        return;
    }
    request->retry_after_ms = 0;
    bool has_failed = row->failures > 0 && row->next_refresh_at != EXPIRY_NEVER;
    if (!flight && has_failed && !request->job.force) {
        delay_ms = (row->next_refresh_at - clock_wall_s()) * 1000;
        if (delay_ms > 2 * RETRY_AFTER_MAX_MS) /* the clock was set back */
            delay_ms = 0;
        bool is_in_time = now_ms + delay_ms < request->deadline_ms;
        if (delay_ms > 0 && (row->failures >= RETRY_ATTEMPTS || !is_in_time ||
                             row->last_outcome == VERDICT_CLIENT)) {
            request->retry_after_ms = delay_ms;
            refuse_with_row(self, request, error_of_row(row), row);
            return;
        }
    }
    if (!flight && HASH_COUNT(self->flights) >= WORKER_FLIGHTS_MAX) {
        worker_refuse(self, request, BURSAR_E_OVERLOADED, NULL);
        return;
    }
    if (!flight)
        flight = flight_begin_for(request, self, row, delay_ms);
    if (flight)
        flight_join(flight, request);
    else
        worker_refuse(self, request, BURSAR_E_SHUTTING_DOWN, NULL);
}

/* After a flight, and there is still nothing that serves this request. */
static void refuse_after_wait(struct worker *self, struct request *request,
                              const struct conn_row *row, const struct vend_view *view)
{
    if (request->wait_error != 0)
        refuse_with_row(self, request, request->wait_error, row);
    else if (vend_is_good(view, clock_wall_s(), 0))
        worker_refuse(self, request, BURSAR_E_BAD_REQUEST,
                      "min_ttl_s is more than this provider's secrets live");
    else if (request->tries++ < TRIES_MAX)
        wait_for_flight(self, request, row);
    else
        worker_refuse(self, request, BURSAR_E_PROVIDER_UNAVAILABLE,
                      "the provider gives secrets that have already expired");
}

/* ---- the ops ------------------------------------------------------------------------------------- */

/* Whether the last attempt failed and the next one has its time: asking again does not hasten it. */
static bool backs_off(const struct conn_row *row)
{
    return row->failures > 0 && row->next_refresh_at != EXPIRY_NEVER &&
           row->next_refresh_at > clock_wall_s();
}

static void start_behind(struct worker *self, const struct request *request,
                         const struct conn_row *row)
{
    if (!backs_off(row) && worker_gate_lets_through(self) && !flight_find(self, row->id) &&
        HASH_COUNT(self->flights) < WORKER_FLIGHTS_MAX)
        flight_begin_for(request, self, row, 0);
}

static void vend(struct worker *self, struct request *request, const struct conn_row *row)
{
    const struct job *job = &request->job;
    struct vend_view view = worker_view(self, row);
    struct vend_decision decision = vend_decide(&view, clock_wall_s(), job->min_ttl_s);
    if (view.has_secret && job->kind.data && !text_equal(job->kind, row->kind) &&
        decision.action != VEND_REFUSE) {
        worker_refuse(self, request, BURSAR_E_KIND_MISMATCH, NULL);
        return;
    }
    switch (decision.action) {
    case VEND_SERVE_REFRESH:
        start_behind(self, request, row);
        serve(self, request, row, &view, &decision);
        break;
    case VEND_SERVE: serve(self, request, row, &view, &decision); break;
    case VEND_WAIT:
        if (request->has_waited)
            refuse_after_wait(self, request, row, &view);
        else
            wait_for_flight(self, request, row);
        break;
    case VEND_REFUSE: refuse_with_row(self, request, decision.error, row); break;
    }
}

/* What a state says to somebody who wants a refresh; 0 where one may be made. */
static int refresh_refusal(const struct worker *self, const struct conn_row *row)
{
    switch (row->state) {
    case CONN_REVOKED: return BURSAR_E_REVOKED;
    case CONN_FROZEN: return BURSAR_E_FROZEN;
    case CONN_NEEDS_REAUTH: return BURSAR_E_NEEDS_REAUTH;
    case CONN_IN_DOUBT: return BURSAR_E_IN_DOUBT;
    case CONN_ACTIVE: return worker_can_refresh(self, row) ? 0 : BURSAR_E_UNSUPPORTED_OP;
    default: return BURSAR_E_NOT_CONNECTED;
    }
}

static void accept_refresh(struct worker *self, struct request *request)
{
    struct answer *answer = answer_new(request->ticket);
    struct pack map = pack_map(&answer->body);
    pack_bool(&map, "accepted", true);
    pack_close(&map);
    give(self, answer);
    request_free(request);
}

/* `async`: the wish is on the disk; if the process ends now the planner will take it up. */
static void refresh_planned(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    struct conn_row row;
    message->request = NULL;
    if (message->change.result == BURSAR_E_CONFLICT && request->tries++ < TRIES_MAX) {
        worker_look(self, request); /* the row moved on in between */
    } else if (message->change.result < 0) {
        worker_refuse(self, request, message->change.result, NULL);
    } else {
        if (worker_find(self, &request->job, &row) == 0) {
            start_behind(self, request, &row);
            conn_row_free(&row);
        }
        accept_refresh(self, request);
    }
    write_free(message);
}

static void refresh(struct worker *self, struct request *request, const struct conn_row *row)
{
    struct vend_view view = worker_view(self, row);
    int refusal = refresh_refusal(self, row);
    bool is_meant = !request->job.has_generation || request->job.generation == row->generation;
    bool is_wanted = (request->job.force && is_meant) || vend_is_due(&view, clock_wall_s());
    if (request->has_waited) {
        if (request->wait_error != 0 && refusal == 0)
            refuse_with_row(self, request, request->wait_error, row);
        else if (refusal != 0)
            refuse_with_row(self, request, refusal, row);
        else
            serve_generation(self, request, row);
    } else if (refusal == BURSAR_E_UNSUPPORTED_OP) {
        worker_refuse(self, request, refusal, "this credential cannot be refreshed");
    } else if (refusal != 0) {
        refuse_with_row(self, request, refusal, row);
    } else if (!is_wanted || (request->job.is_async && !request->job.force && backs_off(row))) {
        if (request->job.is_async)
            accept_refresh(self, request);
        else
            serve_generation(self, request, row);
    } else if (request->job.is_async) {
        struct write_message *message = write_new(CHANGE_PLAN, row->id);
        message->change.at_ms = clock_wall_ms();
        message->change.expect_generation = row->generation;
        message->request = request;
        worker_write(self, message, refresh_planned, self);
    } else {
        wait_for_flight(self, request, row);
    }
}

/* The generation that an invalidate means: given, by the token's hash, or the current one. */
static int meant_generation(struct worker *self, const struct job *job, const struct conn_row *row,
                            uint64_t *out_generation)
{
    char hex[65];
    struct open_credential credential;
    *out_generation = job->has_generation ? job->generation : row->generation;
    if (!job->access_token_sha256.data)
        return 0;
    int result = worker_open_credential(self, row, &credential);
    if (result < 0)
        return BURSAR_E_INTERNAL;
    const struct node *secret = tree_root(self->secret_tree);
    const char *part = doc_main_part(node_text(node_get(secret, "kind")));
    secret_sha256_hex(part ? doc_part(secret, part) : TEXT_LITERAL(""), hex);
    worker_close_credential(&credential);
    /* Another token than the current one is taken for an older one. */
    if (!text_is(job->access_token_sha256, hex)) {
        worker_note_token(self, row, job->access_token_sha256);
        *out_generation = row->generation > 0 ? row->generation - 1 : 0;
    }
    return 0;
}

static void invalidation_committed(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    worker_row_changed(self, message->change.connection);
    write_free(message);
    if (result < 0 && result != BURSAR_E_CONFLICT) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    request->is_invalidated = true;
    worker_look(self, request);
}

/* The current generation was refused somewhere: say so on the disk, then see to a new one. */
static void invalidate_current(struct worker *self, struct request *request,
                               const struct conn_row *row)
{
    struct write_message *message = write_new(CHANGE_INVALIDATE, row->id);
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = row->generation;
    if (!row->can_refresh) { /* nothing here can get another one: its owner has to */
        message->change.move = MOVE_REFUSED;
        message->change.outcome = VERDICT_GRANT;
        message->change.reason = TEXT_LITERAL("invalidated");
        message->change.remind_at = worker_remind_at(self);
    }
    message->request = request;
    worker_write(self, message, invalidation_committed, self);
}

static void invalidate(struct worker *self, struct request *request, const struct conn_row *row)
{
    uint64_t meant;
    struct vend_view view = worker_view(self, row);
    if (row->state == CONN_REVOKED || row->state == CONN_FROZEN || row->state == CONN_PENDING) {
        refuse_with_row(self, request, refresh_refusal(self, row), row);
        return;
    }
    int result = meant_generation(self, &request->job, row, &meant);
    if (result < 0) {
        worker_refuse(self, request, result, "the stored secret does not open");
        return;
    }
    /* What it means is settled once: a newer generation is not meant when it looks again. */
    request->job.generation = meant;
    request->job.has_generation = true;
    request->job.access_token_sha256 = (struct text){NULL, 0};
    if (meant > row->generation) {
        worker_refuse(self, request, BURSAR_E_CONFLICT, "there is no such generation yet");
    } else if (meant == row->generation && !view.is_invalidated && !request->is_invalidated) {
        invalidate_current(self, request, row);
    } else if (row->state == CONN_NEEDS_REAUTH) {
        refuse_with_row(self, request, BURSAR_E_NEEDS_REAUTH, row);
    } else if (request->job.vend) {
        vend(self, request, row);
    } else {
        if (vend_is_due(&view, clock_wall_s()))
            start_behind(self, request, row);
        serve_generation(self, request, row);
    }
}

/* ---- entry --------------------------------------------------------------------------------------- */

static void look_at(struct worker *self, struct request *request, const struct conn_row *row)
{
    switch (request->job.op) {
    case OP_REFRESH: refresh(self, request, row); break;
    case OP_INVALIDATE: invalidate(self, request, row); break;
    case OP_EXPORT: worker_export(self, request); break;
    default: vend(self, request, row);
    }
}

void worker_look(struct worker *self, struct request *request)
{
    struct conn_row row;
    int result = worker_find(self, &request->job, &row);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    look_at(self, request, &row);
    conn_row_free(&row);
}

/* A plain vend that the row serves: it can share one answer with others of its kind. */
static bool is_plain_vend(const struct request *request, const struct conn_row *row)
{
    const struct job *job = &request->job;
    return job->op == OP_VEND && !request->may_export &&
           (!job->kind.data || text_equal(job->kind, row->kind));
}

void worker_look_all(struct worker *self, struct request *waiters, const struct conn_row *known)
{
    struct conn_row row;
    struct answer *shared = NULL;
    struct request *served = NULL;
    if (!waiters)
        return;
    int result = 0;
    if (known && !worker_sweep_knows_all(self))
        known = NULL;
    if (known) {
        row = *known;
        hide_if_swept(self, &row);
    } else {
        result = worker_find(self, &waiters->job, &row);
    }
    for (struct request *request = waiters, *next; request; request = next) {
        next = request->next;
        request->next = NULL;
        if (result < 0) { /* by id and by key the same absence has different names */
            worker_look(self, request);
            continue;
        }
        struct vend_view view = worker_view(self, &row);
        struct vend_decision decision = vend_decide(&view, clock_wall_s(), request->job.min_ttl_s);
        if (decision.action != VEND_SERVE || !is_plain_vend(request, &row)) {
            look_at(self, request, &row);
            continue;
        }
        if (!shared)
            shared = credential_answer(self, &row, &view, &decision, request->ticket);
        else
            answer_add_ticket(shared, request->ticket);
        request->next = served;
        served = request;
        if (shared->ticket_count == SHARED_MAX) {
            give(self, shared);
            shared = NULL;
        }
    }
    if (shared)
        give(self, shared);
    request_free_all(served); /* when all are told */
    if (result == 0 && !known)
        conn_row_free(&row);
}

/* The warm table follows: a row that may be served from memory takes the place of the one that is
 * there, any other takes it out. row NULL: it cannot be read. */
static void tell_warm(struct worker *self, struct text id, const struct conn_row *row)
{
    struct answer *answer = answer_new(TICKET_NONE);
    if (row) {
        struct vend_view view = worker_view(self, row);
        struct vend_decision decision = vend_decide(&view, clock_wall_s(), 0);
        if (decision.action == VEND_SERVE && !decision.is_stale) {
            answer->entry = warm_of_row(row);
            answer->keep = WARM_IF_KNOWN;
        }
    }
    if (!answer->entry && id.len < sizeof answer->forget)
        memcpy(answer->forget, id.data, id.len);
    give(self, answer);
}

void worker_tell_row(struct worker *self, const struct conn_row *row)
{
    tell_warm(self, row->id, row);
}

bool worker_read_changed(struct worker *self, struct text id, struct conn_row *out_row)
{
    static const struct text none = {NULL, 0};
    bool is_read = self->broker->store->find(self->reader, none, id, none, none, out_row) == 0;
    tell_warm(self, id, is_read ? out_row : NULL);
    return is_read;
}

void worker_tell_warm(struct worker *self, struct text id)
{
    struct conn_row row;
    if (worker_read_changed(self, id, &row))
        conn_row_free(&row);
}

void worker_row_changed(struct worker *self, struct text id)
{
    struct flight *flight = flight_find(self, id);
    worker_tell_warm(self, id);
    worker_plan_soon(self);
    if (flight)
        worker_look_all(self, flight_take_waiters(flight), NULL);
}
