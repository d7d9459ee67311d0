#include "store/sqlite/apply.h"

#include <assert.h>
#include <stdlib.h>

#include <bursar/error.h>

#include "base/mutation.h"
#include "policy/expiry.h"
#include "store/event.h"

/* What a change needs to know of its row; texts lie in the writer's buffer. */
struct loaded {
    int64_t rowid;
    struct text owner, provider, account, tags;
    enum conn_state state, prior_state;
    uint64_t generation, invalid_generation;
    int64_t due_at, expires_at;
    bool is_probed, can_refresh;
    int64_t issued_at;
    unsigned cut_short;
    enum spender_sign suspect;
};

/* ---- pieces ---------------------------------------------------------------------------------- */

static struct text keep_text(struct store_writer *writer, struct text text)
{
    if (!text.data)
        return text;
    size_t at = writer->text.len;
    buf_append_text(&writer->text, text);
    return (struct text){(const char *)writer->text.data + at, text.len};
}

/* Where it was when it was read, or, where something else is there now, by its id: among very many rows that is
 * a page of the index that nobody else needs. */
static int find(struct store_writer *writer, const struct store_change *change,
                sqlite3_stmt **out_statement)
{
    int code = SQLITE_DONE;
    if (change->place != 0) {
        *out_statement = db_statement(&writer->db, LOAD_PLACED);
        db_bind_text(*out_statement, 1, change->connection);
        db_bind_int(*out_statement, 2, change->place);
        code = sqlite3_step(*out_statement);
        if (code == SQLITE_DONE)
            sqlite3_reset(*out_statement);
    }
    if (code == SQLITE_DONE) {
        *out_statement = db_statement(&writer->db, LOAD);
        db_bind_text(*out_statement, 1, change->connection);
        code = sqlite3_step(*out_statement);
    }
    return code;
}

/* 0, BURSAR_E_NOT_FOUND or BURSAR_E_STORE_UNAVAILABLE. A row of another owner is not found. */
static int load(struct store_writer *writer, struct store_change *change, struct loaded *out_row)
{
    sqlite3_stmt *statement;
    int code = find(writer, change, &statement);
    if (code != SQLITE_ROW) {
        sqlite3_reset(statement);
        return code == SQLITE_DONE ? BURSAR_E_NOT_FOUND : db_failed(&writer->db, "load");
    }
    buf_clear(&writer->text);
    size_t need = 0;
    for (int i = 1; i <= 4; i++)
        need += db_column_text(statement, i).len;
    /* All the room first: later texts must not move the earlier ones. */
    if (!buf_reserve(&writer->text, need)) {
        sqlite3_reset(statement);
        return BURSAR_E_STORE_UNAVAILABLE;
    }
    *out_row = (struct loaded){
        .rowid = sqlite3_column_int64(statement, 0),
        .owner = keep_text(writer, db_column_text(statement, 1)),
        .provider = keep_text(writer, db_column_text(statement, 2)),
        .account = keep_text(writer, db_column_text(statement, 3)),
        .tags = keep_text(writer, db_column_text(statement, 4)),
        .state = (enum conn_state)sqlite3_column_int(statement, 5),
        .prior_state = (enum conn_state)sqlite3_column_int(statement, 6),
        .generation = (uint64_t)sqlite3_column_int64(statement, 7),
        .due_at = db_column_time(statement, 8),
        .is_probed = sqlite3_column_int(statement, 9) != 0,
        .can_refresh = sqlite3_column_int(statement, 10) != 0,
        .expires_at = db_column_time(statement, 11),
        .invalid_generation = (uint64_t)sqlite3_column_int64(statement, 12),
        .issued_at = db_column_time(statement, 13),
        .cut_short = (unsigned)sqlite3_column_int(statement, 14),
        .suspect = (enum spender_sign)sqlite3_column_int(statement, 15),
    };
    sqlite3_reset(statement);
    change->place = out_row->rowid;
    writer->about = (struct audit_about){out_row->owner, out_row->provider, out_row->account};
    if (change->owner.data && !text_equal(change->owner, out_row->owner))
        return BURSAR_E_NOT_FOUND;
    if (out_row->state >= CONN_STATE_END || out_row->prior_state >= CONN_STATE_END)
        return BURSAR_E_INTERNAL; /* this row alone; the batch goes on */
    return 0;
}

