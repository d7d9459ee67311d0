/* The dispatcher: owns the jobs and intake sockets, who asks, and the warm table.
 * Thread: start and stop: the main thread; dispatcher_send: any. */
#ifndef BROKER_DISPATCHER_H
#define BROKER_DISPATCHER_H

#include "broker/broker.h"
#include "broker/message.h"

/* Makes the mailbox, so that the other threads can be started; dispatcher_start() binds. */
int dispatcher_new(struct broker *broker, struct dispatcher **out_dispatcher);
int dispatcher_start(struct dispatcher *dispatcher, struct buf *error);
/* Answers new jobs with `shutting_down`, has the workers drain, answers who waits, ends. Nothing where
 * it was not started. */
void dispatcher_stop(struct dispatcher *dispatcher);
void dispatcher_free(struct dispatcher *dispatcher);

/* Takes the answer. */
void dispatcher_send(struct dispatcher *dispatcher, struct answer *answer);
/* Takes the message: who may speak from now on. */
void dispatcher_send_principals(struct dispatcher *dispatcher, struct principals_message *message);
/* The provider's connections are not answered from memory while there is a reason (change 1, -1 takes one
 * back): what the worker has told the dispatcher before is taken in first. */
void dispatcher_hold(struct dispatcher *dispatcher, struct text provider, int change);
/* Another key is active: what is in memory under one before is forgotten. MESSAGE_KEYS goes back. */
void dispatcher_send_keys(struct dispatcher *dispatcher, struct mailbox *reply_to);
/* A worker has drained. */
void dispatcher_send_drained(struct dispatcher *dispatcher);

#endif
