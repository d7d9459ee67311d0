#include "broker/query.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/version.h>

#include "base/clock.h"
#include "base/secret.h"
#include "broker/catalog_view.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/query_parts.h"
#include "broker/record.h"
#include "broker/refs.h"
#include "broker/sockets.h"
#include "broker/worker.h"
#include "policy/availability.h"

enum {
    LIST_DEFAULT = 100,
    EVENTS_DEFAULT = 1000,
    CURSOR_MAX = 2048,
    BODY_STOP = 16 << 20 /* a page ends where it has grown to this */
};

/* ---- connection.list --------------------------------------------------------------------------- */

struct list_context {
    struct pack rows;
    uint32_t left;
    struct buf cursor; /* of the last row that was given */
    bool is_more;
};

static bool list_row(void *context, const struct conn_row *row)
{
    struct list_context *list = context;
    if (list->left == 0 || list->rows.out->len > BODY_STOP) {
        list->is_more = true;
        return false;
    }
    list->left--;
    struct pack map = pack_item_map(&list->rows);
    record_pack(&map, row);
    pack_close(&map);
    buf_clear(&list->cursor);
    const struct text parts[] = {row->owner, row->provider, row->account};
    for (size_t i = 0; i < 3; i++) {
        buf_append_percent(&list->cursor, parts[i]);
        buf_append_byte(&list->cursor, '/');
    }
    return true;
}

