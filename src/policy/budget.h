/* A token bucket: how many requests may be made without going beyond a published ceiling.
 * Thread: the budget's owner. Times are milliseconds of the boot-time clock.
 *
 * A provider counts `limit` requests in any window of `window_ms`. The bucket holds a tenth of that for
 * a burst and fills so slowly that a burst and what flows in behind it never come to more than
 * the limit in one window, wherever the provider's begins. Whole numbers all through: what is counted
 * for years must not drift.
 *
 * A request counts when it is sent. Where something else comes between the leave for it and its sending, it
 * is set aside meanwhile: however long that takes, no more are sent together then than the bucket holds. */
#ifndef POLICY_BUDGET_H
#define POLICY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget {
    int64_t limit;     /* requests in a window; 0: no ceiling is known, only holds count */
    int64_t window_ms; /* also what one request costs, in the unit of level */
    int64_t burst;     /* requests that a full bucket holds */
    int64_t fill;      /* units that flow in each millisecond */
    int64_t level;     /* units */
    int64_t
        aside; /* requests that were let through and are not sent yet; the level has them still */
    int64_t at_ms;         /* when level was true */
    int64_t hold_until_ms; /* the provider asked to wait until then */
};

/* A bucket that holds at least what is taken `at_once`. It begins with no more than that: what an earlier
 * process sent just before is not known. limit 0: without a ceiling. */
void budget_init(struct budget *budget, int64_t limit, int64_t window_s, int64_t at_once,
                 int64_t now_ms);
/* How long until `count` requests can be taken together; 0: now. Where count is more than a full
 * bucket holds, until so many can have been taken one after the other. */
int64_t budget_wait_ms(const struct budget *budget, int64_t count, int64_t now_ms);
/* Takes what budget_wait_ms() said can be taken. More than there is makes a debt that is paid first. */
void budget_take(struct budget *budget, int64_t count, int64_t now_ms);
/* What can be taken is for these alone, until they are put back: to be taken at once, or because they are not sent. */
void budget_set_aside(struct budget *budget, int64_t count);
void budget_put_back(struct budget *budget, int64_t count);
/* Nothing is taken before until_ms, and the burst is gone then. An earlier end than the one that is set
 * already changes nothing. */
void budget_hold(struct budget *budget, int64_t until_ms);
/* Whole requests that can be taken now; INT64_MAX without a ceiling. */
int64_t budget_left(const struct budget *budget, int64_t now_ms);
/* How many requests fit into a time from now on; INT64_MAX without a ceiling. */
int64_t budget_room(const struct budget *budget, int64_t span_ms, int64_t now_ms);

#endif
