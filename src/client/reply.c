#include "client/reply.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "client/failure.h"
#include "wire/json.h"

enum { MAX_REPLY_JSON_BYTES = 64 << 20 };

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
int reply_ask(struct link *link, struct text body)
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
            int error =
                errno == EAGAIN || errno == EINTR ? BURSAR_E_DEADLINE_EXCEEDED : BURSAR_E_IO;
            zmq_msg_close(&message);
            return error;
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
static bool is_reply(const struct node *root)
{
    const struct node *id = node_get(root, "id");
    if (node_type(root) != NODE_MAP || node_type(node_get(root, "ok")) != NODE_BOOL)
        return false;
    return node_type(id) == NODE_NIL ? !node_bool(node_get(root, "ok")) : node_uint(id) > 0;
}

/* A short message lies inside its zmq_msg_t and the tree points into it: neither may be copied. */
static int fill(struct reply *reply, struct link *link)
{
    zmq_msg_init(&reply->message);
    reply->has_message = true;
    int error = receive(link, &reply->message);
    if (error != 0)
        return error;
    struct text body = {zmq_msg_data(&reply->message), zmq_msg_size(&reply->message)};
    error = tree_fill(reply->tree, body);
    if (error == 0 && !is_reply(tree_root(reply->tree)))
        error = BURSAR_E_BAD_REPLY;
    return error == BURSAR_E_BAD_REQUEST ? BURSAR_E_BAD_REPLY : error;
}

int reply_take(struct reply *reply, struct link *link)
{
    reply_clear(reply);
    if (!reply->tree)
        reply->tree = tree_new();
    if (!reply->tree)
        return BURSAR_E_NOMEM;
    int error = fill(reply, link);
    if (error == 0)
        reply->root = tree_root(reply->tree);
    else
        reply_clear(reply);
    return error;
}

uint64_t reply_id(const struct reply *reply)
{
    return node_uint(node_get(reply->root, "id"));
}

int reply_error(const struct reply *reply, struct bursar_failure *out_failure)
{
    if (node_bool(node_get(reply->root, "ok")))
        return BURSAR_OK;
    return failure_told(out_failure, node_get(reply->root, "error"));
}

char *reply_json(const struct reply *reply)
{
    struct buf json = buf_make_secret(MAX_REPLY_JSON_BYTES);
    json_from_node(reply->root, &json);
    char *copy = buf_error(&json) == 0 ? text_copy(buf_text(&json)) : NULL;
    buf_free(&json);
    return copy;
}

void reply_clear(struct reply *reply)
{
    if (reply->has_message)
        link_message_end(&reply->message);
    reply->has_message = false;
    reply->root = NULL;
}

void reply_end(struct reply *reply)
{
    reply_clear(reply);
    tree_free(reply->tree);
    reply->tree = NULL;
}
