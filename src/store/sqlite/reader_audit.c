/* Reading the audit log: its rows, who was given what, and whether it is as it was written. */
#include <string.h>

#include <bursar/error.h>

#include "store/sqlite/reader.h"
#include "store/sqlite/reader_parts.h"

enum { CONNECTIONS_TOLD = 100 }; /* of each problem */

static int ended(struct store_reader *reader, sqlite3_stmt *statement, int code, const char *what)
{
    int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&reader->db, what);
    sqlite3_reset(statement);
    return result;
}

/* A link of a wrong length is all-zero, and so is no right one. */
static struct audit_row read_row(sqlite3_stmt *statement, uint8_t link[static CHAIN_LINK_LEN])
{
    struct audit_row row = {.seq = (uint64_t)sqlite3_column_int64(statement, 0),
                            .at_ms = sqlite3_column_int64(statement, 1),
                            .last_ms = sqlite3_column_int64(statement, 2),
                            .count = (uint64_t)sqlite3_column_int64(statement, 3),
                            .kind = (enum audit_kind)sqlite3_column_int(statement, 4),
                            .generation = (uint64_t)sqlite3_column_int64(statement, 5)};
    for (int i = 0; i < AUDIT_TEXTS; i++)
        *audit_text(&row, (size_t)i) = db_column_text(statement, 6 + i);
    struct text stored = db_column_text(statement, 6 + AUDIT_TEXTS);
    memset(link, 0, CHAIN_LINK_LEN);
    if (stored.len == CHAIN_LINK_LEN)
        memcpy(link, stored.data, CHAIN_LINK_LEN);
    return row;
}

int reader_audit_rows(struct store_reader *reader, const struct store_audit_filter *filter,
                      store_audit_fn *each, void *context)
{
    sqlite3_stmt *statement = db_statement(&reader->db, AUDIT_ROWS);
    int code;
    db_bind_int(statement, 1, (int64_t)filter->after_seq);
    db_bind_text(statement, 2, filter->principal);
    db_bind_text(statement, 3, filter->owner);
    db_bind_text(statement, 4, filter->connection);
    db_bind_int(statement, 5, filter->since_ms);
    db_bind_int(statement, 6, (int64_t)filter->limit);
    db_bind_int(statement, 7, (int64_t)filter->until_seq);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        uint8_t link[CHAIN_LINK_LEN];
        struct audit_row row = read_row(statement, link);
        if (!each(context, &row, link))
            break;
    }
    return ended(reader, statement, code, "audit rows");
}

int reader_given(struct store_reader *reader, const struct store_given_filter *filter,
                 store_given_fn *each, void *context)
{
    sqlite3_stmt *statement =
        db_statement(&reader->db, filter->connection.data ? GIVEN_OF : GIVEN_TO);
    int code;
    db_bind_text(statement, 1, filter->connection);
    db_bind_int(statement, 2, filter->since_ms);
    db_bind_text(statement, 3, filter->owner);
    db_bind_text(statement, 4, filter->principal);
    db_bind_text(statement, 5, filter->after);
    db_bind_int(statement, 6, (int64_t)filter->after_generation);
    db_bind_int(statement, 7, (int64_t)filter->limit);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store_given given = {
            .principal = db_column_text(statement, 0),
            .owner = db_column_text(statement, 1),
            .connection = db_column_text(statement, 2),
            .provider = db_column_text(statement, 3),
            .account = db_column_text(statement, 4),
            .generation = (uint64_t)sqlite3_column_int64(statement, 5),
            .first_ms = sqlite3_column_int64(statement, 6),
            .last_ms = sqlite3_column_int64(statement, 7),
            .count = (uint64_t)sqlite3_column_int64(statement, 8),
            .has_export = sqlite3_column_int(statement, 9) == AUDIT_EXPORT,
        };
        if (!each(context, &given))
            break;
    }
    return ended(reader, statement, code, "given");
}

int reader_was_given(struct store_reader *reader, struct text principal, struct text connection,
                     int64_t since)
{
    sqlite3_stmt *statement = db_statement(&reader->db, WAS_GIVEN);
    db_bind_text(statement, 1, connection);
    db_bind_text(statement, 2, principal);
    db_bind_int(statement, 3, since * 1000);
    int code = sqlite3_step(statement);
    int result = ended(reader, statement, code, "was given");
    return result == 0 && code == SQLITE_ROW ? 1 : result;
}

/* ---- the ends ------------------------------------------------------------------------------------ */

static bool take_bytes(sqlite3_stmt *statement, int column, void *to, size_t len)
{
    struct text bytes = db_column_text(statement, column);
    if (bytes.len != len)
        return false;
    memcpy(to, bytes.data, len);
    return true;
}

static enum audit_problem check_seal(const struct keyring *keyring, const struct chain_ends *ends,
                                     const struct chain_seal *seal)
{
    switch (chain_check(keyring, ends, seal)) {
    case 0: return AUDIT_SOUND;
    case BURSAR_E_UNKNOWN_KEY: return AUDIT_NO_KEY;
    default: return AUDIT_BAD_SEAL;
    }
}

