#include "broker/admission.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "broker/memory.h"
#include "broker/route.h"
#include "policy/access.h"

enum { SECOND_S = 1, REFUSALS_LOGGED_EVERY_MS = 10000 };

/* What stands behind a struct load, by the principal's name. */
struct slot {
    struct load load; /* first: a load is given out, the slot found again */
    struct budget throttle;
    int64_t said_at_ms; /* boot time: when a refusal was logged last */
    UT_hash_handle hh;
};

struct admission {
    const struct broker *broker;
    struct principals *principals;
    struct load **loads; /* by the principal's place in the set */
    struct slot *slots;
    bool has_guards; /* some provider asks for an operator */
};

/* ---- loads --------------------------------------------------------------------------------------- */

static struct slot *slot_of(struct admission *self, const struct principal *principal)
{
    struct slot *slot = NULL;
    HASH_FIND(hh, self->slots, principal->name, strlen(principal->name), slot);
    if (slot)
        return slot;
    slot = memory_new(sizeof *slot);
    slot->load.name = text_copy(text_of(principal->name));
    slot->load.unread = socket_unread_new();
    if (!slot->load.name)
        abort();
    HASH_ADD_KEYPTR(hh, self->slots, slot->load.name, strlen(slot->load.name), slot);
    return slot;
}

static void throttle(struct slot *slot, const struct principal *principal)
{
    uint32_t limit = principal->limits.per_second;
    if (limit == 0)
        slot->load.throttle = NULL;
    else if (!slot->load.throttle || slot->throttle.limit != (int64_t)limit)
        budget_init(&slot->throttle, (int64_t)limit, SECOND_S, 1, clock_boot_ms());
    if (limit > 0)
        slot->load.throttle = &slot->throttle;
}

void admission_replace(struct admission *self, struct principals *principals)
{
    struct load **loads = memory_new((principals_count(principals) + 1) * sizeof(*loads));
    for (size_t i = 0; i < principals_count(principals); i++) {
        const struct principal *principal = principals_at(principals, i);
        struct slot *slot = slot_of(self, principal);
        throttle(slot, principal);
        loads[i] = &slot->load;
    }
    free(self->loads);
    principals_release(self->principals);
    self->loads = loads;
    self->principals = principals;
}

struct admission *admission_new(const struct broker *broker, struct principals *principals)
{
    struct admission *self = memory_new(sizeof *self);
    self->broker = broker;
    for (size_t i = 0; i < broker->connectors->count; i++) {
        if (settings_text(broker->connectors->items[i].settings, "guard").data)
            self->has_guards = true;
    }
    admission_replace(self, principals);
    return self;
}

void admission_free(struct admission *self)
{
    struct slot *slot, *next;
    if (!self)
        return;
    HASH_ITER(hh, self->slots, slot, next) {
        HASH_DEL(self->slots, slot);
        socket_unread_release(slot->load.unread);
        free(slot->load.name);
        free(slot);
    }
    free(self->loads);
    principals_release(self->principals);
    free(self);
}

struct principals *admission_principals(const struct admission *self)
{
    return self->principals;
}

/* ---- who, and how much --------------------------------------------------------------------------- */

bool admission_caller(const struct admission *self, const char *user_id, struct caller *out_caller)
{
    const struct principal *principal = principals_of_peer(self->principals, user_id);
    if (!principal)
        return false;
    *out_caller = (struct caller){principal, user_id,
                                  self->loads[principals_index(self->principals, principal)]};
    return true;
}

static int too_much(const struct caller *caller, const char *what, uint64_t bound,
                    struct buf *error)
{
    struct slot *slot = (struct slot *)caller->load;
    int64_t now_ms = clock_boot_ms();
    buf_printf(error, "this principal has reached its bound of %llu %s", (unsigned long long)bound,
               what);
    if (slot->said_at_ms == 0 || now_ms - slot->said_at_ms >= REFUSALS_LOGGED_EVERY_MS) {
        slot->said_at_ms = now_ms;
        LOG(LOG_WARNING, "a principal is at its bound", LOG_S("principal", caller->principal->name),
            LOG_S("bound", what));
    }
    return BURSAR_E_OVERLOADED;
}

