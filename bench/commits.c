/* Commits of bursar's store beside those of SQLite alone, of as many bytes and as many rows, in turns.
 * Thread: one.
 *
 *     commits FOLDER ROWS ROUNDS
 *
 * SQLite has the rows alone, in another pair also the planner's index of them. Each pair's two databases are made in FOLDER
 * and read through once; rows hold two generations each. For batches of 1, 10 and 100 rows in the order in which they are due,
 * and of 100 by chance, it is printed what each round came to:
 * {"batches": [{"rows": …, "is_by_chance": …, "is_indexed": …, "bursar": […], "sqlite": […]}, …]}, of {"per_s": …,
 * "server_cpu_us": …} each, the processor time for a row. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/id.h"
#include "rows.h"
#include "store/sqlite/db.h"

enum { SECRET = 1500, PATH_SIZE = 512, ROUNDS_MAX = 99, SIZES = 4, CHANGES = 3000 };
static const struct {
    size_t rows;
    enum rows_order order;
} sizes[SIZES] = {{1, ROWS_AS_DUE}, {10, ROWS_AS_DUE}, {100, ROWS_AS_DUE}, {100, ROWS_BY_CHANCE}};

/* What is measured of some commits. */
struct cost {
    double per_s, cpu_us;
};

/* Two databases, and what their rounds came to. */
struct pair {
    bool is_indexed;
    struct rows rows;
    char path[PATH_SIZE], plain_path[PATH_SIZE];
    sqlite3 *handle;
    sqlite3_stmt *begin, *update, *commit;
    struct cost bursar[SIZES][ROUNDS_MAX], sqlite[SIZES][ROUNDS_MAX];
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "commits: %s\n", what);
    exit(1);
}

static void run(const struct pair *pair, const char *sql)
{
    if (sqlite3_exec(pair->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        give_up(sqlite3_errmsg(pair->handle));
}

static void step(const struct pair *pair, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK)
        give_up(sqlite3_errmsg(pair->handle));
}

static sqlite3_stmt *prepare(const struct pair *pair, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(pair->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        give_up(sqlite3_errmsg(pair->handle));
    return statement;
}

static void remove_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char full[PATH_SIZE + 8];
        snprintf(full, sizeof full, "%s%s", path, suffixes[i]);
        unlink(full);
    }
}

/* Reads a file, so that the kernel has all of it, whichever of the two was made last. */
static void warm(const char *path)
{
    static char bytes[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;
    while (fd >= 0 && (got = read(fd, bytes, sizeof bytes)) > 0)
        continue;
    if (fd < 0 || got < 0)
        give_up(path);
    close(fd);
}

/* ---- SQLite alone ------------------------------------------------------------------------------- */

static void bind_row(const struct pair *pair, sqlite3_stmt *statement, size_t row,
                     const void *bytes)
{
    sqlite3_bind_int64(statement, 1, (int64_t)row);
    sqlite3_bind_blob(statement, 2, bytes, SECRET + ROWS_GRANT_BYTES, SQLITE_STATIC);
    if (pair->is_indexed)
        sqlite3_bind_int64(statement, 3, pair->rows.due_at[row]);
}

/* Pragmas as bursar's writer has them; the index as bursar's, and filled as that was, row by row. */
static void open_plain(struct pair *pair)
{
    uint8_t bytes[SECRET + ROWS_GRANT_BYTES];
    char sql[256];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(pair->plain_path, &pair->handle, flags, NULL) != SQLITE_OK)
        give_up(pair->plain_path);
    snprintf(sql, sizeof sql, "PRAGMA page_size = %d; PRAGMA journal_mode = WAL;" DB_WRITER_PRAGMAS,
             DB_PAGE_BYTES);
    run(pair, sql);
    run(pair, pair->is_indexed
                  ? "CREATE TABLE row (rowid INTEGER PRIMARY KEY, provider TEXT, owner TEXT,"
                    " due INTEGER, now BLOB, before BLOB) STRICT;"
                    "CREATE INDEX planned ON row (provider, due, owner) WHERE due IS NOT NULL"
                  : "CREATE TABLE row (rowid INTEGER PRIMARY KEY, now BLOB, before BLOB) STRICT");
    sqlite3_stmt *insert =
        prepare(pair, pair->is_indexed ? "INSERT INTO row VALUES"
                                         " (?1, '" ROWS_PROVIDER "', '" ROWS_OWNER "', ?3, ?2, ?2)"
                                       : "INSERT INTO row VALUES (?1, ?2, ?2)");
    for (size_t row = 0; row < pair->rows.count; row++) {
        if (row % ROWS_FILL_BATCH == 0)
            run(pair, "BEGIN");
        id_random(bytes, sizeof bytes);
        bind_row(pair, insert, row, bytes);
        step(pair, insert);
        if (row % ROWS_FILL_BATCH == ROWS_FILL_BATCH - 1)
            run(pair, "COMMIT");
        if (row % (ROWS_FILL_BATCH * 10) == ROWS_FILL_BATCH * 10 - 1)
            run(pair, "PRAGMA wal_checkpoint(PASSIVE)");
    }
    sqlite3_finalize(insert);
    run(pair, "PRAGMA wal_checkpoint(TRUNCATE)");
    pair->begin = prepare(pair, "BEGIN IMMEDIATE");
    pair->update = prepare(
        pair, pair->is_indexed ? "UPDATE row SET before = now, now = ?2, due = ?3 WHERE rowid = ?1"
                               : "UPDATE row SET before = now, now = ?2 WHERE rowid = ?1");
    pair->commit = prepare(pair, "COMMIT");
}

