#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cmd/cmd_line.h"
#include "cmd/cmd_put_read.h"
#include "cmd/cmd_since.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

/* ---- what `put` reads ----------------------------------------------------------------------- */

struct put_case {
    const char *input;
    const char *request;  /* NULL: refused */
    const char *left_out; /* NULL: nothing */
};

static const struct put_case put_cases[] = {
    {"{\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"},\"expires_at\":5,\"scopes\":[\"a\"],\"x\":1}",
     "{\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"},\"expires_at\":5,\"scopes\":[\"a\"]}",
     NULL},
    {"{\"kind\":\"oauth2\",\"access_token\":\"a\",\"scopes\":[\"r\"],\"expires_at\":7,"
     "\"expect_generation\":3,\"fields\":{\"k\":\"v\"}}",
     "{\"expires_at\":7,\"scopes\":[\"r\"],\"expect_generation\":3,\"secret\":{\"kind\":\"oauth2\","
     "\"access_token\":\"a\",\"fields\":{\"k\":\"v\"}}}",
     NULL},
    {"{\"access_token\":\"a\",\"refresh_token\":\"r\",\"expires_in\":3600,\"scope\":\"x  y \","
     "\"token_type\":\"bearer\"}",
     "{\"expires_at\":4600,\"scopes\":[\"x\",\"y\"],\"secret\":{\"kind\":\"oauth2\","
     "\"access_token\":\"a\",\"refresh_token\":\"r\",\"token_type\":\"bearer\"}}",
     NULL},
    {"{\"access_token\":\"a\",\"expires_in\":\"60\",\"refresh_token_expires_in\":120,"
     "\"id_token\":\"secret-id\",\"extra\":{}}",
     "{\"expires_at\":1060,\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\","
     "\"token_type\":\"Bearer\",\"refresh_token_expires_at\":1120}}",
     "[\"id_token\",\"extra\"]"},
    {"{\"access_token\":\"a\",\"expires_in\":0}",
     "{\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\",\"token_type\":\"Bearer\"}}", NULL},
    {"{\"access_token\":\"a\",\"expires_in\":-5}",
     "{\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\",\"token_type\":\"Bearer\"}}", NULL},
    {"{\"access_token\":\"a\",\"expires_in\":1e300,\"scope\":\"\"}",
     "{\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\",\"token_type\":\"Bearer\"}}", NULL},
    {"{\"access_token\":\"a\",\"expires_in\":\"soon\"}",
     "{\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\",\"token_type\":\"Bearer\"}}", NULL},
    {"{\"access_token\":\"a\",\"expires_in\":59.9,\"expires_at\":77}",
     "{\"expires_at\":77,\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\","
     "\"token_type\":\"Bearer\"}}",
     NULL},
    {"{\"error\":\"invalid_grant\"}", NULL, NULL},
    {"{\"access_token\":7}", NULL, NULL},
    {"{}", NULL, NULL},
    {"[]", NULL, NULL},
};

static void check_put(const struct put_case *one)
{
    json_t *document = json_loads(one->input, 0, NULL);
    json_t *request = json_object();
    json_t *left_out = NULL;
    const char *problem = NULL;
    assert_non_null(document);
    bool is_ok = cmd_put_read(document, 1000, request, &left_out, &problem);
    assert_true(is_ok == (one->request != NULL));
    assert_non_null(problem);
    char *found = json_dumps(request, JSON_COMPACT);
    if (one->request)
        assert_string_equal(found, one->request);
    char *names =
        left_out && json_array_size(left_out) > 0 ? json_dumps(left_out, JSON_COMPACT) : NULL;
    if (one->left_out)
        assert_string_equal(names, one->left_out);
    else
        assert_null(names);
    free(found);
    free(names);
    json_decref(left_out);
    json_decref(request);
    json_decref(document);
}

static void test_put_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof put_cases / sizeof put_cases[0]; i++)
        check_put(&put_cases[i]);
}

/* ---- the command line ----------------------------------------------------------------------- */

