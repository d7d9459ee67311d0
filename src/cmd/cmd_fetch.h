/* Requests of a command to the network, by the same engine and the same rules as the daemon's.
 * Thread: the program's only one. */
#ifndef CMD_CMD_FETCH_H
#define CMD_CMD_FETCH_H

#include "http/engine.h"

struct cmd_fetch;

/* NULL without memory. */
struct cmd_fetch *cmd_fetch_open(const struct http_options *options);
void cmd_fetch_close(struct cmd_fetch *self);

/* One request, waited for. json absent: a GET; else it is posted. Where there is no reply, out_reply
 * says why; http_reply_free() ends it in any case. */
void cmd_fetch(struct cmd_fetch *self, struct text url, struct text json,
               struct http_reply *out_reply);

#endif
