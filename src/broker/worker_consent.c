#include "broker/worker_consent.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "connector/sign.h"
#include "wire/pack.h"

enum {
    STATE_BYTES = 32,
    CONSENT_LIFE_S = 600,
    TEXT_MAX = 65536,
    CALLBACK_MAX = CALL_VALUES_MAX - 8, /* with room for the code and what was kept for it */
    METADATA_VALUE_MAX = 1024,
    METADATA_PAIRS_MAX = 64 /* of a job */
};

static const struct text none = {NULL, 0};

/* ---- connect.begin -------------------------------------------------------------------------------- */

/* A consent that is being begun: its URL is built, then it is kept, then that is answered. */
struct beginning {
    struct worker *worker;
    struct request *request;
    struct buf url, verifier, scopes, metadata;
    char connection[ID_SIZE]; /* that is to be reconnected; empty: none */
    char state[160];
    int64_t expires_at;
};

static void beginning_free(struct beginning *beginning)
{
    buf_free(&beginning->url);
    buf_free(&beginning->verifier);
    buf_free(&beginning->scopes);
    buf_free(&beginning->metadata);
    secret_wipe(beginning->state, sizeof beginning->state);
    free(beginning);
}

static bool is_allowed_redirect(const struct worker *self, struct text uri)
{
    const struct setting *allowed = settings_find(self->connector->settings, "redirect_uris");
    for (size_t i = 0; allowed && i < allowed->item_count; i++) {
        if (text_is(uri, allowed->items[i].value))
            return true;
    }
    return false;
}

static void begun(void *context, struct write_message *message)
{
    struct beginning *beginning = context;
    struct worker *self = beginning->worker;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
    } else {
        struct answer *answer = answer_new(request->ticket);
        struct pack map = pack_map(&answer->body);
        pack_text(&map, "authorize_url", buf_text(&beginning->url));
        pack_string(&map, "state", beginning->state);
        pack_int(&map, "expires_at", beginning->expires_at);
        pack_close(&map);
        dispatcher_send(self->broker->dispatcher, answer);
        request_free(request);
    }
    beginning_free(beginning);
}

/* RFC 7636: a verifier of 32 random bytes, and its challenge as the entry wants it. */
static void add_challenge(const struct worker *self, struct call_values *inputs,
                          struct buf *verifier)
{
    struct text pkce = settings_text(self->connector->settings, "pkce");
    uint8_t random[STATE_BYTES], digest[SIGN_DIGEST_MAX];
    struct buf challenge = buf_make(128);
    if (!pkce.data || text_is(pkce, "none"))
        return;
    id_random(random, sizeof random);
    base64url_append(verifier, (struct text){(const char *)random, sizeof random});
    secret_wipe(random, sizeof random);
    if (text_is(pkce, "plain")) {
        buf_append_text(&challenge, buf_text(verifier));
    } else {
        if (sign_digest(SIGN_SHA256, buf_text(verifier), digest) < 0)
            abort(); /* out of memory */
        base64url_append(&challenge, (struct text){(const char *)digest, CONSENT_DIGEST_BYTES});
    }
    call_values_set(inputs, "code_challenge", buf_text(&challenge));
    call_values_set(inputs, "code_challenge_method",
                    text_is(pkce, "plain") ? TEXT_LITERAL("plain") : TEXT_LITERAL("S256"));
    buf_free(&challenge);
}

/* The provider stands in the state, so that it leads to its worker: it is no secret. */
static void make_state(const struct worker *self, struct beginning *beginning)
{
    uint8_t random[STATE_BYTES];
    struct buf state = buf_make_secret(sizeof beginning->state);
    id_random(random, sizeof random);
    buf_append_string(&state, self->connector->provider);
    buf_append_byte(&state, '.');
    base64url_append(&state, (struct text){(const char *)random, sizeof random});
    if (buf_error(&state) == 0)
        memcpy(beginning->state, state.data, state.len);
    buf_free(&state);
}

static struct text given(const struct buf *buf)
{
    return buf->len > 0 ? buf_text(buf) : none;
}

