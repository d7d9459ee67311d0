#include "broker/zap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <bursar/error.h>

#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/message.h"
#include "broker/sockets.h"
#include "broker/thread.h"
#include "broker/zap_question.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

struct zap {
    const struct broker *broker;
    struct principals *principals; /* held */
    struct thread thread;
    struct mailbox inbox;
    void *socket;
    struct buf *open_error;
};

/* Reads one whole question; false where there is none. */
static bool receive(struct zap *self, struct zap_question *question)
{
    int more = 1;
    *question = (struct zap_question){.count = 0};
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return false;
        }
        zap_question_add(question, zmq_msg_data(&frame), zmq_msg_size(&frame));
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    return true;
}

static void answer(struct zap *self, const struct zap_question *question)
{
    char user_id[PEER_MAX] = "";
    bool is_allowed = zap_question_peer(question, user_id) &&
                      principals_of_peer(self->principals, user_id) != NULL;
    if (!is_allowed)
        LOG(LOG_WARNING, "connection refused",
            LOG_T("address", zap_question_frame(question, ZAP_ADDRESS)), LOG_S("peer", user_id));
    const char *const frames[] = {"1.0",
                                  NULL,
                                  is_allowed ? "200" : "400",
                                  is_allowed ? "OK" : "no principal",
                                  is_allowed ? user_id : "",
                                  ""};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct text frame = frames[i] ? text_of(frames[i]) : zap_question_frame(question, ZAP_ID);
        socket_send(self->socket, frame,
                    i + 1 < sizeof frames / sizeof frames[0] ? ZMQ_SNDMORE : 0);
    }
}

static void take_principals(struct zap *self, struct principals_message *message)
{
    principals_release(self->principals);
    self->principals = principals_hold(message->principals);
    dispatcher_send_principals(self->broker->dispatcher, message);
}

static void *run(void *context)
{
    struct zap *self = context;
    struct zap_question question;
    self->socket = zmq_socket(self->broker->zmq, ZMQ_REP);
    bool is_bound = self->socket && zmq_bind(self->socket, ZAP_ENDPOINT) == 0;
    if (!is_bound)
        buf_printf(self->open_error, "%s: %s", ZAP_ENDPOINT, zmq_strerror(zmq_errno()));
    thread_ready(&self->thread, is_bound ? 0 : BURSAR_E_IO);
    bool is_stopping = !is_bound;
    while (!is_stopping) {
        zmq_pollitem_t items[] = {{.socket = self->socket, .events = ZMQ_POLLIN},
                                  {.fd = mailbox_fd(&self->inbox), .events = ZMQ_POLLIN}};
        zmq_poll(items, 2, -1);
        while (receive(self, &question))
            answer(self, &question);
        for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
            next = mail->next;
            if (((struct message *)mail)->type == MESSAGE_PRINCIPALS) {
                take_principals(self, (struct principals_message *)mail);
                continue;
            }
            is_stopping = true;
            free(mail);
        }
    }
    socket_close(self->socket);
    return NULL;
}

int zap_start(const struct broker *broker, struct zap **out_zap, struct buf *error)
{
    struct zap *self = memory_new(sizeof *self);
    self->broker = broker;
    self->open_error = error;
    self->principals = principals_hold(broker->principals);
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = thread_start(&self->thread, "zap", run, self);
    if (result < 0) {
        mailbox_fini(&self->inbox);
        principals_release(self->principals);
        free(self);
        return result;
    }
    *out_zap = self;
    return 0;
}

void zap_stop(struct zap *self)
{
    if (!self)
        return;
    mailbox_send(&self->inbox, &message_new(MESSAGE_STOP)->mail);
    thread_join(&self->thread);
    mailbox_fini(&self->inbox);
    principals_release(self->principals);
    free(self);
}

void zap_send_principals(struct zap *self, struct principals_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}
