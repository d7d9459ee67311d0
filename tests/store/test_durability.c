#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include <bursar/error.h>

#include "fixture.h"

#define T(s) TEXT_LITERAL(s)

/* ---- batches --------------------------------------------------------------------------------- */

static void test_results_in_one_batch(void **state)
{
    struct fixture *f = *state;
    struct store_change changes[] = {
        change_put("c.1", "a", 0),  change_put("c.1", "a", 0),       change_put("c.1", "a", 1),
        change_refreshed("c.2", 1), change_intent("c.1", 2),         change_move("c.1", MOVE_THAW),
        change_refreshed("c.1", 2), change_move("c.1", MOVE_REVOKE), change_put("c.1", "a", 3),
    };
    static const int results[] = {
        0, BURSAR_E_CONFLICT, 0, BURSAR_E_NOT_FOUND, 0, BURSAR_E_CONFLICT, 0, 0, BURSAR_E_REVOKED};
    static const uint64_t seqs[] = {1, 0, 2, 0, 0, 0, 3, 4, 0};
    static const uint64_t generations[] = {1, 0, 2, 0, 2, 2, 3, 3, 0};
    enum { COUNT = sizeof changes / sizeof changes[0] };
    struct store_change *list[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        list[i] = &changes[i];
    struct store_batch batch = {.changes = list, .count = COUNT};
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(changes[i].result, results[i]);
        assert_int_equal(changes[i].event_seq, seqs[i]);
        if (results[i] == 0 || results[i] == BURSAR_E_CONFLICT)
            assert_true(generations[i] == 0 || changes[i].generation == generations[i]);
    }
    assert_int_equal(changes[7].state, CONN_REVOKED);
    assert_int_equal(batch.event_count, 4);
    batch.count = 0;
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    assert_int_equal(batch.event_count, 0);
}

/* ---- a disk that takes no more --------------------------------------------------------------- */

/* No file of this process may grow over so many bytes; 0 lifts the limit. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes > 0 ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static rlim_t wal_bytes(const struct fixture *f)
{
    char path[120];
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_equal(stat(path, &status), 0);
    return (rlim_t)status.st_size;
}

/* A batch of two is written whole or not at all; nothing of a failed one stays, not even a number. */
static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    static char big[200000];
    for (int round = 0; round < 3; round++) {
        uint64_t generation = (uint64_t)round + 1;
        struct store_change one = change_refreshed("c.1", generation);
        char id[20];
        snprintf(id, sizeof id, "d.%d", round);
        struct store_change two = change_put(id, id, 0);
        two.secret.secret = (struct text){big, sizeof big};
        struct store_change *list[] = {&one, &two};
        struct store_batch batch = {.changes = list, .count = 2};
        /* One time the first change is in the log file already when there is no room for the rest. */
        limit_files(wal_bytes(f) + (rlim_t)round * 100000);
        assert_int_equal(f->engine->apply(f->writer, &batch), BURSAR_E_STORE_UNAVAILABLE);
        assert_int_equal(batch.event_count, 0);
        assert_int_equal(one.result, BURSAR_E_STORE_UNAVAILABLE);
        assert_int_equal(two.result, BURSAR_E_STORE_UNAVAILABLE);
        assert_true(one.event_seq == 0 && two.event_seq == 0);
        struct conn_row row = row_of(f, "c.1"); /* and reading goes on */
        assert_true(row.generation == generation);
        conn_row_free(&row);
        limit_files(0);
        assert_int_equal(f->engine->apply(f->writer, &batch), 0); /* it recovers by itself */
        assert_true(one.result == 0 && two.result == 0);
        assert_int_equal(one.event_seq, 2 + 2 * round);
        assert_int_equal(two.event_seq, 3 + 2 * round);
        assert_int_equal(batch.event_count, 2);
    }
    assert_int_equal(fixture_sql(f, "SELECT max(seq) * 100 + count(*) FROM event"), 707);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection"), 4);
}

