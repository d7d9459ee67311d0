/* Rows for the audit log that wait to be written: the same thing twice is one row with a count.
 * Thread: its owner; the store thread reads the rows of one that was sent, while nobody adds to it.
 *
 * A batch keeps its memory when it is cleared: what happens 100 000 times a second takes none from the
 * system. */
#ifndef BROKER_AUDIT_BATCH_H
#define BROKER_AUDIT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "store/audit.h"

struct audit_chunk;

/* What lies before a row in the table is seen to be another by its hash, without a look at the row. */
struct audit_slot {
    uint32_t hash; /* part of it */
    uint32_t row;  /* its index + 1; 0: free */
};

/* All-zero is an empty one. */
struct audit_batch {
    struct audit_row *rows;
    size_t count, cap;
    size_t done;      /* so many of them are written */
    bool is_settling; /* and then all that is in the journal is */
    struct audit_slot *slots;
    size_t slot_count;
    uint64_t seed;
    struct audit_chunk *chunks, *filling; /* where the texts lie */
    struct mail *held, **last_held;       /* what waits until they are written */
};

void audit_batch_free(struct audit_batch *batch); /* not what is held */
void audit_batch_clear(struct audit_batch *batch);
/* Copies the row, or counts it to one that differs in nothing but the times. hint is where that one may be: what was
 * given for an equal row before, or anything. Gives where it is. */
uint32_t audit_batch_add(struct audit_batch *batch, const struct audit_row *row, uint32_t hint);
/* Those that are written are in it no more. */
void audit_batch_drop_done(struct audit_batch *batch);
/* Takes the mail. */
void audit_batch_hold(struct audit_batch *batch, struct mail *mail);
/* Gives what is held, in its order. */
struct mail *audit_batch_take_held(struct audit_batch *batch);

#endif
