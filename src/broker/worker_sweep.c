#include "broker/worker_sweep.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutation.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/query.h"
#include "broker/worker_sweep_parts.h"
#include "wire/pack.h"
#include "wire/tags.h"

enum {
    LOOK_AT = 256,   /* rows that one turn looks at */
    AGAIN_MS = 250,  /* while the store cannot be read or written */
    TURNS_PER_S = 10 /* batches into which a rate is cut */
};

/* ---- the parts ----------------------------------------------------------------------------------- */

static struct buf keep(struct text text)
{
    struct buf buf = buf_make(SWEEP_TEXT_MAX);
    if (text.data) {
        buf_append_text(&buf, text);
        buf_append_byte(&buf, 0); /* so that an empty text is told from an absent one */
        buf_truncate(&buf, text.len);
    }
    return buf;
}

/* The same back; buf_text() makes no such difference. */
static struct text kept(const struct buf *buf)
{
    return buf->data ? buf_text(buf) : (struct text){NULL, 0};
}

static void part_free(struct sweep_part *part)
{
    buf_free(&part->provider);
    buf_free(&part->owner);
    buf_free(&part->tag);
    buf_free(&part->principal);
    buf_free(&part->after_owner);
    buf_free(&part->after_account);
    buf_free(&part->asked);
    free(part);
}

/* The dispatcher answers from its memory again: whatever this part took out was told before. */
static void part_release(struct worker *self, struct sweep_part *part)
{
    if (part->has_hold)
        dispatcher_hold(self->broker->dispatcher, buf_text(&part->provider), -1);
    query_sweep_ended(self->broker->query, text_of(part->sweep));
    DL_DELETE(self->sweeps, part);
    part_free(part);
}

void sweep_part_settle(struct worker *self, struct sweep_part *part)
{
    if (part->is_gone && !part->is_busy && part->asking == 0)
        part_release(self, part);
}

static struct sweep_part *find(const struct worker *self, struct text sweep, struct text provider)
{
    struct sweep_part *part;
    DL_FOREACH(self->sweeps, part) {
        if (text_is(sweep, part->sweep) && text_equal(provider, buf_text(&part->provider)))
            return part;
    }
    return NULL;
}

static void set_place(struct sweep_part *part, struct text owner, struct text account,
                      bool is_walked)
{
    buf_free(&part->after_owner);
    buf_free(&part->after_account);
    part->after_owner = keep(owner);
    part->after_account = keep(account);
    part->is_walked = is_walked;
}

static struct sweep_part *part_new(const struct sweep_part_row *row)
{
    struct sweep_part *part = memory_new(sizeof *part);
    memcpy(part->sweep, row->sweep.data, row->sweep.len);
    part->action = row->action;
    part->at_provider = row->at_provider;
    part->rate_per_s = row->rate_per_s;
    part->provider = keep(row->provider);
    part->owner = keep(row->owner);
    part->tag = keep(row->tag);
    part->principal = keep(row->principal);
    part->vended_since = row->vended_since;
    part->asked = buf_make(ID_SIZE);
    set_place(part, row->after_owner, row->after_account, row->is_walked);
    return part;
}

static bool load_part(void *context, const struct sweep_part_row *row)
{
    struct worker *self = context;
    /* By the connector: while the broker starts it has no list of its workers yet. */
    if (connectors_find(self->broker->connectors, row->provider) != self->connector ||
        row->sweep.len >= SWEEP_ID_SIZE)
        return true;
    struct sweep_part *part = find(self, row->sweep, row->provider);
    if (part) {
        part->is_gone = false;
        if (!part->is_busy)
            set_place(part, row->after_owner, row->after_account, row->is_walked);
        return true;
    }
    part = part_new(row);
    DL_APPEND(self->sweeps, part);
    if (!self->is_open && part->action == SWEEP_FREEZE) { /* of an earlier process */
        part->has_hold = true;
        dispatcher_hold(self->broker->dispatcher, row->provider, 1);
    }
    return true;
}

