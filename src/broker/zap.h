/* Who may connect: answers ZeroMQ's authentication questions (ZAP, 0MQ RFC 27).
 * Thread: start and stop: the main thread; zap_send_principals: the publisher's.
 *
 * On ipc the question names the peer's uid, gid and pid as the kernel told them; on tcp its CURVE key, whose
 * secret half it has proved to have. Whoever no principal is recognised by is refused, and so is what is not
 * understood. */
#ifndef BROKER_ZAP_H
#define BROKER_ZAP_H

#include "broker/broker.h"
#include "broker/message.h"

/* Must run before the first socket with a ZAP domain is bound. 0 or BURSAR_E_IO. */
int zap_start(const struct broker *broker, struct zap **out_zap, struct buf *error);
void zap_stop(struct zap *zap);

/* Takes the message, and sends it on to the dispatcher. */
void zap_send_principals(struct zap *zap, struct principals_message *message);

#endif
