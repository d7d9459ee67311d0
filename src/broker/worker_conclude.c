#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mutation.h"
#include "broker/worker_exchange.h"
#include "broker/worker_parts.h"
#include "broker/worker_spender.h"
#include "connector/call.h"
#include "policy/retry.h"
#include "vault/seal.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum {
    PLAIN_MAX = 1 << 20,
    REPLY_PLAIN_MAX = 2 << 20,
    REPLY_ROOM = 256,     /* of a kept reply, beside what came */
    SECRET_ROOM = 256,    /* of a new secret, the same */
    LOCAL_RETRY_S = 3600, /* a row that does not open: somebody has to look at it */
    PROBE_AFTER_S = 1,
    STEPS_MAX = 16,
    NAMES_MAX = 4096
};

/* ---- the raw reply --------------------------------------------------------------------------------- */

int reply_seal(const struct flight *flight, struct buf *out_sealed)
{
    struct buf plain = buf_make_secret(REPLY_PLAIN_MAX);
    struct seal_place place = {flight->row.owner, flight->row.id, SEAL_REPLY,
                               flight->row.generation};
    buf_make_room(&plain, flight->reply.headers.len + flight->reply.body.len + REPLY_ROOM);
    struct pack map = pack_map(&plain);
    pack_int(&map, "status", flight->reply.status);
    pack_int(&map, "at", flight->replied_at);
    pack_text(&map, "headers", buf_text(&flight->reply.headers));
    pack_text(&map, "body", buf_text(&flight->reply.body));
    pack_uint(&map, "step", flight->step);
    struct pack captures = pack_map_in(&map, "captures");
    for (size_t i = 0; i < flight->captures.count; i++) {
        const char *name = flight->captures.parts[i].name;
        pack_text(&captures, name, call_values_get(&flight->captures, name));
    }
    pack_close(&captures);
    pack_close(&map);
    int result = buf_error(&plain);
    if (result == 0)
        result = seal(flight->worker->broker->keyring, &place, buf_text(&plain), out_sealed);
    buf_free(&plain);
    return result;
}

/* Replies that were kept before there were steps have neither. */
static void read_captures(struct flight *flight, const struct node *map)
{
    const struct node *captures = node_get(map, "captures"), *key, *value;
    flight->step = (unsigned)node_int(node_get(map, "step"));
    for (size_t i = 0; i < node_count(captures); i++) {
        char name[64] = "";
        node_pair(captures, i, &key, &value);
        struct text text = node_text(key);
        if (text.len < sizeof name)
            memcpy(name, text.data, text.len);
        call_values_set(&flight->captures, name, node_text(value));
    }
}

int reply_unseal(struct flight *flight, struct text sealed, uint64_t generation)
{
    struct buf plain = buf_make_secret(REPLY_PLAIN_MAX);
    struct tree *tree = flight->worker->secret_tree;
    struct seal_place place = {flight->row.owner, flight->row.id, SEAL_REPLY, generation};
    int result = unseal(flight->worker->broker->keyring, &place, sealed, &plain);
    if (result == 0)
        result = tree_fill(tree, buf_text(&plain));
    if (result == 0) {
        const struct node *map = tree_root(tree);
        flight->reply = (struct http_reply){.end = EXCHANGE_REPLY,
                                            .status = (int)node_int(node_get(map, "status")),
                                            .headers = buf_make_secret(HTTP_HEADERS_MAX),
                                            .body = buf_make_secret(HTTP_BODY_MAX)};
        buf_append_text(&flight->reply.headers, node_text(node_get(map, "headers")));
        buf_append_text(&flight->reply.body, node_text(node_get(map, "body")));
        flight->end = EXCHANGE_REPLY;
        flight->replied_at = node_int(node_get(map, "at"));
        read_captures(flight, map);
    }
    buf_free(&plain);
    return result;
}

/* ---- a new secret ---------------------------------------------------------------------------------- */

static double jitter(void)
{
    return (double)id_random_below(2000001) / 1000000.0 - 1.0;
}

/* The unit that came with a time, or else that of the settings. */
static enum expiry_unit unit_of(const struct call_outcome *outcome, enum bursar_emit part,
                                enum expiry_unit otherwise)
{
    enum expiry_unit unit = otherwise;
    expiry_unit_of(text_of(call_outcome_name(outcome, part)), &unit);
    return unit;
}

