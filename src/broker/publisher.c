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
#include "broker/subscriptions.h"
#include "broker/thread.h"
#include "broker/worker.h"
#include "broker/zap.h"
#include "policy/access.h"
#include "store/event.h"

enum { BIND_AGAIN_MS = 1000 };

struct publisher {
    const struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    void *socket;                  /* NULL: it could not be bound again yet */
    struct principals *principals; /* held */
    struct subscriptions *subscriptions;
    struct buf *open_error;
    uint64_t last_seq;
    int64_t alive_at_ms; /* boot time */
    int64_t bind_at_ms;  /* boot time: when binding is tried again */
    bool has_workers;    /* all of the broker's are there */
    bool is_stopping;
};

static void send_event(struct publisher *self, struct text topic, struct text body)
{
    if (self->socket && socket_send(self->socket, topic, ZMQ_SNDMORE) == 0)
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

/* In manual mode nothing is delivered before the broker says so for this subscriber. */
static bool may_subscribe(struct publisher *self, const char *peer, struct text prefix)
{
    const struct principal *principal = principals_of_peer(self->principals, peer);
    if (!principal || !access_subscription(principal, prefix)) {
        LOG(LOG_WARNING, "subscription refused", LOG_S("peer", peer ? peer : ""),
            LOG_S("principal", principal ? principal->name : "-"), LOG_T("prefix", prefix));
        return false;
    }
    if (subscriptions_count(self->subscriptions, principal) >= principal->limits.subscriptions) {
        LOG(LOG_WARNING, "subscription refused: a principal is at its bound",
            LOG_S("principal", principal->name));
        return false;
    }
    subscriptions_add(self->subscriptions, peer, principal, prefix);
    return true;
}

static void take_subscription(struct publisher *self, zmq_msg_t *frame)
{
    const char *data = zmq_msg_data(frame), *peer = zmq_msg_gets(frame, "User-Id");
    struct text prefix = {data + 1, zmq_msg_size(frame) - 1};
    if (data[0] == 0) {
        subscriptions_remove(self->subscriptions, peer, prefix);
        zmq_setsockopt(self->socket, ZMQ_UNSUBSCRIBE, prefix.data, prefix.len);
    } else if (may_subscribe(self, peer, prefix)) {
        zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, prefix.data, prefix.len);
        self->alive_at_ms = 0; /* a new subscriber learns at once where the log stands */
    }
}

static void take_subscriptions(struct publisher *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (self->socket && zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) >= 0) {
        const char *data = zmq_msg_data(&frame);
        size_t len = zmq_msg_size(&frame);
        if (!zmq_msg_more(&frame) && len > 0 && (data[0] == 0 || data[0] == 1))
            take_subscription(self, &frame);
    }
    zmq_msg_close(&frame);
}

/* ---- the socket ---------------------------------------------------------------------------------- */

static int open_socket(struct publisher *self, struct buf *error)
{
    int one = 1;
    const struct config *config = self->broker->config;
    void *socket = socket_new(self->broker->zmq, ZMQ_XPUB, error);
    if (!socket)
        return BURSAR_E_IO;
    /* Before it is bound: no subscription is ever taken without being asked about. */
    zmq_setsockopt(socket, ZMQ_XPUB_MANUAL, &one, sizeof one);
    zmq_setsockopt(socket, ZMQ_XPUB_VERBOSER, &one, sizeof one);
    int result = socket_bind(socket, config, &config->events, error);
    if (result == 0) {
        self->socket = socket;
        socket_set_open(&config->events, principals_have_others(self->principals));
    } else
        socket_close(socket);
    return result;
}

static void bind_again(struct publisher *self)
{
    struct buf error = buf_make(1024);
    if (open_socket(self, &error) < 0) {
        LOG(LOG_ERROR, "events cannot be published: bound again later",
            LOG_T("error", buf_text(&error)));
        self->bind_at_ms = clock_boot_ms() + BIND_AGAIN_MS;
    }
    buf_free(&error);
}

/* ZeroMQ cannot take a subscription from one peer alone. So all are cut off; they connect again by
 * themselves, are asked who they are, and subscribe again to what they still may; what they missed meanwhile
 * they see by the numbers. */
static void cut_off(struct publisher *self)
{
    LOG(LOG_INFO, "subscribers are cut off and asked again: principals have changed");
    subscriptions_clear(self->subscriptions);
    if (self->socket)
        socket_close_bound(self->broker->zmq, self->socket, &self->broker->config->events);
    self->socket = NULL;
    bind_again(self);
}

