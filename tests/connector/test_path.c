/* Paths: what is a singular query and what is not, what each selects, and what is said of a wrong
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/document.h"
#include "connector/path.h"
#include "connector/paths.h"

/* ---- what is found ----------------------------------------------------------------------------- */

struct valid {
    const char *path, *json;
    const char *want; /* as show() writes it */
};

#define NAMES "{\"a\":1,\"b\":{\"c\":\"d\"},\"_x\":2,\"é\":3,\"a1\":4,\"\":5}"
#define ITEMS "[\"p\",\"q\",[\"r\",null],{\"s\":[0,1]}]"

static const struct valid valid[] = {
    /* the root */
    {"$", "{}", "map 0"},
    {"$", "[]", "list 0"},
    {"$", "[1,2,3]", "list 3"},
    {"$", "\"text\"", "text text"},
    {"$", "[null]", "list 1"},
    /* names in short */
    {"$.a", NAMES, "number 1"},
    {"$.b", NAMES, "map 1"},
    {"$.b.c", NAMES, "text d"},
    {"$._x", NAMES, "number 2"},
    {"$.é", NAMES, "number 3"},
    {"$.a1", NAMES, "number 4"},
    {"$.A", NAMES, "absent"},
    {"$.none", NAMES, "absent"},
    {"$.a.b", NAMES, "absent"},
    {"$.b.c.d", NAMES, "absent"},
    {"$._", "{\"_\":true}", "true"},
    {"$.__proto__", "{\"__proto__\":false}", "false"},
    {"$.a_b_9", "{\"a_b_9\":null}", "null"},
    {"$.☺", "{\"☺\":\"A\"}", "text A"},
    {"$.😀", "{\"😀\":\"B\"}", "text B"},
    {"$.日本", "{\"日本\":\"C\"}", "text C"},
    {"$.x☺1", "{\"x☺1\":\"D\"}", "text D"},
    {"$.true", "{\"true\":1}", "number 1"},
    {"$.null", "{\"null\":1}", "number 1"},
    {"$.length", "[1,2]", "absent"},
    {"$.a", "[{\"a\":1}]", "absent"},
    {"$.a", "\"a\"", "absent"},
    {"$.\xc2\x80", "{\"\\u0080\":1}", "number 1"},
    {"$.\xed\x9f\xbf", "{\"\\ud7ff\":1}", "number 1"},
    {"$.\xee\x80\x80", "{\"\\ue000\":1}", "number 1"},
    {"$.\xf4\x8f\xbf\xbf", "{\"\\udbff\\udfff\":1}", "number 1"},
    /* names in quotes */
    {"$['a']", NAMES, "number 1"},
    {"$[\"a\"]", NAMES, "number 1"},
    {"$['b']['c']", NAMES, "text d"},
    {"$[\"b\"]['c']", NAMES, "text d"},
    {"$['b'].c", NAMES, "text d"},
    {"$.b['c']", NAMES, "text d"},
    {"$['']", NAMES, "number 5"},
    {"$[\"\"]", NAMES, "number 5"},
    {"$['é']", NAMES, "number 3"},
    {"$['a b']", "{\"a b\":1}", "number 1"},
    {"$['a-b']", "{\"a-b\":1}", "number 1"},
    {"$['a.b']", "{\"a.b\":1,\"a\":{\"b\":2}}", "number 1"},
    {"$['$.a']", "{\"$.a\":1}", "number 1"},
    {"$['*']", "{\"*\":1}", "number 1"},
    {"$['@code']", "{\"@code\":1}", "number 1"},
    {"$['..']", "{\"..\":1}", "number 1"},
    {"$[',']", "{\",\":1}", "number 1"},
    {"$['a|b']", "{\"a|b\":1}", "number 1"},
    {"$[\"a | $.b\"]", "{\"a | $.b\":1}", "number 1"},
    {"$['[0]']", "{\"[0]\":1}", "number 1"},
    {"$['0']", "{\"0\":1}", "number 1"},
    {"$['0']", "[1]", "absent"},
    {"$['-1']", "[1]", "absent"},
    {"$['\"']", "{\"\\\"\":1}", "number 1"},
    {"$[\"'\"]", "{\"'\":1}", "number 1"},
    {"$['\x7f']", "{\"\\u007f\":1}", "number 1"},
    {"$['?a']", "{\"?a\":1}", "number 1"},
    {"$['a:b']", "{\"a:b\":1}", "number 1"},
    {"$['http://example.com/claim']", "{\"http://example.com/claim\":1}", "number 1"},
    {"$[' a ']", "{\" a \":1,\"a\":2}", "number 1"},
    /* escapes */
    {"$['\\b']", "{\"\\b\":1}", "number 1"},
    {"$['\\f']", "{\"\\f\":1}", "number 1"},
    {"$['\\n']", "{\"\\n\":1}", "number 1"},
    {"$['\\r']", "{\"\\r\":1}", "number 1"},
    {"$['\\t']", "{\"\\t\":1}", "number 1"},
    {"$['\\/']", "{\"/\":1}", "number 1"},
    {"$['/']", "{\"\\/\":1}", "number 1"},
    {"$['\\\\']", "{\"\\\\\":1}", "number 1"},
    {"$['\\'']", "{\"'\":1}", "number 1"},
    {"$[\"\\\"\"]", "{\"\\\"\":1}", "number 1"},
    {"$[\"\\b\\f\\n\\r\\t\\/\\\\\"]", "{\"\\b\\f\\n\\r\\t/\\\\\":1}", "number 1"},
    {"$['\\u0061']", NAMES, "number 1"},
    {"$[\"\\u0061\"]", NAMES, "number 1"},
    {"$['\\u00e9']", NAMES, "number 3"},
    {"$['\\u00E9']", NAMES, "number 3"},
    {"$['\\u263A']", "{\"☺\":1}", "number 1"},
    {"$['\\u0000']", "{\"\\u0000\":1}", "number 1"},
    {"$['\\u0000']", "{\"\":1}", "absent"},
    {"$['\\uD83D\\uDE00']", "{\"😀\":1}", "number 1"},
    {"$[\"\\ud83d\\ude00\"]", "{\"😀\":1}", "number 1"},
    {"$['\\uDBFF\\uDFFF']", "{\"\xf4\x8f\xbf\xbf\":1}", "number 1"},
    {"$['\\uD7FF']", "{\"\xed\x9f\xbf\":1}", "number 1"},
    {"$['\\uE000']", "{\"\xee\x80\x80\":1}", "number 1"},
    {"$['\\u0027']", "{\"'\":1}", "number 1"},
    {"$['\\u005c']", "{\"\\\\\":1}", "number 1"},
    {"$['a\\u0062c']", "{\"abc\":1}", "number 1"},
    {"$['\\\\u0061']", "{\"\\\\u0061\":1,\"a\":2}", "number 1"},
    /* indexes */
    {"$[0]", ITEMS, "text p"},
    {"$[1]", ITEMS, "text q"},
    {"$[2]", ITEMS, "list 2"},
    {"$[4]", ITEMS, "absent"},
    {"$[-1]", ITEMS, "map 1"},
    {"$[-4]", ITEMS, "text p"},
    {"$[-5]", ITEMS, "absent"},
    {"$[2][0]", ITEMS, "text r"},
    {"$[2][1]", ITEMS, "null"},
    {"$[2][-2]", ITEMS, "text r"},
    {"$[3].s[1]", ITEMS, "number 1"},
    {"$[3]['s'][-1]", ITEMS, "number 1"},
    {"$[0]", "[]", "absent"},
    {"$[-1]", "[]", "absent"},
    {"$[0]", "{\"0\":1}", "absent"},
    {"$[0]", "\"text\"", "absent"},
    {"$[0][0]", ITEMS, "absent"},
    {"$[10]", "[0,1,2,3,4,5,6,7,8,9,10]", "number 10"},
    {"$[-10]", "[0,1,2,3,4,5,6,7,8,9,10]", "number 1"},
    {"$[9007199254740991]", "[1]", "absent"},
    {"$[-9007199254740991]", "[1]", "absent"},
    {"$[4294967296]", "[1]", "absent"},
    {"$[4294967295]", "[1]", "absent"},
    {"$[-4294967297]", "[1]", "absent"},
    /* blanks, where the grammar has them */
    {"$ .a", NAMES, "number 1"},
    {"$\t.a", NAMES, "number 1"},
    {"$\n.a", NAMES, "number 1"},
    {"$\r.a", NAMES, "number 1"},
    {"$ \t\r\n .b .c", NAMES, "text d"},
    {"$ ['a']", NAMES, "number 1"},
    {"$[ 'a']", NAMES, "number 1"},
    {"$['a' ]", NAMES, "number 1"},
    {"$[\n\"a\"\t]", NAMES, "number 1"},
    {"$[ 0 ]", ITEMS, "text p"},
    {"$[ -1 ] .s [ 0 ]", ITEMS, "number 0"},
    {"$.b\n['c']", NAMES, "text d"},
    /* of one name twice the last counts */
    {"$.a", "{\"a\":1,\"a\":2}", "number 2"},
    /* several queries */
    {"$.a | $.b", NAMES, "number 1"},
    {"$.none | $.b.c", NAMES, "text d"},
    {"$.none|$.a", NAMES, "number 1"},
    {"$.none  |\t$.other | $['b']['c']", NAMES, "text d"},
    {"$.x | $.y", NAMES, "absent"},
    {"$.x | $.y", "{\"x\":null,\"y\":1}", "number 1"},
    {"$.x | $.y", "{\"x\":null}", "null"},
    {"$.x | $.y", "{\"y\":null}", "null"},
    {"$.x | $.y", "{\"x\":false,\"y\":1}", "false"},
    {"$.x | $.y", "{\"x\":\"\",\"y\":1}", "text "},
    {"$['a|b'] | $.c", "{\"c\":1}", "number 1"},
    {"$ | $.a", NAMES, "map 6"},
    {"$[0] | $.a", NAMES, "number 1"},
    {"$.access_token | $.authed_user.access_token", "{\"authed_user\":{\"access_token\":\"t\"}}",
     "text t"},
};

