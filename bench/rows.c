#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/id.h"
#include "policy/expiry.h"

struct row_change {
    struct store_change change;
    char id[40];
    uint8_t secret[ROWS_SECRET_MAX], grant[ROWS_GRANT_BYTES];
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "store: %s\n", what);
    exit(1);
}

double rows_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The next generation of a row, as a refresh or the first put makes it. */
static void make_change(const struct rows *rows, size_t row, struct row_change *out)
{
    uint64_t generation = rows->generations[row];
    int64_t now_s_wall = 1800000000;
    snprintf(out->id, sizeof out->id, "provider.%026zu", row);
    id_random(out->secret, rows->secret_bytes); /* what is sealed looks like this */
    id_random(out->grant, sizeof out->grant);
    out->change =
        (struct store_change){.type = generation == 0 ? CHANGE_PUT : CHANGE_REFRESHED,
                              .at_ms = now_s_wall * 1000,
                              .owner = text_of("a-tenant-of-ours"),
                              .connection = text_of(out->id),
                              .provider = text_of("provider"),
                              .account = text_of(out->id),
                              .is_new = generation == 0,
                              .expect_generation = generation,
                              .secret = {.kind = text_of("oauth2"),
                                         .scopes = text_of("read write offline_access"),
                                         .secret = {(const char *)out->secret, rows->secret_bytes},
                                         .grant = {(const char *)out->grant, ROWS_GRANT_BYTES},
                                         .issued_at = now_s_wall,
                                         .expires_at = now_s_wall + 3600,
                                         .due_at = now_s_wall + 3300 + (int64_t)(row % 60),
                                         .refresh_expires_at = EXPIRY_NEVER,
                                         .can_refresh = true}};
}

/* Commits the next generation of count rows; the row of the i-th is first + i * step. */
static void commit(struct rows *rows, size_t first, size_t step, size_t count)
{
    static struct row_change changes[ROWS_FILL_BATCH];
    struct store_change *list[ROWS_FILL_BATCH];
    for (size_t i = 0; i < count; i++) {
        make_change(rows, (first + i * step) % rows->count, &changes[i]);
        list[i] = &changes[i].change;
    }
    struct store_batch batch = {.changes = list, .count = count};
    if (rows->engine->apply(rows->writer, &batch) != 0)
        give_up("a batch could not be written");
    for (size_t i = 0; i < count; i++) {
        if (list[i]->result != 0)
            give_up("a change was refused");
        rows->generations[(first + i * step) % rows->count]++;
    }
}

void rows_tidy(struct rows *rows)
{
    if (rows->engine->tidy(rows->writer) != 0)
        give_up("the log could not be moved into the database");
}

void rows_open(struct rows *rows, const char *uri, size_t count, size_t secret_bytes)
{
    const char *where;
    struct buf error = buf_make(1024);
    rows->engine = store_engine_of(uri, &where);
    if (rows->engine->writer_open(where, &rows->writer, &error) != 0)
        give_up((const char *)error.data);
    buf_free(&error);
    rows->count = count;
    rows->secret_bytes = secret_bytes;
    rows->generations = calloc(count, sizeof *rows->generations);
    if (!rows->generations)
        give_up("no memory");
}

void rows_close(struct rows *rows)
{
    rows->engine->writer_close(rows->writer);
    free(rows->generations);
}

void rows_fill(struct rows *rows)
{
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t done = 0; done < rows->count; done += ROWS_FILL_BATCH) {
            commit(rows, pass == 0 ? done : done * ROWS_STEP, pass == 0 ? 1 : ROWS_STEP,
                   ROWS_FILL_BATCH);
            if (done % (ROWS_FILL_BATCH * 10) == 0)
                rows_tidy(rows);
        }
    }
    rows_tidy(rows);
    rows_tidy(rows);
}

double rows_measure(struct rows *rows, size_t start, size_t commits, size_t count)
{
    rows_tidy(rows);
    double begun_at_s = rows_now_s();
    for (size_t i = 0; i < commits; i++) {
        commit(rows, (start + i * 104729) % rows->count, ROWS_STEP, count);
        if (i % ROWS_TIDY_EVERY == ROWS_TIDY_EVERY - 1)
            rows_tidy(rows);
    }
    return (double)(commits * count) / (rows_now_s() - begun_at_s);
}
