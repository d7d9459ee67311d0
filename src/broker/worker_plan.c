#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutation.h"
#include "broker/memory.h"
#include "broker/worker_parts.h"
#include "broker/worker_sweep.h"

enum {
    PLAN_EVERY_MS = 60000, /* at the latest: stored times are wall clock, and that may jump */
    PLAN_AGAIN_MS = 1000,  /* while the store cannot be read */
    CLOCK_STEP_MS = 60000, /* less is no step */
    PLAN_LIST = 1024,
    PLAN_LIST_MOST =
        8192, /* behind a full one: putting a hundred thousand in order takes a tenth of a second */
    LIST_LASTS_MS = 10000,
    SHORT_LIST_LASTS_MS = 250,
    REMIND_EVERY_MS = 60000,
    REMIND_AT_ONCE = 100,
    SWEPT_WAIT_MS = 300000,
};

static const struct text none = {NULL, 0};

void worker_plan_soon(struct worker *self)
{
    self->plan_at_ms = 0;
}

/* ---- what is due --------------------------------------------------------------------------------- */

static void ending_written(void *context, struct write_message *message)
{
    struct worker *self = context;
    if (message->change.result == 0)
        worker_row_changed(self, message->change.connection);
    write_free(message);
}

/* A secret has ended that nothing here can refresh: only its owner can bring another one. */
static void tell_owner(struct worker *self, const struct conn_row *row)
{
    struct write_message *message = write_new(CHANGE_FAILED, row->id);
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = row->generation;
    message->change.move = MOVE_REFUSED;
    message->change.outcome = VERDICT_GRANT;
    message->change.reason = TEXT_LITERAL("expired");
    message->change.error = TEXT_LITERAL("expired, and there is nothing to refresh it with");
    message->change.remind_at = worker_remind_at(self);
    worker_write(self, message, ending_written, self);
}

static void put_off_written(void *context, struct write_message *message)
{
    if (message->change.result == 0) /* it may be the next one now */
        worker_plan_soon(context);
    write_free(message);
}

/* One that cannot be begun for a while must not stand before others in the list, nor take the place of one
 * among the flights. */
static void put_off(struct worker *self, const struct conn_row *row, int64_t wait_ms)
{
    struct write_message *message = write_new(CHANGE_PLAN, row->id);
    message->change.at_ms = clock_wall_ms() + wait_ms + 999;
    message->change.expect_generation = row->generation;
    worker_write(self, message, put_off_written, self);
}

/* How long until the planner may begin it; a sweep that has selected it comes to it before long. */
static int64_t row_wait_ms(struct worker *self, const struct conn_row *row)
{
    if (worker_is_swept(self, row))
        return SWEPT_WAIT_MS;
    return worker_can_refresh(self, row) ? worker_gate_grant_wait_ms(self, row) : 0;
}

static void plan_row(struct worker *self, const char *id)
{
    struct conn_row row;
    if (flight_find(self, text_of(id)) ||
        self->broker->store->find(self->reader, none, text_of(id), none, none, &row) < 0)
        return;
    int64_t wait_ms = row_wait_ms(self, &row);
    if (row.next_refresh_at > clock_wall_s() || (BURSAR_MUTATION == 6 && row.failures == 1))
        ; /* something has changed since the list was made */
    else if (wait_ms > 0 && row.can_refresh)
        put_off(self, &row, wait_ms);
    else if (wait_ms > 0)
        ; /* the sweep comes to it */
    else if (worker_can_refresh(self, &row))
        flight_begin(self, &row, 0);
    else if (!row.can_refresh)
        tell_owner(self, &row); /* else its provider is only configured in another way now */
    conn_row_free(&row);
}

static bool list_id(void *context, struct text id)
{
    struct plan_list *list = context;
    if (id.len < ID_SIZE) {
        memcpy(list->ids[list->count], id.data, id.len);
        list->ids[list->count++][id.len] = 0;
    }
    return list->count < list->room;
}

/* There are more that are due than the list has. */
static bool is_full(const struct plan_list *list)
{
    return list->room > 0 && list->count == list->room;
}

/* Takes up what is due, owners in turn. The list serves for a while: to put very many in order costs
 * more than to begin the few that there is room for. */
static int fill_list(struct worker *self, int64_t now_ms)
{
    struct plan_list *list = &self->due;
    int64_t now = clock_wall_s();
    size_t room = is_full(list) ? PLAN_LIST_MOST : PLAN_LIST;
    if (!list->ids || list->room != room) {
        free(list->ids);
        list->ids = memory_new(room * sizeof *list->ids);
    }
    list->room = room;
    list->count = list->next = 0;
    list->next_at = EXPIRY_NEVER;
    list->made_at_ms = now_ms;
    int result = self->broker->store->due(self->reader, text_of(self->connector->provider), now,
                                          room, list_id, list, &list->next_at);
    if (result < 0) /* what is not known may be due now */
        list->next_at = 0;
    return result;
}

/* When to look again: the rest of the list waits for flights to end, each of which asks again. */
static int64_t next_look_ms(const struct worker *self, int64_t now_ms)
{
    const struct plan_list *list = &self->due;
    int64_t in_s = list->next_at - clock_wall_s();
    if (list->next < list->count || is_full(list))
        return now_ms + PLAN_EVERY_MS;
    if (list->next_at == EXPIRY_NEVER || in_s >= PLAN_EVERY_MS / 1000)
        return now_ms + PLAN_EVERY_MS;
    return now_ms + (in_s > 0 ? in_s * 1000 : 0);
}

