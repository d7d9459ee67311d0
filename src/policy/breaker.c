#include "policy/breaker.h"

#include <stddef.h>

#include "base/mutation.h"

enum breaker_state breaker_at(struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN && now_ms >= breaker->until_ms) {
        breaker->state = BREAKER_HALF_OPEN;
        breaker->is_probe_sent = false;
    }
    return breaker->state;
}

int64_t breaker_wait_ms(const struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN && now_ms < breaker->until_ms)
        return breaker->until_ms - now_ms;
    return breaker->state == BREAKER_HALF_OPEN && breaker->is_probe_sent ? -1 : 0;
}

bool breaker_sent(struct breaker *breaker)
{
    breaker->is_probe_sent = breaker->state == BREAKER_HALF_OPEN;
    return breaker->is_probe_sent;
}

void breaker_unsent(struct breaker *breaker)
{
    breaker->is_probe_sent = false;
}

static void open_it(struct breaker *breaker, const struct breaker_rule *rule, int64_t now_ms)
{
    breaker->state = BREAKER_OPEN;
    breaker->until_ms = now_ms + rule->open_ms;
    breaker->is_probe_sent = false;
}

static enum breaker_change fail(struct breaker *breaker, const struct breaker_rule *rule,
                                bool is_probe, int64_t now_ms)
{
    breaker->failures++;
    switch (breaker->state) {
    case BREAKER_HALF_OPEN:
        if (is_probe)
            open_it(breaker, rule, now_ms);
        return BREAKER_SAME;
    case BREAKER_CLOSED:
        if (breaker->failures < rule->failures || BURSAR_MUTATION == 17)
            return BREAKER_SAME;
        open_it(breaker, rule, now_ms);
        return BREAKER_OPENED;
    case BREAKER_OPEN: break; /* what was under way when it opened */
    }
    return BREAKER_SAME;
}

enum breaker_change breaker_note(struct breaker *breaker, const struct breaker_rule *rule,
                                 enum verdict_class verdict, bool is_probe, int64_t now_ms)
{
    if (verdict == VERDICT_PROVIDER || verdict == VERDICT_UNCERTAIN)
        return fail(breaker, rule, is_probe, now_ms);
    if (verdict == VERDICT_THROTTLED) {
        if (is_probe)
            breaker->is_probe_sent = false; /* the next one tries it */
        return BREAKER_SAME;
    }
    bool was_closed = breaker->state == BREAKER_CLOSED;
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
    return was_closed ? BREAKER_SAME : BREAKER_CLOSES;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half_open"};
    return names[state];
}