static int hex_of(char c)
{
    const char *digits = "0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Undoes buf_append_percent() up to the next slash; false for what it never makes. */
static bool read_cursor_part(struct text *cursor, struct buf *out)
{
    size_t i = 0;
    for (; i < cursor->len && cursor->data[i] != '/'; i++) {
        char c = cursor->data[i];
        if (c == '%') {
            int high = i + 2 < cursor->len ? hex_of(cursor->data[i + 1]) : -1;
            int low = high >= 0 ? hex_of(cursor->data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        buf_append_byte(out, (uint8_t)c);
    }
    if (i == cursor->len)
        return false;
    *cursor = (struct text){cursor->data + i + 1, cursor->len - i - 1};
    return buf_error(out) == 0;
}

static bool read_cursor(struct text cursor, struct buf parts[static 3])
{
    for (size_t i = 0; i < 3; i++) {
        if (!read_cursor_part(&cursor, &parts[i]))
            return false;
    }
    return cursor.len == 0;
}

static int refuse(struct answer *answer, int error, const char *text)
{
    buf_append_string(&answer->text, text);
    return error;
}

static int answer_list(struct query *self, const struct job *job, struct answer *answer)
{
    struct buf after[3] = {buf_make(CURSOR_MAX), buf_make(CURSOR_MAX), buf_make(CURSOR_MAX)};
    struct store_list_filter filter = {.owner = job->owner, .provider = job->provider};
    struct list_context context = {.left = job->limit > 0 ? job->limit : LIST_DEFAULT,
                                   .cursor = buf_make(CURSOR_MAX)};
    int result = 0;
    filter.limit = context.left + 1;
    if (job->state.data) {
        char *name = text_copy(job->state);
        filter.state = name ? conn_state_of(name) : CONN_NONE;
        free(name);
        if (filter.state == CONN_NONE)
            result = refuse(answer, BURSAR_E_BAD_REQUEST, "state is not the name of a state");
    }
    if (result == 0 && job->cursor.data) {
        if (read_cursor(job->cursor, after)) {
            filter.after_owner = buf_text(&after[0]);
            filter.after_provider = buf_text(&after[1]);
            filter.after_account = buf_text(&after[2]);
        } else {
            result = refuse(answer, BURSAR_E_BAD_REQUEST, "cursor is not one that was given out");
        }
    }
    if (result == 0) {
        struct pack map = pack_map(&answer->body);
        context.rows = pack_array_in(&map, "connections");
        result = self->broker->store->list(self->reader, &filter, list_row, &context);
        pack_close(&context.rows);
        if (context.is_more)
            pack_text(&map, "cursor", buf_text(&context.cursor));
        pack_close(&map);
    }
    for (size_t i = 0; i < 3; i++)
        buf_free(&after[i]);
    buf_free(&context.cursor);
    return result;
}

/* ---- events.since ------------------------------------------------------------------------------ */

struct events_context {
    struct pack events;
    struct text owner; /* absent: all */
    uint64_t next_seq;
};

static bool list_event(void *context, uint64_t seq, struct text owner, struct text body)
{
    struct events_context *list = context;
    if (list->events.out->len > BODY_STOP)
        return false;
    if (!list->owner.data || text_equal(owner, list->owner))
        pack_item_raw(&list->events, body);
    list->next_seq = seq;
    return true;
}

static int answer_events(struct query *self, const struct job *job, struct answer *answer)
{
    struct events_context context = {.owner = job->owner, .next_seq = job->seq};
    struct pack map = pack_map(&answer->body);
    context.events = pack_array_in(&map, "events");
    int result = self->broker->store->events(
        self->reader, job->seq, job->limit > 0 ? job->limit : EVENTS_DEFAULT, list_event, &context);
    pack_close(&context.events);
    pack_uint(&map, "next_seq", context.next_seq);
    pack_close(&map);
    return result;
}

/* ---- status ------------------------------------------------------------------------------------ */

static void pack_states(struct pack *map, const struct store_counts *counts)
{
    struct pack states = pack_map_in(map, "connections");
    for (int i = CONN_PENDING; i < CONN_STATE_END; i++)
        pack_uint(&states, conn_state_name((enum conn_state)i), counts->by_state[i]);
    pack_close(&states);
}

/* Which of our client's secrets is shown, and when the first one ends; nothing where neither is said. */
static void pack_secret_end(struct pack *one, const struct connector *connector,
                            bool has_next_secret)
{
    struct text day = settings_text(connector->settings, "client_secret_expires_at");
    if (day.data)
        pack_text(one, "client_secret_expires_at", day);
    if (settings_text(connector->settings, "client_secret_next").data)
        pack_bool(one, "next_secret", has_next_secret);
}

enum { HOUR_S = 3600, FORECAST_S = 7 * 86400 };

/* Ceilings and what is left of them; absent where none is known. */
static void pack_budget(struct pack *map, const struct connector *connector,
                        const struct worker_figures *figures)
{
    static const char *const names[][3] = {{"token_limit", "token_rate.limit", NULL},
                                           {"token_window_s", "token_rate.window_s", NULL},
                                           {"api_limit", "rate.limit", NULL},
                                           {"api_window_s", "rate.window_s", NULL}};
    if (figures->budget_left == INT64_MAX)
        return;
    struct pack budget = pack_map_in(map, "budget");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        double number = settings_number(connector->settings, names[i][1], 0);
        if (number > 0)
            pack_int(&budget, names[i][0], (int64_t)number);
    }
    pack_int(&budget, "left", figures->budget_left);
    pack_int(&budget, "room_1h", figures->room_1h);
    pack_close(&budget);
}

/* What is due within the hour, how much of it cannot go out in it, and which grants end soon. */
static int pack_forecast(struct query *self, struct pack *map, const struct connector *connector,
                         const struct worker_figures *figures, uint64_t *debt, uint64_t *ending)
{
    struct store_forecast forecast = {0, 0};
    int64_t now = clock_wall_s();
    int result = self->broker->store->forecast(self->reader, text_of(connector->provider),
                                               now + HOUR_S, now + FORECAST_S, &forecast);
    uint64_t room = (uint64_t)figures->room_1h;
    uint64_t own_debt = forecast.due > room ? forecast.due - room : 0;
    pack_uint(map, "due_1h", forecast.due);
    pack_uint(map, "refresh_debt", own_debt);
    pack_uint(map, "reauth_forecast", forecast.ending);
    *debt += own_debt;
    *ending += forecast.ending;
    return result;
}

static void pack_gate(struct pack *map, const struct worker_figures *figures)
{
    const char *reason = gate_reason_name(figures->gate);
    bool is_held = figures->gate != GATE_FREE && figures->gate != GATE_BUDGET;
    pack_bool(map, "held", is_held);
    if (reason)
        pack_string(map, "held_by", reason);
    if (reason && figures->gate_wait_ms >= 0)
        pack_int(map, "held_ms", figures->gate_wait_ms);
    pack_string(map, "breaker", breaker_state_name(figures->breaker));
}

/* The share of time that a good secret was there; absent where nothing was refreshed yet. */
static void pack_availability(struct pack *map, const struct connector *connector,
                              const struct worker_figures *figures)
{
    double target = connector->availability;
    double measured = availability_measured((double)figures->covered_s, (double)figures->missing_s);
    if (figures->covered_s == 0 && target == 0)
        return;
    struct pack availability = pack_map_in(map, "availability");
    if (figures->covered_s > 0)
        pack_double(&availability, "measured", measured);
    if (target > 0) {
        pack_double(&availability, "target", target);
        pack_bool(&availability, "met", measured >= target);
        pack_int(&availability, "lead_s", figures->lead_s);
    }
    pack_close(&availability);
}

static int pack_providers(struct query *self, struct pack *map)
{
    const struct broker *broker = self->broker;
    uint64_t debt = 0, ending = 0;
    int result = 0;
    struct pack providers = pack_map_in(map, "providers");
    for (size_t i = 0; i < broker->connectors->count && result == 0; i++) {
        const struct connector *connector = &broker->connectors->items[i];
        struct worker_figures figures = worker_figures(broker->workers[i]);
        if (connector->shared_id &&
            !name_list_has(&self->asker->refs, text_of(connector->shared_id + 1)))
            continue; /* as if there were none, as everywhere */
        struct pack one = pack_map_in(&providers, connector->provider);
        pack_uint(&one, "queue", figures.queue);
        pack_uint(&one, "in_flight", figures.in_flight);
        pack_uint(&one, "refreshed", figures.refreshed);
        pack_uint(&one, "failed", figures.failed);
        pack_uint(&one, "p50_ms", figures.p50_ms);
        pack_uint(&one, "p99_ms", figures.p99_ms);
        pack_int(&one, "waiting", figures.waiting);
        pack_gate(&one, &figures);
        pack_budget(&one, connector, &figures);
        pack_availability(&one, connector, &figures);
        result = pack_forecast(self, &one, connector, &figures, &debt, &ending);
        pack_secret_end(&one, connector, figures.has_next_secret);
        if (figures.paused_since != 0)
            pack_int(&one, "paused_since", figures.paused_since);
        if (connector->shared_id)
            refs_pack(broker->refs, i, &one);
        pack_close(&one);
    }
    pack_close(&providers);
    pack_uint(map, "refresh_debt", debt);
    pack_uint(map, "reauth_forecast", ending);
    return result;
}

static void pack_memory(struct pack *map)
{
    struct secret_arena_info info = secret_arena_info();
    struct pack memory = pack_map_in(map, "secret_memory");
    pack_uint(&memory, "bytes", info.bytes);
    pack_uint(&memory, "used_bytes", info.used_bytes);
    pack_uint(&memory, "overflows", info.overflows);
    pack_bool(&memory, "locked", info.is_locked);
    pack_close(&memory);
}

static int answer_status(struct query *self, const struct job *job, struct answer *answer)
{
    struct store_counts counts;
    char public_key[SOCKET_KEY_SIZE];
    const struct broker *broker = self->broker;
    (void)job;
    int result = broker->store->counts(self->reader, &counts);
    if (result < 0)
        return result;
    struct pack map = pack_map(&answer->body);
    pack_string(&map, "version", bursar_version());
    pack_int(&map, "uptime_s", clock_wall_s() - broker->started_at);
    pack_string(&map, "store", broker->store->scheme);
    pack_uint(&map, "seq", counts.last_seq);
    pack_states(&map, &counts);
    result = pack_providers(self, &map);
    if (self->asker->roles & ROLE_ADMIN) /* whatever somebody has typed */
        refs_pack_unknown(broker->refs, &map);
    query_keys_pack(self, &map);
    pack_memory(&map);
    if (socket_public_key(broker->config, public_key))
        pack_string(&map, "curve_public_key", public_key);
    if (result == 0)
        result = query_pack_audit(self, &map);
    pack_close(&map);
    return result;
}

/* ---- connectors, operators ---------------------------------------------------------------------- */

static int answer_connectors(struct query *self, const struct job *job, struct answer *answer)
{
    (void)job;
    return catalog_view_list(self->broker, &answer->body);
}

static int answer_connector(struct query *self, const struct job *job, struct answer *answer)
{
    return catalog_view_get(self->broker, job->provider, &answer->body, &answer->text);
}

/* ---- the thread -------------------------------------------------------------------------------- */

typedef int answer_fn(struct query *self, const struct job *job, struct answer *answer);

static answer_fn *const functions[OP_END] = {[OP_SWEEP_GET] = query_sweep,
                                             [OP_SWEEP_LIST] = query_sweeps,
                                             [OP_SWEEP_RECEIPTS] = query_receipts,
                                             [OP_AUDIT_SINCE] = query_audit_since,
                                             [OP_AUDIT_VENDS] = query_audit_vends,
                                             [OP_AUDIT_VERIFY] = query_audit_verify,
                                             [OP_AUDIT_HEAD] = query_audit_head,
                                             [OP_LIST] = answer_list,
                                             [OP_EVENTS_SINCE] = answer_events,
                                             [OP_STATUS] = answer_status,
                                             [OP_CONNECTOR_LIST] = answer_connectors,
                                             [OP_CONNECTOR_GET] = answer_connector,
                                             [OP_IS_OPERATOR] = query_operator,
                                             [OP_PRINCIPAL_LIST] = query_principals,
                                             [OP_PRINCIPAL_GET] = query_principal};

/* Those that are more than one look into the store: they take the request and answer it in their time. */
typedef void take_fn(struct query *self, struct request *request);

static take_fn *const takers[OP_END] = {[OP_FREEZE] = query_change_sweep,
                                        [OP_THAW] = query_change_sweep,
                                        [OP_REVOKE] = query_change_sweep,
                                        [OP_SWEEP_CANCEL] = query_change_sweep,
                                        [OP_PRINCIPAL_ADD] = query_change_principal,
                                        [OP_PRINCIPAL_UPDATE] = query_change_principal,
                                        [OP_PRINCIPAL_REMOVE] = query_change_principal,
                                        [OP_KEY_LIST] = query_keys_take,
                                        [OP_KEY_NEW] = query_keys_take,
                                        [OP_KEY_ROTATE] = query_keys_take,
                                        [OP_KEY_RETIRE] = query_keys_take,
                                        [OP_KEY_SHRED] = query_keys_take,
                                        [OP_KEY_RELOAD] = query_keys_take};

static void answer_request(struct query *self, struct request *request)
{
    const struct job *job = &request->job;
    if (takers[job->op]) {
        takers[job->op](self, request);
        return;
    }
    if (job->op == OP_SWEEP_GET && job->wait) {
        query_wait_sweep(self, request);
        return;
    }
    struct answer *answer = answer_new(request->ticket);
    self->asker = request->principal;
    answer->error = functions[job->op](self, job, answer);
    if (answer->error == 0 && buf_error(&answer->body) != 0)
        answer->error = BURSAR_E_INTERNAL;
    request_free(request);
    dispatcher_send(self->broker->dispatcher, answer);
}

/* Takes the message. false where the thread is to end. */
static bool take(struct query *self, struct message *message)
{
    switch (message->type) {
    case MESSAGE_REQUEST: answer_request(self, (struct request *)message); return true;
    case MESSAGE_WRITE:
        self->writes--;
        ((struct write_message *)message)
            ->done(((struct write_message *)message)->context, (struct write_message *)message);
        return true;
    case MESSAGE_KEYS:
        free(message);
        query_keys_heard(self);
        return true;
    case MESSAGE_RELOAD: query_reload(self, (struct reload_message *)message); return true;
    case MESSAGE_SWEEP: /* a part of one has ended: who waits for the whole may have waited long enough */
        free(message);
        query_wake_waiting(self, false);
        return true;
    case MESSAGE_DRAIN:
        free(message);
        query_wake_waiting(self, true);
        return true;
    default:
        free(message);
        query_wake_waiting(self, true);
        return false;
    }
}

static void *run(void *context)
{
    struct query *self = context;
    const struct broker *broker = self->broker;
    int result = broker->store->reader_open(broker->store_where, &self->reader, self->open_error);
    thread_ready(&self->thread, result);
    bool is_stopping = result < 0;
    query_keys_start(self);
    while (!is_stopping || self->writes > 0) { /* what is with the store comes back */
        mailbox_wait(&self->inbox, is_stopping ? -1 : query_keys_step(self));
        for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
            next = mail->next;
            is_stopping = !take(self, (struct message *)mail) || is_stopping;
        }
    }
    query_keys_end(self);
    broker->store->reader_close(self->reader);
    return NULL;
}

static void copy_configured(struct query *self)
{
    const struct config *config = self->broker->config;
    self->configured = memory_new((config->principal_count + 1) * sizeof *self->configured);
    for (size_t i = 0; i < config->principal_count; i++) {
        if (!principal_copy(&config->principals[i], &self->configured[self->configured_count++]))
            abort();
    }
}

static void query_free(struct query *self)
{
    query_forget_configured(self);
    principals_release(self->principals);
    mailbox_fini(&self->inbox);
    free(self);
}

int query_start(const struct broker *broker, struct query **out_query, struct buf *error)
{
    struct query *self = memory_new(sizeof *self);
    self->broker = broker;
    self->open_error = error;
    self->principals = principals_hold(broker->principals);
    copy_configured(self);
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = thread_start(&self->thread, "query", run, self);
    if (result < 0) {
        query_free(self);
        return result;
    }
    *out_query = self;
    return 0;
}

void query_drain(struct query *self)
{
    mailbox_send(&self->inbox, &message_new(MESSAGE_DRAIN)->mail);
}

void query_sweep_ended(struct query *self, struct text sweep)
{
    static const struct text none = {NULL, 0};
    mailbox_send(&self->inbox, &sweep_message_new(sweep, none, false)->message.mail);
}

void query_stop(struct query *self)
{
    if (!self)
        return;
    mailbox_send(&self->inbox, &message_new(MESSAGE_STOP)->mail);
    thread_join(&self->thread);
    query_free(self);
}

void query_send(struct query *self, struct request *request)
{
    mailbox_send(&self->inbox, &request->message.mail);
}

void query_send_reload(struct query *self, struct reload_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}
