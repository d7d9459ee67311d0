/* A message as it came from a client, frame by frame.
 * Thread: the dispatcher's. */
#ifndef BROKER_INCOMING_H
#define BROKER_INCOMING_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#include "broker/admission.h"
#include "store/audit.h"

enum { INCOMING_FRAMES_MAX = 64 }; /* of one message; a message of more is dropped */

/* Identity and envelope, and the body last. */
struct incoming {
    zmq_msg_t frames[INCOMING_FRAMES_MAX];
    size_t count;
    bool is_dropped;      /* too many frames */
    struct caller caller; /* the dispatcher's to fill */
    struct audit_row
        about; /* the same: what the audit log is told of it; borrows from the message */
};

/* One whole message; false where none is waiting. incoming_release() ends it. */
bool incoming_receive(void *socket, struct incoming *in);
/* Wipes the body, which may hold a secret. */
void incoming_release(struct incoming *in);
/* Who sent it, as ZAP named them; NULL where nobody did. Borrows from the message. */
const char *incoming_user_id(struct incoming *in);

/* Whether it has chosen its routing id (ZMTP calls it Identity) and did not leave that to ZeroMQ. */
bool incoming_names_itself(struct incoming *in);

#endif
