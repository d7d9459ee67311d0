/* Secrets that are held from the start, and signs of a second spender. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <bursar/error.h>

#include "fixture.h"
#include "policy/expiry.h"

#define T(s) TEXT_LITERAL(s)

/* A put that makes two events, which apply_one() does not expect. */
static int put_held(struct fixture *f, struct store_change *change, size_t events)
{
    struct store_change *changes[] = {change};
    struct store_batch batch = {.changes = changes, .count = 1};
    change->is_held = true;
    change->reason = T("hand_over");
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    assert_int_equal(batch.event_count, events);
    return change->result;
}

static void test_held_put(void **state)
{
    struct fixture *f = *state;
    struct store_change put = change_put("c.1", "a", 0);
    assert_int_equal(put_held(f, &put, 2), 0);
    assert_true(put.state == CONN_FROZEN && put.generation == 1);
    struct conn_row row = row_of(f, "c.1");
    assert_true(row.state == CONN_FROZEN && row.prior_state == CONN_ACTIVE);
    assert_true(text_is(row.reason, "hand_over") && row.next_refresh_at == EXPIRY_NEVER);
    conn_row_free(&row);
    assert_int_equal(newest_event(f), EVENT_FROZEN);
    apply_right(f, change_move("c.1", MOVE_THAW), EVENT_THAWED);
    row = row_of(f, "c.1");
    assert_true(row.state == CONN_ACTIVE && row.next_refresh_at == NOW_S + 3300);
    assert_null(row.reason.data); /* frozen later, it is not held */
    conn_row_free(&row);
    put = change_put("c.1", "a", 1); /* what is there is not held by a put */
    put.is_new = false;
    assert_int_equal(put_held(f, &put, 0), BURSAR_E_CONFLICT);
}

static enum spender_sign suspect_of(struct fixture *f, const char *connection)
{
    struct conn_row row = row_of(f, connection);
    enum spender_sign sign = row.suspect;
    conn_row_free(&row);
    return sign;
}

static void test_suspect_of_a_refusal(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    struct store_change failed = change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT);
    failed.suspect = SPENDER_REFUSED;
    apply_right(f, failed, EVENT_REAUTH);
    assert_int_equal(suspect_of(f, "c.1"), SPENDER_REFUSED);
    assert_int_equal(fixture_sql(f, "SELECT instr(body, CAST('second_spender' AS BLOB)) > 0"
                                    " FROM event ORDER BY seq DESC LIMIT 1"),
                     1);
    struct store_change put = change_put("c.1", "a", 1);
    put.is_new = false;
    apply_right(f, put, EVENT_RECOVERED);
    assert_int_equal(suspect_of(f, "c.1"), SPENDER_NONE);
}

static void test_suspect_of_a_token(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    struct store_change change = change_of(CHANGE_SUSPECT, "c.1");
    change.suspect = SPENDER_FOREIGN;
    change.expect_generation = 2;
    apply_refused(f, change, BURSAR_E_CONFLICT);
    change.expect_generation = 1;
    apply_right(f, change, EVENT_NONE);
    assert_int_equal(suspect_of(f, "c.1"), SPENDER_FOREIGN);
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, change_refreshed("c.1", 1), EVENT_REFRESHED);
    assert_int_equal(suspect_of(f, "c.1"), SPENDER_FOREIGN); /* a refresh proves nothing */
}

static void refresh(struct fixture *f, uint64_t generation)
{
    apply_right(f, change_intent("c.1", generation), EVENT_NONE);
    apply_right(f, change_refreshed("c.1", generation), EVENT_REFRESHED);
}

static void invalidate(struct fixture *f, uint64_t generation)
{
    struct store_change change = change_of(CHANGE_INVALIDATE, "c.1");
    change.expect_generation = generation;
    change.move = MOVE_END;
    apply_right(f, change, EVENT_NONE);
}

static void test_cut_short(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    for (uint64_t generation = 1; generation <= 2; generation++) {
        invalidate(f, generation);
        invalidate(f, generation); /* the same one counts once */
        refresh(f, generation);
    }
    refresh(f, 3); /* one that nobody complained of begins anew */
    for (uint64_t generation = 4; generation <= 6; generation++) {
        assert_int_equal(suspect_of(f, "c.1"), SPENDER_NONE);
        invalidate(f, generation);
        refresh(f, generation);
    }
    assert_int_equal(suspect_of(f, "c.1"), SPENDER_CUT_SHORT);
}

static void test_prior(void **state)
{
    struct fixture *f = *state;
    struct buf sealed = buf_make(1000);
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    assert_int_equal(f->engine->prior(f->reader, T("c.1"), 1, &sealed), BURSAR_E_NOT_FOUND);
    refresh(f, 1);
    assert_int_equal(f->engine->prior(f->reader, T("c.1"), 1, &sealed), BURSAR_E_NOT_FOUND);
    assert_int_equal(f->engine->prior(f->reader, T("c.1"), 2, &sealed), 0);
    assert_true(text_is(buf_text(&sealed), "sealed secret"));
    buf_free(&sealed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_held_put),
        TEST(test_suspect_of_a_refusal),
        TEST(test_suspect_of_a_token),
        TEST(test_cut_short),
        TEST(test_prior),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
