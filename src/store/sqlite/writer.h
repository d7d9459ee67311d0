/* The write side of the SQLite store: changes of a batch in one transaction.
 * Thread: the writer's owner. The functions are those of struct store_engine. */
#ifndef STORE_SQLITE_WRITER_H
#define STORE_SQLITE_WRITER_H

#include "store/store.h"

int writer_open(const char *path, struct store_writer **out_writer, struct buf *error);
void writer_close(struct store_writer *writer);

/* Makes all changes of the batch in one transaction. 0: committed, and each change has its own
 * result. BURSAR_E_STORE_UNAVAILABLE: nothing was written, and each change says so too. */
int writer_apply(struct store_writer *writer, struct store_batch *batch);

/* apply_audit.c, apply_journal.c: as struct store_engine says. */
int writer_audit_open(struct store_writer *writer, const struct keyring *keyring, int64_t at_ms);
struct chain_ends writer_audit_end(const struct store_writer *writer);
int writer_audit_gathered(struct store_writer *writer, audit_journal_fn *each,
                          audit_mark_fn *settled, void *context);

/* Whether there is room and permission for what a refresh will write; 0 or
 * BURSAR_E_STORE_UNAVAILABLE. */
int writer_can_write(struct store_writer *writer);

/* Moves what was committed from the log file into the database, when there is time for it. */
int writer_tidy(struct store_writer *writer);

#endif
