#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/record.h"
#include "broker/worker_parts.h"
#include "broker/worker_revoke.h"
#include "connector/call.h"
#include "policy/vend.h"
#include "vault/seal.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum { TRIES_MAX = 8, PACKED_MAX = 1 << 20 /* above what wire/job.h lets through */ };

static void give(struct worker *self, struct answer *answer, struct request *request)
{
    if (answer->error == 0 && buf_error(&answer->body) != 0)
        answer->error = BURSAR_E_INTERNAL;
    dispatcher_send(self->broker->dispatcher, answer);
    request_free(request);
}

/* ---- get ----------------------------------------------------------------------------------------- */

static void answer_record(struct worker *self, struct request *request, const struct conn_row *row)
{
    struct answer *answer = answer_new(request->ticket);
    struct pack map = pack_map(&answer->body);
    struct pack record = pack_map_in(&map, "record");
    record_pack(&record, row);
    pack_close(&record);
    pack_close(&map);
    give(self, answer, request);
}

static void get(struct worker *self, struct request *request)
{
    struct conn_row row;
    int result = worker_find(self, &request->job, &row);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    answer_record(self, request, &row);
    conn_row_free(&row);
}

/* ---- what a job brings along ---------------------------------------------------------------------- */

/* Metadata and tags as they are stored; absent where the job does not give them. */
static void keep_data(struct write_message *message, const struct job *job)
{
    struct buf metadata = buf_make(PACKED_MAX), tags = buf_make(PACKED_MAX);
    if (job->metadata)
        node_pack(job->metadata, &metadata);
    if (job->tags)
        node_pack(job->tags, &tags);
    if (job->metadata)
        message->change.metadata = write_keep(message, buf_text(&metadata));
    if (job->tags)
        message->change.tags = write_keep(message, buf_text(&tags));
    buf_free(&metadata);
    buf_free(&tags);
}

static struct text account_of(const struct job *job)
{
    return job->account.data ? job->account : TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
}

/* ---- create --------------------------------------------------------------------------------------- */

static void created(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    struct answer *answer = answer_new(request->ticket);
    message->request = NULL;
    answer->error = message->change.result;
    if (answer->error == BURSAR_E_CONFLICT)
        buf_append_string(&answer->text, "the owner has a connection of this account already");
    struct pack map = pack_map(&answer->body);
    struct conn_row row;
    pack_text(&map, "connection", message->change.connection);
    if (answer->error == 0 && worker_find(self, &request->job, &row) == 0) {
        struct pack record = pack_map_in(&map, "record");
        record_pack(&record, &row);
        pack_close(&record);
        conn_row_free(&row);
    }
    pack_close(&map);
    write_free(message);
    give(self, answer, request);
}

static void create(struct worker *self, struct request *request)
{
    char id[ID_SIZE];
    const struct job *job = &request->job;
    int64_t now_ms = clock_wall_ms();
    if (!self->connector) {
        worker_refuse(self, request, BURSAR_E_UNKNOWN_PROVIDER, NULL);
        return;
    }
    id_make(self->connector->provider, now_ms, id);
    struct write_message *message = write_new(CHANGE_CREATE, text_of(id));
    message->change.at_ms = now_ms;
    message->change.owner = job->owner; /* borrows from the request, which goes along */
    message->change.provider = job->provider;
    message->change.account = account_of(job);
    keep_data(message, job);
    message->request = request;
    worker_write(self, message, created, self);
}

/* ---- put ------------------------------------------------------------------------------------------- */

/* Of a put that nobody waits for (a device's consent, a seed) only the log can tell. */
static void log_unheard(const struct worker *self, const struct request *request, int error)
{
    if (request->ticket == TICKET_NONE)
        LOG(LOG_ERROR, "a secret that came could not be put",
            LOG_S("provider", self->connector ? self->connector->provider : ""),
            LOG_T("owner", request->job.owner), LOG_S("error", bursar_error_code(error)));
}

static void tell_end(const struct request *request, int result)
{
    if (request->ended)
        request->ended(request->context, result);
}

