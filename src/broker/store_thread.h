/* The store thread: owns the one write connection and commits together what came together.
 * Thread: start, stop and store_gathered: the main thread; store_send and store_send_all: any. */
#ifndef BROKER_STORE_THREAD_H
#define BROKER_STORE_THREAD_H

#include "broker/broker.h"
#include "broker/message.h"

/* Opens the store; 0 or what writer_open says. Borrows the broker. */
int store_thread_start(const struct broker *broker, struct store_thread **out_thread,
                       struct buf *error);
/* Ends after everything that was sent before is committed and answered. */
void store_thread_stop(struct store_thread *thread);

/* Rows that an earlier process left in the journal of the audit log and that could not be settled. Before the first
 * store_send(). */
size_t store_gathered(const struct store_thread *thread);

/* Takes the message; it comes back to message->reply_to with the change's result. */
void store_send(struct store_thread *thread, struct write_message *message);
/* The same of several, as mailbox_send_all() takes them. */
void store_send_all(struct store_thread *thread, struct mail *newest, struct mail *oldest);

#endif