/* What the callback will need, sealed; begun() answers when it is on the disk. */
static void keep(struct beginning *beginning, const struct call_values *captures)
{
    struct worker *self = beginning->worker;
    const struct job *job = &beginning->request->job;
    uint8_t digest[CONSENT_DIGEST_BYTES];
    struct buf kept;
    struct text id = beginning->connection[0] != 0 ? text_of(beginning->connection) : none;
    struct pack map = consent_pack(&kept, job, id, given(&beginning->metadata));
    pack_text(&map, "redirect_uri", job->redirect_uri);
    pack_text(&map, "verifier", given(&beginning->verifier));
    pack_text(&map, "scopes", given(&beginning->scopes));
    struct pack captured = pack_map_in(&map, "captures");
    for (size_t i = 0; i < captures->count; i++) {
        const char *name = captures->parts[i].name;
        pack_text(&captured, name, call_values_get(captures, name));
    }
    pack_close(&captured);
    pack_close(&map);
    consent_digest(text_of(beginning->state), digest);
    struct consent consent = {.digest = {(const char *)digest, sizeof digest},
                              .expires_at = beginning->expires_at,
                              .kept = &kept};
    consent_keep(self, &consent, beginning->request, begun, beginning);
    buf_free(&kept);
}

static void url_built(void *context, const struct exchange_result *end)
{
    struct beginning *beginning = context;
    int error = end->url.data ? 0 : exchange_error(end);
    if (end->url.data)
        buf_append_text(&beginning->url, end->url);
    if (end->url.data && buf_error(&beginning->url) == 0) {
        keep(beginning, end->captures);
        return;
    }
    if (error == 0)
        error = BURSAR_E_PROVIDER_UNAVAILABLE;
    worker_refuse(beginning->worker, beginning->request,
                  error == BURSAR_E_CONFIG ? BURSAR_E_BAD_REQUEST : error,
                  error == BURSAR_E_CONFIG
                      ? "metadata lacks a variable that this provider's URL needs"
                      : end->text);
    beginning_free(beginning);
}

/* Takes the request. */
static void begin(struct worker *self, struct request *request, const struct conn_row *row)
{
    const struct job *job = &request->job;
    struct beginning *beginning = memory_new(sizeof *beginning);
    struct exchange *exchange = exchange_new(self, BURSAR_AUTHORIZE);
    struct call_values *inputs = exchange_inputs(exchange);
    *beginning = (struct beginning){.worker = self,
                                    .request = request,
                                    .url = buf_make_secret(TEXT_MAX),
                                    .verifier = buf_make_secret(256),
                                    .scopes = buf_make(TEXT_MAX),
                                    .metadata = buf_make(TEXT_MAX),
                                    .expires_at = clock_wall_s() + CONSENT_LIFE_S};
    if (job->metadata)
        node_pack(job->metadata, &beginning->metadata);
    else if (row)
        buf_append_text(&beginning->metadata, row->metadata);
    if (row && row->id.len < sizeof beginning->connection)
        memcpy(beginning->connection, row->id.data, row->id.len);
    make_state(self, beginning);
    call_values_set(inputs, "redirect_uri", job->redirect_uri);
    call_values_set(inputs, "state", text_of(beginning->state));
    if (consent_scopes(job->scopes, &beginning->scopes).data)
        call_values_set(inputs, "scopes", buf_text(&beginning->scopes));
    add_challenge(self, inputs, &beginning->verifier);
    exchange_set_secret(exchange, none, none, buf_text(&beginning->metadata));
    exchange_start(exchange, url_built, beginning);
}

void worker_begin_consent(struct worker *self, struct request *request)
{
    struct conn_row row;
    const struct job *job = &request->job;
    if (!self->connector || !call_can(self->connector, BURSAR_AUTHORIZE)) {
        worker_refuse(self, request, BURSAR_E_UNSUPPORTED_OP,
                      "nobody consents to this provider in a browser");
        return;
    }
    if (!consent_is_possible(self, request))
        return;
    if (!is_allowed_redirect(self, job->redirect_uri)) {
        worker_refuse(self, request, BURSAR_E_BAD_REQUEST,
                      "redirect_uri is not one of this provider's redirect_uris");
        return;
    }
    if (!job->reconnect.data && !job->account.data) {
        begin(self, request, NULL);
        return;
    }
    int result = consent_target(self, job, job->account, &row);
    if (result < 0 && result != BURSAR_E_NOT_CONNECTED) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    begin(self, request, result == 0 && job->reconnect.data ? &row : NULL);
    if (result == 0)
        conn_row_free(&row);
}