int64_t worker_expires_at(const struct connector *connector, const struct call_outcome *outcome,
                          int64_t now)
{
    int64_t expires_at;
    struct text given = call_outcome_part(outcome, BURSAR_OUT_EXPIRES);
    if (expiry_read(given, unit_of(outcome, BURSAR_OUT_EXPIRES, connector->expires_unit), now,
                    &expires_at))
        return expires_at;
    return connector->default_ttl_s > 0 ? now + connector->default_ttl_s : EXPIRY_NEVER;
}

int64_t worker_refresh_expires_at(const struct connector *connector,
                                  const struct call_outcome *outcome, int64_t now)
{
    int64_t expires_at;
    struct text given = call_outcome_part(outcome, BURSAR_OUT_REFRESH_EXPIRES);
    if (expiry_read(given,
                    unit_of(outcome, BURSAR_OUT_REFRESH_EXPIRES, connector->refresh_expires_unit),
                    now, &expires_at))
        return expires_at;
    return EXPIRY_NEVER;
}

int64_t worker_hinted_at(const struct connector *connector, const struct call_outcome *outcome,
                         int64_t now)
{
    int64_t hinted_at;
    struct text given = call_outcome_part(outcome, BURSAR_OUT_REFRESH_AT);
    if (expiry_read(given, unit_of(outcome, BURSAR_OUT_REFRESH_AT, connector->refresh_at_unit), now,
                    &hinted_at))
        return hinted_at;
    return EXPIRY_NEVER;
}

/* A new refresh token starts a new life of its own; the old one goes on with the one it has. */
static int64_t next_refresh_expires_at(const struct flight *flight,
                                       const struct call_outcome *outcome)
{
    const struct connector *connector = flight->worker->connector;
    int64_t expires_at = worker_refresh_expires_at(connector, outcome, flight->replied_at);
    if (expires_at != EXPIRY_NEVER)
        return expires_at;
    if (connector->grant_ttl_s > 0) /* no refresh extends it */
        return flight->row.refresh_expires_at;
    if (call_outcome_part(outcome, BURSAR_OUT_REFRESH_TOKEN).data &&
        connector->refresh_token_ttl_s > 0)
        return flight->replied_at + connector->refresh_token_ttl_s;
    return flight->row.refresh_expires_at;
}

static size_t secret_changes(const struct call_outcome *outcome, const char *kind,
                             struct doc_change *changes)
{
    const struct {
        enum bursar_emit part;
        const char *name;
        bool is_list;
    } named[] = {{BURSAR_OUT_ACCESS_TOKEN, doc_main_part(text_of(kind)), false},
                 {BURSAR_OUT_TOKEN_TYPE, "token_type", false},
                 {BURSAR_OUT_API_SECRET, "api_secret", false},
                 {BURSAR_OUT_SCOPES, "scopes", true}};
    size_t count = 0;
    changes[count++] = (struct doc_change){.name = "kind", .value = text_of(kind)};
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        struct text value = call_outcome_part(outcome, named[i].part);
        if (value.data)
            changes[count++] = (struct doc_change){
                .name = named[i].name, .value = value, .is_list = named[i].is_list};
    }
    for (size_t i = 0; i < outcome->part_count; i++) {
        const struct call_part *part = &outcome->parts[i];
        if (part->part == BURSAR_OUT_FIELD)
            changes[count++] = (struct doc_change){
                .name = part->name, .value = call_part_value(outcome, part), .is_field = true};
    }
    return count;
}

static bool changes_part(const struct doc_change *changes, size_t count, struct text part)
{
    for (size_t i = 0; i < count; i++) {
        if (!changes[i].is_field && text_is(part, changes[i].name))
            return true;
    }
    return false;
}

static void add_part(struct worker *self, struct text part, bool *is_all_replaced, struct buf *out)
{
    if (out->len > 0)
        buf_append_byte(out, ' ');
    buf_append_text(out, part);
    *is_all_replaced = *is_all_replaced && worker_replaces(self, part);
}

/* Names of what the new secret has. They are worth keeping where a refresh replaces all of them, or where others are
 * kept already. */
