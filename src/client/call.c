#include "client/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"

enum {
    MAX_BODY_BYTES = 16 << 20, /* the daemon has its own, lower limit */
    GRACE_MS = 500, /* so that the daemon's own word on a passed deadline still arrives */
};

enum { CONNECTION_BROKE = 1 }; /* beside the errors: there was a daemon, and no reply */

/* ---- failures ------------------------------------------------------------------------------- */

/* As much of a text as fits, cut between characters; nothing where it is not printable. */
static void copy_text(struct text text, char *out, size_t size)
{
    size_t len = 0;
    if (!text.data || !text_is_printable(text))
        text.len = 0;
    while (len < text.len) {
        size_t n = text_utf8_len((struct text){text.data + len, text.len - len});
        if (len + n >= size)
            break;
        len += n;
    }
    if (len > 0)
        memcpy(out, text.data, len);
    out[len] = 0;
}

int call_fail(struct bursar_failure *out_failure, int error, const char *message)
{
    if (out_failure) {
        *out_failure = (struct bursar_failure){.error = error};
        out_failure->is_retryable = bursar_error_is_retryable(error) || error == BURSAR_E_NO_DAEMON;
        copy_text(text_of(message), out_failure->message, sizeof out_failure->message);
    }
    return error;
}

static int fail_plainly(struct bursar_failure *out_failure, int error)
{
    return call_fail(out_failure, error, bursar_error_text(error));
}

/* The `error` of a reply. */
static int fail_as_told(const struct node *told, struct bursar_failure *out_failure)
{
    char code[64];
    copy_text(node_text(node_get(told, "code")), code, sizeof code);
    int error = code[0] ? bursar_error_from_code(code) : BURSAR_E_BAD_REPLY;
    if (error == BURSAR_OK)
        error = BURSAR_E_BAD_REPLY;
    fail_plainly(out_failure, error);
    if (!out_failure)
        return error;
    uint64_t retry_after_ms = node_uint(node_get(told, "retry_after_ms"));
    const struct node *message = node_get(told, "message");
    if (node_type(message) == NODE_TEXT)
        copy_text(node_text(message), out_failure->message, sizeof out_failure->message);
    copy_text(node_text(node_get(told, "provider_error")), out_failure->provider_error,
              sizeof out_failure->provider_error);
    out_failure->is_retryable = node_bool(node_get(told, "retryable"));
    out_failure->retry_after_ms =
        retry_after_ms < UINT32_MAX ? (uint32_t)retry_after_ms : UINT32_MAX;
    return error;
}

/* ---- a call --------------------------------------------------------------------------------- */

void call_begin(struct call *call, struct bursar_client *client, const char *op,
                uint32_t deadline_ms)
{
    call->client = client;
    call->is_repeatable = false;
    call->body = buf_make_secret(MAX_BODY_BYTES);
    call->map = pack_map(&call->body);
    call->id = atomic_fetch_add(&client->last_id, 1) + 1;
    call->deadline_ms = deadline_ms > 0 ? deadline_ms : client->deadline_ms;
    pack_string(&call->map, "op", op);
    pack_uint(&call->map, "id", call->id);
    pack_uint(&call->map, "deadline_ms", call->deadline_ms);
}

void call_end(struct call *call)
{
    buf_free(&call->body);
}

void reply_end(struct reply *reply)
{
    if (reply->tree) {
        tree_free(reply->tree);
        link_message_end(&reply->message);
    }
    *reply = (struct reply){0};
}

/* A body on its way through libzmq. */
struct outgoing {
    atomic_size_t len; /* written last, read first: libzmq's thread takes the block over by it */
    char body[];
};

static void wipe_sent(void *data, void *hint)
{
    struct outgoing *outgoing = hint;
    secret_wipe(data, atomic_load_explicit(&outgoing->len, memory_order_acquire));
    free(outgoing);
}

