/* Reading sealed blobs wherever they are. */
#include <string.h>

#include <bursar/error.h>

#include "store/sqlite/reader.h"
#include "store/sqlite/reader_parts.h"

/* Columns: place, id, owner, generation, state, and from here on the blobs. */
enum { AT_BLOBS = 5 };

static struct sealed_row read_row(sqlite3_stmt *statement, enum sealed_table table)
{
    struct sealed_row row = {.table = table,
                             .id = db_column_text(statement, 1),
                             .owner = db_column_text(statement, 2),
                             .generation = (uint64_t)sqlite3_column_int64(statement, 3),
                             .state = (enum conn_state)sqlite3_column_int(statement, 4)};
    int count = table == SEALED_CONNECTION ? SEALED_BLOBS : 1;
    for (int i = 0; i < count; i++)
        row.blobs[i] = db_column_text(statement, AT_BLOBS + i);
    return row;
}

static void advance(struct sealed_cursor *cursor, const struct sealed_row *row, int64_t rowid)
{
    cursor->rowid = rowid;
    if (row->table == SEALED_CONSENT && row->id.len <= sizeof cursor->digest) {
        memcpy(cursor->digest, row->id.data, row->id.len);
        cursor->digest_len = row->id.len;
    }
}

static sqlite3_stmt *statement_of(struct store_reader *reader, struct text owner,
                                  const struct sealed_cursor *cursor, size_t limit)
{
    static const enum statement of_all[SEALED_END] = {SEALED_CONNECTIONS, SEALED_INTENTS,
                                                      SEALED_CONSENTS};
    bool is_of_owner = cursor->table == SEALED_CONNECTION && owner.data;
    sqlite3_stmt *statement =
        db_statement(&reader->db, is_of_owner ? SEALED_OF_OWNER : of_all[cursor->table]);
    if (cursor->table == SEALED_CONSENT)
        db_bind_blob(statement, 1, (struct text){(const char *)cursor->digest, cursor->digest_len});
    else
        db_bind_int(statement, 1, cursor->rowid);
    db_bind_int(statement, 2, (int64_t)limit);
    if (cursor->table == SEALED_INTENT || is_of_owner)
        db_bind_text(statement, 3, owner);
    return statement;
}

int reader_sealed(struct store_reader *reader, struct text owner, struct sealed_cursor *cursor,
                  size_t limit, store_sealed_fn *each, void *context)
{
    sqlite3_stmt *statement = statement_of(reader, owner, cursor, limit);
    size_t count = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct sealed_row row = read_row(statement, cursor->table);
        count++;
        advance(cursor, &row, sqlite3_column_int64(statement, 0));
        each(context, &row);
    }
    int result = code == SQLITE_DONE ? 0 : db_failed(&reader->db, "sealed");
    sqlite3_reset(statement);
    if (result == 0 && count < limit) {
        bool is_last = cursor->table == SEALED_INTENT && owner.data; /* a consent is nobody's */
        *cursor = (struct sealed_cursor){.table = is_last ? SEALED_END
                                                          : (enum sealed_table)(cursor->table + 1)};
    }
    return result;
}

int reader_sealed_count(struct store_reader *reader, uint64_t *out_count)
{
    sqlite3_stmt *statement = db_statement(&reader->db, SEALED_COUNT);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out_count = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code == SQLITE_ROW ? 0 : db_failed(&reader->db, "sealed count");
}
