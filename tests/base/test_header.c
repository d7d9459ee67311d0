#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/header.h"

static void test_find(void **state)
{
    static const char lines[] = "Retry-After: 30\0X:\0X: second\0Xy: \t value \0no colon\0";
    const struct text headers = {lines, sizeof lines - 1};
    (void)state;
    assert_true(text_is(header_find(headers, "retry-after"), "30"));
    assert_true(text_is(header_find(headers, "X"), "")); /* the first of its name */
    assert_true(text_is(header_find(headers, "XY"), "value "));
    assert_null(header_find(headers, "Retry").data);
    assert_null(header_find(headers, "no colon").data);
    assert_null(header_find((struct text){NULL, 0}, "X").data);
    assert_null(header_find((struct text){lines, 0}, "X").data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
