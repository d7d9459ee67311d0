/* What a simulated provider can be told to do by name, for people who try something against it.
 * Thread: any; constants. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/sim.h"

struct sim_scenario {
    const char *name;
    const char *help;
    struct sim_play play;
    bool is_once; /* the first token request alone */
    enum { SIM_AS_ENTRY, SIM_NONE, SIM_GRACE, SIM_STRICT } rotation;
};

extern const char sim_scenario_names[];

/* NULL for the usual one. NULL where there is none of this name. */
const struct sim_scenario *sim_scenario_of(const char *name);
void sim_scenario_start(const struct sim_scenario *scenario, struct sim *sim);

#endif
