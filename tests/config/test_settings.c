#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "config/url.h"
#include "config/value.h"

static const struct bursar_option ratio = {
    .name = "ratio", .type = BURSAR_OPTION_NUMBER, .min = 1e-9, .max = 1};
static const struct bursar_option count = {
    .name = "count", .type = BURSAR_OPTION_INTEGER, .min = -5, .max = 10};
static const struct bursar_option any_number = {.name = "any", .type = BURSAR_OPTION_NUMBER};
static const struct bursar_option flag = {.name = "flag", .type = BURSAR_OPTION_BOOL};
static const struct bursar_option word = {
    .name = "word", .type = BURSAR_OPTION_CHOICE, .choices = "none|strict|unknown"};
static const struct bursar_option text = {.name = "text", .type = BURSAR_OPTION_STRING};
static const struct bursar_option url = {.name = "url", .type = BURSAR_OPTION_URL};
static const struct bursar_option secret = {.name = "secret", .type = BURSAR_OPTION_SECRET};
static const struct bursar_option list = {.name = "list", .type = BURSAR_OPTION_LIST};
static const struct bursar_option map = {.name = "map", .type = BURSAR_OPTION_MAP};

/* Reads `v: WRITTEN`; the messages come back in errors. */
static bool read_one(const struct bursar_option *option, const char *written,
                     struct setting *out_setting, struct buf *errors)
{
    struct problems problems = {0};
    struct yaml *yaml = NULL;
    struct buf file = buf_make(4096);
    struct value_rules rules = {.allow_http_loopback = false};
    buf_printf(&file, "v: %s\n", written);
    assert_int_equal(yaml_read_text("f", buf_text(&file), &problems, &yaml), 0);
    const struct yaml_node *node = yaml_get(yaml->root, "v");
    bool is_ok =
        value_read(node, option, &rules, (struct spot){&problems, node->mark, NULL}, out_setting);
    assert_true(is_ok == (problems.count == 0));
    problems_print(&problems, errors);
    problems_free(&problems);
    yaml_free(yaml);
    buf_free(&file);
    return is_ok;
}

struct value_case {
    const struct bursar_option *option;
    const char *written;
    const char *message; /* NULL: right */
    double number;
};

static const struct value_case value_cases[] = {
    {&ratio, "0.9", NULL, 0.9},
    {&ratio, "1", NULL, 1},
    {&ratio, "5e-1", NULL, 0.5},
    {&ratio, "0", "must be more than 0 and at most 1", 0},
    {&ratio, "-0.5", "must be more than 0 and at most 1", 0},
    {&ratio, "1.0001", "must be more than 0 and at most 1", 0},
    {&ratio, "nan", "must be a finite number", 0},
    {&ratio, ".inf", "must be a finite number", 0},
    {&ratio, "1e999", "must be a finite number", 0},
    {&ratio, "0x1", "must be a finite number", 0},
    {&ratio, "'0.9'", "must be a finite number", 0},
    {&ratio, "0.9.9", "must be a finite number", 0},
    {&ratio, "0,9", "must be a finite number", 0},
    {&ratio, "[0.9]", "must be text, not a list", 0},
    {&any_number, "-1e300", NULL, -1e300},
    {&count, "10", NULL, 10},
    {&count, "-5", NULL, -5},
    {&count, "11", "must be between -5 and 10", 0},
    {&count, "99999999999999999999999999999999999999999", "must be a whole number", 0},
    {&count, "1.0", "must be a whole number", 0},
    {&count, "1e1", "must be a whole number", 0},
    {&count, "five", "must be a whole number", 0},
    {&count, "--5", "must be a whole number", 0},
    {&flag, "true", NULL, 1},
    {&flag, "false", NULL, 0},
    {&flag, "yes", "must be true or false", 0},
    {&flag, "1", "must be true or false", 0},
    {&flag, "'true'", "must be true or false", 0},
    {&word, "strict", NULL, 0},
    {&word, "strcit", "must be one of none, strict, unknown (did you mean \"strict\"?)", 0},
    {&word, "zzzzzzzzz", "must be one of none, strict, unknown", 0},
    {&word, "none|strict", "must be one of none, strict, unknown", 0},
    {&text, "12", NULL, 0},
    {&text, "\"\"", NULL, 0},
    {&text, "\"two\\nlines\"", NULL, 0},
    {&text, "\"\\e[31m\"", "has control characters or is not UTF-8", 0},
    {&text, "", "has no value", 0},
    {&text, "~", "has no value", 0},
    {&text, "{a: b}", "must be text, not a map", 0},
    {&secret, "\"a\\nb\"", NULL, 0},
    {&secret, "''", "is an empty secret", 0},
    {&url, "https://id.example/token?x=1", NULL, 0},
    {&url, "ftp://id.example/", "must be an absolute URL that begins with https://", 0},
    {&list, "[a, 1]", NULL, 0},
    {&list, "[]", NULL, 0},
    {&list, "a", "must be a list, not text", 0},
    {&list, "[a, [b]]", NULL, -1},
    {&map, "{a: b, c: 1}", NULL, 0},
    {&map, "[a]", "must be a map, not a list", 0},
    {&map, "{a: \"x\\r\\nEvil: 1\"}", NULL, -2},
};