static int remember_event(struct store_writer *writer, uint64_t seq, size_t topic_at,
                          size_t body_at)
{
    if (writer->event_count == writer->event_cap) {
        size_t cap = writer->event_cap > 0 ? writer->event_cap * 2 : 64;
        struct store_event *events = realloc(writer->events, cap * sizeof *events);
        if (!events)
            return BURSAR_E_STORE_UNAVAILABLE;
        writer->events = events;
        writer->event_cap = cap;
    }
    /* Lengths now, places when the batch is whole and the buffer moves no more. */
    writer->events[writer->event_count++] =
        (struct store_event){.seq = seq,
                             .topic = {NULL, body_at - topic_at},
                             .body = {NULL, writer->event_text.len - body_at}};
    return 0;
}

int apply_event(struct store_writer *writer, struct store_change *change, struct event *event)
{
    size_t topic_at = writer->event_text.len;
    event->seq = writer->last_seq + 1;
    event->at_ms = change->at_ms;
    event_topic(event, &writer->event_text);
    size_t body_at = writer->event_text.len;
    event_body(event, &writer->event_text);
    if (buf_error(&writer->event_text) != 0)
        return BURSAR_E_STORE_UNAVAILABLE;
    sqlite3_stmt *statement = db_statement(&writer->db, EVENT_ADD);
    db_bind_int(statement, 1, (int64_t)event->seq);
    db_bind_int(statement, 2, event->at_ms);
    db_bind_int(statement, 3, event->type);
    db_bind_text(statement, 4, event->owner.data ? event->owner : text_of("-"));
    db_bind_blob(statement, 5,
                 (struct text){(const char *)writer->event_text.data + body_at,
                               writer->event_text.len - body_at});
    int result = db_run(&writer->db, statement);
    if (result == 0)
        result = remember_event(writer, event->seq, topic_at, body_at);
    if (result == 0)
        change->event_seq = ++writer->last_seq;
    return result;
}

/* The event of a move, where it has one. */
static int add_move_event(struct store_writer *writer, struct store_change *change,
                          const struct loaded *row, const struct lifecycle_step *step,
                          uint64_t generation)
{
    if (step->event == EVENT_NONE || (BURSAR_MUTATION == 5 && step->event == EVENT_RECOVERED))
        return 0;
    struct event event = {.type = step->event,
                          .owner = row->owner,
                          .provider = row->provider,
                          .account = row->account,
                          .connection = change->connection,
                          .state = step->state,
                          .generation = generation,
                          .tags = row->tags,
                          .is_reminder = change->type == CHANGE_REMIND};
    bool is_suspected = step->event == EVENT_REAUTH && row->suspect != SPENDER_NONE;
    if (step->event == EVENT_REAUTH || step->event == EVENT_IN_DOUBT)
        event.reason = (struct event_reason){change->reason, verdict_class_name(change->outcome),
                                             change->http_status, change->provider_error,
                                             is_suspected ? "second_spender" : NULL};
    return apply_event(writer, change, &event);
}

static int drop_intent(struct store_writer *writer, const struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, INTENT_DROP);
    db_bind_text(statement, 1, change->connection);
    db_bind_int(statement, 2, (int64_t)change->expect_generation);
    return db_run(&writer->db, statement);
}

static int64_t seconds(int64_t ms)
{
    return ms / 1000;
}

/* When the planner looks at a row of this state next: when it is due, at once where a caller had it
 * refused, or, where nothing can refresh it, when it ends and its owner has to be told. */
