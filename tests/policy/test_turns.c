#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "policy/turns.h"

#define T(s) TEXT_LITERAL(s)

struct waiting {
    struct turn turn;
    char name;
};

static struct waiting all[1000];

static struct waiting *wait_for(struct turns *turns, size_t i, const char *owner, char name,
                                enum turn_class class)
{
    all[i] = (struct waiting){.name = name};
    turns_add(turns, &all[i].turn, class, text_of(owner));
    return &all[i];
}

/* The names in the order in which they go, and nobody is left. */
static void expect_order(struct turns *turns, const char *names)
{
    for (; *names; names++) {
        struct turn *turn = turns_next(turns);
        assert_non_null(turn);
        assert_int_equal(((struct waiting *)turn)->name, *names);
        assert_false(turn_waits(turn));
    }
    assert_null(turns_next(turns));
    assert_int_equal(turns->count, 0);
}

static void test_owners_in_turn(void **state)
{
    (void)state;
    struct turns turns = {.count = 0};
    size_t i = 0;
    for (const char *name = "abcd"; *name; name++)
        wait_for(&turns, i++, "many", *name, TURN_PLANNER);
    wait_for(&turns, i++, "one", 'x', TURN_PLANNER);
    wait_for(&turns, i++, "two", 'y', TURN_PLANNER);
    wait_for(&turns, i++, "two", 'z', TURN_PLANNER);
    assert_int_equal(turns.count, 7);
    expect_order(&turns, "axybzcd");
}

static void test_callers_first(void **state)
{
    (void)state;
    struct turns turns = {.count = 0};
    wait_for(&turns, 0, "o", 'p', TURN_PLANNER);
    struct waiting *raised = wait_for(&turns, 1, "o", 'q', TURN_PLANNER);
    wait_for(&turns, 2, "o", 'r', TURN_PLANNER);
    wait_for(&turns, 3, "o", 'a', TURN_CALLER);
    wait_for(&turns, 4, "b", 'b', TURN_CALLER);
    turns_raise(&turns, &raised->turn);
    assert_int_equal(turn_class_of(&raised->turn), TURN_CALLER);
    turns_raise(&turns, &raised->turn); /* once is enough */
    expect_order(&turns, "abqpr");
}

static void test_leaving(void **state)
{
    (void)state;
    struct turns turns = {.count = 0};
    struct waiting *first = wait_for(&turns, 0, "a", 'a', TURN_CALLER);
    struct waiting *alone = wait_for(&turns, 1, "b", 'b', TURN_CALLER);
    struct waiting *middle = wait_for(&turns, 2, "a", 'c', TURN_CALLER);
    wait_for(&turns, 3, "a", 'd', TURN_CALLER);
    struct waiting *single = wait_for(&turns, 4, "c", 'e', TURN_PLANNER);
    turns_remove(&turns, &alone->turn);
    turns_remove(&turns, &middle->turn);
    turns_remove(&turns, &middle->turn); /* it does not wait any more */
    turns_raise(&turns, &middle->turn);
    turns_remove(&turns, &single->turn);
    turns_remove(&turns, &first->turn);
    expect_order(&turns, "d");
}

/* How many go before a newcomer: no owner more often than it would wait itself. */
static void test_ahead(void **state)
{
    (void)state;
    struct turns turns = {.count = 0};
    size_t i = 0;
    assert_int_equal(turns_ahead(&turns, T("a")), 0);
    for (int n = 0; n < 10; n++)
        wait_for(&turns, i++, "many", 'm', TURN_CALLER);
    for (int n = 0; n < 3; n++)
        wait_for(&turns, i++, "few", 'f', TURN_CALLER);
    wait_for(&turns, i++, "planned", 'p', TURN_PLANNER);
    assert_int_equal(turns_ahead(&turns, T("new")), 2);
    assert_int_equal(turns_ahead(&turns, T("few")), 3 + 4);
    assert_int_equal(turns_ahead(&turns, T("many")), 10 + 3);
    assert_int_equal(turns_ahead(&turns, T("planned")), 2);
    while (turns_next(&turns))
        ;
}

/* Thousands of steps of chance against a count of who is inside. */
static void test_at_random(void **state)
{
    (void)state;
    static const char *const owners[] = {"", "a", "b", "c", "a longer name"};
    struct turns turns = {.count = 0};
    size_t inside = 0;
    memset(all, 0, sizeof all);
    srand(7);
    for (int step = 0; step < 200000; step++) {
        struct waiting *one = &all[rand() % 1000];
        int what = rand() % 4;
        if (what == 0 && turns_next(&turns))
            inside--;
        else if (what == 1 && turn_waits(&one->turn))
            turns_raise(&turns, &one->turn);
        else if (what == 2 && turn_waits(&one->turn))
            turns_remove(&turns, &one->turn), inside--;
        else if (what == 3 && !turn_waits(&one->turn))
            turns_add(&turns, &one->turn, rand() % 2 ? TURN_CALLER : TURN_PLANNER,
                      text_of(owners[rand() % 5])),
                inside++;
        assert_int_equal(turns.count, inside);
    }
    for (; inside > 0; inside--)
        assert_non_null(turns_next(&turns));
    assert_null(turns_next(&turns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owners_in_turn), cmocka_unit_test(test_callers_first),
        cmocka_unit_test(test_leaving),        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
