#include "broker/publisher.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/memory.h"
#include "broker/sockets.h"
#include "broker/thread.h"
#include "store/event.h"

struct publisher {
    const struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    void *socket;
    struct buf *open_error;
    uint64_t last_seq;
    int64_t alive_at_ms; /* boot time */
    bool is_stopping;
};

static void send_event(struct publisher *self, struct text topic, struct text body)
{
    if (socket_send(self->socket, topic, ZMQ_SNDMORE) == 0)
        socket_send(self->socket, body, 0);
}

static void send_alive(struct publisher *self)
{
    struct buf topic = buf_make(64), body = buf_make(256);
    struct event event = {.seq = self->last_seq, .at_ms = clock_wall_ms(), .type = EVENT_ALIVE};
    event_topic(&event, &topic);
    event_body(&event, &body);
    send_event(self, buf_text(&topic), buf_text(&body));
    buf_free(&topic);
    buf_free(&body);
    self->alive_at_ms = clock_boot_ms() + BURSAR_ALIVE_EVERY_MS;
}

/* In manual mode nothing is delivered before the broker says so for this subscriber. Who may connect
 * at all was asked before (zap.h); all of them may see all owners until principals are configured. */
static void take_subscription(struct publisher *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) >= 0) {
        const char *data = zmq_msg_data(&frame);
        size_t len = zmq_msg_size(&frame);
        bool is_subscribe = len > 0 && data[0] == 1;
        if (!zmq_msg_more(&frame) && len > 0 && (data[0] == 0 || data[0] == 1))
            zmq_setsockopt(self->socket, is_subscribe ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, data + 1,
                           len - 1);
        /* A new subscriber learns at once where the log stands. */
        if (is_subscribe)
            self->alive_at_ms = 0;
    }
    zmq_msg_close(&frame);
}

static void take_messages(struct publisher *self)
{
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        struct message *message = (struct message *)mail;
        next = mail->next;
        if (message->type == MESSAGE_STOP) {
            self->is_stopping = true;
            free(message);
            continue;
        }
        struct events_message *events = (struct events_message *)mail;
        for (size_t i = 0; i < events->count; i++)
            send_event(self, events->events[i].topic, events->events[i].body);
        self->last_seq = events->last_seq;
        events_free(events);
    }
}

static int open_all(struct publisher *self)
{
    int one = 1;
    struct store_reader *reader = NULL;
    struct store_counts counts;
    const struct broker *broker = self->broker;
    int result = broker->store->reader_open(broker->store_where, &reader, self->open_error);
    if (result == 0)
        result = broker->store->counts(reader, &counts);
    broker->store->reader_close(reader);
    if (result < 0)
        return result;
    self->last_seq = counts.last_seq;
    self->socket = socket_new(broker->zmq, ZMQ_XPUB, self->open_error);
    if (!self->socket)
        return BURSAR_E_IO;
    /* Before it is bound: no subscription is ever taken without being asked about. */
    zmq_setsockopt(self->socket, ZMQ_XPUB_MANUAL, &one, sizeof one);
    zmq_setsockopt(self->socket, ZMQ_XPUB_VERBOSER, &one, sizeof one);
    return socket_bind(self->socket, &broker->config->events, self->open_error);
}

static void *run(void *context)
{
    struct publisher *self = context;
    int result = open_all(self);
    thread_ready(&self->thread, result);
    if (result < 0) {
        socket_close(self->socket);
        return NULL;
    }
    self->alive_at_ms = clock_boot_ms();
    while (!self->is_stopping) {
        int64_t wait_ms = self->alive_at_ms - clock_boot_ms();
        zmq_pollitem_t items[] = {{.socket = self->socket, .events = ZMQ_POLLIN},
                                  {.fd = mailbox_fd(&self->inbox), .events = ZMQ_POLLIN}};
        zmq_poll(items, 2, wait_ms > 0 ? (long)wait_ms : 0);
        take_subscription(self);
        take_messages(self);
        if (clock_boot_ms() >= self->alive_at_ms)
            send_alive(self);
    }
    socket_close(self->socket);
    return NULL;
}

int publisher_start(const struct broker *broker, struct publisher **out_publisher,
                    struct buf *error)
{
    struct publisher *self = memory_new(sizeof *self);
    self->broker = broker;
    self->open_error = error;
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = thread_start(&self->thread, "publisher", run, self);
    if (result < 0) {
        mailbox_fini(&self->inbox);
        free(self);
        return result;
    }
    *out_publisher = self;
    return 0;
}

void publisher_stop(struct publisher *self)
{
    if (!self)
        return;
    mailbox_send(&self->inbox, &message_new(MESSAGE_STOP)->mail);
    thread_join(&self->thread);
    mailbox_fini(&self->inbox);
    free(self);
}

void publisher_send(struct publisher *self, struct events_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}
