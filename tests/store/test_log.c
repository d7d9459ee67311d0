/* Changes that are no single connection's (store/sqlite/apply_log.c): incidents, the end of the log, a clock that was set
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "fixture.h"
#include "policy/expiry.h"
#include "store/sqlite/apply.h"

#define T(s) TEXT_LITERAL(s)

/* The clock was set back by a day: what was planned by it is due, and nothing else is touched. */
static void test_replan(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"future", "dead",  "other",   "past",
                                      "waits",  "doubt", "refused", "asked"};
    int64_t last_ms = 1;
    for (size_t i = 0; i < 8; i++) {
        struct store_change put = change_put(ids[i], ids[i], 0);
        put.secret.issued_at = i < 3 ? NOW_S + 86400 : NOW_S - 100;
        put.secret.due_at = NOW_S + 90000;
        if (i == 2)
            put.provider = T("xero");
        apply_right(f, put, EVENT_CONNECTED);
    }
    struct store_change failed = change_failed("waits", 1, MOVE_END, VERDICT_PROVIDER);
    failed.next_refresh_at = NOW_S + 86400;
    apply_right(f, failed, EVENT_NONE);
    failed = change_failed("doubt", 1, MOVE_LOST, VERDICT_UNCERTAIN);
    failed.next_refresh_at = NOW_S + 86400;
    apply_right(f, failed, EVENT_IN_DOUBT);
    /* Due at once, by the clock as it was. */
    struct store_change refused = {.type = CHANGE_INVALIDATE,
                                   .at_ms = NOW_MS + 86400000,
                                   .connection = T("refused"),
                                   .expect_generation = 1};
    assert_int_equal(apply_one(f, &refused), 0);
    struct store_change asked = {.type = CHANGE_PLAN,
                                 .at_ms = NOW_MS + 86400000,
                                 .connection = T("asked"),
                                 .expect_generation = 1};
    assert_int_equal(apply_one(f, &asked), 0);
    failed = change_failed("dead", 1, MOVE_REFUSED, VERDICT_GRANT);
    failed.remind_at = NOW_S + 2 * 86400;
    apply_right(f, failed, EVENT_REAUTH);
    struct store_change replan = {.type = CHANGE_REPLAN,
                                  .at_ms = NOW_MS,
                                  .provider = T("github"),
                                  .remind_at = NOW_S + 86400};
    assert_int_equal(apply_one(f, &replan), 0);
    assert_int_equal(replan.generation, 5);
    assert_int_equal(
        fixture_sql(
            f,
            "SELECT count(*) FROM connection WHERE next_refresh_at = (SELECT next_refresh_at FROM connection WHERE id = 'future')"
            " AND id IN ('future', 'waits', 'doubt', 'refused', 'asked')"),
        5);
    assert_int_equal(fixture_sql(f, "SELECT next_refresh_at FROM connection WHERE id = 'future'"),
                     NOW_S);
    assert_int_equal(fixture_sql(f, "SELECT next_refresh_at FROM connection WHERE id = 'past'"),
                     NOW_S + 90000);
    assert_int_equal(fixture_sql(f, "SELECT next_refresh_at FROM connection WHERE id = 'other'"),
                     NOW_S + 90000);
    assert_int_equal(fixture_sql(f, "SELECT next_refresh_at IS NULL FROM connection"
                                    " WHERE id = 'dead'"),
                     1);
    assert_int_equal(fixture_sql(f, "SELECT remind_at FROM connection WHERE id = 'dead'"),
                     NOW_S + 86400);
    assert_int_equal(apply_one(f, &replan), 0);
    assert_int_equal(replan.generation, 0);
    replan.remind_at = NOW_S + 172800; /* later than it is reminded of anyway */
    assert_int_equal(apply_one(f, &replan), 0);
    assert_int_equal(fixture_sql(f, "SELECT remind_at FROM connection WHERE id = 'dead'"),
                     NOW_S + 86400);
    assert_int_equal(f->engine->last_at(f->reader, &last_ms), 0);
    assert_true(last_ms == NOW_MS);
}

static bool add_incident(void *context, enum incident_kind kind)
{
    unsigned *open = context;
    *open |= 1u << kind;
    return true;
}

static void test_incident(void **state)
{
    struct fixture *f = *state;
    struct store_change incident = {.type = CHANGE_INCIDENT,
                                    .at_ms = NOW_MS,
                                    .provider = T("github"),
                                    .outcome = VERDICT_CLIENT,
                                    .reason = T("invalid_client"),
                                    .is_begin = true};
    apply_right(f, incident, EVENT_INCIDENT);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM event WHERE owner = '-'"), 1);
    apply_right(f, incident, EVENT_NONE); /* it has begun already */
    incident.incident = INCIDENT_OUTAGE;  /* another one of the same provider */
    apply_right(f, incident, EVENT_INCIDENT);
    unsigned open = 0;
    assert_int_equal(f->engine->incidents(f->reader, T("github"), add_incident, &open), 0);
    assert_int_equal(open, 1u << INCIDENT_CLIENT | 1u << INCIDENT_OUTAGE);
    incident.is_begin = false;
    apply_right(f, incident, EVENT_INCIDENT);
    apply_right(f, incident, EVENT_NONE); /* it has ended already */
    open = 0;
    assert_int_equal(f->engine->incidents(f->reader, T("github"), add_incident, &open), 0);
    assert_int_equal(open, 1u << INCIDENT_CLIENT);
    open = 0;
    assert_int_equal(f->engine->incidents(f->reader, T("xero"), add_incident, &open), 0);
    assert_int_equal(open, 0);
}