static const char *special_message(const struct value_case *one)
{
    if (one->number == -1)
        return "[1]: must be text, not a list";
    return one->number == -2 ? "a: has control characters or is not UTF-8" : NULL;
}

static void check_case(const struct value_case *one)
{
    struct setting setting = {0};
    struct settings settings = {.values = NULL};
    struct buf errors = buf_make(4096);
    bool is_ok = read_one(one->option, one->written, &setting, &errors);
    const char *message = one->message ? one->message : special_message(one);
    if (message) {
        assert_false(is_ok);
        const char *found = strstr((const char *)buf_text(&errors).data, ": ");
        assert_non_null(found);
        assert_memory_equal(found + 2, message, strlen(message));
        assert_string_equal(found + 2 + strlen(message), "\n");
    } else {
        assert_true(is_ok);
        assert_true(setting.is_given);
        assert_true(setting.number == one->number || one->option->type == BURSAR_OPTION_STRING);
        assert_true(settings_put(&settings, &setting));
    }
    settings_free(&settings);
    buf_free(&errors);
}

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++)
        check_case(&value_cases[i]);
}

/* No message quotes a value, whatever it is. */
static void test_no_value_in_messages(void **state)
{
    (void)state;
    static const struct bursar_option *const options[] = {&ratio, &count, &flag, &word,
                                                          &url,   &list,  &map};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct setting setting = {0};
        struct buf errors = buf_make(4096);
        assert_false(read_one(options[i], "hunter2", &setting, &errors));
        assert_null(strstr((const char *)buf_text(&errors).data, "hunter2"));
        buf_free(&errors);
    }
}

static void test_table(void **state)
{
    (void)state;
    struct settings settings = {.values = NULL};
    struct setting setting = {0};
    struct buf errors = buf_make(4096);
    assert_true(read_one(&text, "first", &setting, &errors));
    assert_true(settings_put(&settings, &setting));
    assert_true(read_one(&text, "second", &setting, &errors));
    assert_true(settings_put(&settings, &setting));
    assert_true(read_one(&secret, "s3", &setting, &errors));
    assert_true(settings_put(&settings, &setting));
    assert_true(read_one(&flag, "true", &setting, &errors));
    assert_true(settings_put(&settings, &setting));
    assert_true(read_one(&map, "{k: v}", &setting, &errors));
    assert_true(settings_put(&settings, &setting));
    assert_int_equal(settings.count, 4);
    assert_true(text_is(settings_text(&settings, "text"), "second"));
    assert_true(text_is(settings_text(&settings, "secret"), "s3"));
    assert_true(settings_bool(&settings, "flag"));
    assert_string_equal(settings_find(&settings, "map")->items[0].name, "k");
    assert_null(settings_find(&settings, "none"));
    assert_null(settings_text(&settings, "none").data);
    assert_true(settings_number(&settings, "none", 7) == 7);
    assert_false(settings_bool(&settings, "none"));
    settings_free(&settings);
    buf_free(&errors);
}

