#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include <bursar/error.h>

#include "policy/expiry.h"

void fixture_open(struct fixture *fixture)
{
    char uri[120];
    const char *where;
    struct buf error = buf_make(500);
    snprintf(uri, sizeof uri, "sqlite:%s", fixture->path);
    fixture->engine = store_engine_of(uri, &where);
    assert_string_equal(where, fixture->path);
    if (fixture->engine->writer_open(where, &fixture->writer, &error) != 0 ||
        fixture->engine->reader_open(where, &fixture->reader, &error) != 0)
        fail_msg("%s", error.data ? (char *)error.data : "no message");
    assert_int_equal(error.len, 0);
    buf_free(&error);
}

void fixture_close(struct fixture *fixture)
{
    fixture->engine->reader_close(fixture->reader);
    fixture->engine->writer_close(fixture->writer);
    fixture->reader = NULL;
    fixture->writer = NULL;
}

int fixture_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    strcpy(fixture->folder, "/tmp/bursar-store-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/bursar.db", fixture->folder);
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

int fixture_tear_down(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", "-journal"};
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture_check(fixture);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[120];
        snprintf(path, sizeof path, "%s%s", fixture->path, suffixes[i]);
        unlink(path);
    }
    int result = rmdir(fixture->folder); /* no other file is left */
    free(fixture);
    return result;
}

/* ---- looking from outside -------------------------------------------------------------------- */

static sqlite3_stmt *ask(const struct fixture *fixture, sqlite3 **out_handle, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(fixture->path, out_handle, SQLITE_OPEN_READWRITE, NULL), 0);
    sqlite3_busy_timeout(*out_handle, 5000);
    if (sqlite3_prepare_v2(*out_handle, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(*out_handle));
    return statement;
}

int64_t fixture_sql(const struct fixture *fixture, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *statement = ask(fixture, &handle, sql);
    int64_t value =
        sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : INT64_MIN;
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return value;
}

void fixture_check(const struct fixture *fixture)
{
    sqlite3 *handle;
    sqlite3_stmt *statement = ask(fixture, &handle, "PRAGMA integrity_check");
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    assert_int_equal(
        fixture_sql(fixture, "SELECT coalesce(max(seq) - min(seq) + 1, 0) - count(*) FROM event"),
        0);
    assert_int_equal(fixture_sql(fixture,
                                 "SELECT count(*) FROM state_count AS s WHERE count <>"
                                 " (SELECT count(*) FROM connection AS c WHERE c.state = s.state)"),
                     0);
    assert_int_equal(fixture_sql(fixture, "SELECT count(*) FROM intent WHERE connection NOT IN"
                                          " (SELECT id FROM connection)"),
                     0);
}

/* ---- changes --------------------------------------------------------------------------------- */

struct store_change change_of(enum change_type type, const char *connection)
{
    return (struct store_change){.type = type,
                                 .at_ms = NOW_MS,
                                 .owner = text_of("acme"),
                                 .connection = text_of(connection),
                                 .move = MOVE_END};
}

static struct change_secret new_secret(void)
{
    return (struct change_secret){.kind = text_of("oauth2"),
                                  .scopes = text_of("read write"),
                                  .secret = text_of("sealed secret"),
                                  .grant = text_of("sealed grant"),
                                  .issued_at = NOW_S,
                                  .expires_at = NOW_S + 3600,
                                  .due_at = NOW_S + 3300,
                                  .refresh_expires_at = EXPIRY_NEVER,
                                  .can_refresh = true};
}

struct store_change change_put(const char *connection, const char *account, uint64_t generation)
{
    struct store_change change = change_of(CHANGE_PUT, connection);
    change.provider = text_of("github");
    change.account = text_of(account);
    change.is_new = generation == 0;
    change.expect_generation = generation;
    change.secret = new_secret();
    return change;
}

struct store_change change_refreshed(const char *connection, uint64_t generation)
{
    struct store_change change = change_of(CHANGE_REFRESHED, connection);
    change.expect_generation = generation;
    change.secret = new_secret();
    return change;
}

struct store_change change_intent(const char *connection, uint64_t generation)
{
    struct store_change change = change_of(CHANGE_INTENT, connection);
    change.expect_generation = generation;
    change.node = text_of("node-1");
    memset(change.token_hash, 0xab, sizeof change.token_hash);
    return change;
}

struct store_change change_move(const char *connection, enum conn_move move)
{
    struct store_change change = change_of(CHANGE_MOVE, connection);
    change.move = move;
    return change;
}

struct store_change change_failed(const char *connection, uint64_t generation, enum conn_move move,
                                  enum verdict_class outcome)
{
    struct store_change change = change_of(CHANGE_FAILED, connection);
    change.expect_generation = generation;
    change.move = move;
    change.outcome = outcome;
    change.reason = text_of("the_reason");
    change.error = text_of("what went wrong");
    change.provider_error = text_of("their_code");
    change.http_status = 418;
    change.next_refresh_at = NOW_S + 60;
    return change;
}

int apply_one(struct fixture *fixture, struct store_change *change)
{
    struct store_batch batch = {.changes = &change, .count = 1};
    assert_int_equal(fixture->engine->apply(fixture->writer, &batch), 0);
    assert_int_equal(batch.event_count, change->event_seq != 0);
    if (batch.event_count == 1)
        assert_int_equal(batch.events[0].seq, change->event_seq);
    return change->result;
}

static uint64_t last_seq(struct fixture *fixture)
{
    struct store_counts counts;
    uint64_t seq = 0;
    assert_int_equal(fixture->engine->counts(fixture->reader, &counts), 0);
    assert_int_equal(fixture->engine->last_seq(fixture->reader, &seq), 0);
    assert_int_equal(counts.last_seq, seq);
    return seq;
}

enum event_type newest_event(struct fixture *fixture)
{
    return (enum event_type)fixture_sql(fixture,
                                        "SELECT type FROM event ORDER BY seq DESC LIMIT 1");
}

void apply_right(struct fixture *fixture, struct store_change change, enum event_type event)
{
    uint64_t before = last_seq(fixture);
    int result = apply_one(fixture, &change);
    if (result != 0)
        fail_msg("%s", bursar_error_code(result));
    assert_int_equal(last_seq(fixture), before + (event != EVENT_NONE));
    assert_int_equal(change.event_seq, event != EVENT_NONE ? before + 1 : 0);
    if (event != EVENT_NONE)
        assert_int_equal(newest_event(fixture), event);
}

void apply_refused(struct fixture *fixture, struct store_change change, int result)
{
    static const char rows[] =
        "SELECT count(*) * 1000 + total(generation) * 100 + total(state) * 10 + total(updated_at)"
        " + total(next_refresh_at) + total(length(metadata)) FROM connection";
    uint64_t before = last_seq(fixture);
    int64_t rows_before = fixture_sql(fixture, rows);
    change.at_ms += 5000; /* so that a change of a row is seen by its time */
    if (apply_one(fixture, &change) != result)
        fail_msg("%s instead of %s", bursar_error_code(change.result), bursar_error_code(result));
    assert_int_equal(change.event_seq, 0);
    assert_int_equal(last_seq(fixture), before);
    assert_int_equal(fixture_sql(fixture, rows), rows_before);
}

struct conn_row row_of(struct fixture *fixture, const char *connection)
{
    struct conn_row row;
    struct text none = {NULL, 0};
    assert_int_equal(fixture->engine->find(fixture->reader, text_of("acme"), text_of(connection),
                                           none, none, &row),
                     0);
    return row;
}
