/* Our client's secrets: which one is shown, and when one ends. */
#include "base/clock.h"
#include "base/log.h"
#include "broker/worker_parts.h"
#include "policy/secret_end.h"

bool worker_roll_secret(struct worker *self, const struct call_outcome *outcome, int status,
                        enum verdict_class verdict, bool *has_next_secret)
{
    bool is_secret = verdict == VERDICT_CLIENT &&
                     settings_text(self->connector->settings, "client_secret_next").data &&
                     verdict_may_mean_secret(status, call_outcome_part(outcome, BURSAR_OUT_ERROR));
    if (!is_secret)
        return false;
    /* Another request may have found it out first: then this one follows. */
    if (self->has_next_secret == *has_next_secret) {
        self->has_next_secret = !self->has_next_secret;
        atomic_store(&self->figures.has_next_secret, self->has_next_secret);
        LOG(LOG_WARNING, "the provider refuses our client: its other secret is tried",
            LOG_S("provider", self->connector->provider),
            LOG_S("tried", self->has_next_secret ? "client_secret_next" : "client_secret"));
    }
    *has_next_secret = self->has_next_secret;
    return true;
}

void worker_watch_secret(struct worker *self)
{
    int64_t ends_at, now = clock_wall_s(), today = now / SECRET_DAY_S;
    if (!self->connector || !self->is_open || today == self->warned_day)
        return;
    self->warned_day = today;
    struct text day = settings_text(self->connector->settings, "client_secret_expires_at");
    if (!secret_end_of(day, &ends_at) || !secret_ends_soon(ends_at, now)) {
        worker_incident_end(self,
                            INCIDENT_SECRET_END); /* the configuration has another one by now */
        return;
    }
    worker_incident_begin(self, INCIDENT_SECRET_END, NULL);
    LOG(now >= ends_at ? LOG_ERROR : LOG_WARNING,
        now >= ends_at ? "our client secret has ended" : "our client secret ends soon",
        LOG_S("provider", self->connector->provider), LOG_T("client_secret_expires_at", day));
}
