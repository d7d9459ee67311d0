#include <bursar/client.h>

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "client/call.h"
#include "client/failure.h"

enum { MESSAGE_BYTES = sizeof(((struct bursar_failure *)0)->message) };

/* Index is an enum bursar_kind. */
static const char *const kind_names[] = {NULL, "oauth2", "api_key", "basic", "bearer", "header"};
static_assert(sizeof kind_names / sizeof kind_names[0] == BURSAR_KIND_END, "one for each kind");

static enum bursar_kind kind_of(const char *name)
{
    for (int i = 1; name && i < BURSAR_KIND_END; i++) {
        if (strcmp(kind_names[i], name) == 0)
            return (enum bursar_kind)i;
    }
    return BURSAR_KIND_ANY;
}

int bursar_credential_of(const struct bursar_grant *grant, enum bursar_kind kind,
                         struct bursar_credential *out_credential,
                         struct bursar_failure *out_failure)
{
    struct bursar_credential made = {.kind = kind_of(grant->kind)};
    if (made.kind == BURSAR_KIND_ANY)
        return failure_say(out_failure, BURSAR_E_KIND_MISMATCH,
                           "the grant has no secret of a kind that is known here");
    if (kind != BURSAR_KIND_ANY && kind != made.kind)
        return failure_plain(out_failure, BURSAR_E_KIND_MISMATCH);
    const struct {
        enum bursar_kind kind;
        const char *name;
        const char **value;
    } rows[] = {
        {BURSAR_KIND_OAUTH2, "access_token", &made.oauth2.access_token},
        {BURSAR_KIND_OAUTH2, "token_type", &made.oauth2.token_type},
        {BURSAR_KIND_API_KEY, "api_key", &made.api_key.key},
        {BURSAR_KIND_API_KEY, "api_secret", &made.api_key.secret},
        {BURSAR_KIND_BASIC, "username", &made.basic.username},
        {BURSAR_KIND_BASIC, "password", &made.basic.password},
        {BURSAR_KIND_BEARER, "token", &made.bearer.token},
        {BURSAR_KIND_HEADER, "name", &made.header.name},
        {BURSAR_KIND_HEADER, "value", &made.header.value},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].kind == made.kind)
            *rows[i].value = bursar_grant_part(grant, rows[i].name);
    }
    *out_credential = made;
    return BURSAR_OK;
}

/* ---- the type of an account id -------------------------------------------------------------- */

static int compare_type(const struct bursar_lookup *lookup, struct text type,
                        struct bursar_failure *out_failure)
{
    struct buf message = buf_make(MESSAGE_BYTES);
    if (text_is(type, lookup->account_type))
        return BURSAR_OK;
    buf_printf(&message, "an account id of \"%s\" is ", lookup->provider);
    if (type.data)
        buf_printf(&message, "of the type \"%.*s\"", (int)type.len, type.data);
    else
        buf_append_string(&message, "of no type that its connector names");
    buf_printf(&message, ", not \"%s\"", lookup->account_type);
    failure_say(out_failure, BURSAR_E_KIND_MISMATCH,
                buf_error(&message) == 0 ? (const char *)message.data
                                         : "the account id is of another type");
    buf_free(&message);
    return BURSAR_E_KIND_MISMATCH;
}

static int check_type(struct bursar_client *client, const struct bursar_lookup *lookup,
                      struct bursar_failure *out_failure)
{
    struct call call;
    struct reply reply;
    call_begin(&call, client, "connector.get", lookup->deadline_ms);
    call.is_repeatable = true;
    pack_string(&call.map, "provider", lookup->provider);
    int error = call_run(&call, &reply, out_failure);
    const struct node *type = node_get(node_get(reply.root, "connector"), "account_type");
    if (error == 0)
        error = compare_type(lookup, node_text(type), out_failure);
    reply_end(&reply);
    call_end(&call);
    return error;
}

/* ---- looking up ----------------------------------------------------------------------------- */

static int check_scopes(struct bursar_client *client, const struct bursar_lookup *lookup,
                        const struct bursar_target *target, struct bursar_grant *grant,
                        struct bursar_failure *out_failure)
{
    if (!lookup->need_any && !lookup->need_all)
        return BURSAR_OK;
    int error = bursar_learn_scopes(client, target, grant, out_failure);
    if (error == 0 && lookup->need_any)
        error = bursar_need_any(grant, lookup->need_any, out_failure);
    if (error == 0 && lookup->need_all)
        error = bursar_need_all(grant, lookup->need_all, out_failure);
    return error;
}

int bursar_lookup(struct bursar_client *client, const struct bursar_lookup *lookup,
                  struct bursar_grant *out_grant, struct bursar_credential *out_credential,
                  struct bursar_failure *out_failure)
{
    const struct bursar_target target = {
        .owner = lookup->owner, .provider = lookup->provider, .account = lookup->account};
    struct bursar_grant grant = {0};
    int error = 0;
    if (!lookup->owner || !lookup->provider || (unsigned)lookup->kind >= BURSAR_KIND_END)
        return failure_say(out_failure, BURSAR_E_BAD_REQUEST,
                           "a lookup names an owner, a provider and a kind that there is");
    const struct bursar_vend_options options = {.kind = kind_names[lookup->kind],
                                                .min_ttl_s = lookup->min_ttl_s,
                                                .deadline_ms = lookup->deadline_ms};
    if (lookup->account_type)
        error = check_type(client, lookup, out_failure);
    if (error == 0)
        error = bursar_vend(client, &target, &options, &grant, out_failure);
    if (error == 0)
        error = check_scopes(client, lookup, &target, &grant, out_failure);
    if (error == 0)
        error = bursar_credential_of(&grant, lookup->kind, out_credential, out_failure);
    if (error == 0)
        *out_grant = grant;
    else
        bursar_grant_free(&grant);
    return error;
}

enum bursar_answer bursar_lookup_answer(int error)
{
    static const struct {
        int error;
        enum bursar_answer answer;
    } rows[] = {
        {BURSAR_OK, BURSAR_ANSWER_FOUND},
        {BURSAR_E_NOT_CONNECTED, BURSAR_ANSWER_NOT_CONNECTED},
        {BURSAR_E_UNKNOWN_PROVIDER, BURSAR_ANSWER_UNKNOWN_KIND},
        {BURSAR_E_KIND_MISMATCH, BURSAR_ANSWER_WRONG_TYPE},
        {BURSAR_E_NEEDS_REAUTH, BURSAR_ANSWER_DEAD},
        {BURSAR_E_IN_DOUBT, BURSAR_ANSWER_REFRESH_FAILED},
        {BURSAR_E_CLIENT_REJECTED, BURSAR_ANSWER_REFRESH_FAILED},
        {BURSAR_E_PROVIDER_UNAVAILABLE, BURSAR_ANSWER_REFRESH_FAILED},
        {BURSAR_E_RATE_LIMITED, BURSAR_ANSWER_REFRESH_FAILED},
        {BURSAR_E_DEADLINE_EXCEEDED, BURSAR_ANSWER_REFRESH_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].error == error)
            return rows[i].answer;
    }
    return BURSAR_ANSWER_FAILED;
}
