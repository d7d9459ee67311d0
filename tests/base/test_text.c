#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define T(s) TEXT_LITERAL(s)

static void test_equal(void **state)
{
    (void)state;
    struct text absent = {NULL, 0};
    assert_true(text_equal(absent, text_of(NULL)));
    assert_false(text_equal(absent, T("")));
    assert_false(text_equal(T(""), absent));
    assert_true(text_equal(T(""), (struct text){"x", 0}));
    assert_true(text_equal(T("a\0b"), T("a\0b")));
    assert_false(text_equal(T("a\0b"), T("a\0c")));
    assert_false(text_equal(T("ab"), T("abc")));
    assert_true(text_is(T("word"), "word"));
    assert_false(text_is(T("word"), "words"));
    assert_false(text_is(T("word\0"), "word"));
    assert_false(text_is(absent, ""));
}

static void test_copy(void **state)
{
    (void)state;
    const char source[] = {'a', 'b', 'c'};
    char *copy = text_copy((struct text){source, sizeof source});
    assert_string_equal(copy, "abc");
    free(copy);
    copy = text_copy(T("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = text_copy(T(""));
    assert_string_equal(copy, "");
    free(copy);
    assert_null(text_copy((struct text){NULL, 0}));
}

static bool may_begin(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void test_provider_ids(void **state)
{
    (void)state;
    char name[66];
    memset(name, 'a', sizeof name);
    assert_true(text_is_provider_id((struct text){name, 1}));
    assert_true(text_is_provider_id((struct text){name, 64}));
    assert_false(text_is_provider_id((struct text){name, 65}));
    assert_false(text_is_provider_id((struct text){name, 0}));
    assert_false(text_is_provider_id((struct text){NULL, 0}));
    for (int c = 0; c < 256; c++) {
        char first[] = {(char)c, 'a'}, last[] = {'a', 'b', (char)c};
        assert_int_equal(text_is_provider_id((struct text){first, 2}), may_begin(c));
        assert_int_equal(text_is_provider_id((struct text){first, 1}), may_begin(c));
        assert_int_equal(text_is_provider_id((struct text){last, 3}),
                         may_begin(c) || c == '-' || c == '_');
    }
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

/* RFC 3629 section 3, for code points that may be written. */
static size_t encode(uint32_t point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xff) | point);
    return n;
}

static void test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        char bytes[8] = {0};
        struct text text = {bytes, encode(point, bytes)};
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
        bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        if (text_utf8_len(text) != (is_surrogate ? 0 : text.len) ||
            text_is_printable(text) != (!is_surrogate && !is_control))
            fail_msg("U+%04X", point);
        if (text.len > 1 && text_utf8_len((struct text){bytes, text.len - 1}) != 0)
            fail_msg("U+%04X cut", point);
    }
}

/* The right sequences are right and as many as there are code points: so no other one is. */
static void test_no_other_sequence(void **state)
{
    (void)state;
    size_t one = 0, two = 0, three = 0, four = 0;
    for (unsigned i = 0; i < 256; i++) {
        char bytes[] = {(char)i};
        one += text_utf8_len((struct text){bytes, 1}) == 1;
    }
    for (unsigned i = 0; i < 0x10000; i++) {
        char bytes[] = {(char)(i >> 8), (char)i};
        two += text_utf8_len((struct text){bytes, 2}) == 2;
    }
    for (unsigned i = 0xe00000; i < 0xf00000; i++) {
        char bytes[] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        three += text_utf8_len((struct text){bytes, 3}) == 3;
    }
    for (unsigned i = 0xf00000; i <= 0xffffff; i++) {
        char bytes[] = {(char)(i >> 16), (char)(i >> 8), (char)i, (char)0x80};
        four += text_utf8_len((struct text){bytes, 4}) == 4;
        bytes[3] = 'A';
        four += text_utf8_len((struct text){bytes, 4}) == 4;
    }
    assert_int_equal(one, 0x80);
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
    assert_int_equal(four, 0x100000 / 64);
}

static const struct {
    struct text text;
    bool is_printable;
    size_t first_len;
} utf8_cases[] = {
    {{NULL, 0}, true, 0},
    {T(""), true, 0},
    {T("plain ~"), true, 1},
    {T("Grüße €𝄞"), true, 1},
    {T("€uro"), true, 3},
    {T("a\0b"), false, 1},
    {T("a\nb"), false, 1},
    {T("a\x7f"), false, 1},
    {T("a\xc2\x9b"), false, 1},
    {T("\xc2\xa0"), true, 2},
    {T("\x80"), false, 0},
    {T("\xbf"), false, 0},
    {T("\xc0\x80"), false, 0},
    {T("\xc1\xbf"), false, 0},
    {T("\xc2"), false, 0},
    {T("\xc2\x41"), false, 0},
    {T("\xc2\xc2"), false, 0},
    {T("\xe0\x9f\xbf"), false, 0},
    {T("\xed\xa0\x80"), false, 0},
    {T("\xed\xbf\xbf"), false, 0},
    {T("\xf0\x8f\xbf\xbf"), false, 0},
    {T("\xf4\x90\x80\x80"), false, 0},
    {T("\xf8\x88\x80\x80\x80"), false, 0},
    {T("\xfe"), false, 0},
    {T("\xff"), false, 0},
    {T("good \xe2\x82"), false, 1},
    {T("good \xe2\x82 more"), false, 1},
};

