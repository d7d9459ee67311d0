/* The dispatcher's answers: given at once, when a worker has them, or when their audit row is written. */
#include <stdlib.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/dispatcher_parts.h"
#include "broker/query.h"
#include "broker/reply.h"
#include "broker/sockets.h"
#include "broker/worker.h"
#include "vault/seal.h"

/* ---- replies ------------------------------------------------------------------------------------- */

/* Takes the envelope's frames and the reply. load: who gets it; NULL: nobody that is known. */
static void send_reply(struct dispatcher *self, zmq_msg_t *envelope, size_t count,
                       const struct load *load, struct buf *reply)
{
    zmq_msg_t body;
    if (buf_error(reply) != 0 || !reply->data) {
        LOG(LOG_ERROR, "a reply is too large or has no memory");
        if (reply->data)
            secret_wipe(reply->data, reply->cap);
        buf_free(reply);
        reply_error(reply, (struct text){NULL, 0},
                    &(struct reply_error){.error = BURSAR_E_INTERNAL});
    }
    socket_secret_frame(self->frames, reply, load ? load->unread : NULL, &body);
    outbox_add(self->outbox, envelope, count, &body);
}

void dispatcher_send_to(struct dispatcher *self, struct incoming *in, struct buf *reply)
{
    send_reply(self, in->frames, in->count - 1, in->caller.load, reply);
}

/* One more who waits. NULL where no more can. */
struct pending *dispatcher_add_pending(struct dispatcher *self, struct incoming *in,
                                       const struct job *job)
{
    int64_t deadline_ms = clock_boot_ms() + job->deadline_ms;
    struct pending *pending =
        pending_add(self->pending, in->frames, in->count - 1, job, &in->about, deadline_ms);
    if (pending) {
        pending->load = in->caller.load;
        pending->is_unseen = admission_is_unseen(job);
        pending->load->in_flight++;
    }
    return pending;
}

/* Its answer waits for its audit row. Takes the answer; false, with nothing taken, where no more can
 * wait. */
bool dispatcher_answer_later(struct dispatcher *self, struct incoming *in, const struct job *job,
                             struct answer *answer)
{
    struct pending *pending = dispatcher_add_pending(self, in, job);
    if (!pending)
        return false;
    answer_add_ticket(answer, pending->ticket);
    auditor_hold(&self->auditor, &answer->message.mail);
    return true;
}

void dispatcher_refuse_for(struct dispatcher *self, struct incoming *in, const struct job *job,
                           const struct reply_error *error)
{
    /* Nobody takes places among those who wait by asking too much. */
    bool may_wait =
        in->caller.principal && job->op != OP_NONE && error->error != BURSAR_E_OVERLOADED;
    auditor_refused(&self->auditor, &in->about, error->error);
    if (self->auditor.is_strict && may_wait && auditor_may_give(&self->auditor)) {
        struct answer *answer = answer_new(TICKET_NONE);
        answer->error = error->error;
        answer->retry_after_ms = error->retry_after_ms;
        buf_append_text(&answer->text, error->text);
        if (dispatcher_answer_later(self, in, job, answer))
            return;
        answer_free(answer);
    }
    struct buf reply = buf_make(DISPATCHER_REPLY_MAX);
    reply_error(&reply, job->id, error);
    dispatcher_send_to(self, in, &reply);
}

void dispatcher_refuse(struct dispatcher *self, struct incoming *in, const struct job *job,
                       int error)
{
    dispatcher_refuse_for(self, in, job, &(struct reply_error){.error = error});
}

/* ---- those who wait ------------------------------------------------------------------------------ */

static void give_answer(struct dispatcher *self, struct pending *pending, struct buf *reply)
{
    send_reply(self, pending->envelope, pending->envelope_count, pending->load, reply);
    pending->load->in_flight--;
    pending_remove(self->pending, pending);
}

static void give_error(struct dispatcher *self, struct pending *pending, int error)
{
    struct buf reply = buf_make(DISPATCHER_REPLY_MAX);
    reply_error(&reply, pending_id(pending), &(struct reply_error){.error = error});
    give_answer(self, pending, &reply);
}

/* The same, with its audit row. */
void dispatcher_refuse_pending(struct dispatcher *self, struct pending *pending, int error)
{
    auditor_refused(&self->auditor, &pending->about, error);
    give_error(self, pending, error);
}

/* ---- answers --------------------------------------------------------------------------------------- */

