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

enum {
    BEGUN_AT_S = 1800000000,
    LIFE_S = 3600,  /* in which each row is refreshed once: time goes on by the changes */
    EARLIER_S = 300 /* is a refresh due, less some jitter */
};

size_t rows_pick(size_t rows, enum rows_order order, uint64_t i)
{
    return (size_t)(i % rows * (order == ROWS_AS_DUE ? ROWS_STEP : ROWS_LEAP) % rows);
}

/* The next generation of a row, as a refresh or the first put makes it. */
static void make_change(const struct rows *rows, size_t row, struct row_change *out)
{
    uint64_t generation = rows->generations[row];
    int64_t now_s_wall = BEGUN_AT_S + (int64_t)(rows->changes * LIFE_S / rows->count);
    snprintf(out->id, sizeof out->id, "provider.%026zu", row);
    id_random(out->secret, rows->secret_bytes); /* what is sealed looks like this */
    id_random(out->grant, sizeof out->grant);
    out->change = (struct store_change){
        .type = generation == 0 ? CHANGE_PUT : CHANGE_REFRESHED,
        .at_ms = now_s_wall * 1000,
        .owner = text_of("a-tenant-of-ours"),
        .connection = text_of(out->id),
        .provider = text_of("provider"),
        .account = text_of(out->id),
        .is_new = generation == 0,
        .expect_generation = generation,
        .place = rows->places[row],
        .secret = {.kind = text_of("oauth2"),
                   .scopes = text_of("read write offline_access"),
                   .secret = {(const char *)out->secret, rows->secret_bytes},
                   .grant = {(const char *)out->grant, ROWS_GRANT_BYTES},
                   .issued_at = now_s_wall,
                   .expires_at = now_s_wall + LIFE_S,
                   .due_at = now_s_wall + LIFE_S - EARLIER_S + (int64_t)(row % 60),
                   .refresh_expires_at = EXPIRY_NEVER,
                   .can_refresh = true}};
}

/* Commits the next generation of count rows, from the i-th of the order on. */
static void commit(struct rows *rows, enum rows_order order, uint64_t i, size_t count)
{
    static struct row_change changes[ROWS_FILL_BATCH];
    struct store_change *list[ROWS_FILL_BATCH];
    for (size_t k = 0; k < count; k++) {
        make_change(rows, rows_pick(rows->count, order, i + k), &changes[k]);
        list[k] = &changes[k].change;
    }
    struct store_batch batch = {.changes = list, .count = count};
    if (rows->engine->apply(rows->writer, &batch) != 0)
        give_up("a batch could not be written");
    for (size_t k = 0; k < count; k++) {
        if (list[k]->result != 0)
            give_up("a change was refused");
        size_t row = rows_pick(rows->count, order, i + k);
        rows->generations[row]++;
        rows->places[row] = list[k]->place;
    }
    rows->changes += count;
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
    rows->engine->own_process(); /* as bursard does */
    if (rows->engine->writer_open(where, &rows->writer, &error) != 0)
        give_up((const char *)error.data);
    buf_free(&error);
    rows->count = count;
    rows->secret_bytes = secret_bytes;
    rows->generations = calloc(count, sizeof *rows->generations);
    rows->places = calloc(count, sizeof *rows->places);
    if (!rows->generations || !rows->places)
        give_up("no memory");
}

void rows_close(struct rows *rows)
{
    rows->engine->writer_close(rows->writer);
    free(rows->generations);
    free(rows->places);
}

void rows_fill(struct rows *rows)
{
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t done = 0; done < rows->count; done += ROWS_FILL_BATCH) {
            commit(rows, pass == 0 ? ROWS_BY_CHANCE : ROWS_AS_DUE, done, ROWS_FILL_BATCH);
            if (done % (ROWS_FILL_BATCH * 10) == 0)
                rows_tidy(rows);
        }
    }
    rows_tidy(rows);
    rows_tidy(rows);
}

double rows_measure(struct rows *rows, enum rows_order order, uint64_t start, size_t commits,
                    size_t count)
{
    rows_tidy(rows);
    double begun_at_s = rows_now_s();
    for (size_t i = 0; i < commits; i++) {
        commit(rows, order, start + i * count, count);
        if (i % ROWS_TIDY_EVERY == ROWS_TIDY_EVERY - 1)
            rows_tidy(rows);
    }
    return (double)(commits * count) / (rows_now_s() - begun_at_s);
}
