/* Sweeps as their callers see them: begun, looked at, ended. */
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/query_parts.h"
#include "broker/worker.h"
#include "wire/pack.h"
#include "wire/tags.h"

enum {
    LIST_DEFAULT = 100,
    PROVIDERS_MAX = 4096, /* of one selection */
    WAITING_MAX = 1024,   /* for the end of sweeps */
    BODY_STOP = 16 << 20  /* a page ends where it has grown to this */
};

static const struct text none = {NULL, 0};

static const char *const action_names[SWEEP_ACTION_END] = {
    [SWEEP_FREEZE] = "freeze", [SWEEP_THAW] = "thaw", [SWEEP_REVOKE] = "revoke"};

/* ---- what is looked at --------------------------------------------------------------------------- */

static void pack_given(struct pack *map, const char *key, struct text value)
{
    if (value.data)
        pack_text(map, key, value);
}

static void pack_selection(struct pack *map, const struct sweep_selection *selection)
{
    struct pack select = pack_map_in(map, "select");
    pack_given(&select, "provider", selection->provider);
    pack_given(&select, "owner", selection->owner);
    pack_given(&select, "tag", selection->tag);
    pack_given(&select, "client", selection->client);
    pack_given(&select, "principal", selection->principal);
    if (selection->principal.data)
        pack_int(&select, "vended_since", selection->vended_since);
    pack_close(&select);
}

static const char *state_of(const struct sweep_row *row)
{
    if (row->is_cancelled)
        return "cancelled";
    return row->ended_at != 0 ? "done" : "running";
}

static void pack_sweep(struct pack *map, const struct sweep_row *row)
{
    bool is_known = row->action > 0 && row->action < SWEEP_ACTION_END;
    pack_text(map, "id", row->id);
    pack_string(map, "action", is_known ? action_names[row->action] : "unknown");
    pack_selection(map, &row->selection);
    if (row->at_provider)
        pack_bool(map, "at_provider", true);
    if (row->rate_per_s > 0)
        pack_uint(map, "rate_per_s", row->rate_per_s);
    pack_string(map, "state", state_of(row));
    pack_int(map, "begun_at", row->begun_at);
    if (row->ended_at != 0)
        pack_int(map, "ended_at", row->ended_at);
    pack_uint(map, "count", row->count);
    pack_uint(map, "done", row->done);
    pack_uint(map, "changed", row->changed);
    if (row->at_provider)
        pack_uint(map, "asking", row->asking);
}

static bool give_sweep(void *context, const struct sweep_row *row)
{
    struct pack *map = context;
    struct pack sweep = pack_map_in(map, "sweep");
    pack_sweep(&sweep, row);
    pack_close(&sweep);
    return true;
}

int query_sweep(struct query *self, const struct job *job, struct answer *answer)
{
    struct pack map = pack_map(&answer->body);
    int result = self->broker->store->sweep(self->reader, job->sweep, give_sweep, &map);
    pack_close(&map);
    if (result == BURSAR_E_NOT_FOUND)
        buf_append_string(&answer->text, "no sweep has this id");
    return result;
}

/* ---- who waits for an end ------------------------------------------------------------------------- */

static bool note_end(void *context, const struct sweep_row *row)
{
    *(bool *)context = row->ended_at != 0;
    return true;
}

/* Where it cannot be read it is answered too: with what is wrong. */
static bool has_ended(struct query *self, struct text sweep)
{
    bool is_over = false;
    return self->broker->store->sweep(self->reader, sweep, note_end, &is_over) < 0 || is_over;
}

static void answer_sweep(struct query *self, struct request *request)
{
    struct answer *answer = answer_new(request->ticket);
    answer->error = query_sweep(self, &request->job, answer);
    request_free(request);
    dispatcher_send(self->broker->dispatcher, answer);
}

void query_wait_sweep(struct query *self, struct request *request)
{
    if (has_ended(self, request->job.sweep)) {
        answer_sweep(self, request);
    } else if (self->waiting_count == WAITING_MAX) {
        query_refuse(self, request, BURSAR_E_OVERLOADED, none);
    } else {
        request->next = self->waiting;
        self->waiting = request;
        self->waiting_count++;
    }
}

