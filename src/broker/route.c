#include "broker/route.h"

#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/id.h"
#include "broker/refs.h"

/* What stands for a shared credential where a connection is named. */
static void name_shared(struct job *job, const struct connector *connector)
{
    job->owner = TEXT_LITERAL("");
    job->provider = text_of(connector->provider);
    job->account = TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
}

static void list_shared(const struct connectors *connectors, const struct principal *principal,
                        struct buf *out)
{
    const char *before = "; there are: ";
    for (size_t i = 0; i < connectors->count; i++) {
        const char *id = connectors->items[i].shared_id;
        if (!id || !name_list_has(&principal->refs, text_of(id + 1)))
            continue;
        buf_printf(out, "%s%s", before, id + 1);
        before = ", ";
    }
}

static struct worker *route_shared(const struct broker *broker, const struct principal *principal,
                                   struct job *job, struct buf *error, int *out_error)
{
    const struct connectors *connectors = broker->connectors;
    const struct connector *connector = connectors_find_shared(connectors, job->ref);
    if (job->op != OP_VEND && job->op != OP_REFRESH && job->op != OP_INVALIDATE) {
        buf_append_string(error, "ref names what is in the configuration: vend, refresh and"
                                 " invalidate take it");
        *out_error = BURSAR_E_BAD_REQUEST;
        return NULL;
    }
    if (connector && !name_list_has(&principal->refs, job->ref))
        connector = NULL;
    if (!connector) {
        refs_note_unknown(broker->refs, job->ref);
        buf_append_string(error, "no shared credential has this name");
        list_shared(connectors, principal, error);
        *out_error = BURSAR_E_NOT_FOUND;
        return NULL;
    }
    refs_note(broker->refs, (size_t)(connector - connectors->items), clock_wall_s());
    name_shared(job, connector);
    return broker_worker(broker, job->provider);
}

static struct worker *route_named(const struct broker *broker, const struct principal *principal,
                                  struct job *job, struct buf *error, int *out_error)
{
    struct text provider = job->provider;
    if (job->ref.data)
        return route_shared(broker, principal, job, error, out_error);
    if (job->connection.data) {
        provider = id_provider(job->connection);
        *out_error = BURSAR_E_NOT_FOUND;
        return provider.data ? broker_worker(broker, provider) : NULL;
    }
    if (!text_is_provider_id(provider) || !connectors_find(broker->connectors, provider)) {
        const char *near = connectors_nearest(broker->connectors, provider);
        buf_append_string(error, "no provider ");
        buf_append_text(error, provider);
        buf_append_string(error, " is configured");
        if (near)
            buf_printf(error, "; did you mean %s?", near);
        *out_error = BURSAR_E_UNKNOWN_PROVIDER;
        return NULL;
    }
    return broker_worker(broker, provider);
}

/* A consent's state names its provider. Of one that does not, or names another than there is, nothing
 * is said but that it is unknown. */
static struct worker *route_state(const struct broker *broker, const struct job *job,
                                  struct buf *error, int *out_error)
{
    const char *dot = memrchr(job->state.data, '.', job->state.len);
    struct text provider = {job->state.data, dot ? (size_t)(dot - job->state.data) : 0};
    struct worker *worker = NULL;
    if (text_is_provider_id(provider) && connectors_find(broker->connectors, provider))
        worker = broker_worker(broker, provider);
    *out_error = BURSAR_E_NOT_FOUND;
    if (!worker)
        buf_append_string(error, "no consent with this state is under way");
    return worker;
}

struct worker *route_job(const struct broker *broker, const struct principal *principal,
                         struct job *job, struct buf *error, int *out_error)
{
    buf_clear(error);
    return job->op == OP_CONNECT_COMPLETE ? route_state(broker, job, error, out_error)
                                          : route_named(broker, principal, job, error, out_error);
}

bool route_is_sweep(const struct job *job)
{
    return job->select.is_given &&
           (job->op == OP_FREEZE || job->op == OP_THAW || job->op == OP_REVOKE);
}

bool route_is_audit(const struct job *job)
{
    enum job_op op = job->op;
    return op == OP_AUDIT_SINCE || op == OP_AUDIT_VENDS || op == OP_AUDIT_VERIFY ||
           op == OP_AUDIT_HEAD;
}

bool route_is_query(const struct job *job)
{
    return route_is_sweep(job) || job_rule(job->op)->is_query;
}
