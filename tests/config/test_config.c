#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "config/config.h"
#include "config/schema.h"
#include "kinds.h"

/* ---- cases/NAME.yaml with the lines that it gives in cases/NAME.errors ------------------------ */

static void cases_folder(char out[static 512])
{
    const char *top = getenv("abs_top_srcdir");
    snprintf(out, 512, "%s/tests/config/cases", top ? top : ".");
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    char *content = calloc(1, 65536);
    if (!file || !content)
        fail_msg("%s", path);
    size_t len = fread(content, 1, 65535, file);
    content[len] = 0;
    fclose(file);
    return content;
}

/* The messages without the folder, which is another one on each machine. */
static char *without_folder(const char *errors, const char *folder)
{
    size_t folder_len = strlen(folder);
    char *out = calloc(1, strlen(errors) + 1);
    char *to = out;
    for (const char *at = errors; *at;) {
        if (strncmp(at, folder, folder_len) == 0 && at[folder_len] == '/')
            at += folder_len + 1;
        else
            *to++ = *at++;
    }
    return out;
}

static bool is_case_right(const char *folder, const char *name)
{
    char path[1024];
    struct config *config = NULL;
    struct buf errors = buf_make(65536);
    snprintf(path, sizeof path, "%s/%s.errors", folder, name);
    char *expected = read_whole(path);
    snprintf(path, sizeof path, "%s/%s.yaml", folder, name);
    int error = config_load(path, &test_kinds, &config, &errors);
    char *found = without_folder((const char *)buf_text(&errors).data, folder);
    bool is_right = strcmp(found, expected) == 0 && error == (expected[0] ? BURSAR_E_CONFIG : 0);
    if (!is_right)
        print_error("case %s gave %d:\n%s", name, error, found);
    free(found);
    free(expected);
    buf_free(&errors);
    config_free(config);
    return is_right;
}

static void test_cases(void **state)
{
    (void)state;
    char folder[512];
    size_t cases = 0;
    size_t wrong = 0;
    cases_folder(folder);
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        char name[300];
        snprintf(name, sizeof name, "%s", entry->d_name);
        char *dot = strrchr(name, '.');
        if (!dot || strcmp(dot, ".yaml") != 0)
            continue;
        *dot = 0;
        cases++;
        wrong += !is_case_right(folder, name);
    }
    closedir(listing);
    assert_true(cases >= 10);
    assert_int_equal(wrong, 0);
}

/* ---- files made here ------------------------------------------------------------------------- */

struct fixture {
    char folder[64];
    char main_path[128];
};

static void put_file(const struct fixture *fixture, const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[128];
    strcpy(fixture->folder, "/tmp/bursar-test-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->main_path, sizeof fixture->main_path, "%s/bursar.yaml", fixture->folder);
    snprintf(path, sizeof path, "%s/conf.d", fixture->folder);
    if (mkdir(path, 0700) != 0)
        return -1;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"bursar.yaml",
                                        "conf.d/10.yaml",
                                        "conf.d/20.yaml",
                                        "conf.d/.30.yaml",
                                        "conf.d/notes.txt",
                                        "conf.d",
                                        ""};
    struct fixture *fixture = *state;
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->folder, names[i]);
        remove(path);
    }
    free(fixture);
    return 0;
}

static struct config *load(const struct fixture *fixture)
{
    struct config *config = NULL;
    struct buf errors = buf_make(65536);
    int error = config_load(fixture->main_path, &test_kinds, &config, &errors);
    if (error != 0)
        fail_msg("%s", (const char *)buf_text(&errors).data);
    buf_free(&errors);
    return config;
}

static void test_defaults(void **state)
{
    const struct fixture *fixture = *state;
    put_file(fixture, "bursar.yaml", "# nothing\n");
    struct config *config = load(fixture);
    assert_int_equal(config->jobs.count, 1);
    assert_string_equal(config->jobs.items[0], "ipc:///run/bursar/jobs");
    assert_string_equal(config->intake.items[0], "ipc:///run/bursar/intake");
    assert_string_equal(config->events.items[0], "ipc:///run/bursar/events");
    assert_string_equal(config->store, "sqlite:/var/lib/bursar/bursar.db");
    assert_string_equal(config->keyring, "file:/etc/bursar/keyring");
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->log_format, LOG_TEXT);
    assert_int_equal(config->max_job_bytes, 65536);
    assert_int_equal(config->io_threads, 1);
    assert_int_equal(config->events_keep_days, 30);
    assert_false(config->allow_http_loopback);
    assert_false(config->allow_private_addresses);
    assert_false(config->allow_experimental);
    assert_false(config->is_audit_strict);
    assert_null(config->curve_key.data);
    assert_int_equal(config->catalog.count, 1); /* the installed one */
    assert_int_equal(config->known_count, 0);
    assert_int_equal(config->provider_count, 0);
    config_free(config);
}

