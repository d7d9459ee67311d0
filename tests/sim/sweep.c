/* What must be true of all connections, looked at now and then: nobody is forgotten. */
#include "world.h"

#include "broker/worker_parts.h"

enum {
    EVERY_MS = 10 * 60 * 1000,
    EVERY_LARGE_MS = 6 * 3600 * 1000,
    FORGOTTEN_MS = 45 * 60 * 1000,
    LONGEST_MS = 2 * 3600 * 1000, /* of all waits behind a failure */
    OPEN_MS = 600 * 1000
};

/* Whether nothing has been in the way of this provider's refreshes for a while. */
static bool is_free(const struct world *world, const struct provider *provider)
{
    const struct worker *worker = process_worker((struct provider *)(uintptr_t)provider);
    return world->is_up && !world->is_stopping &&
           world->now_ms - world->disturbed_ms > FORGOTTEN_MS &&
           provider->trouble == TROUBLE_NONE && !provider->gates.has_refusals &&
           world->now_ms - provider->gates.shut_ms > FORGOTTEN_MS &&
           pause_is_over(world, provider, FORGOTTEN_MS) &&
           world->now_ms - provider->healthy_since_ms > FORGOTTEN_MS &&
           HASH_COUNT(worker->flights) < WORKER_PLAN_FLIGHTS / 2;
}

/* Due for long, and nobody has tried. A wait behind a failure that was planned while the wall clock was fast may be
 * longer by as much, but is never longer than any wait is. */
static bool is_forgotten(const struct world *world, const struct conn *conn)
{
    int64_t fast_ms = conn->planned_offset_ms - world->wall_offset_ms;
    if (fast_ms > LONGEST_MS)
        fast_ms = LONGEST_MS;
    if (fast_ms > 0 && world->now_ms - conn->planned_ms < fast_ms + FORGOTTEN_MS)
        return false;
    return conn->state == CONN_ACTIVE && !conn->has_intent && conn->due_at != INT64_MAX &&
           world_wall_s(world) - conn->due_at > FORGOTTEN_MS / 1000 &&
           world->now_ms - conn->due_known_ms > FORGOTTEN_MS &&
           world->now_ms - conn->tried_ms > FORGOTTEN_MS;
}

void sweep_all(struct world *world, bool is_last)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        const struct provider *provider = &world->providers[i];
        bool is_idle = is_free(world, provider);
        for (size_t j = 0; j < provider->count; j++) {
            struct conn *conn = &world->conns[provider->first + j];
            if (is_idle && !world->options.is_tight && is_forgotten(world, conn)) {
                violation(world, conn, "forgotten", "it is due for long, and nobody refreshes it");
                conn->due_at = INT64_MAX; /* once is enough */
            }
            if (is_last && conn->has_intent && world->now_ms - conn->tried_ms > OPEN_MS)
                violation(world, conn, "flight", "it never ended");
            if (is_last)
                book_compare(world, conn);
        }
    }
    people_check(world, is_last);
    operator_check_holds(world);
    if (is_last)
        operator_check(world);
}

static void sweep(struct world *world, struct event_node *event)
{
    if (world->is_up)
        sweep_all(world, false);
    world_at(world, event, world->now_ms + (world->options.is_large ? EVERY_LARGE_MS : EVERY_MS));
}

void sweep_begin(struct world *world)
{
    world->sweeps.fire = sweep;
    world_at(world, &world->sweeps, world->now_ms + EVERY_MS);
}
