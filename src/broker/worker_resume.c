#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/worker_parts.h"
#include "policy/verdict.h"

enum { SEALED_MAX = 4 << 20 };

static const struct text none = {NULL, 0};

/* The raw reply of an earlier process, into the flight. */
static int load_reply(struct flight *flight, uint64_t generation)
{
    struct worker *self = flight->worker;
    struct buf sealed = buf_make(SEALED_MAX);
    int result = self->broker->store->reply(self->reader, text_of(flight->id), generation, &sealed);
    if (result == 0)
        result = reply_unseal(flight, buf_text(&sealed), generation);
    buf_free(&sealed);
    return result;
}

/* How the exchange that nobody saw the end of is to be judged. */
static void settle_unseen(struct flight *flight, enum recovery recovery)
{
    flight->replied_at = clock_wall_s();
    flight->end = recovery == RECOVERY_PROBE ? EXCHANGE_LOST : EXCHANGE_UNSENT;
    flight->is_past_grace = recovery == RECOVERY_PROBE;
    flight->is_unseen = true;
    strcpy(flight->reply.error, "the process ended before the reply came");
}

static int resume_one(struct worker *self, const struct intent_row *intent)
{
    struct conn_row row;
    const struct connector *connector = self->connector;
    int64_t age_s = (clock_wall_ms() - intent->at_ms) / 1000;
    bool is_in_grace = connector->reuse_grace_s == 0 || age_s < connector->reuse_grace_s;
    enum recovery recovery = recovery_of(intent->has_reply, connector->rotation, is_in_grace);
    int result = self->broker->store->find(self->reader, none, text_of(intent->connection), none,
                                           none, &row);
    if (result == BURSAR_E_NOT_FOUND)
        return 0; /* deleted rows take their intents along */
    if (result < 0)
        return result;
    enum conn_state state =
        row.state == CONN_REVOKED || row.state == CONN_FROZEN ? row.prior_state : row.state;
    if (state == CONN_IN_DOUBT && recovery == RECOVERY_SEND_AGAIN)
        recovery = RECOVERY_PROBE; /* that was the probe: there is no second one */
    struct flight *flight = flight_new(self, &row);
    conn_row_free(&row);
    if (!flight)
        return BURSAR_E_NOMEM;
    bool has_reply = recovery == RECOVERY_READ_REPLY;
    int loaded = has_reply ? load_reply(flight, intent->generation) : 0;
    if (loaded == BURSAR_E_STORE_UNAVAILABLE || loaded == BURSAR_E_NOMEM)
        return loaded;
    if (loaded < 0) { /* it stays with its intent, for the day on which its key is back */
        flight->is_local = true;
        flight->end = EXCHANGE_REPLY;
        flight->replied_at = clock_wall_s();
        strcpy(flight->outcome.text, "a kept reply does not open");
    } else if (!has_reply) {
        settle_unseen(flight, recovery);
    }
    flight->sent_at = intent->at_ms / 1000;
    flight->row.generation = intent->generation; /* what the request was sent for */
    LOG(LOG_INFO, "an open refresh of an earlier process is resolved",
        LOG_S("connection", flight->id), LOG_I("generation", (int64_t)intent->generation),
        LOG_S("by", has_reply                         ? "its kept reply"
                    : recovery == RECOVERY_SEND_AGAIN ? "sending again"
                                                      : "one probe"));
    flight_resume(flight, has_reply);
    return 0;
}

int worker_resume(struct worker *self)
{
    struct intent_row *intents = NULL;
    size_t count = 0;
    int result = self->broker->store->intents(self->reader, text_of(self->connector->provider),
                                              &intents, &count);
    for (size_t i = 0; i < count && result == 0; i++)
        result = resume_one(self, &intents[i]);
    free(intents);
    return result;
}
