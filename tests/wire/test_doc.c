#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "body.h"
#include "wire/doc.h"
#include "wire/pack.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int set_up(void **state)
{
    *state = tree_new();
    return *state && secret_arena_open(1 << 20) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    tree_free(*state);
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return used_bytes == 0 ? 0 : -1;
}

/* Reads a put written as JSON; the message is left in error. */
static int read_put(struct tree *tree, const char *json, struct doc_put *out, struct buf *error)
{
    struct buf body = body_of(json);
    assert_int_equal(tree_fill(tree, buf_text(&body)), 0);
    buf_clear(error);
    int result = doc_read_put(tree_root(tree), out, error);
    assert_int_equal(result == 0, error->len == 0);
    buf_free(&body);
    return result;
}

static void expect_packed(const struct buf *packed, const char *json)
{
    struct tree *tree = tree_new();
    struct buf expected = body_of(json), compact = buf_make(100000);
    assert_int_equal(tree_fill(tree, buf_text(packed)), 0);
    node_pack(tree_root(tree), &compact); /* counts in their shortest form */
    if (!text_equal(buf_text(&compact), buf_text(&expected)))
        fail_msg("not %s", json);
    buf_free(&expected);
    buf_free(&compact);
    tree_free(tree);
}

static const struct {
    const char *put, *secret, *grant; /* NULL: nothing stays */
} right[] = {
    {"{\"kind\": \"oauth2\", \"access_token\": \"at\"}",
     "{\"kind\": \"oauth2\", \"access_token\": \"at\"}", NULL},
    {"{\"kind\": \"oauth2\", \"access_token\": \"at\", \"refresh_token\": \"rt\","
     " \"token_type\": \"Bearer\", \"scopes\": [\"a\", \"b\"],"
     " \"refresh_token_expires_at\": 1900000000, \"fields\": {\"id\": \"7\", \"empty\": \"\"}}",
     "{\"kind\": \"oauth2\", \"access_token\": \"at\", \"token_type\": \"Bearer\","
     " \"scopes\": [\"a\", \"b\"], \"fields\": {\"id\": \"7\", \"empty\": \"\"}}",
     "{\"refresh_token\": \"rt\", \"refresh_token_expires_at\": 1900000000}"},
    {"{\"refresh_token\": \"rt\", \"kind\": \"oauth2\"}", "{\"kind\": \"oauth2\"}",
     "{\"refresh_token\": \"rt\"}"},
    {"{\"kind\": \"oauth2\", \"access_token\": \"at\", \"refresh_token\": null}",
     "{\"kind\": \"oauth2\", \"access_token\": \"at\"}", NULL},
    {"{\"kind\": \"api_key\", \"api_key\": \"k\"}", "{\"kind\": \"api_key\", \"api_key\": \"k\"}",
     NULL},
    {"{\"kind\": \"api_key\", \"api_key\": \"k\", \"api_secret\": \"s\"}",
     "{\"kind\": \"api_key\", \"api_key\": \"k\", \"api_secret\": \"s\"}", NULL},
    {"{\"kind\": \"basic\", \"username\": \"u\", \"password\": \"p\"}",
     "{\"kind\": \"basic\", \"username\": \"u\", \"password\": \"p\"}", NULL},
    {"{\"kind\": \"bearer\", \"token\": \"t\"}", "{\"kind\": \"bearer\", \"token\": \"t\"}", NULL},
    {"{\"kind\": \"header\", \"name\": \"X-Key\", \"value\": \"v\"}",
     "{\"kind\": \"header\", \"name\": \"X-Key\", \"value\": \"v\"}", NULL},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{\"in\": \"header\", \"name\": \"A\","
     " \"value\": \"t\"}, {\"in\": \"query\", \"name\": \"q\", \"value\": \"\"},"
     " {\"in\": \"cookie\", \"name\": \"c\", \"value\": \"1\"}]}",
     "{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{\"in\": \"header\", \"name\": \"A\","
     " \"value\": \"t\"}, {\"in\": \"query\", \"name\": \"q\", \"value\": \"\"},"
     " {\"in\": \"cookie\", \"name\": \"c\", \"value\": \"1\"}]}",
     NULL},
    /* What nobody knows, and what belongs to another kind, is left out. */
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"password\": \"p\", \"refresh_token\": 7,"
     " \"other\": [], 5: 6, \"token_type\": null, \"bin:token\": \"u\"}",
     "{\"kind\": \"bearer\", \"token\": \"t\"}", NULL},
    {"{\"kind\": \"api_key\", \"api_key\": \"k\", \"api_secret\": \"line\n two ü\"}",
     "{\"kind\": \"api_key\", \"api_key\": \"k\", \"api_secret\": \"line\n two ü\"}", NULL},
};

