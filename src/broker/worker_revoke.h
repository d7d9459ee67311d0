/* The revocation of a token at its provider (RFC 7009).
 * Thread: the worker's. */
#ifndef BROKER_WORKER_REVOKE_H
#define BROKER_WORKER_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker_parts.h"

/* What came of it. Borrowed until the function returns. */
struct revocation {
    struct text says;       /* one printable line: `revoked`, `refused: …`, `unknown: …`, … */
    bool is_passing;        /* it may go better another time */
    int64_t retry_after_ms; /* what the provider asked for; 0: nothing */
    bool is_ending;         /* the broker is: nothing was found out */
    bool was_sent;          /* false: there was nothing to ask, or nobody */
};
typedef void revocation_done_fn(void *context, const struct revocation *end);

/* Asks for the end of the row's refresh token, or where there is none of its secret. done is called
 * once, perhaps before this returns; the row is not needed after that. */
void worker_revoke(struct worker *self, const struct conn_row *row, revocation_done_fn *done,
                   void *context);

#endif
