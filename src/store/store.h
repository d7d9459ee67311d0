/* The interface to the stores: one writer that commits changes together, and readers.
 * Thread: a store_writer belongs to the store thread, each store_reader to the thread that opened it.
 *
 * An engine is a folder beside this file that fills the two tables of functions below. A change is
 * a plain value; its conditions (owner, expected generation, allowed moves) are checked inside the
 * transaction that makes it, so that whoever sent it decides on what is true when it is written. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "store/audit.h"
#include "store/audit_journal.h"
#include "store/row.h"
#include "store/sealed.h"
#include "store/sweep.h"

/* ---- changes --------------------------------------------------------------------------------- */

enum change_type {
    CHANGE_CREATE,     /* a PENDING row without a secret */
    CHANGE_PUT,        /* a secret from outside; may make the row */
    CHANGE_UPDATE,     /* metadata, tags */
    CHANGE_MOVE,       /* revoke, restore, freeze, thaw, delete */
    CHANGE_INVALIDATE, /* a caller had this generation refused */
    CHANGE_PLAN,       /* the planner is to refresh it now */
    CHANGE_REPLAN, /* the clock was set back: what a provider's rows had planned by it is due now, and owners
                      are reminded at remind_at at the latest */
    CHANGE_INTENT,     /* a request is about to be sent */
    CHANGE_REPLY,      /* the raw reply of it, before anybody reads it */
    CHANGE_REFRESHED,  /* the new generation; ends the intent */
    CHANGE_FAILED,     /* an attempt ended without one; ends the intent; may move the state */
    CHANGE_REMIND,     /* the reauth event of a NEEDS_REAUTH row, once more */
    CHANGE_INCIDENT,   /* an event that belongs to no connection */
    CHANGE_CONSENT,    /* a consent that is under way; also drops those whose time is over */
    CHANGE_CONSENTED,  /* takes one out, once; gives what was kept of it */
    CHANGE_TRIM,       /* drops events and ended sweeps older than at, STORE_TRIM_ROWS at a time */
    CHANGE_SWEEP,      /* a sweep begins */
    CHANGE_SWEEP_STEP, /* a batch of one part of it */
    CHANGE_RECEIPT,    /* what a provider said of one connection of it */
    CHANGE_SWEEP_CANCEL, /* it ends before its time */
    CHANGE_SUSPECT,      /* a sign of a second spender of a row's grant */
    CHANGE_PAUSE,        /* a provider's refreshing is held, or goes on: is_begin */
    CHANGE_PRINCIPAL,    /* a principal that was made by a job is added, changed or removed */
    CHANGE_SEALED,       /* data keys of rows were wrapped under another key */
    CHANGE_SHRED,        /* FAILED, and the secret is dropped, as if there was another behind it */
    CHANGE_AUDIT,        /* rows of the audit log that stand for no change */
    CHANGE_AUDIT_TRIM,   /* drops its rows older than at, STORE_TRIM_ROWS at a time */
    CHANGE_TYPE_END
};

/* What becomes of the rows of an AUDIT. */
enum audit_how {
    AUDIT_DIRECT, /* they are rows of the log */
    AUDIT_GATHER, /* they go to the log's journal, where their writer still counts them together */
    AUDIT_SETTLE /* they are rows of the log, and the next ones of those in the journal: see audit_left */
};

/* Secret parts of a PUT or REFRESHED. */
struct change_secret {
    struct text kind, scopes;  /* scopes absent: as they were */
    struct text secret, grant; /* sealed for generation expect_generation + 1 */
    int64_t issued_at, expires_at, due_at, refresh_expires_at;
    bool can_refresh;
};

