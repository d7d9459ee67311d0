#include "sim/scenario.h"

#include <string.h>

enum { GRACE_S = 30 };

static const struct sim_scenario scenarios[] = {
    {"fine", "on a good day", {.fault = SIM_FINE}, false, SIM_AS_ENTRY},
    {"rotation-none", "whose refresh tokens never change", {0}, false, SIM_NONE},
    {"rotation-grace", "whose spent refresh tokens work for 30 s more", {0}, false, SIM_GRACE},
    {"rotation-strict", "where a spent refresh token ends the grant", {0}, false, SIM_STRICT},
    {"dead-grant", "which calls every grant dead", {.fault = SIM_DEAD}, false, SIM_AS_ENTRY},
    {"dead-grant-once",
     "which calls a grant dead once, by mistake",
     {.fault = SIM_DEAD},
     true,
     SIM_AS_ENTRY},
    {"throttled",
     "which asks to wait",
     {.fault = SIM_ERROR, .status = 429, .retry_after_s = 30},
     false,
     SIM_AS_ENTRY},
    {"throttled-once",
     "which asks to wait once",
     {.fault = SIM_ERROR, .status = 429, .retry_after_s = 1},
     true,
     SIM_AS_ENTRY},
    {"outage",
     "which answers with HTTP 503",
     {.fault = SIM_EMPTY, .status = 503},
     false,
     SIM_AS_ENTRY},
    {"page-403",
     "whose firewall answers with a page",
     {.fault = SIM_HTML, .status = 403},
     false,
     SIM_AS_ENTRY},
    {"page-200",
     "which answers with a page and HTTP 200",
     {.fault = SIM_HTML, .status = 200},
     false,
     SIM_AS_ENTRY},
    {"empty", "which answers with nothing", {.fault = SIM_EMPTY}, false, SIM_AS_ENTRY},
    {"truncated", "which answers with half a reply", {.fault = SIM_TRUNCATED}, false, SIM_AS_ENTRY},
    {"lost-reply",
     "whose first reply is lost after the tokens were changed",
     {.fault = SIM_LOST},
     true,
     SIM_AS_ENTRY},
    {"hang", "which never answers", {.fault = SIM_HANG}, false, SIM_AS_ENTRY},
    {"slow", "which takes 3 seconds", {.delay_ms = 3000}, false, SIM_AS_ENTRY},
    {"no-refresh-token",
     "whose replies have no refresh token",
     {.refreshed = SIM_REFRESHED_ABSENT},
     false,
     SIM_AS_ENTRY},
    {"no-expiry", "whose replies say no end", {.expiry = SIM_EXPIRY_ABSENT}, false, SIM_AS_ENTRY},
    {"absurd-expiry",
     "whose replies say an absurd end",
     {.expiry = SIM_EXPIRY_ABSURD},
     false,
     SIM_AS_ENTRY},
};
enum { COUNT = sizeof scenarios / sizeof scenarios[0] };

const char sim_scenario_names[] =
    "fine, rotation-none, rotation-grace, rotation-strict, dead-grant, dead-grant-once, throttled, "
    "throttled-once, outage, page-403, page-200, empty, truncated, lost-reply, hang, slow, "
    "no-refresh-token, no-expiry, absurd-expiry";

const struct sim_scenario *sim_scenario_of(const char *name)
{
    for (size_t i = 0; name && i < COUNT; i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    }
    return name ? NULL : &scenarios[0];
}

void sim_scenario_start(const struct sim_scenario *scenario, struct sim *sim)
{
    static const enum rotation_rule rules[] = {[SIM_NONE] = ROTATION_NONE,
                                               [SIM_GRACE] = ROTATION_REUSE_GRACE,
                                               [SIM_STRICT] = ROTATION_STRICT};
    if (scenario->rotation != SIM_AS_ENTRY)
        sim->rotation = rules[scenario->rotation];
    if (scenario->rotation == SIM_GRACE)
        sim->reuse_grace_s = GRACE_S;
    if (scenario->is_once)
        sim_script(sim, &scenario->play);
    else
        sim->usual = scenario->play;
}