/* ---- connect.complete ----------------------------------------------------------------------------- */

/* A consent that came back, on its way to a connection. */
struct completion {
    struct worker *worker;
    struct request *request;
    struct buf kept;             /* a packed map */
    struct call_outcome outcome; /* of the code's exchange, while its account is asked for */
    bool is_named;               /* whose it will be was said at the beginning */
    struct buf metadata; /* a packed map: the kept one, and what the provider says of the account */
};

static void completion_free(struct completion *completion)
{
    buf_free(&completion->kept);
    call_outcome_free(&completion->outcome);
    buf_free(&completion->metadata);
    free(completion);
}

/* Whoever asks about a state that is not there learns nothing of why. */
static void refuse_state(struct worker *self, struct request *request)
{
    worker_refuse(self, request, BURSAR_E_NOT_FOUND, "no consent with this state is under way");
}

static void refuse_provider(struct worker *self, struct request *request, int error,
                            const char *text, struct text provider_error)
{
    struct answer *answer = answer_new(request->ticket);
    answer->error = error;
    buf_append_string(&answer->text, text);
    if (provider_error.data && provider_error.len <= 256 && text_is_printable(provider_error))
        buf_append_text(&answer->provider_error, provider_error);
    dispatcher_send(self->broker->dispatcher, answer);
    request_free(request);
}

static void put_completed(struct completion *completion, struct text account)
{
    struct worker *self = completion->worker;
    struct text metadata = given(&completion->metadata);
    if (tree_fill(self->made_tree, buf_text(&completion->kept)) < 0 ||
        (metadata.data && tree_fill(self->metadata_tree, metadata) < 0))
        worker_refuse(self, completion->request, BURSAR_E_INTERNAL, NULL);
    else
        consent_put(self, tree_root(self->made_tree), account,
                    metadata.data ? tree_root(self->metadata_tree) : NULL, &completion->outcome,
                    completion->request);
    completion_free(completion);
}

/* What may be kept of an account beside its id. What requests are made of is the owner's to say. */
static bool is_telling(const struct completion *completion, const struct call_outcome *outcome,
                       const struct call_part *part)
{
    const struct settings *settings = completion->worker->connector->settings;
    struct text value = call_part_value(outcome, part);
    bool is_wanted = part->part == BURSAR_OUT_METADATA && value.len > 0 &&
                     value.len <= METADATA_VALUE_MAX && text_is_printable(value);
    for (size_t i = 0; i < settings_rows(settings, "variables"); i++)
        is_wanted =
            is_wanted && !text_is(settings_cell(settings, "variables", i, "name"), part->name);
    return is_wanted;
}

static bool has_metadata(const struct call_outcome *outcome, struct text name)
{
    for (size_t i = 0; i < outcome->part_count; i++) {
        if (outcome->parts[i].part == BURSAR_OUT_METADATA && text_is(name, outcome->parts[i].name))
            return true;
    }
    return false;
}

static void keep_metadata(struct completion *completion, const struct call_outcome *outcome)
{
    struct tree *tree = completion->worker->made_tree;
    const struct node *kept = NULL, *key, *value;
    size_t left = METADATA_PAIRS_MAX;
    if (tree_fill(tree, buf_text(&completion->kept)) == 0)
        kept = node_get(tree_root(tree), "metadata");
    completion->metadata = buf_make(TEXT_MAX * 2);
    struct pack map = pack_map(&completion->metadata);
    for (size_t i = 0; i < outcome->part_count && left > 0; i++) {
        if (!is_telling(completion, outcome, &outcome->parts[i]))
            continue;
        pack_text(&map, outcome->parts[i].name, call_part_value(outcome, &outcome->parts[i]));
        left--;
    }
    for (size_t i = 0; i < node_count(kept) && left > 0; i++) {
        node_pair(kept, i, &key, &value);
        if (has_metadata(outcome, node_text(key)))
            continue;
        pack_item_text(&map, node_text(key));
        node_pack(value, &completion->metadata);
        left--;
    }
    pack_close(&map);
}