int admission_count(const struct caller *caller, size_t body_len, struct buf *error,
                    int64_t *out_retry_after_ms)
{
    const struct principal_limits *limits = &caller->principal->limits;
    *out_retry_after_ms = 0;
    if (caller->load->in_flight >= limits->in_flight)
        return too_much(caller, "jobs that wait for an answer", limits->in_flight, error);
    if (caller->load->throttle) {
        int64_t now_ms = clock_boot_ms(),
                wait_ms = budget_wait_ms(caller->load->throttle, 1, now_ms);
        if (wait_ms > 0) {
            *out_retry_after_ms = wait_ms;
            return too_much(caller, "jobs a second", limits->per_second, error);
        }
        budget_take(caller->load->throttle, 1, now_ms);
    }
    if (limits->job_bytes > 0 && body_len > limits->job_bytes) {
        buf_printf(error, "body has more than %u bytes, this principal's bound",
                   (unsigned)limits->job_bytes);
        return BURSAR_E_BAD_REQUEST;
    }
    return 0;
}

bool admission_is_deaf(const struct caller *caller)
{
    uint64_t bound = caller->principal->limits.unread_bytes;
    struct buf text = buf_make(256);
    if (socket_unread_bytes(caller->load->unread) < bound)
        return false;
    too_much(caller, "unread bytes", bound, &text);
    buf_free(&text);
    return true;
}

/* ---- what ---------------------------------------------------------------------------------------- */

/* No owner can have this name: the wire has no control characters in one. */
static const struct text nobody = {"\x01", 1};

bool admission_is_unseen(const struct job *job)
{
    return text_equal(job->owner, nobody);
}

static bool gives_secret(const struct job *job)
{
    return job->op == OP_VEND || job->op == OP_EXPORT || (job->op == OP_INVALIDATE && job->vend);
}

static struct text guard_of(const struct broker *broker, struct text provider)
{
    const struct connector *connector =
        provider.data ? connectors_find(broker->connectors, provider) : NULL;
    return connector ? settings_text(connector->settings, "guard") : (struct text){NULL, 0};
}

int admission_check(const struct admission *self, const struct caller *caller, struct job *job,
                    struct buf *error)
{
    const struct job_rule *rule = job_rule(job->op);
    struct access_ask ask = {.roles = rule->roles,
                             .wants_export = job->include_refresh_token,
                             .is_about_one = rule->names_connection || rule->names_provider,
                             .makes_one = rule->makes_one,
                             .is_about_all = rule->is_about_all,
                             .owner = job->owner,
                             .provider = job->connection.data ? id_provider(job->connection)
                                                              : job->provider,
                             .ref = rule->names_connection ? job->ref : (struct text){NULL, 0}};
    /* Of no one connection: a foreign owner's are not unseen, but refused. */
    if (route_is_sweep(job)) {
        ask.is_about_one = false;
        ask.is_about_all = true;
        ask.owner = job->select.owner;
        ask.provider = job->select.provider;
    }
    if (job->op == OP_EVENTS_SINCE) /* it cannot be narrowed to one */
        ask.provider = (struct text){NULL, 0};
    if (self->has_guards && gives_secret(job)) {
        const struct connector *shared =
            ask.ref.data ? connectors_find_shared(self->broker->connectors, ask.ref) : NULL;
        ask.guard = guard_of(self->broker, shared ? text_of(shared->provider) : ask.provider);
    }
    enum access access = access_check(caller->principal, &ask);
    if (access == ACCESS_UNSEEN)
        job->owner = nobody;
    if (access == ACCESS_OK || access == ACCESS_UNSEEN || access == ACCESS_NO_REF)
        return 0; /* which refs there are for it, route_job() says */
    buf_append_string(error, access_why(access));
    return BURSAR_E_FORBIDDEN;
}
