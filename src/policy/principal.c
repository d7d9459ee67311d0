#include "policy/principal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/protocol.h>

#include "base/z85.h"

enum { CURVE_BYTES = 32, SCOPE_MAX_BYTES = 128 };

static const char *const names[] = {"vend",   "refresh", "connect", "manage",
                                    "events", "export",  "admin"};
static_assert(sizeof names / sizeof names[0] == ROLE_COUNT, "one name a role");
static_assert(1 << ROLE_COUNT == ROLE_ALL + 1, "one bit a role");

const char *role_name(size_t index)
{
    return index < ROLE_COUNT ? names[index] : NULL;
}

unsigned role_of(struct text name)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (text_is(name, names[i]))
            return 1u << i;
    }
    return 0;
}

void role_names(const char *out_names[static ROLE_COUNT])
{
    memcpy(out_names, names, sizeof names);
}

/* ---- limits -------------------------------------------------------------------------------------- */

const struct principal_limits principal_default_limits = {
    .in_flight = 32768, .subscriptions = 1024, .unread_bytes = (uint64_t)64 << 20};

static const struct principal_limit_rule limit_rules[] = {
    {"max_in_flight", offsetof(struct principal_limits, in_flight), false, 1, 65536},
    {"max_per_second", offsetof(struct principal_limits, per_second), false, 0, 10000000},
    {"max_subscriptions", offsetof(struct principal_limits, subscriptions), false, 0, 1000000},
    {"max_job_bytes", offsetof(struct principal_limits, job_bytes), false, 0, 16777216},
    {"max_unread_bytes", offsetof(struct principal_limits, unread_bytes), true, 65536,
     UINT64_C(1) << 40},
    {0}};

const struct principal_limit_rule *principal_limit_rules(void)
{
    return limit_rules;
}

uint64_t principal_limit_get(const struct principal_limits *limits,
                             const struct principal_limit_rule *rule)
{
    const char *at = (const char *)limits + rule->at;
    return rule->is_64 ? *(const uint64_t *)at : *(const uint32_t *)at;
}

void principal_limit_set(struct principal_limits *limits, const struct principal_limit_rule *rule,
                         uint64_t value)
{
    char *at = (char *)limits + rule->at;
    if (rule->is_64)
        *(uint64_t *)at = value;
    else
        *(uint32_t *)at = (uint32_t)value;
}

/* ---- lists --------------------------------------------------------------------------------------- */

bool name_list_has(const struct name_list *list, struct text name)
{
    if (list->is_all)
        return true;
    for (size_t i = 0; i < list->count; i++) {
        if (text_is(name, list->names[i]))
            return true;
    }
    return false;
}

static void name_list_fini(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct name_list){0};
}

bool principal_set_text(char **to, struct text text)
{
    free(*to);
    *to = text_copy(text);
    return *to || !text.data;
}

bool principal_add_name(struct name_list *list, struct text name)
{
    if (text_is(name, "*")) {
        list->is_all = true;
        return true;
    }
    char *copy = text_copy(name);
    char **grown = copy ? reallocarray(list->names, list->count + 1, sizeof *grown) : NULL;
    if (!grown) {
        free(copy);
        return false;
    }
    list->names = grown;
    grown[list->count++] = copy;
    return true;
}

bool principal_add_id(uint32_t **ids, size_t *count, uint32_t id)
{
    uint32_t *grown = reallocarray(*ids, *count + 1, sizeof *grown);
    if (!grown)
        return false;
    *ids = grown;
    grown[(*count)++] = id;
    return true;
}

bool principal_add_key(struct principal *principal, struct text z85)
{
    assert(z85.len == PRINCIPAL_KEY_LEN);
    struct principal_key *grown =
        reallocarray(principal->keys, principal->key_count + 1, sizeof *grown);
    if (!grown)
        return false;
    principal->keys = grown;
    memcpy(grown[principal->key_count].z85, z85.data, PRINCIPAL_KEY_LEN);
    grown[principal->key_count++].z85[PRINCIPAL_KEY_LEN] = 0;
    return true;
}

/* ---- keys that are lists --------------------------------------------------------------------------- */

static const char *take_uid(struct principal *to, struct text value, bool *has_memory)
{
    uint64_t id;
    if (!text_to_uint(value, UINT32_MAX - 1, &id))
        return "must be the number of a user";
    *has_memory = principal_add_id(&to->uids, &to->uid_count, (uint32_t)id);
    return NULL;
}

static const char *take_gid(struct principal *to, struct text value, bool *has_memory)
{
    uint64_t id;
    if (!text_to_uint(value, UINT32_MAX - 1, &id))
        return "must be the number of a group";
    *has_memory = principal_add_id(&to->gids, &to->gid_count, (uint32_t)id);
    return NULL;
}

static const char *take_key(struct principal *to, struct text value, bool *has_memory)
{
    uint8_t key[CURVE_BYTES];
    if (!z85_decode(value, sizeof key, key))
        return "must be a public key in Z85: 40 characters";
    *has_memory = principal_add_key(to, value);
    return NULL;
}

static const char *take_role(struct principal *to, struct text value, bool *has_memory)
{
    unsigned role = role_of(value);
    (void)has_memory;
    if (role == 0)
        return "must be one of vend, refresh, connect, manage, events, export, admin";
    to->roles |= role;
    return NULL;
}

