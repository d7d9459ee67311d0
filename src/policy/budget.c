#include "policy/budget.h"

#include "base/mutation.h"

enum {
    BURST_SHARE = 10,
    BURST_MAX = 1000000 /* keeps burst * window within 64 bits; nobody sends so many at once */
};
#define LIMIT_MAX INT64_C(1000000000)

void budget_init(struct budget *budget, int64_t limit, int64_t window_s, int64_t at_once,
                 int64_t now_ms)
{
    *budget = (struct budget){.limit = limit < LIMIT_MAX ? limit : LIMIT_MAX, .at_ms = now_ms};
    if (budget->limit <= 0)
        return;
    budget->window_ms = window_s * 1000;
    budget->burst = 1 + (budget->limit - 1) / BURST_SHARE;
    if (budget->burst > BURST_MAX)
        budget->burst = BURST_MAX;
    if (budget->burst < at_once)
        budget->burst = at_once < budget->limit ? at_once : budget->limit;
    budget->fill = budget->limit - budget->burst + 1;
    budget->level = (at_once < budget->burst ? at_once : budget->burst) * budget->window_ms;
}

static int64_t level_at(const struct budget *budget, int64_t now_ms)
{
    int64_t full = budget->burst * budget->window_ms, passed_ms = now_ms - budget->at_ms;
    if (passed_ms <= 0)
        return budget->level;
    if (passed_ms > (full - budget->level) / budget->fill)
        return full;
    return budget->level + passed_ms * budget->fill;
}

int64_t budget_wait_ms(const struct budget *budget, int64_t count, int64_t now_ms)
{
    int64_t from_ms = budget->hold_until_ms > now_ms ? budget->hold_until_ms : now_ms;
    int64_t held_ms = from_ms - now_ms;
    if (budget->limit == 0)
        return held_ms;
    int64_t level = level_at(budget, from_ms);
    if (count > INT64_MAX / 2 / budget->window_ms - budget->aside)
        return INT64_MAX / 2;
    int64_t aside = BURSAR_MUTATION == 21 ? 0 : budget->aside;
    int64_t missing = (count + aside) * budget->window_ms - level;
    if (BURSAR_MUTATION == 11)
        missing -= budget->window_ms;
    return missing <= 0 ? held_ms : held_ms + (missing + budget->fill - 1) / budget->fill;
}

void budget_take(struct budget *budget, int64_t count, int64_t now_ms)
{
    if (budget->limit == 0)
        return;
    budget->level = level_at(budget, now_ms) - count * budget->window_ms;
    budget->at_ms = now_ms > budget->at_ms ? now_ms : budget->at_ms;
}

void budget_set_aside(struct budget *budget, int64_t count)
{
    if (budget->limit > 0)
        budget->aside += count;
}

void budget_put_back(struct budget *budget, int64_t count)
{
    if (budget->limit > 0)
        budget->aside -= count;
}

/* Units that nobody has a claim to. */
static int64_t free_at(const struct budget *budget, int64_t now_ms)
{
    return level_at(budget, now_ms) - budget->aside * budget->window_ms;
}

void budget_hold(struct budget *budget, int64_t until_ms)
{
    if (until_ms <= budget->hold_until_ms)
        return;
    budget->hold_until_ms = until_ms;
    /* The provider counts otherwise than was thought: one request then, and no burst behind it. */
    if (budget->limit > 0 && budget->level > budget->window_ms)
        budget->level = budget->window_ms;
    if (until_ms > budget->at_ms)
        budget->at_ms = until_ms;
}

int64_t budget_left(const struct budget *budget, int64_t now_ms)
{
    if (budget->limit == 0)
        return INT64_MAX;
    int64_t level = now_ms < budget->hold_until_ms ? 0 : free_at(budget, now_ms);
    return level > 0 ? level / budget->window_ms : 0;
}

int64_t budget_room(const struct budget *budget, int64_t span_ms, int64_t now_ms)
{
    if (budget->limit == 0)
        return INT64_MAX;
    int64_t end_ms = now_ms + span_ms;
    int64_t from_ms = budget->hold_until_ms > now_ms ? budget->hold_until_ms : now_ms;
    if (from_ms >= end_ms)
        return 0;
    int64_t flow_ms = end_ms - from_ms, level = free_at(budget, from_ms);
    if (flow_ms > (INT64_MAX / 2 - level) / budget->fill)
        return INT64_MAX;
    int64_t room = (level + flow_ms * budget->fill) / budget->window_ms;
    return room > 0 ? room : 0;
}