static void show(struct document_value value, char *out, size_t out_size)
{
    static const char *const names[] = {"absent", "null", "false", "true",
                                        "number", "text", "list",  "map"};
    const char *name = names[value.type];
    if (value.type == BURSAR_VALUE_NUMBER || value.type == BURSAR_VALUE_TEXT)
        snprintf(out, out_size, "%s %.*s", name, (int)value.text.len, value.text.data);
    else if (value.type == BURSAR_VALUE_LIST || value.type == BURSAR_VALUE_MAP)
        snprintf(out, out_size, "%s %zu", name, value.count);
    else
        snprintf(out, out_size, "%s", name);
}

static struct path *compile(const char *text)
{
    struct path *path = NULL;
    struct buf error = buf_make(1024);
    if (path_compile(text_of(text), &path, &error) != 0)
        fail_msg("%s: %.*s", text, (int)error.len, (const char *)error.data);
    assert_int_equal(error.len, 0);
    buf_free(&error);
    return path;
}

static void test_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        char got[256];
        struct path *path = compile(valid[i].path);
        struct document *document = document_new(text_of(valid[i].json), text_of(NULL));
        assert_non_null(document);
        if (document_format(document) != DOCUMENT_JSON)
            fail_msg("%s: %s", valid[i].json, document_problem(document));
        show(document_find(document, path), got, sizeof got);
        if (strcmp(got, valid[i].want) != 0)
            fail_msg("%s of %s: %s, wanted %s", valid[i].path, valid[i].json, got, valid[i].want);
        document_free(document);
        path_free(path);
    }
}

