/* The query thread: answers what belongs to no one provider.
 * Thread: start and stop: the main thread; query_send: the dispatcher's; query_send_reload: the
 * main thread. */
#ifndef BROKER_QUERY_H
#define BROKER_QUERY_H

#include "broker/broker.h"
#include "broker/message.h"

int query_start(const struct broker *broker, struct query **out_query, struct buf *error);
void query_stop(struct query *query);

/* Takes the request: connection.list, events.since, status, connector.list, .get, principal.is_operator,
 * sweep.*, what begins a sweep, and key.*. */
void query_send(struct query *query, struct request *request);
/* Takes the message: the principals of the configuration are others now. */
void query_send_reload(struct query *query, struct reload_message *message);

#endif
