#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/gate.h"

static const struct gate_rule plain = {
    .throttles = GATE_THROTTLES, .breaker = {5, 30000}, .guard = {20, 0.3, 300000, GUARD_ROUND_MS}};

static struct gate make(struct gate_rule rule)
{
    struct gate gate;
    gate_init(&gate, &rule, 0);
    return gate;
}

/* Of one that went out when nothing was tried. */
static struct gate_change end_old(struct gate *gate, enum verdict_class verdict, int64_t now_ms)
{
    return gate_note(gate, &(struct gate_end){.verdict = verdict}, now_ms);
}

static void expect(struct gate *gate, int64_t now_ms, enum gate_reason reason, int64_t wait_ms)
{
    struct gate_answer answer = gate_ask(gate, now_ms);
    assert_int_equal(answer.reason, reason);
    assert_int_equal(answer.wait_ms, wait_ms);
}

static struct gate_pass go(struct gate *gate, int64_t now_ms)
{
    struct gate_pass pass = gate_admit(gate);
    gate_sent(gate, &pass, now_ms);
    return pass;
}

static struct gate_change end(struct gate *gate, enum verdict_class verdict, int64_t now_ms)
{
    struct gate_pass pass = go(gate, now_ms);
    return gate_note(gate, &(struct gate_end){.pass = pass, .verdict = verdict, .delay_ms = 7000},
                     now_ms);
}

static void test_open(void **state)
{
    (void)state;
    struct gate gate = make(plain);
    for (int i = 0; i < 1000; i++) {
        expect(&gate, 0, GATE_FREE, 0);
        end(&gate, VERDICT_OK, 0);
    }
    assert_int_equal(gate_width(&gate, 64), 64);
    assert_true(gate_room(&gate, 1000, 0) == INT64_MAX);
}

/* Both ceilings count, and a flow takes all its requests together. */
static void test_budgets(void **state)
{
    (void)state;
    struct gate_rule rule = plain;
    rule.token_limit = 60, rule.token_window_s = 60;
    rule.api_limit = 10, rule.api_window_s = 100;
    struct gate gate = make(rule);
    expect(&gate, 0, GATE_FREE, 0);
    struct gate_pass pass = gate_admit(&gate);
    expect(&gate, 0, GATE_BUDGET, 10000); /* the API's ceiling is the lower one */
    assert_int_equal(gate_budget_wait_ms(&gate, 3, 0), 30000);
    assert_int_equal(gate_room(&gate, 100000, 0), 10);
    gate_unclear(&gate, pass); /* it was not sent */
    expect(&gate, 0, GATE_FREE, 0);
    pass = go(&gate, 0);
    gate_sent(&gate, &pass, 0); /* one of several steps: they count together */
    gate_unclear(&gate, pass);
    expect(&gate, 0, GATE_BUDGET, 10000);
    rule.requests = 3;
    gate = make(rule);
    go(&gate, 0);
    expect(&gate, 0, GATE_BUDGET, 37500); /* three of them: eight flow in in 100 s behind a burst */
    assert_int_equal(gate_errand_wait_ms(&gate, true, 0), 12500);
    gate_errand_sent(&gate, true, 12500);
    expect(&gate, 12500, GATE_BUDGET, 37500);
    rule.requests = 50; /* more than a window allows */
    gate = make(rule);
    expect(&gate, 0, GATE_FREE, 0);
}

