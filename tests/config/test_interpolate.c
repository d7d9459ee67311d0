#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/interpolate.h"

/* Two folders of secrets and the vars of a file; made anew for each test. */
struct fixture {
    char credentials[64], secrets[64];
    struct interpolate_vars vars;
};

static void write_file(const char *folder, const char *name, const char *content, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    strcpy(fixture->credentials, "/tmp/bursar-test-XXXXXX");
    strcpy(fixture->secrets, "/tmp/bursar-test-XXXXXX");
    if (!mkdtemp(fixture->credentials) || !mkdtemp(fixture->secrets))
        return -1;
    setenv("CREDENTIALS_DIRECTORY", fixture->credentials, 1);
    setenv("BURSAR_SECRETS_DIR", fixture->secrets, 1);
    interpolate_vars_set(&fixture->vars, TEXT_LITERAL("region"), TEXT_LITERAL("eu"));
    interpolate_vars_set(&fixture->vars, TEXT_LITERAL("stage"), TEXT_LITERAL("old"));
    interpolate_vars_set(&fixture->vars, TEXT_LITERAL("stage"), TEXT_LITERAL("live"));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"KEY", "BOTH", "LINES", "BIG", "EMPTY"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 5; i++) {
        remove_file(fixture->credentials, names[i]);
        remove_file(fixture->secrets, names[i]);
    }
    rmdir(fixture->credentials);
    rmdir(fixture->secrets);
    interpolate_vars_free(&fixture->vars);
    free(fixture);
    return 0;
}

/* The result and the messages, as "result|messages". */
static void assert_becomes(const struct fixture *fixture, const char *raw, const char *expected)
{
    struct problems problems = {0};
    struct spot spot = {&problems, {"f", 1, 2}, NULL};
    struct buf out = buf_make_secret(INTERPOLATE_MAX_BYTES);
    struct buf all = buf_make(1 << 20);
    if (interpolate(text_of(raw), &fixture->vars, spot, &out))
        buf_append_text(&all, buf_text(&out));
    else
        assert_true(problems.count > 0);
    buf_append_byte(&all, '|');
    problems_print(&problems, &all);
    assert_string_equal((const char *)all.data, expected);
    problems_free(&problems);
    buf_free(&out);
    buf_free(&all);
}

static void test_plain(void **state)
{
    const struct fixture *fixture = *state;
    assert_becomes(fixture, "", "|");
    assert_becomes(fixture, "a $b {c} $", "a $b {c} $|");
    assert_becomes(fixture, "$${vars.region}", "${vars.region}|");
    assert_becomes(fixture, "$$${vars.region}", "$${vars.region}|");
    assert_becomes(fixture, "https://${vars.region}.x/${vars.stage}", "https://eu.x/live|");
}

static void test_secret(void **state)
{
    const struct fixture *fixture = *state;
    write_file(fixture->credentials, "BOTH", "first", 5);
    write_file(fixture->secrets, "BOTH", "second", 6);
    write_file(fixture->secrets, "KEY", "k3y\n", 4);
    write_file(fixture->secrets, "LINES", "a\r\n\r\n", 5);
    write_file(fixture->secrets, "EMPTY", "", 0);
    setenv("BURSAR_SECRET_ENV", "e", 1);
    setenv("BURSAR_SECRET_KEY", "not this", 1);
    assert_becomes(fixture, "${secret:BOTH}", "first|");
    assert_becomes(fixture, "<${secret:KEY}>", "<k3y>|");
    assert_becomes(fixture, "${secret:LINES}", "a\r\n|");
    assert_becomes(fixture, "[${secret:EMPTY}]", "[]|");
    assert_becomes(fixture, "${secret:ENV}${secret:KEY}", "ek3y|");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_becomes(fixture, "${secret:BOTH}", "second|");
}

