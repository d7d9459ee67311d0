#include <bursar/client.h>

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "client/call.h"
#include "wire/json.h"

enum { MAX_REQUEST_BYTES = 16 << 20, MAX_REPLY_JSON_BYTES = 64 << 20 };

/* The library sets these itself. */
static bool is_own_key(const struct node *key)
{
    struct text name = node_text(key);
    return text_is(name, "op") || text_is(name, "id") || text_is(name, "deadline_ms");
}

static void pack_members(struct call *call, const struct node *request)
{
    for (size_t i = 0; i < node_count(request); i++) {
        const struct node *key = NULL;
        const struct node *value = NULL;
        node_pair(request, i, &key, &value);
        if (is_own_key(key))
            continue;
        node_pack(key, &call->body);
        node_pack(value, &call->body);
        call->map.count++;
    }
}

/* The whole reply as text; NULL without memory. */
static char *to_json(const struct node *root)
{
    struct buf json = buf_make_secret(MAX_REPLY_JSON_BYTES);
    json_from_node(root, &json);
    char *copy = buf_error(&json) == 0 ? text_copy(buf_text(&json)) : NULL;
    buf_free(&json);
    return copy;
}

static int run(struct bursar_client *client, const char *op, const struct node *request,
               char **out_reply_json, struct bursar_failure *out_failure)
{
    struct call call;
    struct reply reply;
    uint64_t deadline_ms = node_uint(node_get(request, "deadline_ms"));
    call_begin(&call, client, op, deadline_ms < UINT32_MAX ? (uint32_t)deadline_ms : UINT32_MAX);
    pack_members(&call, request);
    int error = call_run(&call, &reply, out_failure);
    *out_reply_json = reply.root ? to_json(reply.root) : NULL;
    if (reply.root && !*out_reply_json)
        error = call_fail(out_failure, BURSAR_E_NOMEM, bursar_error_text(BURSAR_E_NOMEM));
    reply_end(&reply);
    call_end(&call);
    return error;
}

/* Reads the request's JSON; body is what the tree then points into. */
static int read_request(const char *request_json, struct buf *body, struct tree *tree,
                        struct bursar_failure *out_failure)
{
    struct buf problem = buf_make(256);
    int error = json_to_pack(text_of(request_json ? request_json : "{}"), body, &problem);
    if (error == 0)
        error = tree_fill(tree, buf_text(body));
    if (error == 0 && node_type(tree_root(tree)) != NODE_MAP)
        error = BURSAR_E_BAD_REQUEST;
    if (error != 0)
        call_fail(out_failure, error,
                  problem.len > 0 ? (const char *)problem.data : "a request is a JSON object");
    buf_free(&problem);
    return error;
}

int bursar_call(struct bursar_client *client, const char *op, const char *request_json,
                char **out_reply_json, struct bursar_failure *out_failure)
{
    struct buf body = buf_make_secret(MAX_REQUEST_BYTES);
    struct tree *tree = tree_new();
    *out_reply_json = NULL;
    int error = tree ? read_request(request_json, &body, tree, out_failure)
                     : call_fail(out_failure, BURSAR_E_NOMEM, bursar_error_text(BURSAR_E_NOMEM));
    if (error == 0)
        error = run(client, op, tree_root(tree), out_reply_json, out_failure);
    tree_free(tree);
    buf_free(&body);
    return error;
}
