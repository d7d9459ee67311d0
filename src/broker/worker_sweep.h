/* Sweeps: what a worker does of them, and a provider's pause.
 * Thread: the worker's.
 *
 * The parts of a provider are walked through one after the other, in the order in which their sweeps
 * were begun. Each batch is one transaction (store/sweep.h). Until the walk of a freeze has come to a row
 * that it selects, the row is treated as FROZEN here already. A revocation at the provider is asked for
 * behind the walk, and does not hold up the walks of later parts. */
#ifndef BROKER_WORKER_SWEEP_H
#define BROKER_WORKER_SWEEP_H

#include <stdbool.h>

#include "broker/worker_parts.h"

/* At start: the parts that are open, and whether the provider is paused. 0, or what the store says. */
int worker_sweep_start(struct worker *self);
/* A sweep was begun or cancelled. Takes the message. */
void worker_sweep_changed(struct worker *self, struct sweep_message *message);
/* Whether every freeze that it was told of is known, which is looked up here where it is not. Where the store cannot
 * be read, nobody knows whom a freeze has selected that was acknowledged: then nobody gets a secret. */
bool worker_sweep_knows_all(struct worker *self);
/* Goes on with what there is to do now; when it goes on stands in self->sweep_at_ms. */
void worker_sweep(struct worker *self);
/* The parts end, as the worker does. */
void worker_sweep_end(struct worker *self);

/* Whether a freeze that is under way has selected the row and not come to it yet. */
bool worker_is_swept(const struct worker *self, const struct conn_row *row);

/* provider.pause and .resume. Takes the request. */
void worker_pause(struct worker *self, struct request *request);

#endif