static void test_missing(void **state)
{
    const struct fixture *fixture = *state;
    char expected[512];
    unsetenv("BURSAR_TEST_ABSENT");
    snprintf(expected, sizeof expected,
             "|f:1:2: no secret \"NONE\": not in $CREDENTIALS_DIRECTORY, not in %s, and "
             "BURSAR_SECRET_NONE is not set\n"
             "f:1:2: the environment variable \"BURSAR_TEST_ABSENT\" is not set\n",
             fixture->secrets);
    write_file(fixture->secrets, "KEY", "k3y", 3);
    assert_becomes(fixture, "${secret:KEY}${secret:NONE}${env:BURSAR_TEST_ABSENT}", expected);
    assert_becomes(fixture, "${vars.regoin}",
                   "|f:1:2: `vars` has no \"regoin\" (did you mean \"region\"?)\n");
    assert_becomes(fixture, "${vars.zzzzzz}", "|f:1:2: `vars` has no \"zzzzzz\"\n");
}

static void test_wrong(void **state)
{
    const struct fixture *fixture = *state;
    static const char other[] =
        "|f:1:2: ${…} is none of ${secret:NAME}, ${env:NAME}, ${file:PATH}, "
        "${vars.NAME}; write $${ for the characters themselves\n";
    assert_becomes(fixture, "a ${vars.region",
                   "|f:1:2: ${ without its }; write $${ for the characters themselves\n");
    assert_becomes(fixture, "${}", other);
    assert_becomes(fixture, "${SECRET}", other);
    assert_becomes(fixture, "${secret:../../etc/passwd}",
                   "|f:1:2: ${secret:…} is not followed by a name that can exist\n");
    assert_becomes(fixture, "${secret:..}",
                   "|f:1:2: ${secret:…} is not followed by a name that can exist\n");
    assert_becomes(fixture, "${env:}",
                   "|f:1:2: ${env:…} is not followed by a name that can exist\n");
    assert_becomes(fixture, "${file:relative}", "|f:1:2: ${file:…} needs an absolute path\n");
    assert_becomes(fixture, "${file:/}",
                   "|f:1:2: the file \"/\" cannot be read: not a regular file\n");
    assert_becomes(
        fixture, "${file:/nonexistent/x}",
        "|f:1:2: the file \"/nonexistent/x\" cannot be read: No such file or directory\n");
}

static void test_files(void **state)
{
    const struct fixture *fixture = *state;
    char raw[128];
    write_file(fixture->secrets, "KEY", "pem\nlines\n", 10);
    snprintf(raw, sizeof raw, "${file:%s/KEY}", fixture->secrets);
    assert_becomes(fixture, raw, "pem\nlines|");
}

static void test_limits(void **state)
{
    const struct fixture *fixture = *state;
    static char big[INTERPOLATE_MAX_BYTES + 1];
    memset(big, 'x', sizeof big);
    write_file(fixture->secrets, "BIG", big, sizeof big);
    assert_becomes(fixture, "${secret:BIG}",
                   "|f:1:2: the secret \"BIG\" cannot be read: File too large\n");
    write_file(fixture->secrets, "BIG", big, sizeof big - 1);
    struct problems problems = {0};
    struct buf out = buf_make_secret(INTERPOLATE_MAX_BYTES);
    assert_true(interpolate(TEXT_LITERAL("${secret:BIG}"), NULL,
                            (struct spot){&problems, {"f", 1, 2}, NULL}, &out));
    assert_int_equal(out.len, INTERPOLATE_MAX_BYTES);
    assert_int_equal(problems.count, 0);
    buf_free(&out);
    assert_becomes(fixture, "${secret:BIG}.", "|f:1:2: longer than 64 KiB\n");
}

/* vars are read before there are vars. */
static void test_no_vars(void **state)
{
    (void)state;
    struct problems problems = {0};
    struct buf out = buf_make_secret(64);
    assert_false(interpolate(TEXT_LITERAL("${vars.region}"), NULL,
                             (struct spot){&problems, {"f", 1, 2}, NULL}, &out));
    assert_int_equal(problems.count, 1);
    problems_free(&problems);
    buf_free(&out);
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
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_plain),   WITH_FIXTURE(test_secret), WITH_FIXTURE(test_missing),
        WITH_FIXTURE(test_wrong),   WITH_FIXTURE(test_files),  WITH_FIXTURE(test_limits),
        WITH_FIXTURE(test_no_vars),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
