#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/mutation.h"
#include "broker/memory.h"
#include "broker/worker_exchange.h"
#include "broker/worker_parts.h"
#include "policy/retry.h"

enum {
    GRANTS_TIDY = 4096, /* so many ceilings of grants are kept before full ones are dropped */
    INCIDENT_QUIET_MS = 600000, /* of errors that are no refused client */
    HOUR_MS = 3600000
};

/* ---- the rule ------------------------------------------------------------------------------------ */

static int64_t number(const struct settings *settings, const char *name, double absent)
{
    return (int64_t)settings_number(settings, name, absent);
}

static bool is_per_grant(const struct settings *settings)
{
    return text_is(settings_text(settings, "token_rate.per"), "grant");
}

static struct gate_rule rule_of(const struct connector *connector)
{
    const struct settings *settings = connector->settings;
    bool is_of_grant = is_per_grant(settings);
    return (struct gate_rule){
        .token_limit = is_of_grant ? 0 : number(settings, "token_rate.limit", 0),
        .token_window_s = number(settings, "token_rate.window_s", 0),
        .api_limit = number(settings, "rate.limit", 0),
        .api_window_s = number(settings, "rate.window_s", 0),
        .requests = (unsigned)settings_rows(settings, "steps"),
        .throttles = is_of_grant                                   ? 0
                     : settings_find(settings, "token_rate.limit") ? 1
                                                                   : GATE_THROTTLES,
        .breaker = {(unsigned)number(settings, "breaker.failures", BREAKER_FAILURES),
                    (int64_t)(settings_number(settings, "breaker.open_s", BREAKER_OPEN_MS / 1000) *
                              1000)},
        .guard = {(unsigned)number(settings, "fleet_guard.refusals", GUARD_REFUSALS),
                  settings_number(settings, "fleet_guard.share", GUARD_SHARE),
                  1000 * number(settings, "fleet_guard.window_s", GUARD_WINDOW_MS / 1000),
                  (int64_t)(settings_number(settings, "fleet_guard.round_s",
                                            GUARD_ROUND_MS / 1000) *
                            1000)},
    };
}

int worker_gate_open(struct worker *self)
{
    struct gate_rule rule = {
        .breaker = {BREAKER_FAILURES, BREAKER_OPEN_MS},
        .guard = {GUARD_REFUSALS, GUARD_SHARE, GUARD_WINDOW_MS, GUARD_ROUND_MS}};
    if (self->connector)
        rule = rule_of(self->connector);
    gate_init(&self->gate, &rule, clock_boot_ms());
    self->gate_at_ms = INT64_MAX;
    return self->connector ? worker_incident_resume(self) : 0;
}

/* ---- ceilings of single grants ------------------------------------------------------------------- */

struct grant_budget {
    UT_hash_handle hh;
    struct budget budget;
    char id[ID_SIZE];
};

void worker_gate_close(struct worker *self)
{
    struct grant_budget *grant, *next;
    HASH_ITER(hh, self->grant_budgets, grant, next) {
        HASH_DEL(self->grant_budgets, grant);
        free(grant);
    }
}

/* One that is full says no more than one that is not there. */
static void tidy_grants(struct worker *self, int64_t now_ms)
{
    struct grant_budget *grant, *next;
    HASH_ITER(hh, self->grant_budgets, grant, next) {
        if (budget_left(&grant->budget, now_ms) < grant->budget.burst)
            continue;
        HASH_DEL(self->grant_budgets, grant);
        free(grant);
    }
}

/* As many as one refresh makes, or as its ceiling allows in a whole window. */
static int64_t requests_of_grant(const struct worker *self)
{
    int64_t limit = number(self->connector->settings, "token_rate.limit", 0);
    int64_t requests = self->gate.rule.requests;
    return limit > 0 && requests > limit ? limit : requests;
}

