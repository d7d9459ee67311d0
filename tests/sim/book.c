/* What must be true of the store after each commit, and of each request before it leaves: the book is
 * written from the providers' side and from committed changes alone, never from what workers hold. */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "vault/seal.h"
#include "wire/doc.h"

enum {
    PLAIN_MAX = 1 << 16,
    GRACE_SLACK_MS = 90000,
    COMPARE_ONE_IN = 100,
    HELD_SLACK_MS = 20000 /* an intent that was on its way to the disk */
};

struct conn *book_find(struct world *world, struct text id)
{
    struct conn *conn = NULL;
    HASH_FIND(hh, world->by_id, id.data, id.len, conn);
    return conn;
}

/* ---- what is sealed ------------------------------------------------------------------------------ */

/* The refresh token in a sealed grant; false where it does not open or holds another's. */
static bool read_grant(struct world *world, const struct conn *conn, struct text blob,
                       uint64_t generation, uint32_t *out_consent, uint32_t *out_serial)
{
    char owner[OWNER_SIZE];
    struct buf plain = buf_make_secret(PLAIN_MAX);
    conn_owner(conn, owner);
    struct seal_place place = {text_of(owner), text_of(conn->id), SEAL_GRANT, generation};
    struct conn *named = NULL;
    if (unseal(world->keyring, &place, blob, &plain) == 0 &&
        tree_fill(world->tree, buf_text(&plain)) == 0) {
        struct text token = doc_part(tree_root(world->tree), "refresh_token");
        named = token_read(world, token, 'r', out_consent, out_serial);
    }
    buf_free(&plain);
    return named == conn;
}

/* ---- one event for each transition ---------------------------------------------------------------- */

static enum event_type of_secret(enum conn_state before)
{
    switch (before) {
    case CONN_NONE:
    case CONN_PENDING: return EVENT_CONNECTED;
    case CONN_IN_DOUBT:
    case CONN_NEEDS_REAUTH: return EVENT_RECOVERED;
    default: return EVENT_REFRESHED;
    }
}

/* By the contract, not by the table of the code: what a change of this type must have told. */
static enum event_type expected_event(const struct store_change *change, enum conn_state before)
{
    static const enum event_type moves[MOVE_END] = {
        [MOVE_REVOKE] = EVENT_REVOKED, [MOVE_RESTORE] = EVENT_RESTORED,
        [MOVE_FREEZE] = EVENT_FROZEN,  [MOVE_THAW] = EVENT_THAWED,
        [MOVE_DELETE] = EVENT_DELETED,
    };
    switch (change->type) {
    case CHANGE_CREATE: return EVENT_CREATED;
    case CHANGE_PUT:
    case CHANGE_REFRESHED: return of_secret(before);
    case CHANGE_REMIND: return EVENT_REAUTH;
    case CHANGE_INCIDENT: return EVENT_INCIDENT;
    case CHANGE_MOVE: return before == change->state ? EVENT_NONE : moves[change->move];
    case CHANGE_FAILED:
        if (before == change->state)
            return EVENT_NONE;
        return change->state == CONN_IN_DOUBT ? EVENT_IN_DOUBT : EVENT_REAUTH;
    default: return EVENT_NONE;
    }
}

static enum event_type told_event(const struct store_batch *batch, uint64_t seq)
{
    char word[32];
    for (size_t i = 0; i < batch->event_count; i++) {
        const struct store_event *event = &batch->events[i];
        if (event->seq != seq)
            continue;
        const char *slash = memchr(event->topic.data, '/', event->topic.len);
        snprintf(word, sizeof word, "%.*s", slash ? (int)(slash - event->topic.data) : 0,
                 event->topic.data);
        return event_type_of(word);
    }
    return EVENT_NONE;
}

static void check_event(struct world *world, const struct conn *conn,
                        const struct store_batch *batch, const struct store_change *change,
                        enum conn_state before)
{
    enum event_type expected = expected_event(change, before);
    enum event_type told =
        change->event_seq > 0 ? told_event(batch, change->event_seq) : EVENT_NONE;
    if (expected != told)
        violation(world, conn, "event",
                  told == EVENT_NONE       ? "a transition has no event"
                  : expected == EVENT_NONE ? "an event tells of no transition"
                                           : "an event tells of another transition");
}