void query_wake_waiting(struct query *self, bool is_draining)
{
    struct request *waiting = self->waiting;
    int64_t now_ms = clock_boot_ms();
    self->waiting = NULL;
    self->waiting_count = 0;
    for (struct request *request = waiting, *next; request; request = next) {
        next = request->next;
        request->next = NULL;
        if (request->deadline_ms <= now_ms) /* the dispatcher has told it so */
            request_free(request);
        else if (is_draining)
            query_refuse(self, request, BURSAR_E_SHUTTING_DOWN, none);
        else
            query_wait_sweep(self, request);
    }
}

/* ---- lists ---------------------------------------------------------------------------------------- */

/* A list of which the page's last id is kept. */
struct page {
    struct pack items;
    size_t left;
    struct buf last;
    bool is_more;
};

static bool page_takes(struct page *page, struct text id)
{
    if (page->left == 0 || page->items.out->len > BODY_STOP) {
        page->is_more = true;
        return false;
    }
    page->left--;
    buf_clear(&page->last);
    buf_append_text(&page->last, id);
    return true;
}

static void page_end(struct page *page, struct pack *map)
{
    pack_close(&page->items);
    if (page->is_more)
        pack_text(map, "cursor", buf_text(&page->last));
    pack_close(map);
    buf_free(&page->last);
}

static struct page page_make(const struct job *job, struct pack *map, const char *key)
{
    return (struct page){.items = pack_array_in(map, key),
                         .left = job->limit > 0 ? job->limit : LIST_DEFAULT,
                         .last = buf_make(ID_SIZE)};
}

static bool list_sweep(void *context, const struct sweep_row *row)
{
    struct page *page = context;
    if (!page_takes(page, row->id))
        return false;
    struct pack map = pack_item_map(&page->items);
    pack_sweep(&map, row);
    pack_close(&map);
    return true;
}

int query_sweeps(struct query *self, const struct job *job, struct answer *answer)
{
    struct pack map = pack_map(&answer->body);
    struct page page = page_make(job, &map, "sweeps");
    int result =
        self->broker->store->sweeps(self->reader, job->cursor, page.left + 1, list_sweep, &page);
    page_end(&page, &map);
    return result;
}

static bool list_receipt(void *context, const struct sweep_receipt *row)
{
    struct page *page = context;
    const char *from = conn_state_name(row->from), *to = conn_state_name(row->to);
    if (!page_takes(page, row->connection))
        return false;
    struct pack map = pack_item_map(&page->items);
    pack_text(&map, "connection", row->connection);
    pack_text(&map, "owner", row->owner);
    pack_text(&map, "provider", row->provider);
    pack_text(&map, "account", row->account);
    pack_bool(&map, "changed", row->from != row->to);
    pack_string(&map, "from", from ? from : "unknown");
    pack_string(&map, "state", to ? to : "unknown");
    pack_int(&map, "at_ms", row->at_ms);
    pack_given(&map, "at_provider", row->at_provider);
    if (row->is_asking)
        pack_bool(&map, "asking", true);
    pack_close(&map);
    return true;
}

static bool ignore_sweep(void *context, const struct sweep_row *row)
{
    (void)context, (void)row;
    return true;
}

int query_receipts(struct query *self, const struct job *job, struct answer *answer)
{
    const struct store_engine *store = self->broker->store;
    int result = store->sweep(self->reader, job->sweep, ignore_sweep, NULL);
    if (result == BURSAR_E_NOT_FOUND)
        buf_append_string(&answer->text, "no sweep has this id");
    if (result < 0)
        return result;
    struct pack map = pack_map(&answer->body);
    struct page page = page_make(job, &map, "receipts");
    result =
        store->receipts(self->reader, job->sweep, job->cursor, page.left + 1, list_receipt, &page);
    page_end(&page, &map);
    return result;
}

/* ---- what a selection comes to ------------------------------------------------------------------- */

/* A sweep that is about to begin; goes along with its write. */
struct beginning {
    struct query *query;
    struct sweep_change change;
    char id[SWEEP_ID_SIZE];
    struct sweep_share *shares; /* one for each provider that has any; their texts are own copies */
    size_t share_count;
    uint64_t by_state[CONN_STATE_END], total;
    struct tree *tree; /* of the tags that are looked at */
    struct text tag, client;
    bool has_too_many;
};

static void beginning_free(struct beginning *beginning)
{
    for (size_t i = 0; i < beginning->share_count; i++)
        free((char *)beginning->shares[i].provider.data);
    free(beginning->shares);
    tree_free(beginning->tree);
    free(beginning);
}