/* Each freeze that has begun holds the dispatcher once: until its part ends, or from now on no more where there
 * is none, because it was cancelled or has ended before it was heard of. */
static void settle_holds(struct worker *self)
{
    while (self->holds) {
        struct sweep_message *hold = self->holds;
        struct sweep_part *part = find(self, text_of(hold->sweep), hold->provider);
        self->holds = (struct sweep_message *)hold->message.mail.next;
        if (part)
            part->has_hold = true;
        else if (BURSAR_MUTATION != 14)
            dispatcher_hold(self->broker->dispatcher, hold->provider, -1);
        free(hold);
    }
}

/* Those that the store does not name any more have ended. */
static int load(struct worker *self)
{
    struct sweep_part *part, *next;
    DL_FOREACH(self->sweeps, part)
        part->is_gone = true;
    int result = !self->reader ? BURSAR_E_STORE_UNAVAILABLE
                               : self->broker->store->sweep_parts(self->reader, load_part, self);
    if (result == 0)
        settle_holds(self);
    DL_FOREACH_SAFE(self->sweeps, part, next) {
        if (result < 0) /* nobody knows: asked again */
            part->is_gone = false;
        sweep_part_settle(self, part);
    }
    self->must_load_sweeps = result < 0;
    self->sweep_at_ms = result < 0 ? clock_boot_ms() + AGAIN_MS : 0;
    return result;
}

void worker_sweep_changed(struct worker *self, struct sweep_message *message)
{
    if (message->has_hold) {
        message->message.mail.next = (struct mail *)self->holds;
        self->holds = message;
    } else {
        free(message);
    }
    load(self);
}

bool worker_sweep_knows_all(struct worker *self)
{
    return !self->holds || load(self) == 0;
}

void worker_sweep_end(struct worker *self)
{
    struct sweep_part *part, *next;
    DL_FOREACH_SAFE(self->sweeps, part, next) {
        DL_DELETE(self->sweeps, part);
        part_free(part);
    }
    while (self->holds) {
        struct sweep_message *hold = self->holds;
        self->holds = (struct sweep_message *)hold->message.mail.next;
        free(hold);
    }
    tree_free(self->sweep_tree);
}

/* ---- who is selected ----------------------------------------------------------------------------- */

/* 1, 0, or why it cannot be known. */
static int selects(const struct worker *self, const struct sweep_part *part,
                   const struct conn_row *row)
{
    if (!text_equal(row->provider, buf_text(&part->provider)) ||
        (part->owner.data && !text_equal(row->owner, buf_text(&part->owner))))
        return 0;
    if (part->tag.data && !tags_have(self->sweep_tree, row->tags, buf_text(&part->tag)))
        return 0;
    return !part->principal.data
               ? 1
               : self->broker->store->was_given(self->reader, buf_text(&part->principal), row->id,
                                                part->vended_since);
}

/* Whether the walk, which goes by owner and then by account, is past the row. */
static bool has_passed(const struct sweep_part *part, const struct conn_row *row)
{
    if (part->is_walked)
        return true;
    if (!part->after_owner.data)
        return false;
    int order = text_compare(row->owner, buf_text(&part->after_owner));
    if (order == 0)
        order = text_compare(row->account, buf_text(&part->after_account));
    return order <= 0;
}

bool worker_is_swept(const struct worker *self, const struct conn_row *row)
{
    struct sweep_part *part;
    DL_FOREACH(self->sweeps, part) {
        if (BURSAR_MUTATION != 18 && part->action == SWEEP_FREEZE && !part->is_gone &&
            !has_passed(part, row) && selects(self, part, row) != 0)
            return row->state != CONN_REVOKED && row->state != CONN_FROZEN;
    }
    return false;
}

/* ---- the walk ------------------------------------------------------------------------------------ */

/* A batch on its way: what its change points to. */
struct step {
    struct sweep_change change;
    struct text connections[SWEEP_BATCH_MAX];
    struct sweep_part *part;
};

