#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/secret_end.h"

static void test_days(void **state)
{
    static const struct {
        const char *day;
        int64_t at; /* -1: no day */
    } cases[] = {{"1970-01-01", 0},          {"1970-01-02", 86400},
                 {"2024-02-29", 1709164800}, {"2027-01-31", 1801353600},
                 {"2023-02-29", -1},         {"2027-04-31", -1},
                 {"2027-13-01", -1},         {"2027-00-01", -1},
                 {"2027-1-31", -1},          {"2027-01-31T00:00:00Z", -1},
                 {" 027-01-31", -1},         {"2027- 1-31", -1},
                 {"20270131", -1},           {"", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t at = -1;
        bool is_day = secret_end_of(text_of(cases[i].day), &at);
        if (is_day != (cases[i].at >= 0) || at != cases[i].at)
            fail_msg("%s: %lld", cases[i].day, (long long)at);
    }
    assert_false(secret_end_of((struct text){NULL, 0}, NULL));
}

static void test_soon(void **state)
{
    static const int64_t end = INT64_C(100) * SECRET_DAY_S;
    (void)state;
    assert_false(secret_ends_soon(end, 0));
    assert_false(secret_ends_soon(end, end - SECRET_WARN_DAYS * SECRET_DAY_S - 1));
    assert_true(secret_ends_soon(end, end - SECRET_WARN_DAYS * SECRET_DAY_S));
    assert_true(secret_ends_soon(end, end + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