/* The copy is wiped by libzmq's thread when it has gone out. */
static int send_body(struct link *link, struct text body)
{
    struct outgoing *outgoing = malloc(sizeof *outgoing + body.len);
    zmq_msg_t message;
    if (!outgoing)
        return BURSAR_E_NOMEM;
    memcpy(outgoing->body, body.data, body.len);
    atomic_store_explicit(&outgoing->len, body.len, memory_order_release);
    if (zmq_msg_init_data(&message, outgoing->body, body.len, wipe_sent, outgoing) != 0) {
        wipe_sent(outgoing->body, outgoing);
        return BURSAR_E_NOMEM;
    }
    if (zmq_msg_send(&message, link->socket, ZMQ_DONTWAIT) >= 0)
        return 0;
    int error = errno == EAGAIN ? BURSAR_E_NO_DAEMON : BURSAR_E_IO;
    zmq_msg_close(&message);
    return error;
}

/* The last frame is the body; out_message was initialised. */
static int receive(struct link *link, zmq_msg_t *out_message)
{
    enum { MAX_FRAMES = 100 };
    for (int i = 0; i < MAX_FRAMES; i++) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&message);
            return errno == EAGAIN ? BURSAR_E_BAD_REPLY : BURSAR_E_IO;
        }
        if (!zmq_msg_more(&message)) {
            zmq_msg_move(out_message, &message);
            zmq_msg_close(&message);
            return 0;
        }
        link_message_end(&message);
    }
    return BURSAR_E_BAD_REPLY;
}

/* The daemon cannot echo an id from a job that it cannot read. */
static bool is_answer(const struct call *call, const struct node *root)
{
    const struct node *id = node_get(root, "id");
    if (node_type(root) != NODE_MAP || node_type(node_get(root, "ok")) != NODE_BOOL)
        return false;
    if (node_type(id) == NODE_NIL)
        return !node_bool(node_get(root, "ok"));
    return node_type(id) == NODE_UINT && node_uint(id) == call->id;
}

/* A short message lies inside its zmq_msg_t and the tree points into it: neither may be copied. */
static int read_reply(const struct call *call, struct link *link, struct reply *out_reply)
{
    out_reply->tree = tree_new();
    if (!out_reply->tree)
        return BURSAR_E_NOMEM;
    zmq_msg_init(&out_reply->message);
    int error = receive(link, &out_reply->message);
    struct text body = {zmq_msg_data(&out_reply->message), zmq_msg_size(&out_reply->message)};
    if (error == 0)
        error = tree_fill(out_reply->tree, body);
    if (error == 0 && !is_answer(call, tree_root(out_reply->tree)))
        error = BURSAR_E_BAD_REPLY;
    if (error == 0) {
        out_reply->root = tree_root(out_reply->tree);
        return 0;
    }
    reply_end(out_reply);
    return error == BURSAR_E_BAD_REQUEST ? BURSAR_E_BAD_REPLY : error;
}

static int exchange_once(struct call *call, int64_t until_ms, struct reply *out_reply)
{
    struct link link;
    struct pool *pool = &call->client->pool;
    int error = pool_take(pool, until_ms, &link);
    if (error != 0)
        return error;
    error = send_body(&link, buf_text(&call->body));
    if (error == 0)
        error = link_wait(&link, until_ms);
    bool is_broken = error == BURSAR_E_NO_DAEMON;
    if (error == 0)
        error = read_reply(call, &link, out_reply);
    pool_give(pool, &link, error == 0);
    return is_broken ? CONNECTION_BROKE : error;
}

/* A daemon that starts again breaks connections that it will take anew a moment later. */
static int exchange(struct call *call, struct reply *out_reply)
{
    int64_t until_ms = clock_boot_ms() + call->deadline_ms + GRACE_MS;
    int error = exchange_once(call, until_ms, out_reply);
    if (error == CONNECTION_BROKE && call->is_repeatable)
        error = exchange_once(call, until_ms, out_reply);
    return error == CONNECTION_BROKE ? BURSAR_E_NO_DAEMON : error;
}

int call_run(struct call *call, struct reply *out_reply, struct bursar_failure *out_failure)
{
    *out_reply = (struct reply){0};
    pack_close(&call->map);
    int error = buf_error(&call->body);
    if (error == 0)
        error = exchange(call, out_reply);
    if (error != 0)
        return fail_plainly(out_failure, error);
    if (!node_bool(node_get(out_reply->root, "ok")))
        return fail_as_told(node_get(out_reply->root, "error"), out_failure);
    return BURSAR_OK;
}
