#include "wire/principal.h"

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

enum { ITEMS_MAX = 1024, EMAIL_MAX_BYTES = 320 };

/* ---- writing ------------------------------------------------------------------------------------- */

static void pack_names(struct pack *map, const char *key, const struct name_list *list)
{
    struct pack array = pack_array_in(map, key);
    if (list->is_all)
        pack_item_text(&array, TEXT_LITERAL("*"));
    for (size_t i = 0; i < list->count && !list->is_all; i++)
        pack_item_text(&array, text_of(list->names[i]));
    pack_close(&array);
}

static void pack_ids(struct pack *map, const char *key, const uint32_t *ids, size_t count)
{
    if (count == 0)
        return;
    struct pack array = pack_array_in(map, key);
    for (size_t i = 0; i < count; i++)
        pack_item_uint(&array, ids[i]);
    pack_close(&array);
}

static void pack_limits(struct pack *map, const struct principal_limits *limits)
{
    for (const struct principal_limit_rule *rule = principal_limit_rules(); rule->name; rule++)
        pack_uint(map, rule->name, principal_limit_get(limits, rule));
}

void principal_pack(struct pack *map, const struct principal *principal)
{
    pack_ids(map, "uids", principal->uids, principal->uid_count);
    pack_ids(map, "gids", principal->gids, principal->gid_count);
    if (principal->key_count > 0) {
        struct pack keys = pack_array_in(map, "curve_keys");
        for (size_t i = 0; i < principal->key_count; i++)
            pack_item_text(&keys, text_of(principal->keys[i].z85));
        pack_close(&keys);
    }
    struct pack roles = pack_array_in(map, "roles");
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (principal->roles & 1u << i)
            pack_item_text(&roles, text_of(role_name(i)));
    }
    pack_close(&roles);
    pack_names(map, "owners", &principal->owners);
    pack_names(map, "providers", &principal->providers);
    pack_names(map, "refs", &principal->refs);
    pack_names(map, "operator_scopes", &principal->scopes);
    if (principal->email)
        pack_string(map, "email", principal->email);
    pack_limits(map, &principal->limits);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int refuse(struct buf *error, struct text key, const char *what)
{
    buf_append_string(error, "definition.");
    buf_append_text(error, key);
    buf_printf(error, " %s", what);
    return BURSAR_E_BAD_REQUEST;
}

static int take_item(struct principal *made, const struct principal_rule *rule,
                     const struct node *item, struct buf *error)
{
    char number[24];
    bool has_memory = true;
    struct text value = node_text(item);
    if (rule->is_number && node_type(item) == NODE_UINT) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)node_uint(item));
        value = text_of(number);
    } else if (rule->is_number || node_type(item) != NODE_TEXT) {
        return refuse(error, text_of(rule->key),
                      rule->is_number ? "must be a list of numbers" : "must be a list of texts");
    }
    const char *problem = rule->take(made, value, &has_memory);
    if (problem)
        return refuse(error, text_of(rule->key), problem);
    return has_memory ? 0 : BURSAR_E_NOMEM;
}

static int take_list(struct principal *made, const struct principal_rule *rule,
                     const struct node *list, struct buf *error)
{
    int result = 0;
    if (node_type(list) != NODE_ARRAY || node_count(list) > ITEMS_MAX)
        return refuse(error, text_of(rule->key), "must be a list of at most 1024");
    for (size_t i = 0; i < node_count(list) && result == 0; i++)
        result = take_item(made, rule, node_item(list, i), error);
    return result;
}

static int take_limit(struct principal *made, const struct principal_limit_rule *rule,
                      const struct node *value, struct buf *error)
{
    uint64_t number = node_uint(value);
    if (node_type(value) != NODE_UINT || number < rule->min || number > rule->max)
        return refuse(error, text_of(rule->name), "is not a number within its bounds");
    principal_limit_set(&made->limits, rule, number);
    return 0;
}

static int take_email(struct principal *made, const struct node *value, struct buf *error)
{
    struct text email = node_text(value);
    if (node_type(value) != NODE_TEXT || email.len < 1 || email.len > EMAIL_MAX_BYTES ||
        !text_is_printable(email))
        return refuse(error, TEXT_LITERAL("email"), "must be a text of 1 to 320 bytes");
    return principal_set_text(&made->email, email) ? 0 : BURSAR_E_NOMEM;
}

static int take_pair(struct principal *made, struct text key, const struct node *value,
                     struct buf *error)
{
    for (const struct principal_rule *rule = principal_rules(); rule->key; rule++) {
        if (text_is(key, rule->key))
            return take_list(made, rule, value, error);
    }
    for (const struct principal_limit_rule *rule = principal_limit_rules(); rule->name; rule++) {
        if (text_is(key, rule->name))
            return take_limit(made, rule, value, error);
    }
    if (text_is(key, "email"))
        return take_email(made, value, error);
    return refuse(error, text_is_printable(key) ? key : TEXT_LITERAL("?"), "is not a known key");
}

int principal_read(struct text name, const struct node *map, struct principal *out_principal,
                   struct buf *error)
{
    struct principal made;
    int result = 0;
    principal_init(&made);
    if (!principal_is_name(name)) {
        buf_append_string(error, "principal must be 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a"
                                 " letter or digit");
        return BURSAR_E_BAD_REQUEST;
    }
    if (!principal_set_text(&made.name, name))
        return BURSAR_E_NOMEM;
    for (size_t i = 0; i < node_count(map) && result == 0; i++) {
        const struct node *key, *value;
        node_pair(map, i, &key, &value);
        result = take_pair(&made, node_text(key), value, error);
    }
    principal_fill(&made, node_get(map, "providers"), node_get(map, "refs"));
    const char *problem = principal_problem(&made);
    if (result == 0 && problem) {
        buf_printf(error, "definition %s", problem);
        result = BURSAR_E_BAD_REQUEST;
    }
    if (result == 0)
        *out_principal = made;
    else
        principal_fini(&made);
    return result;
}