static int64_t planned_at(const struct loaded *row, enum conn_state state, int64_t now)
{
    bool is_invalid = row->invalid_generation > 0 && row->invalid_generation == row->generation;
    if (state == CONN_ACTIVE && row->can_refresh && is_invalid)
        return now;
    if (state == CONN_ACTIVE)
        return row->can_refresh ? row->due_at : row->expires_at;
    if (!row->can_refresh)
        return EXPIRY_NEVER;
    return state == CONN_IN_DOUBT && !row->is_probed ? now : EXPIRY_NEVER;
}

/* ---- one function a type of change ------------------------------------------------------------ */

static int insert(struct store_writer *writer, struct store_change *change, enum conn_state state)
{
    sqlite3_stmt *statement = db_statement(&writer->db, INSERT);
    db_bind_text(statement, 1, change->connection);
    db_bind_text(statement, 2, change->owner);
    db_bind_text(statement, 3, change->provider);
    db_bind_text(statement, 4, change->account);
    db_bind_int(statement, 5, state);
    db_bind_int(statement, 6, seconds(change->at_ms));
    db_bind_blob(statement, 7, change->metadata);
    db_bind_blob(statement, 8, change->tags);
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return BURSAR_E_CONFLICT;
    return code == SQLITE_DONE ? 0 : db_failed(&writer->db, "insert");
}

int apply_create(struct store_writer *writer, struct store_change *change)
{
    struct lifecycle_step step = lifecycle_move(CONN_NONE, CONN_NONE, MOVE_CREATE);
    int result = insert(writer, change, step.state);
    if (result < 0)
        return result;
    struct loaded row = {.owner = change->owner,
                         .provider = change->provider,
                         .account = change->account,
                         .tags = change->tags};
    change->state = step.state;
    return add_move_event(writer, change, &row, &step, 0);
}

/* The new generation into its row. */
static int set_secret(struct store_writer *writer, struct store_change *change, struct loaded *row,
                      const struct lifecycle_step *step)
{
    const struct change_secret *secret = &change->secret;
    int64_t now = seconds(change->at_ms);
    row->due_at = secret->due_at;
    row->expires_at = secret->expires_at;
    row->can_refresh = secret->can_refresh;
    row->is_probed = false;
    row->invalid_generation = 0; /* that was another one */
    change->generation = row->generation + 1;
    change->state = step->state;
    size_t how = step->state == row->state ? SET_SECRET_ALONE : SET_SECRET;
    sqlite3_stmt *statement = db_statement(&writer->db, how);
    db_bind_int(statement, 1, row->rowid);
    db_bind_int(statement, 2, (int64_t)change->generation);
    db_bind_int(statement, 3, step->state);
    db_bind_time(statement, 4, secret->issued_at);
    db_bind_time(statement, 5, secret->expires_at);
    db_bind_time(statement, 6, secret->due_at);
    db_bind_time(statement, 7, planned_at(row, step->state, now));
    db_bind_time(statement, 8, secret->refresh_expires_at);
    db_bind_int(statement, 9, now);
    db_bind_text(statement, 10, secret->kind);
    db_bind_text(statement, 11, secret->scopes);
    db_bind_blob(statement, 12, secret->secret);
    db_bind_blob(statement, 13, secret->grant);
    db_bind_int(statement, 14, secret->can_refresh);
    db_bind_blob(statement, 16, change->metadata);
    db_bind_time(statement, 15, change->type == CHANGE_REFRESHED ? now : EXPIRY_NEVER);
    int result = db_run(&writer->db, statement);
    return result == 0 ? add_move_event(writer, change, row, step, change->generation) : result;
}

/* A secret that is not to be used before somebody says so: connected, and frozen behind it. */
static int hold(struct store_writer *writer, struct store_change *change)
{
    enum conn_move move = change->move;
    change->move = MOVE_FREEZE;
    int result = apply_move(writer, change);
    change->move = move;
    return result;
}

