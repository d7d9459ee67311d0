#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "policy/availability.h"
#include "policy/expiry.h"

#define HOUR_S 3600

/* So many outages of so many seconds, beside the one that is assumed. */
static struct availability seen(unsigned count, int64_t outage_s)
{
    struct availability availability;
    int64_t now_ms = 1;
    availability_init(&availability);
    for (unsigned i = 0; i < count; i++) {
        availability_note(&availability, false, now_ms);
        availability_note(&availability, false, now_ms + 1);
        now_ms += outage_s * 1000;
        availability_note(&availability, true, now_ms);
        availability_note(&availability, true, ++now_ms);
    }
    return availability;
}

static double reached(const struct availability *availability, int64_t life_s, int64_t lead_s)
{
    return 1 - availability_missing(availability, life_s, lead_s);
}

/* An outage takes from a secret what is left of it behind the secret's end, whatever its age is. */
static void test_missing(void **state)
{
    (void)state;
    struct availability one = {.watched_s = 100000};
    one.outages[10] = 1; /* 1024 s */
    for (int64_t lead_s = 0; lead_s <= 1100; lead_s += 100) {
        double lost = 0;
        int steps = 200000;
        for (int i = 0; i < steps; i++) { /* by walking through all ages */
            double rest = (double)lead_s + (i + 0.5) / steps * (double)(HOUR_S - lead_s);
            lost += rest < 1024 ? 1024 - rest : 0;
        }
        double expected = lost / steps / 100000;
        assert_true(fabs(availability_missing(&one, HOUR_S, lead_s) - expected) < 1e-8);
    }
    assert_true(availability_missing(&one, 1024, 1024) > 0);
    /* An outage that is longer than a life. */
    one.outages[10] = 0;
    one.outages[14] = 1;
    assert_true(fabs(availability_missing(&one, HOUR_S, 600) - (16384 - 2100) / 100000.0) < 1e-9);
}

/* What is assumed of a provider that nobody knows yet leaves a usual target with what it has. */
static void test_unknown_provider(void **state)
{
    (void)state;
    struct availability fresh = seen(0, 0);
    const struct availability_rule none = {.target = 0}, usual = {.target = 0.999};
    const struct availability_rule strict = {.target = 0.9999999};
    assert_int_equal(availability_lead_s(&fresh, &none, HOUR_S), 0);
    assert_int_equal(availability_lead_s(&fresh, &usual, HOUR_S), 0);
    int64_t lead_s = availability_lead_s(&fresh, &strict, HOUR_S);
    assert_in_range(lead_s, AVAILABILITY_ASSUMED_S / 2, 1024);
}

/* The least lead that meets the target: with a second less it is missed. */
static void test_least_lead(void **state)
{
    static const double targets[] = {0.99, 0.999, 0.9999, 0.99999};
    static const int64_t lives_s[] = {600, HOUR_S, 4 * HOUR_S, 86400};
    (void)state;
    int64_t longer = 0;
    for (int64_t outage_s = 30; outage_s < 4000; outage_s *= 2) {
        struct availability availability = seen(20, outage_s);
        for (size_t life = 0; life < 4; life++) {
            int64_t before_s = 0;
            for (size_t i = 0; i < 4; i++) {
                struct availability_rule rule = {.target = targets[i]};
                int64_t life_s = lives_s[life];
                int64_t lead_s = availability_lead_s(&availability, &rule, life_s);
                assert_in_range(lead_s, before_s, life_s / 2);
                if (lead_s < life_s / 2)
                    assert_true(reached(&availability, life_s, lead_s) >= targets[i]);
                if (lead_s > 0)
                    assert_true(reached(&availability, life_s, lead_s - 1) < targets[i]);
                longer += lead_s > 300;
                before_s = lead_s;
            }
        }
    }
    assert_true(longer > 10);
}

/* Slow and failing attempts need their time too. */
static void test_attempts(void **state)
{
    (void)state;
    struct availability fresh = seen(0, 0);
    struct availability_rule rule = {.target = 0.99, .attempt_ms = 2048};
    assert_int_equal(availability_lead_s(&fresh, &rule, HOUR_S), 3);
    rule.failing_share = 0.1; /* two attempts: 4.1 s, and what lies between */
    assert_in_range(availability_lead_s(&fresh, &rule, HOUR_S), 5, 5);
    rule.failing_share = 1;
    assert_in_range(availability_lead_s(&fresh, &rule, HOUR_S), 13, 15);
    assert_int_equal(availability_lead_s(&fresh, &rule, 10), 5);
    assert_int_equal(availability_lead_s(&fresh, &rule, 1), 0);
}

/* What lies far back counts less and less. */
static void test_forgets(void **state)
{
    (void)state;
    struct availability bad = seen(50, 1000);
    const struct availability_rule rule = {.target = 0.9999};
    int64_t before_s = availability_lead_s(&bad, &rule, HOUR_S);
    assert_true(before_s > 300);
    for (int day = 0; day < 365; day++)
        availability_watched(&bad, 86400);
    assert_true(availability_lead_s(&bad, &rule, HOUR_S) < before_s);
    assert_in_range((int64_t)bad.watched_s, AVAILABILITY_MONTH_S, 2 * AVAILABILITY_MONTH_S);
}

static void test_measured(void **state)
{
    static const struct {
        int64_t since, ended_at, now;
        double covered_s, missing_s;
    } cases[] = {
        {100, 200, 150, 50, 0},   {100, 200, 200, 100, 0},          {100, 200, 300, 200, 100},
        {100, 50, 300, 200, 200}, {100, EXPIRY_NEVER, 300, 200, 0}, {300, 200, 300, 0, 0},
        {400, 200, 300, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct availability availability = {.covered_s = 0};
        availability_cover(&availability, cases[i].since, cases[i].ended_at, cases[i].now);
        if (availability.covered_s != cases[i].covered_s ||
            availability.missing_s != cases[i].missing_s)
            fail_msg("case %zu", i);
    }
    assert_true(availability_measured(0, 0) == 1);
    assert_true(availability_measured(1000, 1) == 0.999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_unknown_provider),
        cmocka_unit_test(test_least_lead), cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_forgets),    cmocka_unit_test(test_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