static void check_numbers(struct world *world, const struct store_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        if (batch->events[i].seq != world->last_seq + 1)
            violation(world, NULL, "seq", "the log has a gap");
        world->last_seq = batch->events[i].seq;
    }
    world->figures.events += batch->event_count;
}

/* ---- one function a change ------------------------------------------------------------------------- */

static void take_secret(struct world *world, struct conn *conn, const struct store_change *change)
{
    uint32_t consent = 0, serial = 0;
    if (change->generation != conn->generation + 1)
        violation(world, conn, "generation", "a new one does not follow the last one");
    if (!read_grant(world, conn, change->secret.grant, change->generation, &consent, &serial))
        violation(world, conn, "seal", "the committed grant does not open, or is another's");
    if (change->type == CHANGE_REFRESHED &&
        (consent != conn->kept_consent || serial != conn->kept_serial))
        violation(world, conn, "lost", "a committed generation has not the token that came last");
    conn->generation = change->generation;
    conn->stored_consent = consent;
    conn->stored_serial = serial;
    conn->due_at = change->secret.due_at;
    conn->due_known_ms = world->now_ms;
    conn->has_intent = false;
    conn->sent =
        (struct sent){.consent = consent}; /* whether it is another token or not: it is new */
}

static void on_put(struct world *world, struct conn *conn, const struct store_change *change)
{
    world->figures.puts++;
    if (conn->has_intent)
        conn->replaced_ms = world->now_ms;
    take_secret(world, conn, change);
    conn->is_kept = false;
}

static void on_intent(struct world *world, struct conn *conn, const struct store_change *change)
{
    if (conn->has_intent)
        violation(world, conn, "flight", "a second flight while the first is under way");
    if (conn->state != (change->is_probe ? CONN_IN_DOUBT : CONN_ACTIVE))
        violation(world, conn, "flight", "a flight for a connection that has none");
    if (conn->held_since_ms > 0 && world->now_ms - conn->held_since_ms > HELD_SLACK_MS &&
        world->now_ms - world->disturbed_ms > HELD_SLACK_MS)
        violation(world, conn, "frozen", "a flight begins for what a freeze has selected");
    conn->has_intent = true;
    conn->is_probe = change->is_probe;
    conn->is_kept = false;
    conn->intent_generation = change->expect_generation;
}

static void on_reply(struct world *world, struct conn *conn, const struct store_change *change)
{
    if (!conn->has_intent || conn->intent_generation != change->expect_generation)
        violation(world, conn, "reply", "a reply is kept for which there is no flight");
    conn->is_kept = true;
    conn->kept_consent = conn->issued_consent;
    conn->kept_serial = conn->issued_serial;
}

static void on_refreshed(struct world *world, struct conn *conn, const struct store_change *change)
{
    world->figures.refreshes++;
    conn->served++;
    if (!conn->is_kept || conn->intent_generation != change->expect_generation)
        violation(world, conn, "reply", "a reply was read before it was kept");
    take_secret(world, conn, change);
}

static void on_failed(struct world *world, struct conn *conn, const struct store_change *change)
{
    world->figures.failures++;
    if (!change->keeps_intent)
        conn->has_intent = false;
    if (change->state == conn->state)
        return;
    world->figures.grants_refused += change->state == CONN_NEEDS_REAUTH;
    if (change->state == CONN_NEEDS_REAUTH && conn->state == CONN_ACTIVE)
        gates_believed(world, conn);
    world->figures.in_doubt += change->state == CONN_IN_DOUBT;
    if (change->state == CONN_NEEDS_REAUTH && conn->refused_generation != conn->generation)
        violation(world, conn, "reauth", "without a refusal of the current generation");
    if (change->state == CONN_IN_DOUBT && conn->lost_generation != conn->generation)
        violation(world, conn, "in doubt", "without a lost reply of the current generation");
}

static void on_move(struct world *world, struct conn *conn, const struct store_change *change)
{
    if (change->move != MOVE_DELETE)
        return;
    operator_forget(world, conn);
    HASH_DEL(world->by_id, conn);
    if (conn->has_intent)
        conn->replaced_ms = world->now_ms;
    conn->id[0] = 0;
    conn->generation = 0;
    conn->has_intent = conn->is_kept = false;
}

