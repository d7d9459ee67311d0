#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "policy/budget.h"

#define START_MS INT64_C(123456789)

enum { TAKES_MAX = 20000 };

static const struct {
    int64_t limit, window_s;
} ceilings[] = {{1, 1},    {1, 86400},  {2, 1},       {3, 7},    {10, 60},   {50, 1},     {60, 60},
                {99, 100}, {100, 3600}, {200, 86400}, {1000, 1}, {5000, 10}, {1000000, 1}};

/* Takes as much and as soon as it may, in bursts of chance, and checks each window of the provider's. */
static void take_greedily(int64_t limit, int64_t window_s, unsigned seed)
{
    static int64_t at_ms[TAKES_MAX];
    struct budget budget;
    int64_t now_ms = START_MS;
    size_t count = 0;
    srand(seed);
    budget_init(&budget, limit, window_s, 1, now_ms);
    size_t takes = limit * 5 < TAKES_MAX ? (size_t)(limit * 5) : TAKES_MAX;
    while (count < takes) {
        int64_t wait_ms = budget_wait_ms(&budget, 1, now_ms);
        assert_true(wait_ms >= 0);
        if (wait_ms > 0) {
            assert_true(budget_wait_ms(&budget, 1, now_ms + wait_ms - 1) > 0);
            now_ms += wait_ms;
            if (rand() % 50 == 0) /* idle for a while: a burst comes behind it */
                now_ms += rand() % (window_s * 1000);
        }
        assert_int_equal(budget_wait_ms(&budget, 1, now_ms), 0);
        budget_take(&budget, 1, now_ms);
        at_ms[count++] = now_ms;
        if (count > (size_t)limit) /* the one before `limit` others is out of the window */
            assert_true(now_ms - at_ms[count - 1 - (size_t)limit] >= window_s * 1000);
    }
}

static void test_never_overdrawn(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++) {
        for (unsigned seed = 1; seed <= 3; seed++)
            take_greedily(ceilings[i].limit, ceilings[i].window_s, seed);
    }
}

/* As before, where each is let through first and sent when a commit is done, which takes any time: one after the
 * other, as a disk does it. */
static void send_late(int64_t limit, int64_t window_s, unsigned seed)
{
    enum { ASIDE_MAX = 512 };
    static int64_t at_ms[TAKES_MAX];
    struct budget budget;
    int64_t now_ms = START_MS;
    size_t count = 0, aside = 0, takes = limit * 5 < TAKES_MAX ? (size_t)(limit * 5) : TAKES_MAX;
    srand(seed);
    budget_init(&budget, limit, window_s, 1, now_ms);
    while (count < takes) {
        while (aside < ASIDE_MAX && budget_wait_ms(&budget, 1, now_ms) == 0) {
            budget_set_aside(&budget, 1);
            aside++;
        }
        now_ms += rand() % (rand() % 10 == 0 ? 2000 * window_s : 20); /* a slow one now and then */
        if (aside > 0 && rand() % 50 == 0) { /* its row has changed: it is not sent */
            budget_put_back(&budget, 1);
            aside--;
        }
        for (; aside > 0 && count < takes; aside--) {
            budget_put_back(&budget, 1);
            budget_take(&budget, 1, now_ms);
            at_ms[count++] = now_ms;
            if (count > (size_t)limit)
                assert_true(now_ms - at_ms[count - 1 - (size_t)limit] >= window_s * 1000);
        }
    }
}

static void test_held_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++) {
        for (unsigned seed = 1; seed <= 3; seed++)
            send_late(ceilings[i].limit, ceilings[i].window_s, seed);
    }
}

static void test_aside(void **state)
{
    (void)state;
    struct budget budget;
    int64_t later_ms = START_MS + 1000000000;
    budget_init(&budget, 100, 100, 1, START_MS);
    budget_set_aside(&budget, 4);
    assert_int_equal(budget_left(&budget, later_ms), 6);
    assert_int_equal(budget_wait_ms(&budget, 6, later_ms), 0);
    assert_true(budget_wait_ms(&budget, 7, later_ms) > 0);
    budget_put_back(&budget, 3);
    budget_take(&budget, 3, later_ms);
    assert_int_equal(budget_left(&budget, later_ms), 6); /* less, and as much less set aside */
    budget_put_back(&budget, 1);
    assert_int_equal(budget_left(&budget, later_ms), 7);
    budget_init(&budget, 0, 0, 1, START_MS);
    budget_set_aside(&budget, 4);
    assert_int_equal(budget_wait_ms(&budget, 1000, START_MS), 0);
}

