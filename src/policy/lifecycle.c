#include "policy/lifecycle.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include <bursar/error.h>

static const char *const state_names[] = {
    [CONN_NONE] = "NONE",         [CONN_PENDING] = "PENDING",           [CONN_ACTIVE] = "ACTIVE",
    [CONN_IN_DOUBT] = "IN_DOUBT", [CONN_NEEDS_REAUTH] = "NEEDS_REAUTH", [CONN_REVOKED] = "REVOKED",
    [CONN_FROZEN] = "FROZEN",
};
static_assert(sizeof state_names / sizeof state_names[0] == CONN_STATE_END, "one name a state");

static const char *const event_names[] = {
    [EVENT_NONE] = "none",           [EVENT_CREATED] = "created", [EVENT_CONNECTED] = "connected",
    [EVENT_REFRESHED] = "refreshed", [EVENT_REAUTH] = "reauth",   [EVENT_RECOVERED] = "recovered",
    [EVENT_IN_DOUBT] = "in_doubt",   [EVENT_REVOKED] = "revoked", [EVENT_RESTORED] = "restored",
    [EVENT_FROZEN] = "frozen",       [EVENT_THAWED] = "thawed",   [EVENT_DELETED] = "deleted",
    [EVENT_INCIDENT] = "incident",   [EVENT_ALIVE] = "alive",
};
static_assert(sizeof event_names / sizeof event_names[0] == EVENT_TYPE_END, "one name a type");

/* BACK goes to the prior state. STAY keeps the state. A zero state means: refused. */
enum { BACK = 100, STAY = 101 };

struct rule {
    int state;
    enum event_type event;
    int refusal;
};

#define TO(state, event) \
    {                    \
        state, event, 0  \
    }
#define REFUSE(error)        \
    {                        \
        0, EVENT_NONE, error \
    }
#define NO_ROW REFUSE(BURSAR_E_NOT_FOUND)
#define NOT_LIVE REFUSE(BURSAR_E_CONFLICT)

