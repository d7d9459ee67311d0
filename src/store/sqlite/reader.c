#include "store/sqlite/reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/id.h"
#include "base/log.h"
#include "policy/expiry.h"
#include "store/sqlite/reader_parts.h"

/* Every column of struct conn_row, in the order of read_row(). */
#define ROW                                                                                    \
    "id, owner, provider, account, last_error, reason, kind, scopes, metadata, tags, secret, " \
    "\"grant\", state, prior_state, generation, invalid_generation, issued_at, expires_at, "   \
    "due_at, next_refresh_at, refresh_expires_at, created_at, updated_at, last_refresh_at, "   \
    "last_outcome, failures, is_probed, can_refresh, lost_at, suspect, rowid "

/* A sweep with what its parts come to. */
#define SWEEP_ROW                                                                           \
    "SELECT id, action, at_provider, sweep.owner, sweep.provider, tag, client, rate_per_s," \
    " begun_at, coalesce(sweep.ended_at, 0), is_cancelled, coalesce(sum(part.count), 0),"   \
    " coalesce(sum(done), 0), coalesce(sum(changed), 0), coalesce(sum(asking), 0),"         \
    " principal, coalesce(vended_since, 0)"                                                 \
    " FROM sweep LEFT JOIN sweep_part AS part ON part.sweep = id "
#define RECEIPT_ROW                                                                        \
    "SELECT connection, owner, provider, account, from_state, to_state, at_ms, is_asking," \
    " at_provider FROM receipt "

/* A row of the audit log, in the order of read_audit_row(). */
#define AUDIT_COLUMNS                                                                     \
    "seq, at_ms, last_ms, count, kind, generation, principal, peer, op, purpose, owner, " \
    "connection, provider, account, outcome, detail, link "
#define GIVEN_COLUMNS                                                                 \
    "SELECT principal, owner, connection, provider, account, generation, min(at_ms)," \
    " max(last_ms), sum(count), max(kind) FROM audit WHERE kind IN (1, 2) "

