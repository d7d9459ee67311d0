#include "policy/availability.h"

#include <math.h>

#include "policy/expiry.h"
#include "policy/retry.h"

static int class_of(double seconds)
{
    int class = 0;
    while (class < AVAILABILITY_OUTAGES - 1 && seconds > (double)(INT64_C(1) << class))
        class ++;
    return class;
}

void availability_init(struct availability *availability)
{
    *availability = (struct availability){.watched_s = AVAILABILITY_MONTH_S};
    availability->outages[class_of(AVAILABILITY_ASSUMED_S)] = 1;
}

void availability_note(struct availability *availability, bool is_answered, int64_t now_ms)
{
    if (!is_answered) {
        if (availability->failing_since_ms == 0)
            availability->failing_since_ms = now_ms;
        return;
    }
    if (availability->failing_since_ms == 0)
        return;
    double lasted_s = (double)(now_ms - availability->failing_since_ms) / 1000;
    availability->failing_since_ms = 0;
    availability->outages[class_of(lasted_s)] += 1;
}

void availability_watched(struct availability *availability, double seconds)
{
    availability->watched_s += seconds;
    if (availability->watched_s < 2.0 * AVAILABILITY_MONTH_S)
        return;
    availability->watched_s /= 2;
    for (int i = 0; i < AVAILABILITY_OUTAGES; i++)
        availability->outages[i] /= 2;
}

void availability_cover(struct availability *availability, int64_t since, int64_t ended_at,
                        int64_t now)
{
    if (now <= since)
        return;
    int64_t from = ended_at > since ? ended_at : since;
    availability->covered_s += (double)(now - since);
    availability->missing_s += now > from ? (double)(now - from) : 0;
}

/* The mean time that one outage takes from one secret. At its beginning the secret has, by chance, anything
 * from the lead to its whole life left: r. It is missed for what is left of the outage behind that. */
static double lost_s(double outage_s, double life_s, double lead_s)
{
    if (outage_s <= lead_s)
        return 0;
    if (outage_s >= life_s)
        return outage_s - (life_s + lead_s) / 2;
    return (outage_s - lead_s) * (outage_s - lead_s) / (2 * (life_s - lead_s));
}

double availability_missing(const struct availability *availability, int64_t life_s, int64_t lead_s)
{
    double lost = 0;
    if (life_s <= lead_s)
        lead_s = life_s - 1;
    for (int i = 0; i < AVAILABILITY_OUTAGES; i++) {
        /* of a class as its longest: rather too early than too late */
        double outage_s = (double)(INT64_C(1) << i);
        lost += availability->outages[i] * lost_s(outage_s, (double)life_s, (double)lead_s);
    }
    return availability->watched_s > 0 ? lost / availability->watched_s : 0;
}

/* That attempts take until one of them has worked with the wanted certainty, without an outage. */
static double attempts_s(const struct availability_rule *rule)
{
    double failing = rule->failing_share, left = 1, seconds = 0;
    for (unsigned i = 0; i < RETRY_ATTEMPTS && (i == 0 || left > 1 - rule->target); i++) {
        seconds += (double)rule->attempt_ms / 1000;
        seconds += i > 0 ? (double)retry_delay_ms(i, 0.999, 0) / 1000 : 0;
        left *= failing;
    }
    return ceil(seconds);
}

int64_t availability_lead_s(const struct availability *availability,
                            const struct availability_rule *rule, int64_t life_s)
{
    int64_t most = (int64_t)(AVAILABILITY_SHARE_OF_LIFE * (double)life_s), least;
    if (!(rule->target > 0) || life_s <= 1)
        return 0;
    least = (int64_t)attempts_s(rule);
    if (least >= most)
        return most;
    while (least < most) { /* what is missing falls as the lead grows */
        int64_t middle = least + (most - least) / 2;
        if (availability_missing(availability, life_s, middle) <= 1 - rule->target)
            most = middle;
        else
            least = middle + 1;
    }
    return least;
}

double availability_measured(double covered_s, double missing_s)
{
    return covered_s > 0 ? 1 - missing_s / covered_s : 1;
}