int apply_put(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    struct lifecycle_step step = {0};
    if (change->is_new && change->expect_generation != 0)
        return BURSAR_E_CONFLICT; /* before a row is made that nobody hears of */
    int result = change->is_new ? insert(writer, change, CONN_PENDING) : 0;
    if (result == 0)
        result = load(writer, change, &row);
    if (result == BURSAR_E_NOT_FOUND && !change->is_new)
        return BURSAR_E_CONFLICT; /* it was there a moment ago: look again */
    if (result < 0)
        return result;
    if (row.generation != change->expect_generation || (change->is_held && row.generation != 0))
        return BURSAR_E_CONFLICT;
    step = lifecycle_move(row.state, row.prior_state, MOVE_PUT);
    if (!step.is_allowed)
        return step.refusal;
    result = set_secret(writer, change, &row, &step);
    if (result < 0)
        return result;
    /* A flight that is under way is for a grant that is replaced: its end will find this. */
    sqlite3_stmt *statement = db_statement(&writer->db, INTENT_DROP_ALL);
    db_bind_text(statement, 1, change->connection);
    result = db_run(&writer->db, statement);
    return result == 0 && change->is_held ? hold(writer, change) : result;
}

int apply_update(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    if (change->has_expect_generation && row.generation != change->expect_generation)
        return BURSAR_E_CONFLICT;
    change->generation = row.generation;
    change->state = row.state;
    sqlite3_stmt *statement = db_statement(&writer->db, SET_DATA);
    db_bind_int(statement, 1, row.rowid);
    db_bind_blob(statement, 2, change->metadata);
    db_bind_blob(statement, 3, change->tags);
    db_bind_int(statement, 4, seconds(change->at_ms));
    return db_run(&writer->db, statement);
}

static int drop(struct store_writer *writer, struct store_change *change, const struct loaded *row)
{
    sqlite3_stmt *statement = db_statement(&writer->db, DROP);
    db_bind_int(statement, 1, row->rowid);
    int result = db_run(&writer->db, statement);
    if (result < 0)
        return result;
    statement = db_statement(&writer->db, INTENT_DROP_ALL);
    db_bind_text(statement, 1, change->connection);
    return db_run(&writer->db, statement);
}

static int set_state(struct store_writer *writer, const struct store_change *change,
                     const struct loaded *row, enum conn_state state)
{
    bool is_aside = state == CONN_REVOKED || state == CONN_FROZEN;
    bool was_aside = row->state == CONN_REVOKED || row->state == CONN_FROZEN;
    int64_t now = seconds(change->at_ms);
    sqlite3_stmt *statement = db_statement(&writer->db, SET_STATE);
    db_bind_int(statement, 1, row->rowid);
    db_bind_int(statement, 2, state);
    db_bind_int(statement, 3, is_aside && was_aside ? row->prior_state : row->state);
    db_bind_time(statement, 4, planned_at(row, state, now));
    db_bind_int(statement, 5, now);
    db_bind_time(statement, 6, state == CONN_NEEDS_REAUTH ? change->remind_at : EXPIRY_NEVER);
    db_bind_text(statement, 7, change->reason);
    return db_run(&writer->db, statement);
}

int apply_move(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    struct lifecycle_step step = lifecycle_move(row.state, row.prior_state, change->move);
    change->generation = row.generation;
    change->state = step.state;
    if (!step.is_allowed)
        return step.refusal;
    if (step.event == EVENT_NONE)
        return 0;
    result = change->move == MOVE_DELETE ? drop(writer, change, &row)
                                         : set_state(writer, change, &row, step.state);
    return result == 0 ? add_move_event(writer, change, &row, &step, row.generation) : result;
}

/* A secret that a caller had refused; the same one counts once. */
static void note_cut(struct loaded *row, int64_t now)
{
    if (row->invalid_generation == row->generation)
        return;
    struct spender_cut cut = {.before = row->cut_short,
                              .is_next = row->invalid_generation + 1 == row->generation,
                              .issued_at = row->issued_at,
                              .expires_at = row->expires_at,
                              .now = now};
    row->cut_short = spender_count_cut(&cut);
    if (row->cut_short >= SPENDER_CUT_SHORT_MAX && row->can_refresh)
        row->suspect = SPENDER_CUT_SHORT;
}