static void put_done(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    if (result == BURSAR_E_CONFLICT && !request->job.has_expect_generation &&
        request->tries++ < TRIES_MAX) {
        write_free(message);
        worker_put(self, request); /* the row moved on between the look and the commit */
        return;
    }
    if (result == 0)
        worker_row_changed(self, message->change.connection);
    tell_end(request, result);
    if (result == 0 && request->wants_record) {
        write_free(message);
        get(self, request);
        return;
    }
    if (result < 0)
        log_unheard(self, request, result);
    struct answer *answer = answer_new(request->ticket);
    answer->error = result;
    if (result == BURSAR_E_NOT_FOUND && request->consent.data)
        buf_append_string(&answer->text, CONSENT_UNKNOWN);
    struct pack map = pack_map(&answer->body);
    pack_text(&map, "connection", message->change.connection);
    pack_uint(&map, "generation", message->change.generation);
    pack_close(&map);
    write_free(message);
    give(self, answer, request);
}

static void join_scopes(const struct node *scopes, struct buf *out)
{
    for (size_t i = 0; i < node_count(scopes); i++) {
        if (i > 0)
            buf_append_byte(out, ' ');
        buf_append_text(out, node_text(node_item(scopes, i)));
    }
}

/* When a stored secret is due. One without its access token is due at once. */
static void set_times(struct worker *self, const struct request *request, const struct doc_put *doc,
                      bool has_main, struct change_secret *out)
{
    const struct job *job = &request->job;
    const struct connector *connector = self->connector;
    int64_t now = clock_wall_s();
    double jitter = (double)id_random_below(2000001) / 1000000.0 - 1.0;
    out->issued_at = now;
    out->expires_at = job->has_expires_at ? job->expires_at : EXPIRY_NEVER;
    if (!job->has_expires_at && connector->default_ttl_s > 0)
        out->expires_at = now + connector->default_ttl_s;
    if (!has_main)
        out->expires_at = now;
    out->can_refresh = connector_can_refresh(connector, doc->has_refresh_token);
    const struct due_input due = {.issued_at = now,
                                  .expires_at = out->expires_at,
                                  .hinted_at =
                                      request->has_hint ? request->hinted_at : EXPIRY_NEVER,
                                  .lead_s = worker_lead_s(self, now, out->expires_at),
                                  .jitter = jitter};
    out->due_at = out->can_refresh ? connector_due_at(connector, &due) : EXPIRY_NEVER;
    out->refresh_expires_at = EXPIRY_NEVER;
    if (doc->has_refresh_expires_at)
        out->refresh_expires_at = doc->refresh_expires_at;
    else if (doc->has_refresh_token && connector->grant_ttl_s > 0)
        out->refresh_expires_at = now + connector->grant_ttl_s;
    else if (doc->has_refresh_token && connector->refresh_token_ttl_s > 0)
        out->refresh_expires_at = now + connector->refresh_token_ttl_s;
}

static int seal_put(struct worker *self, struct doc_put *doc, struct text owner,
                    struct text metadata, struct write_message *message)
{
    struct seal_place place = {owner, message->change.connection, SEAL_SECRET,
                               message->change.expect_generation + 1};
    int result =
        doc->has_apply ? 0 : worker_add_apply(self, buf_text(&doc->grant), metadata, &doc->secret);
    if (result == 0)
        result = seal(self->broker->keyring, &place, buf_text(&doc->secret), &message->secret);
    place.kind = SEAL_GRANT;
    if (result == 0 && doc->has_grant)
        result = seal(self->broker->keyring, &place, buf_text(&doc->grant), &message->grant);
    return result;
}

/* The change of a put; row is NULL where there is none yet. */
static struct write_message *make_put(struct worker *self, struct request *request,
                                      struct doc_put *doc, const struct conn_row *row)
{
    char id[ID_SIZE];
    const struct job *job = &request->job;
    int64_t now_ms = clock_wall_ms();
    const char *main_part = doc_main_part(text_of(doc->kind));
    bool has_main = node_type(node_get(job->secret, main_part)) == NODE_TEXT ||
                    (strcmp(doc->kind, "api_key") == 0 && !doc->has_grant);
    struct buf scopes = buf_make(PACKED_MAX);
    id_make(self->connector->provider, now_ms, id);
    struct write_message *message = write_new(CHANGE_PUT, row ? row->id : text_of(id));
    struct store_change *change = &message->change;
    change->at_ms = now_ms;
    change->is_new = !row;
    change->expect_generation = row ? row->generation : 0;
    change->owner = job->owner;
    change->provider = text_of(self->connector->provider);
    change->account = account_of(job);
    change->consent = write_keep(message, request->consent);
    change->is_held = job->hold;
    if (job->hold)
        change->reason = TEXT_LITERAL("hand_over");
    const struct node *granted = job->scopes ? job->scopes : node_get(job->secret, "scopes");
    join_scopes(granted, &scopes);
    change->secret.kind = write_keep(message, text_of(doc->kind));
    if (granted)
        change->secret.scopes = write_keep(message, buf_text(&scopes));
    buf_free(&scopes);
    keep_data(message, job); /* of a shared credential: where the secret comes from */
    set_times(self, request, doc, has_main, &change->secret);
    struct text metadata = change->metadata.data || !row ? change->metadata : row->metadata;
    if (seal_put(self, doc, job->owner, metadata, message) < 0) {
        write_free(message);
        return NULL;
    }
    change->secret.secret = buf_text(&message->secret);
    if (doc->has_grant)
        change->secret.grant = buf_text(&message->grant);
    return message;
}