/* What an earlier process sent last is known from the row. */
static struct grant_budget *grant_of(struct worker *self, const struct conn_row *row)
{
    const struct settings *settings = self->connector->settings;
    struct grant_budget *grant = NULL;
    int64_t window_s = number(settings, "token_rate.window_s", 0), now_ms = clock_boot_ms();
    int64_t requests = requests_of_grant(self);
    HASH_FIND(hh, self->grant_budgets, row->id.data, row->id.len, grant);
    if (grant)
        return grant;
    if (HASH_COUNT(self->grant_budgets) >= GRANTS_TIDY)
        tidy_grants(self, now_ms);
    grant = memory_new(sizeof *grant);
    memcpy(grant->id, row->id.data, row->id.len);
    int64_t ago_s = clock_wall_s() - row->last_refresh_at;
    bool is_known = row->last_refresh_at > 0 && ago_s >= 0 && ago_s < window_s;
    budget_init(&grant->budget, number(settings, "token_rate.limit", 0), window_s, requests,
                is_known ? now_ms - ago_s * 1000 : now_ms);
    if (is_known)
        budget_take(&grant->budget, requests, now_ms - ago_s * 1000);
    HASH_ADD(hh, self->grant_budgets, id, row->id.len, grant);
    return grant;
}

int64_t worker_gate_grant_wait_ms(struct worker *self, const struct conn_row *row)
{
    if (!self->connector || !is_per_grant(self->connector->settings))
        return 0;
    return budget_wait_ms(&grant_of(self, row)->budget, requests_of_grant(self), clock_boot_ms());
}

/* ---- turns --------------------------------------------------------------------------------------- */

void worker_gate_queue(struct flight *flight)
{
    struct worker *self = flight->worker;
    flight->asked_in_round = self->round;
    turns_add(&self->turns, &flight->turn, flight->waiters ? TURN_CALLER : TURN_PLANNER,
              flight->row.owner);
    /* It may have shut while this one waited for something else. */
    self->has_gate_shut =
        self->has_gate_shut || (flight->waiters && !worker_gate_lets_through(self));
    self->gate_at_ms = 0;
}

void worker_gate_raise(struct flight *flight)
{
    turns_raise(&flight->worker->turns, &flight->turn);
}

static void let_through(struct worker *self, struct flight *flight)
{
    flight->pass = gate_admit(&self->gate);
    flight->has_pass = true;
    flight_turn(flight);
}

void worker_gate_sent(struct flight *flight)
{
    struct worker *self = flight->worker;
    int64_t now_ms = clock_boot_ms();
    if (!flight->has_pass || !flight->pass.is_unsent)
        return;
    gate_sent(&self->gate, &flight->pass, now_ms);
    if (is_per_grant(self->connector->settings)) /* nothing else of this grant's is under way */
        budget_take(&grant_of(self, &flight->row)->budget, requests_of_grant(self), now_ms);
}

/* Who waits for something that now takes longer than it can wait is told. */
static void sift(struct worker *self)
{
    struct flight *flight, *next;
    self->has_gate_shut = false;
    HASH_ITER(hh, self->flights, flight, next) {
        bool is_waiting = flight->phase == FLIGHT_TURN || flight->phase == FLIGHT_BACKOFF;
        if (is_waiting && flight->waiters)
            flight_sift(flight);
    }
}

static void publish(struct worker *self, const struct gate_answer *answer, int64_t now_ms)
{
    int64_t token = budget_left(&self->gate.token, now_ms);
    int64_t api = budget_left(&self->gate.api, now_ms);
    atomic_store(&self->figures.gate_reason, (int)answer->reason);
    atomic_store(&self->figures.breaker_state, (int)self->gate.breaker.state);
    atomic_store(&self->figures.gate_wait_ms, answer->wait_ms);
    atomic_store(&self->figures.budget_left, token < api ? token : api);
    atomic_store(&self->figures.room_1h, gate_room(&self->gate, HOUR_MS, now_ms));
    atomic_store(&self->figures.waiting, (int64_t)self->turns.count);
}