static struct text name_parts(struct worker *self, const struct doc_change *changes, size_t count,
                              struct buf *out)
{
    bool is_all_replaced = true, has_field = false;
    const struct node *before = tree_root(self->secret_tree), *key, *value;
    for (size_t i = 0; i < node_count(before); i++) {
        node_pair(before, i, &key, &value);
        if (!changes_part(changes, count, node_text(key)))
            add_part(self, node_text(key), &is_all_replaced, out);
    }
    for (size_t i = 0; i < count; i++) {
        has_field = has_field || changes[i].is_field;
        if (!changes[i].is_field)
            add_part(self, text_of(changes[i].name), &is_all_replaced, out);
    }
    if (has_field && !node_get(before, "fields"))
        add_part(self, TEXT_LITERAL("fields"), &is_all_replaced, out);
    if (settings_rows(self->connector->settings, "apply") > 0 && !node_get(before, "apply"))
        add_part(self, TEXT_LITERAL("apply"), &is_all_replaced, out);
    bool is_kept = is_all_replaced || node_get(tree_root(self->grant_tree), DOC_PARTS);
    return is_kept && buf_error(out) == 0 ? buf_text(out) : (struct text){NULL, 0};
}

/* Merges, seals for the next generation and puts both blobs into the message. */
static int seal_new(struct flight *flight, const struct call_outcome *outcome,
                    struct write_message *message)
{
    struct worker *self = flight->worker;
    struct doc_change changes[CALL_PARTS_MAX + 8];
    struct buf secret = buf_make_secret(PLAIN_MAX), grant = buf_make_secret(PLAIN_MAX);
    struct buf names = buf_make(NAMES_MAX);
    struct seal_piece pieces[] = {
        {.place = {flight->row.owner, flight->row.id, SEAL_SECRET, flight->row.generation + 1},
         .out_blob = &message->secret},
        {.place = {flight->row.owner, flight->row.id, SEAL_GRANT, flight->row.generation + 1},
         .out_blob = &message->grant}};
    size_t count = secret_changes(outcome, connector_secret_kind(self->connector), changes);
    buf_make_room(&secret, outcome->values.len + SECRET_ROOM);
    doc_merge(tree_root(self->secret_tree), changes, count, &secret);
    struct doc_change kept[2] = {{.name = DOC_PARTS, .is_list = true}, {.name = "refresh_token"}};
    kept[0].value = name_parts(self, changes, count, &names);
    kept[1].value = call_outcome_part(outcome, BURSAR_OUT_REFRESH_TOKEN);
    size_t first = kept[0].value.data ? 0 : 1, end = kept[1].value.data ? 2 : 1;
    doc_merge(tree_root(self->grant_tree), kept + first, end - first, &grant);
    int result = buf_error(&secret) != 0 ? buf_error(&secret) : buf_error(&grant);
    if (result == 0)
        result = worker_add_apply(self, buf_text(&grant), flight->row.metadata, &secret);
    pieces[0].plain = buf_text(&secret);
    pieces[1].plain = buf_text(&grant);
    if (result == 0)
        result = seal_all(self->broker->keyring, pieces, sizeof pieces / sizeof pieces[0]);
    buf_free(&secret);
    buf_free(&grant);
    buf_free(&names);
    return result;
}

static struct write_message *make_refreshed(struct flight *flight,
                                            const struct call_outcome *outcome)
{
    const struct connector *connector = flight->worker->connector;
    struct write_message *message = write_new(CHANGE_REFRESHED, flight->row.id);
    message->change.place = flight->row.place;
    struct text scopes = call_outcome_part(outcome, BURSAR_OUT_SCOPES);
    int64_t expires_at = worker_expires_at(connector, outcome, flight->replied_at);
    int result = seal_new(flight, outcome, message);
    if (result < 0) {
        write_free(message);
        return NULL;
    }
    const struct due_input due = {
        .issued_at = flight->replied_at,
        .expires_at = expires_at,
        .hinted_at = worker_hinted_at(connector, outcome, flight->replied_at),
        .lead_s = worker_lead_s(flight->worker, flight->replied_at, expires_at),
        .jitter = jitter()};
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = flight->row.generation;
    message->change.secret =
        (struct change_secret){.kind = text_of(connector_secret_kind(connector)),
                               .scopes = write_keep(message, scopes),
                               .secret = buf_text(&message->secret),
                               .grant = buf_text(&message->grant),
                               .issued_at = flight->replied_at,
                               .expires_at = expires_at,
                               .due_at = connector_due_at(connector, &due),
                               .refresh_expires_at = next_refresh_expires_at(flight, outcome),
                               .can_refresh = true};
    return message;
}

/* ---- a failure ------------------------------------------------------------------------------------- */

