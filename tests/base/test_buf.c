#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <bursar/error.h>

#include "base/buf.h"
#include "base/secret.h"

#define T(s) TEXT_LITERAL(s)

typedef struct buf make_fn(size_t max);
static make_fn *const makers[] = {buf_make, buf_make_secret};

static bool holds(const struct buf *buf, const char *expected)
{
    return text_is(buf_text(buf), expected) && (!buf->data || buf->data[buf->len] == 0);
}

static void test_grows(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        struct buf buf = makers[m](1000);
        assert_int_equal(buf_error(&buf), 0);
        assert_true(holds(&buf, ""));
        for (unsigned i = 0; i < 1000; i++) {
            buf_append_byte(&buf, (uint8_t)(i * 7));
            assert_int_equal(buf.len, i + 1);
            assert_int_equal(buf.data[buf.len], 0);
        }
        assert_int_equal(buf_error(&buf), 0);
        for (unsigned i = 0; i < 1000; i++)
            assert_int_equal(buf.data[i], (uint8_t)(i * 7));
        buf_free(&buf);
        assert_null(buf.data);
        assert_int_equal(buf.len, 0);
        assert_int_equal(buf.is_secret, m);
    }
}

static void test_max(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        struct buf buf = makers[m](5);
        buf_append_string(&buf, "12345");
        assert_int_equal(buf_error(&buf), 0);
        buf_append(&buf, "", 0);
        assert_int_equal(buf_error(&buf), 0);
        buf_append_byte(&buf, '6');
        assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
        assert_true(holds(&buf, "12345"));
        assert_null(buf_reserve(&buf, 0));
        buf_clear(&buf);
        assert_int_equal(buf_error(&buf), 0);
        assert_true(holds(&buf, ""));
        buf_append_string(&buf, "123456");
        assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
        buf_append_string(&buf, "1");
        buf_printf(&buf, "%d", 1);
        buf_append_percent(&buf, T("a"));
        assert_int_equal(buf.len, 0); /* what comes after a failure is not there */
        buf_free(&buf);
        buf_append_string(&buf, "again");
        assert_true(holds(&buf, "again"));
        buf_free(&buf);
        buf = makers[m](0);
        buf_append(&buf, NULL, 0);
        assert_int_equal(buf_error(&buf), 0);
        buf_append_byte(&buf, 0);
        assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
        buf_free(&buf);
    }
}

static void test_more_than_there_is(void **state)
{
    (void)state;
    static const size_t lens[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, SIZE_MAX / 2};
    for (size_t m = 0; m < 2; m++) {
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            struct buf buf = makers[m](SIZE_MAX);
            buf_append_byte(&buf, 'x');
            assert_null(buf_reserve(&buf, lens[i]));
            assert_true(buf_error(&buf) == BURSAR_E_NOMEM || buf_error(&buf) == BURSAR_E_TOO_BIG);
            assert_true(holds(&buf, "x"));
            buf_free(&buf);
        }
    }
}

static void test_reserve(void **state)
{
    (void)state;
    struct buf buf = buf_make(10);
    uint8_t *to = buf_reserve(&buf, 10);
    assert_non_null(to);
    assert_int_equal(buf.len, 0);
    memcpy(to, "abcd", 4);
    buf_added(&buf, 4);
    assert_true(holds(&buf, "abcd"));
    assert_null(buf_reserve(&buf, 7));
    assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
    buf_free(&buf);
}

static void test_truncate(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        struct buf buf = makers[m](8);
        buf_truncate(&buf, 0);
        assert_null(buf.data);
        buf_append_string(&buf, "abcdefgh!");
        buf_append_string(&buf, "abcdefgh");
        assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
        buf_truncate(&buf, 0);
        buf_append_string(&buf, "abcdefgh");
        buf_truncate(&buf, 8);
        assert_true(holds(&buf, "abcdefgh"));
        buf_truncate(&buf, 3);
        assert_true(holds(&buf, "abc"));
        if (buf.is_secret)
            assert_memory_equal(buf.data + 3, "\0\0\0\0\0", 5);
        buf_append_string(&buf, "xyz");
        assert_true(holds(&buf, "abcxyz"));
        buf_free(&buf);
    }
}

static void test_printf(void **state)
{
    (void)state;
    struct buf buf = buf_make(100);
    buf_append_string(&buf, "[");
    buf_printf(&buf, "%s=%d", "name", -5);
    buf_printf(&buf, "%s", "");
    buf_append_text(&buf, T("]"));
    assert_true(holds(&buf, "[name=-5]"));
    buf_printf(&buf, "%091d", 1);
    assert_int_equal(buf_error(&buf), 0);
    assert_int_equal(buf.len, 100);
    buf_printf(&buf, "%c", 'x');
    assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
    assert_int_equal(buf.len, 100);
    buf_free(&buf);
}

static bool is_all_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

/* The memory of an arena stays readable, so that what was in a block can be looked for. The two
 * pointers of a free list stand first in a block that was given back. */
static bool is_wiped(const uint8_t *data, size_t len)
{
    return is_all_zero(data + 2 * sizeof(void *), len - 2 * sizeof(void *));
}

