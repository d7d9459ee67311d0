/* The small things that every ZeroMQ socket of the daemon needs.
 * Thread: the socket's owner. */
#ifndef BROKER_SOCKETS_H
#define BROKER_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "base/buf.h"
#include "base/text.h"
#include "broker/frame_pool.h"
#include "config/config.h"

/* A socket of the type that asks ZAP about each peer; NULL with a line in error. */
void *socket_new(void *zmq, int type, struct buf *error);
/* Binds it to all endpoints, to tcp:// with CURVE (RFC 26 of ZeroMQ) as the server of the configuration's
 * key; 0, or BURSAR_E_IO with a line in error. */
int socket_bind(void *socket, const struct config *config, const struct config_list *endpoints,
                struct buf *error);
/* Lets processes of other users as far as the ipc sockets, where ZAP asks who they are, or keeps them for the
 * daemon's own user and root. */
void socket_set_open(const struct config_list *endpoints, bool is_open);
/* Gives the public key that clients on tcp have to know, in Z85; false where none of the endpoints is tcp. */
#define SOCKET_KEY_SIZE 41 /* 40 characters and the NUL */
bool socket_public_key(const struct config *config, char out[static SOCKET_KEY_SIZE]);
void socket_close(void *socket);
/* The same, and returns when its endpoints can be bound again (or some seconds have passed). */
void socket_close_bound(void *zmq, void *socket, const struct config_list *endpoints);

/* One frame; bytes are copied. 0 or BURSAR_E_IO. */
int socket_send(void *socket, struct text bytes, int flags);
/* Bytes of frames that ZeroMQ has not put on their way yet: what their receivers do not read. Counted by the
 * sender's thread and ZeroMQ's; held by its owner and by each such frame. */
struct socket_unread;
struct socket_unread *socket_unread_new(void);
void socket_unread_release(struct socket_unread *unread); /* NULL is fine */
uint64_t socket_unread_bytes(const struct socket_unread *unread);

/* Makes one frame that takes the buffer, of the pool or any other, and wipes it when ZeroMQ has done with it; then
 * the pool has the memory. Until then it counts as unread (NULL: nowhere). No byte behind the buffer's length may
 * have been a secret. */
void socket_secret_frame(struct frame_pool *pool, struct buf *bytes, struct socket_unread *unread,
                         zmq_msg_t *out_frame);

#endif
