#include "store/sqlite/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/log.h"
#include "policy/expiry.h"
#include "store/sqlite/schema.h"

enum { BUSY_MS = 5000 };

static int fail(struct db *db, const char *path, struct buf *error)
{
    buf_printf(error, "%s: %s", path, db->handle ? sqlite3_errmsg(db->handle) : "cannot be opened");
    return BURSAR_E_STORE_UNAVAILABLE;
}

int db_exec(struct db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_failed(db, sql);
}

/* A new file takes its page size when the first table is made; nothing is written here, so that a
 * file of another program stays as it was. */
static int bring_up_to_date(struct db *db, const char *path, struct buf *error)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA page_size = %d", DB_PAGE_BYTES);
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, path, error);
    buf_printf(error, "%s: ", path);
    int result = schema_migrate(db->handle, error);
    if (result == 0)
        buf_clear(error);
    return result;
}

static int set_up(struct db *db, bool is_writer)
{
    return db_exec(db, is_writer ? DB_WRITER_PRAGMAS
                                 : "PRAGMA query_only = ON; PRAGMA cache_size = -4096;"
                                   "PRAGMA temp_store = MEMORY");
}

static int prepare(struct db *db, size_t index)
{
    return sqlite3_prepare_v3(db->handle, db->texts[index], -1, SQLITE_PREPARE_PERSISTENT,
                              &db->statements[index], NULL) == SQLITE_OK
               ? 0
               : db_failed(db, db->texts[index]);
}

/* The writer's are all there before anything is promised. A reader has sixty, eight kilobytes each and a
 * tenth of a millisecond, and each of five hundred workers is one. */
static int make_statements(struct db *db, bool is_writer)
{
    int result = 0;
    while (db->texts[db->statement_count])
        db->statement_count++;
    db->statements = calloc(db->statement_count + 1, sizeof *db->statements);
    if (!db->statements)
        return BURSAR_E_NOMEM;
    for (size_t i = 0; i < db->statement_count && is_writer && result == 0; i++)
        result = prepare(db, i);
    return result;
}

/* A new file is its owner's alone, whatever the umask says. */
static int make_private(const char *path, struct buf *error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        buf_printf(error, "%s: cannot be opened: %s", path, strerror(errno));
        return BURSAR_E_STORE_UNAVAILABLE;
    }
    close(fd);
    return 0;
}

int db_open(struct db *db, const char *path, bool is_writer, const char *const *texts,
            struct buf *error)
{
    *db = (struct db){.texts = texts};
    int result = is_writer ? make_private(path, error) : 0;
    if (result < 0)
        return result;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK)
        result = fail(db, path, error);
    else
        sqlite3_busy_timeout(db->handle, BUSY_MS);
    if (result == 0 && is_writer)
        result = bring_up_to_date(db, path, error);
    if (result == 0 &&
        ((result = set_up(db, is_writer)) < 0 || (result = make_statements(db, is_writer)) < 0))
        fail(db, path, error);
    if (result < 0)
        db_close(db);
    return result;
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < db->statement_count && db->statements; i++)
        sqlite3_finalize(db->statements[i]);
    free(db->statements);
    sqlite3_close(db->handle);
    *db = (struct db){0};
}

sqlite3_stmt *db_statement(struct db *db, size_t index)
{
    if (!db->statements[index] && prepare(db, index) < 0)
        return NULL;
    sqlite3_stmt *statement = db->statements[index];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

void db_bind_text(sqlite3_stmt *statement, int index, struct text text)
{
    if (text.data)
        sqlite3_bind_text(statement, index, text.data, (int)text.len, SQLITE_STATIC);
}

void db_bind_blob(sqlite3_stmt *statement, int index, struct text bytes)
{
    if (bytes.data)
        sqlite3_bind_blob(statement, index, bytes.data, (int)bytes.len, SQLITE_STATIC);
}

void db_bind_time(sqlite3_stmt *statement, int index, int64_t time)
{
    if (time != EXPIRY_NEVER)
        sqlite3_bind_int64(statement, index, time);
}

void db_bind_int(sqlite3_stmt *statement, int index, int64_t value)
{
    sqlite3_bind_int64(statement, index, value);
}

struct text db_column_text(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return (struct text){NULL, 0};
    const void *data = sqlite3_column_blob(statement, column);
    size_t len = (size_t)sqlite3_column_bytes(statement, column);
    return (struct text){data ? data : "", len}; /* an empty blob comes as NULL */
}

int64_t db_column_time(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return EXPIRY_NEVER;
    return sqlite3_column_int64(statement, column);
}

int db_run(struct db *db, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : db_failed(db, "write");
}

int db_failed(struct db *db, const char *what)
{
    LOG(LOG_WARNING, "store failed", LOG_S("at", what),
        LOG_I("code", sqlite3_extended_errcode(db->handle)),
        LOG_S("error", sqlite3_errmsg(db->handle)));
    return BURSAR_E_STORE_UNAVAILABLE;
}
