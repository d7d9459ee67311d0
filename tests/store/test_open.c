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

#include <sqlite3.h>

#include <bursar/error.h>

#include "fixture.h"
#include "store/sqlite/db.h"
#include "store/sqlite/schema.h"

#define T(s) TEXT_LITERAL(s)

static struct buf content_of(const char *path)
{
    struct buf content = buf_make(1 << 20);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, buf_reserve(&content, 1 << 19), 1 << 19);
    assert_true(got >= 0);
    buf_added(&content, (size_t)got);
    close(fd);
    return content;
}

/* ---- a file that is ours --------------------------------------------------------------------- */

static void test_new_file(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(fixture_sql(f, "PRAGMA page_size"), DB_PAGE_BYTES);
    assert_int_equal(fixture_sql(f, "PRAGMA user_version"), schema_version());
    assert_int_equal(fixture_sql(f, "PRAGMA application_id"), 0x62757273);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM pragma_journal_mode WHERE"
                                    " journal_mode = 'wal'"),
                     1);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main'"
                                    " AND name NOT LIKE 'sqlite%' AND NOT strict"),
                     0);
}

static void test_restart(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    fixture_close(f);
    fixture_open(f);
    struct conn_row row = row_of(f, "c.1");
    assert_true(row.generation == 1 && text_is(row.secret, "sealed secret"));
    conn_row_free(&row);
    struct intent_row *rows;
    size_t count;
    assert_int_equal(f->engine->intents(f->reader, T("github"), &rows, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].connection, "c.1");
    free(rows);
    apply_right(f, change_refreshed("c.1", 1), EVENT_REFRESHED);
    assert_int_equal(fixture_sql(f, "SELECT max(seq) FROM event"), 2);
}

static void test_one_writer(void **state)
{
    struct fixture *f = *state;
    struct store_writer *second = NULL;
    struct buf error = buf_make(500);
    char expected[200];
    assert_int_equal(f->engine->writer_open(f->path, &second, &error), BURSAR_E_CONFLICT);
    snprintf(expected, sizeof expected, "%s: another bursard has this store open", f->path);
    assert_true(text_is(buf_text(&error), expected));
    assert_null(second);
    buf_clear(&error);
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED); /* the first goes on */
    fixture_close(f);
    assert_int_equal(f->engine->writer_open(f->path, &second, &error), 0);
    f->engine->writer_close(second);
    f->engine->writer_close(NULL);
    f->engine->reader_close(NULL);
    fixture_open(f);
    buf_free(&error);
}

/* What was committed is in the database itself after tidying: a copy without the log has it. */
static void test_tidy(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->engine->can_write(f->writer), 0);
    for (int round = 0; round < 2; round++) {
        apply_right(f, round == 0 ? change_put("c.1", "a", 0) : change_refreshed("c.1", 1),
                    round == 0 ? EVENT_CONNECTED : EVENT_REFRESHED);
        assert_int_equal(f->engine->tidy(f->writer), 0);
        struct fixture copy = {0};
        snprintf(copy.path, sizeof copy.path, "%s/copy.db", f->folder);
        struct buf content = content_of(f->path);
        int fd = open(copy.path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, content.data, content.len), content.len);
        close(fd);
        assert_int_equal(fixture_sql(&copy, "SELECT generation FROM connection"), round + 1);
        unlink(copy.path);
        snprintf(copy.path, sizeof copy.path, "%s/copy.db-wal", f->folder);
        unlink(copy.path);
        snprintf(copy.path, sizeof copy.path, "%s/copy.db-shm", f->folder);
        unlink(copy.path);
        buf_free(&content);
    }
}

static void test_engines(void **state)
{
    (void)state;
    const char *where = NULL;
    const struct store_engine *engine = store_engine_of("sqlite:/a:b", &where);
    assert_non_null(engine);
    assert_string_equal(engine->scheme, "sqlite");
    assert_string_equal(where, "/a:b");
    static const char *const unknown[] = {"",           "sqlite", "/a",        "sqlit:/a",
                                          "sqlitex:/a", ":/a",    "SQLITE:/a", "postgresql://h/d"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null(store_engine_of(unknown[i], &where));
    assert_string_equal(where, "/a:b");
}

/* ---- files that are not ---------------------------------------------------------------------- */

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void remove_all(const struct fixture *f)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[120];
        snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
        unlink(path);
    }
}

