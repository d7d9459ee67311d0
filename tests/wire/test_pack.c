#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <msgpack.h>

#include "body.h"
#include "wire/pack.h"
#include "wire/tree.h"

#define T(s) TEXT_LITERAL(s)

static struct buf make_reply(size_t max)
{
    struct buf out = buf_make(max), raw = body_of("[1, {\"x\": null}]");
    struct pack map = pack_map(&out);
    pack_text(&map, "text", T("a\0b"));
    pack_text(&map, "absent", (struct text){NULL, 0});
    pack_text(&map, "empty", T(""));
    pack_string(&map, "string", "über");
    pack_string(&map, "no string", NULL);
    pack_uint(&map, "uint", UINT64_MAX);
    pack_int(&map, "int", INT64_MIN);
    pack_int(&map, "positive", 5);
    pack_double(&map, "double", 0.25);
    pack_bool(&map, "yes", true);
    pack_bool(&map, "no", false);
    pack_raw(&map, "raw", buf_text(&raw));
    struct pack list = pack_array_in(&map, "list");
    pack_item_text(&list, T("one"));
    pack_item_text(&list, (struct text){NULL, 0});
    pack_item_uint(&list, 2);
    struct pack inner = pack_item_map(&list);
    pack_uint(&inner, "deep", 3);
    pack_close(&inner);
    pack_item_raw(&list, buf_text(&raw));
    pack_close(&list);
    struct pack empty = pack_map_in(&map, "empty map");
    pack_close(&empty);
    pack_key(&map, "key");
    struct pack array = pack_array(&out);
    pack_close(&array);
    pack_close(&map);
    buf_free(&raw);
    return out;
}

static void check_list(const struct node *list)
{
    assert_int_equal(node_count(list), 5);
    assert_true(text_is(node_text(node_item(list, 0)), "one"));
    assert_int_equal(node_type(node_item(list, 1)), NODE_NIL);
    assert_true(node_uint(node_item(list, 2)) == 2);
    assert_true(node_uint(node_get(node_item(list, 3), "deep")) == 3);
    assert_int_equal(node_count(node_item(list, 4)), 2);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct buf out = make_reply(1000);
    struct tree *tree = tree_new();
    assert_int_equal(buf_error(&out), 0);
    assert_int_equal(tree_fill(tree, buf_text(&out)), 0);
    const struct node *map = tree_root(tree);
    assert_int_equal(node_type(map), NODE_MAP);
    assert_int_equal(node_count(map), 15);
    assert_true(text_equal(node_text(node_get(map, "text")), T("a\0b")));
    assert_int_equal(node_type(node_get(map, "absent")), NODE_NIL);
    assert_non_null(node_get(map, "absent"));
    assert_true(text_equal(node_text(node_get(map, "empty")), T("")));
    assert_true(text_is(node_text(node_get(map, "string")), "über"));
    assert_int_equal(node_type(node_get(map, "no string")), NODE_NIL);
    assert_true(node_uint(node_get(map, "uint")) == UINT64_MAX);
    assert_true(node_int(node_get(map, "int")) == INT64_MIN);
    assert_int_equal(node_type(node_get(map, "positive")), NODE_UINT);
    assert_true(node_int(node_get(map, "positive")) == 5);
    assert_true(node_double(node_get(map, "double")) == 0.25);
    assert_int_equal(node_type(node_get(map, "yes")), NODE_BOOL);
    assert_true(node_bool(node_get(map, "yes")));
    assert_int_equal(node_type(node_get(map, "no")), NODE_BOOL);
    assert_false(node_bool(node_get(map, "no")));
    assert_true(node_uint(node_item(node_get(map, "raw"), 0)) == 1);
    check_list(node_get(map, "list"));
    assert_int_equal(node_type(node_get(map, "empty map")), NODE_MAP);
    assert_int_equal(node_type(node_get(map, "key")), NODE_ARRAY);
    tree_free(tree);
    buf_free(&out);
}