static void on_invalidate(struct world *world, struct conn *conn, const struct store_change *change)
{
    (void)change;
    conn->due_at = world_wall_s(world);
    conn->due_known_ms = world->now_ms;
}

typedef void change_fn(struct world *world, struct conn *conn, const struct store_change *change);
static change_fn *const functions[CHANGE_TYPE_END] = {
    [CHANGE_PUT] = on_put,
    [CHANGE_INTENT] = on_intent,
    [CHANGE_REPLY] = on_reply,
    [CHANGE_REFRESHED] = on_refreshed,
    [CHANGE_FAILED] = on_failed,
    [CHANGE_MOVE] = on_move,
    [CHANGE_INVALIDATE] = on_invalidate,
};

/* Which of the connections; one that is made now gets its id. */
static struct conn *conn_of(struct world *world, const struct store_change *change)
{
    unsigned index;
    bool is_made = change->type == CHANGE_CREATE || (change->type == CHANGE_PUT && change->is_new);
    if (!is_made || change->result < 0)
        return book_find(world, change->connection);
    char account[ACCOUNT_SIZE];
    snprintf(account, sizeof account, "%.*s", (int)change->account.len, change->account.data);
    if (sscanf(account, "a%u", &index) != 1 || index >= world->options.connections)
        return NULL;
    struct conn *conn = &world->conns[index];
    if (conn->id[0] != 0)
        violation(world, conn, "row", "an account has a second row");
    memcpy(conn->id, change->connection.data, change->connection.len);
    conn->id[change->connection.len] = 0;
    conn->state = CONN_NONE;
    conn->generation = 0;
    HASH_ADD(hh, world->by_id, id, change->connection.len, conn);
    return conn;
}

/* The states of changes that do not touch it are not filled in. */
static bool has_state(const struct store_change *change)
{
    return change->type != CHANGE_REPLY && change->type != CHANGE_INCIDENT &&
           change->type != CHANGE_REMIND && change->type != CHANGE_PLAN &&
           change->type != CHANGE_RECEIPT && change->type != CHANGE_SUSPECT;
}

static bool is_aside(enum conn_state state)
{
    return state == CONN_REVOKED || state == CONN_FROZEN;
}

/* What it goes back to, by the contract: a refusal or a loss that comes meanwhile is kept for then. */
static void keep_prior(struct conn *conn, const struct store_change *change, enum conn_state before)
{
    bool is_secret = change->type == CHANGE_REFRESHED || change->type == CHANGE_PUT;
    bool was_live = conn->prior_state == CONN_ACTIVE || conn->prior_state == CONN_IN_DOUBT;
    if (is_aside(change->state) && !is_aside(before))
        conn->prior_state = before;
    else if (is_aside(before) && is_secret)
        conn->prior_state = CONN_ACTIVE;
    else if (is_aside(before) && change->type == CHANGE_FAILED && change->move == MOVE_REFUSED &&
             was_live)
        conn->prior_state = CONN_NEEDS_REAUTH;
    else if (is_aside(before) && change->type == CHANGE_FAILED && change->move == MOVE_LOST &&
             conn->prior_state == CONN_ACTIVE)
        conn->prior_state = CONN_IN_DOUBT;
}

/* Of no single connection. Gives how many events it must have made. */
static size_t take_other(struct world *world, const struct store_batch *batch,
                         const struct store_change *change)
{
    switch (change->type) {
    case CHANGE_INCIDENT: gates_incident(world, change); return 1;
    case CHANGE_PAUSE: pause_committed(world, change); return 0;
    case CHANGE_SWEEP: operator_swept(world, change); return 0;
    case CHANGE_SWEEP_STEP: return operator_stepped(world, batch, change);
    case CHANGE_SWEEP_CANCEL: operator_cancelled(world, change); return 0;
    default: return change->event_seq > 0;
    }
}

