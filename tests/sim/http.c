/* In place of http/engine.c: a request travels to its provider and what comes back travels to the worker,
 * or is lost on the way, as chance has it. What was sent by a process that has crashed arrives too. */
#include "http/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "broker/memory.h"
#include "world.h"

enum { CONNECT_MS = 20, HTTPS_LEN = 8 };

struct exchange {
    struct event_node event;    /* first member */
    struct http_engine *engine; /* NULL: nobody waits for it any more */
    struct exchange *next, **link;
    http_done_fn *done;
    void *context;
    struct asked asked;
    bool is_refresh, is_answered;
    enum fate fate;
    int64_t began_ms, latency_ms, timeout_ms;
    struct told told;
};

struct http_engine {
    struct exchange *waiting, *ready;
};

struct http_engine *http_engine_new(const struct http_options *options)
{
    (void)options;
    return memory_new(sizeof(struct http_engine));
}

static void enlist(struct exchange **list, struct exchange *exchange)
{
    exchange->next = *list;
    exchange->link = list;
    if (*list)
        (*list)->link = &exchange->next;
    *list = exchange;
}

static void delist(struct exchange *exchange)
{
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
}

static void told_free(struct told *told)
{
    buf_free(&told->body);
    buf_free(&told->headers);
}

static void exchange_free(struct exchange *exchange)
{
    told_free(&exchange->told);
    free(exchange);
}

void http_engine_free(struct http_engine *engine)
{
    if (!engine)
        return;
    while (engine->ready) {
        struct exchange *exchange = engine->ready;
        delist(exchange);
        exchange_free(exchange);
    }
    for (struct exchange *exchange; (exchange = engine->waiting);) {
        delist(exchange);
        exchange->engine = NULL; /* its end is nobody's any more */
    }
    free(engine);
}

/* ---- the way there and back ---------------------------------------------------------------------- */

static void give_back(struct world *world, struct exchange *exchange)
{
    struct http_engine *engine = exchange->engine;
    if (!engine) {
        exchange_free(exchange);
        return;
    }
    delist(exchange);
    enlist(&engine->ready, exchange);
    process_wake(exchange->asked.provider, world->now_ms);
}

static void come_back(struct world *world, struct event_node *event)
{
    give_back(world, (struct exchange *)(void *)event);
}

static void arrive(struct world *world, struct event_node *event)
{
    struct exchange *exchange = (struct exchange *)(void *)event;
    bool is_hanging = exchange->fate == FATE_HANG_BEFORE || exchange->fate == FATE_HANG_AFTER;
    bool is_seen = exchange->fate == FATE_REPLY || exchange->fate == FATE_LOST_AFTER ||
                   exchange->fate == FATE_HANG_AFTER;
    if (is_seen && exchange->is_refresh)
        provider_answer(&exchange->asked, &exchange->told);
    else if (is_seen && exchange->asked.conn)
        provider_revoke(&exchange->asked);
    exchange->is_answered = exchange->fate == FATE_REPLY;
    exchange->event.fire = come_back;
    int64_t until_ms = is_hanging ? exchange->began_ms + exchange->timeout_ms
                                  : world->now_ms + exchange->latency_ms;
    world_at(world, &exchange->event, until_ms);
}

/* `name=` of a form, up to the next `&`; what is sent here needs no decoding. */
static struct text form_value(const struct buf *body, const char *name)
{
    const char *at = body->data ? strstr((const char *)body->data, name) : NULL;
    if (!at)
        return (struct text){NULL, 0};
    at += strlen(name);
    return (struct text){at, strcspn(at, "&")};
}

static struct provider *provider_of(struct world *world, const struct buf *url)
{
    const char *at = url->len > HTTPS_LEN ? (const char *)url->data + HTTPS_LEN : "";
    for (size_t i = 0; i < world->options.providers; i++) {
        size_t len = strlen(world->providers[i].name);
        if (strncmp(at, world->providers[i].name, len) == 0 && at[len] == '.')
            return &world->providers[i];
    }
    return NULL;
}

