/* What each owner gets of a budget that is not enough for all. In the tight world half of a provider's connections are one
 * owner's, and its ceiling lets through about six tenths of what falls due. Fair is what is max-min fair: whoever wants
 * less than an equal share gets all of it, and the others have the rest in equal parts. */
#include "world.h"

#include <stdio.h>
#include <string.h>

enum { OWNERS_MAX = 64, LEAD_S = 300 };

#define LEAST_SHARE 0.8 /* of what would be fair */

struct owner {
    char name[OWNER_SIZE];
    double wanted, served;
};

static struct owner *owner_of(struct owner *owners, size_t *count, const struct conn *conn)
{
    char name[OWNER_SIZE];
    conn_owner(conn, name);
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(owners[i].name, name) == 0)
            return &owners[i];
    }
    if (*count == OWNERS_MAX)
        return NULL;
    struct owner *owner = &owners[(*count)++];
    *owner = (struct owner){.wanted = 0};
    memcpy(owner->name, name, sizeof name);
    return owner;
}

/* The level to which all are filled, so that those who want more get so much each. */
static double level_of(const struct owner *owners, size_t count, double served)
{
    double level = 0, left = served;
    for (size_t rounds = 0; rounds < count && left > 1e-9; rounds++) {
        size_t open = 0;
        double least = 0;
        for (size_t i = 0; i < count; i++) {
            double room = owners[i].wanted - level;
            if (room <= 1e-9)
                continue;
            least = open == 0 || room < least ? room : least;
            open++;
        }
        if (open == 0)
            break;
        double step = left / (double)open < least ? left / (double)open : least;
        level += step;
        left -= step * (double)open;
    }
    return level;
}

static void check_provider(struct world *world, const struct provider *provider)
{
    struct owner owners[OWNERS_MAX];
    size_t count = 0;
    double served = 0, wanted = 0;
    double lasts_s = (double)(provider->token_life_s - LEAD_S);
    for (size_t i = 0; i < provider->count; i++) {
        const struct conn *conn = &world->conns[provider->first + i];
        struct owner *owner = owner_of(owners, &count, conn);
        if (!owner)
            return;
        owner->wanted += (double)(world->ends_ms - world->started_ms) / 1000 / lasts_s;
        owner->served += conn->served;
    }
    for (size_t i = 0; i < count; i++) {
        served += owners[i].served;
        wanted += owners[i].wanted;
    }
    if (served > 0.8 * wanted)
        violation(world, NULL, "share", "the budget was not spent: nothing was tried");
    double level = level_of(owners, count, served);
    for (size_t i = 0; i < count; i++) {
        double fair = owners[i].wanted < level ? owners[i].wanted : level;
        double share = fair > 0 ? owners[i].served / fair : 1;
        char what[160];
        if (world->figures.least_share == 0 || share < world->figures.least_share)
            world->figures.least_share = share;
        if (share >= LEAST_SHARE)
            continue;
        snprintf(what, sizeof what,
                 "%.23s of %.23s got %.0f of %.0f that were due, %.0f would be fair",
                 owners[i].name, provider->name, owners[i].served, owners[i].wanted, fair);
        violation(world, NULL, "share", what);
    }
}

void share_check(struct world *world)
{
    for (size_t i = 0; i < world->options.providers && world->options.is_tight; i++)
        check_provider(world, &world->providers[i]);
}
