#include "broker/worker_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/secret.h"
#include "broker/memory.h"
#include "wire/doc.h"

enum { PLAIN_MAX = 1 << 20, STEPS_MAX = 16, TEXT_MAX = 256, SECRET_MIN = 8 };

struct exchange {
    struct worker *worker;
    struct exchange *next, **link; /* of those under way */
    struct exchange *next_waiting; /* of those that wait for the provider's ceilings */
    enum bursar_purpose purpose;
    unsigned step;
    bool has_next_secret, has_rolled; /* which of our secrets was shown; the other one was too */
    struct call_values inputs, captures;
    struct buf secret, grant, metadata; /* packed maps; empty: none */
    exchange_done_fn *done;
    void *context;
};

struct exchange *exchange_new(struct worker *self, enum bursar_purpose purpose)
{
    struct exchange *exchange = memory_new(sizeof *exchange);
    exchange->worker = self;
    exchange->purpose = purpose;
    exchange->inputs = call_values_make();
    exchange->captures = call_values_make();
    exchange->secret = buf_make_secret(PLAIN_MAX);
    exchange->grant = buf_make_secret(PLAIN_MAX);
    exchange->metadata = buf_make(PLAIN_MAX);
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
    call_values_free(&exchange->inputs);
    call_values_free(&exchange->captures);
    buf_free(&exchange->secret);
    buf_free(&exchange->grant);
    buf_free(&exchange->metadata);
    free(exchange);
}

struct call_values *exchange_inputs(struct exchange *exchange)
{
    return &exchange->inputs;
}

struct call_values *exchange_captures(struct exchange *exchange)
{
    return &exchange->captures;
}

