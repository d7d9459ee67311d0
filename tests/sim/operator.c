/* Operators who freeze, thaw and revoke many at once, through the query thread's own code (broker/query_sweep.c), and what
 * must be true of it: what is acknowledged as frozen is, nobody who was selected is passed over, each is moved once, and
 * what a freeze holds back is let go when it ends. Also in place of broker/query.c and of what broker.c finds workers by. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/query_parts.h"
#include "broker/worker.h"
#include "wire/pack.h"

enum {
    BODY_MAX = 1 << 12,
    ASKED_MS = 600 * 1000,
    EVERY_MS = 90 * 60 * 1000,
    EVERY_LARGE_MS = 3 * 24 * 3600 * 1000,
    LASTS_MS = 15 * 60 * 1000 /* about, until what was frozen is thawed */
};

struct sim_sweep {
    struct event_node event; /* first member: when it is undone or cancelled */
    struct sim_sweep *next;
    uint64_t ticket;
    char id[SWEEP_ID_SIZE];
    enum sweep_action action;
    const struct provider *provider; /* NULL: any */
    char owner[OWNER_SIZE];          /* empty: any */
    bool is_committed, is_cancelled;
    size_t parts;                /* whose walk has not ended */
    uint8_t *selected, *touched; /* of each connection */
};

/* ---- the query thread ------------------------------------------------------------------------------- */

size_t broker_worker_index(const struct broker *broker, struct text provider)
{
    const struct connector *connector = connectors_find(broker->connectors, provider);
    return connector ? (size_t)(connector - broker->connectors->items) : broker->connectors->count;
}

struct worker *broker_worker(const struct broker *broker, struct text provider)
{
    return broker->workers[broker_worker_index(broker, provider)];
}

/* Nobody waits for an end here. */
void query_sweep_ended(struct query *self, struct text sweep)
{
    (void)self, (void)sweep;
}

void operator_take(struct world *world)
{
    struct query *self = world->query;
    if (!self)
        return;
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        struct write_message *message = (struct write_message *)mail;
        next = mail->next;
        self->writes--;
        message->done(message->context, message);
    }
}

static void take(struct world *world, struct event_node *event)
{
    (void)event;
    operator_take(world);
}

bool operator_wake(struct world *world, const struct mailbox *box)
{
    if (!world->query || box != &world->query->inbox)
        return false;
    world->query_event.fire = take;
    if (!world->is_dead)
        world_at(world, &world->query_event, world->now_ms);
    return true;
}

void operator_start(struct world *world)
{
    if (!world->query) {
        world->query = memory_new(sizeof *world->query);
        world->query->broker = &world->broker;
        mailbox_init(&world->query->inbox);
    }
    world->query->reader = world->reader;
    if (!world->broker.workers)
        world->broker.workers = memory_new(world->options.providers * sizeof(struct worker *));
    world->broker.worker_count = world->options.providers;
    for (size_t i = 0; i < world->options.providers; i++) {
        struct provider *provider = &world->providers[i];
        world->broker.workers[broker_worker_index(&world->broker, text_of(provider->name))] =
            process_worker(provider);
    }
}

/* Who asked the process that has gone hears nothing more; what it had committed goes on. */
void operator_stop(struct world *world)
{
    for (struct sim_sweep *sweep = world->swept; sweep; sweep = sweep->next)
        sweep->ticket = 0;
    for (size_t i = 0; i < world->options.providers; i++)
        world->providers[i].held = 0;
    world_cancel(world, &world->query_event);
}

void operator_free(struct world *world)
{
    for (struct sim_sweep *sweep = world->swept, *next; sweep; sweep = next) {
        next = sweep->next;
        world_cancel(world, &sweep->event);
        free(sweep->selected);
        free(sweep->touched);
        free(sweep);
    }
    free(world->query);
    free(world->broker.workers);
}

/* ---- what they do ----------------------------------------------------------------------------------- */

static void ask(struct world *world, struct buf *body, uint64_t ticket)
{
    struct request *request = request_new(buf_text(body), false, ticket, world->now_ms + ASKED_MS);
    if (request)
        query_change_sweep(world->query, request);
    buf_free(body);
}