struct store_change {
    enum change_type type;
    int64_t at_ms;          /* now, since 1970 UTC */
    int64_t now_ms;         /* TRIM, whose at is long ago: no event can be of a later time */
    struct text owner;      /* condition where it is not absent: the row is this owner's */
    struct text connection; /* which row */
    int64_t place; /* where it was when it was read (conn_row.place), 0: not known. The row is
                                 * found without a search if it still is there; that changes nothing else.
                                 * Out: where it was found */
    uint64_t expect_generation; /* condition of all but MOVE, UPDATE without has_expect, TRIM … */
    bool has_expect_generation; /* UPDATE only */
    bool is_new;                /* PUT: the row is made, under the id given */
    bool is_held;               /* PUT of a first secret: it is FROZEN from the start */
    struct text provider, account; /* CREATE, PUT of a new row, INCIDENT */
    struct text metadata, tags;    /* CREATE, UPDATE; absent: as it was */
    struct change_secret secret;   /* PUT, REFRESHED */
    enum conn_move move;           /* MOVE; FAILED: MOVE_REFUSED, MOVE_LOST, or MOVE_END: none;
                                    * INVALIDATE: MOVE_REFUSED where nothing can refresh it */
    int64_t remind_at; /* of a row that comes into NEEDS_REAUTH, of REMIND and REPLAN; seconds */
    uint8_t token_hash[32];     /* INTENT */
    struct text node;           /* INTENT: which daemon */
    bool is_probe;              /* INTENT: of an IN_DOUBT connection */
    struct text reply;          /* REPLY: sealed */
    enum verdict_class outcome; /* FAILED, INCIDENT */
    struct text reason;         /* FAILED with a move, INCIDENT: code */
    struct text error;          /* FAILED: one printable line */
    struct text provider_error; /* FAILED, INCIDENT: the provider's code, printable */
    enum spender_sign suspect;  /* FAILED, SUSPECT; NONE: as it was */
    int http_status;            /* FAILED, INCIDENT; 0: none */
    int64_t next_refresh_at;    /* FAILED, seconds */
    int64_t lost_at;   /* FAILED: when the token may have been spent, seconds; 0: it was not */
    bool keeps_intent; /* FAILED: the kept reply is still to be read */
    bool is_begin;     /* INCIDENT: begin or end */
    enum incident_kind incident; /* INCIDENT */
    struct text consent; /* CONSENT, CONSENTED: a digest of its state; also provider. PUT: the
                                 * consent that brought the secret is taken in the same moment;
                                 * BURSAR_E_NOT_FOUND, and nothing put, where it is not there. CONSENTED
                                 * with `error`: `connection` keeps for its record that it was refused */
    struct text sealed;  /* CONSENT: what is kept of it */
    int64_t consent_expires_at;        /* CONSENT, seconds */
    bool is_device;                    /* CONSENT: the provider is polled for its end */
    struct sweep_change *sweep;        /* SWEEP…, RECEIPT; also provider */
    struct sealed_batch *sealed_batch; /* SEALED */
    const struct audit_origin
        *origin;                   /* who caused it, for its audit row; NULL: the broker itself */
    const struct audit_row *audit; /* AUDIT: rows without number */
    size_t audit_count;
    enum audit_how audit_how;
    size_t audit_left; /* SETTLE: rows of the journal that come behind these; 0: it is emptied */
    size_t audit_gathered; /* out: different rows that its writer holds for AUDIT_SETTLE */
    struct text
        principal; /* PRINCIPAL: its name. is_new: BURSAR_E_CONFLICT where it is there already,
                             * else BURSAR_E_NOT_FOUND where it is not */
    struct text definition; /* PRINCIPAL: MessagePack (wire/principal.h); absent: it is removed */
    struct buf *taken;      /* CONSENTED: gets what was kept; BURSAR_E_NOT_FOUND where there is
                                 * none of this provider, or its time is over */

    /* Filled by store_apply(). */
    int result;            /* 0, BURSAR_E_NOT_FOUND, _CONFLICT, _REVOKED, _FROZEN, _OVERLOADED,
                 * _STORE_UNAVAILABLE */
    uint64_t generation;   /* of the row afterwards; TRIM, AUDIT_TRIM: how many were dropped */
    enum conn_state state; /* of the row afterwards */
    uint64_t event_seq;    /* 0: the change made no event */
};

/* An event as it was committed: what the publisher sends. The buffers are the batch's. */
struct store_event {
    uint64_t seq;
    struct text topic, body;
};

struct store_batch {
    struct store_change **changes;
    size_t count;
    struct store_event *events; /* filled by store_apply(); good until the next store_apply() */
    size_t event_count;
};

/* ---- readers --------------------------------------------------------------------------------- */

struct store_list_filter {
    struct text owner, provider;                            /* absent: all */
    enum conn_state state;                                  /* CONN_NONE: all */
    struct text after_owner, after_provider, after_account; /* the list goes on behind this row;
                                                             * absent: from the start */
    uint32_t limit;
};

struct store_counts {
    uint64_t by_state[CONN_STATE_END];
    uint64_t last_seq;
};

struct store_forecast {
    uint64_t due;    /* refreshes that are due until then, overdue ones included */
    uint64_t ending; /* ACTIVE connections whose refresh token ends until then */
};

/* Rows of the audit log; absent: of all. */
struct store_audit_filter {
    uint64_t after_seq, until_seq; /* behind the one, to the other */
    struct text principal, owner, connection;
    int64_t since_ms;
    size_t limit;
};

/* Who was given which generations: of one connection (of all principals, or of one), or by one principal
 * alone. The list goes on behind a name (the principal's, or the connection's) and generation. */
struct store_given_filter {
    struct text connection, principal, owner;
    int64_t since_ms;
    struct text after; /* absent: from the start */
    uint64_t after_generation;
    size_t limit;
};
struct store_given {
    struct text principal, owner, connection, provider, account;
    uint64_t generation;
    int64_t first_ms, last_ms;
    uint64_t count;
    bool has_export; /* with the refresh token, at least once */
};