static struct sweep_share *share_of(struct beginning *beginning, struct text provider)
{
    for (size_t i = beginning->share_count; i > 0;
         i--) { /* rows of a provider often follow others */
        if (text_equal(beginning->shares[i - 1].provider, provider))
            return &beginning->shares[i - 1];
    }
    if (beginning->share_count == PROVIDERS_MAX)
        return NULL;
    size_t count = beginning->share_count++;
    beginning->shares =
        memory_resize(beginning->shares, beginning->share_count * sizeof *beginning->shares);
    char *copy = memory_new(provider.len + 1);
    memcpy(copy, provider.data, provider.len);
    beginning->shares[count] = (struct sweep_share){.provider = {copy, provider.len}};
    return &beginning->shares[count];
}

static bool uses_client(const struct broker *broker, struct text provider, struct text client)
{
    const struct connector *connector = connectors_find(broker->connectors, provider);
    return connector && text_equal(settings_text(connector->settings, "client_id"), client);
}

static bool tally_row(void *context, struct text provider, enum conn_state state, struct text tags)
{
    struct beginning *beginning = context;
    const struct broker *broker = beginning->query->broker;
    if (beginning->client.data && !uses_client(broker, provider, beginning->client))
        return true;
    if (beginning->tag.data && !tags_have(beginning->tree, tags, beginning->tag))
        return true;
    struct sweep_share *share = share_of(beginning, provider);
    beginning->has_too_many = !share;
    if (!share)
        return false;
    share->count++;
    beginning->by_state[state]++;
    beginning->total++;
    return true;
}

/* A name that selects nothing because nothing has it is a mistake that the caller is to hear of. */
static int check_names(const struct broker *broker, const struct job_select *select,
                       const struct beginning *beginning, struct buf *error)
{
    const struct connectors *connectors = broker->connectors;
    if (select->provider.data && beginning->total == 0 &&
        !connectors_find(connectors, select->provider)) {
        const char *near = connectors_nearest(connectors, select->provider);
        buf_append_string(error, "no provider ");
        buf_append_text(error, select->provider);
        buf_append_string(error, " is configured");
        if (near)
            buf_printf(error, "; did you mean %s?", near);
        return BURSAR_E_UNKNOWN_PROVIDER;
    }
    if (!select->client.data)
        return 0;
    for (size_t i = 0; i < connectors->count; i++) {
        if (uses_client(broker, text_of(connectors->items[i].provider), select->client))
            return 0;
    }
    buf_append_string(error, "no provider is configured with this client_id");
    return BURSAR_E_BAD_REQUEST;
}

static int look(struct beginning *beginning, const struct job_select *select, struct buf *error)
{
    struct query *self = beginning->query;
    beginning->tag = select->tag;
    beginning->client = select->client;
    beginning->tree = tree_new();
    if (!beginning->tree)
        return BURSAR_E_NOMEM;
    const struct sweep_selection given = {.owner = select->owner,
                                          .provider = select->provider,
                                          .principal = select->principal,
                                          .vended_since = select->vended_since};
    const struct store_engine *store = self->broker->store;
    int result =
        select->principal.data
            ? store->tally_given(self->reader, &given, tally_row, beginning)
            : store->tally(self->reader, select->owner, select->provider, tally_row, beginning);
    if (result == 0 && beginning->has_too_many) {
        buf_printf(error, "the selection has connections of more than %d providers",
                   (int)PROVIDERS_MAX);
        result = BURSAR_E_BAD_REQUEST;
    }
    return result == 0 ? check_names(self->broker, select, beginning, error) : result;
}

/* ---- begun and cancelled ------------------------------------------------------------------------- */

static void pack_beginning(struct pack *map, const struct beginning *beginning)
{
    pack_uint(map, "count", beginning->total);
    struct pack providers = pack_map_in(map, "providers");
    for (size_t i = 0; i < beginning->share_count; i++) {
        char *name = text_copy(beginning->shares[i].provider);
        if (name)
            pack_uint(&providers, name, beginning->shares[i].count);
        free(name);
    }
    pack_close(&providers);
    struct pack states = pack_map_in(map, "states");
    for (int i = CONN_PENDING; i < CONN_STATE_END; i++) {
        if (beginning->by_state[i] > 0)
            pack_uint(&states, conn_state_name((enum conn_state)i), beginning->by_state[i]);
    }
    pack_close(&states);
}

