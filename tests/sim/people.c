/* Callers who want secrets, owners who connect and disconnect, operators who move things about. Each asks
 * the workers by the same jobs as a client's, and checks what is answered. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "broker/memory.h"
#include "broker/worker.h"
#include "vault/seal.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum {
    BODY_MAX = 1 << 16,
    PLAIN_MAX = 1 << 16,
    OWNERS_OF_EACH = 5, /* connections of one owner, about */
    ANSWER_MS = 2 * 3600 * 1000,
    DEADLINE_MS = 60000
};

/* How often somebody does something with a connection in the middle of its flight. */
#define MEDDLE 0.02

/* Who waits for an answer. */
struct caller {
    UT_hash_handle hh;
    uint64_t ticket;
    struct conn *conn;
    enum job_op op;
    bool is_force;
    uint64_t generation; /* when it asked */
    int64_t asked_ms;
};

void conn_owner(const struct conn *conn, char out[static OWNER_SIZE])
{
    const struct provider *provider = conn->provider;
    bool is_crowd =
        provider->world->options.is_tight && conn->index - provider->first < provider->count / 2;
    if (is_crowd)
        snprintf(out, OWNER_SIZE, "crowd");
    else
        snprintf(out, OWNER_SIZE, "owner%u", conn->index / OWNERS_OF_EACH);
}

