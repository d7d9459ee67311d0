#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/buf.h"
#include "base/secret.h"
#include "config/yaml.h"

static int read_text(struct text text, struct yaml **out_yaml, struct buf *errors)
{
    struct problems problems = {0};
    int error = yaml_read_text("t", text, &problems, out_yaml);
    problems_print(&problems, errors);
    problems_free(&problems);
    return error;
}

static void assert_errors(struct text text, int expected_error, const char *expected)
{
    struct yaml *yaml = NULL;
    struct buf errors = buf_make(1 << 20);
    int error = read_text(text, &yaml, &errors);
    assert_string_equal((const char *)buf_text(&errors).data, expected);
    assert_int_equal(error, expected_error);
    buf_free(&errors);
    yaml_free(yaml);
}

static struct yaml *tree_of(const char *text)
{
    struct yaml *yaml = NULL;
    struct buf errors = buf_make(4096);
    assert_int_equal(read_text(text_of(text), &yaml, &errors), 0);
    assert_int_equal(errors.len, 0);
    buf_free(&errors);
    return yaml;
}

static void test_tree(void **state)
{
    (void)state;
    struct yaml *yaml = tree_of("a: 1\n"
                                "b: [x, 'null', ~]\n"
                                "c:\n"
                                "  d: \"two\\nlines\"\n");
    const struct yaml_node *b = yaml_get(yaml->root, "b");
    const struct yaml_node *d = yaml_get(yaml_get(yaml->root, "c"), "d");
    assert_int_equal(yaml->root->type, YAML_MAP);
    assert_string_equal(yaml_get(yaml->root, "a")->text, "1");
    assert_true(yaml_get(yaml->root, "a")->is_plain);
    assert_int_equal(b->item_count, 3);
    assert_int_equal(b->items[1]->type, YAML_SCALAR);
    assert_int_equal(b->items[2]->type, YAML_NULL);
    assert_string_equal(d->text, "two\nlines");
    assert_int_equal(d->mark.line, 4);
    assert_int_equal(d->mark.column, 7);
    assert_null(yaml_get(yaml->root, "e"));
    yaml_free(yaml);
}

static void test_empty(void **state)
{
    static const char *const texts[] = {"", "# only a comment\n", "\n\n"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct yaml *yaml = tree_of(texts[i]);
        assert_null(yaml->root);
        yaml_free(yaml);
    }
}

static void test_alias(void **state)
{
    (void)state;
    struct yaml *yaml = tree_of("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n");
    assert_ptr_equal(yaml_get(yaml->root, "a"), yaml_get(yaml->root, "b"));
    assert_ptr_equal(yaml_get(yaml->root, "c")->items[1], yaml_get(yaml->root, "a"));
    yaml_free(yaml);
    yaml = tree_of("a: &x 1\nb: &x 2\nc: *x\n");
    assert_string_equal(yaml_get(yaml->root, "c")->text, "2");
    yaml_free(yaml);
}

struct wrong_text {
    struct text text;
    int error;
    const char *message;
};

#define WRONG(text, error, message)        \
    {                                      \
        TEXT_LITERAL(text), error, message \
    }

static const struct wrong_text wrong_texts[] = {
    WRONG("a: 1\nb: 2\na: 3\n", 0, "t:3:1: a: the key stands here twice, first in line 1\n"),
    WRONG("x:\n  - y: {k: 1, k: 2}\n", 0,
          "t:2:15: x[0].y.k: the key stands here twice, first in line 2\n"),
    WRONG("a: *x\n", BURSAR_E_CONFIG, "t:1:5: an alias without its anchor\n"),
    WRONG("a: &x [*x]\n", BURSAR_E_CONFIG, "t:1:9: an alias inside what it names\n"),
    WRONG("a: &x {b: *x}\n", BURSAR_E_CONFIG, "t:1:12: an alias inside what it names\n"),
    WRONG("a: !!int 3\n", 0, "t:1:10: tags (!name) are not supported\n"),
    WRONG("a: &x {b: 1}\nc: {<<: *x}\n", BURSAR_E_CONFIG,
          "t:2:5: merge keys are not supported: write the keys out\n"),
    WRONG("? [a]\n: b\n", BURSAR_E_CONFIG, "t:1:3: a key must be plain text\n"),
    WRONG("a: 1\n---\nb: 2\n", BURSAR_E_CONFIG, "t:2:1: a second document in one file\n"),
    WRONG("a: [1, 2\n", BURSAR_E_CONFIG, "t:2:1: flow sequence without a closing bracket\n"),
    WRONG("a:\n\tb: 1\n", BURSAR_E_CONFIG, "t:2:1: tab character may not be used as indentation\n"),
    WRONG("a: \"never ends\n", BURSAR_E_CONFIG,
          "t:1:5: double-quoted scalar without closing quote\n"),
    WRONG("a: \xff\xfe\n", BURSAR_E_CONFIG, "t:1:4: a byte that is not UTF-8 text\n"),
    WRONG("a: 1\nb: \x1b[31m\n", BURSAR_E_CONFIG, "t:2:4: a byte that is not UTF-8 text\n"),
    WRONG("a: 1\0b\n", BURSAR_E_CONFIG, "t:1:5: a byte that is not UTF-8 text\n"),
    WRONG("a: \"x\\0y\"\n", 0, "t:1:5: a NUL character cannot be part of a value\n"),
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_texts / sizeof wrong_texts[0]; i++)
        assert_errors(wrong_texts[i].text, wrong_texts[i].error, wrong_texts[i].message);
}

