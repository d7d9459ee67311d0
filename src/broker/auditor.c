#include "broker/auditor.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/memory.h"
#include "broker/store_thread.h"

enum {
    GATHER_MS = 100,           /* so that rows are on the disk within 200 ms */
    AGAIN_MS = 500,            /* between attempts while the store fails */
    SLICE_ROWS = 2048,         /* of one commit: changes of others come between */
    JOURNAL_LEAST = 64,        /* rows of a batch that goes to the journal: fewer cost little … */
    JOURNAL_MOST = 16384,      /* … and so many different ones come to nothing there */
    JOURNAL_SLICE_ROWS = 4096, /* of one commit */
    SETTLE_MS = 10000,         /* rows stay in the journal for so long at most */
    SETTLE_ROWS = 32768,       /* as many at most: they become rows of the log in one commit */
    RESERVE_ROWS = 4096,       /* beyond AUDIT_ROWS_MAX, for refusals without names */
    NAMED_MAX = 256,           /* refusals with names in one burst … */
    NAMED_EVERY_MS = 250       /* … and one more so often */
};

static const struct text none = {NULL, 0};

void auditor_init(struct auditor *auditor, const struct broker *broker, struct mailbox *inbox)
{
    *auditor = (struct auditor){.broker = broker,
                                .inbox = inbox,
                                .is_strict = broker->config->is_audit_strict,
                                .gathered = store_gathered(broker->store_thread),
                                .tokens = NAMED_MAX};
    auditor->filling = &auditor->batches[0];
    auditor->sent = &auditor->batches[1];
}

static void free_mail(struct mail *mail)
{
    for (struct mail *next; mail; mail = next) {
        next = mail->next;
        switch (((struct message *)mail)->type) {
        case MESSAGE_ANSWER: answer_free((struct answer *)mail); break;
        case MESSAGE_KEYS: free(mail); break;
        default: request_free((struct request *)mail); break;
        }
    }
}

