/* Which worker a job belongs to.
 * Thread: any; pure but for the names it writes into the job. */
#ifndef BROKER_ROUTE_H
#define BROKER_ROUTE_H

#include "broker/broker.h"
#include "broker/worker.h"
#include "wire/job.h"

/* The worker of the job's connection, provider, shared credential or consent; NULL with the refusal in
 * out_error and error (cleared first). A `ref` is replaced by what it stands for; one
 * that the principal may not use is as one that there is not, and only those that it may use are named. */
struct worker *route_job(const struct broker *broker, const struct principal *principal,
                         struct job *job, struct buf *error, int *out_error);

/* Whether a job is about many connections at once, and not about one that it names. */
bool route_is_sweep(const struct job *job);
/* Whether it asks the audit log. */
bool route_is_audit(const struct job *job);
/* Whether the query thread answers it. */
bool route_is_query(const struct job *job);

#endif
