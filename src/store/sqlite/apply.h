/* What each type of change does to the tables, inside the writer's transaction.
 * Thread: the writer's owner. */
#ifndef STORE_SQLITE_APPLY_H
#define STORE_SQLITE_APPLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/sqlite/db.h"
#include "store/store.h"

/* Where the audit log stands. */
struct audit_chain {
    const struct keyring *keyring; /* NULL: there is no audit */
    struct chain_ends ends;
    bool is_changed; /* in this transaction */
    struct buf scratch, detail, entry;
};

/* Whose row that is; lies in the writer's text. */
struct audit_about {
    struct text owner, provider, account;
};

struct store_writer {
    struct db db;
    struct audit_chain audit;
    struct audit_about about; /* the row that a change is about */
    char *path;
    int lock_fd;
    uint64_t last_seq;
    struct buf text;       /* of the row that a change is about */
    struct buf event_text; /* topics and bodies of the batch */
    struct store_event *events;
    size_t event_count, event_cap;
};

/* Index into apply_texts, and for db_statement() of the writer's database. */
enum apply_statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    LOAD,
    LOAD_PLACED,
    INSERT,
    SET_SECRET,
    SET_SECRET_ALONE, /* the state stays */
    SET_DATA,
    SET_STATE,
    SET_INVALID,
    SET_SUSPECT,
    SET_PLANNED,
    REPLAN,
    REPLAN_REMINDERS,
    SET_FAILED,
    SET_REMINDED,
    SET_PROBED,
    DROP,
    INTENT_ADD,
    INTENT_REPLY,
    INTENT_DROP,
    INTENT_DROP_ALL,
    EVENT_ADD,
    EVENT_TRIM,
    CONSENT_ADD,
    CONSENT_TRIM,
    CONSENT_TAKE,
    INCIDENT_ADD,
    INCIDENT_DROP,
    CONSENT_LOOK,
    CONSENT_REFUSED,
    SWEEP_COUNT,
    HELD_FIND,
    SWEEP_FIND,
    SWEEP_ADD,
    SWEEP_END,
    SWEEP_CANCEL,
    SWEEP_CANCEL_PARTS,
    SWEEP_TRIM,
    SWEEP_TRIM_PARTS,
    SWEEP_PART_ADD,
    SWEEP_PART_ADVANCE,
    SWEEP_PART_TALLY,
    SWEEP_PART_END,
    RECEIPT_ADD,
    RECEIPT_MOVED,
    RECEIPT_SAID,
    RECEIPT_TRIM,
    PAUSE_ADD,
    PAUSE_DROP,
    PRINCIPAL_ADD,
    PRINCIPAL_SET,
    PRINCIPAL_DROP,
    AUDIT_ADD,
    AUDIT_SEAL,
    AUDIT_LOAD,
    AUDIT_LAST,
    AUDIT_OLD,
    AUDIT_DROP,
    JOURNAL_ADD,
    JOURNAL_ALL,
    JOURNAL_DROP,
    LAST_SEQ,
    SEALED_SET_CONNECTION,
    SEALED_SET_INTENT,
    SEALED_SET_CONSENT,
    SEALED_DROP,
    APPLY_STATEMENT_COUNT
};

extern const char *const apply_texts[]; /* NULL-ended */

/* Makes one change. 0 or what the change's `result` may say; BURSAR_E_STORE_UNAVAILABLE: the
 * transaction cannot go on. */
int apply_change(struct store_writer *writer, struct store_change *change);

/* apply.c, for the others: puts an event into the log, with the next number. */
struct event;
int apply_event(struct store_writer *writer, struct store_change *change, struct event *event);

/* apply_audit.c */

/* The audit row of a change that was made, where it has one. */
int apply_audit_change(struct store_writer *writer, const struct store_change *change);
/* Seals where the log ends; before the commit. */
int apply_audit_seal(struct store_writer *writer);
int apply_audit(struct store_writer *writer, struct store_change *change);
int apply_audit_trim(struct store_writer *writer, struct store_change *change);

/* apply_journal.c */
int apply_journal_add(struct store_writer *writer, const struct store_change *change);
int apply_journal_settle(struct store_writer *writer, const struct store_change *change);
/* Where the journal that is there ends, by its own links, and whether they are right. */
int apply_journal_look(struct store_writer *writer, struct chain_ends *ends, bool *out_is_whole);

/* apply_log.c */
int apply_replan(struct store_writer *writer, struct store_change *change);
int apply_incident(struct store_writer *writer, struct store_change *change);
int apply_trim(struct store_writer *writer, struct store_change *change);
/* CHANGE_MOVE; apply_sweep.c moves many by it. */
int apply_move(struct store_writer *writer, struct store_change *change);

/* apply_sweep.c */
int apply_sweep(struct store_writer *writer, struct store_change *change);
int apply_sweep_step(struct store_writer *writer, struct store_change *change);
int apply_receipt(struct store_writer *writer, struct store_change *change);
int apply_sweep_cancel(struct store_writer *writer, struct store_change *change);
int apply_principal(struct store_writer *writer, struct store_change *change);
int apply_pause(struct store_writer *writer, struct store_change *change);
/* Drops receipts of sweeps that ended before so many seconds since 1970, STORE_TRIM_ROWS at a time, and
 * those sweeps whose last has gone. out_count: how many receipts. */
int apply_sweep_trim(struct store_writer *writer, int64_t before, uint64_t *out_count);

/* apply_consent.c */
int apply_consent(struct store_writer *writer, struct store_change *change);
int apply_consented(struct store_writer *writer, struct store_change *change);
/* A put that takes the consent it comes from; the put itself is apply_put(). */
int apply_put_consented(struct store_writer *writer, struct store_change *change);

/* apply_sealed.c */
int apply_sealed(struct store_writer *writer, struct store_change *change);
int apply_shred(struct store_writer *writer, struct store_change *change);

/* apply.c */
int apply_create(struct store_writer *writer, struct store_change *change);
int apply_update(struct store_writer *writer, struct store_change *change);
int apply_invalidate(struct store_writer *writer, struct store_change *change);
int apply_plan(struct store_writer *writer, struct store_change *change);
int apply_intent(struct store_writer *writer, struct store_change *change);
int apply_reply(struct store_writer *writer, struct store_change *change);
int apply_refreshed(struct store_writer *writer, struct store_change *change);
int apply_remind(struct store_writer *writer, struct store_change *change);
int apply_suspect(struct store_writer *writer, struct store_change *change);
int apply_put(struct store_writer *writer, struct store_change *change);
int apply_failed(struct store_writer *writer, struct store_change *change);

#endif
