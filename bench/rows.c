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

/* Primes, so that each row has its turn and rows of one commit are no neighbours. Where rows are is by the first of them:
 * those that are taken by chance are by another one. */
enum { PUT_STEP = 15485863, REFRESH_STEP = 7919, CHANCE_STEP = 32452843 };

static uint32_t spread(const struct rows *rows, uint64_t i, uint64_t step)
{
    return (uint32_t)(i % rows->count * step % rows->count);
}

struct due_row {
    int64_t due_at, place;
    uint32_t row;
};

static int by_index(const void *a, const void *b)
{
    const struct due_row *one = a, *other = b;
    if (one->due_at != other->due_at)
        return one->due_at < other->due_at ? -1 : 1;
    return (one->place > other->place) - (one->place < other->place);
}

void rows_choose(const struct rows *rows, enum rows_order order, uint32_t start, size_t count,
                 uint32_t out_rows[])
{
    for (size_t i = 0; i < count && order == ROWS_BY_CHANCE; i++)
        out_rows[i] = spread(rows, (uint64_t)start + i, CHANCE_STEP);
    if (order == ROWS_BY_CHANCE)
        return;
    struct due_row *all = calloc(rows->count, sizeof *all);
    if (!all)
        give_up("no memory");
    for (size_t i = 0; i < rows->count; i++)
        all[i] = (struct due_row){rows->due_at[i], rows->places[i], (uint32_t)i};
    qsort(all, rows->count, sizeof *all, by_index);
    for (size_t i = 0; i < count; i++)
        out_rows[i] = all[i % rows->count].row;
    free(all);
}

/* The next generation of a row, as a refresh or the first put makes it. */
static void make_change(const struct rows *rows, size_t row, struct row_change *out)
{
    uint64_t generation = rows->generations[row];
    int64_t now_s_wall = BEGUN_AT_S + (int64_t)(rows->changes * LIFE_S / rows->count);
    snprintf(out->id, sizeof out->id, ROWS_PROVIDER ".%026zu", row);
    id_random(out->secret, rows->secret_bytes); /* what is sealed looks like this */
    id_random(out->grant, sizeof out->grant);
    out->change = (struct store_change){
        .type = generation == 0 ? CHANGE_PUT : CHANGE_REFRESHED,
        .at_ms = now_s_wall * 1000,
        .owner = text_of(ROWS_OWNER),
        .connection = text_of(out->id),
        .provider = text_of(ROWS_PROVIDER),
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

/* Commits the next generation of so many rows. */
static void commit(struct rows *rows, const uint32_t list[], size_t count)
{
    static struct row_change changes[ROWS_FILL_BATCH];
    struct store_change *made[ROWS_FILL_BATCH];
    for (size_t k = 0; k < count; k++) {
        make_change(rows, list[k], &changes[k]);
        made[k] = &changes[k].change;
    }
    struct store_batch batch = {.changes = made, .count = count};
    if (rows->engine->apply(rows->writer, &batch) != 0)
        give_up("a batch could not be written");
    for (size_t k = 0; k < count; k++) {
        if (made[k]->result != 0)
            give_up("a change was refused");
        rows->generations[list[k]]++;
        rows->places[list[k]] = made[k]->place;
        rows->due_at[list[k]] = made[k]->secret.due_at;
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
    rows->due_at = calloc(count, sizeof *rows->due_at);
    if (!rows->generations || !rows->places || !rows->due_at)
        give_up("no memory");
}

void rows_close(struct rows *rows)
{
    rows->engine->writer_close(rows->writer);
    free(rows->generations);
    free(rows->places);
    free(rows->due_at);
}

void rows_fill(struct rows *rows)
{
    uint32_t list[ROWS_FILL_BATCH];
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t done = 0; done < rows->count; done += ROWS_FILL_BATCH) {
            for (size_t k = 0; k < ROWS_FILL_BATCH; k++)
                list[k] = spread(rows, done + k, pass == 0 ? PUT_STEP : REFRESH_STEP);
            commit(rows, list, ROWS_FILL_BATCH);
            if (done % (ROWS_FILL_BATCH * 10) == 0)
                rows_tidy(rows);
        }
    }
    rows_tidy(rows);
    rows_tidy(rows);
}

void rows_commit(struct rows *rows, const uint32_t list[], size_t commits, size_t count)
{
    for (size_t i = 0; i < commits; i++) {
        commit(rows, list + i * count, count);
        if (i % ROWS_TIDY_EVERY == ROWS_TIDY_EVERY - 1)
            rows_tidy(rows);
    }
}