/* 0, or why this secret cannot be put here. row is NULL where there is none yet. */
static int check_put(struct worker *self, const struct job *job, const struct doc_put *doc,
                     const struct conn_row *row, struct buf *error)
{
    const char *kind = self->connector->module->secret_kind;
    const char *part = doc_main_part(text_of(doc->kind));
    bool is_made = doc->has_grant && node_type(node_get(job->secret, part)) != NODE_TEXT;
    uint64_t generation = row ? row->generation : 0;
    if (kind && strcmp(kind, doc->kind) != 0) {
        buf_printf(error, "this provider's secrets are of the kind %s", kind);
        return BURSAR_E_KIND_MISMATCH;
    }
    if (is_made && !connector_can_refresh(self->connector, doc->has_refresh_token)) {
        buf_printf(error, "secret.%s is required: this provider's are not made from a grant", part);
        return BURSAR_E_BAD_REQUEST;
    }
    if (job->hold && generation > 0) {
        buf_append_string(error, "hold is for a first secret, and there is one");
        return BURSAR_E_CONFLICT;
    }
    if (job->has_expect_generation && job->expect_generation != generation) {
        buf_printf(error, "the current generation is %llu", (unsigned long long)generation);
        return BURSAR_E_CONFLICT;
    }
    return 0;
}

void worker_put(struct worker *self, struct request *request)
{
    const struct job *job = &request->job;
    struct buf error = buf_make(1024);
    struct doc_put doc = {.secret = {0}};
    struct conn_row row = {0};
    struct write_message *message = NULL;
    /* First the row: about one that is not the owner's nothing else is said. */
    int result = worker_find(self, job, &row);
    bool is_new = result == BURSAR_E_NOT_CONNECTED;
    if (result == 0 || is_new)
        result =
            self->connector ? doc_read_put(job->secret, &doc, &error) : BURSAR_E_UNKNOWN_PROVIDER;
    if (result == 0 && !is_new && row.state == CONN_FROZEN)
        result = BURSAR_E_FROZEN; /* also where a freeze is still on its way to it */
    if (result == 0)
        result = check_put(self, job, &doc, is_new ? NULL : &row, &error);
    if (result == 0 && !(message = make_put(self, request, &doc, is_new ? NULL : &row)))
        result = BURSAR_E_INTERNAL;
    if (message) {
        message->request = request;
        worker_write(self, message, put_done, self);
    } else {
        log_unheard(self, request, result);
        tell_end(request, result);
        worker_refuse(self, request, result, (const char *)error.data);
    }
    doc_put_free(&doc);
    conn_row_free(&row);
    buf_free(&error);
}

/* ---- update ---------------------------------------------------------------------------------------- */

static void try_again(struct worker *self, const struct job *job)
{
    struct conn_row row;
    if (worker_find(self, job, &row) < 0)
        return;
    struct vend_view view = worker_view(self, &row);
    bool is_due = worker_can_refresh(self, &row) && vend_is_due(&view, clock_wall_s());
    if (row.state == CONN_ACTIVE && is_due && row.failures > 0 && !flight_find(self, row.id) &&
        worker_gate_lets_through(self))
        flight_begin(self, &row, 0);
    conn_row_free(&row);
}

static void updated(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    if (request->job.metadata) /* it may have what the last attempt lacked */
        try_again(self, &request->job);
    get(self, request);
}