int apply_invalidate(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    change->generation = row.generation;
    change->state = row.state;
    if (row.generation != change->expect_generation)
        return BURSAR_E_CONFLICT;
    int64_t now = seconds(change->at_ms);
    note_cut(&row, now);
    row.invalid_generation = row.generation;
    sqlite3_stmt *statement = db_statement(&writer->db, SET_INVALID);
    db_bind_int(statement, 1, row.rowid);
    db_bind_time(statement, 2, planned_at(&row, row.state, now));
    db_bind_int(statement, 3, now);
    db_bind_int(statement, 4, row.cut_short);
    db_bind_int(statement, 5, row.suspect);
    result = db_run(&writer->db, statement);
    if (result < 0 || change->move == MOVE_END)
        return result;
    struct lifecycle_step step = lifecycle_move(row.state, row.prior_state, change->move);
    if (!step.is_allowed || step.event == EVENT_NONE)
        return 0;
    change->state = step.state;
    result = set_state(writer, change, &row, step.state);
    return result == 0 ? add_move_event(writer, change, &row, &step, row.generation) : result;
}

int apply_suspect(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    if (row.generation != change->expect_generation)
        return BURSAR_E_CONFLICT;
    sqlite3_stmt *statement = db_statement(&writer->db, SET_SUSPECT);
    db_bind_int(statement, 1, row.rowid);
    db_bind_int(statement, 2, change->suspect);
    return db_run(&writer->db, statement);
}

int apply_plan(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    change->generation = row.generation;
    change->state = row.state;
    if (row.generation != change->expect_generation || row.state != CONN_ACTIVE)
        return BURSAR_E_CONFLICT;
    sqlite3_stmt *statement = db_statement(&writer->db, SET_PLANNED);
    db_bind_int(statement, 1, row.rowid);
    db_bind_int(statement, 2, seconds(change->at_ms));
    return db_run(&writer->db, statement);
}

int apply_intent(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    enum conn_state needed = change->is_probe ? CONN_IN_DOUBT : CONN_ACTIVE;
    change->generation = row.generation;
    change->state = row.state;
    if (row.generation != change->expect_generation || row.state != needed)
        return BURSAR_E_CONFLICT;
    if (change->is_probe && row.is_probed)
        return BURSAR_E_CONFLICT; /* there is one probe, and it was sent */
    sqlite3_stmt *statement = db_statement(&writer->db, INTENT_ADD);
    db_bind_text(statement, 1, change->connection);
    db_bind_text(statement, 2, row.provider);
    db_bind_int(statement, 3, (int64_t)row.generation);
    sqlite3_bind_blob(statement, 4, change->token_hash, sizeof change->token_hash, SQLITE_STATIC);
    db_bind_text(statement, 5, change->node);
    db_bind_int(statement, 6, change->at_ms);
    result = db_run(&writer->db, statement);
    if (BURSAR_MUTATION != 4 && result == 0 && sqlite3_changes(writer->db.handle) == 0)
        return BURSAR_E_CONFLICT; /* another flight has it */
    if (result < 0 || !change->is_probe)
        return result;
    statement = db_statement(&writer->db, SET_PROBED);
    db_bind_int(statement, 1, row.rowid);
    return db_run(&writer->db, statement);
}

int apply_reply(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, INTENT_REPLY);
    db_bind_text(statement, 1, change->connection);
    db_bind_int(statement, 2, (int64_t)change->expect_generation);
    db_bind_blob(statement, 3, change->reply);
    int result = db_run(&writer->db, statement);
    if (result == 0 && sqlite3_changes(writer->db.handle) == 0)
        return BURSAR_E_CONFLICT;
    return result;
}

/* The row of a flight that ends, if it is still what the flight was for. */
static int load_for_end(struct store_writer *writer, struct store_change *change,
                        struct loaded *out_row)
{
    int result = change->keeps_intent ? 0 : drop_intent(writer, change);
    if (result == 0)
        result = load(writer, change, out_row);
    if (result < 0)
        return result;
    change->generation = out_row->generation;
    change->state = out_row->state;
    return BURSAR_MUTATION == 3 || out_row->generation == change->expect_generation
               ? 0
               : BURSAR_E_CONFLICT;
}