/* The file is refused with this text, and stays as it was to the last byte. */
static void expect_refused(struct fixture *f, int result, const char *message)
{
    struct store_writer *writer = NULL;
    struct buf error = buf_make(500), before = content_of(f->path);
    char expected[300];
    snprintf(expected, sizeof expected, "%s: %s", f->path, message);
    int got = f->engine->writer_open(f->path, &writer, &error);
    if (got != result || !text_is(buf_text(&error), expected))
        fail_msg("%s: %s", bursar_error_code(got), error.data ? (char *)error.data : "");
    assert_null(writer);
    struct buf after = content_of(f->path);
    assert_true(text_equal(buf_text(&before), buf_text(&after)));
    buf_free(&before);
    buf_free(&after);
    buf_free(&error);
}

static void test_other_files(void **state)
{
    struct fixture *f = *state;
    char text[200];
    fixture_close(f);
    static const struct {
        const char *sql, *message;
    } cases[] = {
        {"CREATE TABLE t (a)", "the file is a database of another program"},
        {"PRAGMA application_id = 5", "the file is a database of another program"},
        {"PRAGMA user_version = 1", "the file is a database of another program"},
        {"PRAGMA application_id = 5; CREATE TABLE connection (a); PRAGMA user_version = 1",
         "the file is a database of another program"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        remove_all(f);
        run_sql(f->path, cases[i].sql);
        expect_refused(f, BURSAR_E_CONFIG, cases[i].message);
    }
    remove_all(f);
    memset(text, 'x', sizeof text);
    int fd = open(f->path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    close(fd);
    expect_refused(f, BURSAR_E_CONFIG, "file is not a database");
    remove_all(f);
    fixture_open(f);
}

static void test_other_versions(void **state)
{
    struct fixture *f = *state;
    char sql[100], message[200];
    fixture_close(f);
    static const int versions[] = {1, 100, -1 - 1000, INT32_MIN / 2};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        int version = versions[i] > 0 ? schema_version() + versions[i] : versions[i];
        snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
        run_sql(f->path, sql);
        snprintf(message, sizeof message,
                 "the file has schema version %d, this program knows %d: use a newer one", version,
                 schema_version());
        expect_refused(f, BURSAR_E_CONFIG, message);
    }
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", schema_version());
    run_sql(f->path, sql);
    fixture_open(f);
}

/* A file of the first version keeps all it has, and gets what is new. */
static void test_first_version(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    fixture_close(f);
    run_sql(f->path,
            "DROP TRIGGER connection_is_added; DROP TRIGGER connection_is_gone;"
            " DROP TRIGGER connection_moves; DROP TABLE state_count;"
            " DROP TABLE consent; DROP TABLE incident; DROP INDEX connection_grant_end;"
            " DROP TABLE sweep; DROP TABLE sweep_part; DROP TABLE receipt; DROP TABLE pause;"
            " DROP TABLE principal; DROP TABLE audit; DROP TABLE audit_ends;"
            " DROP TABLE audit_journal; CREATE INDEX intent_provider ON intent (provider);"
            " ALTER TABLE connection DROP COLUMN suspect;"
            " ALTER TABLE connection DROP COLUMN cut_short;"
            " ALTER TABLE connection DROP COLUMN lost_at;"
            " PRAGMA user_version = 1");
    fixture_open(f);
    assert_int_equal(fixture_sql(f, "PRAGMA user_version"), schema_version());
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection WHERE id = 'c.1'"), 1);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM event"), 1);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM consent"), 0);
    assert_int_equal(fixture_sql(f, "SELECT count FROM state_count WHERE state = 2"), 1);
}