static void update(struct worker *self, struct request *request)
{
    struct conn_row row;
    const struct job *job = &request->job;
    int result = worker_find(self, job, &row);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    struct write_message *message = write_new(CHANGE_UPDATE, row.id);
    message->change.at_ms = clock_wall_ms();
    message->change.owner = job->owner;
    message->change.has_expect_generation = job->has_expect_generation;
    message->change.expect_generation = job->expect_generation;
    keep_data(message, job);
    message->request = request;
    conn_row_free(&row);
    worker_write(self, message, updated, self);
}

/* ---- revoke, restore, freeze, thaw, delete ------------------------------------------------------------------------ */

/* A move, and then, where it was asked for, the revocation at the provider. */
struct errand {
    struct worker *worker;
    struct request *request;
    struct conn_row row; /* as it was before */
    enum conn_state state;
};

static void answer_errand(struct errand *errand, struct text provider_says)
{
    struct worker *self = errand->worker;
    struct answer *answer = answer_new(errand->request->ticket);
    struct pack map = pack_map(&answer->body);
    pack_text(&map, "connection", errand->row.id);
    if (errand->request->job.op == OP_DELETE)
        pack_bool(&map, "deleted", true);
    else
        pack_string(&map, "state", conn_state_name(errand->state));
    if (errand->request->job.at_provider)
        pack_text(&map, "at_provider", provider_says);
    pack_close(&map);
    give(self, answer, errand->request);
    conn_row_free(&errand->row);
    free(errand);
}

static void revocation_ended(void *context, const struct revocation *end)
{
    answer_errand(context, end->says);
}

/* A refresh may have been committed before the move: its token is the one to be revoked. A row that was
 * deleted is known as it was. */
static void read_newest(struct errand *errand)
{
    static const struct text none = {NULL, 0};
    struct worker *self = errand->worker;
    struct conn_row row;
    if (self->broker->store->find(self->reader, errand->row.owner, errand->row.id, none, none,
                                  &row) < 0)
        return;
    conn_row_free(&errand->row);
    errand->row = row;
}

static void moved(void *context, struct write_message *message)
{
    struct errand *errand = context;
    struct worker *self = errand->worker;
    int result = message->change.result;
    errand->state = message->change.state;
    errand->request = message->request;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        worker_refuse(self, errand->request, result,
                      result == BURSAR_E_CONFLICT ? "the connection is not in a state for this"
                                                  : NULL);
        conn_row_free(&errand->row);
        free(errand);
        return;
    }
    worker_row_changed(self, errand->row.id);
    read_newest(errand);
    if (!errand->request->job.at_provider)
        answer_errand(errand, (struct text){NULL, 0});
    else
        worker_revoke(self, &errand->row, revocation_ended, errand);
}

static void move(struct worker *self, struct request *request)
{
    static const enum conn_move moves[OP_END] = {[OP_REVOKE] = MOVE_REVOKE,
                                                 [OP_RESTORE] = MOVE_RESTORE,
                                                 [OP_FREEZE] = MOVE_FREEZE,
                                                 [OP_THAW] = MOVE_THAW,
                                                 [OP_DELETE] = MOVE_DELETE};
    struct errand *errand = memory_new(sizeof *errand);
    int result = worker_find(self, &request->job, &errand->row);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        free(errand);
        return;
    }
    errand->worker = self;
    struct write_message *message = write_new(CHANGE_MOVE, errand->row.id);
    message->change.at_ms = clock_wall_ms();
    message->change.owner = request->job.owner;
    message->change.move = moves[request->job.op];
    if (request->job.op == OP_REVOKE || request->job.op == OP_FREEZE)
        message->change.reason =
            request->job.reason; /* borrows from the request, which goes along */
    message->change.remind_at = worker_remind_at(self);
    message->request = request;
    worker_write(self, message, moved, errand);
}

/* ---- entry ------------------------------------------------------------------------------------------ */

void worker_admin(struct worker *self, struct request *request)
{
    switch (request->job.op) {
    case OP_GET: get(self, request); break;
    case OP_PUT: worker_put(self, request); break;
    case OP_CREATE: create(self, request); break;
    case OP_UPDATE: update(self, request); break;
    case OP_REVOKE:
    case OP_RESTORE:
    case OP_FREEZE:
    case OP_THAW:
    case OP_DELETE: move(self, request); break;
    default: worker_refuse(self, request, BURSAR_E_UNSUPPORTED_OP, NULL);
    }
}
