/* The daemon's process: its workers without their threads, its start, its end and its crashes. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/memory.h"
#include "broker/worker.h"
#include "broker/worker_parts.h"

enum { DRAIN_MS = BROKER_DRAIN_MS, GIVE_BACK_MAX = 100 };

/* A worker and when it has its next turn. */
struct actor {
    struct event_node event; /* first member */
    struct provider *provider;
    struct worker *worker; /* NULL: the process is down */
    struct buf error;
};

/* What is set aside of a budget is some flight's, and goes with it: what is left there would never be spent. */
static void check_aside(struct world *world, const struct worker *worker)
{
    const struct gate *gate = &worker->gate;
    if (!worker->flights && (gate->token.aside != 0 || gate->api.aside != 0))
        violation(world, NULL, "budget", "nothing is under way, and something is set aside for it");
}

static void turn(struct world *world, struct event_node *event)
{
    struct actor *actor = (struct actor *)(void *)event;
    world->figures.turns++;
    worker_turn(actor->worker);
    if (world->is_dead)
        return;
    check_aside(world, actor->worker);
    process_wake(actor->provider, world->now_ms + worker_wait_ms(actor->worker));
}

void process_wake(struct provider *provider, int64_t at_ms)
{
    struct actor *actor = provider->actor;
    struct heap_node *node = &actor->event.node;
    if (actor->worker && (node->index == 0 || node->at > at_ms))
        world_at(provider->world, &actor->event, at_ms);
}

void process_wake_box(struct world *world, const struct mailbox *box)
{
    if (operator_wake(world, box))
        return;
    for (size_t i = 0; i < world->options.providers; i++) {
        struct provider *provider = &world->providers[i];
        if (provider->actor->worker && &provider->actor->worker->inbox == box)
            process_wake(provider, world->now_ms);
    }
}

struct worker *process_worker(struct provider *provider)
{
    return provider->actor->worker;
}

static int start_worker(struct world *world, struct provider *provider)
{
    struct actor *actor = provider->actor;
    const struct connector *connector =
        connectors_find(&world->connectors, text_of(provider->name));
    int result = worker_new(&world->broker, connector, &actor->worker, &actor->error);
    return result == 0 ? worker_begin(actor->worker) : result;
}

void process_make(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct actor *actor = world->providers[i].actor = memory_new(sizeof *actor);
        actor->event.fire = turn;
        actor->provider = &world->providers[i];
        actor->error = buf_make(1024);
    }
}

void process_start(struct world *world)
{
    int result = store_begin(world);
    for (size_t i = 0; i < world->options.providers && result == 0; i++)
        result = start_worker(world, &world->providers[i]);
    if (result < 0) {
        violation(world, NULL, "start", "the process does not start again");
        world->is_stopping = true;
        return;
    }
    operator_start(world);
    gates_started(world);
    pause_started(world);
    world->is_up = true;
    world->is_stopping = false;
    world->began_ms = world->disturbed_ms = world->now_ms;
    world->drained = 0;
    trace(world, "start", 0, 0, 0);
    for (size_t i = 0; i < world->options.providers; i++) {
        worker_open(world->providers[i].actor->worker);
        process_wake(&world->providers[i], world->now_ms);
    }
}

static void each_worker(struct world *world, void (*function)(struct worker *worker))
{
    for (size_t i = 0; i < world->options.providers; i++) {
        if (world->providers[i].actor->worker)
            function(world->providers[i].actor->worker);
    }
}

/* Whatever the workers and the store hold in memory is gone; nothing leaves any more. */
static void end_process(struct world *world)
{
    bool was_dead = world->is_dead;
    world->is_dead = true;
    for (int i = 0; i < GIVE_BACK_MAX && store_give_back(world); i++) {
        operator_take(world);
        each_worker(world, worker_take_messages);
    }
    operator_take(world);
    each_worker(world, worker_end);
    store_end(world);
    each_worker(world, worker_free);
    for (size_t i = 0; i < world->options.providers; i++) {
        world->providers[i].actor->worker = NULL;
        world_cancel(world, &world->providers[i].actor->event);
    }
    people_forget(world);
    operator_stop(world);
    world->is_up = false;
    world->is_dead = was_dead;
    world_cancel(world, &world->end_event);
}

static void start_again(struct world *world, struct event_node *event)
{
    (void)event;
    process_start(world);
}

void process_crash(struct world *world, int64_t down_ms)
{
    end_process(world);
    book_crashed(world);
    world->is_dead = false;
    world->effects_left = 0;
    world->figures.crashes++;
    world->start_event.fire = start_again;
    world_at(world, &world->start_event, world->now_ms + down_ms);
}

/* ---- an end in order ----------------------------------------------------------------------------- */

/* All have drained, or were given their time. */
static void end_in_order(struct world *world, struct event_node *event)
{
    (void)event;
    trace(world, "end", world->drained, 0, 0);
    end_process(world);
    book_crashed(world); /* what is still with a provider after that time */
    world->effects_left = 0;
    world->figures.restarts++;
    if (!world->is_last) {
        world->start_event.fire = start_again;
        world_at(world, &world->start_event,
                 world->now_ms + chance_between(&world->chance, 100, 20000));
    }
}

void process_drained(struct world *world)
{
    if (++world->drained == world->options.providers)
        world_at(world, &world->end_event, world->now_ms);
}

void process_drain(struct world *world)
{
    if (!world->is_up || world->is_stopping)
        return;
    world->is_stopping = true;
    world->end_event.fire = end_in_order;
    for (size_t i = 0; i < world->options.providers; i++) {
        worker_drain(world->providers[i].actor->worker);
        process_wake(&world->providers[i], world->now_ms);
    }
    world_at(world, &world->end_event, world->now_ms + DRAIN_MS);
}

void process_close(struct world *world)
{
    if (world->is_up)
        end_process(world);
    world_cancel(world, &world->start_event);
    for (size_t i = 0; i < world->options.providers; i++) {
        if (world->providers[i].actor)
            buf_free(&world->providers[i].actor->error);
        free(world->providers[i].actor);
    }
}