/* Whose it is; where the provider does not say, it is the owner's default account. */
static void identified(void *context, const struct exchange_result *end)
{
    struct completion *completion = context;
    struct text account = none;
    if (end->error == 0 && end->outcome && end->outcome->read == BURSAR_READ_OK)
        account = call_outcome_part(end->outcome, BURSAR_OUT_ACCOUNT);
    if (account.data && settings_find(completion->worker->connector->settings, "identity_metadata"))
        keep_metadata(completion, end->outcome);
    bool is_usable =
        account.len > 0 && account.len <= BURSAR_MAX_ACCOUNT_BYTES && text_is_printable(account);
    if (!is_usable && !completion->is_named)
        LOG(LOG_WARNING, "the provider does not say whose the grant is",
            LOG_S("provider", completion->worker->connector->provider),
            LOG_S("why", end->text ? end->text : "no account in its reply"));
    put_completed(completion, is_usable && !completion->is_named ? account : none);
}

static void identify(struct completion *completion)
{
    struct worker *self = completion->worker;
    struct exchange *exchange = exchange_new(self, BURSAR_IDENTIFY);
    struct buf secret = buf_make_secret(TEXT_MAX * 2), metadata = buf_make(TEXT_MAX);
    struct pack map = pack_map(&secret);
    pack_text(&map, "access_token",
              call_outcome_part(&completion->outcome, BURSAR_OUT_ACCESS_TOKEN));
    struct pack fields = pack_map_in(&map, "fields");
    for (size_t i = 0; i < completion->outcome.part_count; i++) {
        const struct call_part *part = &completion->outcome.parts[i];
        if (part->part == BURSAR_OUT_FIELD)
            pack_text(&fields, part->name, call_part_value(&completion->outcome, part));
    }
    pack_close(&fields);
    pack_close(&map);
    if (tree_fill(self->made_tree, buf_text(&completion->kept)) == 0 &&
        node_type(node_get(tree_root(self->made_tree), "metadata")) == NODE_MAP)
        node_pack(node_get(tree_root(self->made_tree), "metadata"), &metadata);
    exchange_set_secret(exchange, buf_text(&secret), none, buf_text(&metadata));
    buf_free(&secret);
    buf_free(&metadata);
    exchange_start(exchange, identified, completion);
}

/* What the outcome holds is wanted longer than the exchange lives. */
static void keep_outcome(struct completion *completion, const struct call_outcome *outcome)
{
    completion->outcome = *outcome;
    completion->outcome.values = buf_make_secret(outcome->values.max);
    buf_append_text(&completion->outcome.values, buf_text(&outcome->values));
}

static void exchanged(void *context, const struct exchange_result *end)
{
    struct completion *completion = context;
    struct worker *self = completion->worker;
    int error = exchange_error(end);
    if (error == 0 && (!end->outcome || end->outcome->read != BURSAR_READ_OK))
        error = BURSAR_E_PROVIDER_UNAVAILABLE;
    if (error < 0) {
        LOG(LOG_INFO, "a code was not exchanged", LOG_S("provider", self->connector->provider),
            LOG_S("error", end->text ? end->text : ""));
        refuse_provider(self, completion->request, error,
                        error == BURSAR_E_INVALID_CREDENTIAL ? "the provider refuses the code"
                                                             : bursar_error_text(error),
                        text_of(end->text));
        completion_free(completion);
        return;
    }
    keep_outcome(completion, end->outcome);
    completion->is_named = tree_fill(self->made_tree, buf_text(&completion->kept)) == 0 &&
                           (node_text(node_get(tree_root(self->made_tree), "connection")).data ||
                            node_text(node_get(tree_root(self->made_tree), "account")).data);
    bool is_wanted =
        !completion->is_named || settings_find(self->connector->settings, "identity_metadata");
    if (is_wanted && settings_text(self->connector->settings, "identity_url").data)
        identify(completion);
    else
        put_completed(completion, none);
}