/* Between the leave and the sending there is a commit: what it holds up is not let out together with what came meanwhile. */
static void test_held_up(void **state)
{
    (void)state;
    struct gate_rule rule = plain;
    rule.token_limit = 20, rule.token_window_s = 20; /* a burst of two */
    struct gate gate = make(rule);
    struct gate_pass held[2];
    held[0] = gate_admit(&gate);
    held[1] = gate_admit(&gate);
    gate_sent(&gate, &held[0], 10000);
    gate_sent(&gate, &held[1], 10000);
    assert_int_equal(gate_ask(&gate, 10000).reason, GATE_BUDGET);
    for (size_t i = 0; i < 2; i++) {
        struct gate_end end = {.pass = held[i], .verdict = VERDICT_OK};
        gate_note(&gate, &end, 10000);
    }
    assert_int_equal(gate_ask(&gate, 10000).reason, GATE_BUDGET); /* their ends give nothing back */
    held[0] = gate_admit(&gate);
    struct gate_end unsent = {.pass = held[0], .verdict = VERDICT_PROVIDER};
    gate_note(&gate, &unsent, 60000);
    assert_false(gate_is_at_rest(&gate, 10000));
    assert_true(gate_is_at_rest(&gate, 60000));
}

static void test_throttled(void **state)
{
    (void)state;
    struct gate gate = make(plain);
    end(&gate, VERDICT_THROTTLED, 1000);
    expect(&gate, 1000, GATE_FREE, 0); /* perhaps only that grant has to wait */
    end(&gate, VERDICT_THROTTLED, 1000);
    end(&gate, VERDICT_OK, 1000);
    assert_int_equal(gate_throttles(&gate, 2), 2);
    for (unsigned i = 1; i <= GATE_THROTTLES; i++) {
        expect(&gate, 1000, GATE_FREE, 0);
        assert_int_equal(gate_throttles(&gate, 1), i < GATE_THROTTLES ? 1 : i);
        end(&gate, VERDICT_THROTTLED, 1000);
    }
    expect(&gate, 1000, GATE_BUDGET, 7000); /* everybody has */
    expect(&gate, 8000, GATE_FREE, 0);
    end(&gate, VERDICT_OK, 8000);
    struct gate_rule rule = plain;
    rule.throttles = 1; /* it is known that all are counted together */
    gate = make(rule);
    end(&gate, VERDICT_THROTTLED, 1000);
    expect(&gate, 1000, GATE_BUDGET, 7000);
    assert_int_equal(gate_throttles(&gate, 1), 2);
    rule.throttles = 0; /* or each by itself */
    gate = make(rule);
    for (int i = 0; i < 10; i++)
        end(&gate, VERDICT_THROTTLED, 1000);
    expect(&gate, 1000, GATE_FREE, 0);
    assert_int_equal(gate_throttles(&gate, 1), 1);
}

static void test_client(void **state)
{
    (void)state;
    struct gate gate = make(plain);
    struct gate_end refused = {
        .verdict = VERDICT_CLIENT, .is_client_refused = true, .delay_ms = 300000};
    end(&gate, VERDICT_CLIENT, 0); /* one row's own fault */
    expect(&gate, 0, GATE_FREE, 0);
    go(&gate, 0);
    gate_note(&gate, &refused, 0);
    expect(&gate, 1000, GATE_CLIENT, 299000);
    assert_int_equal(gate_width(&gate, 64), GUARD_CANARIES);
    assert_int_equal(gate_room(&gate, 1000000, 0), 0);
    expect(&gate, 300000, GATE_FREE, 0);
    refused.pass = go(&gate, 300000);
    expect(&gate, 300000, GATE_CLIENT, -1); /* one tries it */
    assert_false(end_old(&gate, VERDICT_PROVIDER, 300000).is_client_back);
    expect(&gate, 300000, GATE_CLIENT, -1); /* which another one's end does not end */
    gate_note(&gate, &refused, 300000);
    expect(&gate, 300000, GATE_CLIENT, 300000);
    assert_false(end(&gate, VERDICT_PROVIDER, 600000).is_client_back); /* says nothing about it */
    expect(&gate, 600000, GATE_FREE, 0);
    assert_true(end(&gate, VERDICT_GRANT, 600000).is_client_back);
    expect(&gate, 600000, GATE_FREE, 0);
    go(&gate, 600000);
    expect(&gate, 600000, GATE_FREE, 0);
}

