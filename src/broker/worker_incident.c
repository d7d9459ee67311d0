#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/worker_parts.h"

static const struct {
    const char *code; /* where the provider gave none */
    const char *begun, *ended;
    enum verdict_class class;
    enum log_level level;
} incidents[INCIDENT_END] = {
    [INCIDENT_CLIENT] = {"client_rejected", "the provider refuses our client",
                         "the provider takes our client again", VERDICT_CLIENT, LOG_ERROR},
    [INCIDENT_OUTAGE] = {"provider_unavailable",
                         "the provider does not answer: nothing is sent for a while",
                         "the provider answers again", VERDICT_PROVIDER, LOG_WARNING},
    [INCIDENT_MASS_REFUSAL] = {"mass_refusal",
                               "the provider refuses unusually many grants: refreshing stops",
                               "the provider takes grants again", VERDICT_GRANT, LOG_ERROR},
    [INCIDENT_SECRET_END] = {"client_secret_expires", "our client secret ends soon, or has ended",
                             "our client secret does not end soon any more", VERDICT_CLIENT,
                             LOG_WARNING},
};

static void incident_written(void *context, struct write_message *message)
{
    struct worker *self = context;
    if (message->change.result < 0) /* the log has it; the next one of its kind tries again */
        self->has_incident[message->change.incident] = !message->change.is_begin;
    write_free(message);
}

static void write_incident(struct worker *self, enum incident_kind kind, const char *code,
                           bool is_begin, const struct flight_outcome *outcome)
{
    struct write_message *message = write_new(CHANGE_INCIDENT, (struct text){NULL, 0});
    self->has_incident[kind] = is_begin;
    message->change.at_ms = clock_wall_ms();
    message->change.provider = text_of(self->connector->provider);
    message->change.incident = kind;
    message->change.is_begin = is_begin;
    message->change.outcome = incidents[kind].class;
    message->change.http_status = outcome ? outcome->status : 0;
    message->change.reason = write_keep(message, text_of(code));
    if (outcome && outcome->code[0] != 0)
        message->change.provider_error = write_keep(message, text_of(outcome->code));
    worker_write(self, message, incident_written, self);
}

void worker_incident_begin(struct worker *self, enum incident_kind kind,
                           const struct flight_outcome *outcome)
{
    bool is_named = kind == INCIDENT_CLIENT && outcome && outcome->code[0] != 0;
    if (self->has_incident[kind])
        return;
    LOG(incidents[kind].level, incidents[kind].begun, LOG_S("provider", self->connector->provider),
        LOG_S("error", outcome ? outcome->text : ""));
    write_incident(self, kind, is_named ? outcome->code : incidents[kind].code, true, outcome);
}

void worker_incident_end(struct worker *self, enum incident_kind kind)
{
    if (!self->has_incident[kind])
        return;
    LOG(LOG_INFO, incidents[kind].ended, LOG_S("provider", self->connector->provider));
    write_incident(self, kind, "resolved", false, NULL);
}

/* What was held back then is tried carefully now. */
static bool resume_one(void *context, enum incident_kind kind)
{
    struct worker *self = context;
    int64_t now_ms = clock_boot_ms();
    if (kind >= INCIDENT_END)
        return true; /* of a newer program */
    self->has_incident[kind] = true;
    switch (kind) {
    case INCIDENT_CLIENT:
        self->gate.client.is_refused = true;
        self->client_failed_ms = now_ms;
        break;
    case INCIDENT_OUTAGE:
        self->gate.breaker = (struct breaker){.state = BREAKER_OPEN, .until_ms = now_ms};
        break;
    case INCIDENT_MASS_REFUSAL:
        guard_shut(&self->gate.guard, &self->gate.rule.guard, now_ms);
        break;
    case INCIDENT_SECRET_END: /* holds nothing back */
    case INCIDENT_END: break;
    }
    return true;
}

int worker_incident_resume(struct worker *self)
{
    return self->broker->store->incidents(self->reader, text_of(self->connector->provider),
                                          resume_one, self);
}
