/* The states of a connection and the moves between them: one table, and no other code assigns a state.
 * Thread: any; pure functions.
 *
 *     PENDING --put--> ACTIVE <-----------+
 *                       |  ^              | put, refreshed (same id, same row)
 *          reply lost   v  | refreshed    |
 *                      IN_DOUBT           |
 *                       | refused         |
 *        refused        v                 |
 *     ACTIVE -----> NEEDS_REAUTH ---------+
 *     any --revoke--> REVOKED --restore--> what it was
 *     any --freeze--> FROZEN  --thaw-----> what it was
 */
#ifndef POLICY_LIFECYCLE_H
#define POLICY_LIFECYCLE_H

#include <stdbool.h>

/* Numbers are stored: never renumber. */
enum conn_state {
    CONN_NONE = 0, /* there is no row */
    CONN_PENDING = 1,
    CONN_ACTIVE = 2,
    CONN_IN_DOUBT = 3,
    CONN_NEEDS_REAUTH = 4,
    CONN_REVOKED = 5,
    CONN_FROZEN = 6,
    CONN_STATE_END
};

enum conn_move {
    MOVE_CREATE,    /* a row without a secret */
    MOVE_PUT,       /* a secret from the owner's side: connect, reconnect, stored anew */
    MOVE_REFRESHED, /* a secret from the provider */
    MOVE_REFUSED,   /* the provider refused the current generation's grant */
    MOVE_LOST,      /* the provider's reply was lost after the request was sent */
    MOVE_REVOKE,
    MOVE_RESTORE, /* undo of a revoke */
    MOVE_FREEZE,
    MOVE_THAW,
    MOVE_DELETE,
    MOVE_END
};

/* Numbers are stored: never renumber. */
enum event_type {
    EVENT_NONE = 0,
    EVENT_CREATED = 1,
    EVENT_CONNECTED = 2,
    EVENT_REFRESHED = 3,
    EVENT_REAUTH = 4,
    EVENT_RECOVERED = 5,
    EVENT_IN_DOUBT = 6,
    EVENT_REVOKED = 7,
    EVENT_RESTORED = 8,
    EVENT_FROZEN = 9,
    EVENT_THAWED = 10,
    EVENT_DELETED = 11,
    EVENT_INCIDENT = 12,
    EVENT_ALIVE = 13, /* never in the log */
    EVENT_TYPE_END
};

/* What an incident is about: a fault that is no connection's. Numbers are stored: never renumber. */
enum incident_kind {
    INCIDENT_CLIENT = 0,       /* the provider refuses our client or request */
    INCIDENT_OUTAGE = 1,       /* it does not answer */
    INCIDENT_MASS_REFUSAL = 2, /* it refuses unusually many grants */
    INCIDENT_SECRET_END = 3,   /* our client's secret ends soon, or has ended */
    INCIDENT_END
};

/* What a move comes to. */
struct lifecycle_step {
    enum conn_state state; /* the new one */
    enum event_type event; /* exactly one for a move that changes something; EVENT_NONE else */
    bool is_allowed;       /* false: nothing changes, and refusal says why */
    int refusal;           /* a negative enum bursar_error where the move is not allowed */
};

/* prior is what the row was before it was revoked or frozen, and is what RESTORE and THAW go to. */
struct lifecycle_step lifecycle_move(enum conn_state state, enum conn_state prior,
                                     enum conn_move move);

/* The words of the wire: `ACTIVE`, `reauth`. NULL for a number outside. */
const char *conn_state_name(enum conn_state state);
const char *event_type_name(enum event_type type);
/* CONN_NONE or EVENT_NONE for another word. */
enum conn_state conn_state_of(const char *name);
enum event_type event_type_of(const char *name);
/* `client`, `outage`, `mass_refusal`, `secret_end`. */
const char *incident_kind_name(enum incident_kind kind);

#endif
