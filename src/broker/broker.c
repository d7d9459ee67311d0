#include "broker/broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zmq.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/message.h"
#include "broker/publisher.h"
#include "broker/query.h"
#include "broker/refs.h"
#include "broker/store_thread.h"
#include "broker/worker.h"
#include "broker/zap.h"

enum { SOCKETS_MAX = 65536 };

static int start_workers(struct broker *broker, struct buf *error)
{
    size_t count = broker->connectors->count;
    int result = 0;
    broker->workers = memory_new((count + 1) * sizeof *broker->workers);
    for (size_t i = 0; i <= count && result == 0; i++) {
        const struct connector *connector = i < count ? &broker->connectors->items[i] : NULL;
        result = worker_start(broker, connector, &broker->workers[i], error);
        broker->worker_count += result == 0;
    }
    return result;
}

/* Needs the store, which brings its file up to date first. */
static int read_principals(struct broker *broker, struct buf *error)
{
    struct store_reader *reader = NULL;
    const struct config *config = broker->config;
    int result = broker->store->reader_open(broker->store_where, &reader, error);
    if (result == 0)
        result = principals_read(broker, reader, config->principals, config->principal_count,
                                 &broker->principals);
    broker->store->reader_close(reader);
    return result;
}

static int start_all(struct broker *broker, struct buf *error)
{
    int result = store_thread_start(broker, &broker->store_thread, error);
    if (result == 0)
        result = read_principals(broker, error);
    if (result == 0)
        result = dispatcher_new(broker, &broker->dispatcher);
    if (result == 0)
        result = zap_start(broker, &broker->zap, error);
    if (result == 0)
        result = publisher_start(broker, &broker->publisher, error);
    if (result == 0)
        result = query_start(broker, &broker->query, error);
    if (result == 0)
        result = start_workers(broker, error);
    if (result == 0)
        result = dispatcher_start(broker->dispatcher, error);
    for (size_t i = 0; i < broker->worker_count && result == 0; i++)
        worker_open(broker->workers[i]);
    if (result == 0)
        publisher_look_after_workers(broker->publisher);
    return result;
}

int broker_start(struct broker *broker, const struct config *config,
                 const struct connectors *connectors, struct keyring *keyring, struct buf *error)
{
    *broker = (struct broker){.config = config,
                              .connectors = connectors,
                              .keyring = keyring,
                              .uid = geteuid(),
                              .started_at = clock_wall_s()};
    broker->store = store_engine_of(config->store, &broker->store_where);
    if (!broker->store) {
        buf_printf(error, "store: no engine for %s", config->store);
        return BURSAR_E_CONFIG;
    }
    snprintf(broker->node, sizeof broker->node, "%ld-%lld", (long)getpid(),
             (long long)broker->started_at);
    int result = 0;
    broker->refs = refs_new(connectors->count);
    broker->zmq = zmq_ctx_new();
    if (!broker->zmq || zmq_ctx_set(broker->zmq, ZMQ_MAX_SOCKETS, SOCKETS_MAX) < 0 ||
        zmq_ctx_set(broker->zmq, ZMQ_IO_THREADS, config->io_threads) < 0)
        result = BURSAR_E_NOMEM;
    if (result == 0)
        result = start_all(broker, error);
    if (result < 0)
        broker_stop(broker);
    return result;
}

void broker_reload(struct broker *broker, const struct config *config)
{
    struct reload_message *message = memory_new(sizeof *message);
    message->message.type = MESSAGE_RELOAD;
    message->items = memory_new((config->principal_count + 1) * sizeof *message->items);
    for (size_t i = 0; i < config->principal_count; i++) {
        if (!principal_copy(&config->principals[i], &message->items[message->count++]))
            abort();
    }
    query_send_reload(broker->query, message);
}

void broker_stop(struct broker *broker)
{
    dispatcher_stop(broker->dispatcher);
    for (size_t i = 0; i < broker->worker_count; i++)
        worker_stop(broker->workers[i]);
    query_stop(broker->query);
    store_thread_stop(broker->store_thread);
    publisher_stop(broker->publisher);
    for (size_t i = 0; i < broker->worker_count; i++)
        worker_free(broker->workers[i]);
    free(broker->workers);
    zap_stop(broker->zap);
    dispatcher_free(broker->dispatcher);
    refs_free(broker->refs);
    principals_release(broker->principals);
    if (broker->zmq)
        zmq_ctx_term(broker->zmq);
    *broker = (struct broker){0};
}

struct keyring_source broker_keyring_source(const struct config *config)
{
    return (struct keyring_source){config->keyring, secret_text(&config->keyring_passphrase)};
}

size_t broker_worker_index(const struct broker *broker, struct text provider)
{
    const struct connector *connector = connectors_find(broker->connectors, provider);
    return connector ? (size_t)(connector - broker->connectors->items) : broker->connectors->count;
}

struct worker *broker_worker(const struct broker *broker, struct text provider)
{
    return broker->workers[broker_worker_index(broker, provider)];
}
