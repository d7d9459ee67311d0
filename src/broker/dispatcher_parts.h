/* What the files of the dispatcher share; dispatcher.h names it.
 * Thread: the dispatcher's. */
#ifndef BROKER_DISPATCHER_PARTS_H
#define BROKER_DISPATCHER_PARTS_H

#include "broker/admission.h"
#include "broker/auditor.h"
#include "broker/credential_writer.h"
#include "broker/dispatcher.h"
#include "broker/frame_pool.h"
#include "broker/incoming.h"
#include "broker/outbox.h"
#include "broker/pending.h"
#include "broker/reply.h"
#include "broker/thread.h"
#include "broker/warm_table.h"

#define DISPATCHER_REPLY_MAX (64 << 20) /* bytes */

struct dispatcher {
    struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    struct buf *open_error;
    bool is_started;
    void *jobs, *intake;
    struct job_reader *reader;
    struct warm_table *warm;
    struct pending_table *pending;
    struct admission *admission;
    struct frame_pool *frames;
    struct outbox *outbox; /* of the jobs socket */
    int *held;             /* by worker: reasons not to answer from memory */
    int held_count;        /* of all */
    struct buf error;      /* of the job that is being decoded */
    struct credential_writer writer;
    struct auditor auditor;
    bool is_draining;
    size_t drained;    /* workers that have */
    int64_t end_at_ms; /* boot time at which draining ends */
};

/* dispatcher_answers.c */

/* Takes the envelope's frames and the reply. */
void dispatcher_send_to(struct dispatcher *self, struct incoming *in, struct buf *reply);
/* Refuses what nobody else has yet, with its audit row. */
void dispatcher_refuse_for(struct dispatcher *self, struct incoming *in, const struct job *job,
                           const struct reply_error *error);
void dispatcher_refuse(struct dispatcher *self, struct incoming *in, const struct job *job,
                       int error);
/* The same of one who waits. */
void dispatcher_refuse_pending(struct dispatcher *self, struct pending *pending, int error);
/* One more who waits. NULL where no more can. */
struct pending *dispatcher_add_pending(struct dispatcher *self, struct incoming *in,
                                       const struct job *job);
/* An answer that waits for its audit row. Takes it; false, with nothing taken, where no more can wait. */
bool dispatcher_answer_later(struct dispatcher *self, struct incoming *in, const struct job *job,
                             struct answer *answer);
/* Takes in what the other threads have sent. */
void dispatcher_take_messages(struct dispatcher *self);
/* Those whose time is up are told so; the work goes on. */
void dispatcher_expire(struct dispatcher *self, int64_t now_ms, int error);
/* Lets others than root and the daemon's own user to the sockets, or not, as the principals are. */
void dispatcher_open_to_others(const struct dispatcher *self);
/* All that was told the audit log is written before the end, unless the store fails. */
void dispatcher_finish_audit(struct dispatcher *self);

#endif
