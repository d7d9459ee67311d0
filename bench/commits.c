/* Commits of bursar's store beside those of SQLite alone, of as many bytes and as many rows, in turns.
 * Thread: one.
 *
 *     commits FOLDER ROWS ROUNDS
 *
 * makes two databases in FOLDER, whose rows hold two generations each, and prints for batches of 1, 10 and 100 rows
 * in the order in which they are due, and of 100 by chance, what each round came to:
 * {"batches": [{"rows": …, "is_by_chance": …, "bursar_per_s": […], "sqlite_per_s": […]}, …]}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

struct plain {
    sqlite3 *handle;
    sqlite3_stmt *begin, *update, *commit;
    size_t rows;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "commits: %s\n", what);
    exit(1);
}

static void run(struct plain *plain, const char *sql)
{
    if (sqlite3_exec(plain->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        give_up(sqlite3_errmsg(plain->handle));
}

static void step(struct plain *plain, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK)
        give_up(sqlite3_errmsg(plain->handle));
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

static void open_plain(struct plain *plain, const char *path, size_t rows)
{
    char sql[512];
    plain->rows = rows;
    if (sqlite3_open(path, &plain->handle) != SQLITE_OK)
        give_up(path);
    snprintf(
        sql, sizeof sql,
        "PRAGMA page_size = %d; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "PRAGMA wal_autocheckpoint = 0; CREATE TABLE row (rowid INTEGER PRIMARY KEY, now BLOB, before BLOB);"
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %zu)"
        "INSERT INTO row SELECT i, randomblob(%u), randomblob(%u) FROM n; PRAGMA wal_checkpoint(TRUNCATE)",
        DB_PAGE_BYTES, rows - 1, SECRET + ROWS_GRANT_BYTES, SECRET + ROWS_GRANT_BYTES);
    run(plain, sql);
    if (sqlite3_prepare_v2(plain->handle, "BEGIN IMMEDIATE", -1, &plain->begin, NULL) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(plain->handle, "UPDATE row SET before = now, now = ? WHERE rowid = ?",
                           -1, &plain->update, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(plain->handle, "COMMIT", -1, &plain->commit, NULL) != SQLITE_OK)
        give_up(sqlite3_errmsg(plain->handle));
}

/* As rows_measure(), of the other database. */
static double measure_plain(struct plain *plain, enum rows_order order, uint64_t start,
                            size_t commits, size_t count)
{
    uint8_t bytes[SECRET + ROWS_GRANT_BYTES];
    double begun_at_s = rows_now_s();
    for (size_t i = 0; i < commits; i++) {
        step(plain, plain->begin);
        for (size_t k = 0; k < count; k++) {
            id_random(bytes, sizeof bytes);
            sqlite3_bind_blob(plain->update, 1, bytes, sizeof bytes, SQLITE_STATIC);
            sqlite3_bind_int64(plain->update, 2,
                               (int64_t)rows_pick(plain->rows, order, start + i * count + k));
            step(plain, plain->update);
        }
        step(plain, plain->commit);
        if (i % ROWS_TIDY_EVERY == ROWS_TIDY_EVERY - 1)
            run(plain, "PRAGMA wal_checkpoint(PASSIVE)");
    }
    return (double)(commits * count) / (rows_now_s() - begun_at_s);
}

static void print_list(const char *name, const double *values, size_t count)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        printf("%s%.1f", i > 0 ? ", " : "", values[i]);
    printf("]");
}

static void print_all(double bursar[SIZES][ROUNDS_MAX], double sqlite[SIZES][ROUNDS_MAX],
                      size_t rounds)
{
    printf("{\"batches\": [");
    for (size_t i = 0; i < SIZES; i++) {
        printf("%s{\"rows\": %zu, \"is_by_chance\": %s, ", i > 0 ? ", " : "", sizes[i].rows,
               sizes[i].order == ROWS_BY_CHANCE ? "true" : "false");
        print_list("bursar_per_s", bursar[i], rounds);
        printf(", ");
        print_list("sqlite_per_s", sqlite[i], rounds);
        printf("}");
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    static double bursar[SIZES][ROUNDS_MAX], sqlite[SIZES][ROUNDS_MAX];
    struct rows rows = {0};
    struct plain plain;
    uint32_t due = 0; /* which row of the order is the next */
    char uri[PATH_SIZE + 16], path[PATH_SIZE], plain_path[PATH_SIZE];
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0,
           rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (count < ROWS_FILL_BATCH || count % ROWS_FILL_BATCH != 0 || rounds < 1 ||
        rounds > ROUNDS_MAX)
        give_up("usage: commits FOLDER ROWS, a multiple of 1000, ROUNDS");
    snprintf(path, sizeof path, "%s/commits.db", argv[1]);
    snprintf(plain_path, sizeof plain_path, "%s/plain.db", argv[1]);
    snprintf(uri, sizeof uri, "sqlite:%s", path);
    remove_files(path);
    remove_files(plain_path);
    rows_open(&rows, uri, count, SECRET);
    rows_fill(&rows);
    open_plain(&plain, plain_path, count);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            uint32_t start = due;
            size_t batch = sizes[i].rows;
            size_t commits = CHANGES / batch < 300 ? CHANGES / batch : 300;
            if (sizes[i].order == ROWS_BY_CHANCE)
                id_random(&start, sizeof start);
            else
                due += (uint32_t)(commits * batch);
            bursar[i][round] = rows_measure(&rows, sizes[i].order, start, commits, batch);
            run(&plain, "PRAGMA wal_checkpoint(TRUNCATE)");
            sqlite[i][round] = measure_plain(&plain, sizes[i].order, start, commits, batch);
        }
    }
    print_all(bursar, sqlite, rounds);
    rows_close(&rows);
    sqlite3_finalize(plain.begin);
    sqlite3_finalize(plain.update);
    sqlite3_finalize(plain.commit);
    sqlite3_close(plain.handle);
    remove_files(path);
    remove_files(plain_path);
    return 0;
}
