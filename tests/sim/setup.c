/* The world of a seed: its providers, their behaviour, and the configuration that the broker reads. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "broker/memory.h"
#include "config/config.h"

enum { CONFIG_MAX = 1 << 20, YEAR_2027 = 1798761600 };

/* ---- providers ------------------------------------------------------------------------------------- */

/* Lives of access tokens in the large world in days, of one provider after the other: what
 * doc/simulation.md says of it. */
static const int64_t lives[] = {5, 7, 7, 14, 14, 30, 30, 30, 60, 60};

static void draw_rotation(struct provider *provider, struct chance *chance)
{
    static const enum rotation_rule rules[] = {ROTATION_NONE, ROTATION_REUSE_GRACE, ROTATION_STRICT,
                                               ROTATION_STRICT, ROTATION_UNKNOWN};
    provider->declared = rules[chance_below(chance, sizeof rules / sizeof rules[0])];
    provider->rotates = provider->declared != ROTATION_NONE &&
                        (provider->declared != ROTATION_UNKNOWN || chance_is(chance, 0.5));
    provider->has_family_revocation = chance_is(chance, 0.6);
    if (provider->declared == ROTATION_REUSE_GRACE) {
        provider->declared_grace_s = chance_between(chance, 10, 600);
        provider->true_grace_s = provider->declared_grace_s + chance_between(chance, 0, 30);
    }
}

static void draw_errors(struct provider *provider, struct chance *chance, double faults)
{
    double much = chance_is(chance, 0.3) ? 4 * faults : faults;
    provider->unsent = 0.02 * much;
    provider->lost_before = 0.01 * much;
    provider->lost_after = 0.01 * much;
    provider->hang = 0.005 * much;
    provider->server_error = 0.03 * much;
    provider->html = 0.005 * much;
    provider->truncated = 0.002 * much;
    provider->odd_client_error = 0.001 * much;
    provider->gives_retry_after = chance_is(chance, 0.5);
}

static void draw_provider(struct world *world, size_t i)
{
    struct provider *provider = &world->providers[i];
    struct chance *chance = &world->chance;
    bool is_large = world->options.is_large;
    size_t each = world->options.connections / world->options.providers;
    snprintf(provider->name, sizeof provider->name, "p%zu", i);
    provider->world = world;
    provider->first = i * each;
    provider->count =
        i + 1 == world->options.providers ? world->options.connections - provider->first : each;
    draw_rotation(provider, chance);
    draw_errors(provider, chance, is_large ? world->options.faults / 4 : world->options.faults);
    provider->latency_ms = chance_between(chance, 20, 1500);
    provider->guard_refusals = is_large ? 20 : (unsigned)chance_between(chance, 4, 12);
    provider->token_life_s = 60 * (int64_t)chance_between(chance, 5, 480);
    if (chance_is(chance, 0.3))
        provider->refresh_life_s = provider->token_life_s * 20;
    if (chance_is(chance, 0.4)) {
        provider->rate_window_s = chance_between(chance, 1, 120);
        provider->rate_limit =
            1 + (int64_t)((double)provider->rate_window_s * (0.2 + 5 * chance_unit(chance)));
        provider->declares_rate = chance_is(chance, 0.7);
    }
}

static void draw_lives(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        world->providers[i].token_life_s = lives[i % (sizeof lives / sizeof lives[0])] * 86400;
        world->providers[i].refresh_life_s = 0;
        world->providers[i].rate_limit *= 10;
    }
}

/* Six tenths of what falls due fits under the ceiling. */
static void draw_tight(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++) {
        struct provider *provider = &world->providers[i];
        provider->token_life_s = 3600;
        provider->refresh_life_s = 0;
        provider->rate_window_s = 3600;
        provider->rate_limit = (int64_t)(0.6 * (double)provider->count * 3600 / 3300 / 0.9);
        provider->declares_rate = true;
    }
}

static void draw_all(struct world *world)
{
    world->providers = memory_new(world->options.providers * sizeof *world->providers);
    world->conns = memory_new(world->options.connections * sizeof *world->conns);
    for (size_t i = 0; i < world->options.providers; i++)
        draw_provider(world, i);
    if (world->options.is_large)
        draw_lives(world);
    if (world->options.is_tight)
        draw_tight(world);
    for (size_t i = 0; i < world->options.providers; i++) {
        struct provider *provider = &world->providers[i];
        provider->rate_left = (double)provider->rate_limit;
        provider->sent_ms =
            memory_new((size_t)(provider->rate_limit + 1) * sizeof *provider->sent_ms);
        provider->rate_at_ms = provider->healthy_since_ms = world->now_ms;
        for (size_t j = 0; j < provider->count; j++) {
            struct conn *conn = &world->conns[provider->first + j];
            conn->index = (uint32_t)(provider->first + j);
            conn->provider = provider;
            conn->due_at = INT64_MAX;
        }
    }
}

/* ---- the configuration ------------------------------------------------------------------------------ */