/* A migration that fails leaves the version where it was, and nothing half made. */
static void test_failed_migration(void **state)
{
    struct fixture *f = *state;
    struct store_writer *writer = NULL;
    struct buf error = buf_make(500);
    fixture_close(f);
    remove_all(f);
    run_sql(f->path, "PRAGMA application_id = 1651864179; CREATE TABLE event (a)");
    assert_int_equal(f->engine->writer_open(f->path, &writer, &error), BURSAR_E_STORE_UNAVAILABLE);
    assert_non_null(strstr((char *)error.data, "table event already exists"));
    assert_int_equal(fixture_sql(f, "PRAGMA user_version"), 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM sqlite_schema"), 1);
    remove_all(f);
    fixture_open(f);
    buf_free(&error);
}

/* ---- a program that is killed while it brings a file up to date ------------------------------- */

static int commits_left;

/* Whoever waits for it kills it there: of one that kills itself valgrind would say what it has not given back. */
static int stop_at_commit(void *context)
{
    (void)context;
    if (commits_left-- == 0)
        raise(SIGSTOP);
    return 0;
}

static int watch_commits(sqlite3 *handle, const char **error,
                         const struct sqlite3_api_routines *routines)
{
    (void)error, (void)routines;
    sqlite3_commit_hook(handle, stop_at_commit, NULL);
    return SQLITE_OK;
}

/* Leaves the file with so many steps done, and the next one on the disk but not committed. */
static void migrate_until_killed(const struct fixture *f, int version)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store_writer *writer = NULL;
        struct buf error = buf_make(500);
        commits_left = version;
        sqlite3_auto_extension((void (*)(void))watch_commits);
        f->engine->writer_open(f->path, &writer, &error);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* From each version that there was the next program goes on, with all that is in the file. */
static void test_killed_between_versions(void **state)
{
    static const char rows[] =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
        " INSERT INTO connection (id, owner, provider, account, state, prior_state, generation,"
        "  created_at, updated_at) SELECT 'c.' || i, 'o', 'p', i, i % 6 + 1, 0, 1, 1, 1 FROM n";
    struct fixture *f = *state;
    fixture_close(f);
    for (int version = 1; version < schema_version(); version++) {
        remove_all(f);
        migrate_until_killed(f, version);
        assert_int_equal(fixture_sql(f, "PRAGMA user_version"), version);
        run_sql(f->path, rows);
        migrate_until_killed(f, 0);
        assert_int_equal(fixture_sql(f, "PRAGMA user_version"), version);
        fixture_open(f);
        assert_int_equal(fixture_sql(f, "PRAGMA user_version"), schema_version());
        assert_int_equal(fixture_sql(f, "SELECT sum(count) FROM state_count"), 20);
        fixture_close(f);
        fixture_check(f);
    }
    fixture_open(f);
}

static void test_no_place(void **state)
{
    struct fixture *f = *state;
    struct store_writer *writer = NULL;
    struct store_reader *reader = NULL;
    struct buf error = buf_make(500);
    char path[160];
    snprintf(path, sizeof path, "%s/no/such/bursar.db", f->folder);
    assert_int_equal(f->engine->writer_open(path, &writer, &error), BURSAR_E_STORE_UNAVAILABLE);
    assert_non_null(strstr((char *)error.data, "cannot be opened: No such file or directory"));
    assert_null(writer);
    buf_clear(&error);
    snprintf(path, sizeof path, "%s/other.db", f->folder);
    assert_int_equal(f->engine->reader_open(path, &reader, &error), BURSAR_E_STORE_UNAVAILABLE);
    assert_true(error.len > strlen(path));
    assert_null(reader);
    assert_int_not_equal(access(path, F_OK), 0); /* a reader makes no file */
    buf_free(&error);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_file),
        TEST(test_restart),
        TEST(test_one_writer),
        TEST(test_tidy),
        TEST(test_other_files),
        TEST(test_other_versions),
        TEST(test_first_version),
        TEST(test_failed_migration),
        TEST(test_killed_between_versions),
        TEST(test_no_place),
        cmocka_unit_test(test_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
