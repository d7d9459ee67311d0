/* The publisher: owns the events socket, checks subscriptions, sends what was committed.
 * Thread: start and stop: the main thread; publisher_send: any;
 * publisher_send_principals: the query thread. */
#ifndef BROKER_PUBLISHER_H
#define BROKER_PUBLISHER_H

#include "broker/broker.h"
#include "broker/message.h"

/* Binds the events endpoints; 0, or BURSAR_E_IO with a line in error. */
int publisher_start(const struct broker *broker, struct publisher **out_publisher,
                    struct buf *error);
/* Ends after what was sent before is handed to the sockets. */
void publisher_stop(struct publisher *publisher);

/* All workers are there: with each beat it wakes those that rest and for which something falls due. */
void publisher_look_after_workers(struct publisher *publisher);

/* Takes the message, and sends it on to ZAP. */
void publisher_send_principals(struct publisher *publisher, struct principals_message *message);

/* Takes the message. */
void publisher_send(struct publisher *publisher, struct events_message *message);

#endif
