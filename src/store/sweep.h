/* A sweep as the store keeps it: one change of many connections, its parts and its receipts.
 * Thread: the value's owner.
 *
 * Each provider that a sweep concerns has a part of its own, which that provider's worker walks
 * through in batches. A batch moves its rows, writes their receipts and says how far the walk has come
 * in one transaction: whoever goes on with it after a crash does no row twice and leaves none out. */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "policy/lifecycle.h"

/* Numbers are stored: never renumber. */
enum sweep_action { SWEEP_FREEZE = 1, SWEEP_THAW = 2, SWEEP_REVOKE = 3, SWEEP_ACTION_END };

#define SWEEP_ID_SIZE 40     /* "sweep." and 26 characters, with its end */
#define SWEEPS_ACTIVE_MAX 64 /* begun and not ended; a further one is refused */
#define SWEEP_BATCH_MAX 128  /* rows of one transaction */
#define SWEEP_SAYS_MAX 256   /* bytes that are kept of what a provider says */

/* What a sweep is about; absent: any. client is the `client_id` of providers, and was looked up in the
 * configuration when the sweep began. */
struct sweep_selection {
    struct text provider, owner, tag, client;
    struct text principal; /* those whose secret was given to it at vended_since or later */
    int64_t vended_since;  /* seconds since 1970; with principal alone */
};

struct sweep_row {
    struct text id; /* borrowed, as all texts here, until the function that gets the row returns */
    enum sweep_action action;
    bool at_provider;
    struct sweep_selection selection;
    uint32_t rate_per_s;        /* of each part; 0: as fast as the store takes it */
    int64_t begun_at, ended_at; /* ended_at 0: it goes on */
    bool is_cancelled;
    uint64_t count;   /* selected when it began */
    uint64_t done;    /* have a receipt */
    uint64_t changed; /* of which so many moved */
    uint64_t asking;  /* of which so many wait for what their provider says */
};

/* A part that has not ended. */
struct sweep_part_row {
    struct text sweep, provider, owner, tag, principal;
    int64_t vended_since;
    enum sweep_action action;
    bool at_provider;
    uint32_t rate_per_s;
    struct text after_owner, after_account; /* absent: the walk has not begun */
    bool is_walked;                         /* nothing is left but to ask the provider */
};

struct sweep_receipt {
    struct text connection, owner, provider, account;
    enum conn_state from, to; /* the same: there was nothing to do, or the state did not allow it */
    int64_t at_ms;
    bool is_asking;
    struct text at_provider; /* what it said; absent: not asked, or not yet */
};

/* ---- changes --------------------------------------------------------------------------------- */

/* Of SWEEP: a provider of the selection, and how many. */
struct sweep_share {
    struct text provider;
    uint64_t count;
};

/* What the CHANGE_SWEEP… need beside the change's own keys; which each needs stands beside it. */
struct sweep_change {
    struct text sweep;                /* all */
    enum sweep_action action;         /* SWEEP, STEP */
    bool at_provider;                 /* SWEEP, STEP */
    struct sweep_selection selection; /* SWEEP */
    uint32_t rate_per_s;              /* SWEEP */
    const struct sweep_share *shares; /* SWEEP */
    size_t share_count;
    struct text after_owner, after_account; /* STEP: condition: the walk stands there */
    struct text to_owner, to_account; /* STEP: and there afterwards; absent: where it stands */
    const struct text *connections;   /* STEP: that are moved; SWEEP_BATCH_MAX at most */
    size_t connection_count;
    bool is_last;     /* STEP: the walk has come to its end */
    struct text says; /* RECEIPT: of change->connection; condition: its provider is being asked */
    bool has_ended;   /* STEP, RECEIPT: filled: the part has */
};

#endif
