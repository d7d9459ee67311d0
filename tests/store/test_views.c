/* What a reader sees at which moment, and what it costs to say how much there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <sqlite3.h>

#include "fixture.h"
#include "store/sqlite/reader_parts.h"

static uint64_t generation_of(struct fixture *f)
{
    struct conn_row row = row_of(f, "c.1");
    uint64_t generation = row.generation;
    conn_row_free(&row);
    return generation;
}

static void refresh(struct fixture *f, uint64_t generation)
{
    struct store_change change = change_refreshed("c.1", generation);
    assert_int_equal(apply_one(f, &change), 0);
}

/* While it is held a reader sees one moment, that of its first look. */
static void test_hold(void **state)
{
    struct fixture *f = *state;
    sqlite3 *handle;
    int frames, done;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    for (uint64_t generation = 1; generation <= 5; generation += 2) {
        f->engine->hold(f->reader);
        refresh(f, generation); /* before the first look */
        assert_int_equal(generation_of(f), generation + 1);
        refresh(f, generation + 1);
        f->engine->hold(f->reader); /* it is one hold, however often it is asked for */
        assert_int_equal(generation_of(f), generation + 1);
        f->engine->let_go(f->reader);
        assert_int_equal(generation_of(f), generation + 2);
        f->engine->let_go(f->reader); /* without one: nothing */
    }
    /* Nothing of it keeps the writer from tidying. */
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "SELECT 1 FROM event", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done),
        SQLITE_OK);
    assert_true(frames > 0 && frames == done);
    sqlite3_close(handle);
}

/* What `status` says of a store costs the same however large it is. */
static void test_counts_read_no_rows(void **state)
{
    struct fixture *f = *state;
    struct store_counts counts;
    int steps[2];
    assert_int_equal(f->engine->counts(f->reader, &counts), 0); /* prepares the statement */
    sqlite3_stmt *statement = f->reader->db.statements[COUNTS];
    assert_non_null(statement);
    for (size_t i = 0; i < 2; i++) {
        sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
        assert_int_equal(f->engine->counts(f->reader, &counts), 0);
        steps[i] = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
        for (size_t row = 0; row < 50 && i == 0; row++) {
            char id[8];
            snprintf(id, sizeof id, "c.%zu", row);
            apply_right(f, change_put(id, id, 0), EVENT_CONNECTED);
        }
    }
    assert_int_equal(counts.by_state[CONN_ACTIVE], 50);
    assert_int_equal(steps[0], steps[1]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_hold), TEST(test_counts_read_no_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