void worker_gate_run(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    self->gate_at_ms = INT64_MAX;
    if (!self->connector)
        return;
    if (self->has_gate_shut)
        sift(self);
    int64_t errand_wait_ms = exchange_run_waiting(self, now_ms);
    struct gate_answer answer = gate_ask(&self->gate, now_ms);
    while (answer.wait_ms == 0 && self->turns.count > 0) {
        struct turn *turn = turns_next(&self->turns);
        struct flight *flight =
            (struct flight *)(void *)((char *)turn - offsetof(struct flight, turn));
        let_through(self, flight);
        answer = gate_ask(&self->gate, now_ms);
    }
    int64_t wait_ms = self->turns.count > 0 ? answer.wait_ms : -1;
    if (errand_wait_ms >= 0 && (wait_ms < 0 || errand_wait_ms < wait_ms))
        wait_ms = errand_wait_ms;
    self->gate_at_ms = wait_ms < 0 ? INT64_MAX : now_ms + wait_ms;
    publish(self, &answer, now_ms);
}

/* ---- who cannot wait ----------------------------------------------------------------------------- */

int worker_gate_refusal(struct worker *self, struct request *request, const struct conn_row *row)
{
    int64_t now_ms = clock_boot_ms();
    struct gate_answer answer = gate_ask(&self->gate, now_ms);
    int64_t left_ms = request->deadline_ms - now_ms;
    request->retry_after_ms = answer.wait_ms > 0 ? answer.wait_ms : 0;
    switch (answer.reason) {
    case GATE_CLIENT: return BURSAR_E_CLIENT_REJECTED;
    case GATE_GUARD:
    case GATE_PAUSED: return BURSAR_E_PROVIDER_UNAVAILABLE;
    case GATE_BREAKER:
        /* The probe that is under way has its end before long: it is worth waiting for. */
        if (answer.wait_ms >= left_ms)
            return BURSAR_E_PROVIDER_UNAVAILABLE;
        break;
    case GATE_FREE:
    case GATE_BUDGET:
    case GATE_REASON_END: break;
    }
    int64_t ahead = row ? (int64_t)turns_ahead(&self->turns, row->owner) : 0;
    int64_t wait_ms = gate_budget_wait_ms(&self->gate, ahead + 1, now_ms);
    int64_t grant_ms = row ? worker_gate_grant_wait_ms(self, row) : 0;
    request->retry_after_ms = wait_ms > grant_ms ? wait_ms : grant_ms;
    return request->retry_after_ms >= left_ms ? BURSAR_E_RATE_LIMITED : 0;
}

const char *worker_gate_text(struct worker *self, int error)
{
    static const char *const texts[GATE_REASON_END] = {
        [GATE_BREAKER] = "the provider does not answer: nothing is sent to it for a while",
        [GATE_GUARD] = "the provider refuses unusually many grants: refreshing has stopped",
        [GATE_PAUSED] = "refreshing this provider's secrets is paused by an operator"};
    enum gate_reason reason = gate_ask(&self->gate, clock_boot_ms()).reason;
    return error == BURSAR_E_PROVIDER_UNAVAILABLE ? texts[reason] : NULL;
}

bool worker_gate_lets_through(struct worker *self)
{
    enum gate_reason reason = gate_ask(&self->gate, clock_boot_ms()).reason;
    return reason == GATE_FREE || reason == GATE_BUDGET;
}

/* ---- what an attempt says ------------------------------------------------------------------------ */

/* An end is told by the state, not by its change alone: one that could not be written is written at the next
 * exchange. */
