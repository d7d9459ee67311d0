/* Which event comes next: the rules of a subscription, without sockets.
 * Thread: any; pure.
 *
 * `looked` is the number up to which every event was looked at. A live event right behind it is new,
 * one at or before it was seen, one further on says that numbers lie between: other topics' events,
 * or lost ones. Which of both, only the log (`events.since`) can say. */
#ifndef CLIENT_SEQUENCE_H
#define CLIENT_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct sequence {
    bool has_looked;
    uint64_t looked;
};

enum sequence_step {
    SEQUENCE_NEW,  /* give it out; looked has moved on */
    SEQUENCE_SEEN, /* drop it */
    SEQUENCE_GAP,  /* ask the log for what comes after looked, then decide again */
};

/* What to do with a live event; the first one of all is new. */
enum sequence_step sequence_live(struct sequence *sequence, uint64_t seq);
/* What to do with an `alive`, which carries the number of the last event: never NEW. */
enum sequence_step sequence_alive(struct sequence *sequence, uint64_t seq);
/* Notes that everything up to seq was looked at; never goes back. */
void sequence_looked(struct sequence *sequence, uint64_t seq);

/* Whether a topic begins with one of the NULL-ended beginnings; all do where there is none. */
bool sequence_is_wanted(const char *const *topics, struct text topic);

#endif