void auditor_fini(struct auditor *auditor)
{
    for (size_t i = 0; i < 2; i++) {
        free_mail(audit_batch_take_held(&auditor->batches[i]));
        audit_batch_free(&auditor->batches[i]);
    }
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static size_t waiting(const struct auditor *auditor)
{
    return auditor->filling->count + auditor->sent->count - auditor->sent->done;
}

static uint32_t add(struct auditor *auditor, struct audit_row *row, uint32_t hint)
{
    row->at_ms = row->last_ms = clock_wall_ms();
    row->count = 1;
    if (auditor->filling->count == 0)
        auditor->send_at_ms = clock_boot_ms() + (auditor->is_strict ? 0 : GATHER_MS);
    return audit_batch_add(auditor->filling, row, hint);
}

void auditor_take_job(struct audit_row *about, const struct job *job)
{
    about->op = job->op != OP_NONE ? text_of(job_rule(job->op)->name) : none;
    about->purpose = job->purpose;
    about->owner = job->owner.len > 0 ? job->owner : none;
    about->connection = job->connection;
    about->provider = job->provider;
    about->account = job->ref.data ? job->ref : job->account;
}

bool auditor_may_give(const struct auditor *auditor)
{
    return waiting(auditor) < AUDIT_ROWS_MAX && !(auditor->is_strict && auditor->is_failing);
}

uint32_t auditor_given(struct auditor *auditor, const struct audit_row *about,
                       const struct warm *entry, enum audit_kind kind, uint32_t hint)
{
    struct audit_row row = *about;
    row.kind = kind;
    row.owner = entry->owner.len > 0 ? entry->owner : none; /* shared ones have none */
    row.connection = entry->id;
    row.provider = entry->provider;
    row.account = entry->account;
    row.generation = entry->generation;
    row.outcome = TEXT_LITERAL("ok");
    return add(auditor, &row, hint);
}

/* Names that a caller makes up would fill the disk: those of so many refusals are kept, of the others only
 * who was refused what, which is one row of a batch. */
static bool may_name(struct auditor *auditor)
{
    int64_t now_ms = clock_boot_ms(), came = (now_ms - auditor->tokens_at_ms) / NAMED_EVERY_MS;
    if (came > 0) {
        auditor->tokens =
            came + auditor->tokens > NAMED_MAX ? NAMED_MAX : auditor->tokens + (unsigned)came;
        auditor->tokens_at_ms = now_ms;
    }
    if (auditor->tokens == 0 || !auditor_may_give(auditor))
        return false;
    auditor->tokens--;
    return true;
}

static void add_lost(struct auditor *auditor)
{
    struct audit_row row = {
        .kind = AUDIT_LOG, .op = TEXT_LITERAL(AUDIT_OP_LOST), .outcome = TEXT_LITERAL("ok")};
    if (auditor->lost == 0 || waiting(auditor) >= AUDIT_ROWS_MAX)
        return;
    row.at_ms = auditor->lost_at_ms;
    row.last_ms = clock_wall_ms();
    row.count = auditor->lost;
    auditor->lost = 0;
    audit_batch_add(auditor->filling, &row, 0);
}

void auditor_refused(struct auditor *auditor, const struct audit_row *about, int error)
{
    struct audit_row row = *about;
    row.kind = AUDIT_REFUSED;
    row.outcome = text_of(bursar_error_code(error));
    if (!may_name(auditor)) {
        row.peer = row.purpose = row.owner = row.connection = row.provider = row.account = none;
        row.detail = TEXT_LITERAL("many");
    }
    if (waiting(auditor) < AUDIT_ROWS_MAX + RESERVE_ROWS) {
        add(auditor, &row, 0);
        return;
    }
    if (auditor->lost++ == 0)
        auditor->lost_at_ms = clock_wall_ms();
}

/* ---- to the store and back ----------------------------------------------------------------------- */

bool auditor_is_busy(const struct auditor *auditor)
{
    return waiting(auditor) > 0 || auditor->is_open;
}

bool auditor_is_behind(const struct auditor *auditor)
{
    return auditor_is_busy(auditor) || auditor->gathered > 0;
}

/* The batch behind which all that was told so far is written. */
static struct audit_batch *last_batch(struct auditor *auditor)
{
    if (auditor->filling->count == 0 && auditor->is_open)
        return auditor->sent;
    auditor->send_at_ms = clock_boot_ms();
    return auditor->filling;
}

void auditor_hold(struct auditor *auditor, struct mail *mail)
{
    audit_batch_hold(last_batch(auditor), mail);
}

void auditor_hold_reader(struct auditor *auditor, struct mail *mail)
{
    struct audit_batch *batch = last_batch(auditor);
    batch->is_settling = true;
    audit_batch_hold(batch, mail);
}

static bool has_to_send(const struct audit_batch *batch)
{
    return batch->count > 0 || batch->is_settling;
}

int64_t auditor_turn_at(const struct auditor *auditor)
{
    if (auditor->is_away)
        return INT64_MAX;
    if (auditor->is_open)
        return auditor->again_at_ms;
    int64_t send_at_ms = has_to_send(auditor->filling) ? auditor->send_at_ms : INT64_MAX;
    bool is_sooner = auditor->gathered > 0 && auditor->settle_at_ms < send_at_ms;
    return is_sooner ? auditor->settle_at_ms : send_at_ms;
}

static bool goes_to_journal(const struct audit_batch *batch)
{
    return batch->count >= JOURNAL_LEAST && batch->count <= JOURNAL_MOST;
}

/* The rows, and behind the last of them what settles. */
static void send_slice(struct auditor *auditor)
{
    struct audit_batch *batch = auditor->sent;
    struct write_message *message = write_new(CHANGE_AUDIT, none);
    struct store_change *change = &message->change;
    bool is_journal = goes_to_journal(batch);
    size_t left = batch->count - batch->done, most = is_journal ? JOURNAL_SLICE_ROWS : SLICE_ROWS;
    message->reply_to = auditor->inbox;
    change->at_ms = clock_wall_ms();
    change->audit = batch->rows + batch->done;
    change->audit_count = left < most ? left : most;
    change->audit_how = left == 0 ? AUDIT_SETTLE : is_journal ? AUDIT_GATHER : AUDIT_DIRECT;
    auditor->is_away = auditor->is_open = true;
    store_send(auditor->broker->store_thread, message);
}

void auditor_turn(struct auditor *auditor, int64_t now_ms, bool is_hurried)
{
    if (auditor->is_away)
        return;
    if (auditor->is_open) {
        if (now_ms >= auditor->again_at_ms)
            send_slice(auditor);
        return;
    }
    add_lost(auditor);
    struct audit_batch *batch = auditor->filling;
    bool must_settle = auditor->gathered > 0 && (is_hurried || now_ms >= auditor->settle_at_ms ||
                                                 auditor->gathered >= SETTLE_ROWS);
    bool is_due = has_to_send(batch) && now_ms >= auditor->send_at_ms;
    if (!must_settle && !is_due && !(is_hurried && batch->count > 0))
        return;
    batch->is_settling |= must_settle;
    auditor->filling = auditor->sent;
    auditor->sent = batch;
    send_slice(auditor);
}

/* Those who wait for these rows are refused now: so say the rows. */
static void turn_into_refusals(struct audit_batch *batch)
{
    for (size_t i = batch->done; i < batch->count; i++) {
        struct audit_row *row = &batch->rows[i];
        if (row->kind != AUDIT_VEND && row->kind != AUDIT_EXPORT)
            continue;
        row->kind = AUDIT_REFUSED;
        row->outcome = text_of(bursar_error_code(BURSAR_E_STORE_UNAVAILABLE));
    }
}

static void note_failure(struct auditor *auditor)
{
    if (!auditor->is_failing)
        LOG(LOG_ERROR, auditor->is_strict
                           ? "the audit log cannot be written: nothing is vended until it can"
                           : "the audit log cannot be written: vends stop when its buffer is full");
    auditor->is_failing = true;
    auditor->again_at_ms = clock_boot_ms() + AGAIN_MS;
    if (!auditor->is_strict)
        return;
    turn_into_refusals(auditor->sent);
    turn_into_refusals(auditor->filling);
}

int auditor_written(struct auditor *auditor, struct write_message *message, struct mail **out_held,
                    struct mail **out_more)
{
    struct audit_batch *batch = auditor->sent;
    const struct store_change *change = &message->change;
    int result = change->result;
    bool has_settled = change->audit_how == AUDIT_SETTLE;
    size_t count = has_settled ? 0 : change->audit_count;
    size_t gathered = result == 0 ? change->audit_gathered : auditor->gathered;
    write_free(message);
    if (auditor->gathered == 0 && gathered > 0)
        auditor->settle_at_ms = clock_boot_ms() + SETTLE_MS;
    auditor->gathered = gathered;
    auditor->is_away = false;
    *out_held = *out_more = NULL;
    if (result < 0) {
        note_failure(auditor);
        *out_held = audit_batch_take_held(batch);
        *out_more = audit_batch_take_held(auditor->filling);
        return result;
    }
    if (auditor->is_failing)
        LOG(LOG_INFO, "the audit log can be written again");
    auditor->is_failing = false;
    batch->done += count;
    if (batch->done < batch->count || (batch->is_settling && !has_settled)) {
        send_slice(auditor);
        return 0;
    }
    auditor->is_open = false;
    *out_held = audit_batch_take_held(batch);
    audit_batch_clear(batch);
    return 0;
}
