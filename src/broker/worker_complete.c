#include "broker/worker_consent.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "wire/pack.h"

enum {
    TEXT_MAX = 65536,
    CALLBACK_MAX = CALL_VALUES_MAX - 8, /* with room for the code and what was kept for it */
    METADATA_VALUE_MAX = 1024,
    METADATA_PAIRS_MAX = 64 /* of a job */
};

static const struct text none = {NULL, 0};

/* A consent that came back, on its way to a connection. What is kept of it stays in the store until the
 * commit that puts the secret: a crash before that leaves a state that can be completed. */
struct completion {
    struct worker *worker;
    struct completion *next, **link; /* of those under way */
    struct request *request;
    uint8_t digest[CONSENT_DIGEST_BYTES];
    struct buf kept;             /* a packed map */
    struct call_outcome outcome; /* of the code's exchange, while its account is asked for */
    struct call_outcome second;  /* another grant that came with it */
    bool has_second;
    bool is_second_named; /* the second is the one that the consent was begun for */
    bool is_named;        /* whose the first will be was said at the beginning */
    struct buf metadata; /* a packed map: the kept one, and what the provider says of the account */
};

static struct text digest_of(const struct completion *completion)
{
    return (struct text){(const char *)completion->digest, sizeof completion->digest};
}

/* NULL while one of this state is under way: a state is good once. */
static struct completion *completion_new(struct worker *self, struct request *request)
{
    uint8_t digest[CONSENT_DIGEST_BYTES];
    consent_digest(request->job.state, digest);
    for (const struct completion *other = self->completions; other; other = other->next) {
        if (memcmp(other->digest, digest, sizeof digest) == 0)
            return NULL;
    }
    struct completion *completion = memory_new(sizeof *completion);
    completion->worker = self;
    completion->request = request;
    memcpy(completion->digest, digest, sizeof digest);
    completion->next = self->completions;
    completion->link = &self->completions;
    if (completion->next)
        completion->next->link = &completion->next;
    self->completions = completion;
    return completion;
}

static void completion_free(struct completion *completion)
{
    *completion->link = completion->next;
    if (completion->next)
        completion->next->link = completion->link;
    buf_free(&completion->kept);
    call_outcome_free(&completion->outcome);
    call_outcome_free(&completion->second);
    buf_free(&completion->metadata);
    free(completion);
}

void worker_forget_completions(struct worker *self)
{
    while (self->completions)
        completion_free(self->completions);
}

static struct text given(const struct buf *buf)
{
    return buf->len > 0 ? buf_text(buf) : none;
}

static void refuse_state(struct worker *self, struct request *request)
{
    worker_refuse(self, request, BURSAR_E_NOT_FOUND, CONSENT_UNKNOWN);
}

static void dropped(void *context, struct write_message *message)
{
    write_free(message);
    completion_free(context);
}