static void read_request(struct world *world, struct exchange *exchange,
                         const struct http_request *request)
{
    struct asked *asked = &exchange->asked;
    asked->provider = provider_of(world, &request->url);
    exchange->is_refresh = strstr((const char *)request->url.data, "/token") != NULL;
    struct text token =
        form_value(&request->body, exchange->is_refresh ? "refresh_token=" : "token=");
    asked->conn = token_read(world, token, 'r', &asked->consent, &asked->serial);
    if (asked->conn)
        asked->generation = asked->conn->intent_generation;
}

int http_start(struct http_engine *engine, struct http_request *request, http_done_fn *done,
               void *context)
{
    struct world *world = world_current();
    struct exchange *exchange = memory_new(sizeof *exchange);
    read_request(world, exchange, request);
    exchange->timeout_ms = request->timeout_ms;
    http_request_free(request);
    exchange->engine = engine;
    exchange->done = done;
    exchange->context = context;
    exchange->began_ms = world->now_ms;
    struct provider *provider = exchange->asked.provider;
    if (!provider)
        violation(world, NULL, "address", "a request went nowhere");
    if (!provider || !world_effect(world)) { /* it never leaves, and nobody hears of it again */
        exchange_free(exchange);
        return 0;
    }
    enlist(&engine->waiting, exchange);
    exchange->fate = provider_fate(provider);
    exchange->latency_ms = 1 + chance_wait(&world->chance, provider->latency_ms) / 2;
    world->figures.requests++;
    trace(world, "request", exchange->asked.conn ? exchange->asked.conn->index : UINT32_MAX,
          exchange->asked.serial, exchange->fate);
    if (exchange->is_refresh)
        book_counted(world, provider);
    if (exchange->is_refresh)
        book_sent(world, &exchange->asked);
    if (exchange->is_refresh)
        gates_sent(world, &exchange->asked);
    if (exchange->is_refresh)
        pause_sent(world, &exchange->asked);
    if (exchange->is_refresh && exchange->asked.conn)
        people_meddle(exchange->asked.conn);
    exchange->event.fire = exchange->fate == FATE_UNSENT ? come_back : arrive;
    world_at(world, &exchange->event,
             world->now_ms + (exchange->fate == FATE_UNSENT ? CONNECT_MS : exchange->latency_ms));
    return 0;
}

/* ---- what the worker gets -------------------------------------------------------------------------- */

static enum exchange_end end_of(const struct exchange *exchange)
{
    if (exchange->is_answered)
        return EXCHANGE_REPLY;
    return exchange->fate == FATE_UNSENT ? EXCHANGE_UNSENT : EXCHANGE_LOST;
}

static void deliver(struct world *world, struct exchange *exchange)
{
    struct http_reply reply = {.end = end_of(exchange),
                               .took_ms = world->now_ms - exchange->began_ms};
    if (reply.end == EXCHANGE_REPLY) {
        reply.status = exchange->told.status;
        reply.body = exchange->told.body;
        reply.headers = exchange->told.headers;
        exchange->told.body = exchange->told.headers = (struct buf){.data = NULL};
    } else {
        snprintf(reply.error, sizeof reply.error, "%s",
                 reply.end == EXCHANGE_UNSENT ? "no connection" : "the reply was lost");
    }
    if (exchange->is_refresh)
        gates_told(world, &exchange->asked, reply.end == EXCHANGE_REPLY ? &exchange->told : NULL,
                   exchange->began_ms);
    if (exchange->is_refresh && reply.end == EXCHANGE_REPLY)
        book_told(world, &exchange->asked, &exchange->told);
    else if (exchange->is_refresh && reply.end == EXCHANGE_LOST)
        book_lost(world, &exchange->asked);
    if (exchange->asked.conn && exchange->is_refresh)
        exchange->asked.conn->requests_open--;
    if (exchange->asked.conn && exchange->is_refresh)
        people_meddle(exchange->asked.conn);
    world->figures.lost_replies += reply.end == EXCHANGE_LOST;
    world->figures.unsent += reply.end == EXCHANGE_UNSENT;
    exchange->done(exchange->context, &reply);
    exchange_free(exchange);
}

void http_run(struct http_engine *engine, int timeout_ms, int wake_fd)
{
    struct world *world = world_current();
    (void)timeout_ms;
    (void)wake_fd;
    while (engine->ready) {
        struct exchange *exchange = engine->ready;
        delist(exchange);
        deliver(world, exchange);
    }
}
