#include <stdlib.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/worker_parts.h"

enum {
    PLAN_EVERY_MS = 60000, /* at the latest: stored times are wall clock, and that may jump */
    PLAN_AGAIN_MS = 1000,  /* while the store cannot be read */
    REMIND_EVERY_MS = 60000,
    REMIND_AT_ONCE = 100
};

void worker_plan_soon(struct worker *self)
{
    self->plan_at_ms = 0;
}

/* ---- what is due --------------------------------------------------------------------------------- */

struct plan_context {
    struct worker *worker;
    size_t left;
};

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

static bool plan_row(void *context, const struct conn_row *row)
{
    struct plan_context *plan = context;
    struct worker *self = plan->worker;
    if (flight_find(self, row->id))
        return true;
    if (plan->left == 0)
        return false;
    plan->left--;
    if (worker_can_refresh(self, row))
        flight_begin(self, row, 0);
    else if (!row->can_refresh)
        tell_owner(self, row); /* else its provider is only configured in another way now */
    return true;
}

/* Oldest due first, as many as there is room for; then sleeps until the next one is due. */
static void plan(struct worker *self, int64_t now_ms)
{
    int64_t next_at = EXPIRY_NEVER, now = clock_wall_s();
    size_t under_way = HASH_COUNT(self->flights);
    self->plan_at_ms = now_ms + PLAN_EVERY_MS;
    if (under_way >= WORKER_PLAN_FLIGHTS / 2)
        return; /* every flight that ends asks again */
    if (now_ms < self->hold_until_ms) {
        self->plan_at_ms = self->hold_until_ms;
        return;
    }
    struct plan_context context = {self, WORKER_PLAN_FLIGHTS - under_way};
    int result =
        self->broker->store->due(self->reader, text_of(self->connector->provider), now,
                                 WORKER_PLAN_FLIGHTS + under_way, plan_row, &context, &next_at);
    if (result < 0)
        self->plan_at_ms = now_ms + PLAN_AGAIN_MS;
    else if (next_at != EXPIRY_NEVER && next_at - now < PLAN_EVERY_MS / 1000)
        self->plan_at_ms = now_ms + (next_at - now) * 1000;
}

/* ---- reminders ----------------------------------------------------------------------------------- */

static void reminder_written(void *context, struct write_message *message)
{
    struct worker *self = context;
    if (message->change.result == 0 && --self->reminders == 0)
        self->remind_at_ms = 0; /* there may be more than one batch */
    else if (message->change.result != 0)
        self->reminders--;
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
    if (result == 0 && next_at != EXPIRY_NEVER && next_at - now < REMIND_EVERY_MS / 1000)
        self->remind_at_ms = now_ms + (next_at - now) * 1000;
}

void worker_plan(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    bool may_begin = self->connector && self->is_open && !self->is_draining;
    if (now_ms >= self->plan_at_ms) {
        self->plan_at_ms = now_ms + PLAN_EVERY_MS;
        if (may_begin)
            plan(self, now_ms);
    }
    if (now_ms >= self->remind_at_ms && self->reminders == 0) {
        self->remind_at_ms = now_ms + REMIND_EVERY_MS;
        if (may_begin)
            remind(self, now_ms);
    }
}
