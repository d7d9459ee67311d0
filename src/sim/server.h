/* The simulator behind a loopback port: HTTP/1.1 by libmicrohttpd.
 * Thread: its owner, who runs it; nothing happens between two calls of sim_server_run(). */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/sim.h"

struct sim_server;

/* Answers a request in the owner's place: which simulator, and what time it is there. The reply is
 * given. */
typedef struct sim_reply sim_server_answer_fn(void *context, const struct sim_request *request);

/* Listens on 127.0.0.1; port 0: a free one. NULL with the reason in error. */
struct sim_server *sim_server_open(uint16_t port, sim_server_answer_fn *answer, void *context,
                                   struct buf *error);
void sim_server_close(struct sim_server *server);
uint16_t sim_server_port(const struct sim_server *server);

/* Readable when there is something to do. */
int sim_server_fd(const struct sim_server *server);
/* How long to wait for that at most; < 0: as long as one likes. */
int sim_server_wait_ms(const struct sim_server *server);
/* Does what there is to do, without waiting. */
void sim_server_run(struct sim_server *server);
/* Ends the connections that a reply will never come on. */
void sim_server_hang_up(struct sim_server *server);

#endif
