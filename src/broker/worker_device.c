#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/worker_consent.h"
#include "wire/pack.h"

enum {
    INTERVAL_S = 5, /* RFC 8628 section 3.2: where the provider gives none */
    SLOWER_S = 5,   /* section 3.5 */
    INTERVAL_MAX_S = 300,
    LIFE_S = 600,
    LIFE_MAX_S = 3600,
    LINGER_S = 3600, /* what is kept outlives the code: its end is to be told */
    TEXT_MAX = 65536
};

static const struct text none = {NULL, 0};

struct grant;

/* A device whose owner is to say yes. */
struct poll {
    struct heap_node timer; /* boot time in ms; first member */
    struct worker *worker;
    uint8_t digest[CONSENT_DIGEST_BYTES];
    struct buf kept; /* a packed map */
    int64_t interval_s, ends_at;
    struct grant *grant; /* what came of it, from its end on; NULL: nothing yet */
};

/* The outcome of a poll until it is committed. */
struct grant {
    struct call_outcome outcome;
    bool is_given;
    char why[256]; /* where it is not given */
};

static void poll_free(struct poll *poll)
{
    heap_remove(&poll->worker->polls, &poll->timer);
    if (poll->grant)
        call_outcome_free(&poll->grant->outcome);
    free(poll->grant);
    buf_free(&poll->kept);
    free(poll);
}

static void poll_later(struct poll *poll)
{
    if (heap_set(&poll->worker->polls, &poll->timer, clock_boot_ms() + poll->interval_s * 1000) < 0)
        abort(); /* out of memory */
}

/* ---- the end of one -------------------------------------------------------------------------------- */

/* What has come must not be lost: while the store is away it is tried again and again. */
static void ended(struct poll *poll, int result)
{
    if (result == BURSAR_E_STORE_UNAVAILABLE)
        poll_later(poll);
    else
        poll_free(poll);
}

static struct text digest_of(const struct poll *poll)
{
    return (struct text){(const char *)poll->digest, sizeof poll->digest};
}

static void refused(void *context, struct write_message *message)
{
    int result = message->change.result;
    write_free(message);
    ended(context, result);
}

/* A put that cannot be made now cannot be made later either. */
static void put_ended(void *context, int result)
{
    struct poll *poll = context;
    if (result < 0 && result != BURSAR_E_STORE_UNAVAILABLE)
        consent_drop(poll->worker, digest_of(poll), none, NULL, NULL, NULL);
    ended(poll, result);
}

/* The secret is put, or the refusal noted, in the commit that takes the consent. The poll waits beside
 * the heap's others for the end of that. */
static void settle(struct poll *poll)
{
    struct worker *self = poll->worker;
    if (heap_set(&self->polls, &poll->timer, INT64_MAX) < 0)
        abort(); /* out of memory */
    if (tree_fill(self->made_tree, buf_text(&poll->kept)) < 0) {
        poll_free(poll);
        return;
    }
    const struct node *kept = tree_root(self->made_tree);
    struct consent_grant grant = {.kept = kept,
                                  .outcome = &poll->grant->outcome,
                                  .consent = digest_of(poll),
                                  .ended = put_ended,
                                  .context = poll};
    if (poll->grant->is_given)
        consent_put(self, &grant, NULL);
    else
        consent_drop(self, digest_of(poll), node_text(node_get(kept, "connection")),
                     poll->grant->why, refused, poll);
}

/* Ends the polling; outcome is NULL where there is nothing to put. */
static void end_poll(struct poll *poll, const struct call_outcome *outcome, const char *why)
{
    struct grant *grant = memory_new(sizeof *grant);
    poll->grant = grant;
    grant->is_given = outcome != NULL;
    if (outcome) {
        grant->outcome = *outcome;
        grant->outcome.values = buf_make_secret(outcome->values.max);
        buf_append_text(&grant->outcome.values, buf_text(&outcome->values));
    } else {
        snprintf(grant->why, sizeof grant->why, "%s", why);
        LOG(LOG_INFO, "a device was not connected",
            LOG_S("provider", poll->worker->connector->provider), LOG_S("why", why));
    }
    settle(poll);
}

