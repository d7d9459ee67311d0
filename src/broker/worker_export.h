/* connection.export: all of a connection, its refresh token too.
 * Thread: the worker's. */
#ifndef BROKER_WORKER_EXPORT_H
#define BROKER_WORKER_EXPORT_H

#include "broker/worker_parts.h"

/* Answers the record and the secret as a put would take it, whatever the connection's state; of one that is
 * frozen or revoked when the refresh that is under way has ended. Takes the request. */
void worker_export(struct worker *self, struct request *request);

#endif