static const char *const texts[] = {
    [FIND_BY_ID] = "SELECT " ROW "FROM connection WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)",
    [FIND_BY_KEY] =
        "SELECT " ROW "FROM connection WHERE owner = ?1 AND provider = ?2 AND account = ?3",
    [DUE] = "SELECT c.id FROM (SELECT rowid AS at, next_refresh_at AS due, row_number() OVER"
            "  (PARTITION BY owner ORDER BY next_refresh_at) AS rank FROM connection"
            "  WHERE provider = ?1 AND next_refresh_at <= ?2 ORDER BY rank, due LIMIT ?3) AS d"
            " JOIN connection AS c ON c.rowid = d.at ORDER BY d.rank, d.due",
    [DUE_COUNT] = "SELECT count(*) FROM connection WHERE provider = ?1 AND next_refresh_at <= ?2",
    [END_COUNT] = "SELECT count(*) FROM connection"
                  " WHERE provider = ?1 AND state = 2 AND refresh_expires_at <= ?2",
    [INCIDENTS] = "SELECT kind FROM incident WHERE provider = ?1",
    [NEXT_DUE] = "SELECT min(next_refresh_at) FROM connection"
                 " WHERE provider = ?1 AND next_refresh_at > ?2",
    [REMIND] = "SELECT " ROW "FROM connection WHERE provider = ?1 AND remind_at <= ?2"
               " ORDER BY remind_at LIMIT ?3",
    [NEXT_REMIND] = "SELECT min(remind_at) FROM connection"
                    " WHERE provider = ?1 AND remind_at > ?2",
    [LIST] = "SELECT " ROW "FROM connection"
             " WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR provider = ?2)"
             " AND (?3 = 0 OR state = ?3) AND (owner, provider, account) > (?4, ?5, ?6)"
             " ORDER BY owner, provider, account LIMIT ?7",
    /* Only the owner's part of the index is read, however many others there are. */
    [LIST_OF_OWNER] = "SELECT " ROW "FROM connection"
                      " WHERE owner = ?1 AND (?2 IS NULL OR provider = ?2)"
                      " AND (?3 = 0 OR state = ?3) AND (provider, account) > (?5, ?6)"
                      " ORDER BY provider, account LIMIT ?7",
    [INTENTS] =
        "SELECT connection, generation, reply IS NOT NULL, at_ms FROM intent WHERE provider = ?1",
    [REPLY] = "SELECT reply FROM intent WHERE connection = ?1 AND generation = ?2",
    [EVENTS] = "SELECT seq, owner, body FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    [DEVICES] = "SELECT digest, sealed FROM consent"
                " WHERE provider = ?1 AND is_device AND expires_at > ?2",
    [CONSENT] = "SELECT sealed FROM consent WHERE digest = ?1 AND provider = ?2"
                " AND expires_at > ?3",
    [COUNTS] = "SELECT state, count FROM state_count",
    [LAST_SEQ] = "SELECT coalesce(max(seq), 0) FROM event",
    [LAST_AT] = "SELECT at_ms FROM event ORDER BY seq DESC LIMIT 1",
    [SWEEP] = SWEEP_ROW "WHERE id = ?1 GROUP BY id",
    [SWEEPS] = SWEEP_ROW "WHERE ?1 IS NULL OR id < ?1 GROUP BY id ORDER BY id DESC LIMIT ?2",
    [SWEEP_PARTS] = "SELECT part.sweep, part.provider, sweep.owner, tag, action, at_provider,"
                    " rate_per_s, after_owner, after_account, is_walked, principal,"
                    " coalesce(vended_since, 0)"
                    " FROM sweep_part AS part JOIN sweep ON id = part.sweep"
                    " WHERE part.ended_at IS NULL ORDER BY part.sweep, part.provider",
    [RECEIPTS] = RECEIPT_ROW "WHERE sweep = ?1 AND connection > ?2 ORDER BY connection LIMIT ?3",
    [ASKING] = RECEIPT_ROW "WHERE sweep = ?1 AND provider = ?2 AND is_asking AND connection > ?3"
                           " ORDER BY connection LIMIT ?4",
    [PRIOR] = "SELECT prior_secret FROM connection WHERE id = ?1 AND generation = ?2",
    [TALLY] = "SELECT provider, state, tags FROM connection WHERE ?2 IS NULL OR provider = ?2",
    [TALLY_OF_OWNER] = "SELECT provider, state, tags FROM connection"
                       " WHERE owner = ?1 AND (?2 IS NULL OR provider = ?2)",
    [PAUSED] = "SELECT since FROM pause WHERE provider = ?1",
    [PRINCIPALS] = "SELECT name, definition FROM principal ORDER BY name",
    [SEALED_CONNECTIONS] = "SELECT rowid, id, owner, generation, state, secret, \"grant\","
                           " prior_secret, prior_grant FROM connection"
                           " WHERE rowid > ?1 AND secret IS NOT NULL ORDER BY rowid LIMIT ?2",
    [SEALED_OF_OWNER] = "SELECT rowid, id, owner, generation, state, secret, \"grant\","
                        " prior_secret, prior_grant FROM connection WHERE owner = ?3"
                        " AND rowid > ?1 AND secret IS NOT NULL ORDER BY rowid LIMIT ?2",
    [SEALED_INTENTS] = "SELECT i.rowid, connection, owner, i.generation, coalesce(state, 0), reply"
                       " FROM intent AS i LEFT JOIN connection AS c ON c.id = i.connection"
                       " WHERE i.rowid > ?1 AND reply IS NOT NULL AND (?3 IS NULL OR owner = ?3)"
                       " ORDER BY i.rowid LIMIT ?2",
    [SEALED_CONSENTS] = "SELECT 0, digest, NULL, 0, 0, sealed FROM consent WHERE digest > ?1"
                        " ORDER BY digest LIMIT ?2",
    /* One that is PENDING has no secret yet. */
    [SEALED_COUNT] = "SELECT (SELECT sum(count) FROM state_count WHERE state <> 1)"
                     " + (SELECT count(*) FROM intent WHERE reply IS NOT NULL)"
                     " + (SELECT count(*) FROM consent)",
    [TALLY_GIVEN] = "SELECT provider, state, tags FROM connection WHERE id IN"
                    " (SELECT connection FROM audit WHERE kind IN (1, 2) AND principal = ?3"
                    "  AND last_ms >= ?4)"
                    " AND (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR provider = ?2)",
    [WAS_GIVEN] = "SELECT 1 FROM audit WHERE kind IN (1, 2) AND connection = ?1 AND principal = ?2"
                  " AND last_ms >= ?3 LIMIT 1",
    [AUDIT_ROWS] = "SELECT " AUDIT_COLUMNS "FROM audit WHERE seq > ?1 AND seq <= ?7"
                   " AND (?2 IS NULL OR principal = ?2) AND (?3 IS NULL OR owner = ?3)"
                   " AND (?4 IS NULL OR connection = ?4) AND last_ms >= ?5 ORDER BY seq LIMIT ?6",
    [GIVEN_OF] = GIVEN_COLUMNS "AND connection = ?1 AND last_ms >= ?2"
                               " AND (?3 IS NULL OR owner = ?3) AND (?4 IS NULL OR principal = ?4)"
                               " AND (?5 IS NULL OR (principal, generation) > (?5, ?6))"
                               " GROUP BY principal, generation ORDER BY principal, generation"
                               " LIMIT ?7",
    [GIVEN_TO] = GIVEN_COLUMNS "AND principal = ?4 AND last_ms >= ?2"
                               " AND (?3 IS NULL OR owner = ?3)"
                               " AND (?5 IS NULL OR (connection, generation) > (?5, ?6))"
                               " GROUP BY connection, generation ORDER BY connection, generation"
                               " LIMIT ?7",
    [AUDIT_ENDS] = "SELECT anchor_seq, anchor, seq, link, key_id, seal, journal_nr, journal"
                   " FROM audit_ends",
    [AUDIT_FIRST] = "SELECT at_ms FROM audit ORDER BY seq LIMIT 1",
    [AUDIT_ROLLBACKS] =
        "SELECT max(a.seq) FROM audit AS a JOIN connection AS c ON c.id = a.connection"
        " WHERE a.kind IN (1, 2, 3) AND a.outcome = 'ok'"
        " AND a.generation > c.generation GROUP BY c.id LIMIT ?1",
    [AUDIT_GONE] = "SELECT max(seq) FROM audit AS a WHERE kind = 3 AND outcome = 'ok'"
                   " AND connection IS NOT NULL"
                   " AND NOT EXISTS (SELECT 1 FROM connection AS c WHERE c.id = a.connection)"
                   " GROUP BY connection HAVING max(op = 'connection.delete') = 0 LIMIT ?1",
    [AUDIT_BACK] = "SELECT seq FROM audit AS a WHERE kind = 3 AND op = 'connection.delete'"
                   " AND outcome = 'ok'"
                   " AND EXISTS (SELECT 1 FROM connection AS c WHERE c.id = a.connection) LIMIT ?1",
    [AUDIT_LINK] = "SELECT link FROM audit WHERE seq = ?1",
    [HOLD] = "BEGIN",
    [LET_GO] = "COMMIT",
    [STATEMENT_COUNT] = NULL,
};

