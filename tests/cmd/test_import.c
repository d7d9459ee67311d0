/* Lines of a file, and what `bursar import` makes of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd_import_read.h"
#include "cmd/cmd_lines.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- lines ------------------------------------------------------------------------------------- */

static char path[] = "/tmp/bursar-lines-XXXXXX";

static void write_file(const char *content, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    close(fd);
}

static void expect_line(struct cmd_lines *lines, size_t number, const char *content)
{
    struct text line;
    assert_int_equal(cmd_lines_next(lines, &line), CMD_LINE_GIVEN);
    assert_int_equal(lines->number, number);
    assert_true(text_is(line, content));
}

static void test_lines(void **state)
{
    (void)state;
    struct cmd_lines lines;
    struct text line;
    write_file("one\n\ntwo", 8); /* the last without its end */
    assert_true(cmd_lines_open(&lines, path));
    expect_line(&lines, 1, "one");
    expect_line(&lines, 2, "");
    expect_line(&lines, 3, "two");
    assert_int_equal(cmd_lines_next(&lines, &line), CMD_LINE_NO_MORE);
    cmd_lines_close(&lines);
    write_file("", 0);
    assert_true(cmd_lines_open(&lines, path));
    assert_int_equal(cmd_lines_next(&lines, &line), CMD_LINE_NO_MORE);
    cmd_lines_close(&lines);
    assert_false(cmd_lines_open(&lines, "/nowhere/at/all"));
}

/* Lines about as long as what is read at once, and about the longest: none is lost, none is cut. */
static void test_long_lines(void **state)
{
    (void)state;
    static const size_t lens[] = {
        65535, 65536, 65537, 1, CMD_LINE_MAX, CMD_LINE_MAX + 1, 131072, 3 * CMD_LINE_MAX, 2};
    size_t total = 0;
    for (size_t i = 0; i < COUNT(lens); i++)
        total += lens[i] + 1;
    char *content = malloc(total), *at = content;
    assert_non_null(content);
    for (size_t i = 0; i < COUNT(lens); i++) {
        memset(at, 'a' + (int)i, lens[i]);
        at[lens[i]] = '\n';
        at += lens[i] + 1;
    }
    for (size_t cut = 0; cut < 2; cut++) { /* with and without the last line's end */
        struct cmd_lines lines;
        write_file(content, total - cut);
        assert_true(cmd_lines_open(&lines, path));
        for (size_t i = 0; i < COUNT(lens); i++) {
            struct text line;
            enum cmd_line_end end = cmd_lines_next(&lines, &line);
            assert_int_equal(lines.number, i + 1);
            if (lens[i] > CMD_LINE_MAX) {
                assert_int_equal(end, CMD_LINE_TOO_LONG);
                continue;
            }
            assert_int_equal(end, CMD_LINE_GIVEN);
            assert_int_equal(line.len, lens[i]);
            assert_true(line.data[0] == 'a' + (int)i && line.data[line.len - 1] == 'a' + (int)i);
        }
        struct text line;
        assert_int_equal(cmd_lines_next(&lines, &line), CMD_LINE_NO_MORE);
        cmd_lines_close(&lines);
    }
    write_file(content, lens[0]); /* and one that is too long and has no end */
    char *longest = malloc(2 * CMD_LINE_MAX);
    assert_non_null(longest);
    memset(longest, 'x', 2 * CMD_LINE_MAX);
    write_file(longest, 2 * CMD_LINE_MAX);
    struct cmd_lines lines;
    struct text line;
    assert_true(cmd_lines_open(&lines, path));
    assert_int_equal(cmd_lines_next(&lines, &line), CMD_LINE_TOO_LONG);
    assert_int_equal(cmd_lines_next(&lines, &line), CMD_LINE_NO_MORE);
    cmd_lines_close(&lines);
    free(longest);
    free(content);
}

/* ---- what is in one ---------------------------------------------------------------------------- */

#define NAMED "\"owner\":\"o\",\"provider\":\"p\""

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *line, *request, *problem; /* problem: how it begins */
    } cases[] = {
        {"{" NAMED ",\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"}}",
         "{" NAMED ",\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"}}", NULL},
        {"{" NAMED ",\"account\":\"a\",\"state\":\"ACTIVE\",\"generation\":7,\"expires_at\":9,"
         "\"scopes\":[\"r\"],\"tags\":[\"t\"],\"metadata\":{\"m\":1},\"expect_generation\":3,"
         "\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"}}",
         "{" NAMED ",\"account\":\"a\",\"expires_at\":9,\"scopes\":[\"r\"],\"tags\":[\"t\"],"
         "\"metadata\":{\"m\":1},\"expect_generation\":3,"
         "\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"}}",
         NULL},
        {"{" NAMED ",\"secret\":{\"access_token\":\"a\",\"expires_in\":60}}",
         "{" NAMED ",\"expires_at\":1060,\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"a\","
         "\"token_type\":\"Bearer\"}}",
         NULL},
        {"", NULL, "not JSON, at its column"},
        {"{", NULL, "not JSON, at its column"},
        {"{\"owner\":1,\"owner\":2}", NULL, "not JSON, at its column"},
        {"[]", NULL, "not a JSON object"},
        {"{}", NULL, "owner is required"},
        {"{\"owner\":\"o\"}", NULL, "provider is required"},
        {"{" NAMED "}", NULL, "secret is required"},
        {"{" NAMED ",\"secret\":\"s3cr3t\"}", NULL, "secret must be an object"},
        {"{" NAMED ",\"secret\":{}}", NULL, "secret: "},
        {"{" NAMED ",\"secret\":{\"token\":\"s3cr3t\"}}", NULL, "secret: "},
        {"{" NAMED ",\"s3cr3t\":1}", NULL, "a key that is not known: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char problem[512] = "";
        json_t *request = cmd_import_read(text_of(cases[i].line), 1000, problem, sizeof problem);
        json_t *expected = cases[i].request ? json_loads(cases[i].request, 0, NULL) : NULL;
        if ((request != NULL) != (expected != NULL) || (expected && !json_equal(request, expected)))
            fail_msg("%s: %s", cases[i].line, problem);
        if (cases[i].problem && strncmp(problem, cases[i].problem, strlen(cases[i].problem)) != 0)
            fail_msg("%s: %s", cases[i].line, problem);
        assert_null(strstr(problem, "s3cr3t"));
        json_decref(request);
        json_decref(expected);
    }
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
