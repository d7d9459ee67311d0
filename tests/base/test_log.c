#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"

#define T(s) TEXT_LITERAL(s)

enum { CAPTURE_MAX = 1 << 16, LINE_MAX_BYTES = 4096, TIME_LEN = 24 };

static char captured[CAPTURE_MAX];
static int capture_fd, stderr_fd;

static void capture_begin(void)
{
    char path[] = "/tmp/bursar-log-XXXXXX";
    capture_fd = mkstemp(path);
    assert_true(capture_fd >= 0);
    unlink(path);
    fflush(stderr);
    stderr_fd = dup(STDERR_FILENO);
    dup2(capture_fd, STDERR_FILENO);
}

/* What was written since, NUL-terminated. */
static const char *capture_end(void)
{
    dup2(stderr_fd, STDERR_FILENO);
    close(stderr_fd);
    ssize_t got = pread(capture_fd, captured, sizeof captured - 1, 0);
    close(capture_fd);
    assert_true(got >= 0);
    captured[got] = 0;
    return captured;
}

/* Exactly one line, and when it says that it was written. */
static const char *one_line(const char *text)
{
    size_t len = strlen(text);
    assert_true(len > TIME_LEN && len <= LINE_MAX_BYTES);
    assert_int_equal(strcspn(text, "\n"), len - 1);
    struct tm utc = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    assert_non_null(rest);
    assert_int_equal(strspn(rest + 1, "0123456789"), 3);
    assert_memory_equal(rest + 4, "Z ", 2);
    int64_t age_s = time(NULL) - timegm(&utc);
    assert_true(age_s >= -1 && age_s < 60); /* time() reads a coarser clock */
    return text + TIME_LEN + 1;
}