static size_t take_change(struct world *world, const struct store_batch *batch,
                          const struct store_change *change)
{
    struct conn *conn = change->type == CHANGE_INCIDENT ? NULL : conn_of(world, change);
    bool is_end = change->type == CHANGE_REFRESHED || change->type == CHANGE_FAILED;
    trace(world, "change", conn ? conn->index : UINT32_MAX,
          (uint64_t)change->type << 8 | (uint64_t)(change->result & 0xff), change->generation);
    if (change->result < 0) { /* the end of a flight drops its intent all the same */
        if (conn && is_end && conn->intent_generation == change->expect_generation)
            conn->has_intent = false;
        if (change->event_seq > 0)
            violation(world, conn, "event", "a refused change has an event");
        return 0;
    }
    enum conn_state before = conn ? conn->state : CONN_NONE;
    if (conn) {
        conn->planned_ms = world->now_ms;
        conn->planned_offset_ms = world->wall_offset_ms;
    }
    if (conn && functions[change->type])
        functions[change->type](world, conn, change);
    check_event(world, conn, batch, change, before);
    if (conn && has_state(change)) {
        keep_prior(conn, change, before);
        conn->state = change->state;
        if (before != CONN_ACTIVE) /* what was due long before is due from now on */
            conn->due_known_ms = world->now_ms;
    }
    world->figures.incidents += change->type == CHANGE_INCIDENT && change->is_begin;
    return take_other(world, batch, change);
}

static void compare(struct world *world, struct text id)
{
    struct conn *conn = book_find(world, id);
    if (conn && (!world->options.is_large || conn->index % COMPARE_ONE_IN == 0))
        book_compare(world, conn);
}

void book_committed(struct world *world, const struct store_batch *batch)
{
    check_numbers(world, batch);
    size_t events = 0;
    for (size_t i = 0; i < batch->count; i++)
        events += take_change(world, batch, batch->changes[i]);
    if (events != batch->event_count)
        violation(world, NULL, "event", "a batch has more or fewer events than transitions");
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_change *change = batch->changes[i];
        compare(world, change->connection);
        for (size_t j = 0; change->type == CHANGE_SWEEP_STEP && j < change->sweep->connection_count;
             j++)
            compare(world, change->sweep->connections[j]);
    }
}

/* ---- the rows -------------------------------------------------------------------------------------- */

void book_compare(struct world *world, struct conn *conn)
{
    static const struct text none = {NULL, 0};
    struct conn_row row;
    uint32_t consent = 0, serial = 0;
    if (conn->id[0] == 0)
        return;
    if (world->real->find(world->reader, none, text_of(conn->id), none, none, &row) < 0) {
        violation(world, conn, "lost", "a committed row is not there");
        return;
    }
    if (row.state != conn->state)
        violation(world, conn, "state", "the row is in another state than was committed");
    if (row.generation != conn->generation)
        violation(world, conn, "lost", "the row has another generation than was committed");
    if (row.grant.data && (!read_grant(world, conn, row.grant, row.generation, &consent, &serial) ||
                           consent != conn->stored_consent || serial != conn->stored_serial))
        violation(world, conn, "lost", "the row has not the token that was committed");
    conn_row_free(&row);
}

/* ---- requests --------------------------------------------------------------------------------------- */

/* What was sent last, of this token. */
static struct sent *sent_of(struct world *world, const struct asked *asked)
{
    struct conn *conn = asked->conn;
    struct sent *sent = &conn->sent;
    if (sent->consent == asked->consent && sent->serial == asked->serial)
        return sent;
    if (sent->consent > asked->consent ||
        (sent->consent == asked->consent && sent->serial > asked->serial))
        violation(world, conn, "replay", "an older token is sent after its successor");
    *sent = (struct sent){.consent = asked->consent, .serial = asked->serial};
    return sent;
}

static bool is_in_grace(const struct world *world, const struct conn *conn)
{
    const struct provider *provider = conn->provider;
    int64_t age_ms = world->now_ms - conn->sent.first_ms;
    if (provider->declared != ROTATION_REUSE_GRACE)
        return provider->declared == ROTATION_NONE;
    if (conn->sent.wall_moves != world->wall_moves)
        return true; /* how old it is the broker knows by the wall clock alone */
    return provider->declared_grace_s == 0 ||
           age_ms <= provider->declared_grace_s * 1000 + GRACE_SLACK_MS;
}

