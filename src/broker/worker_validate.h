/* Whether a provider takes a secret: before it is stored, and again from time to time.
 * Thread: the worker's.
 *
 *     worker_validate.c  connector.validate: the fields of a form, checked and not kept
 *     worker_recheck.c   stored keys of a provider that has `recheck_s` */
#ifndef BROKER_WORKER_VALIDATE_H
#define BROKER_WORKER_VALIDATE_H

#include "broker/worker_exchange.h"

enum validity {
    VALIDITY_GOOD,
    VALIDITY_LIMITED, /* good, as far as a provider can say that asks to wait */
    VALIDITY_BAD,
    VALIDITY_UNKNOWN, /* could not be checked: changes nothing */
};

/* What the end of a BURSAR_VALIDATE exchange means. */
enum validity worker_validity(const struct exchange_result *end);

/* The next stored key, where its time has come. ACTIVE secrets that nothing can refresh are walked
 * through one after the other, each about once in recheck_s, never two at a time and with at most half
 * of the provider's `rate`. A refused one becomes NEEDS_REAUTH as if it had been invalidated. When the
 * walk goes on stands in self->recheck_at_ms. */
void worker_recheck(struct worker *self);
/* What the walk keeps ends. */
void worker_recheck_end(struct worker *self);

#endif
