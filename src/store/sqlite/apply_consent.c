/* Consents that are under way: put down once, taken once. */
#include <bursar/error.h>

#include "store/sqlite/apply.h"

int apply_consent(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, CONSENT_TRIM);
    db_bind_int(statement, 1, change->at_ms / 1000);
    int result = db_run(&writer->db, statement);
    if (result < 0)
        return result;
    statement = db_statement(&writer->db, CONSENT_ADD);
    db_bind_blob(statement, 1, change->consent);
    db_bind_text(statement, 2, change->provider);
    db_bind_int(statement, 3, change->is_device);
    db_bind_int(statement, 4, change->consent_expires_at);
    db_bind_blob(statement, 5, change->sealed);
    return db_run(&writer->db, statement);
}

/* The row whose consent was refused: whoever looks at its record finds out. */
static int note_refusal(struct store_writer *writer, const struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, CONSENT_REFUSED);
    db_bind_text(statement, 1, change->connection);
    db_bind_text(statement, 2, change->error);
    db_bind_int(statement, 3, change->at_ms / 1000);
    db_bind_int(statement, 4, VERDICT_GRANT);
    return db_run(&writer->db, statement);
}

/* One statement looks and takes: of two that come at once one finds it. */
static int take(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, CONSENT_TAKE);
    db_bind_blob(statement, 1, change->consent);
    db_bind_text(statement, 2, change->provider);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW ? 0 : BURSAR_E_NOT_FOUND;
    if (code == SQLITE_ROW) {
        if (sqlite3_column_int64(statement, 1) <= change->at_ms / 1000)
            result = BURSAR_E_NOT_FOUND;
        if (change->taken) {
            buf_clear(change->taken);
            buf_append_text(change->taken, db_column_text(statement, 0));
        }
        code = sqlite3_step(statement);
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? result : db_failed(&writer->db, "consent");
}

int apply_consented(struct store_writer *writer, struct store_change *change)
{
    int result = take(writer, change);
    return result == 0 && change->error.data ? note_refusal(writer, change) : result;
}

static int look(struct store_writer *writer, const struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, CONSENT_LOOK);
    db_bind_blob(statement, 1, change->consent);
    db_bind_text(statement, 2, change->provider);
    int code = sqlite3_step(statement);
    bool is_there = code == SQLITE_ROW && sqlite3_column_int64(statement, 0) > change->at_ms / 1000;
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_failed(&writer->db, "consent");
    return is_there ? 0 : BURSAR_E_NOT_FOUND;
}

/* Looked for first and taken last: a put that is refused leaves nothing half done. */
int apply_put_consented(struct store_writer *writer, struct store_change *change)
{
    int result = change->consent.data ? look(writer, change) : 0;
    if (result == 0)
        result = apply_put(writer, change);
    return result == 0 && change->consent.data ? take(writer, change) : result;
}
