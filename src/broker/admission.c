#include "broker/admission.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "broker/memory.h"
#include "broker/pending.h"
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
    struct slot strangers; /* peers that are no principal any more, together */
    bool has_guards;       /* some provider asks for an operator */
};

/* So that whoever is told that it may not speak is told so, but not at any length. */
static const struct principal_limits strangers_limits = {
    .in_flight = 1, .per_second = 100, .unread_bytes = 1 << 20};

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
    self->strangers.load.unread = socket_unread_new();
    self->strangers.load.throttle = &self->strangers.throttle;
    budget_init(&self->strangers.throttle, strangers_limits.per_second, SECOND_S, 1,
                clock_boot_ms());
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
    socket_unread_release(self->strangers.load.unread);
    free(self->loads);
    principals_release(self->principals);
    free(self);
}

struct principals *admission_principals(const struct admission *self)
{
    return self->principals;
}

/* ---- who, and how much --------------------------------------------------------------------------- */

bool admission_caller(struct admission *self, const char *user_id, struct caller *out_caller)
{
    const struct principal *principal = principals_of_peer(self->principals, user_id);
    *out_caller = (struct caller){principal, user_id, &strangers_limits, &self->strangers.load};
    if (!principal)
        return false;
    out_caller->limits = &principal->limits;
    out_caller->load = self->loads[principals_index(self->principals, principal)];
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
        LOG(LOG_WARNING, "a principal is at its bound",
            LOG_S("principal", caller->principal ? caller->principal->name : "-"),
            LOG_S("bound", what));
    }
    return BURSAR_E_OVERLOADED;
}

int admission_count(const struct caller *caller, size_t body_len, struct buf *error,
                    int64_t *out_retry_after_ms)
{
    const struct principal_limits *limits = caller->limits;
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
    uint64_t bound = caller->limits->unread_bytes;
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

/* What an op asks for, of all that may be named in it. */
struct asked {
    enum job_op op;
    struct text owner, connection, provider, ref, state;
    bool wants_export, wants_secret;
};

/* A consent's state names its provider. */
static struct text provider_of_state(struct text state)
{
    const char *dot = state.data ? memrchr(state.data, '.', state.len) : NULL;
    return (struct text){dot ? state.data : NULL, dot ? (size_t)(dot - state.data) : 0};
}

/* A connection's id is taken apart only for whoever is bound to providers, or guarded from some. */
static struct text provider_asked(const struct admission *self, const struct principal *principal,
                                  const struct asked *asked)
{
    if (!asked->connection.data)
        return asked->provider;
    return principal->providers.is_all && !self->has_guards ? (struct text){NULL, 0}
                                                            : id_provider(asked->connection);
}

static struct access_ask ask_of(const struct admission *self, const struct principal *principal,
                                const struct asked *asked)
{
    static const struct text none = {NULL, 0};
    const struct job_rule *rule = job_rule(asked->op);
    struct access_ask ask = {.roles = rule->roles,
                             .wants_export = asked->wants_export,
                             .wants_secret = asked->wants_secret && asked->op == OP_INVALIDATE,
                             .is_about_one = rule->names_connection || rule->names_provider,
                             .makes_one = rule->makes_one,
                             .is_about_all = rule->is_about_all,
                             .owner = rule->ignores_owner ? none : asked->owner,
                             .provider = provider_asked(self, principal, asked),
                             .ref = rule->names_connection ? asked->ref : none};
    if (rule->ignores_provider)
        ask.provider = none;
    if (asked->op == OP_CONNECT_COMPLETE)
        ask.provider = provider_of_state(asked->state);
    if (self->has_guards && (asked->wants_secret || asked->op == OP_EXPORT)) {
        const struct connector *shared =
            ask.ref.data ? connectors_find_shared(self->broker->connectors, ask.ref) : NULL;
        ask.guard = guard_of(self->broker, shared ? text_of(shared->provider) : ask.provider);
    }
    return ask;
}

int admission_check(const struct admission *self, const struct caller *caller, struct job *job,
                    struct buf *error)
{
    const struct asked asked = {.op = job->op,
                                .owner = job->owner,
                                .connection = job->connection,
                                .provider = job->provider,
                                .ref = job->ref,
                                .state = job->state,
                                .wants_export = job->include_refresh_token,
                                .wants_secret = gives_secret(job)};
    struct access_ask ask = ask_of(self, caller->principal, &asked);
    /* Of no one connection: a foreign owner's are not unseen, but refused. */
    if (route_is_sweep(job)) {
        ask.is_about_one = false;
        ask.is_about_all = true;
        ask.owner = job->select.owner;
        ask.provider = job->select.provider;
    }
    enum access access = access_check(caller->principal, &ask);
    if (access == ACCESS_UNSEEN)
        job->owner = nobody;
    if (access == ACCESS_OK || access == ACCESS_UNSEEN || access == ACCESS_NO_REF)
        return 0; /* which refs there are for it, route_job() says */
    buf_append_string(error, access_why(access));
    return BURSAR_E_FORBIDDEN;
}

bool admission_holds(const struct admission *self, const struct pending *pending)
{
    const struct audit_row *about = &pending->about;
    char *peer = text_copy(about->peer);
    const struct principal *principal = principals_of_peer(self->principals, peer);
    /* A shared credential has no owner, and its name stands in the account's place. */
    bool is_shared = job_rule(pending->op)->names_connection && !about->owner.data &&
                     !about->connection.data && !about->provider.data;
    const struct asked asked = {.op = pending->op,
                                .owner = about->owner,
                                .connection = about->connection,
                                .provider = about->provider,
                                .ref = is_shared ? about->account : (struct text){NULL, 0},
                                .wants_export = pending->may_export,
                                .wants_secret = pending->wants_secret};
    free(peer);
    if (!principal || !text_equal(text_of(principal->name), about->principal))
        return false;
    struct access_ask ask = ask_of(self, principal, &asked);
    enum access access = access_check(principal, &ask);
    return access == ACCESS_OK || (access == ACCESS_UNSEEN && pending->is_unseen);
}