static void answer_beginning(struct beginning *beginning, struct request *request)
{
    struct answer *answer = answer_new(request->ticket);
    struct pack map = pack_map(&answer->body);
    if (request->job.dry_run)
        pack_bool(&map, "dry_run", true);
    else
        pack_string(&map, "sweep", beginning->id);
    pack_beginning(&map, beginning);
    pack_close(&map);
    if (buf_error(&answer->body) != 0)
        answer->error = BURSAR_E_INTERNAL;
    request_free(request);
    dispatcher_send(beginning->query->broker->dispatcher, answer);
}

/* The workers hear of it before its caller does, and the dispatcher too: what comes after the answer is
 * refused. */
static void begun(void *context, struct write_message *message)
{
    struct beginning *beginning = context;
    struct query *self = beginning->query;
    const struct broker *broker = self->broker;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        query_refuse(self, request, result,
                     result == BURSAR_E_OVERLOADED ? TEXT_LITERAL("too many sweeps are under way")
                                                   : none);
        beginning_free(beginning);
        return;
    }
    LOG(LOG_WARNING, "a sweep has begun", LOG_S("sweep", beginning->id),
        LOG_S("action", action_names[beginning->change.action]),
        LOG_I("count", (int64_t)beginning->total));
    for (size_t i = 0; i < beginning->share_count; i++) {
        struct text provider = beginning->shares[i].provider;
        bool is_freeze = beginning->change.action == SWEEP_FREEZE;
        worker_send_sweep_begun(broker_worker(broker, provider), text_of(beginning->id), provider,
                                is_freeze);
        if (is_freeze)
            dispatcher_hold(broker->dispatcher, provider, 1);
    }
    answer_beginning(beginning, request);
    beginning_free(beginning);
}

static void begin(struct query *self, struct request *request)
{
    static const enum sweep_action actions[OP_END] = {
        [OP_FREEZE] = SWEEP_FREEZE, [OP_THAW] = SWEEP_THAW, [OP_REVOKE] = SWEEP_REVOKE};
    const struct job *job = &request->job;
    const struct job_select *select = &job->select;
    struct beginning *beginning = memory_new(sizeof *beginning);
    struct buf error = buf_make(1024);
    char id[ID_SIZE];
    beginning->query = self;
    int result = look(beginning, select, &error);
    if (result < 0) {
        query_refuse(self, request, result, buf_text(&error));
        beginning_free(beginning);
    } else if (job->dry_run) {
        answer_beginning(beginning, request);
        beginning_free(beginning);
    } else {
        struct write_message *message = write_new(CHANGE_SWEEP, none);
        id_make("sweep", clock_wall_ms(), id);
        memccpy(beginning->id, id, 0, sizeof beginning->id - 1);
        beginning->change = (struct sweep_change){
            .sweep = text_of(beginning->id),
            .action = actions[job->op],
            .at_provider = job->at_provider,
            .selection = {select->provider, select->owner, select->tag, select->client,
                          select->principal, select->vended_since},
            .rate_per_s = job->rate_per_s,
            .shares = beginning->shares,
            .share_count = beginning->share_count};
        message->change.sweep = &beginning->change;
        message->request = request;
        query_write(self, message, begun, beginning);
    }
    buf_free(&error);
}

static void cancelled(void *context, struct write_message *message)
{
    struct query *self = context;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        query_refuse(self, request, result,
                     result == BURSAR_E_NOT_FOUND  ? TEXT_LITERAL("no sweep has this id")
                     : result == BURSAR_E_CONFLICT ? TEXT_LITERAL("the sweep has ended already")
                                                   : none);
        return;
    }
    LOG(LOG_WARNING, "a sweep was cancelled", LOG_T("sweep", request->job.sweep));
    for (size_t i = 0; i < self->broker->worker_count; i++)
        worker_send_sweep(self->broker->workers[i]);
    query_wake_waiting(self, false);
    struct answer *answer = answer_new(request->ticket);
    answer->error = query_sweep(self, &request->job, answer);
    request_free(request);
    dispatcher_send(self->broker->dispatcher, answer);
}

void query_change_sweep(struct query *self, struct request *request)
{
    if (request->job.op != OP_SWEEP_CANCEL) {
        begin(self, request);
        return;
    }
    struct write_message *message = write_new(CHANGE_SWEEP_CANCEL, none);
    struct sweep_change *change = memory_new(sizeof *change);
    change->sweep = request->job.sweep;
    message->own = change;
    message->change.sweep = change;
    message->request = request;
    query_write(self, message, cancelled, self);
}
