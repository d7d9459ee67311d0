/* The program itself ($BURSAR) against a fake daemon: what it prints where, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../client/fake.h"

struct fixture {
    struct fake *fake;
    char folder[64]; /* for what `init` makes and for what the program prints */
    char out[65536], err[65536];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->fake = fake_new();
    strcpy(fixture->folder, "/tmp/bursar-test-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    struct bursar_client_options options = fake_options(fixture->fake);
    setenv("BURSAR_ENDPOINT", options.jobs_endpoint, 1);
    unsetenv("BURSAR_EVENTS_ENDPOINT");
    *state = fixture;
    return 0;
}

static void remove_file(const struct fixture *fixture, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    remove(path);
}

static int teardown(void **state)
{
    static const char *const names[] = {
        "out", "err", "in", "d/keyring", "d/curve.key", "d/curve.pub", "d/bursar.yaml", "d", ""};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove_file(fixture, names[i]);
    fake_free(fixture->fake);
    free(fixture);
    return 0;
}

static int open_in(const struct fixture *fixture, const char *name, int flags)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    int fd = open(path, flags, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void read_back(const struct fixture *fixture, const char *name, char *to, size_t size)
{
    int fd = open_in(fixture, name, O_RDONLY);
    ssize_t len = read(fd, to, size - 1);
    assert_true(len >= 0);
    to[len] = 0;
    close(fd);
}

/* Runs the program and waits for its end; its output comes into the fixture. */
static int run(struct fixture *fixture, const char *input, const char *const *words)
{
    const char *program = getenv("BURSAR");
    char *argv[16] = {(char *)(uintptr_t)program};
    int status = 0;
    for (int i = 0; words[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    int in = open_in(fixture, "in", O_RDWR | O_CREAT | O_TRUNC);
    int out = open_in(fixture, "out", O_WRONLY | O_CREAT | O_TRUNC);
    int err = open_in(fixture, "err", O_WRONLY | O_CREAT | O_TRUNC);
    assert_int_equal(write(in, input, strlen(input)), strlen(input));
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execv(program, argv);
        _exit(127);
    }
    close(in);
    close(out);
    close(err);
    assert_int_equal(waitpid(child, &status, 0), child);
    read_back(fixture, "out", fixture->out, sizeof fixture->out);
    read_back(fixture, "err", fixture->err, sizeof fixture->err);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RUN(fixture, input, ...) run(fixture, input, (const char *const[]){__VA_ARGS__, NULL})

static void test_vend(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(RUN(fixture, "", "vend", "acme", "prov/tok-1", "--min-ttl", "60"), 0);
    assert_string_equal(fixture->out, "tok-1\n");
    assert_string_equal(fixture->err, "");
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"vend\",\"deadline_ms\":30000,\"owner\":\"acme\","
                        "\"provider\":\"prov\",\"account\":\"tok-1\",\"min_ttl_s\":60}");
    assert_int_equal(RUN(fixture, "", "--json", "vend", "acme", "prov.0123456789abcdefghjkmnpqrs"),
                     0);
    assert_non_null(strstr(fixture->out, "\"ok\":true"));
    assert_non_null(strstr(fixture->out, "\"generation\":7"));
    assert_ptr_equal(strchr(fixture->out, '\n'), fixture->out + strlen(fixture->out) - 1);
    assert_non_null(
        strstr(fake_last_job(fixture->fake), "\"connection\":\"prov.0123456789abcdefghjkmnpqrs\""));
    assert_int_equal(RUN(fixture, "", "vend", "acme", "prov"), 0);
    assert_string_equal(fixture->out, "default\n");
    assert_int_equal(RUN(fixture, "", "vend", "--ref", "warehouse", "--json"), 0);
    assert_non_null(strstr(fake_last_job(fixture->fake), "\"ref\":\"warehouse\""));
}

/* 0 done, 1 refused, 2 wrong usage, 3 no daemon, 4 needs_reauth. */
static void test_statuses(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(RUN(fixture, "", "vend", "broke", "prov"), 4);
    assert_string_equal(fixture->out, "");
    assert_string_equal(fixture->err,
                        "bursar: needs_reauth: the grant of acme at prov is dead: connect again "
                        "(provider: invalid_grant) (try again in 1.5 s)\n");
    assert_int_equal(RUN(fixture, "", "vend", "broke", "prov", "--json"), 4);
    assert_non_null(strstr(fixture->out, "\"code\":\"needs_reauth\""));
    assert_int_equal(RUN(fixture, "", "show", "anonymous", "prov"), 1);
    assert_non_null(strstr(fixture->err, "bursar: bad_request: "));
    fake_refuse(fixture->fake, true);
    assert_int_equal(RUN(fixture, "", "whoami"), 1);
    assert_non_null(strstr(fixture->err, "bursar: forbidden: "));
    assert_int_equal(RUN(fixture, "", "--endpoint", "ipc:///tmp/bursar-test-nobody", "status"), 3);
    assert_non_null(strstr(fixture->err, "no_daemon"));
    assert_int_equal(
        RUN(fixture, "", "--endpoint", "ipc:///tmp/bursar-test-nobody", "status", "--json"), 3);
    assert_non_null(strstr(fixture->out, "{\"ok\":false,\"error\":{\"code\":\"no_daemon\""));
}

static void test_usage(void **state)
{
    static const char *const lines[][6] = {
        {"vend"},
        {"vend", "acme"},
        {"vend", "acme", "Prov!"},
        {"vend", "acme", "prov/"},
        {"vend", "acme", "prov", "--min-ttl"},
        {"vend", "acme", "prov", "--min-ttl=x"},
        {"vend", "acme", "prov", "--ref=x"},
        {"show", "acme", "prov", "more"},
        {"status", "--force"},
        {"status", "-x"},
        {"status", "--json=yes"},
        {"status", "--key=x"},
        {"status", "--server-key=x"},
        {"status", "--endpoint=tcp://127.0.0.1:1"},
        {"events", "--follow", "--owner", "acme"},
        {"principal"},
        {"principal", "add", "x"},
        {"principal", "add", "x", "--role", "vend"},
        {"principal", "list", "--role", "vend"},
        {"principal", "update", "x", "--print"},
        {"principal", "list", "x"},
        {"refrseh", "acme", "prov"},
        {"events", "reauth/"},
        /* What is no text narrows nothing: it is not left out in silence. */
        {"list", "\xff"},
        {"list", "--provider", "\xff"},
        {"list", "acme", "--state=A\xc3"},
        {"export", "-", "--owner", "\xff"},
        {"revoke", "--provider=prov", "--owner", "M\xfcller", "--yes"},
        {"events", "--owner", "\xff"},
        {"sweep", "\xff"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (run(fixture, "", lines[i]) != 2 || fixture->err[0] == 0 || fixture->out[0] != 0)
            fail_msg("line %zu: %s", i, fixture->err);
    }
    assert_int_equal(RUN(fixture, "", "vned"), 2);
    assert_string_equal(fixture->err,
                        "bursar: unknown command \"vned\" (did you mean \"vend\"?)\n");
    assert_int_equal(RUN(fixture, "", "vend", "--min-tll", "3"), 2);
    assert_string_equal(fixture->err,
                        "bursar: unknown option --min-tll (did you mean --min-ttl?)\n");
    assert_int_equal(RUN(fixture, "", "--help"), 0);
    assert_non_null(strstr(fixture->out, "invalidate"));
    assert_int_equal(RUN(fixture, "", "--version"), 0);
}

static void test_put(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        RUN(fixture, "{\"kind\":\"bearer\",\"token\":\"hunter2\"}", "put", "acme", "prov/bob"), 0);
    assert_string_equal(fixture->out, "prov.0123 generation 7\n");
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"credential.put\",\"deadline_ms\":30000,\"owner\":\"acme\","
                        "\"provider\":\"prov\",\"account\":\"bob\",\"secret\":{\"kind\":\"bearer\","
                        "\"token\":\"hunter2\"}}");
    assert_int_equal(RUN(fixture, "{\"token\":\"hunter2\"}", "put", "acme", "prov"), 2);
    assert_null(strstr(fixture->err, "hunter2"));
    assert_int_equal(RUN(fixture, "{\"token\":\"hunter2\" hunter3", "put", "acme", "prov"), 2);
    assert_null(strstr(fixture->err, "hunter"));
    assert_non_null(strstr(fixture->err, "not JSON, line 1"));
    assert_int_equal(RUN(fixture, "", "put", "acme", "prov"), 2);
}

static void test_changes(void **state)
{
    static const struct {
        const char *command, *op;
    } changes[] = {{"revoke", "connection.revoke"}, {"restore", "connection.restore"},
                   {"delete", "connection.delete"}, {"freeze", "connection.freeze"},
                   {"thaw", "connection.thaw"},     {"refresh", "refresh"},
                   {"invalidate", "invalidate"},    {"show", "connection.get"}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(RUN(fixture, "", changes[i].command, "acme", "prov"), 0);
        assert_int_equal(fake_count(fixture->fake, changes[i].op), 1);
    }
}

static void test_events(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        fake_event(fixture->fake, "refreshed", "acme", true);
    fake_event(fixture->fake, "reauth", "acme", true);
    assert_int_equal(RUN(fixture, "", "events", "--since", "2", "--json"), 0);
    const char *second = strchr(fixture->out, '\n');
    assert_memory_equal(fixture->out, "{\"seq\":3,", 9);
    assert_non_null(second);
    assert_memory_equal(second + 1, "{\"seq\":4,", 9);
    assert_int_equal(RUN(fixture, "", "events", "--owner", "acme"), 0);
    assert_non_null(strstr(fake_last_job(fixture->fake), "\"owner\":\"acme\""));
    assert_int_equal(RUN(fixture, "", "events"), 0);
    assert_memory_equal(fixture->out, "1  ", 3);
    assert_non_null(strstr(fixture->out, "reauth"));
    assert_non_null(strstr(fixture->out, "grant_refused (invalid_grant)"));
}

/* --follow goes on for ever: it is ended here once it has printed what it must. */
static void test_follow(void **state)
{
    struct fixture *fixture = *state;
    char seen[8192] = "";
    size_t len = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fake_event(fixture->fake, "refreshed", "acme", true);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(getenv("BURSAR"), "bursar", "events", "--follow", "--since", "0", "--json",
              (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    fake_await_subscriptions(fixture->fake, 1);
    fake_event(fixture->fake, "refreshed", "acme", true);
    fake_event(fixture->fake, "reauth", "acme", false);
    fake_event(fixture->fake, "recovered", "acme", true);
    while (!strstr(seen, "\"seq\":4")) {
        ssize_t n = read(ends[0], seen + len, sizeof seen - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        seen[len] = 0;
    }
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    close(ends[0]);
    const char *at = seen;
    for (int seq = 1; seq <= 4; seq++) {
        char begin[32];
        snprintf(begin, sizeof begin, "{\"seq\":%d,", seq);
        assert_memory_equal(at, begin, strlen(begin));
        at = strchr(at, '\n');
        at = at ? at + 1 : "";
    }
}

static mode_t mode_of(const char *folder, const char *name)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void test_init(void **state)
{
    struct fixture *fixture = *state;
    char folder[128];
    char key[128];
    snprintf(folder, sizeof folder, "%s/d", fixture->folder);
    assert_int_equal(RUN(fixture, "", "init", folder), 0);
    assert_int_equal(mode_of(folder, ""), 0700);
    assert_int_equal(mode_of(folder, "keyring"), 0600);
    assert_int_equal(mode_of(folder, "curve.key"), 0600);
    assert_int_equal(mode_of(folder, "bursar.yaml"), 0600);
    read_back(fixture, "d/curve.key", key, sizeof key);
    assert_int_equal(strlen(key), 41);
    assert_null(strstr(fixture->out, key));
    assert_int_equal(RUN(fixture, "", "init", folder), 1);
    assert_non_null(strstr(fixture->err, "keyring: exists already"));
    char again[128];
    read_back(fixture, "d/curve.key", again, sizeof again);
    assert_string_equal(again, key);
    /* nothing is made where one of the files is there */
    remove_file(fixture, "d/keyring");
    assert_int_equal(RUN(fixture, "", "init", folder), 1);
    char path[256];
    snprintf(path, sizeof path, "%s/keyring", folder);
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_vend),   WITH_FIXTURE(test_statuses), WITH_FIXTURE(test_usage),
        WITH_FIXTURE(test_put),    WITH_FIXTURE(test_changes),  WITH_FIXTURE(test_events),
        WITH_FIXTURE(test_follow), WITH_FIXTURE(test_init),
    };
    const char *program = getenv("BURSAR");
    if (!program || access(program, X_OK) != 0) {
        printf("1..0 # SKIP BURSAR does not name the program\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
