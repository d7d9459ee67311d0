/* What the store keeps of a connection, an intent and an event, as plain values.
 * Thread: the value's owner. */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "policy/lifecycle.h"
#include "policy/spender.h"
#include "policy/vend.h"
#include "policy/verdict.h"

/* A connection with its credential. All texts lie in one block that conn_row_free() ends; absent ones
 * are NULL in the store. Times are seconds since 1970 UTC, EXPIRY_NEVER where there is none. */
struct conn_row {
    struct text id, owner, provider, account;
    enum conn_state state, prior_state; /* prior: before it was revoked or frozen */
    uint64_t generation;                /* 0: no secret yet */
    uint64_t invalid_generation;        /* the generation that a caller had refused; 0: none */
    int64_t issued_at, expires_at;
    int64_t due_at;          /* when a refresh is due by the rules of the life cycle */
    int64_t next_refresh_at; /* when the planner tries next; EXPIRY_NEVER: not planned */
    int64_t refresh_expires_at;
    int64_t created_at, updated_at;
    int64_t last_refresh_at; /* 0: never */
    enum verdict_class last_outcome;
    unsigned failures; /* in a row */
    int64_t lost_at;   /* when the current token may have been spent; EXPIRY_NEVER: it was not */
    bool is_probed;    /* IN_DOUBT: the one probe was sent */
    bool can_refresh;  /* a grant is stored that can be refreshed */
    enum spender_sign suspect;  /* somebody else seems to refresh this grant, too */
    struct text last_error;     /* one printable line, or absent */
    struct text reason;         /* code of the last move into NEEDS_REAUTH or IN_DOUBT */
    struct text kind;           /* of the secret */
    struct text scopes;         /* space-delimited */
    struct text metadata, tags; /* MessagePack */
    struct text secret, grant;  /* sealed */
    int64_t place;              /* the store's own: see store_change.place */
    void *block;
    size_t block_len;
};
void conn_row_free(struct conn_row *row);
/* 0 or BURSAR_E_NOMEM. */
int conn_row_copy(const struct conn_row *row, struct conn_row *out_copy);
/* The same with all of its texts in a new block, wherever they lie now. */
int conn_row_gather(const struct conn_row *row, struct conn_row *out_copy);
struct vend_view conn_row_view(const struct conn_row *row);

/* A refresh that was begun and not ended. Lists of these are one array, free() ends it. */
struct intent_row {
    char connection[112];
    uint64_t generation;
    int64_t at_ms; /* when it was committed, since 1970 UTC */
    bool has_reply;
};

#endif