static void plan(struct worker *self, int64_t now_ms)
{
    struct plan_list *list = &self->due;
    struct gate_answer gate = gate_ask(&self->gate, now_ms);
    size_t width = gate_width(&self->gate, WORKER_PLAN_FLIGHTS);
    self->plan_at_ms = now_ms + PLAN_EVERY_MS;
    if (HASH_COUNT(self->flights) > width / 2)
        return; /* every flight that ends asks again */
    if (gate.reason != GATE_FREE && gate.reason != GATE_BUDGET) {
        if (gate.wait_ms > 0 && gate.wait_ms < PLAN_EVERY_MS)
            self->plan_at_ms = now_ms + gate.wait_ms;
        return; /* who shuts the gate asks again when it opens */
    }
    int64_t lasts_ms = is_full(list) ? LIST_LASTS_MS : SHORT_LIST_LASTS_MS;
    bool is_old = list->next >= list->count || now_ms - list->made_at_ms >= lasts_ms;
    if (is_old && fill_list(self, now_ms) < 0) {
        self->plan_at_ms = now_ms + PLAN_AGAIN_MS;
        return;
    }
    while (list->next < list->count && HASH_COUNT(self->flights) < width)
        plan_row(self, list->ids[list->next++]);
    if (list->next >= list->count) { /* most providers have nothing due most of the time */
        free(list->ids);
        list->ids = NULL;
    }
    self->plan_at_ms = next_look_ms(self, now_ms);
    if (list->next >= list->count && is_full(list) && HASH_COUNT(self->flights) == 0)
        self->plan_at_ms =
            now_ms + SHORT_LIST_LASTS_MS; /* nothing of a whole list was to be begun */
}

/* ---- reminders ----------------------------------------------------------------------------------- */

static void reminder_written(void *context, struct write_message *message)
{
    struct worker *self = context;
    if (message->change.result == 0 && --self->reminders == 0)
        self->remind_at_ms = 0; /* there may be more than one batch */
    else if (message->change.result != 0) {
        self->reminders--;
        self->next_reminder_at = 0; /* it is due still */
    }
    write_free(message);
}

static bool remind_row(void *context, const struct conn_row *row)
{
    struct worker *self = context;
    struct write_message *message = write_new(CHANGE_REMIND, row->id);
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = row->generation;
    message->change.outcome = VERDICT_GRANT;
    message->change.reason = write_keep(message, row->reason);
    message->change.remind_at = worker_remind_at(self);
    self->reminders++;
    worker_write(self, message, reminder_written, self);
    return true;
}

static void remind(struct worker *self, int64_t now_ms)
{
    int64_t next_at = EXPIRY_NEVER, now = clock_wall_s();
    self->remind_at_ms = now_ms + REMIND_EVERY_MS;
    int result = self->broker->store->remind(self->reader, text_of(self->connector->provider), now,
                                             REMIND_AT_ONCE, remind_row, self, &next_at);
    self->next_reminder_at = result == 0 ? next_at : 0;
    if (result == 0 && next_at != EXPIRY_NEVER && next_at - now < REMIND_EVERY_MS / 1000)
        self->remind_at_ms = now_ms + (next_at - now) * 1000;
}

/* ---- a wall clock that goes back ----------------------------------------------------------------- */

static void replanned(void *context, struct write_message *message)
{
    struct worker *self = context;
    if (message->change.result == 0) {
        LOG(LOG_WARNING, "the wall clock was set back: what was issued behind it is refreshed",
            LOG_S("provider", self->connector->provider),
            LOG_I("connections", (int64_t)message->change.generation));
        worker_plan_soon(self);
        self->remind_at_ms = 0;
    } else {
        self->clock_offset_ms = INT64_MAX; /* once more, when the planner looks next */
        self->plan_at_ms = clock_boot_ms() + PLAN_AGAIN_MS;
    }
    write_free(message);
}

static void replan(struct worker *self)
{
    struct write_message *message = write_new(CHANGE_REPLAN, none);
    message->change.at_ms = clock_wall_ms();
    message->change.provider = text_of(self->connector->provider);
    message->change.remind_at = worker_remind_at(self);
    worker_write(self, message, replanned, self);
}

/* Stored times are wall clock. Where it went forward, all that is due by it is refreshed, within the
 * provider's budget; where it went back, what had been written by it must not wait until it has come
 * there again. Seen here while we run, and at the start by an event from the future. */
static void watch_clock(struct worker *self)
{
    int64_t offset_ms = clock_wall_ms() - clock_boot_ms();
    bool is_set_back = offset_ms < self->clock_offset_ms - CLOCK_STEP_MS;
    self->clock_offset_ms = offset_ms;
    if (is_set_back)
        replan(self);
}

int worker_plan_open(struct worker *self)
{
    int64_t last_ms = 0, now_ms = clock_wall_ms();
    int result = self->broker->store->last_at(self->reader, &last_ms);
    self->clock_offset_ms = now_ms - clock_boot_ms();
    if (last_ms > now_ms + CLOCK_STEP_MS)
        self->clock_offset_ms = INT64_MAX;
    return result;
}

void worker_plan(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    bool may_begin = self->connector && self->is_open && !self->is_draining;
    /* One that could not be written waits for the planner: the store's refusal wakes this thread. */
    if (may_begin && (self->clock_offset_ms != INT64_MAX || now_ms >= self->plan_at_ms))
        watch_clock(self);
    if (now_ms >= self->plan_at_ms) {
        self->plan_at_ms = now_ms + PLAN_EVERY_MS;
        worker_watch_secret(self);
        if (may_begin)
            plan(self, now_ms);
    }
    if (now_ms >= self->remind_at_ms && self->reminders == 0) {
        self->remind_at_ms = now_ms + REMIND_EVERY_MS;
        if (may_begin)
            remind(self, now_ms);
    }
}
