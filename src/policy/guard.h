/* The fleet guard of one provider: refusals that are too many to be believed.
 * Thread: the guard's owner. Times are milliseconds of the boot-time clock.
 *
 * A provider that suddenly refuses a large share of all grants has had an accident, or we have; not so
 * many owners leave at once. While the guard is shut no refusal is believed, and nothing is sent but
 * canaries: a few refreshes in a round. Where most of a round are taken the guard opens; else the next
 * round comes later. */
#ifndef POLICY_GUARD_H
#define POLICY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define GUARD_REFUSALS 20
#define GUARD_SHARE 0.3
#define GUARD_WINDOW_MS 300000
#define GUARD_CANARIES 3
#define GUARD_ROUND_MS 60000
#define GUARD_ROUND_MAX_MS 900000
#define GUARD_SLOTS 10

struct guard_rule {
    unsigned refusals; /* at least so many within the window */
    double share;      /* and more than this share of all that were decided in it */
    int64_t window_ms;
    int64_t round_ms; /* before the first round of canaries; doubling */
};

struct guard {
    struct {
        int64_t number; /* which slice of time */
        unsigned taken, refused;
    } slots[GUARD_SLOTS];
    bool is_shut;
    unsigned round;                /* its number, from 1; none is used again */
    unsigned sent, taken, refused; /* canaries of it */
    int64_t round_at_ms;           /* when the next round may begin */
    int64_t round_ms;
};

enum guard_change { GUARD_SAME, GUARD_SHUTS, GUARD_OPENS };

/* How long until a canary may go out, of a shut one; 0: now; -1: not before those that are under way
 * have ended. An open one always says 0. */
int64_t guard_wait_ms(const struct guard *guard, int64_t now_ms);
/* A request goes out: the round that it is a canary of, 0: none. guard_unsent(): that one did not go out, or
 * says nothing about its grant. */
unsigned guard_sent(struct guard *guard);
void guard_unsent(struct guard *guard, unsigned round);
/* A grant was taken or refused by the provider. A refusal behind a lost reply is none of these. round is what
 * guard_sent() gave: while it is shut only this round's canaries count. */
enum guard_change guard_note(struct guard *guard, const struct guard_rule *rule, bool is_refused,
                             unsigned round, int64_t now_ms);
/* Shut from the start: it was when the process before this one ended. */
void guard_shut(struct guard *guard, const struct guard_rule *rule, int64_t now_ms);
/* An operator says that the refusals are true: opens, and counts from anew. */
void guard_open(struct guard *guard);

#endif
