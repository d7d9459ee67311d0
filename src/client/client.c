#include <bursar/client.h>

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "base/secret.h"
#include "client/arena.h"
#include "client/call.h"
#include "client/grant.h"

enum { DEFAULT_CONNECT_TIMEOUT_MS = 2000, DEFAULT_MAX_SOCKETS = 32 };

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
    client->context = zmq_ctx_new();
    error = client->context
                ? pool_init(&client->pool, client->context, endpoint,
                            or_default(given->connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS),
                            or_default(given->max_sockets, DEFAULT_MAX_SOCKETS))
                : BURSAR_E_NOMEM;
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
    free(client);
}

/* ---- what jobs are made of ------------------------------------------------------------------ */

static void pack_target(struct call *call, const struct bursar_target *target)
{
    const struct {
        const char *key, *value;
    } pairs[] = {
        {"owner", target->owner},       {"connection", target->connection},
        {"provider", target->provider}, {"account", target->account},
        {"ref", target->ref},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].value)
            pack_string(&call->map, pairs[i].key, pairs[i].value);
    }
}

/* Runs the job and ends it; the answer's parts come into out_grant. */
static int run(struct call *call, struct bursar_grant *out_grant,
               struct bursar_failure *out_failure)
{
    struct reply reply;
    struct bursar_grant grant = {0};
    int error = call_run(call, &reply, out_failure);
    if (error == 0 && !grant_read(reply.root, &grant)) {
        bursar_grant_free(&grant);
        error = call_fail(out_failure, BURSAR_E_NOMEM, bursar_error_text(BURSAR_E_NOMEM));
    }
    if (error == 0)
        *out_grant = grant;
    reply_end(&reply);
    call_end(call);
    return error;
}

/* ---- the ops -------------------------------------------------------------------------------- */

int bursar_vend(struct bursar_client *client, const struct bursar_target *target,
                const struct bursar_vend_options *options, struct bursar_grant *out_grant,
                struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "vend", options ? options->deadline_ms : 0);
    call.is_repeatable = true;
    pack_target(&call, target);
    if (options && options->kind)
        pack_string(&call.map, "kind", options->kind);
    if (options && options->min_ttl_s > 0)
        pack_uint(&call.map, "min_ttl_s", options->min_ttl_s);
    if (options && options->include_refresh_token) {
        struct pack include = pack_array_in(&call.map, "include");
        pack_item_text(&include, TEXT_LITERAL("refresh_token"));
        pack_close(&include);
    }
    return run(&call, out_grant, out_failure);
}

int bursar_refresh(struct bursar_client *client, const struct bursar_target *target, bool is_forced,
                   struct bursar_grant *out_grant, struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "refresh", 0);
    pack_target(&call, target);
    if (is_forced)
        pack_bool(&call.map, "force", true);
    return run(&call, out_grant, out_failure);
}

int bursar_invalidate(struct bursar_client *client, const struct bursar_target *target,
                      const struct bursar_invalidate_options *options,
                      struct bursar_grant *out_grant, struct bursar_failure *out_failure)
{
    struct call call;
    char hash[65];
    call_begin(&call, client, "invalidate", options ? options->deadline_ms : 0);
    pack_target(&call, target);
    if (options && options->generation > 0)
        pack_uint(&call.map, "generation", options->generation);
    if (options && options->access_token) {
        secret_sha256_hex(text_of(options->access_token), hash);
        pack_string(&call.map, "access_token_sha256", hash);
    }
    if (options && options->vend)
        pack_bool(&call.map, "vend", true);
    return run(&call, out_grant, out_failure);
}

static void pack_parts(struct pack *map, const struct bursar_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pack_string(map, parts[i].name, parts[i].value);
}

static void pack_secret(struct pack *map, const struct bursar_put *put)
{
    struct pack secret = pack_map_in(map, "secret");
    pack_string(&secret, "kind", put->kind);
    pack_parts(&secret, put->parts, put->part_count);
    if (put->refresh_token_expires_at > 0)
        pack_int(&secret, "refresh_token_expires_at", put->refresh_token_expires_at);
    if (put->field_count > 0) {
        struct pack fields = pack_map_in(&secret, "fields");
        pack_parts(&fields, put->fields, put->field_count);
        pack_close(&fields);
    }
    pack_close(&secret);
}

int bursar_put(struct bursar_client *client, const struct bursar_target *target,
               const struct bursar_put *put, struct bursar_grant *out_grant,
               struct bursar_failure *out_failure)
{
    struct call call;
    call_begin(&call, client, "credential.put", 0);
    pack_target(&call, target);
    pack_secret(&call.map, put);
    if (put->expires_at > 0)
        pack_int(&call.map, "expires_at", put->expires_at);
    if (put->expect_generation > 0)
        pack_uint(&call.map, "expect_generation", put->expect_generation);
    if (put->scopes) {
        struct pack scopes = pack_array_in(&call.map, "scopes");
        for (const char *const *scope = put->scopes; *scope; scope++)
            pack_item_text(&scopes, text_of(*scope));
        pack_close(&scopes);
    }
    return run(&call, out_grant, out_failure);
}
