/* What a worker notices of somebody else who refreshes a grant (policy/spender.h).
 * Thread: the worker's. */
#ifndef BROKER_WORKER_SPENDER_H
#define BROKER_WORKER_SPENDER_H

#include "broker/worker_parts.h"
#include "policy/spender.h"

/* Of a flight whose outcome is known. */
enum spender_sign worker_spender_of_flight(const struct flight *flight);
/* A caller had a token refused that is not the row's current one; sha256 is its digest in hexadecimal.
 * Where it is not the one before either, that is written down. */
void worker_note_token(struct worker *self, const struct conn_row *row, struct text sha256);

#endif
