#include "policy/flight.h"

#include <stdbool.h>
#include <stdlib.h>

struct rule {
    bool is_possible;
    struct flight_step step;
};

#define TO(phase, action) \
    {                     \
        true,             \
        {                 \
            phase, action \
        }                 \
    }

static const struct rule rules[FLIGHT_PHASE_END][FLIGHT_INPUT_END] = {
    [FLIGHT_IDLE] =
        {
            [FLIGHT_ON_START] = TO(FLIGHT_TURN, FLIGHT_QUEUE),
            [FLIGHT_ON_RESUME] = TO(FLIGHT_END, FLIGHT_CONCLUDE),
            [FLIGHT_ON_SETTLE] = TO(FLIGHT_END, FLIGHT_CONCLUDE),
            [FLIGHT_ON_AGAIN] = TO(FLIGHT_BACKOFF, FLIGHT_WAIT),
        },
    [FLIGHT_BACKOFF] =
        {
            [FLIGHT_ON_TIMER] = TO(FLIGHT_TURN, FLIGHT_QUEUE),
            [FLIGHT_ON_CONFLICT] = TO(FLIGHT_DONE, FLIGHT_LOOK_AGAIN),
        },
    [FLIGHT_TURN] =
        {
            [FLIGHT_ON_TURN] = TO(FLIGHT_INTENT, FLIGHT_COMMIT_INTENT),
            [FLIGHT_ON_CONFLICT] = TO(FLIGHT_DONE, FLIGHT_LOOK_AGAIN),
        },
    [FLIGHT_INTENT] =
        {
            [FLIGHT_ON_COMMITTED] = TO(FLIGHT_SENT, FLIGHT_SEND),
            [FLIGHT_ON_CONFLICT] = TO(FLIGHT_DONE, FLIGHT_LOOK_AGAIN),
            [FLIGHT_ON_STORE_DOWN] = TO(FLIGHT_DONE, FLIGHT_GIVE_UP),
            [FLIGHT_ON_NO_REPLY] = TO(FLIGHT_END, FLIGHT_CONCLUDE), /* it could not even be built */
        },
    [FLIGHT_SENT] =
        {
            [FLIGHT_ON_REPLIED] = TO(FLIGHT_REPLY, FLIGHT_COMMIT_REPLY),
            [FLIGHT_ON_NO_REPLY] = TO(FLIGHT_END, FLIGHT_CONCLUDE),
        },
    [FLIGHT_REPLY] =
        {
            [FLIGHT_ON_COMMITTED] = TO(FLIGHT_END, FLIGHT_CONCLUDE),
            [FLIGHT_ON_CONFLICT] = TO(FLIGHT_DONE, FLIGHT_LOOK_AGAIN),
            [FLIGHT_ON_STORE_DOWN] = TO(FLIGHT_REPLY, FLIGHT_COMMIT_LATER),
            [FLIGHT_ON_TIMER] = TO(FLIGHT_REPLY, FLIGHT_COMMIT_AGAIN),
        },
    [FLIGHT_END] =
        {
            [FLIGHT_ON_COMMITTED] = TO(FLIGHT_DONE, FLIGHT_ANSWER),
            [FLIGHT_ON_NEXT] = TO(FLIGHT_SENT, FLIGHT_SEND),
            [FLIGHT_ON_CONFLICT] = TO(FLIGHT_DONE, FLIGHT_LOOK_AGAIN),
            [FLIGHT_ON_STORE_DOWN] = TO(FLIGHT_END, FLIGHT_COMMIT_LATER),
            [FLIGHT_ON_TIMER] = TO(FLIGHT_END, FLIGHT_COMMIT_AGAIN),
        },
    [FLIGHT_DONE] =
        {
            [FLIGHT_ON_AGAIN] = TO(FLIGHT_BACKOFF, FLIGHT_WAIT),
        },
};

struct flight_step flight_next(enum flight_phase phase, enum flight_input input)
{
    const struct rule *rule = &rules[phase][input];
    if (!rule->is_possible)
        abort();
    return rule->step;
}