static void test_right(void **state)
{
    struct buf error = buf_make(500);
    for (size_t i = 0; i < COUNT(right); i++) {
        struct doc_put put;
        if (read_put(*state, right[i].put, &put, &error) != 0)
            fail_msg("%s: %s", right[i].put, (char *)error.data);
        assert_true(put.secret.is_secret);
        expect_packed(&put.secret, right[i].secret);
        assert_int_equal(tree_fill(*state, buf_text(&put.secret)), 0);
        assert_true(text_is(doc_part(tree_root(*state), "kind"), put.kind));
        assert_int_equal(put.has_refresh_token, right[i].grant != NULL);
        if (right[i].grant) {
            assert_true(put.grant.is_secret);
            expect_packed(&put.grant, right[i].grant);
        } else {
            assert_int_equal(put.grant.len, 0);
        }
        assert_int_equal(put.has_refresh_expires_at, i == 1);
        assert_int_equal(put.refresh_expires_at, i == 1 ? 1900000000 : 0);
        doc_put_free(&put);
    }
    buf_free(&error);
}

static const struct {
    const char *put, *message;
} wrong[] = {
#define KINDS "secret.kind must be oauth2, api_key, basic, bearer or header"
#define NON_EMPTY " must be a non-empty text"
#define MAP "secret.fields must be a map of at most 64 texts, each once"
#define APPLY "secret.apply must be a list of {in: header|query|cookie, name, value}"
    {"{}", KINDS},
    {"[]", KINDS},
    {"{\"kind\": null}", KINDS},
    {"{\"kind\": \"\"}", KINDS},
    {"{\"kind\": \"OAuth2\", \"access_token\": \"a\"}", KINDS},
    {"{\"kind\": \"bin:bearer\", \"token\": \"a\"}", KINDS}, /* a binary is no text */
    {"{\"kind\": 1}", KINDS},
    {"{\"kind\": \"oauth2\"}", "secret.access_token or refresh_token is required for this kind"},
    {"{\"kind\": \"oauth2\", \"access_token\": null}",
     "secret.access_token or refresh_token is required for this kind"},
    {"{\"kind\": \"api_key\"}", "secret.api_key is required for this kind"},
    {"{\"kind\": \"api_key\", \"api_secret\": \"s\"}", "secret.api_key is required for this kind"},
    {"{\"kind\": \"basic\", \"password\": \"p\"}", "secret.username is required for this kind"},
    {"{\"kind\": \"basic\", \"username\": \"u\"}", "secret.password is required for this kind"},
    {"{\"kind\": \"bearer\", \"token\": null}", "secret.token is required for this kind"},
    {"{\"kind\": \"header\", \"value\": \"v\"}", "secret.name is required for this kind"},
    {"{\"kind\": \"header\", \"name\": \"n\", \"value\": \"v\r\nX: y\"}",
     "secret.value must not have line breaks"},
    {"{\"kind\": \"bearer\", \"token\": \"t\nu\"}", "secret.token must not have line breaks"},
    {"{\"kind\": \"header\", \"name\": \"n\"}", "secret.value is required for this kind"},
    {"{\"kind\": \"oauth2\", \"access_token\": \"\"}", "secret.access_token" NON_EMPTY},
    {"{\"kind\": \"oauth2\", \"access_token\": 5}", "secret.access_token" NON_EMPTY},
    {"{\"kind\": \"oauth2\", \"access_token\": \"bin:a\"}", "secret.access_token" NON_EMPTY},
    {"{\"kind\": \"oauth2\", \"refresh_token\": [\"a\"]}", "secret.refresh_token" NON_EMPTY},
    {"{\"kind\": \"oauth2\", \"refresh_token\": \"\"}", "secret.refresh_token" NON_EMPTY},
    {"{\"kind\": \"bearer\", \"token\": \"\xff\"}", "secret.token" NON_EMPTY},
    {"{\"kind\": \"bearer\", \"token\": \"ok\xc3\"}", "secret.token" NON_EMPTY},
    {"{\"kind\": \"bearer\", \"token\": \"a\", \"token\": \"b\"}", "secret.token stands twice"},
    {"{\"kind\": \"oauth2\", \"refresh_token\": \"a\", \"refresh_token\": \"b\"}",
     "secret.refresh_token stands twice"},
    {"{\"kind\": \"oauth2\", \"access_token\": \"a\", \"scopes\": \"a b\"}",
     "secret.scopes must be a list of texts"},
    {"{\"kind\": \"oauth2\", \"access_token\": \"a\", \"scopes\": [1]}",
     "secret.scopes must be a list of texts"},
    {"{\"kind\": \"oauth2\", \"refresh_token\": \"a\", \"refresh_token_expires_at\": -1}",
     "secret.refresh_token_expires_at must be seconds since 1970"},
    {"{\"kind\": \"oauth2\", \"refresh_token\": \"a\", \"refresh_token_expires_at\": \"1\"}",
     "secret.refresh_token_expires_at must be seconds since 1970"},
    {"{\"kind\": \"oauth2\", \"refresh_token\": \"a\","
     " \"refresh_token_expires_at\": 9223372036854775808}",
     "secret.refresh_token_expires_at must be seconds since 1970"},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"fields\": []}", MAP},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"fields\": {\"a\": 1}}", MAP},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"fields\": {1: \"a\"}}", MAP},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"fields\": {\"a\": \"\xff\"}}", MAP},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"fields\": {\"a\": \"1\", \"b\": \"2\","
     " \"a\": \"3\"}}",
     MAP},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": {}}", APPLY},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [1]}", APPLY},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{}]}", APPLY},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{\"in\": \"body\", \"name\": \"n\","
     " \"value\": \"v\"}]}",
     APPLY},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{\"in\": \"header\","
     " \"value\": \"v\"}]}",
     APPLY},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{\"in\": \"query\", \"name\": \"n\"}]}",
     APPLY},
    {"{\"kind\": \"bearer\", \"token\": \"t\", \"apply\": [{\"in\": \"query\", \"name\": \"n\","
     " \"value\": 1}]}",
     APPLY},
};

