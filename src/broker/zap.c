#include "broker/zap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <bursar/error.h>

#include "base/log.h"
#include "base/z85.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/message.h"
#include "broker/sockets.h"
#include "broker/thread.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

/* Frames of a question, in their order; credentials of other mechanisms may follow. */
enum {
    ZAP_VERSION,
    ZAP_ID,
    ZAP_DOMAIN,
    ZAP_ADDRESS,
    ZAP_IDENTITY,
    ZAP_MECHANISM,
    ZAP_FRAMES, /* that each question has */
    ZAP_KEY = ZAP_FRAMES,
    ZAP_FRAMES_READ
};
enum { CURVE_BYTES = 32, NUMBER_COUNT = 3 };

struct zap {
    const struct broker *broker;
    struct principals *principals; /* held */
    struct thread thread;
    struct mailbox inbox;
    void *socket;
    struct buf *open_error;
};

struct question {
    char frames[ZAP_FRAMES_READ][256];
    size_t lens[ZAP_FRAMES_READ];
    size_t count;
    bool is_sound;
};

bool zap_process_of(struct text address, struct zap_process *out_process)
{
    static const char prefix[] = "localhost:";
    uint64_t numbers[NUMBER_COUNT];
    struct text rest = {address.data + (sizeof prefix - 1), address.len - (sizeof prefix - 1)};
    if (address.len < sizeof prefix - 1 || memcmp(address.data, prefix, sizeof prefix - 1) != 0)
        return false;
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const char *end =
            i + 1 < NUMBER_COUNT ? memchr(rest.data, ':', rest.len) : rest.data + rest.len;
        if (!end || !text_to_uint((struct text){rest.data, (size_t)(end - rest.data)},
                                  UINT32_MAX - 1, &numbers[i]))
            return false;
        size_t used = (size_t)(end - rest.data) + (i + 1 < NUMBER_COUNT);
        rest = (struct text){rest.data + used, rest.len - used};
    }
    *out_process = (struct zap_process){(uid_t)numbers[0], (gid_t)numbers[1], (pid_t)numbers[2]};
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
        if (i < ZAP_FRAMES_READ && len < sizeof question->frames[i]) {
            memcpy(question->frames[i], zmq_msg_data(&frame), len);
            question->lens[i] = len;
        } else if (i < ZAP_FRAMES_READ) {
            question->is_sound = false;
        }
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    question->is_sound = question->is_sound && question->count >= ZAP_FRAMES &&
                         strcmp(question->frames[ZAP_VERSION], "1.0") == 0;
    return true;
}

/* Who asks to connect; false for what is not understood. NULL is spoken on ipc alone, where the kernel says
 * who it is; on tcp it would be a plain one. */
static bool name_peer(const struct question *question, char peer[static PEER_MAX])
{
    struct zap_process process;
    char z85[PRINCIPAL_KEY_LEN + 1];
    struct text address = {question->frames[ZAP_ADDRESS], question->lens[ZAP_ADDRESS]};
    if (!question->is_sound)
        return false;
    if (strcmp(question->frames[ZAP_MECHANISM], "NULL") == 0) {
        if (question->count != ZAP_FRAMES || !zap_process_of(address, &process))
            return false;
        peer_of_process(process.uid, process.gid, process.pid, peer);
        return true;
    }
    if (strcmp(question->frames[ZAP_MECHANISM], "CURVE") != 0 ||
        question->count != ZAP_FRAMES + 1 || question->lens[ZAP_KEY] != CURVE_BYTES)
        return false;
    z85_encode((const uint8_t *)question->frames[ZAP_KEY], CURVE_BYTES, z85);
    peer_of_key(z85, peer);
    return true;
}

static void answer(struct zap *self, const struct question *question)
{
    char user_id[PEER_MAX] = "";
    bool is_allowed =
        name_peer(question, user_id) && principals_of_peer(self->principals, user_id) != NULL;
    if (!is_allowed)
        LOG(LOG_WARNING, "connection refused",
            LOG_T("address",
                  ((struct text){question->frames[ZAP_ADDRESS], question->lens[ZAP_ADDRESS]})),
            LOG_S("peer", user_id));
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

static void take_principals(struct zap *self, struct principals_message *message)
{
    principals_release(self->principals);
    self->principals = principals_hold(message->principals);
    dispatcher_send_principals(self->broker->dispatcher, message);
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
