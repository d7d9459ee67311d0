#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "policy/retry.h"

#define T(s) TEXT_LITERAL(s)
#define NOW INT64_C(1445412480) /* Wed, 21 Oct 2015 07:28:00 GMT */

/* Without jitter to either side: 0.5 s, doubling, 60 s at most. */
static void test_doubling(void **state)
{
    (void)state;
    static const int64_t delays_ms[] = {500,  500,   1000,  2000,  4000,
                                        8000, 16000, 32000, 60000, 60000};
    for (unsigned failures = 0; failures < 10; failures++)
        assert_int_equal(retry_delay_ms(failures, 0.5, 0), delays_ms[failures]);
    assert_int_equal(retry_delay_ms(1000000, 0.5, 0), 60000);
    assert_int_equal(retry_delay_ms(UINT32_MAX, 0.5, 0), 60000);
}

static void test_jitter(void **state)
{
    (void)state;
    for (unsigned failures = 1; failures < 10; failures++) {
        int64_t middle_ms = retry_delay_ms(failures, 0.5, 0);
        assert_int_equal(retry_delay_ms(failures, 0, 0), middle_ms / 2);
        assert_int_equal(retry_delay_ms(failures, 0.25, 0), middle_ms * 3 / 4);
        int64_t most_ms = retry_delay_ms(failures, nextafter(1, 0), 0);
        assert_in_range(most_ms, middle_ms * 3 / 2 - 1, middle_ms * 3 / 2);
    }
}

static void test_retry_after_counts(void **state)
{
    (void)state;
    assert_int_equal(retry_delay_ms(1, 0.5, 470), 500);
    assert_int_equal(retry_delay_ms(1, 0.5, 501), 526);
    assert_int_equal(retry_delay_ms(8, 0, 120000), 120000);
    assert_int_equal(retry_delay_ms(8, 0.5, 1000), 60000);
    assert_int_equal(retry_delay_ms(1, 0, RETRY_AFTER_MAX_MS), 3600000);
    assert_int_equal(retry_delay_ms(1, 0.75, 100000), 107500); /* not all at the same moment */
}

static void test_header(void **state)
{
    (void)state;
    static const struct {
        struct text header;
        int64_t wait_ms;
    } cases[] = {
        {T("1"), 1000},
        {T("120"), 120000},
        {T("00120"), 120000},
        {T("3599"), 3599000},
        {T("3600"), 3600000},
        {T("3601"), 3600000},
        {T("86400"), 3600000},
        {T("9223372036854775807"), 3600000},
        {T("18446744073709551616"), 3600000},
        {T("999999999999999999999999999999"), 3600000},
        {T("0"), 0},
        {T("-5"), 0},
        {T("+5"), 0},
        {T("1.5"), 0},
        {T("5s"), 0},
        {T(" 5"), 0},
        {T("5 "), 0},
        {T("5\0"), 0},
        {T("soon"), 0},
        {T(""), 0},
        {{NULL, 0}, 0},
        {T("Wed, 21 Oct 2015 07:28:30 GMT"), 30000},
        {T("Wednesday, 21-Oct-15 07:28:30 GMT"), 30000},
        {T("Wed Oct 21 07:28:30 2015"), 30000},
        {T("Sun Nov  1 07:28:30 2015"), 3600000},
        {T("Wed, 21 Oct 2015 08:27:59 GMT"), 3599000},
        {T("Wed, 21 Oct 2015 08:28:01 GMT"), 3600000},
        {T("Fri, 31 Dec 9999 23:59:59 GMT"), 3600000},
        {T("Wed, 21 Oct 2015 07:28:00 GMT"), 0},
        {T("Wed, 21 Oct 2015 07:27:59 GMT"), 0},
        {T("Thu, 01 Jan 1970 00:00:00 GMT"), 0},
        {T("Wed, 21 Oct 2015 07:28:30"), 0},
        {T("Wed, 21 Oct 2015 07:28:30 UTC"), 0},
        {T("Wed, 21 Oct 2015 07:28:30 GMT+1"), 0},
        {T("Wed, 21 Oct 2015 07:28:30 GMT\0"), 0},
        {T("Wed, 32 Oct 2015 07:28:30 GMT"), 0},
        {T("21 Oct 2015 07:28:30 GMT"), 0},
        {T("2015-10-21T07:28:30Z"), 0},
        {T("Wed, 21 Oct 2015 07:28:30 GMT, and much more than a date has"), 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (retry_after_ms(cases[i].header, NOW) != cases[i].wait_ms)
            fail_msg("case %zu: %lld", i, (long long)retry_after_ms(cases[i].header, NOW));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubling),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_retry_after_counts),
        cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
