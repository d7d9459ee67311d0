/* What a sweep asks of the provider: the revocation of what was revoked here, one by one, and what it
 * answered into the receipts. */
#include <stdlib.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "broker/memory.h"
#include "broker/worker_revoke.h"
#include "broker/worker_sweep_parts.h"
#include "policy/retry.h"

enum {
    AT_ONCE = 8,        /* with the provider at the same time */
    DEFAULT_PER_S = 10, /* where the sweep has no rate */
    LOOK_AT = 16,
    ROUNDS = 5,    /* after which what a failing provider says stands in the receipt */
    AGAIN_MS = 250 /* while the store cannot be read or written */
};

static const struct text none = {NULL, 0};

struct question {
    struct worker *worker;
    struct sweep_part *part;
    struct sweep_change change;
    char connection[ID_SIZE];
};

static void end_question(struct question *question)
{
    struct worker *self = question->worker;
    struct sweep_part *part = question->part;
    part->asking--;
    self->sweep_at_ms = 0;
    free(question);
    sweep_part_settle(self, part);
}

static void receipt_written(void *context, struct write_message *message)
{
    struct question *question = context;
    if (message->change.result == BURSAR_E_STORE_UNAVAILABLE)
        question->part->ask_at_ms = clock_boot_ms() + AGAIN_MS; /* it is asked once more then */
    else if (question->change.has_ended)
        question->part->is_gone = true;
    write_free(message);
    end_question(question);
}

static void send_receipt(struct question *question, struct text says)
{
    struct worker *self = question->worker;
    struct write_message *message = write_new(CHANGE_RECEIPT, text_of(question->connection));
    struct text kept = {says.data, says.len < SWEEP_SAYS_MAX ? says.len : SWEEP_SAYS_MAX};
    message->change.at_ms = clock_wall_ms();
    message->change.provider = write_keep(message, buf_text(&question->part->provider));
    question->change = (struct sweep_change){.sweep = text_of(question->part->sweep),
                                             .says = write_keep(message, kept)};
    message->change.sweep = &question->change;
    worker_write(self, message, receipt_written, question);
}

/* Those that were on their way together fail together: that is one failure. */
static void back_off(struct sweep_part *part, int64_t retry_after_ms)
{
    double jitter = (double)id_random_below(1000000) / 1000000.0;
    int64_t now_ms = clock_boot_ms();
    if (now_ms < part->back_at_ms && retry_after_ms == 0)
        return;
    part->failures++;
    part->back_at_ms = now_ms + retry_delay_ms(part->failures, jitter, retry_after_ms);
}

/* A provider that cannot answer now is asked again later, all its other connections with it. */
static void asked(void *context, const struct revocation *end)
{
    struct question *question = context;
    struct sweep_part *part = question->part;
    if (end->is_ending) { /* the next process asks again */
        end_question(question);
        return;
    }
    if (end->is_passing)
        back_off(part, end->retry_after_ms);
    else if (end->was_sent)
        part->failures = 0;
    else
        part->ask_at_ms = 0; /* it cost the provider nothing */
    if (end->is_passing && part->round + 1 < ROUNDS)
        end_question(question);
    else
        send_receipt(question, end->says);
}

static void ask(struct worker *self, struct sweep_part *part, const char *connection)
{
    struct conn_row row;
    struct question *question = memory_new(sizeof *question);
    question->worker = self;
    question->part = part;
    for (size_t i = 0; connection[i] != 0 && i + 1 < sizeof question->connection; i++)
        question->connection[i] = connection[i];
    part->asking++;
    int result =
        self->broker->store->find(self->reader, none, text_of(connection), none, none, &row);
    if (result == BURSAR_E_NOT_FOUND) {
        send_receipt(question, TEXT_LITERAL("unknown: the connection was deleted"));
        return;
    }
    if (result < 0) {
        part->ask_at_ms = clock_boot_ms() + AGAIN_MS;
        end_question(question);
        return;
    }
    /* Whoever restored it meanwhile wants its grant to live. */
    if (row.state == CONN_REVOKED)
        worker_revoke(self, &row, asked, question);
    else
        send_receipt(question, TEXT_LITERAL("unknown: not asked, for the connection was restored"));
    conn_row_free(&row);
}

struct found {
    char connections[LOOK_AT][ID_SIZE];
    size_t count, limit;
};

static bool found_one(void *context, const struct sweep_receipt *row)
{
    struct found *found = context;
    char *to = found->connections[found->count];
    if (row->connection.len < ID_SIZE) {
        for (size_t i = 0; i < row->connection.len; i++)
            to[i] = row->connection.data[i];
        to[row->connection.len] = 0;
        found->count++;
    }
    return found->count < found->limit;
}

static int64_t gap_ms(const struct sweep_part *part)
{
    unsigned per_s = part->rate_per_s > 0 ? part->rate_per_s : DEFAULT_PER_S;
    return 1000 / per_s;
}

/* As many as the rate allows now; each sets the time of the next. */
static void ask_found(struct worker *self, struct sweep_part *part, struct found *found,
                      int64_t now_ms)
{
    for (size_t i = 0; i < found->count && part->ask_at_ms <= now_ms; i++) {
        buf_clear(&part->asked);
        buf_append_string(&part->asked, found->connections[i]);
        part->ask_at_ms = now_ms + gap_ms(part);
        ask(self, part, found->connections[i]);
    }
}

int64_t sweep_ask(struct worker *self, struct sweep_part *part, int64_t now_ms)
{
    struct found *found = memory_new(sizeof *found);
    found->limit = part->asking < AT_ONCE ? AT_ONCE - part->asking : 0;
    int64_t at_ms = part->ask_at_ms > part->back_at_ms ? part->ask_at_ms : part->back_at_ms;
    int64_t again_ms = at_ms;
    if (found->limit == 0) {
        again_ms = INT64_MAX; /* an end of one brings it back */
    } else if (at_ms > now_ms) {
        again_ms = at_ms;
    } else if (self->broker->store->asking(self->reader, text_of(part->sweep),
                                           buf_text(&part->provider), buf_text(&part->asked),
                                           found->limit, found_one, found) < 0) {
        again_ms = now_ms + AGAIN_MS;
    } else if (found->count > 0) {
        ask_found(self, part, found, now_ms);
        again_ms = part->ask_at_ms;
    } else if (part->asking > 0) {
        again_ms = INT64_MAX;
    } else { /* those that were left, once more */
        buf_clear(&part->asked);
        part->round++;
        again_ms = now_ms + AGAIN_MS;
    }
    free(found);
    return again_ms;
}
