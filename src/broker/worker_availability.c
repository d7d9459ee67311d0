/* What the provider lets be seen of how long its secrets are there, and how early they have to be refreshed. */
#include "base/clock.h"
#include "broker/worker.h"
#include "broker/worker_parts.h"

void worker_availability_open(struct worker *self)
{
    availability_init(&self->availability);
    self->watched_ms = clock_boot_ms();
}

static void publish(struct worker *self)
{
    atomic_store(&self->figures.covered_s, (int64_t)self->availability.covered_s);
    atomic_store(&self->figures.missing_s, (int64_t)self->availability.missing_s);
}

void worker_availability_note(struct flight *flight)
{
    struct worker *self = flight->worker;
    const struct conn_row *row = &flight->row;
    enum verdict_class verdict = flight->outcome.verdict;
    int64_t now_ms = clock_boot_ms();
    bool is_answered = verdict != VERDICT_PROVIDER && verdict != VERDICT_UNCERTAIN;
    if (!flight->is_local && !flight->has_nothing && !flight->is_past_grace && flight->has_pass)
        availability_note(&self->availability, is_answered, now_ms);
    availability_watched(&self->availability, (double)(now_ms - self->watched_ms) / 1000);
    self->watched_ms = now_ms;
    /* From attempt to attempt, so that nothing is counted twice. */
    int64_t since = row->last_refresh_at > row->issued_at ? row->last_refresh_at : row->issued_at;
    if (row->state == CONN_ACTIVE)
        availability_cover(&self->availability, since, row->expires_at, clock_wall_s());
    publish(self);
}

int64_t worker_lead_s(struct worker *self, int64_t issued_at, int64_t expires_at)
{
    if (!self->connector || !(self->connector->availability > 0) || expires_at == EXPIRY_NEVER)
        return 0;
    struct worker_figures figures = worker_figures(self);
    double attempts = (double)(figures.refreshed + figures.failed);
    struct availability_rule rule = {.target = self->connector->availability,
                                     .attempt_ms = (int64_t)figures.p99_ms,
                                     .failing_share =
                                         attempts > 0 ? (double)figures.failed / attempts : 0};
    int64_t lead_s = availability_lead_s(&self->availability, &rule, expires_at - issued_at);
    atomic_store(&self->figures.lead_s, lead_s);
    return lead_s;
}
