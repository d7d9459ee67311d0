#include "policy/gate.h"

#include <stddef.h>

static unsigned least(unsigned requests, int64_t limit, int64_t other)
{
    if (limit > 0 && requests > limit)
        requests = (unsigned)limit;
    if (other > 0 && requests > other)
        requests = (unsigned)other;
    return requests > 0 ? requests : 1;
}

void gate_init(struct gate *gate, const struct gate_rule *rule, int64_t now_ms)
{
    *gate = (struct gate){.rule = *rule};
    /* More than a whole window allows can never go at once: as much as it allows, then. */
    gate->rule.requests = least(rule->requests, rule->token_limit, rule->api_limit);
    budget_init(&gate->token, rule->token_limit, rule->token_window_s, gate->rule.requests, now_ms);
    budget_init(&gate->api, rule->api_limit, rule->api_window_s, gate->rule.requests, now_ms);
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A wait that has no known end is longer than any that has one. */
static int64_t longer_wait(int64_t a, int64_t b)
{
    return a < 0 || b < 0 ? -1 : longer(a, b);
}

int64_t gate_budget_wait_ms(const struct gate *gate, int64_t count, int64_t now_ms)
{
    int64_t requests = count * gate->rule.requests;
    return longer(budget_wait_ms(&gate->token, requests, now_ms),
                  budget_wait_ms(&gate->api, requests, now_ms));
}

static int64_t client_wait_ms(const struct gate *gate, int64_t now_ms)
{
    if (!gate->client.is_refused)
        return 0;
    if (now_ms < gate->client.until_ms)
        return gate->client.until_ms - now_ms;
    return gate->client.is_probe_sent ? -1 : 0;
}

struct gate_answer gate_ask(struct gate *gate, int64_t now_ms)
{
    breaker_at(&gate->breaker, now_ms);
    const struct gate_answer of[] = {
        {GATE_PAUSED, gate->is_paused ? -1 : 0},
        {GATE_CLIENT, client_wait_ms(gate, now_ms)},
        {GATE_GUARD, guard_wait_ms(&gate->guard, now_ms)},
        {GATE_BREAKER, breaker_wait_ms(&gate->breaker, now_ms)},
        {GATE_BUDGET, gate_budget_wait_ms(gate, 1, now_ms)},
    };
    struct gate_answer answer = {GATE_FREE, 0};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
        if (of[i].wait_ms == 0)
            continue;
        if (answer.reason == GATE_FREE)
            answer.reason = of[i].reason; /* the gravest is told */
        answer.wait_ms = longer_wait(answer.wait_ms, of[i].wait_ms);
    }
    return answer;
}

struct gate_pass gate_admit(struct gate *gate)
{
    struct gate_pass pass = {.is_client_probe = gate->client.is_refused, .is_unsent = true};
    budget_set_aside(&gate->token, gate->rule.requests);
    budget_set_aside(&gate->api, gate->rule.requests);
    pass.is_probe = breaker_sent(&gate->breaker);
    pass.canary = guard_sent(&gate->guard);
    gate->client.is_probe_sent = gate->client.is_refused;
    return pass;
}

static void put_back(struct gate *gate, const struct gate_pass *pass)
{
    if (!pass->is_unsent)
        return;
    budget_put_back(&gate->token, gate->rule.requests);
    budget_put_back(&gate->api, gate->rule.requests);
}

void gate_sent(struct gate *gate, struct gate_pass *pass, int64_t now_ms)
{
    if (!pass->is_unsent)
        return;
    put_back(gate, pass);
    pass->is_unsent = false;
    budget_take(&gate->token, gate->rule.requests, now_ms);
    budget_take(&gate->api, gate->rule.requests, now_ms);
}

void gate_unclear(struct gate *gate, struct gate_pass pass)
{
    put_back(gate, &pass);
    if (pass.is_probe)
        breaker_unsent(&gate->breaker);
    guard_unsent(&gate->guard, pass.canary);
    if (pass.is_client_probe)
        gate->client.is_probe_sent = false;
}

static void note_throttle(struct gate *gate, int64_t delay_ms, int64_t now_ms)
{
    gate->throttles++;
    if (gate->rule.throttles > 0 && gate->throttles >= gate->rule.throttles)
        budget_hold(&gate->token, now_ms + delay_ms);
}

