/* A row of the audit log: its bytes under the hash, its MessagePack, and what a chain of rows is like.
 * Thread: the value's owner. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "vault/chain.h"
#include "wire/pack.h"
#include "wire/tree.h"

/* Numbers are stored and hashed: never renumber. */
enum audit_kind {
    AUDIT_VEND = 1,    /* a secret was given out */
    AUDIT_EXPORT = 2,  /* the same, with what only the broker keeps: a refresh token */
    AUDIT_CHANGE = 3,  /* something was changed; stands in the transaction of the change */
    AUDIT_REFUSED = 4, /* a job was refused */
    AUDIT_LOG = 5,     /* about the log itself */
    AUDIT_KIND_END
};
const char *audit_kind_name(enum audit_kind kind); /* NULL for what is none */

/* Ops of AUDIT_LOG rows. */
#define AUDIT_OP_BEGIN "audit.begin" /* the first row there is */
#define AUDIT_OP_BREAK "audit.break" /* the log was not as it had been left */
#define AUDIT_OP_TRIM "audit.trim"   /* old rows were dropped */
#define AUDIT_OP_LOST \
    "audit.lost" /* so many rows had no room, and nothing was given out with them */

#define AUDIT_TEXTS 10

/* Who, what, and what came of it: `count` times between at_ms and last_ms. */
struct audit_row {
    uint64_t seq;
    int64_t at_ms, last_ms; /* since 1970 UTC */
    uint64_t count;
    enum audit_kind kind;
    uint64_t generation; /* 0: none */
    struct text principal, peer, op, purpose, owner, connection, provider, account, outcome, detail;
};
/* The texts in their order, to be looped over. */
struct text *audit_text(struct audit_row *row, size_t index);
struct text audit_text_of(const struct audit_row *row, size_t index);
const char *audit_text_name(size_t index);

/* Copies all texts to where audit_texts_len() bytes are, and points the row to them. */
size_t audit_texts_len(const struct audit_row *row);
void audit_move_texts(struct audit_row *row, char *to);

/* Who caused a change; what is absent of it is not known. NULL in its place: the broker itself. */
struct audit_origin {
    struct text principal, peer, purpose;
    const char *op;     /* of the job */
    struct text detail; /* of the row; absent: none */
};

/* The bytes that are hashed: a version, the numbers, and each text with its length, so that no two rows
 * have the same. */
void audit_bytes(const struct audit_row *row, struct buf *out);
/* The link behind `before` and its row; 0 or the error of scratch, which is cleared first. */
int audit_link(const uint8_t before[static CHAIN_LINK_LEN], const struct audit_row *row,
               struct buf *scratch, uint8_t out[static CHAIN_LINK_LEN]);

/* As pairs of a map that is open, with its hash, and back; false where it is no such map. The row's
 * texts borrow from the node. */
void audit_pack(struct pack *map, const struct audit_row *row,
                const uint8_t link[static CHAIN_LINK_LEN]);
bool audit_read(const struct node *map, struct audit_row *out_row,
                uint8_t out_link[static CHAIN_LINK_LEN]);

#define AUDIT_HEX_SIZE (CHAIN_LINK_LEN * 2 + 1)
void audit_hex(const uint8_t link[static CHAIN_LINK_LEN], char out[static AUDIT_HEX_SIZE]);
bool audit_unhex(struct text hex, uint8_t out[static CHAIN_LINK_LEN]);

/* ---- a walk along the chain --------------------------------------------------------------------- */

enum audit_problem {
    AUDIT_SOUND,
    AUDIT_ALTERED, /* the row is not the one that was written, or not at this place */
    AUDIT_MISSING, /* rows before it are not there */
    AUDIT_BROKEN, /* the daemon found the log changed when it started, and went on behind this row */
    AUDIT_CUT_OFF,    /* rows behind it are not there */
    AUDIT_UNSEALED,   /* rows behind the sealed end */
    AUDIT_BAD_SEAL,   /* the seal of beginning and end is not the keyring's */
    AUDIT_NO_KEY,     /* the seal's key is not in the keyring */
    AUDIT_NO_SEAL,    /* there is none */
    AUDIT_OTHER_HEAD, /* the row is another one than the one that was noted */
    /* Of the connections, by what the log says of them: */
    AUDIT_ROLLED_BACK, /* one is of an earlier generation */
    AUDIT_VANISHED,    /* one is not there, and nobody has deleted it */
    AUDIT_RETURNED,    /* one is there that was deleted */
};
/* For programs (`altered`) and for people. */
const char *audit_problem_name(enum audit_problem problem);
const char *audit_problem_text(enum audit_problem problem);

/* All-zero and audit_walk_from() begin one; audit_walk_free() ends it. */
struct audit_walk {
    uint64_t seq;
    uint8_t link[CHAIN_LINK_LEN];
    uint64_t rows;
    struct buf scratch;
};
void audit_walk_from(struct audit_walk *walk, uint64_t seq,
                     const uint8_t link[static CHAIN_LINK_LEN]);
void audit_walk_free(struct audit_walk *walk);
/* The next row, with the link that stands beside it; what is wrong with it. Goes on from what stands
 * there in any case, so that one wrong row is told once. */
enum audit_problem audit_walk_row(struct audit_walk *walk, const struct audit_row *row,
                                  const uint8_t link[static CHAIN_LINK_LEN]);

#endif