int reader_open(const char *path, struct store_reader **out_reader, struct buf *error)
{
    struct store_reader *reader = calloc(1, sizeof *reader);
    int result = reader ? db_open(&reader->db, path, false, texts, error) : BURSAR_E_NOMEM;
    if (result < 0)
        free(reader);
    else
        *out_reader = reader;
    return result;
}

void reader_close(struct store_reader *reader)
{
    if (!reader)
        return;
    db_close(&reader->db);
    free(reader);
}

void reader_hold(struct store_reader *reader)
{
    if (sqlite3_get_autocommit(reader->db.handle))
        db_run(&reader->db, db_statement(&reader->db, HOLD));
}

void reader_let_go(struct store_reader *reader)
{
    if (!sqlite3_get_autocommit(reader->db.handle)) /* an error may have ended it already */
        db_run(&reader->db, db_statement(&reader->db, LET_GO));
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const size_t text_columns[] = {
    offsetof(struct conn_row, id),         offsetof(struct conn_row, owner),
    offsetof(struct conn_row, provider),   offsetof(struct conn_row, account),
    offsetof(struct conn_row, last_error), offsetof(struct conn_row, reason),
    offsetof(struct conn_row, kind),       offsetof(struct conn_row, scopes),
    offsetof(struct conn_row, metadata),   offsetof(struct conn_row, tags),
    offsetof(struct conn_row, secret),     offsetof(struct conn_row, grant),
};
enum { TEXT_COLUMNS = sizeof text_columns / sizeof text_columns[0] };

/* Copies the texts of the current row into one block. */
static int read_texts(sqlite3_stmt *statement, struct conn_row *row)
{
    struct text columns[TEXT_COLUMNS];
    size_t total = 1;
    for (int i = 0; i < TEXT_COLUMNS; i++) {
        columns[i] = db_column_text(statement, i);
        total += columns[i].len + 1;
    }
    char *to = row->block = malloc(total);
    row->block_len = total;
    if (!to)
        return BURSAR_E_NOMEM;
    for (int i = 0; i < TEXT_COLUMNS; i++) {
        struct text *text = (struct text *)(void *)((char *)row + text_columns[i]);
        *text = (struct text){columns[i].data ? to : NULL, columns[i].len};
        if (!columns[i].data)
            continue;
        memcpy(to, columns[i].data, columns[i].len);
        to[columns[i].len] = 0;
        to += columns[i].len + 1;
    }
    return 0;
}

static int read_row(sqlite3_stmt *statement, struct conn_row *out_row)
{
    struct conn_row row = {0};
    int at = TEXT_COLUMNS;
    int result = read_texts(statement, &row);
    if (result < 0)
        return result;
    row.state = (enum conn_state)sqlite3_column_int(statement, at++);
    row.prior_state = (enum conn_state)sqlite3_column_int(statement, at++);
    row.generation = (uint64_t)sqlite3_column_int64(statement, at++);
    row.invalid_generation = (uint64_t)sqlite3_column_int64(statement, at++);
    row.issued_at = db_column_time(statement, at++);
    row.expires_at = db_column_time(statement, at++);
    row.due_at = db_column_time(statement, at++);
    row.next_refresh_at = db_column_time(statement, at++);
    row.refresh_expires_at = db_column_time(statement, at++);
    row.created_at = sqlite3_column_int64(statement, at++);
    row.updated_at = sqlite3_column_int64(statement, at++);
    row.last_refresh_at = sqlite3_column_int64(statement, at++);
    row.last_outcome = (enum verdict_class)sqlite3_column_int(statement, at++);
    row.failures = (unsigned)sqlite3_column_int(statement, at++);
    row.is_probed = sqlite3_column_int(statement, at++) != 0;
    row.can_refresh = sqlite3_column_int(statement, at++) != 0;
    row.lost_at = db_column_time(statement, at++);
    row.suspect = (enum spender_sign)sqlite3_column_int(statement, at++);
    row.place = sqlite3_column_int64(statement, at++);
    if (row.state >= CONN_STATE_END || row.prior_state >= CONN_STATE_END ||
        row.last_outcome >= VERDICT_END || row.suspect >= SPENDER_SIGN_END ||
        row.id.len >= ID_SIZE || row.owner.len > BURSAR_MAX_OWNER_BYTES ||
        row.provider.len > BURSAR_MAX_PROVIDER_BYTES + 1 ||
        row.account.len > BURSAR_MAX_ACCOUNT_BYTES) {
        LOG(LOG_ERROR, "a row that this program did not write is left alone");
        conn_row_free(&row);
        return BURSAR_E_INTERNAL;
    }
    *out_row = row;
    return 0;
}

/* Gives each row to the function and frees it. */
static int each_row(struct store_reader *reader, sqlite3_stmt *statement, store_row_fn *each,
                    void *context)
{
    int code, result = 0;
    while (result == 0 && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        struct conn_row row;
        result = code == SQLITE_ROW ? read_row(statement, &row) : db_failed(&reader->db, "read");
        if (result == BURSAR_E_INTERNAL) {
            result = 0; /* the others are none the worse for it */
            continue;
        }
        if (result < 0)
            break;
        bool goes_on = each(context, &row);
        conn_row_free(&row);
        if (!goes_on)
            break;
    }
    sqlite3_reset(statement);
    return result;
}

int reader_find(struct store_reader *reader, struct text owner, struct text connection,
                struct text provider, struct text account, struct conn_row *out_row)
{
    sqlite3_stmt *statement = db_statement(&reader->db, connection.data ? FIND_BY_ID : FIND_BY_KEY);
    if (connection.data) {
        db_bind_text(statement, 1, connection);
        db_bind_text(statement, 2, owner);
    } else {
        db_bind_text(statement, 1, owner);
        db_bind_text(statement, 2, provider);
        db_bind_text(statement, 3, account);
    }
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW    ? read_row(statement, out_row)
                 : code == SQLITE_DONE ? BURSAR_E_NOT_FOUND
                                       : db_failed(&reader->db, "find");
    sqlite3_reset(statement);
    return result;
}

static sqlite3_stmt *due_statement(struct store_reader *reader, size_t which, struct text provider,
                                   int64_t now, size_t limit)
{
    sqlite3_stmt *statement = db_statement(&reader->db, which);
    db_bind_text(statement, 1, provider);
    db_bind_int(statement, 2, now);
    db_bind_int(statement, 3, (int64_t)limit);
    return statement;
}

/* When the time of the next one comes that is not due yet. */
static int next_due(struct store_reader *reader, size_t which, struct text provider, int64_t now,
                    int64_t *out_next_at)
{
    int result = 0;
    sqlite3_stmt *statement = db_statement(&reader->db, which);
    db_bind_text(statement, 1, provider);
    db_bind_int(statement, 2, now);
    if (sqlite3_step(statement) == SQLITE_ROW)
        *out_next_at = db_column_time(statement, 0);
    else
        result = db_failed(&reader->db, "next due");
    sqlite3_reset(statement);
    return result;
}

int reader_due(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
               store_id_fn *each, void *context, int64_t *out_next_at)
{
    /* Mostly nothing is due: to find that out costs a tenth of putting nothing in order. */
    int result = next_due(reader, NEXT_DUE, provider, INT64_MIN, out_next_at);
    if (result < 0 || *out_next_at > now)
        return result;
    sqlite3_stmt *statement = due_statement(reader, DUE, provider, now, limit);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW &&
           each(context, db_column_text(statement, 0)))
        ;
    result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&reader->db, "due");
    sqlite3_reset(statement);
    return result < 0 ? result : next_due(reader, NEXT_DUE, provider, now, out_next_at);
}

