/* Measures what the page size of the SQLite store costs: disk for a row, and commits.
 * Thread: one.
 *
 *     page_size FOLDER [ROWS [ROUNDS [BYTES_OF_A_SECRET]]]
 *
 * makes a store of each page size in FOLDER (which must lie on the disk that is meant), fills it with
 * rows of two sealed generations, and then refreshes random rows one by one and a hundred at a time.
 * The page sizes take turns, so that what else happens on the machine hits each of them; the figures
 * are medians of the rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/id.h"
#include "rows.h"
#include "store/store.h"

enum {
    SIZES = 3,
    SECRET_USUAL = 1500, /* sealed bytes of a secret */
    BATCH = 100,
    SINGLES = 300, /* commits of one change in a round */
    BATCHES = 30,  /* commits of a hundred */
    ROUNDS_MAX = 99,
    PATH_SIZE = 512
};

static const int page_sizes[SIZES] = {4096, 8192, 16384};

struct bench {
    int page_bytes;
    char path[PATH_SIZE];
    struct rows rows;
    double singles_per_s[ROUNDS_MAX], batched_per_s[ROUNDS_MAX];
    double kb_written[ROUNDS_MAX]; /* by a commit of one change, with its share of the tidying */
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "page_size: %s\n", what);
    exit(1);
}

/* A number that SQL asks for; sql may set something too. */
static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *statement;
    int64_t value = -1;
    if (sqlite3_open(path, &handle) != SQLITE_OK ||
        sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
        give_up(sqlite3_errmsg(handle));
    if (sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return value;
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    char full[PATH_SIZE + 8];
    struct stat status;
    snprintf(full, sizeof full, "%s%s", path, suffix);
    return stat(full, &status) == 0 ? (int64_t)status.st_size : 0;
}

static void remove_file(const char *path, const char *suffix)
{
    char full[PATH_SIZE + 8];
    snprintf(full, sizeof full, "%s%s", path, suffix);
    unlink(full);
}

static void remove_files(const char *path)
{
    remove_file(path, "");
    remove_file(path, "-wal");
    remove_file(path, "-shm");
    remove_file(path, ".lock");
}

/* ---- a store --------------------------------------------------------------------------------- */

/* Makes the file with its page size first: the writer keeps what it finds. */
static void open_bench(struct bench *bench, const char *folder, size_t rows, size_t secret_bytes)
{
    char uri[PATH_SIZE + 16], sql[64];
    snprintf(bench->path, sizeof bench->path, "%s/page-size-%d.db", folder, bench->page_bytes);
    snprintf(uri, sizeof uri, "sqlite:%s", bench->path);
    snprintf(sql, sizeof sql, "PRAGMA page_size = %d", bench->page_bytes);
    remove_files(bench->path);
    sqlite3 *handle;
    if (sqlite3_open(bench->path, &handle) != SQLITE_OK ||
        sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
        give_up(sqlite3_errmsg(handle));
    sqlite3_close(handle);
    rows_open(&bench->rows, uri, rows, secret_bytes);
    if (ask(bench->path, "PRAGMA page_size") != bench->page_bytes)
        give_up("the file has another page size than it was made with");
}

/* What this process has given to the kernel to be written. */
static double written_kb(void)
{
    FILE *file = fopen("/proc/self/io", "re");
    char line[80];
    double bytes = 0;
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "wchar: %lf", &bytes);
    if (file)
        fclose(file);
    return bytes / 1000;
}

static double measure(struct bench *bench, size_t commits, size_t count)
{
    uint32_t start, list[BATCHES * BATCH];
    id_random(&start, sizeof start);
    rows_choose(&bench->rows, ROWS_BY_CHANCE, start, commits * count, list);
    rows_tidy(&bench->rows);
    double begun_at_s = rows_now_s();
    rows_commit(&bench->rows, list, commits, count);
    return (double)(commits * count) / (rows_now_s() - begun_at_s);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static double bytes_of_row(const struct bench *bench)
{
    int64_t bytes = ask(bench->path, "SELECT sum(pgsize) FROM dbstat WHERE name = 'connection'");
    return (double)bytes / (double)bench->rows.count;
}

static void print_table(struct bench *benches, size_t rounds)
{
    printf("page size  row bytes  file/row  kB/commit  commits/s (range)    by 100: changes/s "
           "(range)\n");
    for (size_t i = 0; i < SIZES; i++) {
        struct bench *bench = &benches[i];
        double single = median(bench->singles_per_s, rounds);
        double batched = median(bench->batched_per_s, rounds);
        printf("%9d  %9.0f  %8.0f  %9.1f  %9.0f (%.0f-%.0f)  %9.0f (%.0f-%.0f)\n",
               bench->page_bytes, bytes_of_row(bench),
               (double)file_bytes(bench->path, "") / (double)bench->rows.count,
               median(bench->kb_written, rounds), single, bench->singles_per_s[0],
               bench->singles_per_s[rounds - 1], batched, bench->batched_per_s[0],
               bench->batched_per_s[rounds - 1]);
    }
}

int main(int argc, char **argv)
{
    static struct bench benches[SIZES];
    size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;
    size_t secret_bytes = argc > 4 ? strtoul(argv[4], NULL, 10) : SECRET_USUAL;
    if (argc < 2 || rows < ROWS_FILL_BATCH || rows % ROWS_FILL_BATCH != 0 || rounds < 1 ||
        rounds > ROUNDS_MAX || secret_bytes > ROWS_SECRET_MAX)
        give_up("usage: page_size FOLDER [ROWS, a multiple of 1000 [ROUNDS [BYTES_OF_A_SECRET]]]");
    for (size_t i = 0; i < SIZES; i++) {
        benches[i].page_bytes = page_sizes[i];
        open_bench(&benches[i], argv[1], rows, secret_bytes);
        rows_fill(&benches[i].rows);
    }
    for (size_t round = 0; round < rounds; round++) {
        for (size_t k = 0; k < SIZES; k++) {
            struct bench *bench = &benches[(round + k) % SIZES];
            double before_kb = written_kb();
            bench->singles_per_s[round] = measure(bench, SINGLES, 1);
            bench->kb_written[round] = (written_kb() - before_kb) / SINGLES;
            bench->batched_per_s[round] = measure(bench, BATCHES, BATCH);
        }
    }
    print_table(benches, rounds);
    for (size_t i = 0; i < SIZES; i++) {
        rows_close(&benches[i].rows);
        remove_files(benches[i].path);
    }
    return 0;
}
