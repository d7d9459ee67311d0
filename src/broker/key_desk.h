/* What the files share that do key.*: one request at a time, in small steps.
 * Thread: the query thread. */
#ifndef BROKER_KEY_DESK_H
#define BROKER_KEY_DESK_H

#include "broker/key_walk.h"

struct key_desk {
    struct request_queue waiting; /* for their turn */
    struct request *current;
    struct key_walk rewrap; /* in the background, whatever is asked */
    struct key_walk walk;   /* of the current request */
    bool has_rewrapped;     /* since the start, or does */
    key_walk_fn *then;      /* behind the barrier, or the audit row */
    size_t awaited;         /* threads that are to say that they passed it */
    bool is_at_dispatcher;
    bool is_forgetting;   /* the store has nothing to do with it */
    struct key_set *next; /* what the keys will be when the current request ends */
    size_t dropped;
    uint8_t named[KEYRING_ID_LEN]; /* the key that the current request is about */
};

/* The keys; the query thread alone changes them, so that they stay without being held. */
const struct key_set *key_desk_set(struct query *self);
/* Ends the current request with an answer, which it takes, or with a refusal. */
void key_desk_give(struct query *self, struct answer *answer);
void key_desk_refuse(struct query *self, int error, struct text text);
/* What may cross the wire of an error of this process. */
int key_desk_error(int error);

/* The keys as they stand in the file, with room for one more. NULL where they cannot be changed: refused. */
struct key_set *key_desk_open(struct query *self);
/* Writes the keys, and begins to use them. Takes the set. false: refused. */
bool key_desk_commit(struct query *self, struct key_set *set);
/* The key that the current job names; NULL: refused. */
const struct key *key_desk_named(struct query *self, const struct key_set *set);
bool key_desk_is_same(const struct key *a, const struct key *b);

/* Goes on with `then` once no thread holds what is sealed under a key that is not active but the store's rows; or
 * refuses. */
void key_desk_barrier(struct query *self, key_walk_fn *then);
/* Goes on with `then` once the dispatcher has in memory nothing that was sealed under a key that is not active, however
 * late a worker told it. Cannot fail. */
void key_desk_forget(struct query *self, key_walk_fn *then);
/* Goes on with `then` once the audit log says that the current request has done what it is about to do; or refuses.
 * owner may be empty. */
void key_desk_tell(struct query *self, struct text owner, struct text detail, key_walk_fn *then);
/* All rows go under the active keys, in the background. */
void key_desk_rewrap(struct query *self);

/* query_keys_drop.c: the current request's op. */
void key_desk_retire(struct query *self);
void key_desk_reload(struct query *self);
void key_desk_shred(struct query *self);

#endif
