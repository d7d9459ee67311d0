#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <bursar/client.h>
#include <bursar/error.h>

#include "base/text.h"
#include "bench/load.h"
#include "cmd/cmd_keys.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"

enum {
    JOBS = 10000,
    BYTES = 1200,
    CONNECTIONS_MAX = 99999999, /* their numbers have eight digits */
    DEADLINE_MAX_MS = 600000,
    RATE_MAX = 1000000,
    LIVES_S = 30 * 86400,
    LIVES_MAX_S = 1 << 30,
};

static const struct {
    const char *name;
    enum job_op op;
} ops[] = {{"vend", OP_VEND}, {"refresh", OP_REFRESH}, {"put", OP_PUT}};

static bool read_op(const struct cmd_args *args, struct load_plan *plan)
{
    const char *given = cmd_option(args, "op");
    plan->op = given ? OP_NONE : OP_VEND;
    for (size_t i = 0; given && i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(given, ops[i].name) == 0)
            plan->op = ops[i].op;
    }
    if (plan->op == OP_NONE)
        cmd_usage(args->cmd, "--op is one of vend, refresh, put");
    return plan->op != OP_NONE;
}

/* A number of the command line that may be absent, but not nought. */
static bool read_number(const struct cmd_args *args, const char *option, json_int_t max,
                        json_int_t usual, json_int_t *out)
{
    *out = usual;
    if (!cmd_option(args, option))
        return true;
    if (!cmd_number(args, option, max, out))
        return false;
    if (*out == 0)
        cmd_usage(args->cmd, "--%s must be at least 1", option);
    return *out > 0;
}

static bool read_plan(const struct cmd_args *args, struct load_plan *plan)
{
    json_int_t jobs, connections, clients, outstanding, bytes, rate, lives_s, deadline_ms;
    if (!read_op(args, plan) || !read_number(args, "jobs", LOAD_JOBS_MAX, JOBS, &jobs) ||
        !read_number(args, "connections", CONNECTIONS_MAX, 0, &connections) ||
        !read_number(args, "clients", LOAD_CLIENTS_MAX, 1, &clients) ||
        !read_number(args, "outstanding", LOAD_OUTSTANDING_MAX, clients, &outstanding) ||
        !read_number(args, "bytes", LOAD_BYTES_MAX, BYTES, &bytes) ||
        !read_number(args, "lives", LIVES_MAX_S, LIVES_S, &lives_s) ||
        !read_number(args, "rate", RATE_MAX, 0, &rate) ||
        !read_number(args, "deadline", DEADLINE_MAX_MS, BURSAR_DEFAULT_DEADLINE_MS, &deadline_ms))
        return false;
    if (outstanding < clients) {
        cmd_usage(args->cmd, "--outstanding is for all clients together: one for each at least");
        return false;
    }
    plan->endpoint = args->endpoint ? args->endpoint : BURSAR_JOBS_ENDPOINT;
    plan->server_key = cmd_keys_server(args->keys);
    plan->secret_key = cmd_keys_secret(args->keys);
    plan->owner = args->words[0];
    plan->provider = args->words[1];
    plan->account = args->word_count > 2 ? args->words[2] : BURSAR_DEFAULT_ACCOUNT;
    plan->connections = (uint64_t)connections;
    plan->is_random = plan->op == OP_VEND && connections > 0 && !cmd_option(args, "in-turn");
    plan->secret_bytes = (size_t)bytes;
    plan->has_refresh_token = cmd_option(args, "refresh-token") != NULL;
    plan->clients = (size_t)clients;
    plan->outstanding = (size_t)outstanding;
    plan->jobs = (uint64_t)jobs;
    plan->lives_s = (uint32_t)lives_s;
    plan->rate_per_s = (uint64_t)rate;
    plan->deadline_ms = (uint32_t)deadline_ms;
    return true;
}

/* ---- what came of it ----------------------------------------------------------------------------- */

static void print_text(const struct load_result *result)
{
    double done = (double)result->answered;
    printf("%llu jobs in %.3f s: %.0f a second, %zu bytes each\n",
           (unsigned long long)result->answered, result->seconds, done / result->seconds,
           result->reply_bytes);
    printf("answered within %.0f us by half, %.0f by 99 %%, %.0f by 99.9 %%, %.0f at most\n",
           result->p50_us, result->p99_us, result->p999_us, result->max_us);
    printf("this client: %.2f us of CPU a job\n", result->cpu_s / done * 1e6);
    if (result->refused > 0)
        printf("refused: %llu, the first with %s\n", (unsigned long long)result->refused,
               result->first_refusal);
}

static void print_json(const struct load_result *result)
{
    json_t *root = json_pack(
        "{s:I,s:I,s:s,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "answered",
        (json_int_t)result->answered, "refused", (json_int_t)result->refused, "first_refusal",
        result->first_refusal, "reply_bytes", (json_int_t)result->reply_bytes, "seconds",
        result->seconds, "per_s", (double)result->answered / result->seconds, "answers_s",
        result->answers_s, "ended_at", result->ended_at_s, "client_cpu_us",
        result->cpu_s / (double)result->answered * 1e6, "p50_us", result->p50_us, "p99_us",
        result->p99_us, "p999_us", result->p999_us, "max_us", result->max_us);
    if (root)
        json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(root);
}

static int fail(const struct cmd_args *args, int result, const struct buf *error)
{
    struct bursar_failure failure = {0};
    char text[sizeof failure.message];
    snprintf(text, sizeof text, "%.*s", (int)error->len,
             error->len > 0 ? (const char *)error->data : "");
    bursar_fail(&failure, result, text[0] != 0 ? text : bursar_error_text(result));
    return cmd_fail(args, &failure);
}

static int run(const struct cmd_args *args)
{
    struct load_plan plan = {0};
    struct load_result result = {0};
    struct buf error = buf_make(1024);
    if (!read_plan(args, &plan))
        return CMD_USAGE;
    int ended = load_run(&plan, &result, &error);
    int status = ended == 0 && result.refused == 0 ? CMD_DONE : CMD_REFUSED;
    if (ended < 0)
        status = fail(args, ended, &error);
    else if (args->is_json)
        print_json(&result);
    else
        print_text(&result);
    buf_free(&error);
    return status;
}

static const struct cmd_option options[] = {
    {"op", "OP", "vend (usual), refresh (forced) or put (a token that is made up)"},
    {"jobs", "N", "so many in all; 10000"},
    {"connections", "N", "of the accounts ACCOUNT-00000000 up, not of ACCOUNT alone"},
    {"in-turn", NULL, "each of them once before any comes again, not by chance"},
    {"clients", "N", "sockets; 1"},
    {"outstanding", "N", "jobs under way, of all clients; one for each"},
    {"rate", "N", "jobs sent a second, not each when there is an answer; late ones have waited"},
    {"bytes", "N", "put: length of the token; 1200"},
    {"refresh-token", NULL, "put: kind oauth2, with a refresh token"},
    {"lives", "S", "with it: seconds until the token expires; 30 days"},
    {"deadline", "MS", "of each job"},
    {NULL, NULL, NULL},
};

const struct cmd cmd_bench = {
    "bench", "OWNER PROVIDER [ACCOUNT]", "measure how fast the daemon answers", options, 2, 3, run,
};