static void test_secret_moves(void **state)
{
    (void)state;
    assert_int_equal(secret_arena_open(1 << 16), 0);
    size_t overflows = secret_arena_info().overflows;
    struct buf buf = buf_make_secret(10000);
    while (buf.len < 9999) {
        const uint8_t *before = buf.data;
        size_t len_before = buf.len;
        buf_append_byte(&buf, (uint8_t)(buf.len % 255 + 1));
        if (before && before != buf.data)
            assert_true(is_wiped(before, len_before));
    }
    for (size_t i = 0; i < buf.len; i++)
        assert_int_equal(buf.data[i], i % 255 + 1);
    assert_true(secret_arena_info().used_bytes >= buf.cap);
    assert_int_equal(secret_arena_info().overflows, overflows);
    uint8_t *data = buf.data;
    size_t len = buf.len;
    buf_clear(&buf);
    assert_true(is_all_zero(data, len));
    assert_ptr_equal(buf.data, data);
    buf_append_string(&buf, "a secret that is longer than two pointers");
    buf_free(&buf);
    assert_true(is_wiped(data, len));
    assert_int_equal(secret_arena_info().used_bytes, 0);
    secret_arena_close();
}

/* What was written is wiped, be it that it was never added, or cut off again. */
static void test_secret_touched(void **state)
{
    (void)state;
    assert_int_equal(secret_arena_open(1 << 16), 0);
    struct buf buf = buf_make_secret(10000);
    assert_true(buf_make_room(&buf, 5000));
    uint8_t *data = buf.data;
    buf_append_string(&buf, "a secret that is longer than two pointers");
    assert_ptr_equal(buf.data, data);
    buf_truncate(&buf, 3);
    memset(buf_reserve(&buf, 3000), 's', 3000);
    buf_added(&buf, 1);
    buf_free(&buf);
    assert_true(is_wiped(data, 3003));
    assert_false(buf_make_room(&buf, 10001));
    assert_int_equal(buf_error(&buf), BURSAR_E_TOO_BIG);
    assert_int_equal(secret_arena_info().used_bytes, 0);
    secret_arena_close();
}

static void test_percent(void **state)
{
    (void)state;
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    for (int c = 0; c < 256; c++) {
        char one = (char)c, expected[4];
        struct buf percent = buf_make(10), form = buf_make(10);
        if (c != 0 && strchr(unreserved, c))
            snprintf(expected, sizeof expected, "%c", c);
        else
            snprintf(expected, sizeof expected, "%%%02X", (unsigned)c);
        buf_append_percent(&percent, (struct text){&one, 1});
        buf_append_form(&form, (struct text){&one, 1});
        assert_true(holds(&percent, expected));
        assert_true(holds(&form, c == ' ' ? "+" : expected));
        buf_free(&percent);
        buf_free(&form);
    }
    struct buf buf = buf_make(100);
    buf_append_percent(&buf, T("a b/ü"));
    buf_append_form(&buf, T("&c d="));
    assert_true(holds(&buf, "a%20b%2F%C3%BC%26c+d%3D"));
    buf_free(&buf);
}

static void test_json_forms(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        const char *json;
    } cases[] = {
        {{NULL, 0}, "\"\""},
        {T(""), "\"\""},
        {T("a \"b\" \\c/"), "\"a \\\"b\\\" \\\\c/\""},
        {T("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {T("\0\x01\x1f"), "\"\\u0000\\u0001\\u001f\""},
        {T("\x7f\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"), "\"\\u007f\\u0080\\u009b\\u009f\xc2\xa0\""},
        {T("ü€𝄞"), "\"ü€𝄞\""},
        {T("\xff\xfe"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {T("a\xe2\x82"), "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {T("\xed\xa0\x80!"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf buf = buf_make(100);
        buf_append_json(&buf, cases[i].text);
        if (!holds(&buf, cases[i].json))
            fail_msg("case %zu: %s", i, (char *)buf.data);
        buf_free(&buf);
    }
}

/* What another program reads is what was written. */
static void test_json_round_trip(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 500; seed++) {
        char bytes[64];
        uint32_t random = seed * 2654435761U;
        size_t len = 0;
        while (len < 60) {
            random = random * 1664525 + 1013904223;
            bytes[len++] = (char)(random >> 25); /* every ASCII character */
            if (random >> 20 & 1) {
                memcpy(bytes + len, "\xc2\x85", 2);
                len += 2;
            }
        }
        struct buf buf = buf_make(1000);
        buf_append_json(&buf, (struct text){bytes, len});
        json_t *json =
            json_loadb((char *)buf.data, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_int_equal(json_string_length(json), len);
        assert_memory_equal(json_string_value(json), bytes, len);
        json_decref(json);
        buf_free(&buf);
    }
}

static void test_take_string(void **state)
{
    (void)state;
    struct buf buf = buf_make(100);
    char *string = buf_take_string(&buf);
    assert_string_equal(string, "");
    free(string);
    buf_append_string(&buf, "text");
    string = buf_take_string(&buf);
    assert_string_equal(string, "text");
    assert_null(buf.data);
    assert_int_equal(buf.len + buf.cap, 0);
    assert_int_equal(buf.max, 100);
    free(string);
    buf_append_string(&buf, "more");
    assert_true(holds(&buf, "more"));
    assert_null(buf_reserve(&buf, 100));
    assert_null(buf_take_string(&buf));
    assert_int_equal(buf_error(&buf), 0);
    assert_null(buf.data);
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_more_than_there_is),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_secret_moves),
        cmocka_unit_test(test_secret_touched),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_json_forms),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_take_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
