#include "broker/worker_validate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/memory.h"

enum {
    LOOK_AT = 256,   /* rows that one turn looks at */
    GAP_MS = 100,    /* between two checks, at the least */
    AGAIN_MS = 1000, /* while nothing may be begun, or the store cannot be read */
    CURSOR_MAX = 1024,
    CODE_MAX = 64,
    SUSPECTS_MAX = 256 /* while so many wait for their second look, no other key has its first */
};

/* A key that was refused once. One refusal alone ends no connection: the provider may have been wrong. */
struct suspect {
    char id[ID_SIZE];
    uint64_t generation;
    int64_t look_at_ms; /* boot time of the second look */
};

/* A walk through the rows of the provider; self->recheck. */
struct recheck {
    int64_t began_ms; /* boot time of this round */
    struct buf after_owner, after_account;
    bool has_cursor;
    struct conn_row row;                   /* that is being checked */
    bool is_second;                        /* it was refused before */
    struct suspect suspects[SUSPECTS_MAX]; /* a ring: who was refused first is first */
    size_t first, count;
    int64_t walk_at_ms; /* boot time at which the walk goes on */
};

static int64_t cadence_s(const struct worker *self)
{
    return self->connector ? (int64_t)settings_number(self->connector->settings, "recheck_s", 0)
                           : 0;
}

/* At most half of what the provider's API allows. */
static int64_t gap_ms(const struct worker *self)
{
    const struct settings *settings = self->connector->settings;
    double limit = settings_number(settings, "rate.limit", 0);
    double window_s = settings_number(settings, "rate.window_s", 0);
    int64_t gap = limit > 0 ? (int64_t)(2000 * window_s / limit) : 0;
    return gap > GAP_MS ? gap : GAP_MS;
}

/* The walk goes on, or a suspect's time comes, whichever is sooner. */
static void sleep_until_next(struct worker *self)
{
    const struct recheck *recheck = self->recheck;
    const struct suspect *first = &recheck->suspects[recheck->first];
    self->recheck_at_ms = recheck->count < SUSPECTS_MAX ? recheck->walk_at_ms : INT64_MAX;
    if (recheck->count > 0 && first->look_at_ms < self->recheck_at_ms)
        self->recheck_at_ms = first->look_at_ms;
}

/* ---- a check -------------------------------------------------------------------------------------- */

static void refusal_written(void *context, struct write_message *message)
{
    struct worker *self = context;
    if (message->change.result == 0)
        worker_row_changed(self, message->change.connection);
    write_free(message);
}

static void invalidate(struct worker *self, const struct conn_row *row,
                       const struct exchange_result *end)
{
    struct write_message *message = write_new(CHANGE_INVALIDATE, row->id);
    struct text code = {NULL, 0};
    if (end->outcome)
        code = call_outcome_part(end->outcome, BURSAR_OUT_ERROR);
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = row->generation;
    message->change.move = MOVE_REFUSED;
    message->change.outcome = VERDICT_GRANT;
    message->change.reason = TEXT_LITERAL("invalidated");
    message->change.http_status = end->status;
    if (code.len > 0 && code.len <= CODE_MAX && text_is_printable(code))
        message->change.provider_error = write_keep(message, code);
    message->change.remind_at = worker_remind_at(self);
    LOG(LOG_INFO, "a stored secret is refused", LOG_T("connection", row->id),
        LOG_I("status", end->status));
    worker_write(self, message, refusal_written, self);
}

/* There is room: the walk waits while there is none. */
static void suspect(struct worker *self, const struct conn_row *row)
{
    struct recheck *recheck = self->recheck;
    struct suspect *suspect =
        &recheck->suspects[(recheck->first + recheck->count++) % SUSPECTS_MAX];
    int64_t after_ms = self->connector->confirm_after_s * 1000;
    *suspect =
        (struct suspect){.generation = row->generation, .look_at_ms = clock_boot_ms() + after_ms};
    memcpy(suspect->id, row->id.data, row->id.len);
    LOG(LOG_INFO, "a stored secret is refused, and looked at once more",
        LOG_T("connection", row->id), LOG_I("after_ms", after_ms));
}

/* What a look came to. A second refusal is the last word, and the one place where a key is given up. */
static void conclude(struct worker *self, const struct exchange_result *end)
{
    struct recheck *recheck = self->recheck;
    enum validity validity = worker_validity(end);
    if (validity == VALIDITY_BAD && recheck->is_second)
        invalidate(self, &recheck->row, end);
    else if (validity == VALIDITY_BAD ||
             (validity == VALIDITY_UNKNOWN && recheck->is_second)) /* nothing was confirmed yet */
        suspect(self, &recheck->row);
    else if (validity == VALIDITY_UNKNOWN)
        LOG(LOG_DEBUG, "a stored secret could not be checked", LOG_T("connection", recheck->row.id),
            LOG_S("why", end->text ? end->text : ""));
}

static void checked(void *context, const struct exchange_result *end)
{
    struct worker *self = context;
    struct recheck *recheck = self->recheck;
    conclude(self, end);
    conn_row_free(&recheck->row);
    recheck->row = (struct conn_row){.block = NULL};
    sleep_until_next(self);
    int64_t soonest_ms = clock_boot_ms() + gap_ms(self);
    if (self->recheck_at_ms < soonest_ms)
        self->recheck_at_ms = soonest_ms;
}