void conn_account(const struct conn *conn, char out[static ACCOUNT_SIZE])
{
    snprintf(out, ACCOUNT_SIZE, "a%u", conn->index);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

struct question {
    struct buf body;
    struct pack map;
};

static void question_begin(struct question *question, const struct conn *conn, const char *op)
{
    char owner[OWNER_SIZE], account[ACCOUNT_SIZE];
    conn_owner(conn, owner);
    conn_account(conn, account);
    question->body = buf_make_secret(BODY_MAX);
    question->map = pack_map(&question->body);
    pack_string(&question->map, "op", op);
    pack_string(&question->map, "owner", owner);
    pack_string(&question->map, "provider", conn->provider->name);
    pack_string(&question->map, "account", account);
}

/* Sends what was asked to the worker, with somebody who waits for its answer. */
static void question_end(struct question *question, struct conn *conn)
{
    struct world *world = conn->provider->world;
    struct worker *worker = process_worker(conn->provider);
    pack_close(&question->map);
    struct request *request =
        worker ? request_new(buf_text(&question->body), true, ++world->last_ticket,
                             world->now_ms + chance_between(&world->chance, 1000, DEADLINE_MS))
               : NULL;
    buf_free(&question->body);
    if (!request)
        return;
    struct caller *caller = memory_new(sizeof *caller);
    *caller = (struct caller){.ticket = world->last_ticket,
                              .conn = conn,
                              .op = request->job.op,
                              .is_force = request->job.force,
                              .generation = conn->generation,
                              .asked_ms = world->now_ms};
    if (!worker_send(worker, request)) {
        request_free(request);
        free(caller);
        return;
    }
    HASH_ADD(hh, world->callers, ticket, sizeof caller->ticket, caller);
}

static void ask(struct conn *conn, const char *op, const char *flag)
{
    struct question question;
    question_begin(&question, conn, op);
    if (flag)
        pack_bool(&question.map, flag, true);
    question_end(&question, conn);
}

void people_connect(struct conn *conn)
{
    struct world *world = conn->provider->world;
    struct question question;
    struct buf access_token = buf_make_secret(BODY_MAX), refresh_token = buf_make_secret(BODY_MAX);
    provider_consent(conn, &access_token, &refresh_token);
    question_begin(&question, conn, "credential.put");
    pack_int(&question.map, "expires_at", world_wall_s(world) + conn->provider->token_life_s);
    struct pack secret = pack_map_in(&question.map, "secret");
    pack_string(&secret, "kind", "oauth2");
    pack_text(&secret, "access_token", buf_text(&access_token));
    pack_text(&secret, "refresh_token", buf_text(&refresh_token));
    pack_close(&secret);
    question_end(&question, conn);
    buf_free(&access_token);
    buf_free(&refresh_token);
}

static void vend(struct conn *conn)
{
    struct world *world = conn->provider->world;
    struct question question;
    question_begin(&question, conn, "vend");
    if (chance_is(&world->chance, 0.2))
        pack_int(&question.map, "min_ttl_s",
                 (int64_t)chance_below(&world->chance, (uint64_t)conn->provider->token_life_s));
    question_end(&question, conn);
    world->figures.vends++;
}

static void invalidate(struct conn *conn)
{
    struct question question;
    question_begin(&question, conn, "invalidate");
    if (conn->generation > 0)
        pack_uint(&question.map, "generation", conn->generation);
    pack_bool(&question.map, "vend", chance_is(&conn->provider->world->chance, 0.5));
    question_end(&question, conn);
}

/* ---- days of people ---------------------------------------------------------------------------------- */

static void manage(struct world *world, struct conn *conn, uint64_t dice)
{
    if (dice < 10)
        people_connect(conn);
    else if (dice < 16)
        ask(conn, "connection.revoke", chance_is(&world->chance, 0.5) ? "at_provider" : NULL);
    else if (dice < 18)
        ask(conn, "connection.delete", NULL);
    else if (dice < 24)
        ask(conn, "connection.restore", NULL);
    else
        conn->grant.is_alive = conn->grant.is_alive && dice > 26; /* in the provider's own pages */
}

void people_meddle(struct conn *conn)
{
    struct world *world = conn->provider->world;
    if (world->is_calm || !chance_is(&world->chance, MEDDLE * world->options.faults))
        return;
    switch (chance_below(&world->chance, 6)) {
    case 0: ask(conn, "connection.revoke", NULL); break;
    case 1: ask(conn, "connection.delete", NULL); break;
    case 2: invalidate(conn); break;
    default: people_connect(conn);
    }
}

/* Whoever finds a connection dead has its owner connect it again, now or later. */
static bool mends(struct world *world, struct conn *conn)
{
    bool is_gone = conn->id[0] == 0 && conn->grant.consent > 0;
    if (conn->state == CONN_REVOKED && chance_is(&world->chance, 0.3))
        ask(conn, "connection.restore", NULL);
    else if ((is_gone || conn->state == CONN_NEEDS_REAUTH || conn->state == CONN_IN_DOUBT) &&
             chance_is(&world->chance, 0.2))
        people_connect(conn);
    else
        return false;
    return true;
}

static void call(struct world *world, struct event_node *event)
{
    struct provider *provider =
        (struct provider *)(void *)((char *)event - offsetof(struct provider, callers));
    struct conn *conn =
        &world->conns[provider->first + chance_below(&world->chance, provider->count)];
    uint64_t dice = chance_below(&world->chance, 1000);
    int64_t mean_ms = world->options.is_large   ? 10 * MINUTE_MS
                      : world->options.is_tight ? 30 * MINUTE_MS
                                                : MINUTE_MS;
    if (!world->is_calm)
        world_at(world, event, world->now_ms + chance_wait(&world->chance, mean_ms));
    if (!world->is_up || conn->grant.consent == 0 || mends(world, conn))
        return;
    if (dice < 30 && world->options.faults > 0)
        manage(world, conn, dice);
    else if (dice < 80)
        ask(conn, "refresh", "force");
    else if (dice < 110)
        ask(conn, "refresh", NULL);
    else if (dice < 140)
        ask(conn, "refresh", "async");
    else if (dice < 190)
        invalidate(conn);
    else if (dice < 210)
        ask(conn, "connection.get", NULL);
    else
        vend(conn);
}

/* They come in crowds: a tenant's import connects many at a time. */
static void arrive(struct world *world, struct event_node *event)
{
    size_t crowd = world->options.is_large ? 500 : 5;
    for (size_t i = 0; i < crowd && world->arrived < world->options.connections; i++) {
        if (!world->is_up)
            break;
        people_connect(&world->conns[world->arrived++]);
    }
    if (world->arrived < world->options.connections)
        world_at(world, event,
                 world->now_ms + chance_wait(&world->chance, world->options.is_large
                                                                 ? 10 * SECOND_MS
                                                                 : 30 * SECOND_MS));
}

void people_begin(struct world *world)
{
    world->arrivals.fire = arrive;
    world_at(world, &world->arrivals, world->now_ms + 1);
    for (size_t i = 0; i < world->options.providers; i++) {
        world->providers[i].callers.fire = call;
        world_at(world, &world->providers[i].callers,
                 world->now_ms + chance_wait(&world->chance, MINUTE_MS));
    }
}

/* ---- answers ------------------------------------------------------------------------------------------ */

/* What is served is the newest committed secret of this very connection. */
static void check_secret(struct world *world, const struct caller *caller, const struct warm *entry)
{
    const struct conn *conn = caller->conn;
    uint32_t consent, access;
    struct buf plain = buf_make_secret(PLAIN_MAX);
    struct seal_place place = {entry->owner, entry->id, SEAL_SECRET, entry->generation};
    if (conn->held_since_ms > 0 && caller->asked_ms > conn->held_since_ms)
        violation(world, conn, "frozen", "a secret is served that was acknowledged as frozen");
    if (entry->generation != conn->generation)
        violation(world, conn, "answer", "another generation is served than was committed last");
    if (caller->is_force && entry->generation <= caller->generation)
        violation(world, conn, "answer", "a forced refresh gives the generation from before it");
    if (unseal(world->keyring, &place, entry->secret, &plain) < 0 ||
        tree_fill(world->tree, buf_text(&plain)) < 0 ||
        token_read(world, doc_part(tree_root(world->tree), "access_token"), 'a', &consent,
                   &access) != conn)
        violation(world, conn, "answer", "what is served is not this connection's");
    buf_free(&plain);
}

/* Whether the connection is in a state that may refuse so. */
static bool is_true(const struct conn *conn, int error)
{
    switch (error) {
    case BURSAR_E_NEEDS_REAUTH: return conn->state == CONN_NEEDS_REAUTH;
    case BURSAR_E_IN_DOUBT: return conn->state == CONN_IN_DOUBT;
    case BURSAR_E_REVOKED: return conn->state == CONN_REVOKED;
    case BURSAR_E_FROZEN:
        return conn->state == CONN_FROZEN || operator_may_hold(conn->provider->world, conn);
    case BURSAR_E_NOT_CONNECTED: return conn->id[0] == 0 || conn->state == CONN_PENDING;
    case BURSAR_E_INTERNAL: return false;
    default: return true;
    }
}

void people_answered(struct world *world, const struct answer *answer, uint64_t ticket)
{
    struct caller *caller = NULL;
    HASH_FIND(hh, world->callers, &ticket, sizeof ticket, caller);
    if (!caller) {
        violation(world, NULL, "answer", "a caller is answered twice");
        return;
    }
    world->figures.answers++;
    world->figures.refusals_of_callers += answer->error < 0;
    trace(world, "told", caller->conn->index, (uint64_t)(-answer->error),
          answer->entry ? answer->entry->generation : 0);
    if (answer->error == 0 && answer->entry)
        check_secret(world, caller, answer->entry);
    if (!is_true(caller->conn, answer->error))
        violation(world, caller->conn, "answer", "a refusal that the connection does not bear out");
    HASH_DEL(world->callers, caller);
    free(caller);
}

void people_forget(struct world *world)
{
    struct caller *caller, *next;
    HASH_ITER(hh, world->callers, caller, next) {
        HASH_DEL(world->callers, caller);
        free(caller);
    }
}

void people_check(struct world *world, bool is_last)
{
    struct caller *caller, *next;
    HASH_ITER(hh, world->callers, caller, next) {
        int64_t since_ms = caller->asked_ms; /* or since the broker was last kept from its work */
        if (since_ms < world->disturbed_ms)
            since_ms = world->disturbed_ms;
        if (!is_last && world->now_ms - since_ms < ANSWER_MS)
            continue;
        violation(world, caller->conn, "answer", "a caller was never answered");
        HASH_DEL(world->callers, caller);
        free(caller);
    }
}