/* ---- what is refused --------------------------------------------------------------------------- */

struct invalid {
    const char *path;
    size_t at;        /* the byte that is named */
    const char *says; /* part of what is said */
};

static const struct invalid invalid[] = {
    /* no query */
    {"", 1, "begins with `$`"},
    {" ", 1, "begins with `$`"},
    {"a", 1, "begins with `$`"},
    {"access_token", 1, "begins with `$`"},
    {".a", 1, "begins with `$`"},
    {"@.a", 1, "begins with `$`"},
    {"['a']", 1, "begins with `$`"},
    {" $", 1, "begins with `$`"},
    {"$ ", 2, "blank at the end"},
    {"$.a ", 4, "blank at the end"},
    {"$.a\n", 4, "blank at the end"},
    {"$a", 2, "is wanted"},
    {"$$", 2, "is wanted"},
    {"$.a$", 4, "is wanted"},
    {"$(a)", 2, "is wanted"},
    {"$.a.b)", 6, "is wanted"},
    /* what selects many */
    {"$.*", 3, "`*` selects many"},
    {"$[*]", 3, "`*` selects many"},
    {"$[ * ]", 4, "`*` selects many"},
    {"$.a.*", 5, "`*` selects many"},
    {"$.a[*].b", 5, "`*` selects many"},
    {"$..", 3, "`..` selects many"},
    {"$..a", 3, "`..` selects many"},
    {"$..*", 3, "`..` selects many"},
    {"$..[0]", 3, "`..` selects many"},
    {"$.a..b", 5, "`..` selects many"},
    {"$[:]", 3, "a slice selects many"},
    {"$[::]", 3, "a slice selects many"},
    {"$[1:]", 4, "a slice selects many"},
    {"$[:2]", 3, "a slice selects many"},
    {"$[0:1]", 4, "a slice selects many"},
    {"$[-1:]", 5, "a slice selects many"},
    {"$[0 :1]", 5, "a slice selects many"},
    {"$[0:5:2]", 4, "a slice selects many"},
    {"$[?@.a]", 3, "a filter selects many"},
    {"$[?(@.a==1)]", 3, "a filter selects many"},
    {"$[ ?@]", 4, "a filter selects many"},
    {"$.a[?@.b]", 5, "a filter selects many"},
    {"$[0,1]", 4, "a list of selectors selects many"},
    {"$['a','b']", 6, "a list of selectors selects many"},
    {"$['a' , 0]", 7, "a list of selectors selects many"},
    {"$[0,*]", 4, "a list of selectors selects many"},
    {"$.*; a singular query is wanted", 3, "selects many; a singular query is wanted"},
    /* names in short */
    {"$.", 3, "a name is wanted"},
    {"$.a.", 5, "a name is wanted"},
    {"$. a", 3, "a name is wanted"},
    {"$.1", 3, "a name is wanted"},
    {"$.0a", 3, "a name is wanted"},
    {"$.-a", 3, "a name is wanted"},
    {"$.$", 3, "a name is wanted"},
    {"$.@a", 3, "a name is wanted"},
    {"$.'a'", 3, "a name is wanted"},
    {"$.\"a\"", 3, "a name is wanted"},
    {"$.[0]", 3, "a name is wanted"},
    {"$.['a']", 3, "a name is wanted"},
    {"$.a-b", 4, "stand in brackets and quotes"},
    {"$.a b", 4, "stand in brackets and quotes"},
    {"$.a#", 4, "is wanted"},
    {"$.&", 3, "a name is wanted"},
    {"$.a\\u0062", 4, "is wanted"},
    {"$.a\x01", 4, "is wanted"},
    {"$.\x80", 3, "not UTF-8"},
    {"$.a\xff", 4, "not UTF-8"},
    {"$.\xc0\xaf", 3, "not UTF-8"},
    {"$.\xed\xa0\x80", 3, "not UTF-8"},
    {"$.\xf4\x90\x80\x80", 3, "not UTF-8"},
    /* brackets */
    {"$[", 3, "an index or a name"},
    {"$[]", 3, "an index or a name"},
    {"$[ ]", 4, "an index or a name"},
    {"$[a]", 3, "an index or a name"},
    {"$[$.a]", 3, "an index or a name"},
    {"$[@.a]", 3, "an index or a name"},
    {"$[(1)]", 3, "an index or a name"},
    {"$[[0]]", 3, "an index or a name"},
    {"$[true]", 3, "an index or a name"},
    {"$[0", 4, "`]` is wanted"},
    {"$['a'", 6, "`]` is wanted"},
    {"$['a'b]", 6, "`]` is wanted"},
    {"$['a''b']", 6, "`]` is wanted"},
    {"$[0 1]", 5, "`]` is wanted"},
    {"$[0)", 4, "`]` is wanted"},
    {"$[0]]", 5, "is wanted"},
    {"$]", 2, "is wanted"},
    /* indexes */
    {"$[01]", 3, "leading zero"},
    {"$[00]", 3, "leading zero"},
    {"$[-0]", 3, "-0"},
    {"$[-01]", 3, "leading zero"},
    {"$[-]", 4, "whole number"},
    {"$[--1]", 4, "whole number"},
    {"$[- 1]", 4, "whole number"},
    {"$[+1]", 3, "an index or a name"},
    {"$[1.0]", 4, "`]` is wanted"},
    {"$[1e2]", 4, "`]` is wanted"},
    {"$[.5]", 3, "an index or a name"},
    {"$[0x1]", 4, "`]` is wanted"},
    {"$[9007199254740992]", 18, "beyond 2^53-1"},
    {"$[-9007199254740992]", 19, "beyond 2^53-1"},
    {"$[99999999999999999999999999]", 18, "beyond 2^53-1"},
    {"$[\xd9\xa1]", 3, "an index or a name"},
    /* strings */
    {"$['a", 5, "does not end"},
    {"$['", 4, "does not end"},
    {"$[\"a", 5, "does not end"},
    {"$['a\"]", 7, "does not end"},
    {"$['a\\", 6, "does not end"},
    {"$['a\\']", 8, "does not end"},
    {"$['\\\"']", 5, "an escape that"},
    {"$[\"\\'\"]", 5, "an escape that"},
    {"$['\\a']", 5, "an escape that"},
    {"$['\\v']", 5, "an escape that"},
    {"$['\\0']", 5, "an escape that"},
    {"$['\\x41']", 5, "an escape that"},
    {"$['\\U0061']", 5, "an escape that"},
    {"$['\\ ']", 5, "an escape that"},
    {"$['\\N']", 5, "an escape that"},
    {"$['\\u']", 5, "four hexadecimal digits"},
    {"$['\\u12']", 5, "four hexadecimal digits"},
    {"$['\\u12g4']", 5, "four hexadecimal digits"},
    {"$['\\u+123']", 5, "four hexadecimal digits"},
    {"$['\\u{61}']", 5, "four hexadecimal digits"},
    {"$['\\u006", 5, "four hexadecimal digits"},
    {"$['\\uD800']", 5, "surrogate"},
    {"$['\\uDC00']", 5, "surrogate"},
    {"$['\\uDBFF']", 5, "surrogate"},
    {"$['\\uDFFF']", 5, "surrogate"},
    {"$['\\uD83D\\uD83D']", 5, "surrogate"},
    {"$['\\uDE00\\uD83D']", 5, "surrogate"},
    {"$['\\uD83Dx']", 5, "surrogate"},
    {"$['\\uD83D\\n']", 5, "surrogate"},
    {"$['\\uD83D\\u0041']", 5, "surrogate"},
    {"$['\\uD83D\\UDE00']", 5, "surrogate"},
    {"$['\n']", 4, "control character"},
    {"$['\t']", 4, "control character"},
    {"$['a\x1f']", 5, "control character"},
    {"$['\x80']", 4, "not UTF-8"},
    {"$['\xed\xa0\x80']", 4, "not UTF-8"},
    {"$['\xc3']", 4, "not UTF-8"},
    /* several queries */
    {"$.a |", 6, "begins with `$`"},
    {"$.a | ", 7, "begins with `$`"},
    {"| $.a", 1, "begins with `$`"},
    {"$.a || $.b", 6, "begins with `$`"},
    {"$.a | b", 7, "begins with `$`"},
    {"$.a | $.*", 9, "`*` selects many"},
    {"$.a $.b", 4, "is wanted"},
    {"$.a, $.b", 4, "is wanted"},
    {"$.a | $.b ", 10, "blank at the end"},
};