/* Where the audit log begins and ends, and whether that is sealed. */
struct store_audit_ends {
    struct chain_ends ends;
    enum audit_problem seal;
    int64_t first_ms; /* of the oldest row; 0: there is none */
};
struct store_audit_check {
    uint64_t after_seq; /* in: the row that was looked at last; out: the same */
    uint64_t rows;      /* looked at */
    bool is_end;        /* nothing is left to be looked at */
    struct store_audit_ends ends;
};

typedef bool store_audit_fn(void *context, const struct audit_row *row,
                            const uint8_t link[static CHAIN_LINK_LEN]);
typedef bool store_given_fn(void *context, const struct store_given *given);
typedef void store_problem_fn(void *context, uint64_t seq, enum audit_problem problem);
typedef bool store_row_fn(void *context, const struct conn_row *row); /* false ends the list */
typedef bool store_id_fn(void *context, struct text connection);
typedef bool store_consent_fn(void *context, struct text consent, struct text sealed);
typedef bool store_incident_fn(void *context, enum incident_kind kind);
typedef bool store_sweep_fn(void *context, const struct sweep_row *row);
typedef bool store_part_fn(void *context, const struct sweep_part_row *row);
typedef bool store_receipt_fn(void *context, const struct sweep_receipt *row);
typedef bool store_tally_fn(void *context, struct text provider, enum conn_state state,
                            struct text tags);
typedef bool store_principal_fn(void *context, struct text name, struct text definition);
typedef void store_sealed_fn(void *context, const struct sealed_row *row);
typedef bool store_event_fn(void *context, uint64_t seq, struct text owner, struct text body);

struct store_writer;
struct store_reader;

#define STORE_TRIM_ROWS 1000

struct store_engine {
    const char *scheme; /* "sqlite" */

    void (*own_process)(void); /* see store_own_process() */
    int (*writer_open)(const char *where, struct store_writer **out_writer, struct buf *error);
    void (*writer_close)(struct store_writer *writer);
    int (*apply)(struct store_writer *writer, struct store_batch *batch);
    /* From here on changes have audit rows, and the log's end is sealed with the keyring (borrowed). What
     * was changed in it while nobody wrote is told to the log, and in it. Without this call there is no
     * audit. 0 or BURSAR_E_STORE_UNAVAILABLE. */
    int (*audit_open)(struct store_writer *writer, const struct keyring *keyring, int64_t at_ms);
    /* Where it ends now. */
    struct chain_ends (*audit_end)(const struct store_writer *writer);
    /* What an earlier writer left in the journal, as it was told, for AUDIT_SETTLE; behind audit_open. settled: so many
     * of the first different ones of those that were given are rows of the log, and not to come any more. The texts
     * borrow until `each` returns. 0 or BURSAR_E_STORE_UNAVAILABLE. */
    int (*audit_gathered)(struct store_writer *writer, audit_journal_fn *each,
                          audit_mark_fn *settled, void *context);
    int (*can_write)(struct store_writer *writer);
    int (*tidy)(struct store_writer *writer);

