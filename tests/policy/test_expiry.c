#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "policy/expiry.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN_YEARS INT64_C(315360000)
#define NOW INT64_C(1800000000)
#define NOW_TEXT "2027-01-15T08:00:00"

static void test_lead(void **state)
{
    (void)state;
    static const struct {
        int64_t refresh_lead_s;
        double expiry_ratio;
        int64_t life_s, lead_s;
    } cases[] = {
        {300, 0.9, 60, 6}, /* the token that lives a minute */
        {300, 0.9, 0, 0},
        {300, 0.9, 1, 0},
        {300, 0.9, 9, 0},
        {300, 0.9, 10, 1},
        {300, 0.9, 59, 5},
        {300, 0.9, 2990, 299},
        {300, 0.9, 3000, 300},
        {300, 0.9, 3010, 300},
        {300, 0.9, 3600, 300},
        {300, 0.9, TEN_YEARS, 300},
        {INT64_MAX, 0.9, TEN_YEARS, TEN_YEARS / 10},
        {300, 0.5, 100, 50},
        {300, 0.5, 599, 299},
        {300, 0.5, 600, 300},
        {300, 0.25, 80, 60},
        {300, 1.0, 3600, 0},
        {0, 0.9, 3600, 0},
        {1, 0.9, 3600, 1},
        {300, 1e-9, 200, 200},
        {300, NAN, 3600, 0},
        {300, 1.5, 3600, 0},
        {300, 0.9, -100, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct expiry_rule rule = {cases[i].refresh_lead_s, cases[i].expiry_ratio};
        if (expiry_lead_s(&rule, cases[i].life_s) != cases[i].lead_s)
            fail_msg("case %zu", i);
    }
}

static void test_due(void **state)
{
    (void)state;
    static const struct expiry_rule usual = {300, 0.9};
    static const struct {
        int64_t issued_at, expires_at;
        double jitter;
        int64_t due_at;
    } cases[] = {
        {NOW, NOW + 3600, 0, NOW + 3300},
        {NOW, NOW + 3600, -1, NOW + 3270},
        {NOW, NOW + 3600, 1, NOW + 3330},
        {NOW, NOW + 3600, 0.5, NOW + 3315},
        {NOW, NOW + 60, 0, NOW + 54},
        {NOW, NOW + 60, 1, NOW + 54}, /* a tenth of 6 s is no second */
        {NOW, NOW + 600, -1, NOW + 534},
        {NOW, NOW + 600, 1, NOW + 546},
        {NOW, NOW + 5, 1, NOW + 5},
        {NOW, NOW, 1, NOW},
        {NOW, NOW - 10, 1, NOW - 10},
        {NOW, EXPIRY_NEVER, 1, EXPIRY_NEVER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (expiry_due_at(&usual, cases[i].issued_at, cases[i].expires_at, cases[i].jitter) !=
            cases[i].due_at)
            fail_msg("case %zu", i);
    }
}

/* Within a tenth of the lead, before the end, and not all at the same moment. */
static void test_jitter_bounds(void **state)
{
    (void)state;
    for (int64_t life_s = 1; life_s < 100000; life_s += life_s / 7 + 1) {
        struct expiry_rule rule = {1000, 0.6};
        int64_t lead_s = expiry_lead_s(&rule, life_s);
        int64_t earliest = INT64_MAX, latest = 0;
        for (int step = -100; step <= 100; step++) {
            int64_t due_at = expiry_due_at(&rule, NOW, NOW + life_s, step / 100.0);
            assert_in_range(due_at, NOW + life_s - lead_s - lead_s / 10, NOW + life_s);
            assert_true(due_at <= NOW + life_s - lead_s + lead_s / 10);
            earliest = due_at < earliest ? due_at : earliest;
            latest = due_at > latest ? due_at : latest;
        }
        assert_int_equal(latest - earliest, 2 * (lead_s / 10));
    }
}

/* ---- what the issuer wants --------------------------------------------------------------------- */

static void test_hints(void **state)
{
    static const struct {
        int64_t due_s, life_s, hinted_s; /* from the issue on; -1: never */
        bool may_delay;
        double jitter;
        int64_t expected_s;
    } cases[] = {
        {3300, 3600, 1800, false, 0, 1800},
        {3300, 3600, 1800, false, 1, 1950},  /* later by chance */
        {3300, 3600, 1800, false, -1, 1950}, /* and never earlier */
        {3300, 3600, 360, false, 0, 360},
        {3300, 3600, 359, false, 0, 3300}, /* absurd: refreshed again and again */
        {3300, 3600, 0, false, 0, 3300},
        {3300, 3600, -500, false, 0, 3300},
        {3300, 3600, 3299, false, 1, 3299},
        {3300, 3600, 3400, false, 0, 3300}, /* later than usual: only where the entry says so */
        {3300, 3600, 3400, true, 1, 3400},
        {3300, 3600, 3600, true, 0, 3300}, /* absurd: when it has ended */
        {3300, 3600, 90000, true, 0, 3300},
        {3300, 3600, -1, true, 0, 3300},
        {-1, -1, 600, false, 0, 600}, /* of a secret without an end */
        {-1, -1, 600, false, 1, 660},
        {-1, -1, -1, false, 0, -1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
#define AT(s) ((s) == -1 ? EXPIRY_NEVER : NOW + (s))
        int64_t due_at =
            expiry_hinted_at(AT(cases[i].due_s), NOW, AT(cases[i].life_s), AT(cases[i].hinted_s),
                             cases[i].may_delay, cases[i].jitter);
        if (due_at != AT(cases[i].expected_s))
            fail_msg("case %zu: %lld", i, (long long)(due_at - NOW));
#undef AT
    }
}

/* ---- what a reply says ----------------------------------------------------------------------- */

#define ABSENT INT64_MIN

struct read_case {
    struct text text;
    enum expiry_unit unit;
    int64_t expires_at; /* ABSENT: it counts as absent */
};

static void check_reads(const struct read_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t expires_at = ABSENT;
        bool is_read = expiry_read(cases[i].text, cases[i].unit, NOW, &expires_at);
        if (is_read != (cases[i].expires_at != ABSENT) || expires_at != cases[i].expires_at)
            fail_msg("case %zu: %.*s gives %lld", i, (int)cases[i].text.len,
                     cases[i].text.len > 0 ? cases[i].text.data : "", (long long)expires_at);
    }
}

static void test_read_seconds(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {T("3600"), EXPIRY_S, NOW + 3600},
        {T("1"), EXPIRY_S, NOW + 1},
        {T("003600"), EXPIRY_S, NOW + 3600},
        {T("3600.0"), EXPIRY_S, NOW + 3600},
        {T("3599.99"), EXPIRY_S, NOW + 3599},
        {T("3.6e3"), EXPIRY_S, NOW + 3600},
        {T(".5e4"), EXPIRY_S, NOW + 5000},
        {T("315360000"), EXPIRY_S, NOW + TEN_YEARS},
        {T("315360001"), EXPIRY_S, ABSENT},
        {T("0"), EXPIRY_S, ABSENT},
        {T("0.0"), EXPIRY_S, ABSENT},
        {T("-1"), EXPIRY_S, ABSENT},
        {T("-3600"), EXPIRY_S, ABSENT},
        {T("+3600"), EXPIRY_S, ABSENT},
        {T("9223372036854775807"), EXPIRY_S, ABSENT},
        {T("18446744073709551616"), EXPIRY_S, ABSENT},
        {T("1e18"), EXPIRY_S, ABSENT},
        {T("1e400"), EXPIRY_S, ABSENT},
        {T("0000000000000000000000000000000000003600"), EXPIRY_S, NOW + 3600},
        {T("00000000000000000000000000000000000003600"), EXPIRY_S, ABSENT},
        {{NULL, 0}, EXPIRY_S, ABSENT},
        {T(""), EXPIRY_S, ABSENT},
        {T(" "), EXPIRY_S, ABSENT},
        {T(" 3600"), EXPIRY_S, ABSENT},
        {T("3600 "), EXPIRY_S, ABSENT},
        {T("36 00"), EXPIRY_S, ABSENT},
        {T("3600\n"), EXPIRY_S, ABSENT},
        {T("3600\0"), EXPIRY_S, ABSENT},
        {T("0x10"), EXPIRY_S, ABSENT},
        {T("0X10"), EXPIRY_S, ABSENT},
        {T("0x1p4"), EXPIRY_S, ABSENT},
        {T("nan"), EXPIRY_S, ABSENT},
        {T("NaN"), EXPIRY_S, ABSENT},
        {T("inf"), EXPIRY_S, ABSENT},
        {T("Infinity"), EXPIRY_S, ABSENT},
        {T("never"), EXPIRY_S, ABSENT},
        {T("null"), EXPIRY_S, ABSENT},
        {T("3600s"), EXPIRY_S, ABSENT},
        {T("3,600"), EXPIRY_S, ABSENT},
        {T("1.2.3"), EXPIRY_S, ABSENT},
        {T("."), EXPIRY_S, ABSENT},
        {T("1e"), EXPIRY_S, ABSENT},
        {T(NOW_TEXT "Z"), EXPIRY_S, ABSENT},
    };
    check_reads(cases, COUNT(cases));
}

static void test_read_other_numbers(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {T("3600000"), EXPIRY_MS, NOW + 3600},
        {T("3600999"), EXPIRY_MS, NOW + 3600},
        {T("1000"), EXPIRY_MS, NOW + 1},
        {T("0"), EXPIRY_MS, ABSENT},
        {T("-1000"), EXPIRY_MS, ABSENT},
        {T("315360000000"), EXPIRY_MS, NOW + TEN_YEARS},
        {T("315360001000"), EXPIRY_MS, ABSENT},
        {T("1800003600"), EXPIRY_EPOCH_S, NOW + 3600},
        {T("1800003600.5"), EXPIRY_EPOCH_S, NOW + 3600},
        {T("1800000001"), EXPIRY_EPOCH_S, NOW + 1},
        {T("1800000000"), EXPIRY_EPOCH_S, ABSENT},
        {T("1799999999"), EXPIRY_EPOCH_S, ABSENT},
        {T("3600"), EXPIRY_EPOCH_S, ABSENT},
        {T("1800003600000"), EXPIRY_EPOCH_S, ABSENT}, /* milliseconds: 57 000 years away */
        {T("2115360000"), EXPIRY_EPOCH_S, NOW + TEN_YEARS},
        {T("2115360001"), EXPIRY_EPOCH_S, ABSENT},
        {T("1800003600000"), EXPIRY_EPOCH_MS, NOW + 3600},
        {T("1800003600"), EXPIRY_EPOCH_MS, ABSENT},
        {T("1799999999999"), EXPIRY_EPOCH_MS, ABSENT},
        {T("0"), EXPIRY_EPOCH_MS, ABSENT},
    };
    check_reads(cases, COUNT(cases));
}

