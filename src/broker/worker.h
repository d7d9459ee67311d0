/* A worker: owns the connections of one provider, their flights, due times and HTTP connections.
 * Thread: start and stop: the main thread; worker_send and worker_figures: any.
 *
 *     worker.c         the thread: messages, timers
 *     worker_gate.c    what may be sent, and when: budgets, breaker, fleet guard
 *     worker_availability.c  how early a refresh has to be
 *     worker_incident.c  faults that are no connection's
 *     worker_plan.c    what is due without anybody asking, and reminders
 *     worker_vend.c    vend, refresh, invalidate: decide from the row, answer, or join a flight
 *     worker_flight.c  one refresh from its intent to its commit
 *     worker_conclude.c  what a reply, or none, means for the row
 *     worker_admin.c   put, create, get, update, revoke, restore, delete
 *     worker_client.c  our client's secrets: which one is shown, and when one ends
 *     worker_sweep.c   many connections moved at once; a provider's pause
 *     worker_rest.c    a thread that has nothing to do ends, and comes back
 *     worker_resume.c  at start: intents that an earlier process left open */
#ifndef BROKER_WORKER_H
#define BROKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "broker/message.h"
#include "policy/gate.h"

/* connector NULL: the worker of all rows whose provider is not configured. */
int worker_start(const struct broker *broker, const struct connector *connector,
                 struct worker **out_worker, struct buf *error);
/* Until this is called nothing is begun by the worker itself: a start that fails further on must not cut
 * off requests that are with providers. */
void worker_open(struct worker *worker);
/* It begins nothing new, and tells the dispatcher with MESSAGE_DRAINED when no flight is left. */
void worker_drain(struct worker *worker);
/* Ends the thread; writes that are with the store may still come back. */
void worker_stop(struct worker *worker);
/* After the store thread has ended. */
void worker_free(struct worker *worker);

/* Takes the request; false, with the request left to the caller, where WORKER_QUEUE_MAX are there
 * already, on their way or waiting for a flight, or where it rests and no thread can be started for it. */
#define WORKER_QUEUE_MAX 65536
bool worker_send(struct worker *worker, struct request *request);
/* A sweep was cancelled: the worker looks which there are. */
void worker_send_sweep(struct worker *worker);
/* A sweep has begun with a part of this provider. has_hold: the worker owes the dispatcher the end of one hold. */
void worker_send_sweep_begun(struct worker *worker, struct text sweep, struct text provider,
                             bool has_hold);

/* Wakes it where something falls due before long and it rests (broker/worker_rest.h). Any thread. */
void worker_wake_due(struct worker *worker);

/* Another key is active: what flights hold is wrapped under it. MESSAGE_KEYS goes back. */
void worker_send_keys(struct worker *worker, struct mailbox *reply_to);

struct worker_figures {
    uint64_t queue;             /* requests that wait for a flight */
    uint64_t in_flight;         /* flights, those that back off included */
    uint64_t refreshed, failed; /* attempts since the start */
    uint64_t p50_ms, p99_ms; /* of token requests that were answered, upper bounds by powers of 2 */
    enum gate_reason gate;   /* what holds refreshing back */
    enum breaker_state breaker;
    int64_t gate_wait_ms; /* until it may go on; -1: not known */
    int64_t budget_left;  /* refreshes that may go out at once; INT64_MAX: no ceiling is known */
    int64_t room_1h;      /* that may go out within the hour; INT64_MAX: no ceiling is known */
    int64_t waiting;      /* refreshes that wait for their turn */
    bool has_next_secret; /* requests show client_secret_next */
    int64_t paused_since; /* an operator stopped it; seconds since 1970, 0: it is not */
    int64_t covered_s,
        missing_s;  /* time of secrets since the start, and how much of it none was good */
    int64_t lead_s; /* that the wanted availability asks for, of the last secret; 0: nothing */
};
struct worker_figures worker_figures(struct worker *worker);

#endif
