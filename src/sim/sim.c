#include "sim/sim_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

enum {
    LIFE_S = 3600,
    LIFE_MAX_S = 90 * 86400,
    ODD_S = 60,
    GRANTS_MAX = 1 << 16,
    USED_MAX = 1 << 20,
};

int sim_init(struct sim *sim, const struct connector *entry)
{
    *sim = (struct sim){.entry = entry,
                        .rotation = entry->rotation,
                        .reuse_grace_s = entry->reuse_grace_s,
                        .earliest_refresh_s = entry->earliest_refresh_s,
                        .minimum_age_s = entry->minimum_age_s,
                        .life_s = LIFE_S};
    /* Not what the entry takes where a reply says none: an end that was not read would not show. */
    if (entry->default_ttl_s > 0 && entry->default_ttl_s < LIFE_MAX_S)
        sim->life_s = entry->default_ttl_s + ODD_S;
    if (entry->minimum_age_s > 0) /* so short that the usual moment would come too early */
        sim->life_s = entry->minimum_age_s + ODD_S;
    return 0;
}

void sim_reset(struct sim *sim)
{
    free(sim->grants);
    free(sim->used);
    sim->grants = NULL;
    sim->used = NULL;
    sim->grant_count = sim->used_count = 0;
    sim->play_count = sim->play_at = 0;
    sim->requests = sim->arrived = sim->grant = 0;
    sim->problem[0] = 0;
}

void sim_fini(struct sim *sim)
{
    sim_reset(sim);
    *sim = (struct sim){.entry = NULL};
}

bool sim_script(struct sim *sim, const struct sim_play *play)
{
    if (sim->play_count == SIM_PLAYS_MAX)
        return false;
    sim->plays[sim->play_count++] = *play;
    return true;
}

/* ---- grants ------------------------------------------------------------------------------------- */

/* Characters that are easily lost on the way stand in each token. */
static void name_token(char out[static SIM_TOKEN_SIZE], const char *what, size_t grant,
                       unsigned generation)
{
    snprintf(out, SIM_TOKEN_SIZE, "%s.%zu.%u/+%%=", what, grant, generation);
}

void sim_issue(struct sim *sim, size_t index, int64_t now, bool has_new_refresh_token)
{
    struct sim_grant *grant = &sim->grants[index];
    grant->generation++;
    grant->issued_at = now;
    grant->expires_at = now + sim->life_s;
    name_token(grant->access_token, "at", index, grant->generation);
    if (has_new_refresh_token)
        name_token(grant->refresh_token, "rt", index, grant->generation);
}

/* Room for one more of an array that grows by doubling; false without memory or beyond max. */
static bool has_room(void **items, size_t count, size_t max, size_t size)
{
    bool is_full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, 8 … */
    if (!is_full)
        return true;
    void *moved = count < max ? reallocarray(*items, count > 0 ? count * 2 : 1, size) : NULL;
    if (moved)
        *items = moved;
    return moved != NULL;
}

size_t sim_consent(struct sim *sim, int64_t now)
{
    void *items = sim->grants;
    if (!has_room(&items, sim->grant_count, GRANTS_MAX, sizeof *sim->grants))
        return SIZE_MAX;
    sim->grants = items;
    size_t index = sim->grant_count++;
    sim->grants[index] = (struct sim_grant){.is_alive = true, .consented_at = now};
    sim_issue(sim, index, now, true);
    name_token(sim->grants[index].code, "code", index, 0);
    name_token(sim->grants[index].device_code, "device", index, 0);
    return index;
}

bool sim_spend(struct sim *sim, size_t grant, int64_t now)
{
    void *items = sim->used;
    if (!has_room(&items, sim->used_count, USED_MAX, sizeof *sim->used))
        return false;
    sim->used = items;
    sim->used[sim->used_count++] =
        (struct sim_used){(unsigned)grant, sim->grants[grant].generation, now};
    return true;
}

bool sim_read_token(const struct sim *sim, struct text token, const char *what, size_t *out_grant,
                    unsigned *out_generation)
{
    char made[SIM_TOKEN_SIZE], copy[SIM_TOKEN_SIZE], format[32];
    if (token.len >= sizeof copy)
        return false;
    memcpy(copy, token.data, token.len);
    copy[token.len] = 0;
    snprintf(format, sizeof format, "%s.%%zu.%%u", what);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int count = sscanf(copy, format, out_grant, out_generation);
#pragma GCC diagnostic pop
    if (count != 2 || *out_grant >= sim->grant_count)
        return false;
    name_token(made, what, *out_grant, *out_generation);
    return strcmp(made, copy) == 0;
}

int64_t sim_used_at(const struct sim *sim, size_t grant, unsigned generation)
{
    for (size_t i = sim->used_count; i-- > 0;) {
        if (sim->used[i].grant == grant && sim->used[i].generation == generation)
            return sim->used[i].at;
    }
    return 0;
}