static void check(struct worker *self)
{
    struct recheck *recheck = self->recheck;
    struct open_credential credential;
    int result = worker_open_credential(self, &recheck->row, &credential);
    if (result < 0) {
        struct exchange_result failed = {.error = result,
                                         .text = "the stored secret does not open"};
        checked(self, &failed);
        return;
    }
    struct exchange *exchange = exchange_new(self, BURSAR_VALIDATE);
    exchange_set_secret(exchange, buf_text(&credential.secret), buf_text(&credential.grant),
                        recheck->row.metadata);
    worker_close_credential(&credential);
    exchange_start(exchange, checked, self);
}

/* ---- the walk ------------------------------------------------------------------------------------- */

struct look {
    struct recheck *recheck;
    int64_t before; /* what is younger is not looked at: it was put since */
    size_t seen;
    bool has_found;
    int error;
};

static bool is_suspect(const struct recheck *recheck, struct text id)
{
    for (size_t i = 0; i < recheck->count; i++) {
        if (text_is(id, recheck->suspects[(recheck->first + i) % SUSPECTS_MAX].id))
            return true;
    }
    return false;
}

static bool look_at(void *context, const struct conn_row *row)
{
    struct look *look = context;
    struct recheck *recheck = look->recheck;
    look->seen++;
    buf_clear(&recheck->after_owner);
    buf_clear(&recheck->after_account);
    buf_append_text(&recheck->after_owner, row->owner);
    buf_append_text(&recheck->after_account, row->account);
    recheck->has_cursor = true;
    if (row->can_refresh || !row->secret.data || row->issued_at > look->before ||
        is_suspect(recheck, row->id))
        return true;
    look->error = conn_row_copy(row, &recheck->row);
    look->has_found = look->error == 0;
    return false;
}

static int find_next(struct worker *self, struct look *look)
{
    struct recheck *recheck = self->recheck;
    struct text provider = text_of(self->connector->provider);
    struct store_list_filter filter = {
        .provider = provider, .state = CONN_ACTIVE, .limit = LOOK_AT};
    if (recheck->has_cursor) {
        filter.after_owner = buf_text(&recheck->after_owner);
        filter.after_provider = provider;
        filter.after_account = buf_text(&recheck->after_account);
    }
    int result = self->broker->store->list(self->reader, &filter, look_at, look);
    return result < 0 ? result : look->error;
}

static void walk(struct worker *self, int64_t now_ms)
{
    struct recheck *recheck = self->recheck;
    int64_t every_ms = cadence_s(self) * 1000;
    struct look look = {.recheck = recheck, .before = clock_wall_s() - cadence_s(self)};
    if (!recheck->has_cursor)
        recheck->began_ms = now_ms;
    if (find_next(self, &look) < 0) {
        recheck->walk_at_ms = now_ms + AGAIN_MS;
    } else if (look.has_found) {
        recheck->is_second = false;
        check(self);
        return; /* whoever ends this check says when it goes on */
    } else if (look.seen == LOOK_AT) {
        recheck->walk_at_ms = now_ms + GAP_MS;
    } else { /* the round is over */
        recheck->has_cursor = false;
        recheck->walk_at_ms = recheck->began_ms + every_ms;
    }
    sleep_until_next(self);
}

/* The second look at the suspect that has waited longest; none where its row has moved on since. */
static void look_again(struct worker *self)
{
    static const struct text none = {NULL, 0};
    struct recheck *recheck = self->recheck;
    struct suspect suspect = recheck->suspects[recheck->first];
    recheck->first = (recheck->first + 1) % SUSPECTS_MAX;
    recheck->count--;
    struct conn_row row;
    int result =
        self->broker->store->find(self->reader, none, text_of(suspect.id), none, none, &row);
    if (result == 0 && row.generation == suspect.generation && row.state == CONN_ACTIVE) {
        recheck->row = row;
        recheck->is_second = true;
        check(self);
        return;
    }
    if (result == 0)
        conn_row_free(&row);
    sleep_until_next(self);
}

static struct recheck *recheck_new(void)
{
    struct recheck *recheck = memory_new(sizeof *recheck);
    recheck->after_owner = buf_make(CURSOR_MAX);
    recheck->after_account = buf_make(CURSOR_MAX);
    return recheck;
}

void worker_recheck(struct worker *self)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms < self->recheck_at_ms)
        return;
    self->recheck_at_ms = INT64_MAX; /* until whoever ends this turn says when it goes on */
    if (cadence_s(self) == 0 || !call_can(self->connector, BURSAR_VALIDATE) || self->is_draining)
        return;
    if (!self->is_open) {
        self->recheck_at_ms = now_ms + AGAIN_MS;
        return;
    }
    if (!self->recheck)
        self->recheck = recheck_new();
    const struct recheck *recheck = self->recheck;
    if (recheck->count > 0 && recheck->suspects[recheck->first].look_at_ms <= now_ms)
        look_again(self);
    else
        walk(self, now_ms);
}

void worker_recheck_end(struct worker *self)
{
    if (!self->recheck)
        return;
    conn_row_free(&self->recheck->row);
    buf_free(&self->recheck->after_owner);
    buf_free(&self->recheck->after_account);
    free(self->recheck);
    self->recheck = NULL;
}