/* With an index every name leads to its own value, and one that is put later is there as well. */
static void test_index(void **state)
{
    enum { COUNT = 300 };
    struct settings settings = {.values = NULL};
    char name[32];
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        if (i == COUNT - 1)
            settings_index(&settings);
        snprintf(name, sizeof name, "rows.%d.name", i);
        struct setting setting = {.name = strdup(name), .option = &text, .text = strdup(name)};
        assert_true(settings_put(&settings, &setting));
    }
    for (int is_indexed = 0; is_indexed < 2; is_indexed++) {
        for (int i = 0; i < COUNT; i++) {
            snprintf(name, sizeof name, "rows.%d.name", i);
            assert_true(text_is(settings_text(&settings, name), name));
        }
        assert_null(settings_find(&settings, "rows.300.name"));
        assert_null(settings_find(&settings, ""));
        settings_index(&settings);
    }
    assert_non_null(settings.slots);
    settings_free(&settings);
}

struct url_case {
    const char *url;
    bool is_right_without_http, is_right_with_http;
};

static const struct url_case url_cases[] = {
    {"https://a.example", true, true},
    {"HTTPS://a.example:8443/x?y=z", true, true},
    {"https://[2001:db8::1]:443/", true, true},
    {"http://127.0.0.1:8080/token", false, true},
    {"http://127.9.9.9/", false, true},
    {"http://[::1]:1/", false, true},
    {"http://[0:0:0:0:0:0:0:1]/", false, true},
    {"http://localhost/", false, true},
    {"http://LocalHost:9/", false, true},
    {"http://localhost.example/", false, false},
    {"http://128.0.0.1/", false, false},
    {"http://127.0.0.1.example/", false, false},
    {"http://127.1/", false, false},
    {"http://2130706433/", false, false},
    {"http://[::ffff:127.0.0.1]/", false, false},
    {"http://a.example/", false, false},
    {"https://user:pw@a.example/", false, false},
    {"https://user@a.example/", false, false},
    {"https://@a.example/", false, false},
    {"https://a.example/#frag", false, false},
    {"https://a.example#frag", false, false},
    {"https:///path", false, false},
    {"https://", false, false},
    {"https://:443/", false, false},
    {"https://a.example:/", false, false},
    {"https://a.example:0/", false, false},
    {"https://a.example:65536/", false, false},
    {"https://a.example:1:2/", false, false},
    {"https://[::1/", false, false},
    {"https://[::1]x/", false, false},
    {"https://[1.2.3.4]/", false, false},
    {"https://a example/", false, false},
    {"https://a.example/\\x", false, false},
    {"https://a.exämple/", false, false},
    {"https://a%2eexample/", false, false},
    {"//a.example/", false, false},
    {"/path", false, false},
    {"", false, false},
};

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof url_cases / sizeof url_cases[0]; i++) {
        const struct url_case *one = &url_cases[i];
        if ((url_problem(text_of(one->url), false) == NULL) != one->is_right_without_http ||
            (url_problem(text_of(one->url), true) == NULL) != one->is_right_with_http)
            fail_msg("%s", one->url);
    }
}

static int open_arena(void **state)
{
    (void)state;
    return secret_arena_open((size_t)1 << 20);
}

static int close_arena(void **state)
{
    (void)state;
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return used_bytes == 0 ? 0 : -1; /* a secret that nobody ended */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_no_value_in_messages),
        cmocka_unit_test(test_table),  cmocka_unit_test(test_index),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
