#include "policy/vend.h"

#include <bursar/error.h>

bool vend_is_good(const struct vend_view *view, int64_t now, int64_t min_ttl_s)
{
    if (!view->has_secret || view->is_invalidated)
        return false;
    return view->expires_at == EXPIRY_NEVER || view->expires_at - now > min_ttl_s;
}

bool vend_is_due(const struct vend_view *view, int64_t now)
{
    if (view->state != CONN_ACTIVE || !view->has_secret || !view->can_refresh)
        return false;
    if (view->expires_at != EXPIRY_NEVER && view->issued_at - VEND_CLOCK_SLACK_S > now)
        return true;
    return view->is_invalidated || (view->due_at != EXPIRY_NEVER && now >= view->due_at);
}

/* What a state refuses with once there is nothing good to serve. */
static int refusal_of(const struct vend_view *view)
{
    switch (view->state) {
    case CONN_REVOKED: return BURSAR_E_REVOKED;
    case CONN_FROZEN: return BURSAR_E_FROZEN;
    case CONN_IN_DOUBT: return BURSAR_E_IN_DOUBT;
    case CONN_PENDING:
    case CONN_NONE: return BURSAR_E_NOT_CONNECTED;
    case CONN_NEEDS_REAUTH:
    case CONN_ACTIVE: /* expired, and nothing to refresh it with */
    case CONN_STATE_END: break;
    }
    return BURSAR_E_NEEDS_REAUTH;
}

static struct vend_decision refuse(int error)
{
    return (struct vend_decision){VEND_REFUSE, false, error};
}

struct vend_decision vend_decide(const struct vend_view *view, int64_t now, int64_t min_ttl_s)
{
    if (view->state == CONN_REVOKED || view->state == CONN_FROZEN)
        return refuse(refusal_of(view));
    bool is_good = vend_is_good(view, now, min_ttl_s);
    if (view->state == CONN_IN_DOUBT || view->state == CONN_NEEDS_REAUTH)
        return is_good ? (struct vend_decision){VEND_SERVE, true, 0} : refuse(refusal_of(view));
    if (!is_good)
        return view->state == CONN_ACTIVE && view->has_secret && view->can_refresh
                   ? (struct vend_decision){VEND_WAIT, false, 0}
                   : refuse(refusal_of(view));
    if (vend_is_due(view, now))
        return (struct vend_decision){VEND_SERVE_REFRESH, view->is_failing, 0};
    return (struct vend_decision){VEND_SERVE, false, 0};
}

const char *vend_refresh_state(const struct vend_view *view, int64_t now, bool is_in_flight)
{
    if (view->state == CONN_NEEDS_REAUTH)
        return "needs_reauth";
    if (view->state == CONN_IN_DOUBT)
        return "in_doubt";
    if (view->state == CONN_REVOKED || view->state == CONN_FROZEN)
        return "held";
    if (is_in_flight)
        return "in_flight";
    if (!vend_is_due(view, now))
        return "idle";
    return view->is_failing ? "backing_off" : "due";
}