int reader_audit_ends(struct store_reader *reader, const struct keyring *keyring,
                      struct store_audit_ends *out_ends)
{
    sqlite3_stmt *statement = db_statement(&reader->db, AUDIT_ENDS);
    struct store_audit_ends found = {.seal = AUDIT_NO_SEAL};
    struct chain_ends *ends = &found.ends;
    struct chain_seal seal;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        ends->anchor_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        ends->seq = (uint64_t)sqlite3_column_int64(statement, 2);
        ends->journal_nr = (uint64_t)sqlite3_column_int64(statement, 6);
        if (take_bytes(statement, 1, ends->anchor, CHAIN_LINK_LEN) &&
            take_bytes(statement, 3, ends->link, CHAIN_LINK_LEN) &&
            take_bytes(statement, 4, seal.key_id, sizeof seal.key_id) &&
            take_bytes(statement, 5, seal.bytes, sizeof seal.bytes) &&
            (ends->journal_nr == 0 ||
             take_bytes(statement, 7, ends->journal, sizeof ends->journal)))
            found.seal = check_seal(keyring, ends, &seal);
    }
    int result = ended(reader, statement, code, "audit ends");
    if (result < 0)
        return result;
    statement = db_statement(&reader->db, AUDIT_FIRST);
    code = sqlite3_step(statement);
    found.first_ms = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    result = ended(reader, statement, code, "audit first");
    if (result == 0)
        *out_ends = found;
    return result;
}

/* ---- is it as it was written? -------------------------------------------------------------------- */

struct checking {
    struct audit_walk walk;
    store_problem_fn *each;
    void *context;
};

static bool check_row(void *context, const struct audit_row *row,
                      const uint8_t link[static CHAIN_LINK_LEN])
{
    struct checking *checking = context;
    enum audit_problem problem = audit_walk_row(&checking->walk, row, link);
    if (problem != AUDIT_SOUND)
        checking->each(checking->context, row->seq, problem);
    return true;
}

/* From the row that was looked at last; from the beginning where it has gone meanwhile. */
static int place_walk(struct store_reader *reader, const struct store_audit_check *check,
                      struct audit_walk *walk)
{
    const struct chain_ends *ends = &check->ends.ends;
    audit_walk_from(walk, ends->anchor_seq, ends->anchor);
    if (check->after_seq <= ends->anchor_seq)
        return 0;
    sqlite3_stmt *statement = db_statement(&reader->db, AUDIT_LINK);
    uint8_t link[CHAIN_LINK_LEN];
    db_bind_int(statement, 1, (int64_t)check->after_seq);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW && take_bytes(statement, 0, link, sizeof link))
        audit_walk_from(walk, check->after_seq, link);
    return ended(reader, statement, code, "audit link");
}

static void check_ends(struct checking *checking, const struct store_audit_ends *ends)
{
    const struct audit_walk *walk = &checking->walk;
    enum audit_problem problem = ends->seal;
    if (problem == AUDIT_SOUND && walk->seq < ends->ends.seq)
        problem = AUDIT_CUT_OFF;
    else if (problem == AUDIT_SOUND && walk->seq > ends->ends.seq)
        problem = AUDIT_UNSEALED;
    else if (problem == AUDIT_SOUND && memcmp(walk->link, ends->ends.link, CHAIN_LINK_LEN) != 0)
        problem = AUDIT_ALTERED;
    if (problem != AUDIT_SOUND)
        checking->each(checking->context, walk->seq, problem);
}

/* A row of a connection that was put back, dropped or brought back by somebody who writes the database opens as
 * well as the right one. What the log says of it is what it cannot change unseen. */
static int check_connections(struct store_reader *reader, const struct checking *checking)
{
    static const struct {
        enum statement statement;
        enum audit_problem problem;
    } looks[] = {{AUDIT_ROLLBACKS, AUDIT_ROLLED_BACK},
                 {AUDIT_GONE, AUDIT_VANISHED},
                 {AUDIT_BACK, AUDIT_RETURNED}};
    int result = 0;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0] && result == 0; i++) {
        sqlite3_stmt *statement = db_statement(&reader->db, looks[i].statement);
        int code;
        db_bind_int(statement, 1, CONNECTIONS_TOLD);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            checking->each(checking->context, (uint64_t)sqlite3_column_int64(statement, 0),
                           looks[i].problem);
        result = ended(reader, statement, code, "audited connections");
    }
    return result;
}

static int check_page(struct store_reader *reader, const struct keyring *keyring, size_t limit,
                      struct checking *checking, struct store_audit_check *check)
{
    struct audit_walk *walk = &checking->walk;
    int result = reader_audit_ends(reader, keyring, &check->ends);
    if (result == 0)
        result = place_walk(reader, check, walk);
    struct store_audit_filter filter = {
        .after_seq = walk->seq, .until_seq = INT64_MAX, .since_ms = INT64_MIN, .limit = limit};
    if (result == 0)
        result = reader_audit_rows(reader, &filter, check_row, checking);
    check->rows = walk->rows;
    check->after_seq = walk->seq;
    check->is_end = walk->rows < limit;
    if (result == 0 && check->is_end)
        check_ends(checking, &check->ends);
    return result == 0 && check->is_end ? check_connections(reader, checking) : result;
}

int reader_audit_check(struct store_reader *reader, const struct keyring *keyring, size_t limit,
                       store_problem_fn *each, void *context, struct store_audit_check *check)
{
    struct checking checking = {.each = each, .context = context};
    int result = db_exec(&reader->db, "BEGIN");
    if (result == 0)
        result = check_page(reader, keyring, limit, &checking, check);
    db_exec(&reader->db, "COMMIT");
    audit_walk_free(&checking.walk);
    return result;
}