/* Whether some principal hears less by the new set, or is recognised by less. Who has subscribed to what does not
 * tell: ZeroMQ does not say whose subscription has ended where a connection broke. */
static bool hear_less(const struct principals *before, const struct principals *now)
{
    for (size_t i = 0; i < principals_count(before); i++) {
        const struct principal *old = principals_at(before, i);
        const struct principal *same = principals_find(now, text_of(old->name));
        if (!same || access_hears_less(old, same))
            return true;
    }
    return false;
}

static void take_principals(struct publisher *self, struct principals_message *message)
{
    struct principals *before = self->principals;
    self->principals = principals_hold(message->principals);
    socket_set_open(&self->broker->config->events, principals_have_others(self->principals));
    zap_send_principals(self->broker->zap, message);
    if (hear_less(before, self->principals))
        cut_off(self);
    principals_release(before);
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void take_messages(struct publisher *self, struct mail *mail)
{
    for (struct mail *next; mail; mail = next) {
        struct message *message = (struct message *)mail;
        next = mail->next;
        if (message->type == MESSAGE_STOP) {
            self->is_stopping = true;
            free(message);
            continue;
        }
        if (message->type == MESSAGE_START) {
            self->has_workers = true;
            free(message);
            continue;
        }
        if (message->type == MESSAGE_PRINCIPALS) {
            take_principals(self, (struct principals_message *)mail);
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
    struct store_reader *reader = NULL;
    uint64_t last_seq = 0;
    const struct broker *broker = self->broker;
    int result = broker->store->reader_open(broker->store_where, &reader, self->open_error);
    if (result == 0)
        result = broker->store->last_seq(reader, &last_seq);
    broker->store->reader_close(reader);
    if (result < 0)
        return result;
    self->last_seq = last_seq;
    return open_socket(self, self->open_error);
}

/* How long nothing is to be done without a message. */
static int64_t wait_ms(const struct publisher *self)
{
    int64_t until_ms = self->alive_at_ms;
    if (!self->socket && self->bind_at_ms < until_ms)
        until_ms = self->bind_at_ms;
    int64_t wait_ms = until_ms - clock_boot_ms();
    return wait_ms > 0 ? wait_ms : 0;
}

/* Those for which something falls due before the next beat. */
static void wake_workers(const struct publisher *self)
{
    if (!self->has_workers)
        return;
    for (size_t i = 0; i < self->broker->worker_count; i++)
        worker_wake_due(self->broker->workers[i]);
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
        zmq_pollitem_t items[] = {{.fd = mailbox_fd(&self->inbox), .events = ZMQ_POLLIN},
                                  {.socket = self->socket, .events = ZMQ_POLLIN}};
        zmq_poll(items, self->socket ? 2 : 1, (long)wait_ms(self));
        /* In this order: who had subscribed before an event came hears of it, however long this thread stood
         * still. */
        struct mail *mail = mailbox_take(&self->inbox);
        take_subscriptions(self);
        take_messages(self, mail);
        if (!self->socket && clock_boot_ms() >= self->bind_at_ms)
            bind_again(self);
        if (clock_boot_ms() >= self->alive_at_ms) {
            send_alive(self);
            wake_workers(self);
        }
    }
    socket_close(self->socket);
    return NULL;
}

static void publisher_free(struct publisher *self)
{
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        next = mail->next; /* what came behind the end */
        if (((struct message *)mail)->type == MESSAGE_PRINCIPALS)
            principals_message_free((struct principals_message *)mail);
        else
            events_free((struct events_message *)mail);
    }
    mailbox_fini(&self->inbox);
    principals_release(self->principals);
    subscriptions_free(self->subscriptions);
    free(self);
}

int publisher_start(const struct broker *broker, struct publisher **out_publisher,
                    struct buf *error)
{
    struct publisher *self = memory_new(sizeof *self);
    self->broker = broker;
    self->open_error = error;
    self->principals = principals_hold(broker->principals);
    self->subscriptions = subscriptions_new();
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = thread_start(&self->thread, "publisher", run, self);
    if (result < 0) {
        publisher_free(self);
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
    publisher_free(self);
}

void publisher_send(struct publisher *self, struct events_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}

void publisher_look_after_workers(struct publisher *publisher)
{
    mailbox_send(&publisher->inbox, &message_new(MESSAGE_START)->mail);
}

void publisher_send_principals(struct publisher *self, struct principals_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}
