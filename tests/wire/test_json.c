#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/secret.h"
#include "wire/json.h"
#include "wire/tree.h"

struct round_trip {
    const char *json;
    const char *again; /* NULL: the same */
};

static const struct round_trip round_trips[] = {
    {"null", NULL},
    {"true", NULL},
    {"false", NULL},
    {" \t\r\n 0 ", "0"},
    {"-0", "0"},
    {"127", NULL},
    {"128", NULL},
    {"65536", NULL},
    {"18446744073709551615", NULL},
    {"-1", NULL},
    {"-33", NULL},
    {"-9223372036854775808", NULL},
    {"1.5", NULL},
    {"-0.25", NULL},
    {"0.1", NULL},
    {"1e3", "1000"},
    {"1E-7", "1e-07"},
    {"123456789.123456789", "123456789.12345679"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"\"\"", NULL},
    {"\"plain\"", NULL},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
    {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "\"Aé€😀\""},
    {"\"é€😀\"", NULL},
    {"\"\\u0000\\u001f\"", NULL},
    {"[]", NULL},
    {"{}", NULL},
    {"[1,[2,[3]],{}]", NULL},
    {" { \"a\" : [ 1 , 2 ] , \"b\" : { \"c\" : null } } ", "{\"a\":[1,2],\"b\":{\"c\":null}}"},
    {"{\"\":1}", NULL},
};

/* JSON to MessagePack and back. */
static void assert_round_trip(const char *json, const char *again)
{
    struct buf packed = buf_make(1 << 20);
    struct buf error = buf_make(1024);
    struct buf out = buf_make(1 << 20);
    struct tree *tree = tree_new();
    if (json_to_pack(text_of(json), &packed, &error) != 0)
        fail_msg("%s: %s", json, (const char *)error.data);
    assert_int_equal(error.len, 0);
    assert_int_equal(tree_fill(tree, buf_text(&packed)), 0);
    json_from_node(tree_root(tree), &out);
    assert_string_equal((const char *)buf_text(&out).data, again ? again : json);
    tree_free(tree);
    buf_free(&out);
    buf_free(&error);
    buf_free(&packed);
}

static void test_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof round_trips / sizeof round_trips[0]; i++)
        assert_round_trip(round_trips[i].json, round_trips[i].again);
}

static const char *const wrong_texts[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "0x1",
    "NaN",
    "Infinity",
    "1e999",
    "18446744073709551616",
    "-9223372036854775809",
    "'a'",
    "\"",
    "\"a",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"a\nb\"",
    "\"\xff\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\\u0000\":1}",
    "1 2",
    "{} {}",
    "[]]",
    "// c",
    "[1]//",
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_texts / sizeof wrong_texts[0]; i++) {
        struct buf packed = buf_make(4096);
        struct buf error = buf_make(1024);
        if (json_to_pack(text_of(wrong_texts[i]), &packed, &error) != BURSAR_E_BAD_REQUEST)
            fail_msg("taken: %s", wrong_texts[i]);
        assert_true(error.len > 0);
        buf_free(&error);
        buf_free(&packed);
    }
}

/* Each text cut off anywhere is an error or a value, and nothing is read behind its end. */
static void test_cut_off(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\":[1.5e3,true,null,\"\\ud83d\\ude00\\n\"],\"b\":{\"c\":-12}}";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        struct buf packed = buf_make(4096);
        struct buf error = buf_make(1024);
        char *copy = malloc(len + 1); /* so that a sanitizer sees a byte too far */
        char *exact = realloc(copy, len > 0 ? len : 1);
        memcpy(exact, whole, len);
        assert_int_equal(json_to_pack((struct text){exact, len}, &packed, &error),
                         BURSAR_E_BAD_REQUEST);
        free(exact);
        buf_free(&error);
        buf_free(&packed);
    }
}

static int pack_nested(unsigned depth)
{
    struct buf json = buf_make(4096);
    struct buf packed = buf_make(4096);
    struct buf error = buf_make(1024);
    for (unsigned i = 0; i < depth; i++)
        buf_append_byte(&json, '[');
    for (unsigned i = 0; i < depth; i++)
        buf_append_byte(&json, ']');
    int result = json_to_pack(buf_text(&json), &packed, &error);
    buf_free(&json);
    buf_free(&packed);
    buf_free(&error);
    return result;
}

static void test_limits(void **state)
{
    (void)state;
    struct buf small = buf_make(16);
    struct buf error = buf_make(1024);
    assert_int_equal(pack_nested(BURSAR_MAX_NESTING), 0);
    assert_int_equal(pack_nested(BURSAR_MAX_NESTING + 1), BURSAR_E_BAD_REQUEST);
    assert_int_equal(pack_nested(2000), BURSAR_E_BAD_REQUEST);
    assert_int_equal(json_to_pack(TEXT_LITERAL("\"0123456789abcdef\""), &small, &error),
                     BURSAR_E_TOO_BIG);
    buf_free(&small);
    buf_free(&error);
}

static void test_secret_is_not_quoted(void **state)
{
    (void)state;
    struct buf packed = buf_make_secret(4096);
    struct buf error = buf_make(1024);
    assert_int_equal(json_to_pack(TEXT_LITERAL("{\"token\": \"hunter2\" oops}"), &packed, &error),
                     BURSAR_E_BAD_REQUEST);
    assert_null(strstr((const char *)error.data, "hunter2"));
    assert_string_equal((const char *)error.data,
                        "not JSON as it must be, at byte 21: an object without its }");
    buf_free(&packed);
    buf_free(&error);
}

/* What no JSON can have made. */
static void test_foreign_values(void **state)
{
    (void)state;
    static const char body[] = "\x96"
                               "\xc4\x02\x01\xff"         /* two bytes */
                               "\xcb\x7f\xf0\0\0\0\0\0\0" /* infinity */
                               "\xd4\x05\x01"             /* an extension */
                               "\x81\x07\x01"             /* a map with a number as key */
                               "\xca\x3f\x80\0\0"         /* a short float */
                               "\xa2\xff!";               /* text that is not UTF-8 */
    struct buf out = buf_make(1024);
    struct tree *tree = tree_new();
    assert_int_equal(tree_fill(tree, (struct text){body, sizeof body - 1}), 0);
    json_from_node(tree_root(tree), &out);
    assert_string_equal((const char *)out.data,
                        "[\"01ff\",null,null,{\"\":1},1,\"\xef\xbf\xbd!\"]");
    tree_free(tree);
    buf_free(&out);
}

/* A program with a locale that writes commas gets the same. */
static void test_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        if (setlocale(LC_NUMERIC, names[i]))
            break;
    }
    assert_round_trip("[0.5,1.25]", NULL);
    setlocale(LC_NUMERIC, "C");
}

static int open_arena(void **state)
{
    (void)state;
    return secret_arena_open((size_t)1 << 20);
}

static int close_arena(void **state)
{
    (void)state;
    secret_arena_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_secret_is_not_quoted),
        cmocka_unit_test(test_foreign_values),
        cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
