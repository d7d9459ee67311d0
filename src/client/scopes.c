#include <bursar/client.h>

#include "base/buf.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/texts.h"

enum { LIST_BYTES = 16384 };

static int read_scopes(const struct node *record, struct bursar_grant *grant,
                       struct bursar_failure *out_failure)
{
    const struct node *scopes = node_get(record, "scopes");
    if (node_type(scopes) != NODE_ARRAY)
        return BURSAR_OK;
    grant->scopes = texts_read(scopes);
    return grant->scopes ? BURSAR_OK : failure_plain(out_failure, BURSAR_E_NOMEM);
}

int bursar_learn_scopes(struct bursar_client *client, const struct bursar_target *target,
                        struct bursar_grant *grant, struct bursar_failure *out_failure)
{
    struct call call;
    struct reply reply;
    if (grant->scopes)
        return BURSAR_OK;
    call_begin(&call, client, "connection.get", 0);
    call.is_repeatable = true;
    ask_target(&call.map, target);
    int error = call_run(&call, &reply, out_failure);
    if (error == 0)
        error = read_scopes(node_get(reply.root, "record"), grant, out_failure);
    reply_end(&reply);
    call_end(&call);
    return error;
}

static int refuse(const struct bursar_grant *grant, const char *need, const char *const *scopes,
                  struct bursar_failure *out_failure)
{
    struct buf message = buf_make(LIST_BYTES);
    buf_append_string(&message, need);
    texts_join(scopes, &message);
    buf_append_string(&message, !grant->scopes     ? "; which are granted is not known"
                                : grant->scopes[0] ? "; granted: "
                                                   : "; none is granted");
    texts_join((const char *const *)grant->scopes, &message);
    /* a list that does not fit is cut, as the failure cuts it */
    failure_say(out_failure, BURSAR_E_FORBIDDEN, message.data ? (const char *)message.data : need);
    buf_free(&message);
    return BURSAR_E_FORBIDDEN;
}

int bursar_need_any(const struct bursar_grant *grant, const char *const *scopes,
                    struct bursar_failure *out_failure)
{
    const char *const *granted = (const char *const *)grant->scopes;
    for (size_t i = 0; scopes[i]; i++) {
        if (texts_has(granted, scopes[i]))
            return BURSAR_OK;
    }
    return refuse(grant, "needs at least one of ", scopes, out_failure);
}

int bursar_need_all(const struct bursar_grant *grant, const char *const *scopes,
                    struct bursar_failure *out_failure)
{
    const char *const *granted = (const char *const *)grant->scopes;
    for (size_t i = 0; scopes[i]; i++) {
        if (!texts_has(granted, scopes[i]))
            return refuse(grant, "needs all of ", scopes, out_failure);
    }
    return BURSAR_OK;
}