/* A store on a disk of its own, of 8 MB; false where this process may not make one. */
static bool mount_small(struct fixture *f, struct fixture *out_small)
{
    *out_small = (struct fixture){.engine = f->engine};
    snprintf(out_small->folder, sizeof out_small->folder, "%.60s/small", f->folder);
    snprintf(out_small->path, sizeof out_small->path, "%.60s/small/b.db", f->folder);
    assert_int_equal(mkdir(out_small->folder, 0700), 0);
    if (mount("tmpfs", out_small->folder, "tmpfs", 0, "size=8m") == 0)
        return true;
    assert_int_equal(rmdir(out_small->folder), 0);
    return false;
}

/* Writes until the file is so long or the disk is full. */
static void fill_disk(const struct fixture *small, const char *name, size_t bytes)
{
    static char zeros[65536];
    char path[160];
    snprintf(path, sizeof path, "%s/%s", small->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (bytes > 0) {
        ssize_t written = write(fd, zeros, bytes < sizeof zeros ? bytes : sizeof zeros);
        if (written <= 0)
            break;
        bytes -= (size_t)written;
    }
    close(fd);
}

static void remove_fill(const struct fixture *small, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", small->folder, name);
    assert_int_equal(unlink(path), 0);
}

/* With little room no refresh is begun, and everything else goes on; with none nothing is written. */
static void check_small_disk(struct fixture *small)
{
    apply_right(small, change_put("c.1", "a", 0), EVENT_CONNECTED);
    assert_int_equal(small->engine->can_write(small->writer), 0);
    fill_disk(small, "fill", 5 << 20);
    assert_int_equal(small->engine->can_write(small->writer), BURSAR_E_STORE_UNAVAILABLE);
    struct store_change intent = change_intent("c.1", 1), put = change_put("c.2", "b", 0);
    struct store_change second = change_intent("c.1", 1);
    struct store_change *list[] = {&intent, &put, &second};
    struct store_batch batch = {.changes = list, .count = 3};
    assert_int_equal(small->engine->apply(small->writer, &batch), 0);
    assert_int_equal(intent.result, BURSAR_E_STORE_UNAVAILABLE);
    assert_int_equal(second.result, BURSAR_E_STORE_UNAVAILABLE);
    assert_int_equal(put.result, 0);
    assert_int_equal(fixture_sql(small, "SELECT count(*) FROM intent"), 0);

    fill_disk(small, "more", SIZE_MAX);
    static char big[200000];
    put = change_put("c.3", "c", 0);
    put.secret.secret = (struct text){big, sizeof big};
    list[0] = &put;
    batch.count = 1;
    assert_int_equal(small->engine->apply(small->writer, &batch), BURSAR_E_STORE_UNAVAILABLE);
    struct conn_row row = row_of(small, "c.1");
    conn_row_free(&row);
    remove_fill(small, "more");
    remove_fill(small, "fill");
    assert_int_equal(small->engine->apply(small->writer, &batch), 0);
    assert_int_equal(put.event_seq, 3);
    apply_right(small, change_intent("c.1", 1), EVENT_NONE);
}

static void test_small_disk(void **state)
{
    struct fixture small;
    if (!mount_small(*state, &small))
        skip(); /* only root can */
    fixture_open(&small);
    check_small_disk(&small);
    fixture_close(&small);
    fixture_check(&small);
    assert_int_equal(umount(small.folder), 0);
    assert_int_equal(rmdir(small.folder), 0);
}

/* On a disk that can only be read no writer opens, and it says why. */
static void test_read_only_disk(void **state)
{
    struct fixture small;
    if (!mount_small(*state, &small))
        skip();
    fixture_open(&small);
    apply_right(&small, change_put("c.1", "a", 0), EVENT_CONNECTED);
    fixture_close(&small); /* files that are open for writing keep a disk from being made so */
    assert_int_equal(mount("tmpfs", small.folder, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=8m"), 0);
    struct buf error = buf_make(500);
    assert_true(small.engine->writer_open(small.path, &small.writer, &error) < 0);
    assert_non_null(strstr((char *)error.data, "Read-only file system"));
    assert_null(small.writer);
    buf_free(&error);
    assert_int_equal(umount(small.folder), 0);
    assert_int_equal(rmdir(small.folder), 0);
}

/* Another program that holds the write lock: refused after a while, and then it goes on. */
static void test_locked_file(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    struct store_change put = change_put("c.1", "a", 0);
    struct store_change *list[] = {&put};
    struct store_batch batch = {.changes = list, .count = 1};
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(f->engine->apply(f->writer, &batch), BURSAR_E_STORE_UNAVAILABLE);
    assert_int_equal(put.result, BURSAR_E_STORE_UNAVAILABLE);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    assert_int_equal(put.event_seq, 1);
}

/* ---- what a reader sees ---------------------------------------------------------------------- */

enum { PAIRS = 400 };

struct watcher {
    struct fixture *fixture;
    struct store_reader *reader;
    atomic_bool is_done;
    size_t looks, torn;
};

struct look {
    uint64_t generation;
    size_t count;
    bool is_torn;
};

static bool compare_generation(void *context, const struct conn_row *row)
{
    struct look *look = context;
    if (look->count++ > 0 && row->generation != look->generation)
        look->is_torn = true;
    look->generation = row->generation;
    return true;
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    while (!atomic_load(&watcher->is_done)) {
        struct look look = {0};
        struct store_list_filter filter = {.limit = 10};
        if (watcher->fixture->engine->list(watcher->reader, &filter, compare_generation, &look) !=
                0 ||
            look.is_torn || look.count != 2)
            watcher->torn++;
        watcher->looks++;
    }
    return NULL;
}

/* Two rows that change in the same batches are never seen apart. */
static void test_only_committed_is_seen(void **state)
{
    struct fixture *f = *state;
    struct watcher watcher = {.fixture = f, .reader = f->reader};
    pthread_t thread;
    apply_right(f, change_put("c.1", "a", 0), EVENT_CONNECTED);
    apply_right(f, change_put("c.2", "b", 0), EVENT_CONNECTED);
    assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
    for (uint64_t i = 1; i <= PAIRS; i++) {
        struct store_change one = change_refreshed("c.1", i), two = change_refreshed("c.2", i);
        struct store_change *list[] = {&one, &two};
        struct store_batch batch = {.changes = list, .count = 2};
        assert_int_equal(f->engine->apply(f->writer, &batch), 0);
        if (i % 50 == 0)
            assert_int_equal(f->engine->tidy(f->writer), 0);
    }
    atomic_store(&watcher.is_done, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(watcher.torn, 0);
    assert_true(watcher.looks > 10);
}

/* ---- killed ---------------------------------------------------------------------------------- */

enum { KILLS = 50, ROWS = 20 };

/* What the child tells after each commit: the generation that each row has on the disk now. */
struct acknowledged {
    uint64_t generations[ROWS];
    uint64_t last_seq;
};

static void fill_batch(struct store_change *changes, struct store_change **list, size_t count,
                       const struct acknowledged *done, uint32_t random, char ids[ROWS][16])
{
    for (size_t i = 0; i < count; i++) {
        size_t row = (random + i) % ROWS;
        snprintf(ids[i], sizeof ids[0], "c.%zu", row);
        changes[i] = done->generations[row] == 0 ? change_put(ids[i], ids[i], 0)
                                                 : change_refreshed(ids[i], done->generations[row]);
        list[i] = &changes[i];
    }
}

/* Commits until it is killed. */
static _Noreturn void commit_for_ever(struct fixture *f, struct acknowledged done, uint32_t random,
                                      int to_parent)
{
    static char secret[3000];
    struct store_change changes[ROWS], *list[ROWS];
    char ids[ROWS][16];
    struct buf error = buf_make(500);
    if (f->engine->writer_open(f->path, &f->writer, &error) != 0)
        _exit(2);
    for (;;) {
        random = random * 1664525 + 1013904223;
        struct store_batch batch = {.changes = list, .count = 1 + (random >> 8) % ROWS};
        fill_batch(changes, list, batch.count, &done, random >> 16, ids);
        changes[0].secret.secret = (struct text){secret, random >> 20 & 2047};
        if (f->engine->apply(f->writer, &batch) != 0)
            _exit(3);
        for (size_t i = 0; i < batch.count; i++) {
            if (changes[i].result != 0)
                _exit(4);
            done.generations[((random >> 16) + i) % ROWS] = changes[i].generation;
            done.last_seq = changes[i].event_seq;
        }
        if ((random >> 12) % 16 == 0 && f->engine->tidy(f->writer) != 0)
            _exit(5);
        if (write(to_parent, &done, sizeof done) != sizeof done)
            _exit(6);
    }
}

/* Waits for the first word and a random while more, kills, and gives the last whole word. */
static struct acknowledged kill_later(pid_t child, int from_child, uint32_t random,
                                      struct acknowledged before)
{
    struct acknowledged last = before, next;
    struct pollfd fd = {.fd = from_child, .events = POLLIN};
    int status;
    assert_int_equal(poll(&fd, 1, 120000), 1);
    struct timespec pause = {.tv_nsec = (long)(random % 30000) * 1000};
    nanosleep(&pause, NULL); /* the moment of the blow is the random thing here */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the child ended by itself with %d", WEXITSTATUS(status));
    while (read(from_child, &next, sizeof next) == sizeof next)
        last = next;
    return last;
}

static struct acknowledged check_after_kill(struct fixture *f, const struct acknowledged *last)
{
    struct acknowledged found = {{0}, 0};
    struct store_counts counts;
    fixture_open(f);
    for (size_t i = 0; i < ROWS; i++) {
        char id[16];
        struct conn_row row;
        struct text none = {NULL, 0};
        snprintf(id, sizeof id, "c.%zu", i);
        int result = f->engine->find(f->reader, T("acme"), text_of(id), none, none, &row);
        found.generations[i] = result == 0 ? row.generation : 0;
        assert_true(result == 0 || result == BURSAR_E_NOT_FOUND);
        if (result == 0)
            conn_row_free(&row);
        /* What was told is there; one more may be, of the commit that nobody was told of. */
        assert_in_range(found.generations[i], last->generations[i], last->generations[i] + 1);
    }
    assert_int_equal(f->engine->counts(f->reader, &counts), 0);
    found.last_seq = counts.last_seq;
    assert_in_range(found.last_seq, last->last_seq, last->last_seq + ROWS);
    fixture_close(f);
    fixture_check(f);
    return found;
}

static void test_killed(void **state)
{
    struct fixture *f = *state;
    struct acknowledged done = {{0}, 0};
    fixture_close(f);
    for (uint32_t round = 0; round < KILLS; round++) {
        int ends[2];
        uint32_t random = round * 2654435761U;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            commit_for_ever(f, done, random, ends[1]);
        }
        close(ends[1]);
        struct acknowledged last = kill_later(child, ends[0], random >> 7, done);
        close(ends[0]);
        done = check_after_kill(f, &last);
    }
    assert_int_equal(fixture_sql(f, "SELECT max(seq) - count(*) FROM event"), 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM event"),
                     fixture_sql(f, "SELECT sum(generation) FROM connection"));
    fixture_open(f);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_results_in_one_batch),
        TEST(test_full_disk),
        TEST(test_small_disk),
        TEST(test_read_only_disk),
        TEST(test_locked_file),
        TEST(test_only_committed_is_seen),
        TEST(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
