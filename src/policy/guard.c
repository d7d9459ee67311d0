#include "policy/guard.h"

#include "base/mutation.h"

int64_t guard_wait_ms(const struct guard *guard, int64_t now_ms)
{
    if (!guard->is_shut)
        return 0;
    if (now_ms < guard->round_at_ms)
        return guard->round_at_ms - now_ms;
    return guard->sent < GUARD_CANARIES ? 0 : -1;
}

unsigned guard_sent(struct guard *guard)
{
    guard->sent += guard->is_shut;
    return guard->is_shut ? guard->round : 0;
}

static bool is_canary(const struct guard *guard, unsigned round)
{
    return guard->is_shut && round != 0 && round == guard->round;
}

void guard_unsent(struct guard *guard, unsigned round)
{
    guard->sent -= is_canary(guard, round);
}

static void begin_round(struct guard *guard, const struct guard_rule *rule, int64_t now_ms)
{
    guard->sent = guard->taken = guard->refused = 0;
    guard->round++;
    guard->round_ms = guard->round_ms == 0 ? rule->round_ms : 2 * guard->round_ms;
    if (guard->round_ms > GUARD_ROUND_MAX_MS)
        guard->round_ms = GUARD_ROUND_MAX_MS;
    guard->round_at_ms = now_ms + guard->round_ms;
}

void guard_shut(struct guard *guard, const struct guard_rule *rule, int64_t now_ms)
{
    *guard = (struct guard){.is_shut = true, .round = guard->round};
    begin_round(guard, rule, now_ms);
}

void guard_open(struct guard *guard)
{
    *guard = (struct guard){.is_shut = false, .round = guard->round};
}

static bool is_unusual(const struct guard *guard, const struct guard_rule *rule, int64_t number)
{
    unsigned taken = 0, refused = 0;
    for (int i = 0; i < GUARD_SLOTS; i++) {
        if (number - guard->slots[i].number >= GUARD_SLOTS)
            continue;
        taken += guard->slots[i].taken;
        refused += guard->slots[i].refused;
    }
    return refused >= rule->refusals && (double)refused > rule->share * (double)(taken + refused);
}

static enum guard_change note_canary(struct guard *guard, const struct guard_rule *rule,
                                     bool is_refused, int64_t now_ms)
{
    if (is_refused)
        guard->refused++;
    else
        guard->taken++;
    if (2 * guard->taken > GUARD_CANARIES) {
        guard_open(guard);
        return GUARD_OPENS;
    }
    if (guard->taken + guard->refused >= GUARD_CANARIES)
        begin_round(guard, rule, now_ms);
    return GUARD_SAME;
}

enum guard_change guard_note(struct guard *guard, const struct guard_rule *rule, bool is_refused,
                             unsigned round, int64_t now_ms)
{
    if (guard->is_shut) /* others were under way when it shut, or since an earlier round */
        return is_canary(guard, round) ? note_canary(guard, rule, is_refused, now_ms) : GUARD_SAME;
    int64_t number = now_ms / (rule->window_ms / GUARD_SLOTS + 1);
    int at = (int)(number % GUARD_SLOTS);
    if (guard->slots[at].number != number) {
        guard->slots[at].number = number;
        guard->slots[at].taken = guard->slots[at].refused = 0;
    }
    if (is_refused)
        guard->slots[at].refused++;
    else
        guard->slots[at].taken++;
    if (!is_refused || BURSAR_MUTATION == 16 || !is_unusual(guard, rule, number))
        return GUARD_SAME;
    guard_shut(guard, rule, now_ms);
    return GUARD_SHUTS;
}