/* ---- polling --------------------------------------------------------------------------------------- */

/* RFC 8628 section 3.5: pending goes on, slow_down for good more slowly, a connection that fails waits
 * twice as long; all else is the end. */
static void polled(void *context, const struct exchange_result *end)
{
    struct poll *poll = context;
    enum bursar_read read = end->outcome ? end->outcome->read : BURSAR_READ_MALFORMED;
    bool passes = end->error < 0 || (read != BURSAR_READ_OK && end->verdict != VERDICT_GRANT &&
                                     end->verdict != VERDICT_CLIENT);
    bool is_denied =
        end->outcome && text_is(call_outcome_part(end->outcome, BURSAR_OUT_ERROR), "access_denied");
    bool is_expired =
        end->outcome && text_is(call_outcome_part(end->outcome, BURSAR_OUT_ERROR), "expired_token");
    if (read == BURSAR_READ_OK) {
        end_poll(poll, end->outcome, NULL);
    } else if (read == BURSAR_READ_PENDING) {
        if (call_outcome_part(end->outcome, BURSAR_OUT_ERROR).data)
            poll->interval_s += SLOWER_S;
        poll_later(poll);
    } else if (passes && !is_denied && !is_expired) {
        poll->interval_s *= 2;
        if (poll->interval_s > INTERVAL_MAX_S)
            poll->interval_s = INTERVAL_MAX_S;
        poll_later(poll);
    } else {
        end_poll(poll, NULL, end->text);
    }
}

static void poll_now(struct poll *poll)
{
    struct worker *self = poll->worker;
    struct buf metadata = buf_make(TEXT_MAX);
    heap_remove(&self->polls, &poll->timer);
    if (poll->grant) {
        settle(poll);
        return;
    }
    if (clock_wall_s() >= poll->ends_at) {
        end_poll(poll, NULL, "expired_token");
        return;
    }
    struct exchange *exchange = exchange_new(self, BURSAR_POLL);
    if (tree_fill(self->made_tree, buf_text(&poll->kept)) == 0) {
        const struct node *kept = tree_root(self->made_tree);
        call_values_set(exchange_inputs(exchange), "device_code",
                        node_text(node_get(kept, "device_code")));
        if (node_type(node_get(kept, "metadata")) == NODE_MAP)
            node_pack(node_get(kept, "metadata"), &metadata);
    }
    exchange_set_secret(exchange, none, none, buf_text(&metadata));
    buf_free(&metadata);
    exchange_start(exchange, polled, poll);
}

void worker_poll_devices(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    for (struct heap_node *first = heap_top(&self->polls); first && first->at <= now_ms;
         first = heap_top(&self->polls))
        poll_now((struct poll *)first);
}

/* A poll from what is kept of it; it begins after one interval. */
static void add_poll(struct worker *self, struct text digest, const struct buf *kept)
{
    struct poll *poll = memory_new(sizeof *poll);
    poll->worker = self;
    memcpy(poll->digest, digest.data,
           digest.len < sizeof poll->digest ? digest.len : sizeof poll->digest);
    poll->kept = buf_make_secret(CONSENT_KEPT_MAX);
    buf_append_text(&poll->kept, buf_text(kept));
    if (tree_fill(self->made_tree, buf_text(&poll->kept)) == 0) {
        const struct node *map = tree_root(self->made_tree);
        poll->interval_s = node_int(node_get(map, "interval_s"));
        poll->ends_at = node_int(node_get(map, "ends_at"));
    }
    if (poll->interval_s < 1)
        poll->interval_s = INTERVAL_S;
    poll_later(poll);
}

static bool resume_one(void *context, struct text digest, struct text sealed)
{
    struct worker *self = context;
    struct buf plain = {0};
    if (consent_open(self, digest, sealed, &plain) == 0)
        add_poll(self, digest, &plain);
    else
        LOG(LOG_ERROR, "a kept consent does not open",
            LOG_S("provider", self->connector->provider));
    buf_free(&plain);
    return true;
}