int apply_refreshed(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load_for_end(writer, change, &row);
    if (result < 0)
        return result;
    struct lifecycle_step step = lifecycle_move(row.state, row.prior_state, MOVE_REFRESHED);
    return step.is_allowed ? set_secret(writer, change, &row, &step) : step.refusal;
}

static bool is_aside(const struct loaded *row)
{
    return row->state == CONN_REVOKED || row->state == CONN_FROZEN;
}

/* A verdict about a row that was set aside meanwhile: the decision stands, and what the row comes back
 * to is what the verdict made of it. */
static enum conn_state prior_after(const struct loaded *row, enum conn_move move)
{
    if (!is_aside(row) || move == MOVE_END)
        return row->prior_state;
    return lifecycle_move(row->prior_state, CONN_NONE, move).state;
}

/* A probe that was lost too is the last, also where the row was set aside while it was under way;
 * every other end leaves the probe to be used. */
static bool is_last_probe(const struct loaded *row, enum verdict_class outcome)
{
    enum conn_state state = is_aside(row) ? row->prior_state : row->state;
    return BURSAR_MUTATION != 7 && state == CONN_IN_DOUBT && outcome == VERDICT_UNCERTAIN;
}

int apply_failed(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load_for_end(writer, change, &row);
    if (result < 0)
        return result;
    struct lifecycle_step step = {.state = row.state, .event = EVENT_NONE, .is_allowed = true};
    if (change->move != MOVE_END)
        step = lifecycle_move(row.state, row.prior_state, change->move);
    bool is_probed = is_last_probe(&row, change->outcome);
    bool is_planned = step.state == CONN_ACTIVE || (step.state == CONN_IN_DOUBT && !is_probed);
    change->state = step.state;
    sqlite3_stmt *statement = db_statement(&writer->db, SET_FAILED);
    db_bind_int(statement, 1, row.rowid);
    db_bind_int(statement, 2, step.state);
    db_bind_time(statement, 3, is_planned ? change->next_refresh_at : EXPIRY_NEVER);
    db_bind_int(statement, 4, seconds(change->at_ms));
    db_bind_int(statement, 5, change->outcome);
    db_bind_int(statement, 6, is_probed);
    db_bind_text(statement, 7, change->error);
    db_bind_text(statement, 8, step.event == EVENT_NONE ? (struct text){NULL, 0} : change->reason);
    db_bind_time(statement, 9, step.state == CONN_NEEDS_REAUTH ? change->remind_at : EXPIRY_NEVER);
    db_bind_int(statement, 10, prior_after(&row, change->move));
    if (change->suspect != SPENDER_NONE && step.event != EVENT_NONE)
        row.suspect = change->suspect;
    db_bind_int(statement, 11, row.suspect);
    db_bind_time(statement, 12, change->lost_at > 0 ? change->lost_at : EXPIRY_NEVER);
    result = db_run(&writer->db, statement);
    return result == 0 ? add_move_event(writer, change, &row, &step, row.generation) : result;
}

/* Says again that the owner has to connect again. */
int apply_remind(struct store_writer *writer, struct store_change *change)
{
    struct loaded row;
    int result = load(writer, change, &row);
    if (result < 0)
        return result;
    if (row.generation != change->expect_generation || row.state != CONN_NEEDS_REAUTH)
        return BURSAR_E_CONFLICT;
    sqlite3_stmt *statement = db_statement(&writer->db, SET_REMINDED);
    db_bind_int(statement, 1, row.rowid);
    db_bind_time(statement, 2, change->remind_at);
    result = db_run(&writer->db, statement);
    struct lifecycle_step step = {.state = row.state, .event = EVENT_REAUTH, .is_allowed = true};
    return result == 0 ? add_move_event(writer, change, &row, &step, row.generation) : result;
}
