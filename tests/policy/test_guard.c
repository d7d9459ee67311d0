#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/guard.h"

static const struct guard_rule rule = {GUARD_REFUSALS, GUARD_SHARE, GUARD_WINDOW_MS,
                                       GUARD_ROUND_MS};

static enum guard_change note_many(struct guard *guard, bool is_refused, int count, int64_t now_ms)
{
    enum guard_change change = GUARD_SAME;
    for (int i = 0; i < count && change == GUARD_SAME; i++)
        change = guard_note(guard, &rule, is_refused, 0, now_ms);
    return change;
}

static struct guard shut_at(int64_t now_ms)
{
    struct guard guard = {.is_shut = false};
    assert_int_equal(note_many(&guard, true, GUARD_REFUSALS, now_ms), GUARD_SHUTS);
    return guard;
}

/* Both are needed: so many of them, and so large a share. */
static void test_band(void **state)
{
    (void)state;
    struct guard few = {.is_shut = false}, usual = {.is_shut = false}, many = {.is_shut = false};
    assert_int_equal(note_many(&few, true, GUARD_REFUSALS - 1, 0), GUARD_SAME);
    note_many(&usual, false, 70, 0); /* 30 of 100 are not more than 0.3 */
    assert_int_equal(note_many(&usual, true, 30, 0), GUARD_SAME);
    assert_int_equal(guard_note(&usual, &rule, true, usual.round, 0), GUARD_SHUTS);
    note_many(&many, false, 10000, 0);
    assert_int_equal(note_many(&many, true, 4000, 0), GUARD_SAME);
    assert_int_equal(guard_wait_ms(&many, 0), 0);
}

/* What is older than the window does not count, neither for nor against. */
static void test_window(void **state)
{
    (void)state;
    struct guard guard = {.is_shut = false};
    for (int i = 0; i < 100; i++) {
        int64_t now_ms = i * GUARD_WINDOW_MS / (GUARD_REFUSALS - 4);
        assert_int_equal(guard_note(&guard, &rule, true, guard.round, now_ms), GUARD_SAME);
    }
    int64_t later_ms = 100 * GUARD_WINDOW_MS;
    note_many(&guard, false, 1000, later_ms);
    later_ms += 2 * GUARD_WINDOW_MS;
    assert_int_equal(note_many(&guard, true, GUARD_REFUSALS - 1, later_ms), GUARD_SAME);
    assert_int_equal(guard_note(&guard, &rule, true, guard.round, later_ms), GUARD_SHUTS);
}

static void send_round(struct guard *guard, int64_t now_ms)
{
    for (int i = 0; i < GUARD_CANARIES; i++) {
        assert_int_equal(guard_wait_ms(guard, now_ms), 0);
        assert_int_equal(guard_sent(guard), guard->round);
    }
    assert_int_equal(guard_wait_ms(guard, now_ms), -1);
}

/* Rounds of canaries, later and later, until most of one are taken. */
static void test_canaries(void **state)
{
    (void)state;
    struct guard guard = shut_at(1000);
    int64_t now_ms = 1000, round_ms = GUARD_ROUND_MS;
    for (int round = 0; round < 6; round++) {
        assert_int_equal(guard_wait_ms(&guard, now_ms), round_ms);
        now_ms += round_ms;
        send_round(&guard, now_ms);
        assert_int_equal(guard_note(&guard, &rule, true, guard.round, now_ms), GUARD_SAME);
        assert_int_equal(guard_note(&guard, &rule, false, guard.round, now_ms), GUARD_SAME);
        assert_int_equal(guard_note(&guard, &rule, true, guard.round, now_ms), GUARD_SAME);
        round_ms = round_ms * 2 < GUARD_ROUND_MAX_MS ? round_ms * 2 : GUARD_ROUND_MAX_MS;
    }
    now_ms += round_ms;
    send_round(&guard, now_ms);
    assert_int_equal(guard_note(&guard, &rule, false, guard.round, now_ms), GUARD_SAME);
    assert_int_equal(guard_note(&guard, &rule, false, guard.round, now_ms), GUARD_OPENS);
    assert_int_equal(guard_wait_ms(&guard, now_ms), 0);
    assert_int_equal(guard_note(&guard, &rule, true, guard.round, now_ms),
                     GUARD_SAME); /* the count is new */
}

/* What was under way when it shut is no canary; one that was not sent after all leaves its place. */
static void test_stragglers(void **state)
{
    (void)state;
    struct guard guard = shut_at(0);
    note_many(&guard, false, 50, 10);
    assert_int_equal(guard_wait_ms(&guard, 10), GUARD_ROUND_MS - 10);
    send_round(&guard, GUARD_ROUND_MS);
    guard_unsent(&guard, 0);
    assert_int_equal(guard_wait_ms(&guard, GUARD_ROUND_MS), -1);
    guard_unsent(&guard, guard.round);
    assert_int_equal(guard_wait_ms(&guard, GUARD_ROUND_MS), 0);
    guard_sent(&guard);
    assert_int_equal(guard_wait_ms(&guard, GUARD_ROUND_MS), -1);
    unsigned before = guard.round;
    for (int i = 0; i < GUARD_CANARIES; i++)
        guard_note(&guard, &rule, true, before, GUARD_ROUND_MS);
    send_round(&guard, 10 * GUARD_ROUND_MS);
    for (int i = 0; i < GUARD_CANARIES; i++) /* of the round before */
        assert_int_equal(guard_note(&guard, &rule, false, before, 10 * GUARD_ROUND_MS), GUARD_SAME);
    assert_int_equal(guard_wait_ms(&guard, 10 * GUARD_ROUND_MS), -1);
}

static void test_operator(void **state)
{
    (void)state;
    struct guard guard = shut_at(0);
    guard_open(&guard);
    assert_int_equal(guard_wait_ms(&guard, 0), 0);
    assert_int_equal(note_many(&guard, true, GUARD_REFUSALS - 1, 0), GUARD_SAME);
    guard_shut(&guard, &rule, 5000); /* as after a restart */
    assert_int_equal(guard_wait_ms(&guard, 5000), GUARD_ROUND_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_band),     cmocka_unit_test(test_window),
        cmocka_unit_test(test_canaries), cmocka_unit_test(test_stragglers),
        cmocka_unit_test(test_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
