/* What the files of the query thread share; query.h names it.
 * Thread: the query thread. */
#ifndef BROKER_QUERY_PARTS_H
#define BROKER_QUERY_PARTS_H

#include "broker/query.h"
#include "broker/thread.h"
#include "wire/pack.h"

struct query {
    const struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    struct store_reader *reader;
    struct buf *open_error;
    size_t writes; /* changes that are with the store */
    struct key_desk *keys;
};

/* Sends a change; the function is called with it when it is committed or refused. */
void query_write(struct query *self, struct write_message *message, write_done_fn *done,
                 void *context);

/* query_sweep.c */

/* sweep.get, .list and .receipts: 0, or the error; the answer's body is filled. */
int query_sweep(struct query *self, const struct job *job, struct answer *answer);
int query_sweeps(struct query *self, const struct job *job, struct answer *answer);
int query_receipts(struct query *self, const struct job *job, struct answer *answer);
/* connection.freeze, .thaw and .revoke with a selection, and sweep.cancel. Takes the request. */
void query_change_sweep(struct query *self, struct request *request);

/* query_keys.c */

void query_keys_start(struct query *self); /* goes on with what an earlier process has begun */
void query_keys_end(struct query *self);
/* key.*: takes the request. */
void query_keys_take(struct query *self, struct request *request);
/* What is to be done now, a little of it; how long it may wait then, -1: for a message. */
int query_keys_step(struct query *self);
/* A thread has done what MESSAGE_KEYS asks. */
void query_keys_heard(struct query *self);
/* The part of `status` about keys. */
void query_keys_pack(struct query *self, struct pack *map);

#endif
