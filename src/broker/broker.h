/* The broker: what its threads share, and how they are started and ended.
 * Thread: broker_start, _stop: the main thread. The shared parts do not change while it runs.
 *
 *     start: store -> zap -> publisher -> query -> workers -> dispatcher (it binds last: ready)
 *     stop:  the other way round, after the dispatcher has seen every job answered */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/mailbox.h"
#include "config/config.h"
#include "connector/connector.h"
#include "store/store.h"
#include "vault/keyring.h"

#define BROKER_DRAIN_MS 30000 /* flights under way at the end get so long */

struct dispatcher;
struct principals;
struct publisher;
struct query;
struct refs;
struct store_thread;
struct worker;
struct zap;

/* Read by every thread, written by none while the broker runs. */
struct broker {
    const struct config *config;
    const struct connectors *connectors;
    struct keyring *keyring; /* the query thread alone changes it */
    const struct store_engine *store;
    const char *store_where;
    void *zmq;          /* the ZeroMQ context */
    uid_t uid;          /* the daemon's own: it and root may speak */
    int64_t started_at; /* seconds since 1970 */
    char node[64];      /* names this process in intents */

    struct principals *principals; /* as they were when it started; held */
    struct store_thread *store_thread;
    struct publisher *publisher;
    struct query *query;
    struct zap *zap;
    struct worker **workers; /* one for each connector, by its index, and one for all other rows */
    size_t worker_count;
    struct dispatcher *dispatcher;
    struct refs *refs; /* what jobs name */
};

/* Starts everything; returns when jobs are taken. Borrows config and keyring until broker_stop().
 * On failure nothing runs and error has a line for people. */
int broker_start(struct broker *broker, const struct config *config,
                 const struct connectors *connectors, struct keyring *keyring, struct buf *error);

/* The principals of a configuration that was read again hold from now on. Copies them. */
void broker_reload(struct broker *broker, const struct config *config);

/* Takes no more jobs, finishes the flights, answers who waits, commits, ends the threads. */
void broker_stop(struct broker *broker);

/* Where the configuration says that the keys are. Borrows from it. */
struct keyring_source broker_keyring_source(const struct config *config);

/* The worker that owns a provider's connections; the last one where no connector has this id. */
size_t broker_worker_index(const struct broker *broker, struct text provider);
struct worker *broker_worker(const struct broker *broker, struct text provider);

#endif