int worker_resume_devices(struct worker *self)
{
    if (!call_can(self->connector, BURSAR_POLL))
        return 0;
    return self->broker->store->devices(self->reader, text_of(self->connector->provider),
                                        clock_wall_s(), resume_one, self);
}

void worker_forget_devices(struct worker *self)
{
    for (struct heap_node *first = heap_top(&self->polls); first; first = heap_top(&self->polls))
        poll_free((struct poll *)first);
    heap_free(&self->polls);
}

/* ---- connect.device -------------------------------------------------------------------------------- */

/* A device that is being announced: asked of the provider, then a connection, then kept. */
struct announcement {
    struct worker *worker;
    struct request *request;
    struct call_outcome outcome;
    char connection[ID_SIZE]; /* that it will be the secret of */
    struct buf metadata;      /* packed, of the connection */
    struct buf kept;
    uint8_t digest[CONSENT_DIGEST_BYTES];
    int64_t interval_s, ends_at;
};

static void announcement_free(struct announcement *self)
{
    call_outcome_free(&self->outcome);
    buf_free(&self->metadata);
    buf_free(&self->kept);
    free(self);
}

static int64_t seconds_of(const struct call_outcome *outcome, enum bursar_emit part,
                          int64_t otherwise, int64_t max)
{
    char number[24] = "";
    struct text text = call_outcome_part(outcome, part);
    if (text.len == 0 || text.len >= sizeof number)
        return otherwise;
    memcpy(number, text.data, text.len);
    double value = strtod(number, NULL);
    if (!(value >= 1))
        return otherwise;
    return value > (double)max ? max : (int64_t)value;
}

static void refuse(struct announcement *announcement, int error, const char *text)
{
    worker_refuse(announcement->worker, announcement->request, error, text);
    announcement_free(announcement);
}

static void answer_device(struct announcement *announcement)
{
    static const struct {
        const char *key;
        enum bursar_emit part;
    } parts[] = {{"user_code", BURSAR_OUT_USER_CODE},
                 {"verification_uri", BURSAR_OUT_VERIFICATION_URI},
                 {"verification_uri_complete", BURSAR_OUT_VERIFICATION_URI_COMPLETE}};
    struct answer *answer = answer_new(announcement->request->ticket);
    struct pack map = pack_map(&answer->body);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct text value = call_outcome_part(&announcement->outcome, parts[i].part);
        if (value.data)
            pack_text(&map, parts[i].key, value);
    }
    pack_int(&map, "interval", announcement->interval_s);
    pack_int(&map, "expires_at", announcement->ends_at);
    pack_string(&map, "connection", announcement->connection);
    pack_close(&map);
    dispatcher_send(announcement->worker->broker->dispatcher, answer);
    request_free(announcement->request);
}

static void kept(void *context, struct write_message *message)
{
    struct announcement *announcement = context;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        refuse(announcement, result, NULL);
        return;
    }
    add_poll(announcement->worker,
             (struct text){(const char *)announcement->digest, sizeof announcement->digest},
             &announcement->kept);
    answer_device(announcement);
    announcement_free(announcement);
}

static void keep(struct announcement *announcement)
{
    struct worker *self = announcement->worker;
    const struct job *job = &announcement->request->job;
    struct buf scopes = buf_make(TEXT_MAX);
    struct text metadata =
        announcement->metadata.len > 0 ? buf_text(&announcement->metadata) : none;
    struct pack map =
        consent_pack(&announcement->kept, job, text_of(announcement->connection), metadata);
    pack_text(&map, "scopes", consent_scopes(job->scopes, &scopes));
    pack_text(&map, "device_code",
              call_outcome_part(&announcement->outcome, BURSAR_OUT_DEVICE_CODE));
    pack_int(&map, "interval_s", announcement->interval_s);
    pack_int(&map, "ends_at", announcement->ends_at);
    pack_close(&map);
    buf_free(&scopes);
    id_random(announcement->digest, sizeof announcement->digest);
    struct consent consent = {
        .digest = {(const char *)announcement->digest, sizeof announcement->digest},
        .expires_at = announcement->ends_at + LINGER_S,
        .is_device = true,
        .kept = &announcement->kept};
    consent_keep(self, &consent, announcement->request, kept, announcement);
}

