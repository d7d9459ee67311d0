/* One connection to the daemon: a ZeroMQ socket and the monitor that tells how it fares.
 * Thread: its owner, one at a time; handing it over needs a lock between.
 *
 * libzmq connects behind the scenes and tells nobody where nobody listens. The monitor does: so a
 * daemon that is not there, or refuses this process, is an answer and not a silence. */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <zmq.h>

#include "client/curve.h"

enum link_state {
    LINK_CONNECTING,
    LINK_READY,
    LINK_LOST,    /* was ready; libzmq is trying again */
    LINK_REFUSED, /* the daemon knows this process and does not let it in */
    LINK_FOREIGN, /* whoever listens there speaks another protocol, or does not have the key */
};

struct link {
    void *socket, *monitor;
    enum link_state state;
    uint32_t times_ready; /* grows with each connection made */
    bool has_keys;        /* it speaks CURVE */
    uint32_t times_ended; /* by the other side during the handshake, since it was ready */
};

/* Opens a socket of this type (ZMQ_DEALER, ZMQ_SUB) that connects to endpoint, with curve where that
 * is on tcp. 0; else BURSAR_E_BAD_REQUEST (an endpoint that is none, or that needs keys where curve
 * is NULL), BURSAR_E_NOMEM or BURSAR_E_IO. */
int link_open(void *context, int type, const char *endpoint, const struct curve *curve,
              struct link *out_link);
void link_close(struct link *link);

/* Takes note of what happened until now, without waiting. */
enum link_state link_update(struct link *link);

/* Waits until the link is ready. 0, BURSAR_E_NO_DAEMON at until_ms (of clock_boot_ms()),
 * BURSAR_E_FORBIDDEN or BURSAR_E_BAD_REPLY as soon as it is known. */
int link_await(struct link *link, int64_t until_ms);

/* Waits until a message can be received. 0, BURSAR_E_DEADLINE_EXCEEDED at until_ms, and as
 * link_await() where the link is not ready any more; BURSAR_E_NO_DAEMON then comes at once. */
int link_wait(struct link *link, int64_t until_ms);

/* Waits until a message can be received, something happened to the connection, or until_ms, whatever
 * the state. true for a message. */
bool link_poll(struct link *link, int64_t until_ms);
/* The same for the connection alone. */
void link_poll_state(struct link *link, int64_t until_ms);

/* What the state means as an error; 0 for LINK_READY, BURSAR_E_NO_DAEMON for the passing ones. */
int link_error(const struct link *link);

/* Overwrites what was received, and ends the message. */
void link_message_end(zmq_msg_t *message);

#endif