/* RFC 9207 section 2.4: compared as it is. */
static bool is_issuer(struct worker *self, const struct node *kept, struct text iss)
{
    struct text issuer = settings_text(self->connector->settings, "issuer");
    struct buf expanded = buf_make(TEXT_MAX);
    struct call call = {.connector = self->connector,
                        .purpose = BURSAR_AUTHORIZE,
                        .metadata = node_get(kept, "metadata")};
    if (!iss.data)
        return !settings_bool(self->connector->settings, "require_iss");
    bool is_same = !issuer.data || (call_expand(&call, issuer, true, &expanded) == 0 &&
                                    text_equal(buf_text(&expanded), iss));
    buf_free(&expanded);
    return is_same;
}

static void exchange_code(struct completion *completion, const struct node *kept)
{
    struct worker *self = completion->worker;
    const struct job *job = &completion->request->job;
    struct exchange *exchange = exchange_new(self, BURSAR_EXCHANGE);
    struct call_values *inputs = exchange_inputs(exchange);
    struct buf metadata = buf_make(TEXT_MAX);
    for (size_t i = 0; i < node_count(job->callback); i++) {
        const struct node *key, *value;
        char name[64] = "";
        node_pair(job->callback, i, &key, &value);
        if (node_text(key).len < sizeof name && node_type(value) == NODE_TEXT) {
            memcpy(name, node_text(key).data, node_text(key).len);
            call_values_set(inputs, name, node_text(value));
        }
    }
    for (size_t i = 0; i < node_count(node_get(kept, "captures")); i++) {
        const struct node *key, *value;
        char name[64] = "";
        node_pair(node_get(kept, "captures"), i, &key, &value);
        if (node_text(key).len < sizeof name)
            memcpy(name, node_text(key).data, node_text(key).len);
        call_values_set(exchange_captures(exchange), name, node_text(value));
    }
    /* After those: what comes from outside never takes the place of what was kept. */
    if (job->code.data)
        call_values_set(inputs, "code", job->code);
    call_values_set(inputs, "state", job->state);
    call_values_set(inputs, "redirect_uri", node_text(node_get(kept, "redirect_uri")));
    call_values_set(inputs, "code_verifier", node_text(node_get(kept, "verifier")));
    if (node_type(node_get(kept, "metadata")) == NODE_MAP)
        node_pack(node_get(kept, "metadata"), &metadata);
    exchange_set_secret(exchange, none, none, buf_text(&metadata));
    buf_free(&metadata);
    exchange_start(exchange, exchanged, completion);
}

static void taken(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    const struct job *job = &request->job;
    struct buf plain = {0};
    int result = message->change.result;
    message->request = NULL;
    if (result == 0)
        result = consent_open(self, message->change.consent, buf_text(&message->secret), &plain);
    write_free(message);
    const struct node *kept = result == 0 ? tree_root(self->made_tree) : NULL;
    bool is_owner = !job->owner.data || text_equal(job->owner, node_text(node_get(kept, "owner")));
    if (result < 0 || !is_owner) {
        if (result == BURSAR_E_STORE_UNAVAILABLE)
            worker_refuse(self, request, result, NULL);
        else
            refuse_state(self, request);
    } else if (!is_issuer(self, kept, job->iss)) {
        worker_refuse(self, request, BURSAR_E_INVALID_CREDENTIAL,
                      "the callback comes from another issuer (RFC 9207)");
    } else if (job->error.data) {
        refuse_provider(self, request, BURSAR_E_INVALID_CREDENTIAL, "consent was not given",
                        job->error);
    } else {
        struct completion *completion = memory_new(sizeof *completion);
        completion->worker = self;
        completion->request = request;
        completion->kept = plain;
        exchange_code(completion, kept);
        return;
    }
    buf_free(&plain);
}

void worker_complete_consent(struct worker *self, struct request *request)
{
    uint8_t digest[CONSENT_DIGEST_BYTES];
    if (!self->connector || !call_can(self->connector, BURSAR_EXCHANGE)) {
        refuse_state(self, request);
        return;
    }
    if (node_count(request->job.callback) > CALLBACK_MAX) { /* before the state is used up */
        worker_refuse(self, request, BURSAR_E_BAD_REQUEST, "callback has more than 24 parameters");
        return;
    }
    consent_digest(request->job.state, digest);
    consent_take(self, (struct text){(const char *)digest, sizeof digest}, request, taken, self);
}
