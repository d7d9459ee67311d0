/* Blobs whose data keys were wrapped anew: each row as it was read, or not at all. */
#include "store/sqlite/apply.h"

static int set_row(struct store_writer *writer, const struct sealed_change *row)
{
    static const enum apply_statement statements[SEALED_END] = {
        [SEALED_CONNECTION] = SEALED_SET_CONNECTION,
        [SEALED_INTENT] = SEALED_SET_INTENT,
        [SEALED_CONSENT] = SEALED_SET_CONSENT};
    sqlite3_stmt *statement = db_statement(&writer->db, statements[row->table]);
    int next = 1;
    if (row->table == SEALED_CONSENT)
        db_bind_blob(statement, next++, row->id);
    else
        db_bind_text(statement, next++, row->id);
    if (row->table == SEALED_INTENT)
        db_bind_int(statement, next++, (int64_t)row->generation);
    for (size_t i = 0; i < (row->table == SEALED_CONNECTION ? SEALED_BLOBS : 1u); i++) {
        db_bind_blob(statement, next++, row->before[i]);
        db_bind_blob(statement, next++, row->after[i]);
    }
    return db_run(&writer->db, statement);
}

int apply_sealed(struct store_writer *writer, struct store_change *change)
{
    writer->audit.is_changed = writer->audit.keyring != NULL; /* its seal too is made anew */
    struct sealed_batch *batch = change->sealed_batch;
    int result = 0;
    batch->lost = 0;
    for (size_t i = 0; i < batch->count && result == 0; i++) {
        result = set_row(writer, &batch->rows[i]);
        batch->lost += result == 0 && sqlite3_changes(writer->db.handle) == 0;
    }
    return result;
}

int apply_shred(struct store_writer *writer, struct store_change *change)
{
    int result = apply_failed(writer, change);
    if (result < 0)
        return result;
    sqlite3_stmt *statement = db_statement(&writer->db, SEALED_DROP);
    db_bind_text(statement, 1, change->connection);
    change->generation++;
    return db_run(&writer->db, statement);
}
