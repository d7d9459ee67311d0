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

#define T(literal) ((struct text){literal, sizeof literal - 1})

static void test_lines(void **state)
{
    static const struct {
        struct text name, value;
        bool is_line;
    } cases[] = {
        {T("X-Api-Key"), T("abc def"), true},
        {T("!#$%&'*+-.^_`|~09azAZ"), T(""), true},
        {T("X"), T("tab\there \xc3\xa9\xff"), true},
        {T(""), T("a"), false},
        {T("X Y"), T("a"), false},
        {T("X:"), T("a"), false},
        {T("X\x7f"), T("a"), false},
        {T("X\0"), T("a"), false},
        {T("X\xc3\xa9"), T("a"), false},
        {T("X\r\nY"), T("a"), false},
        {T("X"), T("a\r\nY: b"), false},
        {T("X"), T("a\n"), false},
        {T("X"), T("a\0b"), false},
        {T("X"), T("a\x1b[2J"), false},
        {T("X"), T("a\x7f"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(header_is_line(cases[i].name, cases[i].value), cases[i].is_line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
