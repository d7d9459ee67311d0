#include "client/ask.h"

#include "base/secret.h"
#include "client/call.h"
#include "client/failure.h"
#include "wire/json.h"

void ask_target(struct pack *map, const struct bursar_target *target)
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
            pack_string(map, pairs[i].key, pairs[i].value);
    }
}

void ask_vend(struct pack *map, const struct bursar_target *target,
              const struct bursar_vend_options *options)
{
    ask_target(map, target);
    if (options && options->kind)
        pack_string(map, "kind", options->kind);
    if (options && options->min_ttl_s > 0)
        pack_uint(map, "min_ttl_s", options->min_ttl_s);
    if (options && options->include_refresh_token) {
        struct pack include = pack_array_in(map, "include");
        pack_item_text(&include, TEXT_LITERAL("refresh_token"));
        pack_close(&include);
    }
}

void ask_refresh(struct pack *map, const struct bursar_target *target, bool is_forced)
{
    ask_target(map, target);
    if (is_forced)
        pack_bool(map, "force", true);
}

void ask_invalidate(struct pack *map, const struct bursar_target *target,
                    const struct bursar_invalidate_options *options)
{
    char hash[65];
    ask_target(map, target);
    if (options && options->generation > 0)
        pack_uint(map, "generation", options->generation);
    if (options && options->access_token) {
        secret_sha256_hex(text_of(options->access_token), hash);
        pack_string(map, "access_token_sha256", hash);
    }
    if (options && options->vend)
        pack_bool(map, "vend", true);
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

void ask_put(struct pack *map, const struct bursar_target *target, const struct bursar_put *put)
{
    ask_target(map, target);
    pack_secret(map, put);
    if (put->expires_at > 0)
        pack_int(map, "expires_at", put->expires_at);
    if (put->expect_generation > 0)
        pack_uint(map, "expect_generation", put->expect_generation);
    if (put->scopes) {
        struct pack scopes = pack_array_in(map, "scopes");
        for (const char *const *scope = put->scopes; *scope; scope++)
            pack_item_text(&scopes, text_of(*scope));
        pack_close(&scopes);
    }
}

/* ---- a request of the caller's own ---------------------------------------------------------- */

static int read_json(struct ask_request *request, const char *json,
                     struct bursar_failure *out_failure)
{
    struct buf problem = buf_make(256);
    int error = json_to_pack(text_of(json ? json : "{}"), &request->body, &problem);
    if (error == 0)
        error = tree_fill(request->tree, buf_text(&request->body));
    if (error == 0 && node_type(tree_root(request->tree)) != NODE_MAP)
        error = BURSAR_E_BAD_REQUEST;
    if (error == BURSAR_E_TOO_BIG) {
        buf_append_string(&problem, "the request is larger than 16 MiB");
        error = BURSAR_E_BAD_REQUEST;
    }
    if (error != 0)
        failure_say(out_failure, error,
                    problem.len > 0 ? (const char *)problem.data : "a request is a JSON object");
    buf_free(&problem);
    return error;
}

int ask_request_read(struct ask_request *out_request, const char *json,
                     struct bursar_failure *out_failure)
{
    *out_request = (struct ask_request){.body = buf_make_secret(CALL_MAX_BODY_BYTES)};
    out_request->tree = tree_new();
    if (!out_request->tree)
        return failure_plain(out_failure, BURSAR_E_NOMEM);
    int error = read_json(out_request, json, out_failure);
    if (error != 0)
        return error;
    uint64_t deadline_ms = node_uint(node_get(tree_root(out_request->tree), "deadline_ms"));
    out_request->deadline_ms = deadline_ms < UINT32_MAX ? (uint32_t)deadline_ms : UINT32_MAX;
    return 0;
}

/* The library sets these itself. */
static bool is_own_key(const struct node *key)
{
    struct text name = node_text(key);
    return text_is(name, "op") || text_is(name, "id") || text_is(name, "deadline_ms");
}

void ask_request_pack(const struct ask_request *request, struct pack *map)
{
    const struct node *root = tree_root(request->tree);
    for (size_t i = 0; i < node_count(root); i++) {
        const struct node *key = NULL;
        const struct node *value = NULL;
        node_pair(root, i, &key, &value);
        if (is_own_key(key))
            continue;
        node_pack(key, map->out);
        node_pack(value, map->out);
        map->count++;
    }
}

void ask_request_end(struct ask_request *request)
{
    tree_free(request->tree);
    buf_free(&request->body);
    *request = (struct ask_request){0};
}
