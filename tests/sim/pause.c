/* Operators who pause a provider and let it go on, by its worker's own op, and what must be true of it: behind the answer
 * nothing is refreshed there, whatever crashes, until somebody lets it go on. */
#include "world.h"

#include "broker/memory.h"
#include "broker/worker.h"
#include "wire/pack.h"

enum {
    BODY_MAX = 1 << 10,
    ASKED_MS = 600 * 1000,
    AGAIN_MS = 60 * 1000,
    EVERY_MS = 16 * 3600 * 1000,
    LASTS_MS = 2 * 3600 * 1000,
    ON_ITS_WAY_MS =
        60 * 1000 /* an intent that was with the disk when the worker heard of the pause */
};
#define TICKETS (UINT64_C(1) << 63) /* those of pauses have this bit */

static void ask(struct provider *provider)
{
    struct world *world = provider->world;
    struct pause *pause = &provider->pause;
    struct worker *worker = process_worker(provider);
    struct buf body = buf_make(BODY_MAX);
    struct pack map = pack_map(&body);
    pack_string(&map, "op", pause->is_wanted ? "provider.pause" : "provider.resume");
    pack_string(&map, "provider", provider->name);
    pack_close(&map);
    pause->is_asked = pause->is_wanted;
    pause->ticket = TICKETS | ++world->last_ticket;
    struct request *request =
        request_new(buf_text(&body), false, pause->ticket, world->now_ms + ASKED_MS);
    if (request && !worker_send(worker, request))
        request_free(request);
    buf_free(&body);
}

/* Asks until it is so: what was asked of a process that has gone may have been for nothing. */
static void act(struct world *world, struct event_node *event)
{
    struct provider *provider =
        (struct provider *)(void *)((char *)event - offsetof(struct provider, pause.event));
    struct pause *pause = &provider->pause;
    if (world->is_calm)
        pause->is_wanted = false;
    else if (pause->is_committed == pause->is_wanted)
        pause->is_wanted = !pause->is_wanted;
    if (pause->is_committed != pause->is_wanted && world->is_up && !world->is_stopping)
        ask(provider);
    world_at(world, event, world->now_ms + AGAIN_MS);
}

void pause_begin(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct pause *pause = &world->providers[i].pause;
        pause->event.fire = act;
        if (world->options.faults > 0 && !world->options.is_tight && !world->options.is_large)
            world_at(world, &pause->event, world->now_ms + chance_wait(&world->chance, EVERY_MS));
    }
}

void pause_end(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++)
        world_at(world, &world->providers[i].pause.event, world->now_ms);
}

void pause_started(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct pause *pause = &world->providers[i].pause;
        pause->ticket = 0;
        pause->told_ms = pause->is_committed ? world->now_ms : 0;
    }
}

void pause_committed(struct world *world, const struct store_change *change)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct provider *provider = &world->providers[i];
        struct pause *pause = &provider->pause;
        if (!text_is(change->provider, provider->name))
            continue;
        if (change->is_begin && !pause->is_committed)
            world->figures.pauses++;
        if (change->is_begin != pause->is_committed)
            pause->changed_ms = world->now_ms;
        pause->is_committed = change->is_begin;
        pause->told_ms = change->is_begin ? pause->told_ms : 0;
        if (pause->is_committed == pause->is_wanted && !world->is_calm)
            world_at(world, &pause->event,
                     world->now_ms +
                         chance_wait(&world->chance, pause->is_committed ? LASTS_MS : EVERY_MS));
    }
}

bool pause_answered(struct world *world, const struct answer *answer, uint64_t ticket)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct pause *pause = &world->providers[i].pause;
        if (pause->ticket != ticket || ticket == TICKET_NONE || answer->error < 0)
            continue; /* nobody waits for an older one any more */
        if (pause->is_committed != pause->is_asked)
            violation(world, NULL, "pause", "one is acknowledged that was not committed");
        if (pause->is_committed && pause->told_ms == 0)
            pause->told_ms = world->now_ms;
    }
    return (ticket & TICKETS) != 0;
}

void pause_sent(struct world *world, const struct asked *asked)
{
    const struct pause *pause = &asked->provider->pause;
    if (pause->told_ms > 0 && world->now_ms - pause->told_ms > ON_ITS_WAY_MS &&
        world->now_ms - world->disturbed_ms > ON_ITS_WAY_MS)
        violation(world, asked->conn, "pause", "it is refreshed while its provider is paused");
}

bool pause_is_over(const struct world *world, const struct provider *provider, int64_t for_ms)
{
    const struct pause *pause = &provider->pause;
    return !pause->is_committed && world->now_ms - pause->changed_ms > for_ms;
}
