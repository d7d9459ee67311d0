#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "body.h"
#include "wire/tree.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { RANDOM_BODIES = 200000, RANDOM_MAX = 200 };

static int set_up(void **state)
{
    *state = tree_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    tree_free(*state);
    tree_free(NULL);
    return 0;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* depth arrays or maps inside each other, the innermost empty or with a number in it. */
static struct buf nested(size_t depth, bool is_map, bool is_empty)
{
    struct buf body = buf_make(200);
    for (size_t i = 0; i < depth; i++) {
        bool has_none = is_empty && i == depth - 1;
        buf_append_byte(&body, (uint8_t)((is_map ? 0x80 : 0x90) + (has_none ? 0 : 1)));
        if (is_map && !has_none)
            buf_append_byte(&body, 1);
    }
    if (!is_empty)
        buf_append_byte(&body, 1);
    return body;
}

static void test_depth(void **state)
{
    assert_int_equal(BURSAR_MAX_NESTING, 16);
    for (size_t depth = 1; depth < 60; depth++) {
        for (unsigned form = 0; form < 4; form++) {
            struct buf body = nested(depth, form & 1, form & 2);
            if (tree_fill(*state, buf_text(&body)) != (depth <= 16 ? 0 : BURSAR_E_BAD_REQUEST))
                fail_msg("depth %zu, form %u", depth, form);
            buf_free(&body);
        }
    }
}

/* Wide is not deep: a value beside a deep one begins at its own depth. */
static void test_depth_of_siblings(void **state)
{
    struct buf body = buf_make(2000);
    buf_append(&body, "\xdc\x00\x14", 3);
    for (int i = 0; i < 20; i++) {
        struct buf one = nested(15, i & 1, i & 2);
        buf_append_text(&body, buf_text(&one));
        buf_free(&one);
    }
    assert_int_equal(tree_fill(*state, buf_text(&body)), 0);
    body.len--;
    assert_int_equal(tree_fill(*state, buf_text(&body)), BURSAR_E_BAD_REQUEST);
    buf_free(&body);
}

static void test_huge_counts(void **state)
{
    static const struct text bodies[] = {
        T("\xdd\xff\xff\xff\xff"),
        T("\xdf\xff\xff\xff\xff"),
        T("\xdd\x7f\xff\xff\xff\x01"),
        T("\xdf\x80\x00\x00\x00\x01"),
        T("\xdc\xff\xff"),
        T("\xde\xff\xff"),
        T("\xdc\x00\x02\x01"),
        T("\xde\x00\x01\x01"),
        T("\x92\x01"),
        T("\x81\x01"),
        T("\xdb\xff\xff\xff\xff"),
        T("\xc6\xff\xff\xff\xff"),
        T("\xc9\xff\xff\xff\xff\x01"),
        T("\xda\xff\xff"),
        T("\xd9\x02"
          "a"),
        T("\xc4\x02"
          "a"),
        T("\xa2"
          "a"),
        T("\x92\x01\xdd\xff\xff\xff\xff"),
        T("\x81\x01\xdf\x00\x10\x00\x00"),
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        if (tree_fill(*state, bodies[i]) != BURSAR_E_BAD_REQUEST)
            fail_msg("body %zu", i);
    }
}

/* Every kind of value, in every form that there is to write it. */
static const char all_forms[] =
    "\xde\x00\x04"
    "\xa1"
    "a"
    "\xdc\x00\x1c"
    "\xc0\xc2\xc3\x00\x7f\xe0\xff"
    "\xcc\xff\xcd\x12\x34\xce\x12\x34\x56\x78\xcf\x12\x34\x56\x78\x9a\xbc\xde\xf0"
    "\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00"
    "\xca\x3f\x80\x00\x00\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"
    "\xc4\x01"
    "b"
    "\xc5\x00\x01"
    "b"
    "\xc6\x00\x00\x00\x01"
    "b"
    "\xc7\x01\x05"
    "e"
    "\xc8\x00\x01\x05"
    "e"
    "\xc9\x00\x00\x00\x01\x05"
    "e"
    "\xd4\x05"
    "1"
    "\xd5\x05"
    "12"
    "\xd6\x05"
    "1234"
    "\xd7\x05"
    "12345678"
    "\xd8\x05"
    "1234567890123456"
    "\xd9\x01"
    "s"
    "\xda\x00\x03"
    "str"
    "\xdb\x00\x00\x00\x03"
    "str"
    "\xdd\x00\x00\x00\x01\x01\xdf\x00\x00\x00\x01\x01\x02\x81\x03\x90";

static void test_every_form(void **state)
{
    struct text body = T(all_forms);
    assert_int_equal(tree_fill(*state, body), 0);
    static const enum node_type types[] = {
        NODE_NIL,      NODE_BOOL,     NODE_BOOL,     NODE_UINT,   NODE_UINT,   NODE_NEGATIVE,
        NODE_NEGATIVE, NODE_UINT,     NODE_UINT,     NODE_UINT,   NODE_UINT,   NODE_NEGATIVE,
        NODE_NEGATIVE, NODE_NEGATIVE, NODE_NEGATIVE, NODE_DOUBLE, NODE_DOUBLE, NODE_BYTES,
        NODE_BYTES,    NODE_BYTES,    NODE_OTHER,    NODE_OTHER,  NODE_OTHER,  NODE_OTHER,
        NODE_OTHER,    NODE_OTHER,    NODE_OTHER,    NODE_OTHER,
    };
    const struct node *list = node_get(tree_root(*state), "a");
    assert_int_equal(node_count(list), COUNT(types));
    for (size_t i = 0; i < COUNT(types); i++)
        assert_int_equal(node_type(node_item(list, i)), types[i]);
    assert_true(text_is(node_text(node_get(tree_root(*state), "s")), "str"));
    for (size_t len = 0; len < body.len; len++) {
        char *cut = malloc(len + 1); /* so that reading behind it is seen */
        memcpy(cut, body.data, len);
        if (tree_fill(*state, (struct text){cut, len}) != BURSAR_E_BAD_REQUEST)
            fail_msg("cut to %zu", len);
        free(cut);
    }
    char longer[sizeof all_forms + 1];
    memcpy(longer, all_forms, sizeof all_forms - 1);
    for (int extra = 0; extra < 256; extra++) {
        longer[body.len] = (char)extra;
        assert_int_equal(tree_fill(*state, (struct text){longer, body.len + 1}),
                         BURSAR_E_BAD_REQUEST);
    }
    assert_int_equal(tree_fill(*state, T("\xc1")), BURSAR_E_BAD_REQUEST);
    assert_int_equal(tree_fill(*state, T("\x91\xc1")), BURSAR_E_BAD_REQUEST);
    assert_int_equal(tree_fill(*state, (struct text){NULL, 0}), BURSAR_E_BAD_REQUEST);
}

/* ---- a second opinion ------------------------------------------------------------------------ */

/* The specification once more, by recursion: where the value at `at` ends, or 0. */
static size_t end_of(const uint8_t *body, size_t len, size_t at, size_t depth);

static size_t end_of_values(const uint8_t *body, size_t len, size_t at, uint64_t count,
                            size_t depth)
{
    if (depth > BURSAR_MAX_NESTING)
        return 0;
    while (count-- > 0) {
        at = end_of(body, len, at, depth);
        if (at == 0)
            return 0;
    }
    return at;
}

static uint64_t big_endian(const uint8_t *body, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value * 256 + body[i];
    return value;
}

static size_t end_of(const uint8_t *body, size_t len, size_t at, size_t depth)
{
    static const char fixed[] = "\x01\x00\x01\x01\x00\x00\x00\x00\x00\x00\x05\x09\x02\x03\x05\x09"
                                "\x02\x03\x05\x09\x03\x04\x06\x0a\x12";
    if (at >= len)
        return 0;
    uint8_t first = body[at];
    size_t end;
    if (first <= 0x7f || first >= 0xe0)
        return at + 1;
    if (first <= 0x8f)
        return end_of_values(body, len, at + 1, (first & 15U) * 2, depth + 1);
    if (first <= 0x9f)
        return end_of_values(body, len, at + 1, first & 15, depth + 1);
    if (first <= 0xbf) {
        end = at + 1 + (first & 31);
    } else if (first <= 0xd8 && fixed[first - 0xc0] != 0) {
        end = at + (size_t)fixed[first - 0xc0];
    } else if (first == 0xc1) {
        return 0;
    } else {
        size_t kind = first <= 0xc9   ? (first - 0xc4U) % 3
                      : first <= 0xdb ? first - 0xd9U
                                      : (first & 1) + 1U;
        size_t width = (size_t)1 << kind;
        if (at + 1 + width > len)
            return 0;
        uint64_t count = big_endian(body + at + 1, width);
        at += 1 + width;
        if (first >= 0xdc)
            return end_of_values(body, len, at, count * (first >= 0xde ? 2 : 1), depth + 1);
        end = at + count + (first >= 0xc7 && first <= 0xc9);
    }
    return end <= len ? end : 0;
}

static void check_opinion(struct tree *tree, const uint8_t *body, size_t len)
{
    bool is_one_value = len > 0 && end_of(body, len, 0, 0) == len;
    int result = tree_fill(tree, (struct text){(const char *)body, len});
    if (result == (is_one_value ? 0 : BURSAR_E_BAD_REQUEST)) {
        if (result != 0)
            return;
        struct buf again = buf_make(100000);
        node_pack(tree_root(tree), &again);
        assert_int_equal(buf_error(&again), 0);
        assert_true(again.len <= len);
        assert_int_equal(tree_fill(tree, buf_text(&again)), 0);
        buf_free(&again);
        return;
    }
    struct buf hex = buf_make(10000);
    for (size_t i = 0; i < len; i++)
        buf_printf(&hex, "%02x", body[i]);
    fail_msg("%s gives %d", (char *)hex.data, result);
}

static uint32_t next(uint32_t *random)
{
    *random = *random * 1664525 + 1013904223;
    return *random >> 8;
}

static void test_random_bodies(void **state)
{
    uint32_t random = 1;
    for (int i = 0; i < RANDOM_BODIES; i++) {
        size_t len = next(&random) % RANDOM_MAX >> (next(&random) % 8);
        uint8_t *body = malloc(len + 1);
        for (size_t k = 0; k < len; k++) {
            /* Half of the bytes are heads of containers and small values: more of it is right. */
            uint32_t byte = next(&random);
            body[k] = (uint8_t)(byte & 0x100 ? 0x80 + (byte & 0x13) : byte);
        }
        check_opinion(*state, body, len);
        free(body);
    }
}

static void test_mutated_bodies(void **state)
{
    struct text right = T(all_forms);
    uint32_t random = 7;
    for (size_t at = 0; at < right.len; at++) {
        uint8_t body[sizeof all_forms];
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(body, right.data, right.len);
            body[at] = (uint8_t)byte;
            check_opinion(*state, body, right.len);
        }
        for (int i = 0; i < 50; i++) {
            memcpy(body, right.data, right.len);
            for (uint32_t k = 0; k < 4; k++)
                body[next(&random) % right.len] = (uint8_t)next(&random);
            check_opinion(*state, body, right.len);
        }
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static const struct node *only(struct tree *tree, struct text body)
{
    assert_int_equal(tree_fill(tree, body), 0);
    return tree_root(tree);
}

static void test_numbers(void **state)
{
    static const struct {
        struct text body;
        enum node_type type;
        uint64_t as_uint;
        int64_t as_int;
        double as_double;
    } cases[] = {
        {T("\x07"), NODE_UINT, 7, 7, 7},
        {T("\xd0\x07"), NODE_UINT, 7, 7, 7},
        {T("\xcd\x01\x00"), NODE_UINT, 256, 256, 256},
        {T("\xff"), NODE_NEGATIVE, 0, -1, -1},
        {T("\xd1\xff\x00"), NODE_NEGATIVE, 0, -256, -256},
        {T("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), NODE_NEGATIVE, 0, INT64_MIN, -0x1p63},
        {T("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), NODE_UINT, INT64_MAX, INT64_MAX, 0x1p63},
        {T("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), NODE_UINT, UINT64_MAX, INT64_MAX, 0x1p64},
        {T("\xca\x3f\x00\x00\x00"), NODE_DOUBLE, 0, 0, 0.5},
        {T("\xcb\xbf\xe0\x00\x00\x00\x00\x00\x00"), NODE_DOUBLE, 0, 0, -0.5},
        {T("\xa1"
           "7"),
         NODE_TEXT, 0, 0, 0},
        {T("\xc3"), NODE_BOOL, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct node *node = only(*state, cases[i].body);
        assert_int_equal(node_type(node), cases[i].type);
        assert_true(node_uint(node) == cases[i].as_uint);
        assert_true(node_int(node) == cases[i].as_int);
        assert_true(node_double(node) == cases[i].as_double);
    }
}

static void test_other_values(void **state)
{
    assert_true(node_bool(only(*state, T("\xc3"))));
    assert_false(node_bool(only(*state, T("\xc2"))));
    assert_false(node_bool(only(*state, T("\x01"))));
    assert_true(text_equal(node_text(only(*state, T("\xa3"
                                                    "a\0b"))),
                           T("a\0b")));
    assert_true(text_equal(node_text(only(*state, T("\xc4\x02\xff\x00"))), T("\xff\0")));
    assert_null(node_text(only(*state, T("\x01"))).data);
    assert_int_equal(node_count(only(*state, T("\x93\x01\x02\x03"))), 3);
    assert_int_equal(node_count(only(*state, T("\x81\x01\x02"))), 1);
    assert_int_equal(node_count(only(*state, T("\xa3"
                                               "abc"))),
                     0);
    assert_int_equal(node_type(NULL), NODE_NIL);
    assert_int_equal(node_count(NULL), 0);
    assert_null(node_text(NULL).data);
    assert_null(node_get(NULL, "a"));
    assert_true(node_uint(NULL) == 0 && node_int(NULL) == 0 && node_double(NULL) == 0);
    assert_false(node_bool(NULL));
}

static void test_maps(void **state)
{
    struct buf body = body_of("{\"a\": 1, \"bin:a\": 2, \"ab\": [3, 4], \"a\": 5, 7: 8}");
    const struct node *map = only(*state, buf_text(&body));
    const struct node *key, *value;
    assert_int_equal(node_count(map), 5);
    assert_true(node_uint(node_get(map, "a")) == 1); /* the first, and no binary key */
    assert_true(node_uint(node_item(node_get(map, "ab"), 1)) == 4);
    assert_null(node_get(map, "b"));
    assert_null(node_get(map, ""));
    assert_null(node_get(node_get(map, "ab"), "a"));
    node_pair(map, 4, &key, &value);
    assert_true(node_uint(key) == 7 && node_uint(value) == 8);
    buf_free(&body);
}

/* A tree that has refused a body is as good as a new one. */
static void test_filled_again(void **state)
{
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tree_fill(*state, T("\x92\x01\xa3"
                                             "abc")),
                         0);
        assert_true(text_is(node_text(node_item(tree_root(*state), 1)), "abc"));
        assert_int_equal(tree_fill(*state, T("\x92\x01\xa3"
                                             "ab")),
                         BURSAR_E_BAD_REQUEST);
        assert_int_equal(node_type(tree_root(*state)), NODE_NIL);
    }
}

static void test_cleared(void **state)
{
    struct buf packed = buf_make(10);
    assert_int_equal(tree_fill(*state, T("\x81\xa1k\x01")), 0);
    tree_clear(*state);
    assert_int_equal(node_type(tree_root(*state)), NODE_MAP);
    assert_int_equal(node_count(tree_root(*state)), 0);
    assert_null(node_get(tree_root(*state), "k"));
    node_pack(tree_root(*state), &packed);
    assert_true(text_is(buf_text(&packed), "\x80"));
    buf_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_depth_of_siblings),
        cmocka_unit_test(test_huge_counts),   cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_random_bodies), cmocka_unit_test(test_mutated_bodies),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_maps),          cmocka_unit_test(test_filled_again),
        cmocka_unit_test(test_cleared),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
