/* What the files of sim.h share.
 * Thread: the owner of the simulator. */
#ifndef SIM_SIM_PARTS_H
#define SIM_SIM_PARTS_H

#include "sim/sim.h"

/* sim.c: the tokens. A new generation of them; the old ones are no longer the newest. */
void sim_issue(struct sim *sim, size_t index, int64_t now, bool has_new_refresh_token);
/* Notes that the newest refresh token was used; false without memory. */
bool sim_spend(struct sim *sim, size_t grant, int64_t now);
/* The grant and generation that a token names; false for what was never issued here. */
bool sim_read_token(const struct sim *sim, struct text token, const char *what, size_t *out_grant,
                    unsigned *out_generation);
/* When it was spent; 0: it was not. */
int64_t sim_used_at(const struct sim *sim, size_t grant, unsigned generation);

/* door.c: the endpoints, in the order in which they are looked for. */
enum sim_door {
    SIM_DOOR_SECOND, /* the second step of an exchange */
    SIM_DOOR_REVOKE,
    SIM_DOOR_STS,
    SIM_DOOR_REFRESH,
    SIM_DOOR_TOKEN,
    SIM_DOOR_DEVICE,
    SIM_DOOR_IDENTITY,
    SIM_DOOR_VALIDATE,
    SIM_DOOR_COUNT /* none */
};
/* The endpoint that a request goes to; of two at one place that whose method it is. */
enum sim_door sim_door_of(const struct connector *entry, const struct sim_check *check,
                          bool awaits_second);
/* A refresh belongs to refresh_url where there is one. */
bool sim_door_is_wrong(const struct connector *entry, const struct sim_check *check,
                       enum sim_door door);

#endif