static void close_plain(struct pair *pair)
{
    sqlite3_finalize(pair->begin);
    sqlite3_finalize(pair->update);
    sqlite3_finalize(pair->commit);
    sqlite3_close(pair->handle);
}

/* As rows_commit(), of the other database. */
static void commit_plain(const struct pair *pair, const uint32_t list[], size_t commits,
                         size_t count)
{
    uint8_t bytes[SECRET + ROWS_GRANT_BYTES];
    for (size_t i = 0; i < commits; i++) {
        step(pair, pair->begin);
        for (size_t k = 0; k < count; k++) {
            id_random(bytes, sizeof bytes);
            bind_row(pair, pair->update, list[i * count + k], bytes);
            step(pair, pair->update);
        }
        step(pair, pair->commit);
        if (i % ROWS_TIDY_EVERY == ROWS_TIDY_EVERY - 1)
            run(pair, "PRAGMA wal_checkpoint(PASSIVE)");
    }
}

/* ---- measuring ---------------------------------------------------------------------------------- */

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct cost cost_since(double begun_at_s, double cpu_before_s, size_t rows)
{
    return (struct cost){.per_s = (double)rows / (rows_now_s() - begun_at_s),
                         .cpu_us = (cpu_s() - cpu_before_s) * 1e6 / (double)rows};
}

static void measure(struct pair *pair, size_t size, size_t round)
{
    uint32_t list[CHANGES], start;
    size_t count = sizes[size].rows, commits = CHANGES / count < 300 ? CHANGES / count : 300;
    id_random(&start, sizeof start);
    rows_choose(&pair->rows, sizes[size].order, start, commits * count, list);
    rows_tidy(&pair->rows);
    double begun_at_s = rows_now_s(), cpu_before_s = cpu_s();
    rows_commit(&pair->rows, list, commits, count);
    pair->bursar[size][round] = cost_since(begun_at_s, cpu_before_s, commits * count);
    run(pair, "PRAGMA wal_checkpoint(PASSIVE)");
    begun_at_s = rows_now_s(), cpu_before_s = cpu_s();
    commit_plain(pair, list, commits, count);
    pair->sqlite[size][round] = cost_since(begun_at_s, cpu_before_s, commits * count);
}

static void measure_pair(struct pair *pair, const char *folder, size_t count, size_t rounds)
{
    char uri[PATH_SIZE + 16];
    snprintf(pair->path, sizeof pair->path, "%s/commits.db", folder);
    snprintf(pair->plain_path, sizeof pair->plain_path, "%s/plain.db", folder);
    snprintf(uri, sizeof uri, "sqlite:%s", pair->path);
    remove_files(pair->path);
    remove_files(pair->plain_path);
    rows_open(&pair->rows, uri, count, SECRET);
    rows_fill(&pair->rows);
    open_plain(pair);
    warm(pair->path);
    warm(pair->plain_path);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < SIZES; i++)
            measure(pair, i, round);
    }
    rows_close(&pair->rows);
    close_plain(pair);
    remove_files(pair->path);
    remove_files(pair->plain_path);
}

static void print_list(const char *name, const struct cost *costs, size_t count)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        printf("%s{\"per_s\": %.1f, \"server_cpu_us\": %.2f}", i > 0 ? ", " : "", costs[i].per_s,
               costs[i].cpu_us);
    printf("]");
}

static void print_pair(const struct pair *pair, size_t rounds)
{
    for (size_t i = 0; i < SIZES; i++) {
        printf("{\"rows\": %zu, \"is_by_chance\": %s, \"is_indexed\": %s, ", sizes[i].rows,
               sizes[i].order == ROWS_BY_CHANCE ? "true" : "false",
               pair->is_indexed ? "true" : "false");
        print_list("bursar", pair->bursar[i], rounds);
        printf(", ");
        print_list("sqlite", pair->sqlite[i], rounds);
        printf("}%s", i < SIZES - 1 ? ", " : "");
    }
}

int main(int argc, char **argv)
{
    static struct pair pairs[] = {{.is_indexed = false}, {.is_indexed = true}};
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0,
           rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (count < ROWS_FILL_BATCH || count % ROWS_FILL_BATCH != 0 || rounds < 1 ||
        rounds > ROUNDS_MAX)
        give_up("usage: commits FOLDER ROWS, a multiple of 1000, ROUNDS");
    for (size_t i = 0; i < 2; i++)
        measure_pair(&pairs[i], argv[1], count, rounds);
    printf("{\"batches\": [");
    print_pair(&pairs[0], rounds);
    printf(", ");
    print_pair(&pairs[1], rounds);
    printf("]}\n");
    return 0;
}