struct look {
    struct worker *worker;
    struct sweep_part *part;
    struct write_message *message;
    struct step *step;
    size_t seen, room;
    bool is_full;
    bool has_failed; /* the store does not say whether a row is selected */
};

static bool look_at(void *context, const struct conn_row *row)
{
    struct look *look = context;
    struct sweep_change *change = &look->step->change;
    if (change->connection_count == look->room) {
        look->is_full = true;
        return false;
    }
    int is_selected = selects(look->worker, look->part, row);
    look->has_failed = is_selected < 0;
    if (look->has_failed)
        return false;
    look->seen++;
    buf_clear(&look->part->to_owner);
    buf_clear(&look->part->to_account);
    buf_append_text(&look->part->to_owner, row->owner);
    buf_append_text(&look->part->to_account, row->account);
    if (is_selected && (BURSAR_MUTATION != 19 || look->seen % 5 != 3))
        look->step->connections[change->connection_count++] = write_keep(look->message, row->id);
    return true;
}

static void rows_changed(struct worker *self, const struct sweep_change *change)
{
    for (size_t i = 0; i < change->connection_count; i++)
        worker_row_changed(self, change->connections[i]);
}

static void stepped(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct step *step = message->own;
    struct sweep_part *part = step->part;
    const struct sweep_change *change = &step->change;
    int result = message->change.result;
    int64_t done = (int64_t)message->change.generation;
    part->is_busy = false;
    if (result < 0) {
        part->walk_at_ms = clock_boot_ms() + AGAIN_MS;
        if (result != BURSAR_E_STORE_UNAVAILABLE)
            self->must_load_sweeps = true; /* it was ended meanwhile */
    } else {
        bool is_moving = change->to_owner.data != NULL;
        set_place(part, is_moving ? change->to_owner : change->after_owner,
                  is_moving ? change->to_account : change->after_account, change->is_last);
        part->is_gone = change->has_ended;
        rows_changed(self, change);
        part->walk_at_ms = clock_boot_ms();
        if (part->rate_per_s > 0)
            part->walk_at_ms += 1000 * done / part->rate_per_s;
    }
    self->sweep_at_ms = 0;
    if (part->is_gone)
        LOG(LOG_INFO, "a sweep's part has ended", LOG_S("sweep", part->sweep),
            LOG_T("provider", buf_text(&part->provider)));
    write_free(message);
    sweep_part_settle(self, part);
}

static size_t room_of(const struct sweep_part *part)
{
    size_t room = part->rate_per_s / TURNS_PER_S + 1;
    return part->rate_per_s == 0 || room > SWEEP_BATCH_MAX ? SWEEP_BATCH_MAX : room;
}

static void send_step(struct worker *self, struct look *look)
{
    struct sweep_part *part = look->part;
    struct write_message *message = look->message;
    struct sweep_change *change = &look->step->change;
    change->sweep = text_of(part->sweep);
    change->action = part->action;
    change->at_provider = part->at_provider;
    change->connections = look->step->connections;
    change->is_last = !look->is_full && look->seen < LOOK_AT;
    change->after_owner = write_keep(message, kept(&part->after_owner));
    change->after_account = write_keep(message, kept(&part->after_account));
    if (look->seen > 0) {
        change->to_owner = write_keep(message, buf_text(&part->to_owner));
        change->to_account = write_keep(message, buf_text(&part->to_account));
    }
    message->change.at_ms = clock_wall_ms();
    message->change.provider = write_keep(message, buf_text(&part->provider));
    message->change.remind_at = worker_remind_at(self);
    message->change.sweep = change;
    part->is_busy = true;
    worker_write(self, message, stepped, self);
}

