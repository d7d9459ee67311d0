/* What a vend comes to, from what the store says of the connection.
 * Thread: any; pure functions. Times are seconds since 1970 UTC. */
#ifndef POLICY_VEND_H
#define POLICY_VEND_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/expiry.h"
#include "policy/lifecycle.h"

/* What the decision needs to know of a connection. */
struct vend_view {
    enum conn_state state;
    bool has_secret;
    bool is_invalidated; /* a caller said that this generation was refused */
    bool can_refresh;    /* the kind refreshes and there is something to refresh with */
    bool is_failing;     /* the last attempt failed for a passing reason */
    int64_t expires_at;  /* EXPIRY_NEVER: none known */
    int64_t due_at;      /* EXPIRY_NEVER: never */
    int64_t issued_at;   /* 0: not known */
};

enum vend_action {
    VEND_SERVE,         /* answer with the current secret */
    VEND_SERVE_REFRESH, /* answer with it, and see that a refresh is under way */
    VEND_WAIT,          /* join or start a flight and wait for its end */
    VEND_REFUSE,        /* answer `error` */
};

struct vend_decision {
    enum vend_action action;
    bool is_stale; /* of a served one: `stale` of the reply */
    int error;     /* of a refused one */
};

/* min_ttl_s: 0 takes anything that is still valid. */
struct vend_decision vend_decide(const struct vend_view *view, int64_t now, int64_t min_ttl_s);

/* Whether the secret is there, not invalidated, and lasts for min_ttl_s more. */
bool vend_is_good(const struct vend_view *view, int64_t now, int64_t min_ttl_s);

/* The clock may be so wrong before anything is concluded from it. */
#define VEND_CLOCK_SLACK_S 300

/* Whether a refresh should be under way now: due or invalidated, ACTIVE, and possible. What was issued in
 * the future is due: the clock was set back, and when it ends is not known any more. */
bool vend_is_due(const struct vend_view *view, int64_t now);

/* The word of `refresh.state` (doc/protocol.md). */
const char *vend_refresh_state(const struct vend_view *view, int64_t now, bool is_in_flight);

#endif
