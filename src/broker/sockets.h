/* The small things that every ZeroMQ socket of the daemon needs.
 * Thread: the socket's owner. */
#ifndef BROKER_SOCKETS_H
#define BROKER_SOCKETS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"
#include "config/config.h"

/* A socket of the type that asks ZAP about each peer; NULL with a line in error. */
void *socket_new(void *zmq, int type, struct buf *error);
/* Binds it to all endpoints; 0, or BURSAR_E_IO with a line in error. */
int socket_bind(void *socket, const struct config_list *endpoints, struct buf *error);
void socket_close(void *socket);

/* One frame; bytes are copied. 0 or BURSAR_E_IO. */
int socket_send(void *socket, struct text bytes, int flags);
/* One frame that takes the buffer and wipes it when ZeroMQ has done with it. */
int socket_send_secret(void *socket, struct buf *bytes);

#endif
