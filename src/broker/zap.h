/* Who may connect: answers ZeroMQ's authentication questions (ZAP, 0MQ RFC 27).
 * Thread: start and stop: the main thread.
 *
 * On ipc the question names the peer's uid, gid and pid as the kernel told them. Until principals are
 * configured the daemon's own uid and root may connect, and nobody else. */
#ifndef BROKER_ZAP_H
#define BROKER_ZAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/text.h"
#include "broker/broker.h"

/* Must run before the first socket with a ZAP domain is bound. 0 or BURSAR_E_IO. */
int zap_start(const struct broker *broker, struct zap **out_zap, struct buf *error);
void zap_stop(struct zap *zap);

/* The uid in an address `localhost:UID:GID:PID`; false for any other. */
bool zap_uid_of(struct text address, uid_t *out_uid);

#endif