void exchange_set_secret(struct exchange *exchange, struct text secret, struct text grant,
                         struct text metadata)
{
    buf_clear(&exchange->secret);
    buf_clear(&exchange->grant);
    buf_clear(&exchange->metadata);
    buf_append_text(&exchange->secret, secret);
    buf_append_text(&exchange->grant, grant);
    buf_append_text(&exchange->metadata, metadata);
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static void fill(struct tree *tree, const struct buf *packed)
{
    if (packed->len == 0 || tree_fill(tree, buf_text(packed)) < 0)
        tree_clear(tree);
}

/* The worker's trees hold this exchange's values until the next one's call. */
static struct call call_of(struct exchange *exchange)
{
    struct worker *self = exchange->worker;
    fill(self->secret_tree, &exchange->secret);
    fill(self->grant_tree, &exchange->grant);
    fill(self->metadata_tree, &exchange->metadata);
    struct call call = worker_call(self, exchange->purpose, clock_wall_s());
    call.step = exchange->step;
    call.inputs = &exchange->inputs;
    call.captures = &exchange->captures;
    return call;
}

static void conclude(struct exchange *exchange, const struct exchange_result *end)
{
    exchange->done(exchange->context, end);
    exchange_free(exchange);
}

static void fail(struct exchange *exchange, int error, const char *text)
{
    struct exchange_result end = {.error = error, .verdict = VERDICT_PROVIDER, .text = text};
    conclude(exchange, &end);
}

void exchange_describe(const struct call_outcome *outcome, int status, char *out, size_t size)
{
    static const enum bursar_emit parts[] = {BURSAR_OUT_ERROR, BURSAR_OUT_ERROR_TEXT};
    size_t len = 0;
    out[0] = 0;
    for (size_t i = 0; outcome && i < sizeof parts / sizeof parts[0]; i++) {
        struct text text = call_outcome_part(outcome, parts[i]);
        if (text.len == 0 || text.len > 160 || !text_is_printable(text))
            continue;
        len += (size_t)snprintf(out + len, size - len, "%s%.*s", len > 0 ? ": " : "", (int)text.len,
                                text.data);
        len = len < size ? len : size - 1;
    }
    if (len == 0)
        snprintf(out, size, "HTTP %d", status);
}

/* Shorter ones are words that stand in messages by chance. */
static bool repeats(struct text said, struct text secret)
{
    return secret.len >= SECRET_MIN && said.len >= secret.len &&
           memmem(said.data, said.len, secret.data, secret.len) != NULL;
}

static bool repeats_any(struct text said, const struct node *map)
{
    const struct node *key, *value;
    for (size_t i = 0; i < node_count(map); i++) {
        node_pair(map, i, &key, &value);
        if (repeats(said, node_text(value)))
            return true;
    }
    return false;
}

static bool tells(const struct worker *self, const struct call_values *values, struct text said)
{
    /* What a consent is asked with is no secret, and often what a refusal is about. */
    static const char *const open_names[] = {"redirect_uri", "scopes", "code_challenge",
                                             "code_challenge_method"};
    const struct settings *settings = self->connector->settings;
    const struct node *secret = tree_root(self->secret_tree), *grant = tree_root(self->grant_tree);
    bool is_told = repeats_any(said, secret) || repeats_any(said, node_get(secret, "fields")) ||
                   repeats_any(said, grant) || repeats_any(said, node_get(grant, "grant"));
    for (size_t i = 0; i < settings->count && !is_told; i++)
        is_told = settings->values[i].option->type == BURSAR_OPTION_SECRET &&
                  repeats(said, secret_text(&settings->values[i].secret));
    for (size_t i = 0; values && i < values->count && !is_told; i++) {
        const char *name = values->parts[i].name;
        bool is_open = false;
        for (size_t j = 0; j < sizeof open_names / sizeof open_names[0]; j++)
            is_open = is_open || strcmp(name, open_names[j]) == 0;
        is_told = !is_open && repeats(said, call_values_get(values, name));
    }
    return is_told;
}

void exchange_hush(struct worker *self, const struct call_values *values,
                   struct call_outcome *outcome)
{
    for (size_t i = 0; i < outcome->part_count; i++) {
        struct call_part *part = &outcome->parts[i];
        bool is_said = part->part == BURSAR_OUT_ERROR || part->part == BURSAR_OUT_ERROR_SUBCODE ||
                       part->part == BURSAR_OUT_ERROR_TEXT;
        if (is_said && tells(self, values, call_part_value(outcome, part)))
            part->len = 0;
    }
}

static enum verdict_class judge(const struct exchange *exchange, const struct http_reply *reply,
                                const struct call_outcome *outcome)
{
    struct verdict_words words = connector_words(exchange->worker->connector);
    struct verdict_input input = {.end = EXCHANGE_REPLY,
                                  .shape = outcome->shape,
                                  .rotation = ROTATION_NONE,
                                  .status = reply->status,
                                  .error = call_outcome_part(outcome, BURSAR_OUT_ERROR),
                                  .subcode = call_outcome_part(outcome, BURSAR_OUT_ERROR_SUBCODE),
                                  .has_retry_after =
                                      http_reply_header(reply, "Retry-After").len > 0};
    return verdict_of(&input, &words);
}

static void send_step(struct exchange *exchange);

static void read_reply(struct exchange *exchange, const struct http_reply *reply)
{
    char text[TEXT_MAX];
    struct call_outcome outcome;
    struct call call = call_of(exchange);
    struct call_reply given = {reply->status, buf_text(&reply->headers), buf_text(&reply->body)};
    struct exchange_result end = {.status = reply->status, .reply = reply};
    int result = call_read(&call, &given, &outcome);
    if (result == BURSAR_E_UNSUPPORTED_OP) { /* the purpose needs nothing but the status */
        conclude(exchange, &end);
        return;
    }
    if (result < 0) {
        fail(exchange, BURSAR_E_INTERNAL, "out of memory");
        return;
    }
    bool goes_on = outcome.read == BURSAR_READ_NEXT && exchange->step < STEPS_MAX &&
                   reply->status < 400 && call_values_add(&exchange->captures, &outcome);
    if (goes_on) {
        exchange->step++;
        call_outcome_free(&outcome);
        send_step(exchange);
        return;
    }
    end.outcome = &outcome;
    end.verdict = judge(exchange, reply, &outcome);
    if (!exchange->has_rolled && worker_roll_secret(exchange->worker, &outcome, reply->status,
                                                    end.verdict, &exchange->has_next_secret)) {
        exchange->has_rolled = true;
        call_outcome_free(&outcome);
        send_step(exchange);
        return;
    }
    exchange_hush(exchange->worker, &exchange->inputs, &outcome);
    exchange_hush(exchange->worker, &exchange->captures, &outcome);
    exchange_describe(&outcome, reply->status, text, sizeof text);
    end.text = text;
    conclude(exchange, &end);
    call_outcome_free(&outcome);
}

static void replied(void *context, struct http_reply *reply)
{
    struct exchange *exchange = context;
    exchange->worker->errands--;
    if (reply->end == EXCHANGE_REPLY)
        read_reply(exchange, reply);
    else
        fail(exchange, BURSAR_E_PROVIDER_UNAVAILABLE, reply->error);
    http_reply_free(reply);
}

/* What a person opens is built and not sent; a kind that reads a reply asks for something before. */
static bool is_url(const struct exchange *exchange)
{
    const struct bursar_connector *module = exchange->worker->connector->module;
    return exchange->purpose == BURSAR_AUTHORIZE &&
           (exchange->step > 0 || !module->exchanges[BURSAR_AUTHORIZE].read);
}

static void send_now(struct exchange *exchange)
{
    struct worker *self = exchange->worker;
    struct call_request made;
    struct call call = call_of(exchange);
    exchange->has_next_secret = call.has_next_secret;
    int result = call_build(&call, &made);
    if (result == 0 && is_url(exchange)) {
        struct exchange_result end = {.url = buf_text(&made.url), .captures = &exchange->captures};
        conclude(exchange, &end);
        call_request_free(&made);
        return;
    }
    if (result == 0) {
        struct http_request request = http_request_of(&made, self->connector, 0);
        self->errands++;
        result = http_start(self->http, &request, replied, exchange);
        self->errands -= result < 0;
    }
    if (result < 0)
        fail(exchange, result,
             result == BURSAR_E_CONFIG ? "a setting or a variable of the connection is missing"
                                       : "the request could not be made");
}

/* Whether a request of this purpose counts for the token endpoint's ceiling, or for the API's alone. */
static bool is_token_request(const struct exchange *exchange)
{
    return exchange->purpose != BURSAR_VALIDATE && exchange->purpose != BURSAR_IDENTIFY;
}

/* Somebody waits for each of these: they go before all refreshes, in the order in which they came. */
static void send_step(struct exchange *exchange)
{
    struct worker *self = exchange->worker;
    if (is_url(exchange)) {
        send_now(exchange);
        return;
    }
    exchange->next_waiting = NULL;
    if (self->last_waiting)
        self->last_waiting->next_waiting = exchange;
    else
        self->first_waiting = exchange;
    self->last_waiting = exchange;
    exchange_run_waiting(self, clock_boot_ms());
}

static struct exchange *take_waiting(struct worker *self)
{
    struct exchange *first = self->first_waiting;
    if (first)
        self->first_waiting = first->next_waiting;
    if (!self->first_waiting)
        self->last_waiting = NULL;
    return first;
}

int64_t exchange_run_waiting(struct worker *self, int64_t now_ms)
{
    while (self->first_waiting) {
        bool is_token = is_token_request(self->first_waiting);
        int64_t wait_ms = gate_errand_wait_ms(&self->gate, is_token, now_ms);
        if (wait_ms > 0) {
            self->gate_at_ms = 0; /* the loop sees to it */
            return wait_ms;
        }
        gate_errand_sent(&self->gate, is_token, now_ms);
        send_now(take_waiting(self));
    }
    return -1;
}

void exchange_end_waiting(struct worker *self)
{
    while (self->first_waiting)
        fail(take_waiting(self), BURSAR_E_SHUTTING_DOWN, "the broker is ending");
}

void exchange_start(struct exchange *exchange, exchange_done_fn *done, void *context)
{
    struct worker *self = exchange->worker;
    exchange->done = done;
    exchange->context = context;
    exchange->next = self->exchanges;
    exchange->link = &self->exchanges;
    if (exchange->next)
        exchange->next->link = &exchange->next;
    self->exchanges = exchange;
    send_step(exchange);
}

void exchange_end_all(struct worker *self)
{
    self->first_waiting = self->last_waiting = NULL;
    while (self->exchanges)
        fail(self->exchanges, BURSAR_E_SHUTTING_DOWN, "the broker is ending");
}

int exchange_error(const struct exchange_result *end)
{
    if (end->error < 0)
        return end->error;
    switch (end->verdict) {
    case VERDICT_OK: return 0;
    case VERDICT_GRANT: return BURSAR_E_INVALID_CREDENTIAL;
    case VERDICT_UNCERTAIN: return BURSAR_E_PROVIDER_UNAVAILABLE;
    default: return verdict_error(end->verdict);
    }
}
