/* In place of broker/store_thread.c: the real SQLite engine commits what has come together, at virtual
 * times, on a disk that is slow, full or broken now and then. */
#include "broker/store_thread.h"

#include <stdlib.h>

#include <bursar/error.h>

#include "broker/memory.h"
#include "world.h"

enum {
    BATCH_MAX = 512,
    TIDY_AFTER_CHANGES = 256,
    COMMIT_MS = 3,
    LARGE_COMMIT_MS = 100,
    FULL_ONE_IN = 2 /* intents that find no room while the disk is full */
};

struct store_thread {
    struct event_node event; /* the next commit; first member */
    struct event_node trim_event;
    struct store_writer *writer;
    struct write_message **queue;
    size_t count, cap;
    unsigned untidy;
    int64_t fails_until_ms, full_until_ms, slow_until_ms;
};

void store_trouble(struct world *world, int64_t fails_ms, int64_t full_ms, int64_t slow_ms)
{
    struct store_thread *self = world->broker.store_thread;
    self->fails_until_ms = world->now_ms + fails_ms;
    self->full_until_ms = world->now_ms + full_ms;
    self->slow_until_ms = world->now_ms + slow_ms;
    world->disturbed_ms = world->now_ms + fails_ms + full_ms + slow_ms; /* one at a time */
}

bool store_is_troubled(struct world *world)
{
    return world->broker.store_thread->fails_until_ms > world->now_ms;
}

/* ---- commits --------------------------------------------------------------------------------------- */

/* How long the disk takes. In the large world it is a slow one, behind which commits become groups. */
static int64_t commit_ms(struct world *world)
{
    if (world->now_ms < world->broker.store_thread->slow_until_ms)
        return chance_wait(&world->chance, 2 * SECOND_MS);
    if (world->options.is_large)
        return chance_between(&world->chance, LARGE_COMMIT_MS, 3 * LARGE_COMMIT_MS);
    return chance_between(&world->chance, 1, COMMIT_MS);
}

size_t store_gathered(const struct store_thread *thread)
{
    (void)thread;
    return 0; /* the simulated store has no journal */
}

void store_send(struct store_thread *self, struct write_message *message)
{
    struct world *world = world_current();
    if (self->count == self->cap) {
        self->cap = self->cap > 0 ? self->cap * 2 : 64;
        self->queue = memory_resize(self->queue, self->cap * sizeof *self->queue);
    }
    self->queue[self->count++] = message;
    if (!world_effect(world) || self->event.node.index != 0)
        return;
    world_at(world, &self->event, world->now_ms + commit_ms(world));
}

void store_send_all(struct store_thread *self, struct mail *newest, struct mail *oldest)
{
    struct mail *first = NULL;
    oldest->next = NULL;
    for (struct mail *mail = newest, *next; mail; mail = next) {
        next = mail->next;
        mail->next = first;
        first = mail;
    }
    for (struct mail *mail = first, *next; mail; mail = next) {
        next = mail->next;
        store_send(self, (struct write_message *)mail);
    }
}

/* Splits off what the disk refuses at once; what is left is the batch. */
static void choose(struct world *world, struct store_batch *batch, size_t count)
{
    struct store_thread *self = world->broker.store_thread;
    for (size_t i = 0; i < count; i++) {
        struct store_change *change = &self->queue[i]->change;
        bool has_room = change->type != CHANGE_INTENT || world->now_ms >= self->full_until_ms ||
                        chance_below(&world->chance, FULL_ONE_IN) == 0;
        change->event_seq = 0;
        if (has_room)
            batch->changes[batch->count++] = change;
        else
            change->result = BURSAR_E_STORE_UNAVAILABLE;
    }
}

static void apply(struct world *world, struct store_batch *batch)
{
    struct store_thread *self = world->broker.store_thread;
    if (world->now_ms < self->fails_until_ms) {
        for (size_t i = 0; i < batch->count; i++)
            batch->changes[i]->result = BURSAR_E_STORE_UNAVAILABLE;
        return;
    }
    if (batch->count == 0)
        return;
    int result = world->real->apply(self->writer, batch);
    world->figures.commits++;
    world->figures.changes += batch->count;
    if (result == 0)
        book_committed(world, batch);
    else
        violation(world, NULL, "store", "a commit failed that nobody made fail");
    self->untidy += (unsigned)batch->count;
    if (self->untidy > TIDY_AFTER_CHANGES) {
        world->real->tidy(self->writer);
        self->untidy = 0;
    }
}

static void commit(struct world *world, struct event_node *event)
{
    struct store_thread *self = (struct store_thread *)(void *)event;
    struct store_change *changes[BATCH_MAX];
    struct write_message *messages[BATCH_MAX];
    struct store_batch batch = {.changes = changes};
    size_t count = self->count < BATCH_MAX ? self->count : BATCH_MAX;
    if (!world_effect(world)) /* nothing of it was written */
        return;
    choose(world, &batch, count);
    apply(world, &batch);
    if (!world_effect(world)) /* all of it was, and nobody heard */
        return;
    for (size_t i = 0; i < count; i++)
        messages[i] = self->queue[i];
    self->count -= count;
    for (size_t i = 0; i < self->count; i++)
        self->queue[i] = self->queue[i + count];
    for (size_t i = 0; i < count; i++)
        mailbox_send(messages[i]->reply_to, &messages[i]->message.mail);
    if (self->count > 0)
        world_at(world, &self->event, world->now_ms + 1);
}