static void created(void *context, struct write_message *message)
{
    struct announcement *announcement = context;
    int result = message->change.result;
    write_free(message);
    if (result < 0)
        refuse(announcement, result, NULL);
    else
        keep(announcement);
}

static struct text account_of(const struct job *job)
{
    return job->account.data ? job->account : TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
}

/* The row that is to be connected; where there is none a PENDING one is made, so that its id is known. */
static void make_connection(struct announcement *announcement)
{
    struct worker *self = announcement->worker;
    const struct job *job = &announcement->request->job;
    struct conn_row row;
    struct text account = account_of(job);
    int result = consent_target(self, job, account, &row);
    if (result == 0) {
        memcpy(announcement->connection, row.id.data, row.id.len);
        conn_row_free(&row);
        keep(announcement);
        return;
    }
    if (result != BURSAR_E_NOT_CONNECTED) {
        refuse(announcement, result, NULL);
        return;
    }
    int64_t now_ms = clock_wall_ms();
    id_make(self->connector->provider, now_ms, announcement->connection);
    struct write_message *message = write_new(CHANGE_CREATE, text_of(announcement->connection));
    message->change.at_ms = now_ms;
    message->change.owner = write_keep(message, job->owner);
    message->change.provider = write_keep(message, job->provider);
    message->change.account = write_keep(message, account);
    if (announcement->metadata.len > 0)
        message->change.metadata = buf_text(&announcement->metadata);
    if (announcement->request->origin)
        message->change.origin = &announcement->request->origin->audit;
    worker_write(self, message, created, announcement);
}

static void announced(void *context, const struct exchange_result *end)
{
    struct announcement *announcement = context;
    bool is_good = end->error == 0 && end->outcome && end->outcome->read == BURSAR_READ_OK;
    if (!is_good) {
        int error = exchange_error(end);
        refuse(announcement, error < 0 ? error : BURSAR_E_PROVIDER_UNAVAILABLE, end->text);
        return;
    }
    announcement->outcome = *end->outcome;
    announcement->outcome.values = buf_make_secret(end->outcome->values.max);
    buf_append_text(&announcement->outcome.values, buf_text(&end->outcome->values));
    announcement->interval_s =
        seconds_of(end->outcome, BURSAR_OUT_INTERVAL, INTERVAL_S, INTERVAL_MAX_S);
    announcement->ends_at =
        clock_wall_s() + seconds_of(end->outcome, BURSAR_OUT_EXPIRES, LIFE_S, LIFE_MAX_S);
    make_connection(announcement);
}

void worker_device(struct worker *self, struct request *request)
{
    const struct job *job = &request->job;
    struct conn_row row;
    struct buf scopes = buf_make(TEXT_MAX);
    if (!self->connector || !call_can(self->connector, BURSAR_DEVICE)) {
        worker_refuse(self, request, BURSAR_E_UNSUPPORTED_OP,
                      "this provider has no device authorization");
        return;
    }
    if (!consent_is_possible(self, request))
        return;
    int result = consent_target(self, job, account_of(job), &row);
    if (result < 0 && result != BURSAR_E_NOT_CONNECTED) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    struct announcement *announcement = memory_new(sizeof *announcement);
    announcement->worker = self;
    announcement->request = request;
    announcement->metadata = buf_make(TEXT_MAX);
    if (job->metadata)
        node_pack(job->metadata, &announcement->metadata);
    else if (result == 0) /* what it has is what the provider's URLs need */
        buf_append_text(&announcement->metadata, row.metadata);
    if (result == 0)
        conn_row_free(&row);
    struct exchange *exchange = exchange_new(self, BURSAR_DEVICE);
    struct text asked = consent_scopes(job->scopes, &scopes);
    if (asked.data)
        call_values_set(exchange_inputs(exchange), "scopes", asked);
    exchange_set_secret(exchange, none, none, buf_text(&announcement->metadata));
    buf_free(&scopes);
    exchange_start(exchange, announced, announcement);
}
