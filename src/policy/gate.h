/* Whether a token request may go out to a provider now: what holds it back, and for how long.
 * Thread: the gate's owner. Times are milliseconds of the boot-time clock.
 *
 * Four things can hold work back, each with its own end, and none of them touches a connection:
 *
 *     paused   an operator stopped it
 *     client   our client is refused: one request now and then tries whether it is taken again
 *     guard    the provider refuses unusually many grants (policy/guard.h)
 *     breaker  the provider does not answer (policy/breaker.h)
 *     budget   its ceilings are reached, or it asked to wait (policy/budget.h)
 *
 * One that may go out gets its pass from gate_admit(). gate_sent() tells when its request is sent, for it has its
 * place in the budgets until then and counts from then on, and gate_note() or gate_unclear() when it has ended,
 * sent or not. The pass says what it tries: the end of something that went out before is never taken for the end of
 * a probe. */
#ifndef POLICY_GATE_H
#define POLICY_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/breaker.h"
#include "policy/budget.h"
#include "policy/guard.h"
#include "policy/verdict.h"

enum gate_reason {
    GATE_FREE,
    GATE_BUDGET,
    GATE_BREAKER,
    GATE_GUARD,
    GATE_CLIENT,
    GATE_PAUSED,
    GATE_REASON_END
};

struct gate_rule {
    int64_t token_limit, token_window_s; /* of the token endpoint; limit 0: none is known */
    int64_t api_limit, api_window_s;     /* of the whole API, which token requests count for too */
    unsigned requests;                   /* that one refresh makes */
    unsigned
        throttles; /* so many in a row that ask to wait, of whichever grants, mean that all must
                         * wait; 0: never, for each is counted by itself */
    struct breaker_rule breaker;
    struct guard_rule guard;
};

struct gate {
    struct gate_rule rule;
    struct budget token, api;
    struct breaker breaker;
    struct guard guard;
    bool is_paused;
    struct {
        bool is_refused, is_probe_sent;
        int64_t until_ms;
    } client;
    unsigned throttles; /* in a row: with no success between them */
};

/* Where it is not known whom a provider counts: one that asks to wait may mean one grant, several in a
 * row mean everybody. */
#define GATE_THROTTLES 3

struct gate_answer {
    enum gate_reason reason;
    int64_t wait_ms; /* 0: now; -1: not before something under way has ended, or an operator acts */
};

/* What one that goes out tries; zero: nothing, as one without a pass. */
struct gate_pass {
    bool is_probe;        /* whether the provider answers again */
    bool is_client_probe; /* whether our client is taken again */
    unsigned canary;      /* of which round of the guard's; 0: none */
    bool is_unsent;       /* what it needs of the budgets is set aside for it */
};

/* What an exchange came to, for the gate. */
struct gate_end {
    struct gate_pass pass;
    enum verdict_class verdict;
    bool is_client_refused; /* of VERDICT_CLIENT: the client itself, not this request */
    bool is_lost_token;     /* of VERDICT_GRANT: refused because its rotation was lost on the way */
    int64_t delay_ms;       /* of VERDICT_THROTTLED, VERDICT_CLIENT: when to try again */
};

/* What changed with it, for who has to tell about it. */
struct gate_change {
    enum breaker_change breaker;
    enum guard_change guard;
    bool is_client_back; /* it was refused before */
};

void gate_init(struct gate *gate, const struct gate_rule *rule, int64_t now_ms);
/* Whether a refresh may go out now. May turn an open breaker half-open. */
struct gate_answer gate_ask(struct gate *gate, int64_t now_ms);
/* How long until the last of `count` refreshes could go out, by the budgets alone. */
int64_t gate_budget_wait_ms(const struct gate *gate, int64_t count, int64_t now_ms);
struct gate_pass gate_admit(struct gate *gate);
/* The first of its requests is: all of them count now. */
void gate_sent(struct gate *gate, struct gate_pass *pass, int64_t now_ms);
/* It was not sent, or what came of it says nothing about the provider. */
void gate_unclear(struct gate *gate, struct gate_pass pass);
struct gate_change gate_note(struct gate *gate, const struct gate_end *end, int64_t now_ms);
/* How many failures in a row a row's next delay is to be counted from, where it was asked to wait and had
 * `own` itself. */
unsigned gate_throttles(const struct gate *gate, unsigned own);
/* A request that is no refresh: how long until it may be sent by the budgets, and that it is.
 * is_token: it counts for the token endpoint too, not only for the API. */
int64_t gate_errand_wait_ms(const struct gate *gate, bool is_token, int64_t now_ms);
void gate_errand_sent(struct gate *gate, bool is_token, int64_t now_ms);
/* How many refreshes may be under way at once: few while it is being tried whether they work. */
unsigned gate_width(const struct gate *gate, unsigned usual);
/* How many refreshes fit into a time; INT64_MAX without a ceiling. 0 while anything but a budget holds
 * them back. */
int64_t gate_room(const struct gate *gate, int64_t span_ms, int64_t now_ms);

/* Whether nothing of it will change with time: refreshes go out, and its budgets are full. */
bool gate_is_at_rest(struct gate *gate, int64_t now_ms);

/* `budget`, `breaker`, `guard`, `client`, `paused`; NULL for GATE_FREE. */
const char *gate_reason_name(enum gate_reason reason);

#endif
