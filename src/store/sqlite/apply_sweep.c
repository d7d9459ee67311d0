/* Sweeps: begun, carried on by one batch, answered for one receipt, ended; and providers that are
 * paused. */
#include <bursar/error.h>

#include "store/sqlite/apply.h"

/* Ends the part where nothing is left of it, and with the last part the sweep. */
static int end_part(struct store_writer *writer, struct store_change *change)
{
    struct sweep_change *sweep = change->sweep;
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_PART_END);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, change->provider);
    db_bind_int(statement, 3, change->at_ms / 1000);
    int result = db_run(&writer->db, statement);
    sweep->has_ended = result == 0 && sqlite3_changes(writer->db.handle) > 0;
    if (result < 0 || !sweep->has_ended)
        return result;
    statement = db_statement(&writer->db, SWEEP_END);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_int(statement, 2, change->at_ms / 1000);
    return db_run(&writer->db, statement);
}

static int add_part(struct store_writer *writer, const struct sweep_change *sweep,
                    const struct sweep_share *share)
{
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_PART_ADD);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, share->provider);
    db_bind_int(statement, 3, (int64_t)share->count);
    return db_run(&writer->db, statement);
}

static int count_active(struct store_writer *writer, int64_t *out_count)
{
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_COUNT);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out_count = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code == SQLITE_ROW ? 0 : db_failed(&writer->db, "count sweeps");
}

/* One that selects nothing has ended when it begins. */
int apply_sweep(struct store_writer *writer, struct store_change *change)
{
    const struct sweep_change *sweep = change->sweep;
    int64_t now = change->at_ms / 1000, active = 0;
    int result = count_active(writer, &active);
    if (result == 0 && active >= SWEEPS_ACTIVE_MAX)
        return BURSAR_E_OVERLOADED;
    if (result < 0)
        return result;
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_ADD);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_int(statement, 2, sweep->action);
    db_bind_int(statement, 3, sweep->at_provider);
    db_bind_text(statement, 4, sweep->selection.owner);
    db_bind_text(statement, 5, sweep->selection.provider);
    db_bind_text(statement, 6, sweep->selection.tag);
    db_bind_text(statement, 7, sweep->selection.client);
    db_bind_int(statement, 8, sweep->rate_per_s);
    db_bind_int(statement, 9, now);
    if (sweep->share_count == 0)
        db_bind_int(statement, 10, now);
    db_bind_text(statement, 11, sweep->selection.principal);
    if (sweep->selection.principal.data)
        db_bind_int(statement, 12, sweep->selection.vended_since);
    result = db_run(&writer->db, statement);
    for (size_t i = 0; i < sweep->share_count && result == 0; i++)
        result = add_part(writer, sweep, &sweep->shares[i]);
    return result;
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* What the batch adds to the part's figures. */
struct tally {
    int64_t done, changed, asking;
};

/* Whether a row is held for a hand-over. Whoever thaws many does not mean those: they are let go one by one, when
 * the system that had them before has stopped. */
static int find_hold(struct store_writer *writer, struct text connection, bool *out_is_held)
{
    sqlite3_stmt *statement = db_statement(&writer->db, HELD_FIND);
    db_bind_text(statement, 1, connection);
    int code = sqlite3_step(statement);
    *out_is_held = code == SQLITE_ROW;
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&writer->db, "find a hold");
}

/* The receipt first, with the state that the row has; then the move; then what came of it. A row that
 * was deleted since the batch was made has neither. */
static int move_one(struct store_writer *writer, const struct store_change *change,
                    struct text connection, struct tally *tally)
{
    static const enum conn_move moves[SWEEP_ACTION_END] = {
        [SWEEP_FREEZE] = MOVE_FREEZE, [SWEEP_THAW] = MOVE_THAW, [SWEEP_REVOKE] = MOVE_REVOKE};
    const struct sweep_change *sweep = change->sweep;
    sqlite3_stmt *statement = db_statement(&writer->db, RECEIPT_ADD);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, connection);
    db_bind_int(statement, 3, change->at_ms);
    db_bind_int(statement, 4, sweep->at_provider);
    int result = db_run(&writer->db, statement);
    if (result < 0 || sqlite3_changes(writer->db.handle) == 0)
        return result;
    tally->done++;
    tally->asking += sweep->at_provider;
    bool is_held = false;
    if (sweep->action == SWEEP_THAW)
        result = find_hold(writer, connection, &is_held);
    if (result < 0 || is_held)
        return result;
    struct store_change move = {.type = CHANGE_MOVE,
                                .at_ms = change->at_ms,
                                .connection = connection,
                                .move = moves[sweep->action],
                                .origin = &(struct audit_origin){.detail = sweep->sweep},
                                .remind_at = change->remind_at};
    result = apply_move(writer, &move);
    if (result == BURSAR_E_STORE_UNAVAILABLE)
        return result;
    if (move.event_seq == 0)
        return 0;
    tally->changed++;
    statement = db_statement(&writer->db, RECEIPT_MOVED);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, connection);
    db_bind_int(statement, 3, move.state);
    result = db_run(&writer->db, statement);
    return result == 0 ? apply_audit_change(writer, &move) : result;
}

