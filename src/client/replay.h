/* Missed events, asked for by number: pages of `events.since`, one event after the other.
 * Thread: its owner. */
#ifndef CLIENT_REPLAY_H
#define CLIENT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "client/call.h"
#include "client/sequence.h"

#define REPLAY_TO_THE_END UINT64_MAX

struct replay {
    const char *owner; /* whose events alone are asked for; NULL: everybody's. Borrowed */
    bool is_on;
    uint64_t until;        /* the number that must be looked at before it ends */
    int64_t not_before_ms; /* boot time: when a failed question may be put again */
    struct reply page;     /* its events are node_get(page.root, "events") */
    size_t next;           /* the page's next event */
};

/* Begins, or moves the end of one that is on. */
void replay_begin(struct replay *replay, uint64_t until);
void replay_end(struct replay *replay);

/* Gives the next event behind sequence->looked, which moves along; *out_event is NULL where the
 * replay has ended. It is borrowed until the next call. 0, or why the log could not be asked: the
 * replay stays on then. */
int replay_next(struct replay *replay, struct bursar_client *client, struct sequence *sequence,
                const struct node **out_event, struct bursar_failure *out_failure);

#endif
