/* sim [OPTIONS] SEED…: runs the world of each seed and says what happened. scripts/sim builds and runs it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <sodium.h>
#include <sqlite3.h>

#include "base/secret.h"
#include "world.h"

enum { CALM_MS = 4 * 3600 * 1000 };

/* ---- randomness of the broker itself ------------------------------------------------------------------ */

/* libsodium asks here: nonces, ids and jitter come from the seed too. */
static struct chance entropy;

static const char *entropy_name(void)
{
    return "simulated";
}

static uint32_t entropy_word(void)
{
    return (uint32_t)chance_next(&entropy);
}

static void entropy_fill(void *to, const size_t len)
{
    uint8_t *bytes = to;
    for (size_t i = 0; i < len;) {
        uint64_t word = chance_next(&entropy);
        size_t part = len - i < sizeof word ? len - i : sizeof word;
        memcpy(bytes + i, &word, part);
        i += part;
    }
}

static randombytes_implementation simulated = {
    .implementation_name = entropy_name, .random = entropy_word, .buf = entropy_fill};

/* ---- a run ---------------------------------------------------------------------------------------------- */

static void report(const struct world *world, double took_s)
{
    const struct figures *f = &world->figures;
    printf("seed %" PRIu64 ": %" PRIu64 " refreshes, %" PRIu64 " failed attempts, %" PRIu64
           " requests (%" PRIu64 " lost, %" PRIu64 " unsent, %" PRIu64 " throttled, %" PRIu64
           " resent in a grace, %" PRIu64 " probes)\n",
           world->options.seed, f->refreshes, f->failures, f->requests, f->lost_replies, f->unsent,
           f->throttled, f->resent_in_grace, f->probes);
    printf("  %" PRIu64 " puts, %" PRIu64 " vends, %" PRIu64 " answers (%" PRIu64
           " refusals), %" PRIu64 " grants refused, %" PRIu64 " in doubt, %" PRIu64 " incidents\n",
           f->puts, f->vends, f->answers, f->refusals_of_callers, f->grants_refused, f->in_doubt,
           f->incidents);
    printf("  %" PRIu64 " crashes, %" PRIu64 " restarts, %" PRIu64
           " jumps of the wall clock, %" PRIu64 " suspends, %" PRIu64 " bad disks, %" PRIu64
           " bad days of providers, %" PRIu64 " sweeps over %" PRIu64 " connections (%" PRIu64
           " cancelled), %" PRIu64 " pauses\n",
           f->crashes, f->restarts, f->wall_jumps, f->suspends, f->store_faults, f->outages,
           f->sweeps, f->swept, f->cancelled_sweeps, f->pauses);
    printf("  %" PRIu64 " commits of %" PRIu64 " changes, %" PRIu64 " events, %" PRIu64
           " turns; %.1f days in %.1f s; digest %016" PRIx64 "; violations: %" PRIu64 "\n",
           f->commits, f->changes, f->events, f->turns,
           (double)(world->now_ms - world->started_ms) / (double)DAY_MS, took_s, world->digest,
           f->violations);
    if (world->options.is_tight)
        printf("  the owner that had the smallest part of a fair share had %.2f of it\n",
               f->least_share);
    fflush(stdout);
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Days with troubles, hours without, an end in order: then everything that was begun has ended. */
static uint64_t run(const struct options *options)
{
    struct world world;
    double began_s = cpu_s();
    chance_seed(&entropy, ~options->seed);
    if (world_open(&world, options) < 0) {
        world_close(&world);
        return 1;
    }
    process_start(&world);
    people_begin(&world);
    operator_begin(&world);
    pause_begin(&world);
    trouble_begin(&world);
    sweep_begin(&world);
    world_run(&world, world.ends_ms);
    share_check(&world);
    trouble_end(&world);
    pause_end(&world);
    world_run(&world, world.ends_ms + CALM_MS);
    if (options->stops && world.figures.violations > 0)
        world.is_calm = true;
    else if (world.is_up)
        sweep_all(&world, true);
    else
        violation(&world, NULL, "end", "the process is down");
    world.is_last = true;
    process_drain(&world);
    world_run(&world, world.ends_ms + CALM_MS + MINUTE_MS);
    report(&world, cpu_s() - began_s);
    uint64_t violations = world.figures.violations;
    world_close(&world);
    return violations;
}

/* ---- the command ------------------------------------------------------------------------------------------ */

static int usage(void)
{
    fprintf(stderr,
            "sim [--large | --tight] [--connections N] [--providers N] [--days N] [--faults X]"
            " [--verbose] [--stop] SEED…\n");
    return 2;
}

/* An option with its value; false for what is none. */
static bool set_option(struct options *options, const char *name, const char *value)
{
    char *end;
    if (!value)
        return false;
    double number = strtod(value, &end);
    if (*end != 0 || number < 0)
        return false;
    if (strcmp(name, "--connections") == 0)
        options->connections = (size_t)number;
    else if (strcmp(name, "--providers") == 0)
        options->providers = (size_t)number;
    else if (strcmp(name, "--days") == 0)
        options->days = (int64_t)number;
    else if (strcmp(name, "--faults") == 0)
        options->faults = number;
    else
        return false;
    return options->connections >= options->providers && options->providers > 0;
}

/* SQLite asks the kernel for locks against other processes, two calls for each read. A world is one process:
 * among its own connections SQLite itself keeps order. */
static int fcntl_without_locks(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    struct flock *lock = va_arg(list, struct flock *);
    va_end(list);
    if (command == F_SETLK)
        return 0;
    if (command != F_GETLK)
        return fcntl(fd, command, lock); /* what else it asks has a number in this place */
    lock->l_type = F_UNLCK;
    return 0;
}

static void lock_nobody_out(void)
{
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD); /* it is one thread, too */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (vfs && vfs->iVersion >= 3)
        vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)fcntl_without_locks);
}

int main(int argc, char **argv)
{
    struct options options = {.connections = 200, .providers = 8, .days = 2, .faults = 1};
    uint64_t violations = 0, seeds = 0;
    randombytes_set_implementation(&simulated);
    json_set_alloc_funcs(malloc, secret_wiping_free);
    if (secret_arena_open(SECRET_ARENA_BYTES) < 0)
        return 1;
    lock_nobody_out();
    for (int i = 1; i < argc; i++) {
        char *end;
        options.seed = strtoull(argv[i], &end, 10);
        if (strcmp(argv[i], "--large") == 0) {
            options = (struct options){.connections = 100000,
                                       .providers = 10,
                                       .days = 30,
                                       .faults = 0.02,
                                       .is_large = true};
        } else if (strcmp(argv[i], "--tight") == 0) {
            options =
                (struct options){.connections = 80, .providers = 2, .days = 1, .is_tight = true};
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options.is_verbose = true;
        } else if (strcmp(argv[i], "--stop") == 0) {
            options.stops = true;
        } else if (end != argv[i] && *end == 0) {
            violations += run(&options);
            seeds++;
            if (options.stops && violations > 0)
                break;
        } else if (!set_option(&options, argv[i], argv[i + 1])) {
            return usage();
        } else {
            i++;
        }
    }
    secret_arena_close();
    return seeds == 0 ? usage() : violations > 0;
}