int reader_remind(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
                  store_row_fn *each, void *context, int64_t *out_next_at)
{
    sqlite3_stmt *statement = due_statement(reader, REMIND, provider, now, limit);
    int result = each_row(reader, statement, each, context);
    return result < 0 ? result : next_due(reader, NEXT_REMIND, provider, now, out_next_at);
}

int reader_list(struct store_reader *reader, const struct store_list_filter *filter,
                store_row_fn *each, void *context)
{
    static const struct text empty = {"", 0};
    bool is_of_owner = filter->owner.data && (!filter->after_owner.data ||
                                              text_equal(filter->after_owner, filter->owner));
    sqlite3_stmt *statement = db_statement(&reader->db, is_of_owner ? LIST_OF_OWNER : LIST);
    db_bind_text(statement, 1, filter->owner);
    db_bind_text(statement, 2, filter->provider);
    db_bind_int(statement, 3, filter->state);
    db_bind_text(statement, 4, filter->after_owner.data ? filter->after_owner : empty);
    db_bind_text(statement, 5, filter->after_provider.data ? filter->after_provider : empty);
    db_bind_text(statement, 6, filter->after_account.data ? filter->after_account : empty);
    db_bind_int(statement, 7, filter->limit);
    return each_row(reader, statement, each, context);
}