/* The pairs of a map that was packed here become pairs of another one. */
static void test_splice(void **state)
{
    (void)state;
    struct buf inner = buf_make(10000), out = buf_make(10000);
    struct tree *tree = tree_new();
    struct pack map = pack_map(&inner);
    char key[16];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "key %u", i);
        pack_uint(&map, key, i);
    }
    pack_close(&map);
    map = pack_map(&out);
    pack_uint(&map, "first", 7);
    pack_splice(&map, buf_text(&inner));
    pack_splice(&map, (struct text){NULL, 0});
    pack_splice(&map, T("\x81\x01\x02\x03\x04")); /* not as a map is packed here */
    pack_splice(&map, T("\xdf\x00\x00"));
    pack_splice(&map, T("\xdf\x00\x00\x00\x00"));
    pack_uint(&map, "last", 8);
    pack_close(&map);
    assert_int_equal(tree_fill(tree, buf_text(&out)), 0);
    const struct node *root = tree_root(tree);
    assert_int_equal(node_count(root), 302);
    assert_true(node_uint(node_get(root, "first")) == 7 && node_uint(node_get(root, "last")) == 8);
    assert_true(node_uint(node_get(root, "key 0")) == 0);
    assert_true(node_uint(node_get(root, "key 299")) == 299);
    tree_free(tree);
    buf_free(&out);
    buf_free(&inner);
}

/* Counts of every size come out as they went in. */
static void test_counts(void **state)
{
    (void)state;
    struct tree *tree = tree_new();
    for (size_t count = 0; count < 70000; count = count * 2 + 15) {
        struct buf out = buf_make(1000000);
        struct pack map = pack_map(&out);
        struct pack list = pack_array_in(&map, "list");
        for (size_t i = 0; i < count; i++)
            pack_item_uint(&list, i);
        pack_close(&list);
        pack_uint(&map, "after", 1);
        pack_close(&map);
        assert_int_equal(tree_fill(tree, buf_text(&out)), 0);
        const struct node *node = node_get(tree_root(tree), "list");
        assert_int_equal(node_count(node), count);
        if (count > 0)
            assert_true(node_uint(node_item(node, count - 1)) == count - 1);
        assert_int_equal(node_count(tree_root(tree)), 2);
        buf_free(&out);
    }
    tree_free(tree);
}

/* Whatever of it no longer fits, the failure is told at the end and nothing is written beyond. */
static void test_every_max(void **state)
{
    (void)state;
    struct buf whole = make_reply(1000);
    for (size_t max = 0; max < whole.len; max++) {
        struct buf out = make_reply(max);
        assert_int_equal(buf_error(&out), BURSAR_E_TOO_BIG);
        assert_true(out.len <= max);
        buf_free(&out);
    }
    struct buf out = make_reply(whole.len);
    assert_int_equal(buf_error(&out), 0);
    assert_true(text_equal(buf_text(&out), buf_text(&whole)));
    buf_free(&out);
    buf_free(&whole);
}

/* What node_pack() writes is the value that was read, for each type. */
static void test_repacked(void **state)
{
    (void)state;
    struct buf body = body_of("{\"a\": [null, true, false, 0, 127, 128, 65536, 4294967296, -1, -33,"
                              " -129, -32769, -2147483649, 0.5, \"t\", \"bin:b\", [], {}],"
                              " \"b\": {\"c\": {\"d\": [[]]}}}");
    struct buf again = buf_make(1000);
    struct tree *tree = tree_new();
    assert_int_equal(tree_fill(tree, buf_text(&body)), 0);
    node_pack(tree_root(tree), &again);
    assert_true(text_equal(buf_text(&again), buf_text(&body)));
    buf_clear(&again);
    node_pack(NULL, &again);
    assert_true(text_equal(buf_text(&again), T("\xc0")));
    struct buf small = buf_make(5);
    node_pack(tree_root(tree), &small);
    assert_int_equal(buf_error(&small), BURSAR_E_TOO_BIG);
    tree_free(tree);
    buf_free(&small);
    buf_free(&again);
    buf_free(&body);
}

/* Short texts are written without the packer: byte for byte as it writes them. */
static void test_text_lengths(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 300; len++) {
        char text[300];
        msgpack_sbuffer expected;
        msgpack_packer packer;
        struct buf out = buf_make(400);
        memset(text, 'x', sizeof text);
        msgpack_sbuffer_init(&expected);
        msgpack_packer_init(&packer, &expected, msgpack_sbuffer_write);
        msgpack_pack_str_with_body(&packer, text, len);
        struct pack list = pack_array(&out);
        size_t head = out.len;
        pack_item_text(&list, (struct text){text, len});
        pack_close(&list);
        assert_int_equal(out.len - head, expected.size);
        assert_memory_equal(out.data + head, expected.data, expected.size);
        msgpack_sbuffer_destroy(&expected);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_splice),
        cmocka_unit_test(test_counts),     cmocka_unit_test(test_every_max),
        cmocka_unit_test(test_repacked),   cmocka_unit_test(test_text_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