static void test_read_dates(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {T("2027-01-15T09:00:00Z"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T09:00:00z"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15t09:00:00Z"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15 09:00:00Z"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T09:00:00"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T09:00:00.123456789Z"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T09:00:00.5+00:00"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T10:30:00+01:30"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T10:30:00+0130"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T07:30:00-01:30"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-14T09:30:00-23:30"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T18:09:00+09:09"), EXPIRY_ISO8601, NOW + 3600},
        {T("2027-01-15T09:00:00+0::00"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+:0:00"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+0/:00"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T08:00:01Z"), EXPIRY_ISO8601, NOW + 1},
        {T("2027-01-15T08:00:00Z"), EXPIRY_ISO8601, ABSENT},
        {T("2026-12-31T23:59:59Z"), EXPIRY_ISO8601, ABSENT},
        {T("2037-01-12T08:00:00Z"), EXPIRY_ISO8601, NOW + TEN_YEARS},
        {T("2037-01-12T08:00:01Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15"), EXPIRY_ISO8601, ABSENT},
        {T(" 2027-1-15"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00"), EXPIRY_ISO8601, ABSENT},
        {T("2027-13-15T09:00:00Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T25:00:00Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:0Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027-1-15T09:00:00Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027- 1-15T09:00:00Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15x09:00:00Z"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00Zx"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00Z\0"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00Z "), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+1"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+01"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+01:"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+01:3"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+01:300"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+01:-5"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+24:00"), EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00+00:60"), EXPIRY_ISO8601, ABSENT},
        {T("1800003600"), EXPIRY_ISO8601, ABSENT},
        {T("tomorrow"), EXPIRY_ISO8601, ABSENT},
        {T(""), EXPIRY_ISO8601, ABSENT},
        {{NULL, 0}, EXPIRY_ISO8601, ABSENT},
        {T("2027-01-15T09:00:00.00000000000000000000000Z"), EXPIRY_ISO8601, ABSENT},
    };
    check_reads(cases, COUNT(cases));
}

/* Every prefix and suffix of a right date is nothing, and none reads past its end. */
static void test_cut_dates(void **state)
{
    (void)state;
    static const char date[] = "2027-01-15T10:30:00.25+01:30";
    int64_t expires_at = ABSENT;
    for (size_t len = 0; len < sizeof date - 1; len++) {
        bool is_date = len >= 19 && len <= 22;
        assert_int_equal(expiry_read((struct text){date, len}, EXPIRY_ISO8601, NOW, &expires_at),
                         is_date);
        if (len > 0)
            assert_false(expiry_read((struct text){date + len, sizeof date - 1 - len},
                                     EXPIRY_ISO8601, NOW, &expires_at));
    }
}

static void test_units(void **state)
{
    (void)state;
    static const char *const words[] = {"s", "ms", "epoch_s", "epoch_ms", "iso8601"};
    static const enum expiry_unit units[] = {EXPIRY_S, EXPIRY_MS, EXPIRY_EPOCH_S, EXPIRY_EPOCH_MS,
                                             EXPIRY_ISO8601};
    enum expiry_unit unit;
    for (size_t i = 0; i < COUNT(words); i++) {
        assert_true(expiry_unit_of(text_of(words[i]), &unit));
        assert_int_equal(unit, units[i]);
    }
    assert_false(expiry_unit_of(T("S"), &unit));
    assert_false(expiry_unit_of(T(""), &unit));
    assert_false(expiry_unit_of((struct text){NULL, 0}, &unit));
    assert_int_equal(unit, EXPIRY_ISO8601);
}

static void test_grace(void **state)
{
    (void)state;
    assert_false(expiry_is_past_grace(NOW, 60, NOW));
    assert_false(expiry_is_past_grace(NOW - 59, 60, NOW));
    assert_true(expiry_is_past_grace(NOW - 60, 60, NOW));
    /* The clock was set back since: it may have been a minute or a week ago. */
    assert_true(expiry_is_past_grace(NOW + 1, 60, NOW));
    assert_true(expiry_is_past_grace(NOW + 40000, 60, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lead),         cmocka_unit_test(test_due),
        cmocka_unit_test(test_hints),        cmocka_unit_test(test_jitter_bounds),
        cmocka_unit_test(test_read_seconds), cmocka_unit_test(test_read_other_numbers),
        cmocka_unit_test(test_read_dates),   cmocka_unit_test(test_cut_dates),
        cmocka_unit_test(test_units),        cmocka_unit_test(test_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
