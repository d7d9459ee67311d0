#include "broker/store_thread.h"

#include <stdlib.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "broker/audit_batch.h"
#include "broker/memory.h"
#include "broker/publisher.h"
#include "broker/thread.h"
#include "vault/seal.h"

enum {
    BATCH_MAX = 512,
    TIDY_AFTER_CHANGES = 4096, /* even where there is never an idle moment */
    TIDY_AUDIT_ROWS = 16,      /* are as much as one change */
    TIDY_IDLE_MS = 250,
    TRIM_EVERY_MS = 3600 * 1000,
    SETTLE_SLICE_ROWS = 500, /* of one commit, which others wait for */
    TRIM_AGAIN_MS = 50       /* while there is more: commits of others come between */
};

struct store_thread {
    const struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    struct store_writer *writer;
    struct buf *open_error;
    struct write_message *batch[BATCH_MAX];
    size_t count;
    struct audit_batch
        gathered; /* what is in the journal of the audit log, counted together; its done are rows of the log */
    unsigned untidy; /* changes since the log was last moved into the database */
    int64_t trim_at_ms;
    uint64_t told_seq; /* of the audit log: where it ended when that was told last */
    bool is_failing;
    bool is_stopping;
};

static void publish(struct store_thread *self, const struct store_batch *batch)
{
    if (batch->event_count > 0)
        publisher_send(self->broker->publisher, events_of_batch(batch));
}

/* One log line when the store begins to fail and one when it works again. */
static void note_health(struct store_thread *self, int result)
{
    bool is_failing = result < 0;
    if (is_failing && !self->is_failing)
        LOG(LOG_ERROR, "store cannot be written: refreshes are held until it can");
    if (!is_failing && self->is_failing)
        LOG(LOG_INFO, "store can be written again");
    self->is_failing = is_failing;
}

/* ---- what the audit log's journal has ------------------------------------------------------------ */

static void prepare_audit(struct store_thread *self, struct store_change *change)
{
    if (change->type != CHANGE_AUDIT || change->audit_how != AUDIT_SETTLE)
        return;
    struct audit_batch *gathered = &self->gathered;
    size_t left = gathered->count - gathered->done;
    change->audit = gathered->rows + gathered->done;
    change->audit_count = left < SETTLE_SLICE_ROWS ? left : SETTLE_SLICE_ROWS;
    change->audit_left = left - change->audit_count;
}

/* More of what is a row of the log already is another one. */
static void gather(void *context, const struct audit_row *row)
{
    audit_batch_drop_done(context);
    audit_batch_add(context, row, 0);
}

static void note_mark(void *context, uint64_t settled)
{
    struct audit_batch *gathered = context;
    if (settled < gathered->count - gathered->done)
        gathered->done += (size_t)settled;
    /* Else it was changed, as the log says: what is told twice is better than what is not. */
}

/* Only what is committed is in the journal. */
static void conclude_audit(struct store_thread *self, struct store_change *change)
{
    if (change->type != CHANGE_AUDIT)
        return;
    if (change->result == 0 && change->audit_how == AUDIT_SETTLE) {
        self->gathered.done += change->audit_count;
        if (change->audit_left == 0)
            audit_batch_clear(&self->gathered);
        else
            fault_point("audit-partly-settled");
    }
    for (size_t i = 0;
         i < change->audit_count && change->result == 0 && change->audit_how == AUDIT_GATHER; i++)
        gather(&self->gathered, &change->audit[i]);
    change->audit_gathered = self->gathered.count - self->gathered.done;
    self->untidy += (unsigned)(change->audit_count / TIDY_AUDIT_ROWS);
}

/* What a daemon that was killed had not settled. Where it cannot be written it stays where it is, and who tells the
 * log settles it when it can. */
static int settle_left(struct store_thread *self)
{
    const struct store_engine *store = self->broker->store;
    int result = store->audit_gathered(self->writer, gather, note_mark, &self->gathered);
    while (result == 0 && self->gathered.count > 0) {
        struct store_change change = {.type = CHANGE_AUDIT, .audit_how = AUDIT_SETTLE};
        struct store_change *changes[] = {&change};
        struct store_batch batch = {.changes = changes, .count = 1};
        prepare_audit(self, &change);
        note_health(self, store->apply(self->writer, &batch));
        conclude_audit(self, &change);
        if (change.result < 0)
            break;
    }
    return result;
}

/* ---- commits ------------------------------------------------------------------------------------- */

static void commit(struct store_thread *self)
{
    struct store_change *changes[BATCH_MAX];
    struct store_batch batch = {.changes = changes, .count = self->count};
    for (size_t i = 0; i < self->count; i++) {
        changes[i] = &self->batch[i]->change;
        prepare_audit(self, changes[i]);
    }
    fault_point("store-before-commit");
    int result = self->broker->store->apply(self->writer, &batch);
    fault_point("store-after-commit");
    note_health(self, result);
    if (result == 0)
        publish(self, &batch);
    for (size_t i = 0; i < self->count; i++)
        conclude_audit(self, changes[i]);
    for (size_t i = 0; i < self->count; i++)
        mailbox_send(self->batch[i]->reply_to, &self->batch[i]->message.mail);
    self->untidy += (unsigned)self->count;
    self->count = 0;
}