static const char full[] = "listen:\n"
                           "  jobs: [ipc:///tmp/a, ipc:///tmp/b]\n"
                           "  curve_key: '0123456789012345678901234567890123456789'\n"
                           "  io_threads: 4\n"
                           "store: sqlite:/tmp/s.db\n"
                           "audit: strict\n"
                           "log: {level: debug, format: json}\n"
                           "vars: {host: '127.0.0.1', quoted: \"x y\"}\n"
                           "defaults: {refresh_lead_s: 60, timeout_s: 2.5}\n"
                           "connectors: {allow_http_loopback: true, catalog: [/a, /b]}\n"
                           "providers:\n"
                           "  acme:\n"
                           "    kind: oauth2_refresh\n"
                           "    token_url: http://${vars.host}:8080/token\n"
                           "    client_id: 42\n"
                           "    client_secret: ${env:BURSAR_TEST_SECRET}\n"
                           "    scopes: [read, write]\n"
                           "    headers: {X-Tag: '${vars.quoted}'}\n"
                           "    timeout_s: 7\n"
                           "    rotation: strict\n"
                           "  keys: {kind: static}\n"
                           "auth:\n"
                           "  acme:\n"
                           "    kind: static\n"
                           "    token: t0ken\n"
                           "max_job_bytes: 4096\n"
                           "events: {keep_days: 7}\n";

static void check_acme(const struct config_provider *acme)
{
    const struct settings *settings = &acme->settings;
    assert_string_equal(acme->id, "acme");
    assert_string_equal(acme->kind, "oauth2_refresh");
    assert_non_null(strstr(acme->place, "/bursar.yaml:12"));
    assert_false(acme->is_shared);
    assert_true(text_is(settings_text(settings, "token_url"), "http://127.0.0.1:8080/token"));
    assert_true(text_is(settings_text(settings, "client_id"), "42"));
    assert_true(text_is(settings_text(settings, "client_secret"), "s3cret"));
    assert_null(settings_find(settings, "client_secret")->text);
    assert_true(text_is(settings_text(settings, "rotation"), "strict"));
    assert_true(text_is(settings_text(settings, "client_auth"), "client_secret_basic"));
    assert_true(settings_bool(settings, "pkce"));
    assert_string_equal(settings_find(settings, "scopes")->items[1].value, "write");
    assert_string_equal(settings_find(settings, "headers")->items[0].name, "X-Tag");
    assert_string_equal(settings_find(settings, "headers")->items[0].value, "x y");
    assert_string_equal(settings_find(settings, "reauth_errors")->items[0].value, "invalid_grant");
    assert_false(settings_find(settings, "reauth_errors")->is_given);
    assert_true(settings_number(settings, "timeout_s", 0) == 7);
    assert_true(settings_number(settings, "refresh_lead_s", 0) == 60);
    assert_true(settings_number(settings, "connect_timeout_s", 0) == 5);
    assert_null(settings_find(settings, "default_ttl_s"));
}

static void test_full(void **state)
{
    const struct fixture *fixture = *state;
    setenv("BURSAR_TEST_SECRET", "s3cret", 1);
    put_file(fixture, "bursar.yaml", full);
    struct config *config = load(fixture);
    assert_int_equal(config->jobs.count, 2);
    assert_string_equal(config->jobs.items[1], "ipc:///tmp/b");
    assert_int_equal(config->curve_key.len, 40);
    assert_true(config->is_audit_strict);
    assert_int_equal(config->log_level, LOG_DEBUG);
    assert_int_equal(config->log_format, LOG_JSON);
    assert_int_equal(config->catalog.count, 2);
    assert_int_equal(config->max_job_bytes, 4096);
    assert_int_equal(config->io_threads, 4);
    assert_int_equal(config->events_keep_days, 7);
    assert_int_equal(config->provider_count, 3);
    check_acme(&config->providers[0]);
    assert_true(config->providers[2].is_shared);
    assert_true(text_is(settings_text(&config->providers[2].settings, "token"), "t0ken"));
    config_free(config);
}

