#include "broker/zap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <bursar/error.h>

#include "base/log.h"
#include "broker/memory.h"
#include "broker/message.h"
#include "broker/sockets.h"
#include "broker/thread.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

/* Frames of a question, in their order; credentials of other mechanisms may follow. */
enum { ZAP_VERSION, ZAP_ID, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_FRAMES };

struct zap {
    const struct broker *broker;
    struct thread thread;
    struct mailbox inbox;
    void *socket;
    struct buf *open_error;
};

struct question {
    char frames[ZAP_FRAMES][256];
    size_t lens[ZAP_FRAMES];
    size_t count;
    bool is_sound;
};

bool zap_uid_of(struct text address, uid_t *out_uid)
{
    static const char prefix[] = "localhost:";
    size_t at = sizeof prefix - 1;
    uint64_t uid;
    if (address.len < at || memcmp(address.data, prefix, at) != 0)
        return false;
    const char *end = memchr(address.data + at, ':', address.len - at);
    if (!end || !text_to_uint((struct text){address.data + at, (size_t)(end - address.data) - at},
                              UINT32_MAX - 1, &uid))
        return false;
    *out_uid = (uid_t)uid;
    return true;
}

/* Reads one whole question; false where there is none. */
static bool receive(struct zap *self, struct question *question)
{
    int more = 1;
    *question = (struct question){.is_sound = true};
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return false;
        }
        size_t len = zmq_msg_size(&frame), i = question->count++;
        if (i < ZAP_FRAMES && len < sizeof question->frames[i]) {
            memcpy(question->frames[i], zmq_msg_data(&frame), len);
            question->lens[i] = len;
        } else if (i < ZAP_FRAMES) {
            question->is_sound = false;
        }
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    question->is_sound = question->is_sound && question->count >= ZAP_FRAMES &&
                         strcmp(question->frames[ZAP_VERSION], "1.0") == 0;
    return true;
}

/* Fails closed: whatever is not understood is refused. */
static bool may_connect(const struct broker *broker, const struct question *question,
                        char user_id[static 32])
{
    uid_t uid;
    struct text address = {question->frames[ZAP_ADDRESS], question->lens[ZAP_ADDRESS]};
    if (!question->is_sound || strcmp(question->frames[ZAP_MECHANISM], "NULL") != 0 ||
        !zap_uid_of(address, &uid))
        return false;
    snprintf(user_id, 32, "uid:%lu", (unsigned long)uid);
    return uid == 0 || uid == broker->uid;
}

static void answer(struct zap *self, const struct question *question)
{
    char user_id[32] = "";
    bool is_allowed = may_connect(self->broker, question, user_id);
    if (!is_allowed)
        LOG(LOG_WARNING, "connection refused",
            LOG_T("peer",
                  ((struct text){question->frames[ZAP_ADDRESS], question->lens[ZAP_ADDRESS]})));
    const char *const frames[] = {"1.0",
                                  NULL,
                                  is_allowed ? "200" : "400",
                                  is_allowed ? "OK" : "no principal",
                                  is_allowed ? user_id : "",
                                  ""};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct text frame = frames[i]
                                ? text_of(frames[i])
                                : (struct text){question->frames[ZAP_ID], question->lens[ZAP_ID]};
        socket_send(self->socket, frame,
                    i + 1 < sizeof frames / sizeof frames[0] ? ZMQ_SNDMORE : 0);
    }
}

static void *run(void *context)
{
    struct zap *self = context;
    struct question question;
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
            is_stopping = true; /* nothing else is ever sent here */
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
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = thread_start(&self->thread, "zap", run, self);
    if (result < 0) {
        mailbox_fini(&self->inbox);
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
    free(self);
}
