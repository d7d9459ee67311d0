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

/* One statement looks and takes: of two that come at once one finds it. */
int apply_consented(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, CONSENT_TAKE);
    db_bind_blob(statement, 1, change->consent);
    db_bind_text(statement, 2, change->provider);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW ? 0 : BURSAR_E_NOT_FOUND;
    if (code == SQLITE_ROW) {
        if (sqlite3_column_int64(statement, 1) <= change->at_ms / 1000)
            result = BURSAR_E_NOT_FOUND;
        buf_clear(change->taken);
        buf_append_text(change->taken, db_column_text(statement, 0));
        code = sqlite3_step(statement);
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? result : db_failed(&writer->db, "consent");
}