static void test_utf8_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(utf8_cases); i++) {
        if (text_is_printable(utf8_cases[i].text) != utf8_cases[i].is_printable ||
            text_utf8_len(utf8_cases[i].text) != utf8_cases[i].first_len)
            fail_msg("case %zu", i);
        if (utf8_cases[i].is_printable && !text_is_utf8(utf8_cases[i].text))
            fail_msg("case %zu is UTF-8", i);
    }
    assert_true(text_is_utf8(T("a\0b\x7f\xc2\x9b"))); /* control characters are */
    assert_false(text_is_utf8(T("\xff")));
    assert_false(text_is_utf8(T("good \xe2\x82")));
    assert_false(text_is_utf8(T("good \xe2\x82 more")));
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        uint64_t max;
        bool is_number;
        uint64_t value;
    } cases[] = {
        {T("0"), 0, true, 0},
        {T("1"), 0, false, 0},
        {T("000"), 0, true, 0},
        {T("007"), 7, true, 7},
        {T("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
        {T("18446744073709551616"), UINT64_MAX, false, 0},
        {T("18446744073709551620"), UINT64_MAX, false, 0},
        {T("99999999999999999999"), UINT64_MAX, false, 0},
        {T("184467440737095516150"), UINT64_MAX, false, 0},
        {T("9223372036854775807"), INT64_MAX, true, INT64_MAX},
        {T("9223372036854775808"), INT64_MAX, false, 0},
        {T("1\0"), 9, false, 0},
        {{NULL, 0}, 9, false, 0},
        {T(""), 9, false, 0},
        {T("-1"), 9, false, 0},
        {T("+1"), 9, false, 0},
        {T(" 1"), 9, false, 0},
        {T("1 "), 9, false, 0},
        {T("1.0"), 9, false, 0},
        {T("0x1"), 9, false, 0},
        {T("1e0"), 9, false, 0},
        {T("/"), 99, false, 0},
        {T(":"), 99, false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value = 4711;
        if (text_to_uint(cases[i].text, cases[i].max, &value) != cases[i].is_number ||
            value != (cases[i].is_number ? cases[i].value : 4711))
            fail_msg("case %zu", i);
    }
}

static void test_number_bounds(void **state)
{
    (void)state;
    for (uint64_t max = 0; max < 130; max++) {
        for (unsigned number = 0; number < 1400; number++) {
            char text[8];
            uint64_t value = 0;
            snprintf(text, sizeof text, "%u", number);
            if (text_to_uint(text_of(text), max, &value) != (number <= max) ||
                (number <= max && value != number))
                fail_msg("%u of %u", number, (unsigned)max);
        }
    }
}

/* ---- near names ------------------------------------------------------------------------------ */

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"a", "a", 0},
        {"a", "b", 1},
        {"ab", "ba", 1},
        {"abc", "bca", 2},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
        {"vend", "vedn", 1},
        {"vend", "evnd", 1},
        {"abcd", "badc", 2},
        {"refresh", "refesh", 1},
        {"token_url", "tokenurl", 1},
        {"flaw", "lawn", 2},
        {"intention", "execution", 5},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text a = text_of(cases[i].a), b = text_of(cases[i].b);
        if (text_distance(a, b) != cases[i].distance || text_distance(b, a) != cases[i].distance)
            fail_msg("%s %s", cases[i].a, cases[i].b);
    }
    char longest[65];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(text_distance((struct text){longest, 64}, T("x")), 63);
    assert_int_equal(text_distance((struct text){longest, 64}, (struct text){longest, 64}), 0);
    assert_int_equal(text_distance((struct text){longest, 65}, (struct text){longest, 65}), 65);
    assert_int_equal(text_distance((struct text){longest, 65}, T("x")), 65);
    assert_int_equal(text_distance(T("x"), (struct text){longest, 65}), 65);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"vend", "refresh", "invalidate", "connection.get",
                                        "connection.list"};
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"vend", "vend"},
        {"vendd", "vend"},
        {"xend", "vend"},
        {"refrsh", "refresh"},
        {"invalid", "invalidate"}, /* three letters: 7 / 3 + 2 is more */
        {"inval", NULL},           /* five */
        {"connection.gst", "connection.get"},
        {"status", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *nearest = text_nearest(text_of(cases[i].name), names, COUNT(names));
        if (!text_equal(text_of(nearest), text_of(cases[i].nearest)))
            fail_msg("%s: %s", cases[i].name, nearest ? nearest : "none");
    }
    assert_null(text_nearest(T("vend"), names, 0));
    static const char *const equal[] = {"ab", "ac"};
    assert_ptr_equal(text_nearest(T("ad"), equal, 2), equal[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_provider_ids),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_no_other_sequence),
        cmocka_unit_test(test_utf8_cases),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_number_bounds),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
