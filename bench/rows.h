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
#define ROWS_TIDY_EVERY 50u /* commits, between which the log is moved into the database */
#define ROWS_STEP 7919u /* primes: rows of one commit are no neighbours, and each has its turn */
#define ROWS_LEAP 15485863u

/* As the planner takes them up, the one that was refreshed longest ago first; or any, as clients ask. */
enum rows_order { ROWS_AS_DUE, ROWS_BY_CHANCE };

struct rows {
    const struct store_engine *engine;
    struct store_writer *writer;
    uint64_t *generations;
    int64_t *places; /* of the rows: who refreshes one has read it */
    size_t count, secret_bytes;
    uint64_t changes; /* so far */
};

/* Which row is the i-th of an order. */
size_t rows_pick(size_t rows, enum rows_order order, uint64_t i);

/* Any failure here ends the program with a line that says why. */
void rows_open(struct rows *rows, const char *uri, size_t count, size_t secret_bytes);
/* Two generations of each row, the second in the order ROWS_AS_DUE. */
void rows_fill(struct rows *rows);
void rows_tidy(struct rows *rows);
void rows_close(struct rows *rows);

/* Changes a second, of so many commits of count changes, from the start-th row of the order on. */
double rows_measure(struct rows *rows, enum rows_order order, uint64_t start, size_t commits,
                    size_t count);

double rows_now_s(void);

#endif
