/* A question of ZeroMQ's about a peer, frame by frame (ZAP, 0MQ RFC 27), and whom it is about.
 * Thread: any; pure functions. */
#ifndef BROKER_ZAP_QUESTION_H
#define BROKER_ZAP_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/text.h"
#include "broker/principals.h"

/* The frames in their order; credentials of other mechanisms may follow. */
enum zap_frame {
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
#define ZAP_FRAME_MAX 255

/* All-zero before its first frame. */
struct zap_question {
    char frames[ZAP_FRAMES_READ][ZAP_FRAME_MAX + 1];
    size_t lens[ZAP_FRAMES_READ];
    size_t count;
    bool is_odd; /* a frame is longer than any may be */
};

void zap_question_add(struct zap_question *question, const void *data, size_t len);
/* Borrows from the question. */
struct text zap_question_frame(const struct zap_question *question, enum zap_frame frame);

/* Who asks to connect, as a user id; false for what is not understood. NULL is spoken on ipc alone, where the
 * kernel says who it is: an address of another kind is nobody's. */
bool zap_question_peer(const struct zap_question *question, char out_peer[static PEER_MAX]);

struct zap_process {
    uid_t uid;
    gid_t gid;
    pid_t pid;
};
/* What an address `localhost:UID:GID:PID` says; false for any other. */
bool zap_process_of(struct text address, struct zap_process *out_process);

#endif