static void test_text(void **state)
{
    (void)state;
    log_set(LOG_DEBUG, LOG_TEXT);
    static const struct {
        struct log_field field;
        const char *text;
    } cases[] = {
        {{"a", T("plain"), 7}, "a=plain"},
        {{"a", T("gh.01/x-y_z:%40"), 0}, "a=gh.01/x-y_z:%40"},
        {{"a", T(""), 7}, "a=\"\""},
        {{"a", {NULL, 0}, -5}, "a=-5"},
        {{"a", {NULL, 0}, INT64_MIN}, "a=-9223372036854775808"},
        {{"a", T("two words"), 0}, "a=\"two words\""},
        {{"a", T("x=y"), 0}, "a=\"x=y\""},
        {{"a", T("q\"q"), 0}, "a=\"q\\\"q\""},
        {{"a", T("b\\b"), 0}, "a=\"b\\\\b\""},
        {{"a", T("%s%n%d"), 0}, "a=%s%n%d"},
        {{"a", T("x\n2030-01-01T00:00:00.000Z info forged"), 0},
         "a=\"x\\n2030-01-01T00:00:00.000Z info forged\""},
        {{"a",
          T("\r\033[2J\x7f\xc2\x9b"
            "0m"),
          0},
         "a=\"\\r\\u001b[2J\\u007f\\u009b0m\""},
        {{"a", T("\0"), 0}, "a=\"\\u0000\""},
        {{"a", T("\xff"), 0}, "a=\"\xef\xbf\xbd\""},
        {{"a", T("ü"), 0}, "a=\"ü\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[200];
        capture_begin();
        LOG(LOG_INFO, "message", cases[i].field, LOG_I("b", 1));
        snprintf(expected, sizeof expected, "info message %s b=1\n", cases[i].text);
        assert_string_equal(one_line(capture_end()), expected);
    }
    capture_begin();
    LOG(LOG_WARNING, "100% alone");
    assert_string_equal(one_line(capture_end()), "warning 100% alone\n");
    capture_begin();
    LOG(LOG_ERROR, "of a string", LOG_S("s", "a b"), LOG_S("none", NULL), LOG_T("t", T("c")));
    assert_string_equal(one_line(capture_end()), "error of a string s=\"a b\" none=0 t=c\n");
}

/* The line as a JSON object. */
static json_t *parse(const char *line)
{
    size_t len = strlen(line);
    assert_true(len > 0 && len <= LINE_MAX_BYTES);
    assert_int_equal(strcspn(line, "\n"), len - 1);
    json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    return json;
}

static void test_json(void **state)
{
    (void)state;
    static const struct text nasty = T("a\"}\n{\"level\":\"error\" %n \0 \xc2\x85 \\u0041");
    log_set(LOG_DEBUG, LOG_JSON);
    capture_begin();
    LOG(LOG_DEBUG, "say \"hi\"", LOG_T("text", nasty), LOG_I("number", -7), LOG_S("empty", ""));
    json_t *json = parse(capture_end());
    char time_text[64];
    snprintf(time_text, sizeof time_text, "%s x\n",
             json_string_value(json_object_get(json, "time")));
    assert_string_equal(one_line(time_text), "x\n");
    assert_string_equal(json_string_value(json_object_get(json, "level")), "debug");
    assert_string_equal(json_string_value(json_object_get(json, "message")), "say \"hi\"");
    json_t *text = json_object_get(json, "text");
    assert_int_equal(json_string_length(text), nasty.len);
    assert_memory_equal(json_string_value(text), nasty.data, nasty.len);
    assert_int_equal(json_integer_value(json_object_get(json, "number")), -7);
    assert_string_equal(json_string_value(json_object_get(json, "empty")), "");
    assert_int_equal(json_object_size(json), 6);
    json_decref(json);
}

/* However long the values are: it stays one line that ends, and the other fields are there. */
static void test_long_values(void **state)
{
    (void)state;
    static char plain[20000], escaped[20000];
    memset(plain, 'x', sizeof plain);
    memset(escaped, 1, sizeof escaped);
    for (size_t len = 0; len <= sizeof plain; len += len < 3900 || len > 4300 ? 97 : 1) {
        log_set(LOG_INFO, LOG_TEXT);
        capture_begin();
        LOG(LOG_INFO, "long", LOG_T("p", ((struct text){plain, len})), LOG_I("last", 5));
        const char *line = one_line(capture_end());
        assert_memory_equal(line, "info long p=", 12);
        assert_non_null(strstr(line, " last=5\n"));
        if (len > 0)
            assert_true(strspn(line + 12, "x") > (len < 1500 ? len : 1500) - 1);
    }
    for (size_t len = 0; len <= sizeof escaped; len += 501) {
        log_set(LOG_INFO, LOG_JSON);
        capture_begin();
        LOG(LOG_INFO, "long", LOG_T("p", ((struct text){escaped, len})),
            LOG_T("q", ((struct text){plain, len})), LOG_T("r", ((struct text){escaped, len})),
            LOG_I("last", 5));
        json_t *json = parse(capture_end());
        assert_int_equal(json_integer_value(json_object_get(json, "last")), 5);
        assert_int_equal(json_object_size(json), 7);
        json_decref(json);
    }
}

static void test_many_fields(void **state)
{
    (void)state;
    static char value[300];
    struct log_field fields[65];
    memset(value, ' ', sizeof value);
    for (size_t i = 0; i < 64; i++)
        fields[i] = (struct log_field){"name", {value, sizeof value}, 0};
    fields[64] = (struct log_field){NULL, {NULL, 0}, 0};
    log_set(LOG_INFO, LOG_TEXT);
    capture_begin();
    log_write(LOG_INFO, "many", fields);
    log_write(LOG_INFO, "next", &fields[64]);
    char *second = strchr(capture_end(), '\n') + 1;
    assert_true(second - captured <= LINE_MAX_BYTES);
    assert_string_equal(one_line(second), "info next\n");
}

static void test_levels(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level;
    for (int set = LOG_ERROR; set <= LOG_DEBUG; set++) {
        assert_true(log_level_of(names[set], &level));
        assert_int_equal(level, set);
        log_set((enum log_level)set, LOG_TEXT);
        for (int at = LOG_ERROR; at <= LOG_DEBUG; at++) {
            capture_begin();
            LOG((enum log_level)at, "m");
            assert_int_equal(capture_end()[0] != 0, at <= set);
        }
    }
    level = LOG_INFO;
    assert_false(log_level_of("INFO", &level));
    assert_false(log_level_of("", &level));
    assert_int_equal(level, LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_values), cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
