#include "broker/incoming.h"

#include "base/secret.h"

bool incoming_receive(void *socket, struct incoming *in)
{
    int more = 1;
    in->count = 0;
    in->is_dropped = false;
    in->caller = (struct caller){0};
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return false; /* parts of a message come together: nothing was read */
        }
        more = zmq_msg_more(&frame);
        if (in->count == INCOMING_FRAMES_MAX) {
            in->is_dropped = true;
            zmq_msg_close(&frame);
            continue;
        }
        zmq_msg_init(&in->frames[in->count]);
        zmq_msg_move(&in->frames[in->count++], &frame);
    }
    return true;
}

void incoming_release(struct incoming *in)
{
    if (in->count > 0) { /* a put's body holds a secret */
        zmq_msg_t *last = &in->frames[in->count - 1];
        secret_wipe(zmq_msg_data(last), zmq_msg_size(last));
    }
    for (size_t i = 0; i < in->count; i++)
        zmq_msg_close(&in->frames[i]);
}

const char *incoming_user_id(struct incoming *in)
{
    return zmq_msg_gets(&in->frames[in->count - 1], "User-Id");
}

bool incoming_names_itself(struct incoming *in)
{
    const char *name = zmq_msg_gets(&in->frames[in->count - 1], "Identity");
    return name && *name;
}
