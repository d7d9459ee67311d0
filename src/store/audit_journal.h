/* Rows of the audit log that have no number yet, as bytes: what the journal of it has in one entry.
 * Thread: any; pure.
 *
 * A row is, behind one that is all zero and absent: which texts differ from the row before (2 bytes, the first
 * text is the lowest bit), then as variable-length numbers kind, generation, count, at_ms, last_ms, the times
 * as what they are behind the at_ms of the row before and their own; then each text that differs: its length
 * and one, and its bytes, or 0 where it is absent. Variable-length: seven bits a byte, the lowest first, the
 * highest bit set in all but the last; numbers that may be below zero are doubled, and one less and
 * made positive where they are.
 *
 * An entry can also be a mark: 2 bytes that are all ones, and a number. */
#ifndef STORE_AUDIT_JOURNAL_H
#define STORE_AUDIT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "store/audit.h"

/* Appends; buf_error() tells. */
void audit_journal_write(const struct audit_row *rows, size_t count, struct buf *out);

typedef void audit_journal_fn(void *context, const struct audit_row *row);
/* Gives each row; its texts borrow from the bytes. False where they are no such rows: those before the
 * place were given. */
bool audit_journal_read(struct text bytes, audit_journal_fn *each, void *context);

/* The other sort of entry: so many of the different rows of the entries before it, in the order in which they came
 * first and behind those of an earlier mark, are rows of the log. */
typedef void audit_mark_fn(void *context, uint64_t settled);
/* Appends; buf_error() tells. */
void audit_journal_write_mark(uint64_t settled, struct buf *out);
/* False where it is no mark. */
bool audit_journal_read_mark(struct text bytes, uint64_t *out_settled);

#endif