static void tell_incidents(struct worker *self, const struct gate_change *change,
                           const struct flight_outcome *outcome)
{
    int64_t now_ms = clock_boot_ms();
    if (change->breaker == BREAKER_OPENED)
        worker_incident_begin(self, INCIDENT_OUTAGE, outcome);
    else if (self->gate.breaker.state == BREAKER_CLOSED)
        worker_incident_end(self, INCIDENT_OUTAGE);
    if (change->guard == GUARD_SHUTS)
        worker_incident_begin(self, INCIDENT_MASS_REFUSAL, outcome);
    else if (!self->gate.guard.is_shut)
        worker_incident_end(self, INCIDENT_MASS_REFUSAL);
    if (outcome->verdict == VERDICT_CLIENT) {
        self->client_failed_ms = now_ms;
        worker_incident_begin(self, INCIDENT_CLIENT, outcome);
    } else if (outcome->verdict == VERDICT_OK &&
               (change->is_client_back || now_ms - self->client_failed_ms > INCIDENT_QUIET_MS)) {
        worker_incident_end(self, INCIDENT_CLIENT);
    }
}

/* The row changed under it, so that nobody reads what came of its request; that the provider did not answer shows
 * all the same. */
static void note_unread(struct flight *flight)
{
    struct worker *self = flight->worker;
    struct gate_end end = {.pass = flight->pass, .verdict = VERDICT_PROVIDER};
    bool has_reply = flight->end == EXCHANGE_REPLY;
    if (BURSAR_MUTATION == 13 || (has_reply && flight->reply.status < 500)) {
        gate_unclear(&self->gate, flight->pass);
        return;
    }
    struct flight_outcome outcome = {.verdict = VERDICT_PROVIDER,
                                     .status = has_reply ? flight->reply.status : 0};
    snprintf(outcome.text, sizeof outcome.text, "%s", has_reply ? "HTTP 5xx" : flight->reply.error);
    struct gate_change change = gate_note(&self->gate, &end, clock_boot_ms());
    tell_incidents(self, &change, &outcome);
    self->has_gate_shut = self->has_gate_shut || !worker_gate_lets_through(self);
}

void worker_gate_leave(struct flight *flight)
{
    struct worker *self = flight->worker;
    turns_remove(&self->turns, &flight->turn);
    if (!flight->has_pass)
        return;
    flight->has_pass = false;
    if (flight->end == EXCHANGE_UNSENT)
        gate_unclear(&self->gate, flight->pass);
    else
        note_unread(flight);
    self->gate_at_ms = 0;
}

bool worker_gate_note(struct flight *flight)
{
    struct worker *self = flight->worker;
    const struct flight_outcome *outcome = &flight->outcome;
    bool had_pass = flight->has_pass;
    flight->has_pass = false;
    if (flight->is_local || flight->has_nothing || flight->is_past_grace ||
        (!had_pass && flight->end != EXCHANGE_REPLY)) { /* nothing was said */
        if (had_pass)
            gate_unclear(&self->gate, flight->pass);
        self->gate_at_ms = 0;
        return true;
    }
    struct gate_end end = {.pass = had_pass ? flight->pass : (struct gate_pass){.is_probe = false},
                           .verdict = outcome->verdict,
                           /* Only a refused client concerns every connection; other errors of this
                            * class can come from one row alone, which must not hold up the others. */
                           .is_client_refused = strcmp(outcome->code, "invalid_client") == 0,
                           .is_lost_token = flight->row.state == CONN_IN_DOUBT,
                           .delay_ms = outcome->delay_ms};
    bool was_shut = self->gate.guard.is_shut;
    struct gate_change change = gate_note(&self->gate, &end, clock_boot_ms());
    tell_incidents(self, &change, outcome);
    self->gate_at_ms = 0;
    self->has_gate_shut = self->has_gate_shut || !worker_gate_lets_through(self) ||
                          outcome->verdict == VERDICT_THROTTLED;
    if (change.breaker == BREAKER_CLOSES || change.guard == GUARD_OPENS || change.is_client_back)
        worker_plan_soon(self);
    return end.is_lost_token || !(was_shut || self->gate.guard.is_shut);
}