static void test_merge(void **state)
{
    const struct fixture *fixture = *state;
    put_file(fixture, "bursar.yaml",
             "log: {level: error, format: json}\n"
             "listen: {jobs: [ipc:///tmp/a, ipc:///tmp/b]}\n"
             "vars: {x: one, y: kept}\n"
             "providers: {a: {kind: static, username: '${vars.x} ${vars.y}'}}\n");
    put_file(fixture, "conf.d/10.yaml", "log: {level: warning}\nvars: {x: two}\nproviders:\n");
    put_file(fixture, "conf.d/20.yaml",
             "log: {level: debug}\nlisten: {jobs: [ipc:///tmp/c]}\n"
             "providers: {b: {kind: static}}\ndefaults: {timeout_s: 3}\n");
    put_file(fixture, "conf.d/.30.yaml", "log: {level: error}\n");
    put_file(fixture, "conf.d/notes.txt", "not: [yaml\n");
    struct config *config = load(fixture);
    assert_int_equal(config->log_level, LOG_DEBUG);
    assert_int_equal(config->log_format, LOG_JSON);
    assert_int_equal(config->jobs.count, 1);
    assert_string_equal(config->jobs.items[0], "ipc:///tmp/c");
    assert_int_equal(config->provider_count, 2);
    assert_true(text_is(settings_text(&config->providers[0].settings, "username"), "two kept"));
    assert_true(settings_number(&config->providers[0].settings, "timeout_s", 0) == 3);
    config_free(config);
}

static void assert_errors(const struct fixture *fixture, const char *expected)
{
    struct config *config = NULL;
    struct buf errors = buf_make(65536);
    assert_int_equal(config_load(fixture->main_path, &test_kinds, &config, &errors),
                     BURSAR_E_CONFIG);
    char *found = without_folder((const char *)buf_text(&errors).data, fixture->folder);
    assert_string_equal(found, expected);
    assert_null(config);
    free(found);
    buf_free(&errors);
}

static void test_errors_of_all_files(void **state)
{
    const struct fixture *fixture = *state;
    put_file(fixture, "bursar.yaml", "providers: {a: {kind: static}}\nlgo: {}\n");
    put_file(fixture, "conf.d/10.yaml", "log: {level: [\n");
    put_file(fixture, "conf.d/20.yaml", "auth: {a: {kind: static}}\nproviders:\n  a: {kind: x}\n");
    assert_errors(fixture, "bursar.yaml:2:1: lgo: unknown key (did you mean \"log\"?)\n"
                           "conf.d/10.yaml:2:1: flow sequence without a closing bracket\n"
                           "conf.d/20.yaml:3:3: providers.a: the name is taken already, at "
                           "bursar.yaml:1\n");
}

static void test_no_file(void **state)
{
    const struct fixture *fixture = *state;
    assert_errors(fixture, "bursar.yaml: cannot be opened: No such file or directory\n");
}

/* A secret that stands where it does not belong is in no message. */
static void test_no_secret_in_errors(void **state)
{
    const struct fixture *fixture = *state;
    struct config *config = NULL;
    struct buf errors = buf_make(65536);
    setenv("BURSAR_TEST_SECRET", "hunter2", 1);
    put_file(fixture, "bursar.yaml",
             "store: ${env:BURSAR_TEST_SECRET}\n"
             "keyring: hunter2\n"
             "listen: {jobs: [hunter2], curve_key: hunter2}\n"
             "log: {level: hunter2}\n"
             "max_job_bytes: ${env:BURSAR_TEST_SECRET}\n"
             "connectors: {catalog: [hunter2], experimental: hunter2}\n"
             "defaults: {timeout_s: hunter2}\n"
             "providers:\n"
             "  a: {kind: hunter2}\n"
             "  b: {kind: oauth2_refresh, token_url: 'https://u:hunter2@x/', rotation: hunter2,\n"
             "      scopes: hunter2, client_id: \"hunter2\\e\", headers: [hunter2]}\n");
    assert_int_equal(config_load(fixture->main_path, &test_kinds, &config, &errors),
                     BURSAR_E_CONFIG);
    assert_null(strstr((const char *)errors.data, "hunter2"));
    size_t lines = 0;
    for (size_t i = 0; i < errors.len; i++)
        lines += errors.data[i] == '\n';
    assert_int_equal(lines, 15);
    buf_free(&errors);
}

static void test_schema(void **state)
{
    (void)state;
    size_t count = 0;
    const struct schema_row *rows = schema_rows(&count);
    assert_true(count > 15);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(rows[i].option.help);
        assert_true(strlen(rows[i].option.help) > 3);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(rows[i].option.name, rows[j].option.name);
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
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        WITH_FIXTURE(test_defaults),
        WITH_FIXTURE(test_full),
        WITH_FIXTURE(test_merge),
        WITH_FIXTURE(test_errors_of_all_files),
        WITH_FIXTURE(test_no_file),
        WITH_FIXTURE(test_no_secret_in_errors),
        cmocka_unit_test(test_schema),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
