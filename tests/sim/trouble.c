/* What goes wrong around the broker: crashes, clocks, disks, providers' bad days. */
#include "world.h"

enum {
    CRASH_EVERY_MIN = 60, /* means, at faults = 1 */
    RESTART_EVERY_MIN = 600,
    CLOCK_EVERY_MIN = 480,
    DISK_EVERY_MIN = 240,
    PROVIDER_EVERY_MIN = 480,
    EFFECTS_MAX = 12
};

static int64_t wait(struct world *world, int64_t mean_min)
{
    double mean_ms = (double)(mean_min * MINUTE_MS) / world->options.faults;
    return chance_wait(&world->chance, (int64_t)mean_ms);
}

/* The process dies behind the n-th thing that it does from now on, or right now. */
static void crash(struct world *world, struct event_node *event)
{
    if (world->is_up && world->effects_left == 0)
        world->effects_left = 1 + (int)chance_below(&world->chance, EFFECTS_MAX);
    world_at(world, event, world->now_ms + wait(world, CRASH_EVERY_MIN));
}

static void restart(struct world *world, struct event_node *event)
{
    process_drain(world);
    world_at(world, event, world->now_ms + wait(world, RESTART_EVERY_MIN));
}

/* The wall clock is set wrong by up to a day and set right again later, or the machine is suspended,
 * in which all clocks go on and nothing else does. */
static void move_clock(struct world *world, struct event_node *event)
{
    int64_t next_ms = wait(world, CLOCK_EVERY_MIN);
    world->disturbed_ms = world->now_ms;
    if (world->wall_offset_ms != world->wall_right_ms) {
        world->wall_offset_ms = world->wall_right_ms;
        world->figures.wall_jumps++;
    } else if (chance_is(&world->chance, 0.6)) {
        int64_t by_ms = chance_between(&world->chance, -DAY_MS, DAY_MS);
        if (chance_is(&world->chance, 0.5))
            by_ms /= 1000; /* more often by seconds than by hours */
        world->wall_offset_ms += by_ms;
        world->figures.wall_jumps++;
        next_ms = chance_wait(&world->chance, HOUR_MS);
    } else {
        int64_t wakes_ms = world->now_ms + chance_wait(&world->chance, HOUR_MS);
        world->now_ms = wakes_ms < world->ends_ms
                            ? wakes_ms
                            : world->ends_ms; /* hours without troubles follow */
        world->disturbed_ms = world->now_ms;
        world->figures.suspends++;
    }
    world->wall_moves++;
    trace(world, "clock", (uint64_t)world->wall_offset_ms, 0, 0);
    world_at(world, event, world->now_ms + next_ms);
}

static void spoil_disk(struct world *world, struct event_node *event)
{
    int64_t lasts_ms = chance_wait(&world->chance, 2 * MINUTE_MS);
    uint64_t kind = chance_below(&world->chance, 3);
    if (world->is_up) {
        store_trouble(world, kind == 0 ? lasts_ms : 0, kind == 1 ? lasts_ms : 0,
                      kind == 2 ? lasts_ms : 0);
        world->figures.store_faults++;
        trace(world, "disk", kind, (uint64_t)lasts_ms, 0);
    }
    world_at(world, event, world->now_ms + wait(world, DISK_EVERY_MIN));
}

static void turn_provider(struct world *world, struct event_node *event)
{
    struct provider *provider =
        (struct provider *)(void *)((char *)event - offsetof(struct provider, trouble_event));
    if (provider->trouble == TROUBLE_NONE) {
        provider->trouble = (enum trouble)(1 + chance_below(&world->chance, 4));
        world->figures.outages++;
        world_at(world, event, world->now_ms + chance_wait(&world->chance, 20 * MINUTE_MS));
    } else {
        provider->trouble = TROUBLE_NONE;
        provider->healthy_since_ms = world->now_ms;
        world_at(world, event, world->now_ms + wait(world, PROVIDER_EVERY_MIN));
    }
    trace(world, "provider", (uint64_t)(provider - world->providers), provider->trouble, 0);
}

void trouble_begin(struct world *world)
{
    const struct {
        void (*fire)(struct world *world, struct event_node *event);
        int64_t mean_min;
    } kinds[] = {{crash, CRASH_EVERY_MIN},
                 {restart, RESTART_EVERY_MIN},
                 {move_clock, CLOCK_EVERY_MIN},
                 {spoil_disk, DISK_EVERY_MIN}};
    if (world->options.faults <= 0)
        return;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        world->troubles[i].fire = kinds[i].fire;
        world_at(world, &world->troubles[i], world->now_ms + wait(world, kinds[i].mean_min));
    }
    for (size_t i = 0; i < world->options.providers; i++) {
        world->providers[i].trouble_event.fire = turn_provider;
        world_at(world, &world->providers[i].trouble_event,
                 world->now_ms + wait(world, PROVIDER_EVERY_MIN));
    }
}

/* From here on nothing goes wrong any more, so that all that is open must come to its end. */
void trouble_end(struct world *world)
{
    world->is_calm = true;
    world->effects_left = 0;
    store_trouble(world, 0, 0, 0);
    world->wall_offset_ms = world->wall_right_ms;
    world->disturbed_ms = world->now_ms;
    for (size_t i = 0; i < TROUBLE_KINDS; i++)
        world_cancel(world, &world->troubles[i]);
    for (size_t i = 0; i < world->options.providers; i++) {
        struct provider *provider = &world->providers[i];
        world_cancel(world, &provider->trouble_event);
        if (provider->trouble != TROUBLE_NONE)
            provider->healthy_since_ms = world->now_ms;
        provider->trouble = TROUBLE_NONE;
    }
}
