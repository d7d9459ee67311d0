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
    size_t writes;           /* changes that are with the store */
    struct request *waiting; /* for the end of a sweep */
    size_t waiting_count;
};

/* query_sweep.c */

/* sweep.get, .list and .receipts: 0, or the error; the answer's body is filled. */
int query_sweep(struct query *self, const struct job *job, struct answer *answer);
/* sweep.get with `wait`: answers when the sweep has ended. Takes the request. */
void query_wait_sweep(struct query *self, struct request *request);
/* Something may have come to its end, or the time of some who wait. is_draining: nobody can wait any more. */
void query_wake_waiting(struct query *self, bool is_draining);
int query_sweeps(struct query *self, const struct job *job, struct answer *answer);
int query_receipts(struct query *self, const struct job *job, struct answer *answer);
/* connection.freeze, .thaw and .revoke with a selection, and sweep.cancel. Takes the request. */
void query_change_sweep(struct query *self, struct request *request);

#endif