static void begin(struct world *world, enum sweep_action action, const struct provider *provider,
                  const char *owner)
{
    static const char *const ops[] = {[SWEEP_FREEZE] = "connection.freeze",
                                      [SWEEP_THAW] = "connection.thaw",
                                      [SWEEP_REVOKE] = "connection.revoke"};
    struct sim_sweep *sweep = memory_new(sizeof *sweep);
    struct buf body = buf_make(BODY_MAX);
    *sweep = (struct sim_sweep){.next = world->swept,
                                .ticket = ++world->last_ticket,
                                .action = action,
                                .provider = provider};
    snprintf(sweep->owner, sizeof sweep->owner, "%s", owner);
    world->swept = sweep;
    struct pack map = pack_map(&body);
    pack_string(&map, "op", ops[action]);
    if (chance_is(&world->chance, 0.3))
        pack_uint(&map, "rate_per_s", 1 + chance_below(&world->chance, 5));
    if (action == SWEEP_REVOKE && chance_is(&world->chance, 0.5))
        pack_bool(&map, "at_provider", true);
    struct pack select = pack_map_in(&map, "select");
    if (provider)
        pack_string(&select, "provider", provider->name);
    if (owner[0] != 0)
        pack_string(&select, "owner", owner);
    pack_close(&select);
    pack_close(&map);
    ask(world, &body, sweep->ticket);
}

static void cancel(struct world *world, const struct sim_sweep *sweep)
{
    struct buf body = buf_make(BODY_MAX);
    struct pack map = pack_map(&body);
    pack_string(&map, "op", "sweep.cancel");
    pack_string(&map, "sweep", sweep->id);
    pack_close(&map);
    ask(world, &body, TICKET_NONE);
}

/* What was frozen is thawed after a while; a revocation is what owners have to mend. */
static void undo(struct world *world, struct event_node *event)
{
    struct sim_sweep *sweep = (struct sim_sweep *)(void *)event;
    if (!world->is_up || world->is_stopping)
        world_at(world, event, world->now_ms + chance_wait(&world->chance, MINUTE_MS));
    else if (!sweep->is_cancelled)
        begin(world, SWEEP_THAW, sweep->provider, sweep->owner);
}

static void act(struct world *world, struct event_node *event)
{
    char owner[OWNER_SIZE] = "";
    struct provider *provider =
        &world->providers[chance_below(&world->chance, world->options.providers)];
    uint64_t dice = chance_below(&world->chance, 10);
    conn_owner(&world->conns[provider->first + chance_below(&world->chance, provider->count)],
               owner);
    if (!world->is_calm)
        world_at(world, event,
                 world->now_ms + chance_wait(&world->chance,
                                             world->options.is_large ? EVERY_LARGE_MS : EVERY_MS));
    if (!world->is_up || world->is_stopping || world->is_calm)
        return;
    if (dice == 9)
        begin(world, SWEEP_THAW, provider, "");
    else if (dice < 2)
        begin(world, SWEEP_REVOKE, provider, owner);
    else
        begin(world, SWEEP_FREEZE, dice < 8 ? provider : NULL, dice < 6 ? "" : owner);
}

void operator_begin(struct world *world)
{
    if (world->options.faults <= 0)
        return;
    world->operators.fire = act;
    world_at(world, &world->operators, world->now_ms + chance_wait(&world->chance, HOUR_MS));
}

/* ---- what was acknowledged -------------------------------------------------------------------------- */

static void acknowledge(struct world *world, struct sim_sweep *sweep)
{
    for (size_t i = 0; i < world->options.connections; i++) {
        struct conn *conn = &world->conns[i];
        if (sweep->action == SWEEP_FREEZE && sweep->selected[i] && !sweep->touched[i] &&
            conn->freezes > 0 && conn->held_since_ms == 0)
            conn->held_since_ms = world->now_ms;
    }
    if (chance_is(&world->chance, 0.3)) {
        cancel(world, sweep);
    } else if (sweep->action == SWEEP_FREEZE) {
        sweep->event.fire = undo;
        world_at(world, &sweep->event, world->now_ms + chance_wait(&world->chance, LASTS_MS));
    }
}

bool operator_answered(struct world *world, const struct answer *answer, uint64_t ticket)
{
    struct sim_sweep *sweep = world->swept;
    while (sweep && sweep->ticket != ticket)
        sweep = sweep->next;
    if (!sweep)
        return ticket == TICKET_NONE;
    sweep->ticket = 0;
    if (answer->error == 0 && !sweep->is_committed)
        violation(world, NULL, "sweep", "one is acknowledged that was not committed");
    if (answer->error == 0 && !world->is_calm)
        acknowledge(world, sweep);
    return true;
}

