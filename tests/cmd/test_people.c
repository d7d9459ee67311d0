/* Parts of the commands of people: callbacks, addresses of this machine, repeated options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cmd/cmd_line.h"
#include "cmd/cmd_loopback.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_values.h"

enum { MAX = 4096 };

/* ---- callbacks ------------------------------------------------------------------------------------ */

static void finds_parameters(void **state)
{
    static const struct {
        const char *query, *name, *value; /* NULL: none, or not to be believed */
    } rows[] = {
        {"code=a&state=b", "code", "a"},
        {"code=a&state=b", "state", "b"},
        {"code=a+b%2Bc%20d", "code", "a b+c d"},
        {"code=%41%4a%4A", "code", "AJJ"},
        {"code=%4", "code", "%4"},
        {"code=%zz%", "code", "%zz%"},
        {"c%6Fde=a", "code", "a"},
        {"code", "code", ""},
        {"code=", "code", ""},
        {"code=a=b", "code", "a=b"},
        {"&&code=a&", "code", "a"},
        {"code=a&code=b", "code", NULL},
        {"code=a&code=a", "code", NULL},
        {"Code=a", "code", NULL},
        {"xcode=a", "code", NULL},
        {"", "code", NULL},
        {"code=a%00b", "code", "a\0b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf value = buf_make(MAX);
        size_t len = i + 1 == sizeof rows / sizeof rows[0] ? 3 : 0;
        assert_int_equal(cmd_query_get(text_of(rows[i].query), rows[i].name, &value),
                         rows[i].value != NULL);
        if (rows[i].value) {
            len = len > 0 ? len : strlen(rows[i].value);
            assert_int_equal(value.len, len);
            if (len > 0)
                assert_memory_equal(value.data, rows[i].value, len);
        }
        buf_free(&value);
    }
}

static void lists_parameters(void **state)
{
    static const char query[] = "a=1&b=2&c";
    static const char *const expected[][2] = {{"a", "1"}, {"b", "2"}, {"c", ""}};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct buf name = buf_make(MAX), value = buf_make(MAX);
        assert_int_equal(cmd_query_item(text_of(query), i, &name, &value), i < 3);
        if (i < 3) {
            assert_int_equal(text_compare(buf_text(&name), text_of(expected[i][0])), 0);
            assert_int_equal(text_compare(buf_text(&value), text_of(expected[i][1])), 0);
        }
        buf_free(&name);
        buf_free(&value);
    }
}

/* ---- addresses ------------------------------------------------------------------------------------ */

static void knows_addresses_of_this_machine(void **state)
{
    static const struct {
        const char *uri;
        bool fits;
    } rows[] = {{"http://127.0.0.1:8400/callback", true},
                {"http://127.0.0.1/callback", true},
                {"HTTP://LOCALHOST:1/", true},
                {"http://[::1]:8400/callback?x=y", true},
                {"http://localhost", true},
                {"https://127.0.0.1:8400/callback", false},
                {"http://127.0.0.1.evil.example/", false},
                {"http://localhost.evil.example/", false},
                {"http://127.0.0.1@evil.example/", false},
                {"http://127.0.0.1:0/", false},
                {"http://127.0.0.1:65536/", false},
                {"http://127.0.0.1:/", false},
                {"http://127.0.0.2/", false},
                {"http://10.0.0.1/", false},
                {"http://", false},
                {"", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(cmd_loopback_fits(rows[i].uri), rows[i].fits);
}

/* ---- options -------------------------------------------------------------------------------------- */

static bool read_line(struct cmd_line *line, int argc, const char *const *argv)
{
    char *words[32];
    for (int i = 0; i < argc; i++)
        words[i] = (char *)(uintptr_t)argv[i];
    words[argc] = NULL;
    return cmd_line_read(argc, words, &cmd_connect, line);
}

static void keeps_each_use_of_an_option(void **state)
{
    static const char *const argv[] = {"bursar",    "connect", "--scope", "a",     "o",   "acme",
                                       "--scope=b", "--set",   "x=1",     "--set", "y==2"};
    struct cmd_line line;
    json_t *values = json_object();
    (void)state;
    assert_true(read_line(&line, 11, argv));
    assert_string_equal(cmd_option_item(&line.args, "scope", 0), "a");
    assert_string_equal(cmd_option_item(&line.args, "scope", 1), "b");
    assert_null(cmd_option_item(&line.args, "scope", 2));
    assert_null(cmd_option_item(&line.args, "reconnect", 0));
    assert_string_equal(cmd_option(&line.args, "scope"), "b");
    assert_true(cmd_values_read(&line.args, "set", values));
    assert_string_equal(json_string_value(json_object_get(values, "x")), "1");
    assert_string_equal(json_string_value(json_object_get(values, "y")), "=2");
    json_decref(values);
}

static void refuses_what_is_no_pair(void **state)
{
    static const char *const wrong[] = {"x", "=1", ""};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *argv[] = {"bursar", "connect", "o", "acme", "--set", wrong[i]};
        struct cmd_line line;
        json_t *values = json_object();
        assert_true(read_line(&line, 6, argv));
        assert_false(cmd_values_read(&line.args, "set", values));
        json_decref(values);
    }
    const char *no_text[] = {"bursar", "connect", "o", "acme", "--set", "x=\xff"};
    struct cmd_line line;
    assert_false(read_line(&line, 6, no_text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_parameters),
        cmocka_unit_test(lists_parameters),
        cmocka_unit_test(knows_addresses_of_this_machine),
        cmocka_unit_test(keeps_each_use_of_an_option),
        cmocka_unit_test(refuses_what_is_no_pair),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
