#include "broker/outbox.h"

#include <stdlib.h>

#include "base/log.h"
#include "broker/memory.h"

enum { FRAMES_FIRST = OUTBOX_REPLIES * 3 }; /* whose envelope is a routing id and an empty frame */

struct part {
    zmq_msg_t frame;
    bool is_last; /* of its reply */
};

struct outbox {
    void *socket;
    struct part *parts;
    size_t count, cap;
    size_t replies;  /* that wait */
    size_t of_turn;  /* that were added since the last flush */
    size_t together; /* so many are sent at a time */
    bool has_sent;
};

struct outbox *outbox_new(void *socket)
{
    struct outbox *outbox = memory_new(sizeof *outbox);
    outbox->socket = socket;
    outbox->cap = FRAMES_FIRST;
    outbox->together = 1;
    outbox->parts = memory_new(outbox->cap * sizeof *outbox->parts);
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    outbox_flush(outbox);
    free(outbox->parts);
    free(outbox);
}

static void add(struct outbox *outbox, zmq_msg_t *frame, bool is_last)
{
    struct part *part = &outbox->parts[outbox->count++];
    zmq_msg_init(&part->frame);
    zmq_msg_move(&part->frame, frame);
    part->is_last = is_last;
}

static void send_all(struct outbox *outbox)
{
    bool is_sent = true;
    for (size_t i = 0; i < outbox->count; i++) {
        struct part *part = &outbox->parts[i];
        int flags = ZMQ_DONTWAIT | (part->is_last ? 0 : ZMQ_SNDMORE);
        /* Behind a frame that could not be sent nothing of the same reply is: no half message. */
        is_sent = is_sent && zmq_msg_send(&part->frame, outbox->socket, flags) >= 0;
        if (!is_sent)
            zmq_msg_close(&part->frame);
        if (part->is_last && !is_sent)
            LOG(LOG_WARNING, "a reply could not be sent");
        is_sent = is_sent || part->is_last;
    }
    outbox->has_sent |= outbox->count > 0;
    outbox->count = outbox->replies = 0;
}

static size_t at_most(size_t replies)
{
    return replies < OUTBOX_REPLIES ? replies : OUTBOX_REPLIES;
}

void outbox_add(struct outbox *outbox, zmq_msg_t *envelope, size_t count, zmq_msg_t *body)
{
    while (outbox->count + count + 1 > outbox->cap) {
        outbox->cap *= 2;
        outbox->parts = memory_resize(outbox->parts, outbox->cap * sizeof *outbox->parts);
    }
    for (size_t i = 0; i < count; i++)
        add(outbox, &envelope[i], false);
    add(outbox, body, true);
    outbox->of_turn++;
    if (++outbox->replies < outbox->together)
        return;
    send_all(outbox);
    outbox->together = at_most(outbox->together * 2); /* should there be more in this turn */
}

void outbox_flush(struct outbox *outbox)
{
    send_all(outbox);
    if (outbox->of_turn > 0)
        outbox->together = at_most(outbox->of_turn);
    outbox->of_turn = 0;
}

bool outbox_has_sent(struct outbox *outbox)
{
    bool has_sent = outbox->has_sent;
    outbox->has_sent = false;
    return has_sent;
}