/* ---- intents --------------------------------------------------------------------------------- */

static int add_intent(sqlite3_stmt *statement, struct intent_row **rows, size_t *count)
{
    if (*count % 16 == 0) {
        struct intent_row *more = realloc(*rows, (*count + 16) * sizeof **rows);
        if (!more)
            return BURSAR_E_NOMEM;
        *rows = more;
    }
    struct intent_row *row = &(*rows)[*count];
    struct text connection = db_column_text(statement, 0);
    if (connection.len >= sizeof row->connection)
        return BURSAR_E_STORE_UNAVAILABLE;
    *row = (struct intent_row){.generation = (uint64_t)sqlite3_column_int64(statement, 1),
                               .at_ms = sqlite3_column_int64(statement, 3),
                               .has_reply = sqlite3_column_int(statement, 2) != 0};
    memcpy(row->connection, connection.data, connection.len);
    (*count)++;
    return 0;
}

int reader_intents(struct store_reader *reader, struct text provider, struct intent_row **out_rows,
                   size_t *out_count)
{
    sqlite3_stmt *statement = db_statement(&reader->db, INTENTS);
    struct intent_row *rows = NULL;
    size_t count = 0;
    int code, result = 0;
    db_bind_text(statement, 1, provider);
    while (result == 0 && (code = sqlite3_step(statement)) != SQLITE_DONE)
        result = code == SQLITE_ROW ? add_intent(statement, &rows, &count)
                                    : db_failed(&reader->db, "intents");
    sqlite3_reset(statement);
    if (result < 0) {
        free(rows);
        return result;
    }
    *out_rows = rows;
    *out_count = count;
    return 0;
}

