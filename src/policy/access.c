#include "policy/access.h"

#include <assert.h>
#include <string.h>

#include <bursar/protocol.h>

#include "base/buf.h"

static const char *const whys[] = {
    [ACCESS_OK] = NULL,
    [ACCESS_UNSEEN] = NULL,
    [ACCESS_NO_ROLE] = "this principal does not have the role that the op needs",
    [ACCESS_NO_EXPORT] = "this principal does not have the role export",
    [ACCESS_NO_OWNER] = "this principal may not act for this owner",
    [ACCESS_NO_PROVIDER] = "this principal may not use this provider",
    [ACCESS_NO_REF] = "this principal may not use this shared credential",
    [ACCESS_NO_SCOPE] = "only an operator of the provider's scope may have its secrets",
    [ACCESS_NAME_OWNER] = "this principal may act for some owners only: name one as owner",
    [ACCESS_NAME_PROVIDER] = "this principal may use some providers only: name one as provider",
};
static_assert(sizeof whys / sizeof whys[0] == ACCESS_END, "one line an answer");

const char *access_why(enum access access)
{
    return whys[access];
}

static enum access check_owner(const struct principal *principal, const struct access_ask *ask)
{
    if (principal->owners.is_all)
        return ACCESS_OK;
    if (!ask->owner.data)
        return ask->is_about_all ? ACCESS_NAME_OWNER : ACCESS_OK;
    if (name_list_has(&principal->owners, ask->owner))
        return ACCESS_OK;
    return ask->is_about_one && !ask->makes_one ? ACCESS_UNSEEN : ACCESS_NO_OWNER;
}

static enum access check_provider(const struct principal *principal, const struct access_ask *ask)
{
    if (principal->providers.is_all)
        return ACCESS_OK;
    if (!ask->provider.data)
        return ask->is_about_all ? ACCESS_NAME_PROVIDER : ACCESS_OK;
    return name_list_has(&principal->providers, ask->provider) ? ACCESS_OK : ACCESS_NO_PROVIDER;
}

enum access access_check(const struct principal *principal, const struct access_ask *ask)
{
    enum access access;
    if (ask->roles != 0 && (principal->roles & ask->roles) == 0)
        return ACCESS_NO_ROLE;
    if (ask->wants_secret && !(principal->roles & ROLE_VEND))
        return ACCESS_NO_ROLE;
    if (ask->wants_export && !(principal->roles & ROLE_EXPORT))
        return ACCESS_NO_EXPORT;
    if (ask->guard.data && !name_list_has(&principal->scopes, ask->guard))
        return ACCESS_NO_SCOPE;
    if (ask->ref.data)
        return name_list_has(&principal->refs, ask->ref) ? ACCESS_OK : ACCESS_NO_REF;
    access = check_provider(principal, ask);
    return access == ACCESS_OK ? check_owner(principal, ask) : access;
}

/* ---- what became less ------------------------------------------------------------------------------ */

static bool covers(const struct name_list *now, const struct name_list *before)
{
    if (now->is_all)
        return true;
    for (size_t i = 0; i < before->count; i++) {
        if (!name_list_has(now, text_of(before->names[i])))
            return false;
    }
    return !before->is_all;
}

static bool has_ids(const uint32_t *now, size_t now_count, const uint32_t *before, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < now_count && now[j] != before[i])
            j++;
        if (j == now_count)
            return false;
    }
    return true;
}

static bool has_keys(const struct principal *now, const struct principal *before)
{
    for (size_t i = 0; i < before->key_count; i++) {
        size_t j = 0;
        while (j < now->key_count && strcmp(now->keys[j].z85, before->keys[i].z85) != 0)
            j++;
        if (j == now->key_count)
            return false;
    }
    return true;
}

bool access_hears_less(const struct principal *before, const struct principal *now)
{
    if (!has_ids(now->uids, now->uid_count, before->uids, before->uid_count) ||
        !has_ids(now->gids, now->gid_count, before->gids, before->gid_count) ||
        !has_keys(now, before))
        return true;
    return (before->roles & ROLE_EVENTS) &&
           (!(now->roles & ROLE_EVENTS) || !covers(&now->owners, &before->owners) ||
            !covers(&now->providers, &before->providers) ||
            now->limits.subscriptions < before->limits.subscriptions);
}

/* ---- subscriptions ------------------------------------------------------------------------------- */

/* The part of a prefix up to the next slash, which has to be there; absent where it is not. */
static struct text whole_part(struct text *rest)
{
    const char *slash = rest->len > 0 ? memchr(rest->data, '/', rest->len) : NULL;
    if (!slash)
        return (struct text){NULL, 0};
    struct text part = {rest->data, (size_t)(slash - rest->data)};
    *rest = (struct text){slash + 1, rest->len - part.len - 1};
    return part;
}

/* By the encoding, as topics are made: another way of writing a name matches nothing. */
static bool has_encoded(const struct name_list *list, struct text part)
{
    bool is_there = false;
    for (size_t i = 0; i < list->count && !is_there; i++) {
        struct buf encoded = buf_make((size_t)BURSAR_MAX_OWNER_BYTES * 3 + 1);
        buf_append_percent(&encoded, text_of(list->names[i]));
        is_there = buf_error(&encoded) == 0 && text_equal(buf_text(&encoded), part);
        buf_free(&encoded);
    }
    return is_there;
}

bool access_subscription(const struct principal *principal, struct text prefix)
{
    static const char alive[] = "alive/";
    if (prefix.len >= sizeof alive - 2 &&
        memcmp(prefix.data, alive, prefix.len < sizeof alive - 1 ? prefix.len : sizeof alive - 1) ==
            0)
        return true;
    if (!(principal->roles & ROLE_EVENTS))
        return false;
    if (principal->owners.is_all && principal->providers.is_all)
        return true;
    struct text rest = prefix, type = whole_part(&rest);
    struct text owner = type.data ? whole_part(&rest) : type;
    if (!owner.data)
        return false;
    /* `-` is what stands where there is no owner, also for an owner of this name. */
    if (!principal->owners.is_all &&
        (text_is(owner, "-") || !has_encoded(&principal->owners, owner)))
        return false;
    if (principal->providers.is_all)
        return true;
    struct text provider = whole_part(&rest);
    return provider.data && has_encoded(&principal->providers, provider);
}
