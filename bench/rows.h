/* Rows of a store of bursar's, and commits of their next generations, as refreshes make them.
 * Thread: one. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define ROWS_SECRET_MAX 16384u /* sealed bytes of a secret */
#define ROWS_GRANT_BYTES 300u  /* and of what stays here */
#define ROWS_FILL_BATCH 1000u
#define ROWS_OWNER "a-tenant-of-ours"
#define ROWS_PROVIDER "provider"
#define ROWS_TIDY_EVERY 50u /* commits, between which the log is moved into the database */
/* In what order rows are refreshed: as the planner takes them up, the one that was due first before all others, which
 * is the order of its index; or any, as clients ask. */
enum rows_order { ROWS_AS_DUE, ROWS_BY_CHANCE };

struct rows {
    const struct store_engine *engine;
    struct store_writer *writer;
    uint64_t *generations;
    int64_t *due_at; /* of the rows, seconds */
    int64_t *places; /* of the rows: who refreshes one has read it */
    size_t count, secret_bytes;
    uint64_t changes; /* so far */
};

/* Any failure here ends the program with a line that says why. */
void rows_open(struct rows *rows, const char *uri, size_t count, size_t secret_bytes);
/* Two generations of each row. */
void rows_fill(struct rows *rows);
void rows_tidy(struct rows *rows);
void rows_close(struct rows *rows);

/* The next rows of an order, from the first on again behind the last; start: of those by chance, any number. */
void rows_choose(const struct rows *rows, enum rows_order order, uint32_t start, size_t count,
                 uint32_t out_rows[]);
/* Commits the next generations of so many rows, count at a time, and moves the log into the database once in a while. */
void rows_commit(struct rows *rows, const uint32_t list[], size_t commits, size_t count);

double rows_now_s(void);

#endif
