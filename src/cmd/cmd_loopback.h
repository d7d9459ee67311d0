/* Where a browser leads back to after a consent: a listener on this machine (RFC 8252 section 7.3).
 * Thread: the program's only one.
 *
 * It serves one path, answers one callback whose state is the one that is under way, with a page that
 * has no script and tells nothing to other sites, and ends. Everything that comes from a browser is
 * bounded in size, number and time. */
#ifndef CMD_CMD_LOOPBACK_H
#define CMD_CMD_LOOPBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

struct cmd_loopback;

/* Whether a redirect URI is one that this machine can listen for: http, and a loopback host. */
bool cmd_loopback_fits(const char *uri);
/* Listens where the URI leads to. NULL with one line in error. */
struct cmd_loopback *cmd_loopback_open(const char *uri, struct buf *error);
void cmd_loopback_close(struct cmd_loopback *self);

/* Waits for the callback with this state until a moment of boot time. True: its query, as it came, is
 * in out_query. */
bool cmd_loopback_wait(struct cmd_loopback *self, struct text state, int64_t until_ms,
                       struct buf *out_query);

/* The value of a parameter of a query, decoded; false where there is none, or it stands twice. */
bool cmd_query_get(struct text query, const char *name, struct buf *out_value);
/* The index-th pair of a query, decoded; false behind the last one. */
bool cmd_query_item(struct text query, size_t index, struct buf *out_name, struct buf *out_value);

#endif
