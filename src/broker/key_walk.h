/* A walk through all rows that hold sealed blobs, a few at a time, between other work of the query thread.
 * Thread: the query thread.
 *
 * Rows are written as they were read or not at all, so a refresh that comes between is never undone; rows
 * that were lost to one are looked at again in a further round. Where the process ends in the middle, another
 * walk does what is left. */
#ifndef BROKER_KEY_WALK_H
#define BROKER_KEY_WALK_H

#include "broker/query_parts.h"

enum key_walk_kind {
    KEY_WALK_REWRAP, /* data keys are wrapped under the keys that are active for their owners */
    KEY_WALK_COUNT,  /* how many rows name each key */
    KEY_WALK_END     /* every row of the owner loses its secret: its key is to be destroyed */
};

typedef void key_walk_fn(struct query *query);

struct key_walk {
    bool is_on;
    struct query *query;
    enum key_walk_kind kind;
    struct text owner; /* absent: all rows */
    key_walk_fn *ended;
    struct sealed_cursor cursor;
    uint64_t total, done, changed;
    uint64_t failed;      /* rows with a blob that does not open */
    uint64_t lost;        /* rows of this round that were changed meanwhile */
    size_t writes;        /* that are with the store */
    int64_t resume_at_ms; /* boot time; 0: now */
    uint64_t *counts;     /* COUNT: rows that name each key of the set; behind it: an unknown one */
    size_t count_len;
    struct write_message *batch; /* that is being filled */
};

/* owner stays its caller's. A walk that is on is given up: what it has with the store comes back and is forgotten
 * by whoever ends the walk (key_walk_is_idle). */
void key_walk_begin(struct key_walk *walk, struct query *query, enum key_walk_kind kind,
                    struct text owner, key_walk_fn *ended);
/* A few rows; how long the next few may wait: 0, or until a message comes (-1). */
int key_walk_step(struct key_walk *walk);
void key_walk_fini(struct key_walk *walk);

#endif
