/* Sealed blobs wherever the store has them, so that their data keys can be wrapped under another key.
 * Thread: the value's owner.
 *
 * The store looks into no blob. Who walks through them reads rows in their order, behind a cursor, and
 * writes a batch of them back: each as it was read or not at all. */
#ifndef STORE_SEALED_H
#define STORE_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "policy/lifecycle.h"

enum sealed_table { SEALED_CONNECTION, SEALED_INTENT, SEALED_CONSENT, SEALED_END };

#define SEALED_BLOBS 4      /* of one row at most */
#define SEALED_BATCH_MAX 64 /* rows of one transaction */
#define SEALED_DIGEST_MAX 64

/* Where a walk stands; zeroed: at its beginning. */
struct sealed_cursor {
    enum sealed_table table; /* SEALED_END: at its end */
    int64_t rowid;
    uint8_t digest[SEALED_DIGEST_MAX];
    size_t digest_len;
};

/* Texts are borrowed until the function that gets the row returns. */
struct sealed_row {
    enum sealed_table table;
    struct text id;        /* the connection's, or a consent's digest */
    struct text owner;     /* absent: nobody's */
    uint64_t generation;   /* of the connection; of an intent: its own */
    enum conn_state state; /* of the connection */
    /* secret, grant, and both of the generation before; or the one blob of an intent or a consent */
    struct text blobs[SEALED_BLOBS];
};

/* A row to write: where all blobs are still what they were. */
struct sealed_change {
    enum sealed_table table;
    struct text id;
    uint64_t generation; /* of an intent */
    struct text before[SEALED_BLOBS];
    struct text after[SEALED_BLOBS]; /* absent: as it was */
};

/* Of CHANGE_SEALED. */
struct sealed_batch {
    struct sealed_change rows[SEALED_BATCH_MAX];
    size_t count;
    size_t lost; /* filled: rows that were not what they were */
};

#endif