static void test_invalid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        struct path *path = NULL;
        struct buf error = buf_make(1024);
        char place[32];
        int result = path_compile(text_of(invalid[i].path), &path, &error);
        snprintf(place, sizeof place, "at byte %zu: ", invalid[i].at);
        if (result != BURSAR_E_CONFIG || path)
            fail_msg("%s is taken", invalid[i].path);
        const char *said = (const char *)error.data;
        if (strncmp(said, place, strlen(place)) != 0 || !strstr(said, invalid[i].says))
            fail_msg("%s: \"%s\", wanted %s… %s", invalid[i].path, said, place, invalid[i].says);
        buf_free(&error);
    }
}

/* ---- limits, and the parts of a path ----------------------------------------------------------- */

static void test_nul(void **state)
{
    static const char nul_in_name[] = "$.a\0b";
    static const char nul_in_string[] = "$['a\0b']";
    struct path *path = NULL;
    struct buf error = buf_make(1024);
    (void)state;
    assert_int_equal(path_compile((struct text){nul_in_name, 5}, &path, &error), BURSAR_E_CONFIG);
    assert_int_equal(path_compile((struct text){nul_in_string, 8}, &path, &error), BURSAR_E_CONFIG);
    assert_int_equal(path_compile((struct text){NULL, 0}, &path, &error), BURSAR_E_CONFIG);
    assert_null(path);
    buf_free(&error);
}