static void walk(struct worker *self, struct sweep_part *part)
{
    struct text provider = buf_text(&part->provider);
    struct look look = {.worker = self,
                        .part = part,
                        .message = write_new(CHANGE_SWEEP_STEP, (struct text){NULL, 0}),
                        .step = memory_new(sizeof *look.step),
                        .room = room_of(part)};
    struct store_list_filter filter = {
        .owner = kept(&part->owner), .provider = provider, .limit = LOOK_AT};
    look.message->own = look.step;
    look.step->part = part;
    part->to_owner = buf_make(SWEEP_TEXT_MAX);
    part->to_account = buf_make(SWEEP_TEXT_MAX);
    if (part->after_owner.data) {
        filter.after_owner = buf_text(&part->after_owner);
        filter.after_provider = provider;
        filter.after_account = buf_text(&part->after_account);
    }
    if (self->broker->store->list(self->reader, &filter, look_at, &look) < 0 || look.has_failed) {
        part->walk_at_ms = clock_boot_ms() + AGAIN_MS;
        write_free(look.message);
    } else {
        send_step(self, &look);
    }
    buf_free(&part->to_owner);
    buf_free(&part->to_account);
}

/* ---- turns --------------------------------------------------------------------------------------- */

static void next_turn(struct worker *self, int64_t at_ms)
{
    if (at_ms < self->sweep_at_ms)
        self->sweep_at_ms = at_ms;
}

void worker_sweep(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    bool is_walking = false;
    struct sweep_part *part, *next;
    if (now_ms < self->sweep_at_ms)
        return;
    self->sweep_at_ms = INT64_MAX;
    if (self->is_draining || !self->is_open)
        return; /* MESSAGE_START brings it back */
    if (self->must_load_sweeps && load(self) < 0)
        return;
    self->sweep_at_ms = INT64_MAX;
    DL_FOREACH_SAFE(self->sweeps, part, next) {
        if (part->is_gone)
            continue;
        if (part->is_walked) {
            next_turn(self, sweep_ask(self, part, now_ms));
        } else if (!is_walking) {
            is_walking = true;
            if (!part->is_busy && part->walk_at_ms <= now_ms)
                walk(self, part);
            if (!part->is_busy)
                next_turn(self, part->walk_at_ms);
        }
    }
}

/* ---- a provider's pause -------------------------------------------------------------------------- */

static void set_pause(struct worker *self, int64_t since)
{
    self->gate.is_paused = since != 0;
    self->has_gate_shut = since != 0;
    self->gate_at_ms = 0;
    atomic_store(&self->figures.paused_since, since);
    worker_plan_soon(self);
}

int worker_sweep_start(struct worker *self)
{
    int64_t since = 0;
    self->sweep_tree = tree_new();
    int result = self->sweep_tree ? load(self) : BURSAR_E_NOMEM;
    if (result == 0 && self->connector)
        result =
            self->broker->store->paused(self->reader, text_of(self->connector->provider), &since);
    if (result == 0 && BURSAR_MUTATION != 22)
        set_pause(self, since);
    return result;
}

static void paused(void *context, struct write_message *message)
{
    struct worker *self = context;
    struct request *request = message->request;
    int64_t since = 0;
    int result = message->change.result;
    message->request = NULL;
    if (result == 0)
        result = self->broker->store->paused(self->reader, message->change.provider, &since);
    write_free(message);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    set_pause(self, since);
    LOG(LOG_WARNING, since != 0 ? "refreshing is paused" : "refreshing goes on",
        LOG_S("provider", self->connector->provider));
    struct answer *answer = answer_new(request->ticket);
    struct pack map = pack_map(&answer->body);
    pack_string(&map, "provider", self->connector->provider);
    pack_bool(&map, "paused", since != 0);
    if (since != 0)
        pack_int(&map, "since", since);
    pack_close(&map);
    dispatcher_send(self->broker->dispatcher, answer);
    request_free(request);
}

void worker_pause(struct worker *self, struct request *request)
{
    struct write_message *message = write_new(CHANGE_PAUSE, (struct text){NULL, 0});
    message->change.at_ms = clock_wall_ms();
    message->change.provider = text_of(self->connector->provider);
    message->change.is_begin = request->job.op == OP_PAUSE;
    message->request = request;
    worker_write(self, message, paused, self);
}
