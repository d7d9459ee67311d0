#include <bursar/client.h>

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "client/arena.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/grant.h"

enum {
    DEFAULT_CONNECT_TIMEOUT_MS = 2000,
    DEFAULT_MAX_SOCKETS = 32,
    DEFAULT_MAX_JOBS = 16384,
};

static bool is_endpoint(const char *endpoint)
{
    return strstr(endpoint, "://") != NULL && strlen(endpoint) < 1024;
}

/* A number that was given, or its default. */
static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given > 0 ? given : otherwise;
}

int bursar_client_open(const struct bursar_client_options *options,
                       struct bursar_client **out_client)
{
    static const struct bursar_client_options none = {0};
    const struct bursar_client_options *given = options ? options : &none;
    const char *endpoint = given->jobs_endpoint ? given->jobs_endpoint : BURSAR_JOBS_ENDPOINT;
    if (!is_endpoint(endpoint))
        return BURSAR_E_BAD_REQUEST;
    int error = arena_start();
    if (error != 0)
        return error;
    struct bursar_client *client = calloc(1, sizeof *client);
    if (!client)
        return BURSAR_E_NOMEM;
    client->deadline_ms = or_default(given->deadline_ms, BURSAR_DEFAULT_DEADLINE_MS);
    client->max_jobs = or_default(given->max_jobs, DEFAULT_MAX_JOBS);
    client->context = zmq_ctx_new();
    client->purpose = given->purpose ? strdup(given->purpose) : NULL;
    error = client->context && (client->purpose || !given->purpose)
                ? curve_open(given, &client->curve)
                : BURSAR_E_NOMEM;
    if (error == 0 && curve_is_for(endpoint) && !client->curve)
        error = BURSAR_E_BAD_REQUEST;
    if (error == 0)
        error = pool_init(&client->pool, client->context, endpoint, client->curve,
                          or_default(given->connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS),
                          or_default(given->max_sockets, DEFAULT_MAX_SOCKETS));
    if (error != 0) {
        bursar_client_close(client);
        return error;
    }
    *out_client = client;
    return BURSAR_OK;
}

void bursar_client_close(struct bursar_client *client)
{
    if (!client)
        return;
    pool_fini(&client->pool);
    if (client->context)
        zmq_ctx_term(client->context);
    free(client->purpose);
    curve_close(client->curve);
    free(client);
}

/* ---- the ops -------------------------------------------------------------------------------- */

/* Runs the job and ends it; the answer's parts come into out_grant. */
static int run(struct call *call, struct bursar_grant *out_grant,
               struct bursar_failure *out_failure)
{
    struct reply reply;
    struct bursar_grant grant = {0};
    int error = call_run(call, &reply, out_failure);
    if (error == 0 && !grant_read(reply.root, &grant)) {
        bursar_grant_free(&grant);
        error = failure_plain(out_failure, BURSAR_E_NOMEM);
    }
    if (error == 0)
        *out_grant = grant;
    reply_end(&reply);
    call_end(call);
    return error;
}

int bursar_vend(struct bursar_client *client, const struct bursar_target *target,
                const struct bursar_vend_options *options, struct bursar_grant *out_grant,
                struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "vend", options ? options->deadline_ms : 0);
    call.is_repeatable = true;
    ask_vend(&call.map, target, options);
    return run(&call, out_grant, out_failure);
}

int bursar_refresh(struct bursar_client *client, const struct bursar_target *target, bool is_forced,
                   struct bursar_grant *out_grant, struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "refresh", 0);
    ask_refresh(&call.map, target, is_forced);
    return run(&call, out_grant, out_failure);
}

int bursar_invalidate(struct bursar_client *client, const struct bursar_target *target,
                      const struct bursar_invalidate_options *options,
                      struct bursar_grant *out_grant, struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "invalidate", options ? options->deadline_ms : 0);
    ask_invalidate(&call.map, target, options);
    return run(&call, out_grant, out_failure);
}

int bursar_put(struct bursar_client *client, const struct bursar_target *target,
               const struct bursar_put *put, struct bursar_grant *out_grant,
               struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "credential.put", 0);
    ask_put(&call.map, target, put);
    return run(&call, out_grant, out_failure);
}