/* Old events go, as the store thread has them go. */
static void trim(struct world *world, struct event_node *event)
{
    struct store_thread *self = world->broker.store_thread;
    struct store_change change = {.type = CHANGE_TRIM};
    struct store_change *changes[] = {&change};
    struct store_batch batch = {.changes = changes, .count = 1};
    change.now_ms = world->now_ms + world->wall_offset_ms;
    change.at_ms = change.now_ms - (int64_t)world->config->events_keep_days * DAY_MS;
    if (self->writer)
        world->real->apply(self->writer, &batch);
    world_at(world, event,
             world->now_ms + (change.generation == STORE_TRIM_ROWS ? SECOND_MS : HOUR_MS));
}

/* ---- the process's begin and end ------------------------------------------------------------------- */

int store_begin(struct world *world)
{
    struct buf error = buf_make(1024);
    struct store_thread *self = world->broker.store_thread;
    if (!self) {
        self = world->broker.store_thread = memory_new(sizeof *self);
        self->event.fire = commit;
        self->trim_event.fire = trim;
        world_at(world, &self->trim_event, world->now_ms + HOUR_MS);
    }
    self->fails_until_ms = self->full_until_ms = self->slow_until_ms = 0;
    int result = world->real->writer_open(world->broker.store_where, &self->writer, &error);
    if (result == 0)
        result = world->real->reader_open(world->broker.store_where, &world->reader, &error);
    buf_free(&error);
    return result;
}

/* What was not committed comes back as refused to workers that are ending, so that each ends what it
 * holds; none of it leaves the process any more. */
static void give_back(struct store_thread *self)
{
    size_t count = self->count;
    struct write_message **queue = self->queue;
    self->queue = NULL;
    self->count = self->cap = 0;
    for (size_t i = 0; i < count; i++) {
        queue[i]->change.result = BURSAR_E_STORE_UNAVAILABLE;
        mailbox_send(queue[i]->reply_to, &queue[i]->message.mail);
    }
    free(queue);
}

bool store_give_back(struct world *world)
{
    struct store_thread *self = world->broker.store_thread;
    bool has_any = self && self->count > 0;
    if (has_any)
        give_back(self);
    return has_any;
}

void store_end(struct world *world)
{
    struct store_thread *self = world->broker.store_thread;
    if (!self)
        return;
    world_cancel(world, &self->event);
    world->real->tidy(self->writer);
    world->real->reader_close(world->reader);
    world->real->writer_close(self->writer);
    world->reader = NULL;
    self->writer = NULL;
}

void store_free(struct world *world)
{
    struct store_thread *self = world->broker.store_thread;
    if (!self)
        return;
    world_cancel(world, &self->trim_event);
    free(self->queue);
    free(self);
    world->broker.store_thread = NULL;
}

/* The daemon's own start and end of the thread: nothing here begins one. */
int store_thread_start(const struct broker *broker, struct store_thread **out_thread,
                       struct buf *error)
{
    (void)broker;
    (void)out_thread;
    (void)error;
    return BURSAR_E_INTERNAL;
}

void store_thread_stop(struct store_thread *thread)
{
    (void)thread;
}

/* ---- reads that fail ------------------------------------------------------------------------------- */

static bool fails(void)
{
    struct world *world = world_current();
    return world->is_up && store_is_troubled(world) && chance_below(&world->chance, 4) == 0;
}

static int find(struct store_reader *reader, struct text owner, struct text connection,
                struct text provider, struct text account, struct conn_row *out_row)
{
    return fails()
               ? BURSAR_E_STORE_UNAVAILABLE
               : world_current()->real->find(reader, owner, connection, provider, account, out_row);
}

static int due(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
               store_id_fn *each, void *context, int64_t *out_next_at)
{
    return fails() ? BURSAR_E_STORE_UNAVAILABLE
                   : world_current()->real->due(reader, provider, now, limit, each, context,
                                                out_next_at);
}

/* Now and then on any day: a worker that has not heard of a sweep when that is cancelled. */
static int sweep_parts(struct store_reader *reader, store_part_fn *each, void *context)
{
    struct world *world = world_current();
    bool is_bad = world->is_up && !world->is_calm && world->options.faults > 0 &&
                  chance_below(&world->chance, 4) == 0;
    return is_bad ? BURSAR_E_STORE_UNAVAILABLE : world->real->sweep_parts(reader, each, context);
}

static int remind(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
                  store_row_fn *each, void *context, int64_t *out_next_at)
{
    return fails() ? BURSAR_E_STORE_UNAVAILABLE
                   : world_current()->real->remind(reader, provider, now, limit, each, context,
                                                   out_next_at);
}

void store_prepare(struct world *world)
{
    world->real = store_engine_of(world->store_uri, &world->broker.store_where);
    world->engine = *world->real;
    world->engine.find = find;
    world->engine.due = due;
    world->engine.sweep_parts = sweep_parts;
    world->engine.remind = remind;
    world->broker.store = &world->engine;
}
