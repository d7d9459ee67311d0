/* A connection as clients see it: never a secret.
 * Thread: the buffer's owner. */
#ifndef BROKER_RECORD_H
#define BROKER_RECORD_H

#include "base/buf.h"
#include "store/row.h"
#include "wire/pack.h"

/* The record's pairs (doc/protocol.md, Connections) into an open map. */
void record_pack(struct pack *map, const struct conn_row *row);

#endif
