#include <bursar/client.h>

#include <stdlib.h>

#include "base/buf.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/texts.h"

enum { MESSAGE_BYTES = 4096 };

void bursar_principal_free(struct bursar_principal *principal)
{
    if (!principal)
        return;
    free(principal->principal);
    free(principal->peer);
    free(principal->email);
    texts_free(principal->roles);
    texts_free(principal->owners);
    texts_free(principal->providers);
    texts_free(principal->refs);
    texts_free(principal->operator_scopes);
    *principal = (struct bursar_principal){0};
}

static int read_principal(const struct node *reply, struct bursar_principal *out_principal)
{
    struct text name = node_text(node_get(reply, "principal"));
    struct text peer = node_text(node_get(reply, "peer"));
    struct text email = node_text(node_get(reply, "email"));
    if (!name.data)
        return BURSAR_E_BAD_REPLY;
    struct bursar_principal made = {
        .principal = text_copy(name),
        .peer = text_copy(peer),
        .email = text_copy(email),
        .roles = texts_read(node_get(reply, "roles")),
        .owners = texts_read(node_get(reply, "owners")),
        .providers = texts_read(node_get(reply, "providers")),
        .refs = texts_read(node_get(reply, "refs")),
        .operator_scopes = texts_read(node_get(reply, "operator_scopes")),
    };
    if (!made.principal || (peer.data && !made.peer) || (email.data && !made.email) ||
        !made.roles || !made.owners || !made.providers || !made.refs || !made.operator_scopes) {
        bursar_principal_free(&made);
        return BURSAR_E_NOMEM;
    }
    *out_principal = made;
    return BURSAR_OK;
}

int bursar_whoami(struct bursar_client *client, struct bursar_principal *out_principal,
                  struct bursar_failure *out_failure)
{
    struct call call;
    struct reply reply;
    call_begin(&call, client, "whoami", 0);
    call.is_repeatable = true;
    int error = call_run(&call, &reply, out_failure);
    if (error == 0) {
        error = read_principal(reply.root, out_principal);
        if (error != 0)
            failure_plain(out_failure, error);
    }
    reply_end(&reply);
    call_end(&call);
    return error;
}

int bursar_is_operator(struct bursar_client *client, const char *email, const char *scope,
                       bool *out_is_operator, struct bursar_failure *out_failure)
{
    struct call call;
    struct reply reply;
    call_begin(&call, client, "principal.is_operator", 0);
    call.is_repeatable = true;
    pack_string(&call.map, "email", email);
    pack_string(&call.map, "scope", scope);
    int error = call_run(&call, &reply, out_failure);
    const struct node *answer = node_get(reply.root, "is_operator");
    if (error == 0 && node_type(answer) != NODE_BOOL)
        error = failure_plain(out_failure, BURSAR_E_BAD_REPLY);
    if (error == 0)
        *out_is_operator = node_bool(answer);
    reply_end(&reply);
    call_end(&call);
    return error;
}

/* ---- guards --------------------------------------------------------------------------------- */

static int refuse(struct bursar_failure *out_failure, const char *who, const char *what,
                  const char *value)
{
    struct buf message = buf_make(MESSAGE_BYTES);
    buf_printf(&message, "%s %s \"%s\"", who, what, value);
    failure_say(out_failure, BURSAR_E_FORBIDDEN,
                buf_error(&message) == 0 ? (const char *)message.data
                                         : bursar_error_text(BURSAR_E_FORBIDDEN));
    buf_free(&message);
    return BURSAR_E_FORBIDDEN;
}

int bursar_need_operator(struct bursar_client *client, const char *email, const char *scope,
                         struct bursar_failure *out_failure)
{
    bool is_operator = false;
    int error = bursar_is_operator(client, email, scope, &is_operator, out_failure);
    if (error != 0 || is_operator)
        return error;
    return refuse(out_failure, email, "is no operator for", scope);
}

int bursar_need_role(const struct bursar_principal *principal, const char *role,
                     struct bursar_failure *out_failure)
{
    if (texts_has((const char *const *)principal->roles, role))
        return BURSAR_OK;
    return refuse(out_failure, principal->principal, "does not have the role", role);
}

int bursar_need_owner(const struct bursar_principal *principal, const char *owner,
                      struct bursar_failure *out_failure)
{
    const char *const *owners = (const char *const *)principal->owners;
    if (texts_has(owners, "*") || texts_has(owners, owner))
        return BURSAR_OK;
    return refuse(out_failure, principal->principal, "may not act for", owner);
}
