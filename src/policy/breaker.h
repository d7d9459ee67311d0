/* The circuit breaker of one provider.
 * Thread: the breaker's owner. Times are milliseconds of the boot-time clock.
 *
 * After failures in a row nothing is sent for a while, then one request tries whether it works again.
 *
 *     CLOSED --failures in a row--> OPEN --open_ms--> HALF_OPEN --an answer--> CLOSED
 *                                    ^------- the probe fails -------' */
#ifndef POLICY_BREAKER_H
#define POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"

#define BREAKER_FAILURES 5
#define BREAKER_OPEN_MS 30000

struct breaker_rule {
    unsigned failures; /* in a row */
    int64_t open_ms;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    unsigned failures;
    int64_t until_ms;   /* of an open one */
    bool is_probe_sent; /* of a half-open one */
};

enum breaker_change { BREAKER_SAME, BREAKER_OPENED, BREAKER_CLOSES };

/* An open one whose time is over becomes half-open. */
enum breaker_state breaker_at(struct breaker *breaker, int64_t now_ms);
/* How long until a request may be sent; 0: now; -1: not before the probe that is under way has ended. */
int64_t breaker_wait_ms(const struct breaker *breaker, int64_t now_ms);
/* A request goes out: whether it is the probe. breaker_unsent(): the probe did not go out, or says nothing. */
bool breaker_sent(struct breaker *breaker);
void breaker_unsent(struct breaker *breaker);
/* What an exchange came to. Any answer that says what the provider thinks of a grant or a client is an
 * answer, also to what went out before it opened; being asked to wait is neither that nor a failure, and a
 * failure of what is not the probe says nothing new. */
enum breaker_change breaker_note(struct breaker *breaker, const struct breaker_rule *rule,
                                 enum verdict_class verdict, bool is_probe, int64_t now_ms);

/* `closed`, `open`, `half_open`. */
const char *breaker_state_name(enum breaker_state state);

#endif