    int (*reader_open)(const char *where, struct store_reader **out_reader, struct buf *error);
    void (*reader_close)(struct store_reader *reader);
    /* From the first read behind it until let_go() all reads see one moment, which is cheaper than each a moment
     * of its own: for what is done at one go, and shortly, since the writer cannot tidy beyond it. A failure of
     * either changes nothing but the price. */
    void (*hold)(struct store_reader *reader);
    void (*let_go)(struct store_reader *reader);
    /* By id (connection given; owner absent only for the broker's own work) or by key. 0,
     * BURSAR_E_NOT_FOUND, BURSAR_E_STORE_UNAVAILABLE, BURSAR_E_NOMEM, or BURSAR_E_INTERNAL for a
     * row that no bursar has written; lists leave such a row out. */
    int (*find)(struct store_reader *reader, struct text owner, struct text connection,
                struct text provider, struct text account, struct conn_row *out_row);
    /* What the planner takes next: the oldest of each owner first, then the second ones, and so on, and
     * among these the oldest first; so that an owner with very many that are due keeps nobody waiting. */
    int (*due)(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
               store_id_fn *each, void *context, int64_t *out_next_at);
    /* As due, of the rows that wait for their owner and are to be called to mind. */
    int (*remind)(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
                  store_row_fn *each, void *context, int64_t *out_next_at);
    int (*list)(struct store_reader *reader, const struct store_list_filter *filter,
                store_row_fn *each, void *context);
    int (*intents)(struct store_reader *reader, struct text provider, struct intent_row **out_rows,
                   size_t *out_count);
    int (*reply)(struct store_reader *reader, struct text connection, uint64_t generation,
                 struct buf *out_sealed);
    int (*events)(struct store_reader *reader, uint64_t after_seq, size_t limit,
                  store_event_fn *each, void *context);
    /* The consents of a provider that is polled for their end. */
    int (*devices)(struct store_reader *reader, struct text provider, int64_t now,
                   store_consent_fn *each, void *context);
    /* What is kept of a consent, which stays. 0, or BURSAR_E_NOT_FOUND as CHANGE_CONSENTED has it. */
    int (*consent)(struct store_reader *reader, struct text provider, struct text consent,
                   int64_t now, struct buf *out_sealed);
    /* One sweep (or BURSAR_E_NOT_FOUND); those before one, the newest first; all parts that have not
     * ended, the oldest sweep's first. */
    int (*sweep)(struct store_reader *reader, struct text sweep, store_sweep_fn *each,
                 void *context);
    int (*sweeps)(struct store_reader *reader, struct text before, size_t limit,
                  store_sweep_fn *each, void *context);
    int (*sweep_parts)(struct store_reader *reader, store_part_fn *each, void *context);
    /* Receipts behind a connection's, in the order of their ids; asking: those whose provider is still to
     * answer. */
    int (*receipts)(struct store_reader *reader, struct text sweep, struct text after, size_t limit,
                    store_receipt_fn *each, void *context);
    int (*asking)(struct store_reader *reader, struct text sweep, struct text provider,
                  struct text after, size_t limit, store_receipt_fn *each, void *context);
    /* The sealed secret of the generation before this one; BURSAR_E_NOT_FOUND where there is none, or
     * the row is of another generation. */
    int (*prior)(struct store_reader *reader, struct text connection, uint64_t generation,
                 struct buf *out_sealed);
    /* Provider, state and tags of every row of an owner and provider (absent: all). */
    int (*tally)(struct store_reader *reader, struct text owner, struct text provider,
                 store_tally_fn *each, void *context);
    /* The same of those that a selection's principal was given; its tag and client are not looked at. */
    int (*tally_given)(struct store_reader *reader, const struct sweep_selection *selection,
                       store_tally_fn *each, void *context);
    /* Whether a principal was given a connection's secret then or later (seconds). 1, 0, or the error. */
    int (*was_given)(struct store_reader *reader, struct text principal, struct text connection,
                     int64_t since);
    int (*audit_rows)(struct store_reader *reader, const struct store_audit_filter *filter,
                      store_audit_fn *each, void *context);
    int (*given)(struct store_reader *reader, const struct store_given_filter *filter,
                 store_given_fn *each, void *context);
    int (*audit_ends)(struct store_reader *reader, const struct keyring *keyring,
                      struct store_audit_ends *out_ends);
    /* Looks at so many rows behind check->after_seq, as they are at one moment; with the last one also
     * at the ends. Each problem is told. */
    int (*audit_check)(struct store_reader *reader, const struct keyring *keyring, size_t limit,
                       store_problem_fn *each, void *context, struct store_audit_check *check);
    /* Since when a provider is paused; 0: it is not. */
    int (*paused)(struct store_reader *reader, struct text provider, int64_t *out_since);
    /* The principals that were made by jobs, by name. */
    int (*principals)(struct store_reader *reader, store_principal_fn *each, void *context);
    int (*counts)(struct store_reader *reader, struct store_counts *out_counts);
    /* The number of the last event, 0 where there was none. */
    int (*last_seq)(struct store_reader *reader, uint64_t *out_seq);
    /* The next rows with sealed blobs behind the cursor, which is moved; an owner's, or all where it is absent. At
     * the end of a table there may be none though the cursor is not at its end yet. */
    int (*sealed)(struct store_reader *reader, struct text owner, struct sealed_cursor *cursor,
                  size_t limit, store_sealed_fn *each, void *context);
    /* About how many rows such a walk through all sees. */
    int (*sealed_count)(struct store_reader *reader, uint64_t *out_count);
    /* When the last event was, in ms since 1970 UTC; 0: there is none. */
    int (*last_at)(struct store_reader *reader, int64_t *out_at_ms);
    /* Those of a provider that have begun and not ended. */
    int (*incidents)(struct store_reader *reader, struct text provider, store_incident_fn *each,
                     void *context);
    /* What a provider's planner has before it until a time, and which grants end until another. */
    int (*forecast)(struct store_reader *reader, struct text provider, int64_t due_until,
                    int64_t end_until, struct store_forecast *out_forecast);
};

/* For a program of ours, before it opens a store or begins a thread: what a library of a store has for the whole
 * process is set as suits stores that several threads read. Another's process is left as it is. */
void store_own_process(void);

/* A store by its URI (`sqlite:PATH`); borrows nothing. NULL for an unknown scheme. where is what
 * stands behind the scheme and borrows from uri. */
const struct store_engine *store_engine_of(const char *uri, const char **out_where);

#endif
