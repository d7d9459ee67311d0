/* What the dispatcher tells the audit log: who was given a secret, and who was refused.
 * Thread: the dispatcher's.
 *
 * Rows are gathered in one batch while the one before is with the store; the store answers when it is
 * written. A batch of many goes to the log's journal, where more of the same is counted to it, and a while
 * later all that is there becomes rows of the log: vends of ten thousand connections are a row each in ten
 * seconds, and not in a tenth of one. Where it cannot be written it is tried again, and rows go on being gathered while there is
 * room: behind that nothing is given out any more. With `audit: strict` nothing is given out before its
 * row is written, and nothing at all while the store fails. */
#ifndef BROKER_AUDITOR_H
#define BROKER_AUDITOR_H

#include "broker/audit_batch.h"
#include "broker/broker.h"
#include "broker/message.h"

#define AUDIT_ROWS_MAX 65536 /* that are not written yet; then nothing is given out */

struct auditor {
    const struct broker *broker;
    struct mailbox *inbox; /* where the store answers */
    struct audit_batch batches[2], *filling, *sent;
    bool is_strict;
    bool is_open;         /* the batch that was sent is not all written */
    bool is_away;         /* the store has some of it */
    bool is_failing;      /* it could not write it */
    int64_t send_at_ms;   /* boot time at which what is gathered goes; 0: nothing is */
    int64_t again_at_ms;  /* boot time at which a batch is tried again */
    size_t gathered;      /* rows that are in the journal */
    int64_t settle_at_ms; /* boot time at which they become rows of the log */
    unsigned tokens;      /* refusals that may still have a row of their own */
    int64_t tokens_at_ms; /* boot time of the last one that came in */
    uint64_t lost;        /* refusals without room for any row */
    int64_t lost_at_ms;
};

void auditor_init(struct auditor *auditor, const struct broker *broker, struct mailbox *inbox);
void auditor_fini(struct auditor *auditor);

/* Adds to who asks (principal and peer) what a job asks for; borrows. */
void auditor_take_job(struct audit_row *about, const struct job *job);

/* Whether a secret may be given out: there is a place for its row. */
bool auditor_may_give(const struct auditor *auditor);
/* A secret is given out; kind is AUDIT_VEND or AUDIT_EXPORT. hint: what the last call about this connection gave, or
 * anything; it may save a search. */
uint32_t auditor_given(struct auditor *auditor, const struct audit_row *about,
                       const struct warm *entry, enum audit_kind kind, uint32_t hint);
void auditor_refused(struct auditor *auditor, const struct audit_row *about, int error);

/* Whether anything that was told is not written yet. */
bool auditor_is_busy(const struct auditor *auditor);
/* Takes a mail, which auditor_written() gives back when all that was told before is written. Only while
 * it is busy. */
void auditor_hold(struct auditor *auditor, struct mail *mail);
/* The same for who asks the log itself: whether anything is not among its rows yet, and the mail comes back
 * when all is. */
bool auditor_is_behind(const struct auditor *auditor);
void auditor_hold_reader(struct auditor *auditor, struct mail *mail);

/* Boot time at which auditor_turn() has something to do; INT64_MAX: nothing. */
int64_t auditor_turn_at(const struct auditor *auditor);
/* Sends what is due; with is_hurried whatever there is. */
void auditor_turn(struct auditor *auditor, int64_t now_ms, bool is_hurried);
/* The store's answer. Takes the message; 0 or the error, and what was held by the batch: where it could
 * not be written, by the next one too. */
int auditor_written(struct auditor *auditor, struct write_message *message, struct mail **out_held,
                    struct mail **out_more);

#endif
