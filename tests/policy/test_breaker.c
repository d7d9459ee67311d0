#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/breaker.h"

static const struct breaker_rule rule = {BREAKER_FAILURES, BREAKER_OPEN_MS};

static enum breaker_change fails(struct breaker *breaker, int64_t now_ms)
{
    return breaker_note(breaker, &rule, VERDICT_PROVIDER, true, now_ms);
}

static struct breaker opened(int64_t now_ms)
{
    struct breaker breaker = {.state = BREAKER_CLOSED};
    for (int i = 1; i < BREAKER_FAILURES; i++)
        assert_int_equal(fails(&breaker, now_ms), BREAKER_SAME);
    assert_int_equal(breaker_wait_ms(&breaker, now_ms), 0);
    assert_int_equal(fails(&breaker, now_ms), BREAKER_OPENED);
    return breaker;
}

static void test_opens_and_closes(void **state)
{
    (void)state;
    struct breaker breaker = opened(1000);
    assert_int_equal(breaker_wait_ms(&breaker, 1000), BREAKER_OPEN_MS);
    assert_int_equal(breaker_at(&breaker, 1000 + BREAKER_OPEN_MS - 1), BREAKER_OPEN);
    assert_int_equal(breaker_at(&breaker, 1000 + BREAKER_OPEN_MS), BREAKER_HALF_OPEN);
    assert_int_equal(breaker_wait_ms(&breaker, 1000 + BREAKER_OPEN_MS), 0);
    breaker_sent(&breaker);
    assert_int_equal(breaker_wait_ms(&breaker, 1000 + BREAKER_OPEN_MS), -1); /* one probe */
    assert_int_equal(breaker_note(&breaker, &rule, VERDICT_OK, true, 40000), BREAKER_CLOSES);
    assert_int_equal(breaker_wait_ms(&breaker, 40000), 0);
    assert_int_equal(breaker_note(&breaker, &rule, VERDICT_OK, true, 40000), BREAKER_SAME);
}

/* A probe that fails opens it again, without another incident; one that was not sent is none. */
static void test_probe(void **state)
{
    (void)state;
    struct breaker breaker = opened(0);
    breaker_at(&breaker, BREAKER_OPEN_MS);
    assert_true(breaker_sent(&breaker));
    breaker_unsent(&breaker);
    assert_int_equal(breaker_wait_ms(&breaker, BREAKER_OPEN_MS), 0);
    breaker_sent(&breaker);
    assert_int_equal(fails(&breaker, 31000), BREAKER_SAME);
    assert_int_equal(breaker_wait_ms(&breaker, 31000), BREAKER_OPEN_MS);
    assert_int_equal(breaker_at(&breaker, 31000 + BREAKER_OPEN_MS), BREAKER_HALF_OPEN);
    breaker_sent(&breaker);
    assert_int_equal(breaker_note(&breaker, &rule, VERDICT_THROTTLED, true, 70000), BREAKER_SAME);
    assert_int_equal(breaker_wait_ms(&breaker, 70000), 0); /* says nothing: the next one tries */
}

/* What the provider says about a grant or a client is an answer; only silence is a failure. */
static void test_what_counts(void **state)
{
    (void)state;
    static const struct {
        enum verdict_class verdict;
        bool is_answer, is_failure;
    } classes[] = {{VERDICT_OK, true, false},        {VERDICT_GRANT, true, false},
                   {VERDICT_CLIENT, true, false},    {VERDICT_PROVIDER, false, true},
                   {VERDICT_UNCERTAIN, false, true}, {VERDICT_THROTTLED, false, false}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        struct breaker breaker = {.state = BREAKER_CLOSED};
        for (int n = 1; n < BREAKER_FAILURES; n++)
            fails(&breaker, 0);
        enum breaker_change change = breaker_note(&breaker, &rule, classes[i].verdict, false, 0);
        assert_int_equal(change, classes[i].is_failure ? BREAKER_OPENED : BREAKER_SAME);
        if (!classes[i].is_failure) /* an answer begins the count anew */
            assert_int_equal(fails(&breaker, 0),
                             classes[i].is_answer ? BREAKER_SAME : BREAKER_OPENED);
    }
}

/* What was under way when it opened may fail as it likes, and closes it where it succeeds. */
static void test_stragglers(void **state)
{
    (void)state;
    struct breaker breaker = opened(1000);
    assert_int_equal(fails(&breaker, 20000), BREAKER_SAME);
    assert_int_equal(breaker_wait_ms(&breaker, 20000), 1000 + BREAKER_OPEN_MS - 20000);
    assert_int_equal(breaker_note(&breaker, &rule, VERDICT_OK, true, 20000), BREAKER_CLOSES);
    assert_int_equal(breaker_wait_ms(&breaker, 20000), 0);
    assert_false(breaker_sent(&breaker));
}

/* One that was under way when it opened ends while the probe is: the probe stays the only one. */
static void test_stragglers_beside_the_probe(void **state)
{
    static const enum verdict_class verdicts[] = {VERDICT_THROTTLED, VERDICT_PROVIDER,
                                                  VERDICT_UNCERTAIN};
    (void)state;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        struct breaker breaker = opened(0);
        breaker_at(&breaker, BREAKER_OPEN_MS);
        assert_true(breaker_sent(&breaker));
        assert_int_equal(breaker_note(&breaker, &rule, verdicts[i], false, 31000), BREAKER_SAME);
        assert_int_equal(breaker_wait_ms(&breaker, 31000), -1);
        assert_int_equal(breaker_note(&breaker, &rule, VERDICT_OK, true, 32000), BREAKER_CLOSES);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_and_closes),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_stragglers),
        cmocka_unit_test(test_stragglers_beside_the_probe),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
