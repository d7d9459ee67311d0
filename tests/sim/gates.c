/* What holds a provider back, looked at from the provider's side: that a breaker opens and lets one probe out at a time,
 * that a fleet guard shuts, believes nobody and lets a few canaries out. Whether they are shut is known from
 * committed incidents alone. */
#include "world.h"

#include <stdio.h>

enum {
    SLACK_MS = 1000,      /* from a turn to its sending, and from a change to its commit */
    CALM_MS = 600 * 1000, /* behind a disturbance: slow disks stretch all of this */
    BREAKER_FAILURES = 5, /* the configuration has the defaults */
    OPEN_MS = 30 * 1000,
    UNHEARD = 8, /* failures in a row that a broker may not have counted: their rows had changed */
    CANARIES = 3,
    ROUND_MS = 55 * 1000,      /* the first one is a minute */
    WINDOW_MS = 4 * 60 * 1000, /* the guard's is five minutes, in slices of half a minute */
    WIDER_MS = 330 * 1000
};

static bool is_disturbed(const struct world *world)
{
    return world->now_ms - world->disturbed_ms < CALM_MS;
}

/* ---- times of what happened, the newest last ------------------------------------------------------- */

static void note(struct times *times, int64_t at_ms)
{
    times->at_ms[times->next] = at_ms;
    times->next = (times->next + 1) % TIMES_MAX;
}

static unsigned since(const struct times *times, int64_t from_ms)
{
    unsigned count = 0;
    for (size_t i = 0; i < TIMES_MAX; i++)
        count += times->at_ms[i] >= from_ms && times->at_ms[i] > 0;
    return count;
}

/* ---- what is told --------------------------------------------------------------------------------- */

void gates_started(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct gates *gates = &world->providers[i].gates;
        gates->outstanding = 0;
        gates->failures = 0;
        gates->probe_failed_ms = 0;
        gates->is_open = gates->has_outage;
        gates->is_shut = gates->has_refusals;
        gates->opened_ms = gates->shut_ms = world->now_ms;
        gates->taken_since_shut = 0;
    }
}

void gates_incident(struct world *world, const struct store_change *change)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct gates *gates = &world->providers[i].gates;
        if (!text_is(change->provider, world->providers[i].name))
            continue;
        if (change->incident == INCIDENT_OUTAGE) {
            gates->has_outage = gates->is_open = change->is_begin;
            gates->opened_ms = world->now_ms;
            gates->outstanding = 0;
            gates->probe_failed_ms = 0;
        }
        if (change->incident == INCIDENT_MASS_REFUSAL) {
            gates->has_refusals = gates->is_shut = change->is_begin;
            gates->shut_ms = world->now_ms;
            gates->taken_since_shut = 0;
            gates->believed = (struct times){.next = 0}; /* it counts anew when it opens */
        }
    }
}

void gates_sent(struct world *world, const struct asked *asked)
{
    struct gates *gates = &asked->provider->gates;
    bool is_behind = world->now_ms - gates->opened_ms > SLACK_MS;
    if (!gates->is_open || !is_behind)
        return;
    if (gates->outstanding > 0 && !is_disturbed(world))
        violation(world, asked->conn, "breaker", "a second request goes out beside the probe");
    if (gates->probe_failed_ms > 0 && !is_disturbed(world) &&
        world->now_ms - gates->probe_failed_ms < OPEN_MS - SLACK_MS)
        violation(world, asked->conn, "breaker",
                  "a probe has failed, and the next one comes at once");
    gates->outstanding++;
}

/* A canary, or what was sent before: both say what the provider thinks of grants. */
static void note_grant(struct world *world, const struct asked *asked, int64_t sent_ms,
                       bool is_taken)
{
    struct gates *gates = &asked->provider->gates;
    note(is_taken ? &gates->taken : &gates->refused, world->now_ms);
    if (!gates->is_shut || sent_ms < gates->shut_ms + SLACK_MS)
        return;
    if (asked->conn && asked->conn->replaced_ms >= sent_ms)
        return; /* a verdict on what was put away meanwhile says nothing: another canary goes in its place */
    if (asked->conn && asked->conn->is_probe && !is_taken)
        return; /* no more does a lost token's refusal */
    note(&gates->canaries, sent_ms);
    if (since(&gates->canaries, world->now_ms - ROUND_MS) > CANARIES && !is_disturbed(world))
        violation(world, asked->conn, "guard", "more than a few are sent while it is shut");
    gates->taken_since_shut += is_taken;
    if (gates->taken_since_shut > CANARIES / 2)
        gates->is_shut = false; /* the end of the incident is on its way */
}

void gates_told(struct world *world, const struct asked *asked, const struct told *told,
                int64_t sent_ms)
{
    struct gates *gates = &asked->provider->gates;
    bool is_failure = !told || told->status >= 500 || (told->status < 300 && !told->is_secret);
    bool is_answer = !is_failure && told->status != 429;
    bool is_probe = gates->is_open && sent_ms > gates->opened_ms + SLACK_MS;
    if (is_probe && gates->outstanding > 0)
        gates->outstanding--;
    if (is_probe && is_failure)
        gates->probe_failed_ms = world->now_ms;
    gates->failures = is_failure ? gates->failures + 1 : is_answer ? 0 : gates->failures;
    if (is_failure && gates->failures == BREAKER_FAILURES)
        gates->enough_ms = world->now_ms;
    bool is_enough = gates->failures >= BREAKER_FAILURES + UNHEARD && !gates->has_outage;
    /* Others were under way, all that a pause had held back for instance. */
    if (is_failure && is_enough && sent_ms > gates->enough_ms + SLACK_MS && !is_disturbed(world)) {
        violation(world, asked->conn, "breaker",
                  "it does not open, however often the provider fails");
        gates->failures = 0; /* once is enough */
    }
    if (is_answer)
        gates->is_open = false; /* the end of the incident is on its way */
    if (told && (told->is_secret || told->is_refusal))
        note_grant(world, asked, sent_ms, told->is_secret);
}

/* Behind a refusal of the current token alone; a lost one counts for nobody. */
void gates_believed(struct world *world, struct conn *conn)
{
    struct provider *provider = conn->provider;
    struct gates *gates = &provider->gates;
    int64_t from_ms = world->now_ms - WINDOW_MS;
    note(&gates->believed, world->now_ms);
    if (is_disturbed(world) || world->now_ms - world->began_ms < WIDER_MS)
        return;
    if (gates->is_shut && conn->tried_ms > gates->shut_ms + SLACK_MS)
        violation(world, conn, "guard", "a refusal is believed while it is shut");
    unsigned believed = since(&gates->believed, from_ms);
    unsigned all = believed + since(&gates->taken, world->now_ms - WIDER_MS);
    if (believed > provider->guard_refusals && 10 * believed > 3 * all + 10) {
        violation(world, conn, "guard", "it does not shut, however many are refused");
        gates->believed = (struct times){.next = 0}; /* once is enough */
    }
}