/* BURSAR_E_CONFLICT, with nothing changed, where the walk stands elsewhere or the part has ended. */
static int advance(struct store_writer *writer, const struct store_change *change)
{
    const struct sweep_change *sweep = change->sweep;
    bool is_moving = sweep->to_owner.data != NULL;
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_PART_ADVANCE);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, change->provider);
    db_bind_text(statement, 3, sweep->after_owner);
    db_bind_text(statement, 4, sweep->after_account);
    db_bind_text(statement, 5, is_moving ? sweep->to_owner : sweep->after_owner);
    db_bind_text(statement, 6, is_moving ? sweep->to_account : sweep->after_account);
    db_bind_int(statement, 7, sweep->is_last);
    int result = db_run(&writer->db, statement);
    if (result == 0 && sqlite3_changes(writer->db.handle) == 0)
        return BURSAR_E_CONFLICT;
    return result;
}

int apply_sweep_step(struct store_writer *writer, struct store_change *change)
{
    struct sweep_change *sweep = change->sweep;
    struct tally tally = {0};
    int result = advance(writer, change);
    for (size_t i = 0; i < sweep->connection_count && result == 0; i++)
        result = move_one(writer, change, sweep->connections[i], &tally);
    if (result < 0)
        return result;
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_PART_TALLY);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, change->provider);
    db_bind_int(statement, 3, tally.done);
    db_bind_int(statement, 4, tally.changed);
    db_bind_int(statement, 5, tally.asking);
    result = db_run(&writer->db, statement);
    change->generation = (uint64_t)tally.done;
    return result == 0 ? end_part(writer, change) : result;
}

/* ---- what a provider said -------------------------------------------------------------------- */

int apply_receipt(struct store_writer *writer, struct store_change *change)
{
    const struct sweep_change *sweep = change->sweep;
    sqlite3_stmt *statement = db_statement(&writer->db, RECEIPT_SAID);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, change->connection);
    db_bind_text(statement, 3, sweep->says);
    int result = db_run(&writer->db, statement);
    if (result == 0 && sqlite3_changes(writer->db.handle) == 0)
        return BURSAR_E_CONFLICT;
    if (result < 0)
        return result;
    statement = db_statement(&writer->db, SWEEP_PART_TALLY);
    db_bind_text(statement, 1, sweep->sweep);
    db_bind_text(statement, 2, change->provider);
    db_bind_int(statement, 3, 0);
    db_bind_int(statement, 4, 0);
    db_bind_int(statement, 5, -1);
    result = db_run(&writer->db, statement);
    return result == 0 ? end_part(writer, change) : result;
}

/* ---- the end by an operator ------------------------------------------------------------------ */

static bool is_there(struct store_writer *writer, struct text sweep)
{
    sqlite3_stmt *statement = db_statement(&writer->db, SWEEP_FIND);
    db_bind_text(statement, 1, sweep);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_reset(statement);
    return found;
}

/* What was done stays done. BURSAR_E_CONFLICT where it had ended already. */
int apply_sweep_cancel(struct store_writer *writer, struct store_change *change)
{
    static const int statements[] = {SWEEP_CANCEL, SWEEP_CANCEL_PARTS};
    if (!is_there(writer, change->sweep->sweep))
        return BURSAR_E_NOT_FOUND;
    for (size_t i = 0; i < 2; i++) {
        sqlite3_stmt *statement = db_statement(&writer->db, (size_t)statements[i]);
        db_bind_text(statement, 1, change->sweep->sweep);
        db_bind_int(statement, 2, change->at_ms / 1000);
        int result = db_run(&writer->db, statement);
        if (result < 0)
            return result;
        if (sqlite3_changes(writer->db.handle) == 0 && i == 0)
            return BURSAR_E_CONFLICT;
    }
    return 0;
}

/* ---- old ones --------------------------------------------------------------------------------- */

int apply_sweep_trim(struct store_writer *writer, int64_t before, uint64_t *out_count)
{
    sqlite3_stmt *statement = db_statement(&writer->db, RECEIPT_TRIM);
    db_bind_int(statement, 1, before);
    db_bind_int(statement, 2, STORE_TRIM_ROWS);
    int result = db_run(&writer->db, statement);
    if (result < 0)
        return result;
    *out_count = (uint64_t)sqlite3_changes(writer->db.handle);
    statement = db_statement(&writer->db, SWEEP_TRIM);
    db_bind_int(statement, 1, before);
    result = db_run(&writer->db, statement);
    return result == 0 ? db_run(&writer->db, db_statement(&writer->db, SWEEP_TRIM_PARTS)) : result;
}

/* ---- a provider's pause ---------------------------------------------------------------------- */

int apply_pause(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, change->is_begin ? PAUSE_ADD : PAUSE_DROP);
    db_bind_text(statement, 1, change->provider);
    if (change->is_begin)
        db_bind_int(statement, 2, change->at_ms / 1000);
    return db_run(&writer->db, statement);
}

/* ---- a principal ----------------------------------------------------------------------------- */

int apply_principal(struct store_writer *writer, struct store_change *change)
{
    enum apply_statement which = !change->definition.data ? PRINCIPAL_DROP
                                 : change->is_new         ? PRINCIPAL_ADD
                                                          : PRINCIPAL_SET;
    sqlite3_stmt *statement = db_statement(&writer->db, which);
    db_bind_text(statement, 1, change->principal);
    if (which != PRINCIPAL_DROP) {
        db_bind_blob(statement, 2, change->definition);
        db_bind_int(statement, 3, change->at_ms / 1000);
    }
    int result = db_run(&writer->db, statement);
    if (result < 0 || sqlite3_changes(writer->db.handle) > 0)
        return result;
    return which == PRINCIPAL_ADD ? BURSAR_E_CONFLICT : BURSAR_E_NOT_FOUND;
}