/* ---- what was committed ----------------------------------------------------------------------------- */

static struct sim_sweep *find(struct world *world, struct text id)
{
    struct sim_sweep *sweep = world->swept;
    while (sweep && !text_is(id, sweep->id))
        sweep = sweep->next;
    return sweep;
}

static bool selects(const struct sim_sweep *sweep, const struct conn *conn)
{
    char owner[OWNER_SIZE];
    conn_owner(conn, owner);
    return conn->id[0] != 0 && (!sweep->provider || conn->provider == sweep->provider) &&
           (sweep->owner[0] == 0 || strcmp(sweep->owner, owner) == 0);
}

static bool can_freeze(const struct conn *conn)
{
    return conn->state != CONN_NONE && conn->state != CONN_REVOKED && conn->state != CONN_FROZEN;
}

/* The oldest one that is not committed yet of this kind: they are committed in their order. */
void operator_swept(struct world *world, const struct store_change *change)
{
    const struct sweep_change *given = change->sweep;
    struct sim_sweep *sweep = NULL;
    for (struct sim_sweep *at = world->swept; at; at = at->next) {
        bool is_it =
            !at->is_committed && at->action == given->action && at->ticket != 0 &&
            text_equal(given->selection.owner.data ? given->selection.owner : text_of(""),
                       text_of(at->owner)) &&
            text_equal(given->selection.provider,
                       at->provider ? text_of(at->provider->name) : (struct text){NULL, 0});
        sweep = is_it ? at : sweep;
    }
    if (!sweep)
        return; /* of a process that crashed behind this commit: nobody was told */
    world->figures.sweeps++;
    sweep->is_committed = true;
    sweep->parts = given->share_count;
    snprintf(sweep->id, sizeof sweep->id, "%.*s", (int)given->sweep.len, given->sweep.data);
    sweep->selected = memory_new(world->options.connections);
    sweep->touched = memory_new(world->options.connections);
    for (size_t i = 0; i < world->options.connections; i++) {
        struct conn *conn = &world->conns[i];
        sweep->selected[i] = selects(sweep, conn);
        if (sweep->selected[i] && sweep->action == SWEEP_FREEZE)
            conn->freezes++;
    }
}

/* It is one fewer that holds the connection back. */
static void let_go(struct world *world, struct sim_sweep *sweep, struct conn *conn)
{
    if (sweep->action != SWEEP_FREEZE || !sweep->selected[conn->index] ||
        sweep->touched[conn->index] || conn->freezes == 0)
        return;
    if (--conn->freezes == 0) {
        conn->held_since_ms = 0;
        conn->freed_ms = world->now_ms;
    }
}

bool operator_may_hold(const struct world *world, const struct conn *conn)
{
    bool was_held = conn->freed_ms > 0 && world->now_ms - conn->freed_ms < MINUTE_MS;
    for (const struct sim_sweep *sweep = world->swept; sweep && !was_held; sweep = sweep->next)
        was_held = sweep->is_committed && !sweep->is_cancelled && sweep->parts > 0 &&
                   sweep->action == SWEEP_FREEZE && selects(sweep, conn);
    return was_held || world->now_ms - world->disturbed_ms < MINUTE_MS;
}

void operator_forget(struct world *world, struct conn *conn)
{
    for (struct sim_sweep *sweep = world->swept; sweep; sweep = sweep->next) {
        if (sweep->is_committed)
            sweep->selected[conn->index] = 0;
    }
    conn->freezes = 0;
    conn->held_since_ms = 0;
    conn->freed_ms = world->now_ms;
}

static bool has_event(const struct store_batch *batch, enum event_type type, const char *id)
{
    char begins[32];
    size_t id_len = strlen(id);
    snprintf(begins, sizeof begins, "%s/", event_type_name(type));
    for (size_t i = 0; i < batch->event_count; i++) {
        struct text topic = batch->events[i].topic;
        if (topic.len > id_len && memcmp(topic.data, begins, strlen(begins)) == 0 &&
            memcmp(topic.data + topic.len - id_len, id, id_len) == 0)
            return true;
    }
    return false;
}