/* `count` times `part` between `head` and nothing. */
static int compile_many(const char *head, const char *part, size_t count)
{
    struct buf text = buf_make(1 << 20);
    struct buf error = buf_make(1024);
    struct path *path = NULL;
    buf_append_string(&text, head);
    for (size_t i = 0; i < count; i++)
        buf_append_string(&text, part);
    int result = path_compile(buf_text(&text), &path, &error);
    assert_int_equal(result == 0, error.len == 0);
    path_free(path);
    buf_free(&error);
    buf_free(&text);
    return result;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(compile_many("$", ".a", PATH_STEPS_MAX), 0);
    assert_int_equal(compile_many("$", ".a", PATH_STEPS_MAX + 1), BURSAR_E_CONFIG);
    assert_int_equal(compile_many("$", "[0]", PATH_STEPS_MAX + 1), BURSAR_E_CONFIG);
    assert_int_equal(compile_many("$", " | $", PATH_QUERIES_MAX - 1), 0);
    assert_int_equal(compile_many("$", " | $", PATH_QUERIES_MAX), BURSAR_E_CONFIG);
    assert_int_equal(compile_many("$.", "a", PATH_BYTES_MAX - 2), 0);
    assert_int_equal(compile_many("$.", "a", PATH_BYTES_MAX - 1), BURSAR_E_CONFIG);
}

