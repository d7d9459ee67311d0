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
#define ROWS_STEP 7919u     /* a prime: rows of one commit are no neighbours */

struct rows {
    const struct store_engine *engine;
    struct store_writer *writer;
    uint64_t *generations;
    size_t count, secret_bytes;
};

/* Any failure here ends the program with a line that says why. */
void rows_open(struct rows *rows, const char *uri, size_t count, size_t secret_bytes);
/* Two generations of each row, the second in another order than the first. */
void rows_fill(struct rows *rows);
void rows_tidy(struct rows *rows);
void rows_close(struct rows *rows);

/* Changes a second, of so many commits of count changes, from a row on. */
double rows_measure(struct rows *rows, size_t start, size_t commits, size_t count);

double rows_now_s(void);

#endif