static void test_breaker(void **state)
{
    (void)state;
    struct gate gate = make(plain);
    for (int i = 0; i < 4; i++)
        assert_int_equal(end(&gate, VERDICT_PROVIDER, 0).breaker, BREAKER_SAME);
    assert_int_equal(end(&gate, VERDICT_UNCERTAIN, 0).breaker, BREAKER_OPENED);
    expect(&gate, 0, GATE_BREAKER, 30000);
    expect(&gate, 30000, GATE_FREE, 0);
    struct gate_pass probe = go(&gate, 30000);
    expect(&gate, 30000, GATE_BREAKER, -1);
    /* What went out before it opened ends now: it is not the probe, and lets no second one out. */
    assert_int_equal(end_old(&gate, VERDICT_THROTTLED, 30000).breaker, BREAKER_SAME);
    assert_int_equal(end_old(&gate, VERDICT_PROVIDER, 30000).breaker, BREAKER_SAME);
    gate_unclear(&gate, (struct gate_pass){.is_probe = false});
    expect(&gate, 30000, GATE_BREAKER, -1);
    gate_unclear(&gate, probe);
    expect(&gate, 30000, GATE_FREE, 0);
    assert_int_equal(end(&gate, VERDICT_OK, 30000).breaker, BREAKER_CLOSES);
    expect(&gate, 30000, GATE_FREE, 0);
}

static void test_guard(void **state)
{
    (void)state;
    struct gate gate = make(plain);
    struct gate_end lost = {.verdict = VERDICT_GRANT, .is_lost_token = true};
    for (int i = 0; i < 100; i++) {
        go(&gate, 0);
        assert_int_equal(gate_note(&gate, &lost, 0).guard, GUARD_SAME);
    }
    for (int i = 0; i < 19; i++)
        assert_int_equal(end(&gate, VERDICT_GRANT, 0).guard, GUARD_SAME);
    assert_int_equal(end(&gate, VERDICT_GRANT, 0).guard, GUARD_SHUTS);
    expect(&gate, 0, GATE_GUARD, GUARD_ROUND_MS);
    struct gate_pass canary = {.is_probe = false};
    for (int i = 0; i < GUARD_CANARIES; i++) {
        expect(&gate, GUARD_ROUND_MS, GATE_FREE, 0);
        canary = go(&gate, GUARD_ROUND_MS);
    }
    expect(&gate, GUARD_ROUND_MS, GATE_GUARD, -1);
    for (int i = 0; i < 10; i++) /* were under way when it shut */
        assert_int_equal(end_old(&gate, VERDICT_OK, GUARD_ROUND_MS).guard, GUARD_SAME);
    expect(&gate, GUARD_ROUND_MS, GATE_GUARD, -1);
    struct gate_end ends[] = {{.pass = canary, .verdict = VERDICT_OK},
                              {.pass = canary, .verdict = VERDICT_PROVIDER}};
    gate_note(&gate, &ends[1], GUARD_ROUND_MS); /* says nothing about grants: another one goes */
    expect(&gate, GUARD_ROUND_MS, GATE_FREE, 0);
    go(&gate, GUARD_ROUND_MS);
    assert_int_equal(gate_note(&gate, &ends[0], GUARD_ROUND_MS).guard, GUARD_SAME);
    assert_int_equal(gate_note(&gate, &ends[0], GUARD_ROUND_MS).guard, GUARD_OPENS);
    expect(&gate, GUARD_ROUND_MS, GATE_FREE, 0);
}

/* Of several the gravest is told, and the longest is waited for. */
static void test_together(void **state)
{
    (void)state;
    struct gate gate = make(plain);
    for (int i = 0; i < 5; i++)
        end(&gate, VERDICT_PROVIDER, 0);
    gate.client.is_refused = true;
    gate.client.until_ms = 1000;
    expect(&gate, 0, GATE_CLIENT, 30000);
    gate.is_paused = true;
    expect(&gate, 0, GATE_PAUSED, -1);
    assert_string_equal(gate_reason_name(GATE_PAUSED), "paused");
    assert_null(gate_reason_name(GATE_FREE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),    cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_held_up), cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_client),  cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_guard),   cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