enum told { TOLD_NOTHING, TOLD_ROW, TOLD_NO_ROOM /* so nothing may be given away */ };

/* Tells the audit log what one who waits is about to get; hint as of auditor_given(). */
static enum told tell_auditor(struct dispatcher *self, const struct pending *pending,
                              const struct answer *answer, uint32_t *hint)
{
    const struct warm *given = pending->wants_secret ? answer->entry : answer->given;
    bool has_grant = answer->given || (pending->may_export && answer->grant.len > 0);
    if (answer->error < 0) {
        auditor_refused(&self->auditor, &pending->about, answer->error);
        return TOLD_ROW;
    }
    if (!given)
        return TOLD_NOTHING;
    if (!auditor_may_give(&self->auditor))
        return TOLD_NO_ROOM;
    *hint = auditor_given(&self->auditor, &pending->about, given,
                          has_grant ? AUDIT_EXPORT : AUDIT_VEND, *hint);
    return TOLD_ROW;
}

/* Tells it what all are about to get, of whom none is answered yet. Whether there is anything to tell. */
static bool tell_of_all(struct dispatcher *self, const struct answer *answer)
{
    uint32_t hint = 0;
    bool has_told = false;
    for (size_t i = 0; i < answer->ticket_count; i++) {
        struct pending *pending = pending_find(self->pending, answer->tickets[i]);
        enum told told = pending ? tell_auditor(self, pending, answer, &hint) : TOLD_NOTHING;
        if (told == TOLD_NO_ROOM)
            dispatcher_refuse_pending(self, pending, BURSAR_E_STORE_UNAVAILABLE);
        has_told |= told == TOLD_ROW;
    }
    return has_told;
}

/* The row in the audit log of what is about to be given to those who wait. */
enum row {
    ROW_FIRST, /* is told now, and who it is about is answered: one look at each, of whom there may be ten thousand */
    ROW_WRITTEN, /* is there */
    ROW_MISSING  /* could not be written: nothing is given away */
};

/* Takes the answer. */
static void give_to_all(struct dispatcher *self, struct answer *answer, enum row row)
{
    uint32_t hint = 0;
    for (size_t i = 0; i < answer->ticket_count; i++) {
        struct pending *pending = pending_find(self->pending, answer->tickets[i]);
        if (!pending)
            continue; /* its deadline has passed */
        if (row == ROW_FIRST && tell_auditor(self, pending, answer, &hint) == TOLD_NO_ROOM) {
            dispatcher_refuse_pending(self, pending, BURSAR_E_STORE_UNAVAILABLE);
            continue;
        }
        if (row == ROW_MISSING && answer->error == 0) {
            give_error(self, pending, BURSAR_E_STORE_UNAVAILABLE);
            continue;
        }
        struct buf reply = frame_pool_take(self->frames, DISPATCHER_REPLY_MAX);
        credential_write_answer(&self->writer, answer, pending, &reply);
        give_answer(self, pending, &reply);
    }
    credential_close(&self->writer);
    answer_free(answer);
}

/* What is learnt is learnt now: an answer that waits must not bring back what is forgotten meanwhile. */
static void learn(struct dispatcher *self, struct answer *answer)
{
    bool is_kept = answer->keep == WARM_YES ||
                   (answer->keep == WARM_IF_KNOWN && answer->entry &&
                    warm_table_by_id(self->warm, answer->entry->owner, answer->entry->id));
    if (is_kept && answer->entry)
        warm_table_put(self->warm, warm_copy(answer->entry));
}

static void take_answer(struct dispatcher *self, struct answer *answer)
{
    if (answer->forget[0] != 0)
        warm_table_forget(self->warm, text_of(answer->forget));
    learn(self, answer);
    if (!self->auditor.is_strict) {
        give_to_all(self, answer, ROW_FIRST);
        return;
    }
    if (tell_of_all(self, answer))
        auditor_hold(&self->auditor, &answer->message.mail);
    else
        give_to_all(self, answer, ROW_WRITTEN);
}

/* What has waited for the audit log. */
static void release_held(struct dispatcher *self, struct mail *mail, enum row row)
{
    for (struct mail *next; mail; mail = next) {
        struct message *message = (struct message *)mail;
        next = mail->next;
        switch (message->type) {
        case MESSAGE_ANSWER: give_to_all(self, (struct answer *)mail, row); break;
        case MESSAGE_KEYS: mailbox_send(((struct keys_message *)mail)->reply_to, mail); break;
        default: query_send(self->broker->query, (struct request *)mail); break;
        }
    }
}