/* A peer's words, cut to what can be shown. */
static void keep_printable(char *to, size_t size, struct text from)
{
    size_t len = from.len < size - 1 ? from.len : size - 1;
    while (len > 0 && !text_is_printable((struct text){from.data, len}))
        len--; /* also ends in the middle of no character */
    if (len > 0)
        memcpy(to, from.data, len);
    to[len] = 0;
}

static void describe(struct flight *flight, const struct call_outcome *outcome)
{
    struct flight_outcome *to = &flight->outcome;
    struct text error = call_outcome_part(outcome, BURSAR_OUT_ERROR);
    to->status = flight->end == EXCHANGE_REPLY ? flight->reply.status : 0;
    if (flight->is_local || flight->outcome.verdict == VERDICT_OK)
        return; /* it was described where it happened, or there is nothing to say */
    struct text subcode = call_outcome_part(outcome, BURSAR_OUT_ERROR_SUBCODE);
    if (error.len > 0)
        keep_printable(to->code, sizeof to->code, error);
    if (error.data && subcode.data && to->code[0] != 0) {
        size_t len = strlen(to->code);
        snprintf(to->code + len, sizeof to->code - len, "/");
        keep_printable(to->code + strlen(to->code), sizeof to->code - strlen(to->code), subcode);
    }
    if (to->code[0] != 0)
        snprintf(to->text, sizeof to->text, "%s", to->code);
    else if (flight->end != EXCHANGE_REPLY)
        snprintf(to->text, sizeof to->text, "%s", flight->reply.error);
    else if (flight->reply.status >= 200 && flight->reply.status < 300)
        snprintf(to->text, sizeof to->text, "a reply without a token (HTTP %d)",
                 flight->reply.status);
    else
        snprintf(to->text, sizeof to->text, "HTTP %d", flight->reply.status);
}

/* In [0, 1). */
static double random_share(void)
{
    return (double)id_random_below(1000000) / 1000000.0;
}

static int64_t delay_of(const struct flight *flight)
{
    int64_t asked_ms = 0;
    if (flight->outcome.verdict == VERDICT_OK || flight->outcome.verdict == VERDICT_GRANT)
        return 0; /* never again with this secret */
    if (flight->is_local)
        return LOCAL_RETRY_S * 1000;
    double random = random_share();
    if (flight->end == EXCHANGE_REPLY)
        asked_ms =
            retry_after_ms(http_reply_header(&flight->reply, "Retry-After"), flight->replied_at);
    if (flight->outcome.verdict == VERDICT_CLIENT)
        return (int64_t)(RETRY_CLIENT_MS * (0.5 + random));
    unsigned failures = flight->row.failures + 1;
    if (flight->outcome.verdict == VERDICT_THROTTLED)
        failures = gate_throttles(&flight->worker->gate, failures);
    return retry_delay_ms(failures, random, asked_ms);
}

/* One refusal among far too many: the grant is tried again when the provider takes grants again. */
static void disbelieve(struct flight *flight)
{
    struct flight_outcome *outcome = &flight->outcome;
    char said[sizeof outcome->text];
    memcpy(said, outcome->text, sizeof said);
    snprintf(outcome->text, sizeof outcome->text, "not believed, for too many are refused: %.200s",
             said);
    outcome->verdict = VERDICT_PROVIDER;
    outcome->delay_ms = (int64_t)(GUARD_ROUND_MAX_MS * (0.5 + random_share()));
}

static enum conn_move move_of(enum verdict_class verdict)
{
    if (BURSAR_MUTATION == 10 && verdict == VERDICT_CLIENT)
        return MOVE_REFUSED;
    return verdict == VERDICT_GRANT       ? MOVE_REFUSED
           : verdict == VERDICT_UNCERTAIN ? MOVE_LOST
                                          : MOVE_END;
}

static const char *reason_of(const struct flight *flight)
{
    if (flight->outcome.verdict == VERDICT_UNCERTAIN)
        return "reply_lost";
    if (flight->row.state == CONN_IN_DOUBT)
        return "lost_in_flight"; /* refused because a rotated token never came here */
    return flight->outcome.code[0] != 0 ? flight->outcome.code : "refused";
}

/* A refusal that the entry wants confirmed, and the first one of this secret: the row keeps it as its
 * last outcome and stays as it is, also over a restart, until a second one in a row. */
static bool is_unconfirmed(const struct flight *flight)
{
    const struct conn_row *row = &flight->row;
    bool is_second = row->failures > 0 && row->last_outcome == VERDICT_GRANT;
    return flight->outcome.verdict == VERDICT_GRANT && !flight->has_nothing &&
           flight->worker->connector->confirms_refusals && row->state == CONN_ACTIVE && !is_second;
}