/* A token that may have been spent goes out once more after its grace: that is the probe. */
static void check_token(struct world *world, const struct asked *asked)
{
    struct conn *conn = asked->conn;
    struct sent *sent = sent_of(world, asked);
    sent->is_late = sent->uncertain > 0 && !is_in_grace(world, conn);
    if (!sent->is_late)
        return;
    world->figures.probes++;
    if (!conn->is_probe)
        violation(world, conn, "replay", "a token that may be spent is sent again");
    if (sent->late > 0)
        violation(world, conn, "replay", "a second probe is sent");
}

void book_sent(struct world *world, const struct asked *asked)
{
    struct conn *conn = asked->conn;
    if (!conn) {
        violation(world, NULL, "token", "a token is sent that no provider has issued");
        return;
    }
    /* In the batch of its intent somebody put another grant: the worker hears of both at once. */
    bool is_replaced = !conn->has_intent && conn->replaced_ms == world->now_ms;
    if (is_replaced) {
        conn->requests_open++;
        return;
    }
    if (!conn->has_intent)
        violation(world, conn, "intent", "a token is sent before its intent is committed");
    if (conn->requests_open++ > 0)
        violation(world, conn, "flight", "two requests for one credential at a time");
    if (asked->consent != conn->stored_consent || asked->serial != conn->stored_serial)
        violation(world, conn, "token", "another token than that of the row is sent");
    conn->tried_ms = world->now_ms;
    check_token(world, asked);
}

/* No window holds more requests than the entry declares, wherever it begins and however long a disk takes between a
 * request's turn and its sending. What a process sent before it crashed the next one cannot know, but that it begins
 * with an empty bucket. */
void book_counted(struct world *world, struct provider *provider)
{
    int64_t window_ms = provider->rate_window_s * 1000;
    char what[128];
    bool is_known = world->now_ms - world->began_ms >= window_ms;
    if (!provider->declares_rate)
        return;
    int64_t *oldest = &provider->sent_ms[provider->sent_at];
    if (is_known && *oldest > 0 && world->now_ms - *oldest < window_ms) {
        snprintf(what, sizeof what, "%s has %lld requests in %lld ms of its window of %lld",
                 provider->name, (long long)provider->rate_limit + 1,
                 (long long)(world->now_ms - *oldest), (long long)window_ms);
        violation(world, NULL, "budget", what);
    }
    if (world->now_ms < provider->asked_until_ms)
        violation(world, NULL, "budget", "it was asked to wait longer");
    *oldest = world->now_ms;
    provider->sent_at = (provider->sent_at + 1) % (size_t)provider->rate_limit;
}

static void may_be_spent(struct world *world, struct conn *conn)
{
    struct sent *sent = &conn->sent;
    if (sent->uncertain++ == 0) {
        sent->first_ms = world->now_ms;
        sent->wall_moves = world->wall_moves;
    }
    sent->late += sent->is_late;
}

void book_told(struct world *world, const struct asked *asked, const struct told *told)
{
    struct conn *conn = asked->conn;
    if (told->retry_after_s > 0)
        asked->provider->asked_until_ms = world->now_ms + told->retry_after_s * 1000;
    if (!conn)
        return;
    if (told->status < 300)
        may_be_spent(world, conn);
    if (told->is_refusal)
        conn->refused_generation = asked->generation;
    else if (told->status < 300 && !told->is_secret)
        conn->lost_generation = asked->generation;
    if (told->is_secret) {
        conn->issued_consent = told->consent;
        conn->issued_serial = told->serial;
    }
}

void book_lost(struct world *world, const struct asked *asked)
{
    if (!asked->conn)
        return;
    may_be_spent(world, asked->conn);
    asked->conn->lost_generation = asked->generation;
}

void book_crashed(struct world *world)
{
    for (size_t i = 0; i < world->options.providers; i++)
        world->providers[i].asked_until_ms = 0; /* nobody remembers */
    for (size_t i = 0; i < world->options.connections; i++) {
        struct conn *conn = &world->conns[i];
        if (conn->requests_open > 0)
            may_be_spent(world, conn);
        conn->requests_open = 0;
        if (conn->has_intent && !conn->is_kept)
            conn->lost_generation = conn->intent_generation;
    }
}