/* What the contract makes of a row; true where it moves. */
static bool move(struct conn *conn, enum sweep_action action, enum event_type *out_event)
{
    enum conn_state before = conn->state;
    *out_event = action == SWEEP_FREEZE ? EVENT_FROZEN
                 : action == SWEEP_THAW ? EVENT_THAWED
                                        : EVENT_REVOKED;
    if (action == SWEEP_FREEZE && can_freeze(conn))
        conn->state = CONN_FROZEN;
    else if (action == SWEEP_THAW && before == CONN_FROZEN)
        conn->state = conn->prior_state;
    else if (action == SWEEP_REVOKE && before != CONN_REVOKED)
        conn->state = CONN_REVOKED;
    else
        return false;
    if (before != CONN_FROZEN && before != CONN_REVOKED)
        conn->prior_state = before;
    return true;
}

static size_t touch(struct world *world, const struct store_batch *batch, struct sim_sweep *sweep,
                    enum sweep_action action, struct conn *conn)
{
    enum event_type event;
    if (sweep) {
        if (sweep->touched[conn->index])
            violation(world, conn, "sweep", "it is moved twice by the same sweep");
        let_go(world, sweep, conn);
        sweep->touched[conn->index] = 1;
    }
    world->figures.swept++;
    if (!move(conn, action, &event))
        return 0;
    conn->due_known_ms =
        world
            ->now_ms; /* for one that is active again: what was due long before is so from now on */
    if (!has_event(batch, event, conn->id))
        violation(world, conn, "event", "a sweep's move has no event");
    return 1;
}

size_t operator_stepped(struct world *world, const struct store_batch *batch,
                        const struct store_change *change)
{
    const struct sweep_change *step = change->sweep;
    struct sim_sweep *sweep = find(world, step->sweep);
    size_t events = 0;
    if (sweep && step->is_last && sweep->parts > 0)
        sweep->parts--;
    world->freed_ms = world->now_ms;
    for (size_t i = 0; i < step->connection_count; i++) {
        struct conn *conn = book_find(world, step->connections[i]);
        if (conn)
            events += touch(world, batch, sweep, step->action, conn);
    }
    for (size_t i = 0; sweep && step->is_last && i < world->options.connections; i++) {
        struct conn *conn = &world->conns[i];
        if (sweep->selected[i] && !sweep->touched[i] && conn->id[0] != 0 &&
            text_is(change->provider, conn->provider->name)) {
            violation(world, conn, "sweep", "it was selected, and is passed over");
            let_go(world, sweep, conn);
        }
    }
    return events;
}

void operator_cancelled(struct world *world, const struct store_change *change)
{
    struct sim_sweep *sweep = find(world, change->sweep->sweep);
    if (!sweep || sweep->is_cancelled)
        return;
    world->figures.cancelled_sweeps++;
    sweep->is_cancelled = true;
    world->freed_ms = world->now_ms;
    for (size_t i = 0; i < world->options.connections; i++)
        let_go(world, sweep, &world->conns[i]);
}

/* ---- the end ---------------------------------------------------------------------------------------- */

static bool note_end(void *context, const struct sweep_row *row)
{
    *(bool *)context = row->ended_at != 0;
    return true;
}

/* Whether no freeze is under way, and none was for a while. */
static bool is_quiet(const struct world *world)
{
    for (const struct sim_sweep *sweep = world->swept; sweep; sweep = sweep->next) {
        if (sweep->action == SWEEP_FREEZE &&
            (sweep->ticket != 0 ||
             (sweep->is_committed && !sweep->is_cancelled && sweep->parts > 0)))
            return false;
    }
    return world->now_ms - world->freed_ms > 10 * MINUTE_MS &&
           world->now_ms - world->disturbed_ms > 10 * MINUTE_MS;
}

void operator_check_holds(struct world *world)
{
    for (size_t i = 0; i < world->options.providers && is_quiet(world); i++) {
        if (world->providers[i].held != 0)
            violation(world, NULL, "hold", "no freeze is under way, and its secrets are held back");
        world->providers[i].held = 0; /* once is enough */
    }
}

void operator_check(struct world *world)
{
    for (struct sim_sweep *sweep = world->swept; sweep; sweep = sweep->next) {
        bool has_ended = true;
        if (sweep->is_committed)
            world->real->sweep(world->reader, text_of(sweep->id), note_end, &has_ended);
        if (!has_ended)
            violation(world, NULL, "sweep", "one has never come to its end");
    }
    for (size_t i = 0; i < world->options.providers; i++) {
        if (world->providers[i].held != 0)
            violation(world, NULL, "hold", "no freeze is under way, and its secrets are held back");
    }
}