static void test_wrong(void **state)
{
    struct buf error = buf_make(500);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct doc_put put = {.kind = "as it was"};
        int result = read_put(*state, wrong[i].put, &put, &error);
        if (result != BURSAR_E_BAD_REQUEST || !text_is(buf_text(&error), wrong[i].message))
            fail_msg("%s: %s", wrong[i].put, (char *)error.data);
        assert_string_equal(put.kind, "as it was");
    }
    assert_int_equal(secret_arena_info().used_bytes, 0);
    buf_free(&error);
}

static struct buf put_with(const char *name, size_t len, size_t fields)
{
    struct buf body = buf_make(300000);
    char *value = malloc(len + 1);
    memset(value, 'x', len);
    struct pack map = pack_map(&body);
    pack_string(&map, "kind", "oauth2");
    pack_text(&map, name, (struct text){value, len});
    struct pack inner = pack_map_in(&map, "fields");
    for (size_t i = 0; i < fields; i++) {
        char key[32];
        snprintf(key, sizeof key, "field %zu", i);
        pack_string(&inner, key, "v");
    }
    pack_close(&inner);
    pack_close(&map);
    free(value);
    return body;
}

static void test_sizes(void **state)
{
    static const struct {
        const char *name;
        size_t len, fields;
        bool is_right;
    } cases[] = {{"access_token", 49152, 0, true},  {"access_token", 49153, 0, false},
                 {"refresh_token", 49152, 0, true}, {"refresh_token", 49153, 0, false},
                 {"access_token", 1, 64, true},     {"access_token", 1, 65, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf body = put_with(cases[i].name, cases[i].len, cases[i].fields);
        struct buf error = buf_make(500);
        struct doc_put put;
        assert_int_equal(tree_fill(*state, buf_text(&body)), 0);
        int result = doc_read_put(tree_root(*state), &put, &error);
        assert_int_equal(result, cases[i].is_right ? 0 : BURSAR_E_BAD_REQUEST);
        if (result == 0)
            doc_put_free(&put);
        buf_free(&error);
        buf_free(&body);
    }
}

/* Each part is within its bound, and all of them together are not. */
static void test_too_large_together(void **state)
{
    static char value[49153];
    struct buf body = buf_make(300000), error = buf_make(100);
    struct doc_put put;
    memset(value, 'x', sizeof value - 1);
    struct pack map = pack_map(&body);
    pack_string(&map, "kind", "api_key");
    pack_string(&map, "api_key", value);
    pack_string(&map, "api_secret", value);
    struct pack fields = pack_map_in(&map, "fields");
    pack_string(&fields, "third", value);
    pack_close(&fields);
    pack_close(&map);
    assert_int_equal(tree_fill(*state, buf_text(&body)), 0);
    assert_int_equal(doc_read_put(tree_root(*state), &put, &error), BURSAR_E_BAD_REQUEST);
    assert_true(text_is(buf_text(&error), "secret is too large"));
    buf_free(&error);
    buf_free(&body);
}

static void test_main_parts(void **state)
{
    (void)state;
    static const char *const parts[][2] = {{"oauth2", "access_token"},
                                           {"api_key", "api_key"},
                                           {"basic", "password"},
                                           {"bearer", "token"},
                                           {"header", "value"}};
    for (size_t i = 0; i < COUNT(parts); i++)
        assert_string_equal(doc_main_part(text_of(parts[i][0])), parts[i][1]);
    assert_null(doc_main_part(T("oauth1")));
    assert_null(doc_main_part(T("")));
    assert_null(doc_main_part((struct text){NULL, 0}));
}

static void test_part(void **state)
{
    struct buf body = body_of("{\"a\": \"top\", \"n\": 5, \"fields\": {\"a\": \"inner\","
                              " \"b\": \"b\", \"n\": \"text\"}}");
    assert_int_equal(tree_fill(*state, buf_text(&body)), 0);
    const struct node *map = tree_root(*state);
    assert_true(text_is(doc_part(map, "a"), "top"));
    assert_true(text_is(doc_part(map, "b"), "b"));
    assert_true(text_is(doc_part(map, "n"), "text"));
    assert_null(doc_part(map, "c").data);
    assert_null(doc_part(map, "fields").data);
    assert_null(doc_part(NULL, "a").data);
    buf_free(&body);
}

/* ---- merging --------------------------------------------------------------------------------- */

static void expect_merged(struct tree *tree, const char *before, const struct doc_change *changes,
                          size_t count, const char *after)
{
    struct buf body = body_of(before ? before : "null"), out = buf_make_secret(10000);
    assert_int_equal(tree_fill(tree, buf_text(&body)), 0);
    doc_merge(before ? tree_root(tree) : NULL, changes, count, &out);
    expect_packed(&out, after);
    buf_free(&out);
    buf_free(&body);
}

static void test_merge(void **state)
{
    static const struct doc_change token[] = {
        {.name = "access_token", .value = T("new"), .is_field = false, .is_list = false}};
    static const struct doc_change both[] = {
        {.name = "access_token", .value = T("new"), .is_field = false, .is_list = false},
        {.name = "scopes", .value = T(" a  bc "), .is_field = false, .is_list = true}};
    static const struct doc_change field[] = {
        {.name = "realm", .value = T("9"), .is_field = true, .is_list = false},
        {.name = "access_token", .value = T("new"), .is_field = false, .is_list = false}};
    static const struct doc_change no_scopes[] = {
        {.name = "scopes", .value = T(""), .is_field = false, .is_list = true}};
    static const char before[] = "{\"kind\": \"oauth2\", \"access_token\": \"old\","
                                 " \"token_type\": \"Bearer\", \"scopes\": [\"x\"],"
                                 " \"fields\": {\"realm\": \"1\", \"id\": \"2\"},"
                                 " \"apply\": [{\"in\": \"header\"}]}";
    expect_merged(*state, before, token, 1,
                  "{\"kind\": \"oauth2\", \"token_type\": \"Bearer\", \"scopes\": [\"x\"],"
                  " \"apply\": [{\"in\": \"header\"}], \"access_token\": \"new\","
                  " \"fields\": {\"realm\": \"1\", \"id\": \"2\"}}");
    expect_merged(*state, before, both, 2,
                  "{\"kind\": \"oauth2\", \"token_type\": \"Bearer\","
                  " \"apply\": [{\"in\": \"header\"}], \"access_token\": \"new\","
                  " \"scopes\": [\"a\", \"bc\"], \"fields\": {\"realm\": \"1\", \"id\": \"2\"}}");
    expect_merged(*state, before, field, 2,
                  "{\"kind\": \"oauth2\", \"token_type\": \"Bearer\", \"scopes\": [\"x\"],"
                  " \"apply\": [{\"in\": \"header\"}], \"access_token\": \"new\","
                  " \"fields\": {\"id\": \"2\", \"realm\": \"9\"}}");
    expect_merged(*state, before, NULL, 0,
                  "{\"kind\": \"oauth2\", \"access_token\": \"old\", \"token_type\": \"Bearer\","
                  " \"scopes\": [\"x\"], \"apply\": [{\"in\": \"header\"}],"
                  " \"fields\": {\"realm\": \"1\", \"id\": \"2\"}}");
    expect_merged(*state, "{\"kind\": \"oauth2\"}", token, 1,
                  "{\"kind\": \"oauth2\", \"access_token\": \"new\"}");
    expect_merged(*state, "{\"realm\": \"top\"}", field, 1,
                  "{\"realm\": \"top\", \"fields\": {\"realm\": \"9\"}}");
    expect_merged(*state, NULL, field, 2,
                  "{\"access_token\": \"new\", \"fields\": {\"realm\": \"9\"}}");
    expect_merged(*state, NULL, NULL, 0, "{}");
    expect_merged(*state, "{\"scopes\": [\"x\"]}", no_scopes, 1, "{\"scopes\": []}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),      cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_too_large_together),
        cmocka_unit_test(test_main_parts), cmocka_unit_test(test_part),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