/* Nine levels of ten aliases each would unfold to a thousand million values. */
static void test_bomb(void **state)
{
    (void)state;
    struct buf bomb = buf_make(65536);
    buf_append_string(&bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&bomb, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&bomb, "%s*a%d", j > 0 ? "," : "", i - 1);
        buf_append_string(&bomb, "]\n");
    }
    assert_errors(buf_text(&bomb), BURSAR_E_CONFIG, "t:5:9: aliases unfold to too many values\n");
    buf_free(&bomb);
}

static void test_deep(void **state)
{
    (void)state;
    struct yaml *yaml = tree_of("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    yaml_free(yaml);
    assert_errors(
        TEXT_LITERAL("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
        BURSAR_E_CONFIG, "t:1:33: nested too deep\n");
    /* the same depth by way of aliases */
    assert_errors(TEXT_LITERAL("a: &a [[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]\n"
                               "b: [[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]\n"),
                  BURSAR_E_CONFIG, "t:1:1: nested too deep\n");
}

static void test_many(void **state)
{
    (void)state;
    struct buf many = buf_make(YAML_MAX_BYTES);
    for (unsigned i = 0; i < YAML_MAX_NODES; i++)
        buf_append_string(&many, "- 1\n");
    assert_errors(buf_text(&many), BURSAR_E_CONFIG, "t:100000:3: too many values in one file\n");
    buf_clear(&many);
    for (unsigned i = 0; i <= YAML_MAX_ANCHORS; i++)
        buf_printf(&many, "- &a%u 1\n", i);
    assert_errors(buf_text(&many), BURSAR_E_CONFIG, "t:257:9: too many anchors in one file\n");
    buf_free(&many);
}

static void test_large(void **state)
{
    (void)state;
    struct buf large = buf_make(YAML_MAX_BYTES + 1);
    while (large.len < YAML_MAX_BYTES)
        buf_append_byte(&large, '#');
    assert_errors(buf_text(&large), 0, "");
    buf_append_byte(&large, '#');
    assert_errors(buf_text(&large), BURSAR_E_CONFIG, "t: larger than 4 MiB\n");
    buf_free(&large);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void assert_file_error(const char *path, const char *expected)
{
    struct problems problems = {0};
    struct buf errors = buf_make(4096);
    struct yaml *yaml = NULL;
    assert_int_equal(yaml_read_file(path, &problems, &yaml), BURSAR_E_CONFIG);
    problems_print(&problems, &errors);
    assert_non_null(strstr((const char *)buf_text(&errors).data, expected));
    assert_null(yaml);
    problems_free(&problems);
    buf_free(&errors);
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/bursar-test-XXXXXX";
    int fd = mkstemp(path);
    struct problems problems = {0};
    struct yaml *yaml = NULL;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: 1\n", 5), 5);
    close(fd);
    assert_int_equal(yaml_read_file(path, &problems, &yaml), 0);
    assert_string_equal(yaml_get(yaml->root, "a")->text, "1");
    yaml_free(yaml);
    assert_int_equal(chmod(path, 0646), 0);
    assert_file_error(path, "everybody may write to it");
    assert_int_equal(unlink(path), 0);
    assert_file_error(path, ": cannot be opened: No such file or directory\n");
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it must not wait for a writer */
    assert_file_error(path, ": is not a regular file\n");
    assert_int_equal(unlink(path), 0);
    assert_file_error("/", ": is not a regular file\n");
    problems_free(&problems);
}

static int open_arena(void **state)
{
    (void)state;
    return secret_arena_open((size_t)8 << 20);
}

static int close_arena(void **state)
{
    (void)state;
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return used_bytes == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),  cmocka_unit_test(test_empty), cmocka_unit_test(test_alias),
        cmocka_unit_test(test_wrong), cmocka_unit_test(test_bomb),  cmocka_unit_test(test_deep),
        cmocka_unit_test(test_many),  cmocka_unit_test(test_large), cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
