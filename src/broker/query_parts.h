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
    size_t writes;                /* changes that are with the store */
    struct principal *configured; /* principals of the configuration */
    size_t configured_count;
    struct key_desk *keys;
    const struct principal *asker; /* of the job that is being answered */
    struct principals *principals; /* these and those of the store; held */
    struct principal_desk *changes;
    struct request *waiting; /* for the end of a sweep */
    size_t waiting_count;
};

/* query_write.c: sends a change to the store; done gets it back. */
void query_write(struct query *self, struct write_message *message, write_done_fn *done,
                 void *context);
/* Answers with an error. Takes the request. text empty: the error's own. */
void query_refuse(struct query *self, struct request *request, int error, struct text text);

/* query_principal.c */

int query_principals(struct query *self, const struct job *job, struct answer *answer);
int query_principal(struct query *self, const struct job *job, struct answer *answer);
int query_operator(struct query *self, const struct job *job, struct answer *answer);
void query_principals_start(struct query *self);
void query_principals_end(struct query *self);
/* principal.add, .update and .remove. Takes the request. */
void query_change_principal(struct query *self, struct request *request);
/* What is to be done now; how long it may wait then, -1: for a message. */
int query_principals_step(struct query *self);
/* Takes the principals of a configuration that was read again. */
void query_reload(struct query *self, struct reload_message *message);
void query_forget_configured(struct query *self);
/* query_audit.c */

/* audit.since, .vends, .verify and .head: 0, or the error; the answer's body is filled. */
int query_audit_since(struct query *self, const struct job *job, struct answer *answer);
int query_audit_vends(struct query *self, const struct job *job, struct answer *answer);
int query_audit_verify(struct query *self, const struct job *job, struct answer *answer);
int query_audit_head(struct query *self, const struct job *job, struct answer *answer);
/* For status: where the log ends. */
int query_pack_audit(struct query *self, struct pack *map);

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