/* Reads up to eight words; false as cmd_line_read(). */
static bool read_words(const struct cmd *cmd, struct cmd_line *line, const char *const *words)
{
    char *argv[10] = {(char *)(uintptr_t) "bursar"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    return cmd_line_read(argc, argv, cmd, line);
}

static void test_line(void **state)
{
    (void)state;
    struct cmd_line line;
    unsetenv("BURSAR_ENDPOINT");
    unsetenv("BURSAR_EVENTS_ENDPOINT");
    assert_true(read_words(&cmd_vend, &line,
                           (const char *const[]){"--json", "vend", "o", "--min-ttl", "5",
                                                 "--endpoint=ipc:///x/jobs", "c", NULL}));
    assert_true(line.args.is_json);
    assert_int_equal(line.args.word_count, 2);
    assert_string_equal(line.args.words[0], "o");
    assert_string_equal(line.args.words[1], "c");
    assert_string_equal(cmd_option(&line.args, "min-ttl"), "5");
    assert_null(cmd_option(&line.args, "kind"));
    assert_string_equal(line.args.endpoint, "ipc:///x/jobs");
    assert_string_equal(line.args.events_endpoint, "ipc:///x/events");
    assert_true(read_words(&cmd_vend, &line,
                           (const char *const[]){"vend", "--", "--odd", "--kind=x", NULL}));
    assert_int_equal(line.args.word_count, 2);
    assert_string_equal(line.args.words[0], "--odd");
    assert_null(line.args.endpoint);
    assert_null(line.args.events_endpoint);
    assert_true(read_words(&cmd_vend, &line, (const char *const[]){"vend", "-h", NULL}));
    assert_true(line.wants_help);
}

static void test_line_environment(void **state)
{
    (void)state;
    struct cmd_line line;
    setenv("BURSAR_ENDPOINT", "ipc:///env/jobs", 1);
    assert_true(read_words(&cmd_list, &line, (const char *const[]){"list", NULL}));
    assert_string_equal(line.args.endpoint, "ipc:///env/jobs");
    assert_string_equal(line.args.events_endpoint, "ipc:///env/events");
    assert_true(read_words(&cmd_list, &line,
                           (const char *const[]){"list", "--endpoint", "ipc:///a", NULL}));
    assert_string_equal(line.args.endpoint, "ipc:///a");
    assert_null(line.args.events_endpoint);
    setenv("BURSAR_EVENTS_ENDPOINT", "ipc:///b", 1);
    assert_true(read_words(&cmd_list, &line, (const char *const[]){"list", NULL}));
    assert_string_equal(line.args.events_endpoint, "ipc:///b");
    unsetenv("BURSAR_ENDPOINT");
    unsetenv("BURSAR_EVENTS_ENDPOINT");
}

static const char *command_of(const char *const *words)
{
    char *argv[10] = {(char *)(uintptr_t) "bursar"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    return cmd_line_command(argc, argv);
}

static void test_command_word(void **state)
{
    (void)state;
    assert_string_equal(
        command_of((const char *const[]){"--endpoint", "ipc:///x", "list", "o", NULL}), "list");
    assert_string_equal(command_of((const char *const[]){"--endpoint=x", "--json", "show", NULL}),
                        "show");
    assert_string_equal(command_of((const char *const[]){"--", "list", NULL}), "list");
    assert_null(command_of((const char *const[]){"--json", NULL}));
}

/* ---- text for people ------------------------------------------------------------------------ */

static void test_durations(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{0, "0 s"},    {119, "119 s"},   {120, "2 min"},  {7199, "119 min"},
                 {7200, "2 h"}, {172799, "47 h"}, {172800, "2 d"}, {863999, "9 d"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        cmd_text_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_since(void **state)
{
    static const struct {
        const char *text;
        int64_t at; /* -1: none */
    } cases[] = {{"0", 0},
                 {"1800000000", 1800000000},
                 {"90s", 1799999910},
                 {"5m", 1799999700},
                 {"12h", 1799956800},
                 {"30d", 1797408000},
                 {"24000d", 0}, /* before 1970 */
                 {"2026-11-22", 1795305600},
                 {"2026-11-22T14:30:00Z", 1795357800},
                 {"2026-11-22T14:30Z", 1795357800},
                 {"", -1},
                 {"h", -1},
                 {"12", 12},
                 {"-1h", -1},
                 {"1.5h", -1},
                 {"12w", -1},
                 {"99999999999d", -1},
                 {"2026-11-22T14:30:00", -1},
                 {"2026-13-01", -1},
                 {"yesterday", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t at = -1;
        bool is_read = cmd_since_read(cases[i].text, 1800000000, &at);
        if (is_read != (cases[i].at >= 0) || at != cases[i].at)
            fail_msg("%s: %lld", cases[i].text, (long long)at);
    }
}

static void test_times(void **state)
{
    (void)state;
    char text[CMD_TEXT_TIME_SIZE];
    setenv("TZ", "UTC", 1);
    cmd_text_time(1700000000, 1700000000 - 600, text);
    assert_string_equal(text, "2023-11-14 22:13:20 (in 10 min)");
    cmd_text_time(1700000000, 1700000005, text);
    assert_string_equal(text, "2023-11-14 22:13:20 (5 s ago)");
    cmd_text_time(0, 5, text);
    assert_string_equal(text, "-");
}

/* What a peer sends cannot steer the terminal. */
static void test_safe(void **state)
{
    (void)state;
    json_t *evil = json_string("a\x1b[31m\nb");
    json_t *good = json_string("Zürich");
    json_t *number = json_integer(4);
    assert_string_equal(cmd_text_safe(evil), "\"a\\u001b[31m\\nb\"");
    assert_string_equal(cmd_text_safe(good), "Zürich");
    assert_string_equal(cmd_text_safe(number), "-");
    json_decref(evil);
    json_decref(good);
    json_decref(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_read),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_line_environment),
        cmocka_unit_test(test_command_word),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
