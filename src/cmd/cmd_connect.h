/* The two ways of `bursar connect`.
 * Thread: the program's only one. */
#ifndef CMD_CMD_CONNECT_H
#define CMD_CMD_CONNECT_H

#include "cmd/cmd_reply.h"

/* On another device (RFC 8628): prints the code and waits for what comes of it. An enum cmd_status. */
int cmd_connect_device(const struct cmd_args *args, const json_t *request);

#endif
