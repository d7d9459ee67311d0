/* In place of base/clock.c. */
#include "base/clock.h"

#include "world.h"

int64_t clock_wall_ms(void)
{
    const struct world *world = world_current();
    return world->now_ms + world->wall_offset_ms;
}

int64_t clock_wall_s(void)
{
    return clock_wall_ms() / 1000;
}

int64_t clock_boot_ms(void)
{
    return world_current()->now_ms;
}