static void take_written(struct dispatcher *self, struct write_message *message)
{
    struct mail *held, *more;
    int result = auditor_written(&self->auditor, message, &held, &more);
    enum row row = result == 0 ? ROW_WRITTEN : ROW_MISSING;
    release_held(self, held, row);
    release_held(self, more, row);
}

void dispatcher_open_to_others(const struct dispatcher *self)
{
    bool is_open = principals_have_others(admission_principals(self->admission));
    socket_set_open(&self->broker->config->jobs, is_open);
    socket_set_open(&self->broker->config->intake, is_open);
}

/* Who waits for what it may not have any more does not get it. */
static void ask_again(void *context, struct pending *pending)
{
    struct dispatcher *self = context;
    if (!admission_holds(self->admission, pending))
        dispatcher_refuse_pending(self, pending, BURSAR_E_FORBIDDEN);
}

/* The last of those that it comes to: from here on nobody decides by the old set. */
static void take_principals(struct dispatcher *self, struct principals_message *message)
{
    admission_replace(self->admission, principals_hold(message->principals));
    pending_each(self->pending, ask_again, self);
    dispatcher_open_to_others(self);
    if (message->answer)
        take_answer(self, message->answer);
    message->answer = NULL;
    principals_message_free(message);
}

static bool is_under_old_key(void *context, const struct warm *entry)
{
    const struct dispatcher *self = context;
    return !seal_is_current(self->broker->keyring, entry->owner, entry->secret);
}

/* Answers that wait for their audit row may be under a key that is to go: they are given first. */
static void take_keys(struct dispatcher *self, struct keys_message *message)
{
    warm_table_forget_stale(self->warm, is_under_old_key, self);
    if (self->auditor.is_strict && auditor_is_busy(&self->auditor))
        auditor_hold(&self->auditor, &message->message.mail);
    else
        mailbox_send(message->reply_to, &message->message.mail);
}

static void take_hold(struct dispatcher *self, struct hold_message *message)
{
    self->held[message->worker] += message->change;
    self->held_count += message->change;
    free(message);
}

static void begin_draining(struct dispatcher *self)
{
    self->is_draining = true;
    self->end_at_ms = clock_boot_ms() + BROKER_DRAIN_MS;
    for (size_t i = 0; i < self->broker->worker_count; i++)
        worker_drain(self->broker->workers[i]);
    query_drain(self->broker->query);
}

/* Takes the message. */
static void take_message(struct dispatcher *self, struct message *message)
{
    switch (message->type) {
    case MESSAGE_ANSWER: take_answer(self, (struct answer *)message); return;
    case MESSAGE_WRITE: take_written(self, (struct write_message *)message); return;
    case MESSAGE_PRINCIPALS: take_principals(self, (struct principals_message *)message); return;
    case MESSAGE_KEYS: take_keys(self, (struct keys_message *)message); return;
    case MESSAGE_HOLD: take_hold(self, (struct hold_message *)message); return;
    case MESSAGE_DRAINED: self->drained++; break;
    case MESSAGE_DRAIN: begin_draining(self); break;
    default: break;
    }
    free(message);
}

void dispatcher_take_messages(struct dispatcher *self)
{
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        next = mail->next;
        take_message(self, (struct message *)mail);
    }
}

/* Those whose time is up are told so; the work goes on. */
void dispatcher_expire(struct dispatcher *self, int64_t now_ms, int error)
{
    for (struct pending *first = pending_first(self->pending);
         first && (first->deadline.at <= now_ms || error == BURSAR_E_SHUTTING_DOWN);
         first = pending_first(self->pending)) {
        dispatcher_refuse_pending(self, first, error);
    }
}

/* All that was told is written before the end, unless the store fails. */
void dispatcher_finish_audit(struct dispatcher *self)
{
    while (auditor_is_behind(&self->auditor) && !self->auditor.is_failing) {
        outbox_flush(self->outbox);
        auditor_turn(&self->auditor, clock_boot_ms(), true);
        mailbox_wait(&self->inbox, -1);
        dispatcher_take_messages(self);
    }
    if (auditor_is_busy(&self->auditor))
        LOG(LOG_ERROR, "the audit log's last rows could not be written");
}