int reader_devices(struct store_reader *reader, struct text provider, int64_t now,
                   store_consent_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, DEVICES);
    int code;
    db_bind_text(statement, 1, provider);
    db_bind_int(statement, 2, now);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW &&
           each(context, db_column_text(statement, 0), db_column_text(statement, 1)))
        ;
    int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&reader->db, "devices");
    sqlite3_reset(statement);
    return result;
}

/* The one column of one row, which may be NULL. */
static int one_blob(struct store_reader *reader, sqlite3_stmt *statement, const char *what,
                    struct buf *out_sealed)
{
    int result = 0, code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        buf_append_text(out_sealed, db_column_text(statement, 0));
        result = buf_error(out_sealed);
    } else {
        result = code == SQLITE_ROW || code == SQLITE_DONE ? BURSAR_E_NOT_FOUND
                                                           : db_failed(&reader->db, what);
    }
    sqlite3_reset(statement);
    return result;
}

int reader_consent(struct store_reader *reader, struct text provider, struct text consent,
                   int64_t now, struct buf *out_sealed)
{
    sqlite3_stmt *statement = db_statement(&reader->db, CONSENT);
    db_bind_blob(statement, 1, consent);
    db_bind_text(statement, 2, provider);
    db_bind_int(statement, 3, now);
    return one_blob(reader, statement, "consent", out_sealed);
}