static const char *take_owner(struct principal *to, struct text value, bool *has_memory)
{
    if (value.len < 1 || value.len > BURSAR_MAX_OWNER_BYTES || !text_is_printable(value))
        return "must be the name of an owner, 1 to 128 bytes, or \"*\"";
    *has_memory = principal_add_name(&to->owners, value);
    return NULL;
}

static const char *take_provider(struct principal *to, struct text value, bool *has_memory)
{
    if (!text_is(value, "*") && !text_is_provider_id(value))
        return "must be the id of a provider, or \"*\"";
    *has_memory = principal_add_name(&to->providers, value);
    return NULL;
}

static const char *take_ref(struct principal *to, struct text value, bool *has_memory)
{
    if (!text_is(value, "*") && !text_is_provider_id(value))
        return "must be the name of a shared credential, or \"*\"";
    *has_memory = principal_add_name(&to->refs, value);
    return NULL;
}

static const char *take_scope(struct principal *to, struct text value, bool *has_memory)
{
    if (value.len < 1 || value.len > SCOPE_MAX_BYTES || !text_is_printable(value) ||
        text_is(value, "*"))
        return "must be the name of a scope, 1 to 128 bytes";
    *has_memory = principal_add_name(&to->scopes, value);
    return NULL;
}

static const struct principal_rule list_rules[] = {{"uids", true, take_uid},
                                                   {"gids", true, take_gid},
                                                   {"curve_keys", false, take_key},
                                                   {"roles", false, take_role},
                                                   {"owners", false, take_owner},
                                                   {"providers", false, take_provider},
                                                   {"refs", false, take_ref},
                                                   {"operator_scopes", false, take_scope},
                                                   {0}};

const struct principal_rule *principal_rules(void)
{
    return list_rules;
}

void principal_fill(struct principal *principal, bool has_providers, bool has_refs)
{
    if (!has_providers)
        principal->providers.is_all = true;
    if (!has_refs)
        principal->refs.is_all = principal->owners.is_all;
}

const char *principal_problem(const struct principal *principal)
{
    return principal->uid_count + principal->gid_count + principal->key_count == 0
               ? "needs uids, gids or curve_keys: nobody is it else"
               : NULL;
}

static bool share_id(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
    for (size_t i = 0; i < a_count; i++) {
        for (size_t j = 0; j < b_count; j++) {
            if (a[i] == b[j])
                return true;
        }
    }
    return false;
}

const char *principal_shared(const struct principal *a, const struct principal *b)
{
    if (share_id(a->uids, a->uid_count, b->uids, b->uid_count))
        return "uid";
    if (share_id(a->gids, a->gid_count, b->gids, b->gid_count))
        return "gid";
    for (size_t i = 0; i < a->key_count; i++) {
        for (size_t j = 0; j < b->key_count; j++) {
            if (strcmp(a->keys[i].z85, b->keys[j].z85) == 0)
                return "CURVE key";
        }
    }
    return NULL;
}

/* ---- life ---------------------------------------------------------------------------------------- */

void principal_init(struct principal *principal)
{
    *principal = (struct principal){.limits = principal_default_limits};
}

void principal_fini(struct principal *principal)
{
    if (!principal)
        return;
    free(principal->name);
    free(principal->email);
    name_list_fini(&principal->owners);
    name_list_fini(&principal->providers);
    name_list_fini(&principal->refs);
    name_list_fini(&principal->scopes);
    free(principal->uids);
    free(principal->gids);
    free(principal->keys);
    *principal = (struct principal){0};
}

static bool copy_list(const struct name_list *from, struct name_list *to)
{
    to->is_all = from->is_all;
    for (size_t i = 0; i < from->count; i++) {
        if (!principal_add_name(to, text_of(from->names[i])))
            return false;
    }
    return true;
}

bool principal_copy(const struct principal *from, struct principal *out)
{
    struct principal made;
    principal_init(&made);
    made.roles = from->roles;
    made.limits = from->limits;
    bool is_made = principal_set_text(&made.name, text_of(from->name)) &&
                   principal_set_text(&made.email, text_of(from->email)) &&
                   copy_list(&from->owners, &made.owners) &&
                   copy_list(&from->providers, &made.providers) &&
                   copy_list(&from->refs, &made.refs) && copy_list(&from->scopes, &made.scopes);
    for (size_t i = 0; is_made && i < from->uid_count; i++)
        is_made = principal_add_id(&made.uids, &made.uid_count, from->uids[i]);
    for (size_t i = 0; is_made && i < from->gid_count; i++)
        is_made = principal_add_id(&made.gids, &made.gid_count, from->gids[i]);
    for (size_t i = 0; is_made && i < from->key_count; i++)
        is_made = principal_add_key(&made, text_of(from->keys[i].z85));
    if (is_made)
        *out = made;
    else
        principal_fini(&made);
    return is_made;
}

bool principal_is_name(struct text name)
{
    static const char more[] = "._@-";
    if (name.len < 1 || name.len > 64)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (i == 0 || !memchr(more, c, sizeof more - 1)))
            return false;
    }
    return true;
}
