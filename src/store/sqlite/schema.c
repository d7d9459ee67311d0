#include "store/sqlite/schema.h"

#include <stdio.h>

#include <bursar/error.h>

enum { APPLICATION_ID = 0x62757273 }; /* "burs", PRAGMA application_id */

/* migrations[n] brings a file of version n to version n + 1. Never edit one that was released: add. */
static const char *const migrations[] = {
    /* 1: A row's sealed blobs stand last, so that what is asked most is on its first page. The
     * planner's index holds only rows that are planned. */
    "CREATE TABLE connection ("
    "  rowid INTEGER PRIMARY KEY,"
    "  id TEXT NOT NULL,"
    "  owner TEXT NOT NULL,"
    "  provider TEXT NOT NULL,"
    "  account TEXT NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  prior_state INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL,"
    "  invalid_generation INTEGER NOT NULL DEFAULT 0,"
    "  issued_at INTEGER,"
    "  expires_at INTEGER,"
    "  due_at INTEGER,"
    "  next_refresh_at INTEGER,"
    "  refresh_expires_at INTEGER,"
    "  created_at INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  last_refresh_at INTEGER NOT NULL DEFAULT 0,"
    "  last_outcome INTEGER NOT NULL DEFAULT 0,"
    "  failures INTEGER NOT NULL DEFAULT 0,"
    "  remind_at INTEGER,"
    "  is_probed INTEGER NOT NULL DEFAULT 0,"
    "  can_refresh INTEGER NOT NULL DEFAULT 0,"
    "  last_error TEXT,"
    "  reason TEXT,"
    "  kind TEXT,"
    "  scopes TEXT,"
    "  metadata BLOB,"
    "  tags BLOB,"
    "  secret BLOB,"
    "  \"grant\" BLOB,"
    "  prior_secret BLOB," /* generation - 1, sealed as it was */
    "  prior_grant BLOB"
    ") STRICT;"
    "CREATE UNIQUE INDEX connection_id ON connection (id);"
    "CREATE UNIQUE INDEX connection_key ON connection (owner, provider, account);"
    "CREATE INDEX connection_planned ON connection (provider, next_refresh_at)"
    "  WHERE next_refresh_at IS NOT NULL;"
    "CREATE INDEX connection_remind ON connection (provider, remind_at)"
    "  WHERE remind_at IS NOT NULL;"
    "CREATE TABLE intent ("
    "  connection TEXT PRIMARY KEY," /* one flight at a time */
    "  provider TEXT NOT NULL,"
    "  generation INTEGER NOT NULL,"
    "  token_hash BLOB NOT NULL,"
    "  node TEXT NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  reply BLOB"
    ") STRICT;"
    "CREATE INDEX intent_provider ON intent (provider);"
    "CREATE TABLE event ("
    "  seq INTEGER PRIMARY KEY,"
    "  at_ms INTEGER NOT NULL,"
    "  type INTEGER NOT NULL,"
    "  owner TEXT NOT NULL,"
    "  body BLOB NOT NULL"
    ") STRICT;",
    /* 2: Consents that are under way, by a digest of their state; all that is secret of one, and whose
     * it is, is sealed. */
    "CREATE TABLE consent ("
    "  digest BLOB PRIMARY KEY,"
    "  provider TEXT NOT NULL,"
    "  is_device INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL,"
    "  sealed BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX consent_end ON consent (expires_at);"
    "CREATE INDEX consent_device ON consent (provider) WHERE is_device;",
    /* 3: Faults that are no connection's and have not ended. The planner takes owners in turn, and needs
     * of a row no more than its index has; grants that end are counted. */
    "CREATE TABLE incident ("
    "  provider TEXT NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (provider, kind)"
    ") STRICT, WITHOUT ROWID;"
    "DROP INDEX connection_planned;"
    "CREATE INDEX connection_planned ON connection (provider, next_refresh_at, owner)"
    "  WHERE next_refresh_at IS NOT NULL;"
    "CREATE INDEX connection_grant_end ON connection (provider, refresh_expires_at)"
    "  WHERE refresh_expires_at IS NOT NULL AND state = 2;",
    /* 4: Sweeps: one change of many connections. A part is what one provider's worker walks through, in
     * the order of owner and account; a receipt is what became of one connection. */
    "CREATE TABLE sweep ("
    "  id TEXT PRIMARY KEY," /* a later one sorts later */
    "  action INTEGER NOT NULL,"
    "  at_provider INTEGER NOT NULL,"
    "  owner TEXT,"
    "  provider TEXT,"
    "  tag TEXT,"
    "  client TEXT,"
    "  rate_per_s INTEGER NOT NULL,"
    "  begun_at INTEGER NOT NULL,"
    "  ended_at INTEGER,"
    "  is_cancelled INTEGER NOT NULL DEFAULT 0"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE sweep_part ("
    "  sweep TEXT NOT NULL,"
    "  provider TEXT NOT NULL,"
    "  count INTEGER NOT NULL,"             /* selected when it began */
    "  done INTEGER NOT NULL DEFAULT 0,"    /* receipts */
    "  changed INTEGER NOT NULL DEFAULT 0," /* of which so many moved */
    "  asking INTEGER NOT NULL DEFAULT 0,"  /* of which so many wait for their provider */
    "  after_owner TEXT,"                   /* where the walk stands */
    "  after_account TEXT,"
    "  is_walked INTEGER NOT NULL DEFAULT 0,"
    "  ended_at INTEGER,"
    "  PRIMARY KEY (sweep, provider)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX sweep_part_open ON sweep_part (sweep) WHERE ended_at IS NULL;"
    "CREATE TABLE receipt ("
    "  sweep TEXT NOT NULL,"
    "  connection TEXT NOT NULL,"
    "  owner TEXT NOT NULL,"
    "  provider TEXT NOT NULL,"
    "  account TEXT NOT NULL,"
    "  from_state INTEGER NOT NULL,"
    "  to_state INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  is_asking INTEGER NOT NULL,"
    "  at_provider TEXT," /* what its provider said */
    "  PRIMARY KEY (sweep, connection)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX receipt_asking ON receipt (sweep, provider, connection) WHERE is_asking;"
    /* A sign of somebody else who refreshes the grant (enum spender_sign), and how many generations in
     * a row were refused early in their life. */
    "ALTER TABLE connection ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE connection ADD COLUMN cut_short INTEGER NOT NULL DEFAULT 0;"
    /* When the token may have been spent that its provider takes again for a while. */
    "ALTER TABLE connection ADD COLUMN lost_at INTEGER;"
    /* Providers whose refreshing an operator holds. */
    "CREATE TABLE pause ("
    "  provider TEXT PRIMARY KEY,"
    "  since INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    /* 5: Principals that were made by jobs; those of the configuration stand there alone. */
    "CREATE TABLE principal ("
    "  name TEXT PRIMARY KEY,"
    "  definition BLOB NOT NULL,"
    "  updated_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    /* 6: The audit log: a chain of rows, and where it begins and ends, sealed. The indexes hold only rows
     * by which a secret left: who was given what, and what somebody was given. */
    "CREATE TABLE audit ("
    "  seq INTEGER PRIMARY KEY,"
    "  at_ms INTEGER NOT NULL,"
    "  last_ms INTEGER NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL,"
    "  principal TEXT,"
    "  peer TEXT,"
    "  op TEXT,"
    "  purpose TEXT,"
    "  owner TEXT,"
    "  connection TEXT,"
    "  provider TEXT,"
    "  account TEXT,"
    "  outcome TEXT,"
    "  detail TEXT,"
    "  link BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX audit_given_of ON audit (connection, principal, last_ms) WHERE kind IN (1, 2);"
    "CREATE INDEX audit_given_to ON audit (principal, last_ms) WHERE kind IN (1, 2);"
    "CREATE TABLE audit_ends ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  anchor_seq INTEGER NOT NULL,"
    "  anchor BLOB NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  link BLOB NOT NULL,"
    "  key_id BLOB NOT NULL,"
    "  seal BLOB NOT NULL"
    ") STRICT;"
    /* A sweep of what was vended to somebody since then. */
    "ALTER TABLE sweep ADD COLUMN principal TEXT;"
    "ALTER TABLE sweep ADD COLUMN vended_since INTEGER;",
    /* 7: Audit rows that still are counted together, in the order in which they were told; and its end. */
    "CREATE TABLE audit_journal ("
    "  nr INTEGER PRIMARY KEY,"
    "  entry BLOB NOT NULL,"
    "  link BLOB NOT NULL"
    ") STRICT;"
    "ALTER TABLE audit_ends ADD COLUMN journal_nr INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE audit_ends ADD COLUMN journal BLOB;",
    /* 8: How many connections are in which state, kept by whatever statement changes one: nobody has to
     * read a million rows to say so. */
    "CREATE TABLE state_count ("
    "  state INTEGER PRIMARY KEY,"
    "  count INTEGER NOT NULL"
    ") STRICT;"
    "WITH s (state) AS (VALUES (1), (2), (3), (4), (5), (6))"
    " INSERT INTO state_count SELECT state, 0 FROM s;"
    "UPDATE state_count SET count = c.count"
    " FROM (SELECT state, count(*) AS count FROM connection GROUP BY state) AS c"
    " WHERE c.state = state_count.state;"
    "CREATE TRIGGER connection_is_added AFTER INSERT ON connection BEGIN"
    "  UPDATE state_count SET count = count + 1 WHERE state = new.state;"
    "END;"
    "CREATE TRIGGER connection_is_gone AFTER DELETE ON connection BEGIN"
    "  UPDATE state_count SET count = count - 1 WHERE state = old.state;"
    "END;"
    "CREATE TRIGGER connection_moves AFTER UPDATE OF state ON connection"
    " WHEN old.state <> new.state BEGIN"
    "  UPDATE state_count SET count = count - 1 WHERE state = old.state;"
    "  UPDATE state_count SET count = count + 1 WHERE state = new.state;"
    "END;",
    /* 9: Intents of a provider are asked for when its worker begins, and are never more than what is under way:
     * an index of them costs two places in each refresh and spares nobody anything. */
    "DROP INDEX intent_provider;",
};
enum { VERSION = sizeof migrations / sizeof migrations[0] };

int schema_version(void)
{
    return VERSION;
}

static int read_pragma(sqlite3 *handle, const char *sql, int *out_value)
{
    sqlite3_stmt *statement = NULL;
    int result = BURSAR_E_STORE_UNAVAILABLE;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        *out_value = sqlite3_column_int(statement, 0);
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

static int fail(sqlite3 *handle, struct buf *error)
{
    buf_printf(error, "%s", sqlite3_errmsg(handle));
    return sqlite3_errcode(handle) == SQLITE_NOTADB ? BURSAR_E_CONFIG : BURSAR_E_STORE_UNAVAILABLE;
}

static int step(sqlite3 *handle, int version, struct buf *error)
{
    char after[128];
    snprintf(after, sizeof after, "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT",
             version + 1, APPLICATION_ID);
    if (sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(handle, migrations[version], NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(handle, after, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    fail(handle, error);
    sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return BURSAR_E_STORE_UNAVAILABLE;
}

int schema_migrate(sqlite3 *handle, struct buf *error)
{
    int version, application, schema;
    if (read_pragma(handle, "PRAGMA user_version", &version) < 0 ||
        read_pragma(handle, "PRAGMA application_id", &application) < 0 ||
        read_pragma(handle, "SELECT count(*) FROM sqlite_schema", &schema) < 0)
        return fail(handle, error);
    if (application != APPLICATION_ID && (application != 0 || version != 0 || schema != 0)) {
        buf_append_string(error, "the file is a database of another program");
        return BURSAR_E_CONFIG;
    }
    if (version < 0 || version > VERSION) {
        buf_printf(error, "the file has schema version %d, this program knows %d: use a newer one",
                   version, (int)VERSION);
        return BURSAR_E_CONFIG;
    }
    for (; version < VERSION; version++) {
        int result = step(handle, version, error);
        if (result < 0)
            return result;
    }
    return 0;
}