unsigned gate_throttles(const struct gate *gate, unsigned own)
{
    unsigned all = gate->rule.throttles > 0 ? gate->throttles + 1 : 0;
    return all >= gate->rule.throttles && all > own ? all : own;
}

/* Whether the exchange says what the provider thinks of our client. */
static bool is_answer(enum verdict_class verdict)
{
    return verdict == VERDICT_OK || verdict == VERDICT_GRANT || verdict == VERDICT_CLIENT;
}

static void note_client(struct gate *gate, const struct gate_end *end, int64_t now_ms,
                        struct gate_change *change)
{
    if (end->pass.is_client_probe)
        gate->client.is_probe_sent = false;
    if (end->verdict == VERDICT_CLIENT && end->is_client_refused) {
        gate->client.is_refused = true;
        gate->client.until_ms = now_ms + end->delay_ms;
    } else if (is_answer(end->verdict)) {
        change->is_client_back = gate->client.is_refused;
        gate->client.is_refused = false;
    }
}

struct gate_change gate_note(struct gate *gate, const struct gate_end *end, int64_t now_ms)
{
    struct gate_change change = {BREAKER_SAME, GUARD_SAME, false};
    put_back(gate, &end->pass);
    change.breaker =
        breaker_note(&gate->breaker, &gate->rule.breaker, end->verdict, end->pass.is_probe, now_ms);
    if (end->verdict == VERDICT_OK)
        gate->throttles = 0;
    if (end->verdict == VERDICT_THROTTLED)
        note_throttle(gate, end->delay_ms, now_ms);
    if (end->verdict == VERDICT_OK || (end->verdict == VERDICT_GRANT && !end->is_lost_token))
        change.guard = guard_note(&gate->guard, &gate->rule.guard, end->verdict == VERDICT_GRANT,
                                  end->pass.canary, now_ms);
    else
        guard_unsent(&gate->guard, end->pass.canary);
    note_client(gate, end, now_ms, &change);
    return change;
}

int64_t gate_errand_wait_ms(const struct gate *gate, bool is_token, int64_t now_ms)
{
    int64_t api_ms = budget_wait_ms(&gate->api, 1, now_ms);
    return is_token ? longer(budget_wait_ms(&gate->token, 1, now_ms), api_ms) : api_ms;
}

void gate_errand_sent(struct gate *gate, bool is_token, int64_t now_ms)
{
    if (is_token)
        budget_take(&gate->token, 1, now_ms);
    budget_take(&gate->api, 1, now_ms);
}

unsigned gate_width(const struct gate *gate, unsigned usual)
{
    bool is_trial =
        gate->guard.is_shut || gate->client.is_refused || gate->breaker.state != BREAKER_CLOSED;
    return is_trial && usual > GUARD_CANARIES ? GUARD_CANARIES : usual;
}

static bool is_full(const struct budget *budget, int64_t now_ms)
{
    return budget->limit == 0 || budget_left(budget, now_ms) >= budget->burst;
}

bool gate_is_at_rest(struct gate *gate, int64_t now_ms)
{
    return gate_ask(gate, now_ms).reason == GATE_FREE && is_full(&gate->token, now_ms) &&
           is_full(&gate->api, now_ms);
}

int64_t gate_room(const struct gate *gate, int64_t span_ms, int64_t now_ms)
{
    if (gate->is_paused || gate->guard.is_shut || gate->client.is_refused ||
        gate->breaker.state == BREAKER_OPEN)
        return 0;
    int64_t token = budget_room(&gate->token, span_ms, now_ms);
    int64_t api = budget_room(&gate->api, span_ms, now_ms);
    int64_t room = token < api ? token : api;
    return room == INT64_MAX ? room : room / gate->rule.requests;
}

const char *gate_reason_name(enum gate_reason reason)
{
    static const char *const names[GATE_REASON_END] = {
        [GATE_FREE] = NULL,     [GATE_BUDGET] = "budget", [GATE_BREAKER] = "breaker",
        [GATE_GUARD] = "guard", [GATE_CLIENT] = "client", [GATE_PAUSED] = "paused"};
    return names[reason];
}