static void write_provider(const struct provider *provider, struct buf *out)
{
    static const char *const words[] = {[ROTATION_NONE] = "none",
                                        [ROTATION_REUSE_GRACE] = "reuse_grace",
                                        [ROTATION_STRICT] = "strict",
                                        [ROTATION_UNKNOWN] = "unknown"};
    buf_printf(out,
               "  %s:\n    kind: oauth2_refresh\n    token_url: https://%s.example/token\n"
               "    revoke_url: https://%s.example/revoke\n    client_id: bursar\n"
               "    client_secret: sesame\n    rotation: %s\n    fleet_guard: {refusals: %u}\n",
               provider->name, provider->name, provider->name, words[provider->declared],
               provider->guard_refusals);
    if (provider->declared == ROTATION_REUSE_GRACE)
        buf_printf(out, "    reuse_grace_s: %lld\n", (long long)provider->declared_grace_s);
    if (provider->declares_rate)
        buf_printf(out, "    token_rate: {limit: %lld, window_s: %lld}\n",
                   (long long)provider->rate_limit, (long long)provider->rate_window_s);
}

static int write_config(const struct world *world, const char *path)
{
    struct buf text = buf_make(CONFIG_MAX);
    buf_printf(
        &text,
        "store: %s\nkeyring: file:%s/keyring\nevents: {keep_days: %d}\nconnectors: {catalog: [],"
        " modules: []}\nproviders:\n",
        world->store_uri, world->folder, world->options.is_large ? 2 : 30);
    for (size_t i = 0; i < world->options.providers; i++)
        write_provider(&world->providers[i], &text);
    FILE *file = fopen(path, "w");
    int result = file ? 0 : BURSAR_E_IO;
    if (file && fwrite(text.data, 1, text.len, file) != text.len)
        result = BURSAR_E_IO;
    if (file && (fclose(file) != 0 || chmod(path, 0600) < 0))
        result = BURSAR_E_IO;
    buf_free(&text);
    return result;
}

static int read_config(struct world *world, struct buf *error)
{
    char path[160];
    snprintf(path, sizeof path, "%s/keyring", world->folder);
    int result = keyring_create_file(path);
    if (result == 0)
        result = keyring_load_file(path, &world->keyring, error);
    snprintf(path, sizeof path, "%s/bursar.yaml", world->folder);
    if (result == 0)
        result = write_config(world, path);
    world->registry = registry_new();
    if (result == 0)
        result = config_load(path, registry_kinds(world->registry), &world->config, error);
    registry_freeze(world->registry);
    if (result == 0)
        result = connectors_make(world->config, world->registry, &world->connectors);
    return result;
}

/* In memory where the system has a place for that: nothing here tests a disk. */
static int make_folder(struct world *world)
{
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(world->folder, sizeof world->folder, "%s/bursar-sim-XXXXXX", place ? place : "/tmp");
    if (!mkdtemp(world->folder))
        return BURSAR_E_IO;
    snprintf(world->store_uri, sizeof world->store_uri, "sqlite:%s/store", world->folder);
    return 0;
}

int world_open(struct world *world, const struct options *options)
{
    struct buf error = buf_make(CONFIG_MAX);
    *world = (struct world){.options = *options, .digest = UINT64_C(0xcbf29ce484222325)};
    chance_seed(&world->chance, options->seed);
    world->now_ms = world->started_ms = INT64_C(1000000000);
    world->wall_offset_ms = world->wall_right_ms = (int64_t)YEAR_2027 * 1000 - world->now_ms;
    world->ends_ms = world->now_ms + options->days * DAY_MS;
    world->tree = tree_new();
    world_set_current(world);
    draw_all(world);
    int result = make_folder(world);
    if (result == 0)
        result = read_config(world, &error);
    if (result < 0)
        fprintf(stderr, "the world cannot be made: %s %.*s\n", bursar_error_code(result),
                (int)error.len, (const char *)error.data);
    buf_free(&error);
    if (result < 0)
        return result;
    world->broker.config = world->config;
    world->broker.connectors = &world->connectors;
    world->broker.keyring = world->keyring;
    snprintf(world->broker.node, sizeof world->broker.node, "simulated");
    store_prepare(world);
    process_make(world);
    return 0;
}

static void remove_folder(const struct world *world)
{
    static const char *const names[] = {"store",      "store-wal", "store-shm",
                                        "store.lock", "keyring",   "bursar.yaml"};
    char path[160];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
        unlink(path);
    }
    rmdir(world->folder);
}

void world_close(struct world *world)
{
    process_close(world);
    store_free(world);
    operator_free(world);
    HASH_CLEAR(hh, world->by_id);
    connectors_free(&world->connectors);
    config_free(world->config);
    registry_free(world->registry);
    keyring_free(world->keyring);
    tree_free(world->tree);
    heap_free(&world->events);
    for (size_t i = 0; i < world->options.providers && world->providers; i++)
        free(world->providers[i].sent_ms);
    free(world->providers);
    free(world->conns);
    if (world->folder[0] != 0)
        remove_folder(world);
    world_set_current(NULL);
}
