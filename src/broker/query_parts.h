/* What the files of the query thread share; query.h names it.
 * Thread: the query thread. */
#ifndef BROKER_QUERY_PARTS_H
#define BROKER_QUERY_PARTS_H

#include "broker/query.h"
#include "broker/thread.h"

struct query {
    const struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    struct store_reader *reader;
    struct buf *open_error;
    size_t writes; /* changes that are with the store */
};

/* query_sweep.c */

/* sweep.get, .list and .receipts: 0, or the error; the answer's body is filled. */
int query_sweep(struct query *self, const struct job *job, struct answer *answer);
int query_sweeps(struct query *self, const struct job *job, struct answer *answer);
int query_receipts(struct query *self, const struct job *job, struct answer *answer);
/* connection.freeze, .thaw and .revoke with a selection, and sweep.cancel. Takes the request. */
void query_change_sweep(struct query *self, struct request *request);

#endif
