#include "world.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SPIN_MAX = 20000, VIOLATIONS_SHOWN = 10 };

/* The functions that stand in for the broker's own have no other way to the world they are in. */
static struct world *current;

struct world *world_current(void)
{
    return current;
}

void world_set_current(struct world *world)
{
    current = world;
}

/* ---- chance: xoshiro256** (Blackman and Vigna), seeded by splitmix64 -------------------------- */

static uint64_t split(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void chance_seed(struct chance *chance, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        chance->state[i] = split(&seed);
}

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t chance_next(struct chance *chance)
{
    uint64_t *s = chance->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t chance_below(struct chance *chance, uint64_t limit)
{
    return chance_next(chance) % limit; /* limits are small: the bias is below 2^-40 */
}

double chance_unit(struct chance *chance)
{
    return (double)(chance_next(chance) >> 11) * 0x1p-53;
}

bool chance_is(struct chance *chance, double probability)
{
    return probability > 0 && chance_unit(chance) < probability;
}

int64_t chance_wait(struct chance *chance, int64_t mean_ms)
{
    return 1 + (int64_t)(-log1p(-chance_unit(chance)) * (double)mean_ms);
}

int64_t chance_between(struct chance *chance, int64_t least, int64_t most)
{
    return least + (int64_t)chance_below(chance, (uint64_t)(most - least) + 1);
}

/* ---- the trace ---------------------------------------------------------------------------------- */

static void digest(struct world *world, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        world->digest = (world->digest ^ (value & 0xff)) * UINT64_C(0x100000001b3);
}

void trace(struct world *world, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    for (const char *at = what; *at; at++)
        world->digest = (world->digest ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    digest(world, (uint64_t)world->now_ms);
    digest(world, a);
    digest(world, b);
    digest(world, c);
    if (world->options.is_verbose)
        fprintf(stderr, "%12" PRId64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                world->now_ms - world->started_ms, what, a, b, c);
}

void violation(struct world *world, const struct conn *conn, const char *rule, const char *what)
{
    world->figures.violations++;
    trace(world, rule, conn ? conn->index : 0, world->figures.violations, 0);
    if (world->figures.violations > VIOLATIONS_SHOWN)
        return;
    fprintf(stderr, "seed %" PRIu64 ", day %.5f: %s: %s", world->options.seed,
            (double)(world->now_ms - world->started_ms) / (double)DAY_MS, rule, what);
    if (conn)
        fprintf(stderr, " (connection %u of %s, %s, generation %" PRIu64 ")", conn->index,
                conn->provider->name, conn_state_name(conn->state), conn->generation);
    fprintf(stderr, "\n");
}

/* ---- events --------------------------------------------------------------------------------------- */

int64_t world_wall_s(const struct world *world)
{
    return (world->now_ms + world->wall_offset_ms) / 1000;
}

bool world_effect(struct world *world)
{
    if (world->effects_left > 0 && --world->effects_left == 0) {
        world->is_dead = true;
        trace(world, "crash", 0, 0, 0);
    }
    return !world->is_dead;
}

void world_at(struct world *world, struct event_node *event, int64_t at_ms)
{
    if (heap_set(&world->events, &event->node, at_ms) < 0)
        abort();
}

void world_cancel(struct world *world, struct event_node *event)
{
    heap_remove(&world->events, &event->node);
}

/* Time that does not pass although things go on and on is a loop of the broker's. */
static bool is_spinning(struct world *world)
{
    if (world->now_ms != world->spin_ms) {
        world->spin_ms = world->now_ms;
        world->spin_turns = 0;
    }
    if (++world->spin_turns < SPIN_MAX)
        return false;
    violation(world, NULL, "spin", "the broker goes in a circle without waiting for anything");
    return true;
}

void world_run(struct world *world, int64_t until_ms)
{
    for (struct heap_node *first; (first = heap_top(&world->events)) && first->at <= until_ms;) {
        if (world->options.stops && world->figures.violations > 0)
            return;
        struct event_node *event = (struct event_node *)(void *)first;
        heap_remove(&world->events, first);
        if (first->at > world->now_ms)
            world->now_ms = first->at;
        if (is_spinning(world))
            return;
        event->fire(world, event);
        if (world->is_dead)
            process_crash(world, chance_wait(&world->chance, MINUTE_MS));
    }
    if (world->now_ms < until_ms)
        world->now_ms = until_ms;
}
