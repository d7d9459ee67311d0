/* In place of broker/dispatcher.c: what the workers answer goes to who asked. */
#include "broker/dispatcher.h"

#include "world.h"

void dispatcher_send(struct dispatcher *dispatcher, struct answer *answer)
{
    struct world *world = world_current();
    (void)dispatcher;
    for (size_t i = 0; i < answer->ticket_count; i++) {
        if (world_effect(world) && !operator_answered(world, answer, answer->tickets[i]) &&
            !pause_answered(world, answer, answer->tickets[i]))
            people_answered(world, answer, answer->tickets[i]);
    }
    answer_free(answer);
}

/* The world's callers ask the workers: there is no memory in front of them. What would hold one back is counted. */
void dispatcher_hold(struct dispatcher *dispatcher, struct text provider, int change)
{
    struct world *world = world_current();
    (void)dispatcher;
    for (size_t i = 0; i < world->options.providers && !world->is_dead; i++) {
        if (text_is(provider, world->providers[i].name))
            world->providers[i].held += change;
    }
}

void dispatcher_send_drained(struct dispatcher *dispatcher)
{
    (void)dispatcher;
    process_drained(world_current());
}