/* What is kept of one generation of a connection. */
static int generation_blob(struct store_reader *reader, size_t which, struct text connection,
                           uint64_t generation, const char *what, struct buf *out_sealed)
{
    sqlite3_stmt *statement = db_statement(&reader->db, which);
    db_bind_text(statement, 1, connection);
    db_bind_int(statement, 2, (int64_t)generation);
    return one_blob(reader, statement, what, out_sealed);
}

int reader_reply(struct store_reader *reader, struct text connection, uint64_t generation,
                 struct buf *out_sealed)
{
    return generation_blob(reader, REPLY, connection, generation, "reply", out_sealed);
}

int reader_prior(struct store_reader *reader, struct text connection, uint64_t generation,
                 struct buf *out_sealed)
{
    return generation_blob(reader, PRIOR, connection, generation, "prior", out_sealed);
}

/* ---- the log and figures --------------------------------------------------------------------- */

int reader_events(struct store_reader *reader, uint64_t after_seq, size_t limit,
                  store_event_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, EVENTS);
    int code, result = 0;
    db_bind_int(statement, 1, (int64_t)after_seq);
    db_bind_int(statement, 2, (int64_t)limit);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!each(context, (uint64_t)sqlite3_column_int64(statement, 0),
                  db_column_text(statement, 1), db_column_text(statement, 2)))
            break;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        result = db_failed(&reader->db, "events");
    sqlite3_reset(statement);
    return result;
}

int reader_last_seq(struct store_reader *reader, uint64_t *out_seq)
{
    sqlite3_stmt *statement = db_statement(&reader->db, LAST_SEQ);
    bool is_there = sqlite3_step(statement) == SQLITE_ROW;
    int result = is_there ? 0 : db_failed(&reader->db, "last seq");
    if (is_there)
        *out_seq = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return result;
}

int reader_counts(struct store_reader *reader, struct store_counts *out_counts)
{
    struct store_counts counts = {0};
    sqlite3_stmt *statement = db_statement(&reader->db, COUNTS);
    int code, result = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int state = sqlite3_column_int(statement, 0);
        if (state >= 0 && state < CONN_STATE_END)
            counts.by_state[state] = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return db_failed(&reader->db, "counts");
    result = reader_last_seq(reader, &counts.last_seq);
    if (result == 0)
        *out_counts = counts;
    return result;
}

static int count_until(struct store_reader *reader, size_t which, struct text provider,
                       int64_t until, uint64_t *out_count)
{
    sqlite3_stmt *statement = db_statement(&reader->db, which);
    int result = 0;
    db_bind_text(statement, 1, provider);
    db_bind_int(statement, 2, until);
    if (sqlite3_step(statement) == SQLITE_ROW)
        *out_count = (uint64_t)sqlite3_column_int64(statement, 0);
    else
        result = db_failed(&reader->db, "count");
    sqlite3_reset(statement);
    return result;
}

int reader_forecast(struct store_reader *reader, struct text provider, int64_t due_until,
                    int64_t end_until, struct store_forecast *out_forecast)
{
    int result = count_until(reader, DUE_COUNT, provider, due_until, &out_forecast->due);
    return result < 0 ? result
                      : count_until(reader, END_COUNT, provider, end_until, &out_forecast->ending);
}

int reader_incidents(struct store_reader *reader, struct text provider, store_incident_fn *each,
                     void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, INCIDENTS);
    int code;
    db_bind_text(statement, 1, provider);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW &&
           each(context, (enum incident_kind)sqlite3_column_int(statement, 0)))
        ;
    int result =
        code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&reader->db, "incidents");
    sqlite3_reset(statement);
    return result;
}

int reader_last_at(struct store_reader *reader, int64_t *out_at_ms)
{
    sqlite3_stmt *statement = db_statement(&reader->db, LAST_AT);
    int code = sqlite3_step(statement);
    *out_at_ms = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&reader->db, "last event");
}