static void test_trim(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        struct store_change change =
            i == 0 ? change_put("c.1", "a", 0) : change_refreshed("c.1", (uint64_t)i);
        change.at_ms = NOW_MS + i * 1000;
        apply_right(f, change, i == 0 ? EVENT_CONNECTED : EVENT_REFRESHED);
    }
    struct store_change trim = {
        .type = CHANGE_TRIM, .at_ms = NOW_MS + 2000, .now_ms = NOW_MS + 2000000};
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(fixture_sql(f, "SELECT min(seq) * 10 + count(*) FROM event"), 33);
    trim.at_ms = NOW_MS + 1000000;
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(fixture_sql(f, "SELECT min(seq) * 10 + count(*) FROM event"), 51);
    assert_int_equal(apply_one(f, &trim), 0);
    fixture_close(f);
    fixture_open(f); /* the numbers go on where they were */
    apply_right(f, change_refreshed("c.1", 5), EVENT_REFRESHED);
    assert_int_equal(fixture_sql(f, "SELECT max(seq) FROM event"), 6);
}

/* Steps of SQLite's machine in a statement since the last call. */
static int steps_of(struct fixture *f, enum apply_statement which)
{
    return sqlite3_stmt_status(f->writer->db.statements[which], SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* Where nothing is old, that is found without reading the log. */
static void test_trim_of_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_change trim = {.type = CHANGE_TRIM, .at_ms = NOW_MS, .now_ms = NOW_MS + 1000000};
    int steps[2];
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    assert_int_equal(apply_one(f, &trim), 0); /* prepares the statement */
    uint64_t generation = 1;
    for (size_t i = 0; i < 2; i++) {
        while (generation < (i + 1) * (STORE_TRIM_ROWS + 10)) {
            struct store_change change = change_refreshed("c.1", generation++);
            assert_int_equal(apply_one(f, &change), 0);
        }
        steps_of(f, EVENT_TRIM);
        assert_int_equal(apply_one(f, &trim), 0);
        assert_int_equal(trim.generation, 0);
        steps[i] = steps_of(f, EVENT_TRIM);
    }
    assert_int_equal(steps[0], steps[1]);
}

/* More events than are looked at, dated in the future, do not keep the old ones behind them. */
static void test_trim_behind_the_future(void **state)
{
    struct fixture *f = *state;
    int64_t now_ms = NOW_MS + 2000000;
    uint64_t generation = 0;
    for (int i = 0; i < STORE_TRIM_ROWS + 30; i++) {
        struct store_change change =
            i == 0 ? change_put("c.1", "a", 0) : change_refreshed("c.1", generation);
        change.at_ms = i < STORE_TRIM_ROWS + 10 ? now_ms + 1 : NOW_MS + i;
        assert_int_equal(apply_one(f, &change), 0);
        generation++;
    }
    struct store_change trim = {
        .type = CHANGE_TRIM, .at_ms = NOW_MS + STORE_TRIM_ROWS + 10, .now_ms = now_ms};
    assert_int_equal(apply_one(f, &trim), 0); /* nothing behind them is old */
    assert_int_equal(trim.generation, 0);
    trim.at_ms += 10;
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(trim.generation, STORE_TRIM_ROWS);
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(trim.generation, 20);
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(trim.generation, 0);
    assert_int_equal(fixture_sql(f, "SELECT min(seq) * 100 + count(*) FROM event"),
                     (STORE_TRIM_ROWS + 21) * 100 + 10);
}

/* One that a clock has dated in the past, behind some that are not old, takes nobody with it and leaves no gap. */
static void test_trim_behind_the_present(void **state)
{
    static const int64_t ages_ms[] = {5000, 4000, -1, 1000, 9000, 0};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof ages_ms / sizeof ages_ms[0]; i++) {
        struct store_change change =
            i == 0 ? change_put("c.1", "a", 0) : change_refreshed("c.1", i);
        change.at_ms = NOW_MS - ages_ms[i];
        assert_int_equal(apply_one(f, &change), 0);
    }
    struct store_change trim = {.type = CHANGE_TRIM, .at_ms = NOW_MS - 3000, .now_ms = NOW_MS};
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(fixture_sql(f, "SELECT min(seq) * 10 + count(*) FROM event"), 34);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_replan),
        TEST(test_incident),
        TEST(test_trim),
        TEST(test_trim_of_nothing),
        TEST(test_trim_behind_the_future),
        TEST(test_trim_behind_the_present),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