/* rules[move][state] */
static const struct rule rules[MOVE_END][CONN_STATE_END] = {
    [MOVE_CREATE] =
        {
            [CONN_NONE] = TO(CONN_PENDING, EVENT_CREATED),
            [CONN_PENDING] = REFUSE(BURSAR_E_CONFLICT),
            [CONN_ACTIVE] = REFUSE(BURSAR_E_CONFLICT),
            [CONN_IN_DOUBT] = REFUSE(BURSAR_E_CONFLICT),
            [CONN_NEEDS_REAUTH] = REFUSE(BURSAR_E_CONFLICT),
            [CONN_REVOKED] = REFUSE(BURSAR_E_CONFLICT),
            [CONN_FROZEN] = REFUSE(BURSAR_E_CONFLICT),
        },
    [MOVE_PUT] =
        {
            [CONN_NONE] = TO(CONN_ACTIVE, EVENT_CONNECTED),
            [CONN_PENDING] = TO(CONN_ACTIVE, EVENT_CONNECTED),
            [CONN_ACTIVE] = TO(CONN_ACTIVE, EVENT_REFRESHED),
            [CONN_IN_DOUBT] = TO(CONN_ACTIVE, EVENT_RECOVERED),
            [CONN_NEEDS_REAUTH] = TO(CONN_ACTIVE, EVENT_RECOVERED),
            [CONN_REVOKED] = REFUSE(BURSAR_E_REVOKED),
            [CONN_FROZEN] = REFUSE(BURSAR_E_FROZEN),
        },
    [MOVE_REFRESHED] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = NOT_LIVE,
            [CONN_ACTIVE] = TO(CONN_ACTIVE, EVENT_REFRESHED),
            [CONN_IN_DOUBT] = TO(CONN_ACTIVE, EVENT_RECOVERED),
            [CONN_NEEDS_REAUTH] = TO(CONN_ACTIVE, EVENT_RECOVERED),
            /* A reply on its way when the row was revoked or frozen carries a rotated token that
             * must not be lost: it is kept, and the decision stands. */
            [CONN_REVOKED] = TO(STAY, EVENT_REFRESHED),
            [CONN_FROZEN] = TO(STAY, EVENT_REFRESHED),
        },
    [MOVE_REFUSED] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = NOT_LIVE,
            [CONN_ACTIVE] = TO(CONN_NEEDS_REAUTH, EVENT_REAUTH),
            [CONN_IN_DOUBT] = TO(CONN_NEEDS_REAUTH, EVENT_REAUTH),
            [CONN_NEEDS_REAUTH] = TO(STAY, EVENT_NONE),
            [CONN_REVOKED] = NOT_LIVE,
            [CONN_FROZEN] = NOT_LIVE,
        },
    [MOVE_LOST] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = NOT_LIVE,
            [CONN_ACTIVE] = TO(CONN_IN_DOUBT, EVENT_IN_DOUBT),
            [CONN_IN_DOUBT] = TO(STAY, EVENT_NONE),
            [CONN_NEEDS_REAUTH] = NOT_LIVE,
            [CONN_REVOKED] = NOT_LIVE,
            [CONN_FROZEN] = NOT_LIVE,
        },
    [MOVE_REVOKE] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = TO(CONN_REVOKED, EVENT_REVOKED),
            [CONN_ACTIVE] = TO(CONN_REVOKED, EVENT_REVOKED),
            [CONN_IN_DOUBT] = TO(CONN_REVOKED, EVENT_REVOKED),
            [CONN_NEEDS_REAUTH] = TO(CONN_REVOKED, EVENT_REVOKED),
            [CONN_REVOKED] = TO(STAY, EVENT_NONE),
            [CONN_FROZEN] = TO(CONN_REVOKED, EVENT_REVOKED),
        },
    [MOVE_RESTORE] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = NOT_LIVE,
            [CONN_ACTIVE] = NOT_LIVE,
            [CONN_IN_DOUBT] = NOT_LIVE,
            [CONN_NEEDS_REAUTH] = NOT_LIVE,
            [CONN_REVOKED] = TO(BACK, EVENT_RESTORED),
            [CONN_FROZEN] = NOT_LIVE,
        },
    [MOVE_FREEZE] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = TO(CONN_FROZEN, EVENT_FROZEN),
            [CONN_ACTIVE] = TO(CONN_FROZEN, EVENT_FROZEN),
            [CONN_IN_DOUBT] = TO(CONN_FROZEN, EVENT_FROZEN),
            [CONN_NEEDS_REAUTH] = TO(CONN_FROZEN, EVENT_FROZEN),
            [CONN_REVOKED] = REFUSE(BURSAR_E_REVOKED),
            [CONN_FROZEN] = TO(STAY, EVENT_NONE),
        },
    [MOVE_THAW] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = NOT_LIVE,
            [CONN_ACTIVE] = NOT_LIVE,
            [CONN_IN_DOUBT] = NOT_LIVE,
            [CONN_NEEDS_REAUTH] = NOT_LIVE,
            [CONN_REVOKED] = NOT_LIVE,
            [CONN_FROZEN] = TO(BACK, EVENT_THAWED),
        },
    [MOVE_DELETE] =
        {
            [CONN_NONE] = NO_ROW,
            [CONN_PENDING] = TO(CONN_NONE, EVENT_DELETED),
            [CONN_ACTIVE] = TO(CONN_NONE, EVENT_DELETED),
            [CONN_IN_DOUBT] = TO(CONN_NONE, EVENT_DELETED),
            [CONN_NEEDS_REAUTH] = TO(CONN_NONE, EVENT_DELETED),
            [CONN_REVOKED] = TO(CONN_NONE, EVENT_DELETED),
            [CONN_FROZEN] = TO(CONN_NONE, EVENT_DELETED),
        },
};

struct lifecycle_step lifecycle_move(enum conn_state state, enum conn_state prior,
                                     enum conn_move move)
{
    assert(state < CONN_STATE_END && move < MOVE_END);
    const struct rule *rule = &rules[move][state];
    if (rule->refusal != 0)
        return (struct lifecycle_step){state, EVENT_NONE, false, rule->refusal};
    enum conn_state to = rule->state == BACK   ? prior
                         : rule->state == STAY ? state
                                               : (enum conn_state)rule->state;
    return (struct lifecycle_step){to, rule->event, true, 0};
}

const char *conn_state_name(enum conn_state state)
{
    return state < CONN_STATE_END ? state_names[state] : NULL;
}

const char *event_type_name(enum event_type type)
{
    return type < EVENT_TYPE_END ? event_names[type] : NULL;
}

enum conn_state conn_state_of(const char *name)
{
    for (int i = CONN_PENDING; i < CONN_STATE_END; i++) {
        if (strcmp(state_names[i], name) == 0)
            return (enum conn_state)i;
    }
    return CONN_NONE;
}

enum event_type event_type_of(const char *name)
{
    for (int i = EVENT_CREATED; i < EVENT_TYPE_END; i++) {
        if (strcmp(event_names[i], name) == 0)
            return (enum event_type)i;
    }
    return EVENT_NONE;
}

const char *incident_kind_name(enum incident_kind kind)
{
    static const char *const names[] = {[INCIDENT_CLIENT] = "client",
                                        [INCIDENT_OUTAGE] = "outage",
                                        [INCIDENT_MASS_REFUSAL] = "mass_refusal",
                                        [INCIDENT_SECRET_END] = "secret_end"};
    static_assert(sizeof names / sizeof names[0] == INCIDENT_END, "one name a kind");
    return names[kind];
}