/* Nothing will come of it: the state is spent, from now on and not from the commit on. */
static void drop(struct completion *completion)
{
    consent_drop(completion->worker, digest_of(completion), none, NULL, dropped, completion);
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

/* ---- the puts -------------------------------------------------------------------------------------- */

/* A put that was refused leaves the state to nobody; where the store could not be asked it stays. */
static void put_ended(void *context, int result)
{
    struct completion *completion = context;
    if (result == 0 || result == BURSAR_E_STORE_UNAVAILABLE)
        completion_free(completion);
    else
        drop(completion);
}

/* The account of a part of the second grant. */
static struct text second_part(const struct call_outcome *outcome, const char *name)
{
    for (size_t i = 0; i < outcome->part_count; i++) {
        if (outcome->parts[i].part == BURSAR_OUT_SECOND &&
            strcmp(outcome->parts[i].name, name) == 0)
            return call_part_value(outcome, &outcome->parts[i]);
    }
    return none;
}

/* The second grant as an outcome of its own; the fields are those of both. */
static void split_second(struct completion *completion)
{
    static const struct {
        const char *name;
        enum bursar_emit part;
    } names[] = {{"access_token", BURSAR_OUT_ACCESS_TOKEN},
                 {"refresh_token", BURSAR_OUT_REFRESH_TOKEN},
                 {"token_type", BURSAR_OUT_TOKEN_TYPE},
                 {"expires", BURSAR_OUT_EXPIRES},
                 {"scopes", BURSAR_OUT_SCOPES},
                 {"account", BURSAR_OUT_ACCOUNT}};
    const struct call_outcome *from = &completion->outcome;
    struct call_outcome *to = &completion->second;
    completion->has_second =
        second_part(from, "access_token").len > 0 && second_part(from, "account").len > 0;
    if (!completion->has_second)
        return;
    to->values = buf_make_secret(from->values.max);
    buf_append_text(&to->values, buf_text(&from->values));
    for (size_t i = 0; i < from->part_count; i++) {
        struct call_part part = from->parts[i];
        for (size_t n = 0; part.part == BURSAR_OUT_SECOND && n < sizeof names / sizeof names[0];
             n++) {
            if (strcmp(part.name, names[n].name) == 0)
                part = (struct call_part){.part = names[n].part, .at = part.at, .len = part.len};
        }
        if (part.part == BURSAR_OUT_FIELD || from->parts[i].part == BURSAR_OUT_SECOND)
            to->parts[to->part_count++] = part;
    }
}

/* What the consent was begun for is answered, and takes the consent. 0 or why nothing was put. */
static int put_one(struct completion *completion, const struct call_outcome *outcome,
                   struct text account, bool is_other)
{
    struct worker *self = completion->worker;
    bool is_second = outcome == &completion->second;
    struct text metadata = is_second ? none : given(&completion->metadata);
    if (tree_fill(self->made_tree, buf_text(&completion->kept)) < 0 ||
        (metadata.data && tree_fill(self->metadata_tree, metadata) < 0))
        return BURSAR_E_INTERNAL;
    struct consent_grant grant = {.kept = tree_root(self->made_tree),
                                  .is_other = is_other,
                                  .account = account,
                                  .metadata = metadata.data ? tree_root(self->metadata_tree) : NULL,
                                  .outcome = outcome,
                                  .origin = completion->request->origin};
    struct request *request = NULL;
    if (!is_other) {
        grant.consent = digest_of(completion);
        grant.ended = put_ended;
        grant.context = completion;
        request = completion->request;
    }
    consent_put(self, &grant, request);
    return 0;
}

/* The other grant first: it is on its way to the store before the consent is taken. account: of the
 * first; absent where nobody knows. */
static void put_completed(struct completion *completion, struct text account)
{
    struct text theirs = none;
    bool is_swapped = completion->is_second_named;
    int result = 0;
    if (completion->has_second && !is_swapped)
        theirs = call_outcome_part(&completion->second, BURSAR_OUT_ACCOUNT);
    if (completion->has_second)
        result = put_one(completion, is_swapped ? &completion->outcome : &completion->second,
                         is_swapped ? account : theirs, true);
    if (result == 0)
        result = put_one(completion, is_swapped ? &completion->second : &completion->outcome,
                         is_swapped ? none : account, false);
    if (result == 0)
        return;
    worker_refuse(completion->worker, completion->request, result, NULL);
    drop(completion);
}

/* ---- whose it is ----------------------------------------------------------------------------------- */

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

/* Whether the consent was begun for the first grant, by its connection or account, or for the second. */
static void see_who_is_named(struct completion *completion)
{
    struct worker *self = completion->worker;
    if (tree_fill(self->made_tree, buf_text(&completion->kept)) < 0)
        return;
    const struct node *kept = tree_root(self->made_tree);
    struct text account = node_text(node_get(kept, "account"));
    struct text reconnected = node_text(node_get(kept, "reconnected"));
    struct text second = call_outcome_part(&completion->second, BURSAR_OUT_ACCOUNT);
    completion->is_second_named =
        completion->has_second && (text_equal(second, account) || text_equal(second, reconnected));
    completion->is_named = !completion->is_second_named &&
                           (node_text(node_get(kept, "connection")).data || account.data);
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
        if (error == BURSAR_E_SHUTTING_DOWN) /* the worker takes no more writes */
            completion_free(completion);
        else
            drop(completion);
        return;
    }
    keep_outcome(completion, end->outcome);
    split_second(completion);
    see_who_is_named(completion);
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

/* Whether who asks may have to do with this owner, and has named no other. */
static bool is_owner(const struct request *request, struct text owner)
{
    return (!request->job.owner.data || text_equal(request->job.owner, owner)) &&
           (!request->principal || name_list_has(&request->principal->owners, owner));
}

/* Whoever comes with a state that is another owner's, or from another issuer, spends it. */
static void look_at(struct completion *completion)
{
    struct worker *self = completion->worker;
    struct request *request = completion->request;
    const struct job *job = &request->job;
    const struct node *kept = tree_root(self->made_tree);
    if (!is_owner(request, node_text(node_get(kept, "owner")))) {
        refuse_state(self, request);
    } else if (!is_issuer(self, kept, job->iss)) {
        worker_refuse(self, request, BURSAR_E_INVALID_CREDENTIAL,
                      "the callback comes from another issuer (RFC 9207)");
    } else if (job->error.data) {
        refuse_provider(self, request, BURSAR_E_INVALID_CREDENTIAL, "consent was not given",
                        job->error);
    } else {
        exchange_code(completion, kept);
        return;
    }
    drop(completion);
}

void worker_complete_consent(struct worker *self, struct request *request)
{
    struct buf sealed = buf_make(CONSENT_KEPT_MAX * 2);
    if (!self->connector || !call_can(self->connector, BURSAR_EXCHANGE)) {
        refuse_state(self, request);
        return;
    }
    if (node_count(request->job.callback) > CALLBACK_MAX) { /* before the state is used up */
        worker_refuse(self, request, BURSAR_E_BAD_REQUEST, "callback has more than 24 parameters");
        return;
    }
    struct completion *completion = completion_new(self, request);
    if (!completion) {
        refuse_state(self, request);
        return;
    }
    struct text digest = digest_of(completion);
    int result = self->broker->store->consent(self->reader, text_of(self->connector->provider),
                                              digest, clock_wall_s(), &sealed);
    if (result == 0)
        result = consent_open(self, digest, buf_text(&sealed), &completion->kept);
    buf_free(&sealed);
    if (result == 0) {
        look_at(completion);
        return;
    }
    if (result == BURSAR_E_STORE_UNAVAILABLE)
        worker_refuse(self, request, result, NULL);
    else
        refuse_state(self, request);
    completion_free(completion);
}
