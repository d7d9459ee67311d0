/* Reading sweeps, their parts and receipts, and what a selection comes to. */
#include <bursar/error.h>

#include "store/sqlite/reader.h"
#include "store/sqlite/reader_parts.h"

static uint64_t column_count(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

static struct sweep_row read_sweep(sqlite3_stmt *statement)
{
    return (struct sweep_row){
        .id = db_column_text(statement, 0),
        .action = (enum sweep_action)sqlite3_column_int(statement, 1),
        .at_provider = sqlite3_column_int(statement, 2) != 0,
        .selection = {.owner = db_column_text(statement, 3),
                      .provider = db_column_text(statement, 4),
                      .tag = db_column_text(statement, 5),
                      .client = db_column_text(statement, 6),
                      .principal = db_column_text(statement, 15),
                      .vended_since = sqlite3_column_int64(statement, 16)},
        .rate_per_s = (uint32_t)sqlite3_column_int64(statement, 7),
        .begun_at = sqlite3_column_int64(statement, 8),
        .ended_at = sqlite3_column_int64(statement, 9),
        .is_cancelled = sqlite3_column_int(statement, 10) != 0,
        .count = column_count(statement, 11),
        .done = column_count(statement, 12),
        .changed = column_count(statement, 13),
        .asking = column_count(statement, 14),
    };
}

/* How a walk through a statement's rows ended. */
static int ended(struct store_reader *reader, sqlite3_stmt *statement, int code, const char *what)
{
    int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&reader->db, what);
    sqlite3_reset(statement);
    return result;
}

int reader_sweeps(struct store_reader *reader, struct text before, size_t limit,
                  store_sweep_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, SWEEPS);
    int code;
    db_bind_text(statement, 1, before);
    db_bind_int(statement, 2, (int64_t)limit);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct sweep_row row = read_sweep(statement);
        if (!each(context, &row))
            break;
    }
    return ended(reader, statement, code, "sweeps");
}

int reader_sweep(struct store_reader *reader, struct text sweep, store_sweep_fn *each,
                 void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, SWEEP);
    db_bind_text(statement, 1, sweep);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct sweep_row row = read_sweep(statement);
        each(context, &row);
    }
    int result = ended(reader, statement, code, "sweep");
    return result == 0 && code == SQLITE_DONE ? BURSAR_E_NOT_FOUND : result;
}

int reader_sweep_parts(struct store_reader *reader, store_part_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, SWEEP_PARTS);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct sweep_part_row row = {
            .sweep = db_column_text(statement, 0),
            .provider = db_column_text(statement, 1),
            .owner = db_column_text(statement, 2),
            .tag = db_column_text(statement, 3),
            .action = (enum sweep_action)sqlite3_column_int(statement, 4),
            .at_provider = sqlite3_column_int(statement, 5) != 0,
            .rate_per_s = (uint32_t)sqlite3_column_int64(statement, 6),
            .after_owner = db_column_text(statement, 7),
            .after_account = db_column_text(statement, 8),
            .is_walked = sqlite3_column_int(statement, 9) != 0,
            .principal = db_column_text(statement, 10),
            .vended_since = sqlite3_column_int64(statement, 11),
        };
        if (row.action == 0 || row.action >= SWEEP_ACTION_END)
            continue; /* of no version that this program knows: left alone */
        if (!each(context, &row))
            break;
    }
    return ended(reader, statement, code, "sweep parts");
}

static int each_receipt(struct store_reader *reader, sqlite3_stmt *statement,
                        store_receipt_fn *each, void *context)
{
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct sweep_receipt row = {
            .connection = db_column_text(statement, 0),
            .owner = db_column_text(statement, 1),
            .provider = db_column_text(statement, 2),
            .account = db_column_text(statement, 3),
            .from = (enum conn_state)sqlite3_column_int(statement, 4),
            .to = (enum conn_state)sqlite3_column_int(statement, 5),
            .at_ms = sqlite3_column_int64(statement, 6),
            .is_asking = sqlite3_column_int(statement, 7) != 0,
            .at_provider = db_column_text(statement, 8),
        };
        if (!each(context, &row))
            break;
    }
    return ended(reader, statement, code, "receipts");
}

int reader_receipts(struct store_reader *reader, struct text sweep, struct text after, size_t limit,
                    store_receipt_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, RECEIPTS);
    db_bind_text(statement, 1, sweep);
    db_bind_text(statement, 2, after.data ? after : TEXT_LITERAL(""));
    db_bind_int(statement, 3, (int64_t)limit);
    return each_receipt(reader, statement, each, context);
}

int reader_asking(struct store_reader *reader, struct text sweep, struct text provider,
                  struct text after, size_t limit, store_receipt_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, ASKING);
    db_bind_text(statement, 1, sweep);
    db_bind_text(statement, 2, provider);
    db_bind_text(statement, 3, after.data ? after : TEXT_LITERAL(""));
    db_bind_int(statement, 4, (int64_t)limit);
    return each_receipt(reader, statement, each, context);
}

static int each_tally(struct store_reader *reader, sqlite3_stmt *statement, store_tally_fn *each,
                      void *context)
{
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int state = sqlite3_column_int(statement, 1);
        if (state < 0 || state >= CONN_STATE_END)
            continue;
        if (!each(context, db_column_text(statement, 0), (enum conn_state)state,
                  db_column_text(statement, 2)))
            break;
    }
    return ended(reader, statement, code, "tally");
}

int reader_tally(struct store_reader *reader, struct text owner, struct text provider,
                 store_tally_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, owner.data ? TALLY_OF_OWNER : TALLY);
    db_bind_text(statement, 1, owner);
    db_bind_text(statement, 2, provider);
    return each_tally(reader, statement, each, context);
}

int reader_tally_given(struct store_reader *reader, const struct sweep_selection *selection,
                       store_tally_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, TALLY_GIVEN);
    db_bind_text(statement, 1, selection->owner);
    db_bind_text(statement, 2, selection->provider);
    db_bind_text(statement, 3, selection->principal);
    db_bind_int(statement, 4, selection->vended_since * 1000);
    return each_tally(reader, statement, each, context);
}

int reader_paused(struct store_reader *reader, struct text provider, int64_t *out_since)
{
    sqlite3_stmt *statement = db_statement(&reader->db, PAUSED);
    db_bind_text(statement, 1, provider);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        *out_since = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    return ended(reader, statement, code, "paused");
}

int reader_principals(struct store_reader *reader, store_principal_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, PRINCIPALS);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!each(context, db_column_text(statement, 0), db_column_text(statement, 1)))
            break;
    }
    return ended(reader, statement, code, "principals");
}