static void test_steps(void **state)
{
    const struct path_step *steps;
    struct path *path = compile("$.a['b\\u0063'][-7] | $ | $[\"\"]");
    (void)state;
    assert_int_equal(path_query_count(path), 3);
    assert_int_equal(path_steps(path, 0, &steps), 3);
    assert_true(text_is(steps[0].name, "a"));
    assert_true(text_is(steps[1].name, "bc"));
    assert_null(steps[2].name.data);
    assert_int_equal(steps[2].index, -7);
    assert_int_equal(path_steps(path, 1, &steps), 0);
    assert_int_equal(path_steps(path, 2, &steps), 1);
    assert_true(text_is(steps[0].name, ""));
    path_free(path);
    path_free(NULL);
}

static void test_prefix(void **state)
{
    static const struct {
        const char *text;
        size_t len; /* of the path in it */
    } cases[] = {{"$.a == 1", 3},    {"$ exists", 1},          {"$.a | $.b != 2", 9},
                 {"$['='] == 3", 6}, {"$.a\t\t.b  absent", 7}, {"$[0]==1", 4}};
    struct buf error = buf_make(1024);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct path *path = NULL;
        size_t len = 0;
        assert_int_equal(path_compile_prefix(text_of(cases[i].text), &path, &len, &error), 0);
        assert_int_equal(len, cases[i].len);
        path_free(path);
    }
    buf_free(&error);
}

/* A provider's paths: each is compiled once, and none but its own are known. */
static void test_paths(void **state)
{
    static const struct bursar_option one = {.name = "one", .type = BURSAR_OPTION_PATH};
    static const struct bursar_option many = {.name = "many", .type = BURSAR_OPTION_PATHS};
    static const struct bursar_option other = {.name = "other", .type = BURSAR_OPTION_STRING};
    char a[] = "$.a", b[] = "$.b.c", c[] = "$.c", wrong[] = "a path?";
    struct setting_item items[] = {{NULL, b}, {NULL, wrong}};
    struct setting values[] = {{.option = &one, .text = a},
                               {.option = &many, .items = items, .item_count = 2},
                               {.option = &other, .text = c}};
    const struct settings settings = {.values = values, .count = 3};
    struct paths *paths = paths_make(&settings);
    const struct path_step *steps;
    (void)state;
    assert_non_null(paths);
    const struct path *found = paths_find(paths, text_of(b));
    assert_non_null(found);
    assert_int_equal(path_steps(found, 0, &steps), 2);
    assert_true(text_is(steps[1].name, "c"));
    assert_ptr_equal(paths_find(paths, text_of(b)), found);
    assert_ptr_not_equal(paths_find(paths, text_of(a)), found);
    assert_null(paths_find(paths, text_of(wrong)));
    assert_null(paths_find(paths, text_of(c)));
    assert_null(paths_find(paths, TEXT_LITERAL("$.a")));
    assert_null(paths_find(paths, (struct text){b, 3})); /* a module's own, of a part of it */
    assert_null(paths_find(NULL, text_of(a)));
    paths_free(paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid), cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_nul),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_steps), cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