/* To whoever waits it is an outage: nobody has to connect again yet. */
static void await_confirmation(struct flight *flight)
{
    double after_ms = 1000 * (double)flight->worker->connector->confirm_after_s;
    flight->outcome.verdict = VERDICT_PROVIDER;
    flight->outcome.delay_ms = (int64_t)(after_ms * (1 + random_share() / 4));
}

/* When the token of a failed attempt may have been spent; 0: it was not. Where it is taken again for a
 * while that time is counted from then. */
static int64_t lost_at(const struct flight *flight)
{
    int status = flight->reply.status;
    bool is_unread = flight->end == EXCHANGE_REPLY && status >= 200 && status < 300;
    bool may_be = is_unread || flight->end == EXCHANGE_LOST || flight->is_unseen;
    return flight->worker->connector->rotation == ROTATION_REUSE_GRACE && may_be ? flight->sent_at
                                                                                 : 0;
}

static struct write_message *make_failed(struct flight *flight)
{
    struct write_message *message = write_new(CHANGE_FAILED, flight->row.id);
    message->change.place = flight->row.place;
    struct flight_outcome *outcome = &flight->outcome;
    int64_t now_ms = clock_wall_ms();
    message->change.outcome = outcome->verdict;
    if (is_unconfirmed(flight))
        await_confirmation(flight);
    outcome->error = flight->lacks_value ? BURSAR_E_BAD_REQUEST
                     : flight->is_local  ? BURSAR_E_INTERNAL
                                         : verdict_error(outcome->verdict);
    message->change.at_ms = now_ms;
    message->change.expect_generation = flight->row.generation;
    message->change.move = move_of(outcome->verdict);
    message->change.reason = write_keep(message, text_of(reason_of(flight)));
    message->change.error = write_keep(message, text_of(outcome->text));
    message->change.suspect = worker_spender_of_flight(flight);
    if (outcome->code[0] != 0)
        message->change.provider_error = write_keep(message, text_of(outcome->code));
    message->change.http_status = outcome->status;
    message->change.lost_at = lost_at(flight);
    message->change.remind_at = worker_remind_at(flight->worker);
    message->change.next_refresh_at = outcome->verdict == VERDICT_UNCERTAIN
                                          ? now_ms / 1000 + PROBE_AFTER_S
                                          : (now_ms + outcome->delay_ms + 999) / 1000;
    /* The kept reply is read again at the next start; until then nothing is sent for this row. */
    message->change.keeps_intent = flight->is_local && flight->end == EXCHANGE_REPLY;
    if (message->change.keeps_intent)
        message->change.next_refresh_at = EXPIRY_NEVER;
    LOG(LOG_INFO, "refresh failed", LOG_S("connection", flight->id),
        LOG_S("class", verdict_class_name(outcome->verdict)), LOG_S("error", outcome->text),
        LOG_I("retry_ms", outcome->delay_ms));
    return message;
}

/* ---- what it comes to ------------------------------------------------------------------------------ */

static enum verdict_class judge(const struct flight *flight, const struct call_outcome *outcome)
{
    const struct connector *connector = flight->worker->connector;
    struct verdict_words words = connector_words(connector);
    /* Of one that is in doubt no second probe is sent, whatever the grace was. */
    enum rotation_rule rotation =
        flight->row.state == CONN_IN_DOUBT ? ROTATION_STRICT : connector->rotation;
    struct verdict_input input = {.end = flight->end,
                                  .shape = outcome->shape,
                                  .rotation = rotation,
                                  .status = flight->reply.status,
                                  .error = call_outcome_part(outcome, BURSAR_OUT_ERROR),
                                  .subcode = call_outcome_part(outcome, BURSAR_OUT_ERROR_SUBCODE),
                                  .has_retry_after =
                                      http_reply_header(&flight->reply, "Retry-After").len > 0};
    if (flight->is_local)
        return VERDICT_PROVIDER;
    return flight->is_past_grace ? VERDICT_UNCERTAIN : verdict_of(&input, &words);
}

/* Whether the secret that was there is needed: for what the reply lacks of it, or to see that no word of an error repeats
 * it. */