/* What was sealed before another key became active is written under that one: once the key is active no row
 * comes to be under another of the same owner. */
static void renew(struct store_thread *self, struct write_message *message)
{
    seal_renew(self->broker->keyring, message->secret.data, message->secret.len);
    seal_renew(self->broker->keyring, message->grant.data, message->grant.len);
}

static void take(struct store_thread *self)
{
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        struct message *message = (struct message *)mail;
        next = mail->next;
        if (message->type == MESSAGE_STOP) {
            self->is_stopping = true;
            free(message);
            continue;
        }
        if (self->count == BATCH_MAX)
            commit(self);
        self->batch[self->count++] = (struct write_message *)mail;
        renew(self, (struct write_message *)mail);
    }
    if (self->count > 0)
        commit(self);
}

/* What was noted elsewhere of it cannot be taken back by whoever writes the store. */
static void tell_audit_end(struct store_thread *self)
{
    struct chain_ends ends = self->broker->store->audit_end(self->writer);
    char hex[AUDIT_HEX_SIZE];
    if (ends.seq == self->told_seq)
        return;
    audit_hex(ends.link, hex);
    LOG(LOG_INFO, "audit head", LOG_I("seq", (int64_t)ends.seq), LOG_S("hash", hex));
    self->told_seq = ends.seq;
}

/* Drops what is old; whether there is more. */
static bool trim_one(struct store_thread *self, enum change_type type, uint32_t keep_days)
{
    int64_t now_ms = clock_wall_ms();
    struct store_change change = {
        .type = type, .at_ms = now_ms - (int64_t)keep_days * 86400 * 1000, .now_ms = now_ms};
    struct store_change *changes[] = {&change};
    struct store_batch batch = {.changes = changes, .count = 1};
    self->broker->store->apply(self->writer, &batch);
    return change.generation == STORE_TRIM_ROWS;
}

/* Old events and audit rows go in the store thread's own small transactions. */
static void trim(struct store_thread *self)
{
    const struct config *config = self->broker->config;
    bool has_more_events = trim_one(self, CHANGE_TRIM, config->events_keep_days);
    bool is_more = trim_one(self, CHANGE_AUDIT_TRIM, config->audit_keep_days) || has_more_events;
    if (!is_more)
        tell_audit_end(self);
    self->trim_at_ms = clock_boot_ms() + (is_more ? TRIM_AGAIN_MS : TRIM_EVERY_MS);
}

static void tidy(struct store_thread *self)
{
    self->broker->store->tidy(self->writer);
    self->untidy = 0;
}

static void *run(void *context)
{
    struct store_thread *self = context;
    const struct broker *broker = self->broker;
    int result = broker->store->writer_open(broker->store_where, &self->writer, self->open_error);
    if (result == 0)
        result = broker->store->audit_open(self->writer, broker->keyring, clock_wall_ms());
    if (result == 0)
        result = settle_left(self);
    if (result < 0 && self->writer) {
        buf_append_string(self->open_error, "the audit log cannot be opened");
        broker->store->writer_close(self->writer);
    }
    thread_ready(&self->thread, result);
    if (result < 0)
        return NULL;
    while (!self->is_stopping) {
        int64_t until_trim_ms = self->trim_at_ms - clock_boot_ms();
        int wait_ms =
            self->untidy > 0 ? TIDY_IDLE_MS : (int)(until_trim_ms > 0 ? until_trim_ms : 0);
        mailbox_wait(&self->inbox, wait_ms);
        unsigned before = self->untidy;
        take(self);
        if (self->untidy > 0 && (self->untidy == before || self->untidy > TIDY_AFTER_CHANGES))
            tidy(self);
        if (clock_boot_ms() >= self->trim_at_ms)
            trim(self);
    }
    tell_audit_end(self);
    tidy(self);
    broker->store->writer_close(self->writer);
    return NULL;
}

int store_thread_start(const struct broker *broker, struct store_thread **out_thread,
                       struct buf *error)
{
    struct store_thread *self = memory_new(sizeof *self);
    self->broker = broker;
    self->open_error = error;
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = thread_start(&self->thread, "store", run, self);
    if (result < 0) {
        audit_batch_free(&self->gathered);
        mailbox_fini(&self->inbox);
        free(self);
        return result;
    }
    *out_thread = self;
    return 0;
}

void store_thread_stop(struct store_thread *self)
{
    if (!self)
        return;
    mailbox_send(&self->inbox, &message_new(MESSAGE_STOP)->mail);
    thread_join(&self->thread);
    audit_batch_free(&self->gathered);
    mailbox_fini(&self->inbox);
    free(self);
}

size_t store_gathered(const struct store_thread *self)
{
    return self->gathered.count;
}

void store_send(struct store_thread *self, struct write_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}

void store_send_all(struct store_thread *self, struct mail *newest, struct mail *oldest)
{
    mailbox_send_all(&self->inbox, newest, oldest);
}
