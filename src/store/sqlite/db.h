/* Opening a database file, statements that are prepared once, and what SQLite's codes mean.
 * Thread: the connection's owner. */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/text.h"

/* Bytes of a page of a new file. Rows of two sealed generations fill such a page, and a commit writes
 * half of what it writes with the next size: doc/store.md has the figures, bench/page_size.c makes
 * them again. */
#define DB_PAGE_BYTES 4096

/* How the writer reaches the disk. WAL: readers never wait for the writer. FULL: a commit is on the disk when it
 * returns. The writer checkpoints by itself when there is time (tidy), not in the middle of a commit. */
#define DB_WRITER_PRAGMAS                                        \
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"      \
    "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32768;" \
    "PRAGMA temp_store = MEMORY"

struct db {
    sqlite3 *handle;
    const char *const *texts;
    sqlite3_stmt **statements; /* by the index of their text; NULL: not asked for yet */
    size_t statement_count;
};

/* Opens; is_writer makes the file where there is none and brings its schema up to date (who may be the
 * writer is settled before: writer.h). texts are the statements, NULL-ended, and stay; a reader prepares each when
 * it is asked for, as most readers ask few. 0, BURSAR_E_CONFIG (a
 * file of a newer version, or of something else) or BURSAR_E_STORE_UNAVAILABLE. */
int db_open(struct db *db, const char *path, bool is_writer, const char *const *texts,
            struct buf *error);
void db_close(struct db *db);

/* A statement, reset and with nothing bound. NULL where it cannot be prepared; SQLite refuses to do anything
 * with that. */
sqlite3_stmt *db_statement(struct db *db, size_t index);

/* Binding; index counts from 1. The bytes must live until the statement is reset. */
void db_bind_text(sqlite3_stmt *statement, int index, struct text text); /* absent: NULL */
void db_bind_blob(sqlite3_stmt *statement, int index, struct text bytes);
void db_bind_time(sqlite3_stmt *statement, int index, int64_t time); /* EXPIRY_NEVER: NULL */
void db_bind_int(sqlite3_stmt *statement, int index, int64_t value);

struct text db_column_text(sqlite3_stmt *statement, int column); /* NULL: absent; blobs too */
int64_t db_column_time(sqlite3_stmt *statement, int column);     /* NULL: EXPIRY_NEVER */

/* Runs a statement that gives no rows; 0 or BURSAR_E_STORE_UNAVAILABLE. It is reset. */
int db_run(struct db *db, sqlite3_stmt *statement);
int db_exec(struct db *db, const char *sql);

/* Writes the failure to the log, once in a while; always BURSAR_E_STORE_UNAVAILABLE. */
int db_failed(struct db *db, const char *what);

#endif
