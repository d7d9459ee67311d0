/* Replies that are sent together.
 * Thread: the owner of the socket.
 *
 * ZeroMQ's thread is woken by the first message that it finds nothing before, and goes back to sleep when it has
 * sent what there is. A reply takes longer to make than to send: sent one by one, that thread and the client's are
 * woken for nearly each of them, which costs more than the reply. So they are sent together: as many as there were in the
 * turn before, since a reply that is alone is to go at once; and sixteen at most, since a client that has a few dozen under
 * way is to read the first of its answers while the others are made, or each would wait for the other. The
 * sender flushes before it waits for anything. */
#ifndef BROKER_OUTBOX_H
#define BROKER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#define OUTBOX_REPLIES 16 /* are sent together at most */

struct outbox;

/* Borrows the socket. */
struct outbox *outbox_new(void *socket);
/* Sends what is there; NULL is fine. */
void outbox_free(struct outbox *outbox);

/* Takes the envelope's frames and the body. */
void outbox_add(struct outbox *outbox, zmq_msg_t *envelope, size_t count, zmq_msg_t *body);
/* The end of a turn: sends what is there. */
void outbox_flush(struct outbox *outbox);
/* Whether anything was sent since this was last asked. */
bool outbox_has_sent(struct outbox *outbox);

#endif
