/* The query thread: answers what belongs to no one provider.
 * Thread: start and stop: the main thread; query_send, query_drain: the dispatcher's; query_send_reload: the
 * main thread; query_sweep_ended: any. */
#ifndef BROKER_QUERY_H
#define BROKER_QUERY_H

#include "broker/broker.h"
#include "broker/message.h"

int query_start(const struct broker *broker, struct query **out_query, struct buf *error);
/* Nobody is kept waiting any more. */
void query_drain(struct query *query);
void query_stop(struct query *query);

/* A part of the sweep has ended: whoever waits for its end may be answered. */
void query_sweep_ended(struct query *query, struct text sweep);

/* Takes the request: connection.list, events.since, status, connector.list, .get, principal.is_operator,
 * sweep.*, what begins a sweep, and key.*. */
void query_send(struct query *query, struct request *request);
/* Takes the message: the principals of the configuration are others now. */
void query_send_reload(struct query *query, struct reload_message *message);

#endif