/* Nine tenths of the ceiling are used by who always wants more. */
static void test_is_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++) {
        struct budget budget;
        int64_t limit = ceilings[i].limit, window_ms = ceilings[i].window_s * 1000;
        budget_init(&budget, limit, ceilings[i].window_s, 1, START_MS);
        /* As one wait for very many: when the last of ten windows' worth can go. */
        int64_t wait_ms = budget_wait_ms(&budget, limit * 9, START_MS);
        assert_true(wait_ms <= window_ms * 10 + window_ms / limit + 1);
        assert_true(wait_ms >= window_ms * 8);
        int64_t room = budget_room(&budget, window_ms * 10, START_MS);
        assert_true(room >= limit * 9 && room <= limit * 10 + budget.burst);
    }
}

/* It begins with one request, and holds no more than a tenth of the ceiling in the end. */
static void test_burst(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 100, 100, 1, START_MS);
    assert_int_equal(budget_left(&budget, START_MS), 1);
    assert_int_equal(budget_left(&budget, START_MS + 1000000000), 10);
    assert_int_equal(budget_left(&budget, INT64_MAX), 10);
    budget_take(&budget, 10, START_MS + 1000000000);
    assert_int_equal(budget_left(&budget, START_MS + 1000000000), 0);
    budget_init(&budget, 5, 100, 4, START_MS); /* what is taken at once must fit */
    assert_int_equal(budget_left(&budget, START_MS), 4);
    budget_init(&budget, 5, 100, 9, START_MS);
    assert_int_equal(budget_left(&budget, START_MS), 5);
}

static void test_debt(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 10, 10, 1, START_MS); /* one each second */
    budget_take(&budget, 4, START_MS);
    assert_int_equal(budget_left(&budget, START_MS), 0);
    assert_int_equal(budget_wait_ms(&budget, 1, START_MS), 4000);
    assert_int_equal(budget_room(&budget, 3500, START_MS), 0);
    assert_int_equal(budget_room(&budget, 5000, START_MS), 2);
}

static void test_hold(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 100, 100, 1, START_MS);
    int64_t later_ms = START_MS + 1000000;
    budget_hold(&budget, later_ms + 5000);
    assert_int_equal(budget_wait_ms(&budget, 1, later_ms), 5000);
    assert_int_equal(budget_left(&budget, later_ms), 0);
    assert_int_equal(budget_room(&budget, 5000, later_ms), 0);
    budget_hold(&budget, later_ms + 1000); /* an earlier end changes nothing */
    assert_int_equal(budget_wait_ms(&budget, 1, later_ms), 5000);
    assert_int_equal(budget_left(&budget, later_ms + 5000), 1); /* and no burst behind it */
}

/* Without a ceiling nothing waits but what the provider asked for. */
static void test_no_ceiling(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0, 0, 1, START_MS);
    assert_int_equal(budget_wait_ms(&budget, 1000000000, START_MS), 0);
    budget_take(&budget, 1000000, START_MS);
    assert_true(budget_left(&budget, START_MS) == INT64_MAX);
    assert_true(budget_room(&budget, 1, START_MS) == INT64_MAX);
    budget_hold(&budget, START_MS + 7);
    assert_int_equal(budget_wait_ms(&budget, 1, START_MS), 7);
    assert_int_equal(budget_wait_ms(&budget, 1, START_MS + 7), 0);
}

/* Numbers at the ends of what the configuration takes. */
static void test_extremes(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, INT64_C(1000000000000), 31536000, 8, START_MS);
    assert_int_equal(budget_wait_ms(&budget, 1, START_MS), 0);
    assert_true(budget_left(&budget, INT64_MAX) > 0);
    assert_true(budget_room(&budget, INT64_C(31536000000), START_MS) > 0);
    assert_true(budget_wait_ms(&budget, INT64_MAX, START_MS) > 0);
    budget_init(&budget, 1, 31536000, 1, START_MS);
    budget_take(&budget, 1, START_MS);
    assert_int_equal(budget_wait_ms(&budget, 1, START_MS), INT64_C(31536000000));
    assert_true(budget_wait_ms(&budget, INT64_MAX, START_MS) > 0);
    /* A clock that stands still or goes back gives nothing away. */
    assert_int_equal(budget_wait_ms(&budget, 1, START_MS - 1000), INT64_C(31536000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_overdrawn),
        cmocka_unit_test(test_held_up),
        cmocka_unit_test(test_aside),
        cmocka_unit_test(test_is_used),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_debt),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_no_ceiling),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