static bool needs_secret(const struct flight *flight, const struct call_outcome *outcome)
{
    struct doc_change changes[CALL_PARTS_MAX + 8];
    const struct worker *self = flight->worker;
    const struct node *parts = node_get(tree_root(self->grant_tree), DOC_PARTS);
    size_t count = secret_changes(outcome, connector_secret_kind(self->connector), changes);
    if (outcome->read == BURSAR_READ_NEXT)
        return false;
    if (outcome->read != BURSAR_READ_OK || call_outcome_part(outcome, BURSAR_OUT_ERROR).data ||
        call_outcome_part(outcome, BURSAR_OUT_ERROR_SUBCODE).data ||
        call_outcome_part(outcome, BURSAR_OUT_ERROR_TEXT).data)
        return true;
    for (size_t i = 0; i < node_count(parts); i++) {
        struct text part = node_text(node_item(parts, i));
        if (!text_is(part, "apply") && !changes_part(changes, count, part))
            return true;
    }
    return false;
}

/* Lets the module read the reply, with the credential open for the merge. */
static int read_reply(struct flight *flight, struct open_credential *credential,
                      struct call_outcome *out_outcome)
{
    struct worker *self = flight->worker;
    struct call call = worker_call_of(self, credential, flight->replied_at);
    call.step = flight->step;
    call.captures = &flight->captures;
    struct call_reply reply = {flight->reply.status, buf_text(&flight->reply.headers),
                               buf_text(&flight->reply.body)};
    return call_read(&call, &reply, out_outcome);
}

/* Whether the exchange goes on; the request before it must have gone well. */
static bool goes_on(struct flight *flight, const struct call_outcome *outcome)
{
    if (outcome->read != BURSAR_READ_NEXT || flight->step >= STEPS_MAX ||
        flight->reply.status >= 400)
        return false;
    if (!call_values_add(&flight->captures, outcome))
        return false;
    flight->step++;
    return true;
}

/* What could be read cannot be kept: not the provider's fault, and nothing is lost, for the raw
 * reply stays where it is until the row is looked at. */
static void fail_locally(struct flight *flight, const char *what)
{
    flight->is_local = true;
    flight->outcome.verdict = VERDICT_PROVIDER;
    flight->outcome.delay_ms = LOCAL_RETRY_S * 1000;
    snprintf(flight->outcome.text, sizeof flight->outcome.text, "%s", what);
    LOG(LOG_ERROR, "a refresh cannot be concluded", LOG_S("connection", flight->id),
        LOG_S("why", what));
}

struct write_message *flight_conclude(struct flight *flight)
{
    struct call_outcome outcome;
    struct open_credential credential = {.row = NULL};
    struct write_message *message = NULL;
    bool has_reply = flight->end == EXCHANGE_REPLY && !flight->is_local;
    call_outcome_init(&outcome);
    if (has_reply && flight_open_credential(flight, &credential) < 0)
        fail_locally(flight, "the stored secret does not open");
    else if (has_reply && read_reply(flight, &credential, &outcome) < 0)
        fail_locally(flight, "the kept reply cannot be read now");
    else if (has_reply && credential.row && needs_secret(flight, &outcome) &&
             credential_open_secret(&credential) < 0)
        fail_locally(flight, "the stored secret does not open");
    if (has_reply && !flight->is_local && goes_on(flight, &outcome)) {
        worker_close_credential(&credential);
        call_outcome_free(&outcome);
        return NULL;
    }
    flight->outcome.verdict = flight->has_nothing ? VERDICT_GRANT : judge(flight, &outcome);
    if (has_reply && !flight->is_local && !flight->has_rolled &&
        worker_roll_secret(flight->worker, &outcome, flight->reply.status, flight->outcome.verdict,
                           &flight->has_next_secret)) {
        flight->has_rolled = true;
        worker_close_credential(&credential);
        call_outcome_free(&outcome);
        return NULL;
    }
    if (has_reply && !flight->is_local)
        exchange_hush(flight->worker, &flight->captures, &outcome);
    describe(flight, &outcome);
    flight->outcome.delay_ms = delay_of(flight);
    worker_availability_note(flight);
    bool is_believed = worker_gate_note(flight) || BURSAR_MUTATION == 15;
    if (!is_believed && flight->outcome.verdict == VERDICT_GRANT)
        disbelieve(flight);
    if (flight->outcome.verdict == VERDICT_OK) {
        message = make_refreshed(flight, &outcome);
        if (!message)
            fail_locally(flight, "the new secret is too large to be kept");
    }
    if (!message)
        message = make_failed(flight);
    worker_close_credential(&credential);
    call_outcome_free(&outcome);
    return message;
}
