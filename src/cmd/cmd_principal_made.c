#include "cmd/cmd_principal.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "policy/principal.h"

enum { NAME_SIZE = 32 };

const struct cmd_option cmd_principal_options[] = {
    {"uid", "USER", "a user whose processes it is, on ipc: a name or number (repeatedly)"},
    {"gid", "GROUP", "the same of a group"},
    {"curve-key", "KEY", "a public key that it shows, on tcp"},
    {"new-key", "FILE", "make it a key: the secret one in FILE, the public one in FILE.pub"},
    {"role", "ROLE", "vend, refresh, connect, manage, events, export or admin"},
    {"owner", "OWNER", "for whom it may act; \"*\" for all"},
    {"provider", "ID", "at which provider; none given: all"},
    {"ref", "NAME", "which shared credential; none given: all where it may act for all owners"},
    {"operator-scope", "SCOPE", "what it is an operator of"},
    {"email", "ADDRESS", "whose it is"},
    {"max-in-flight", "N", "jobs that wait for an answer"},
    {"max-per-second", "N", "jobs in a second; 0: no bound"},
    {"max-subscriptions", "N", "subscriptions of all its subscribers together"},
    {"max-job-bytes", "N", "bytes of a job's body; 0: what holds for all"},
    {"max-unread-bytes", "N", "bytes of answers that its clients have not taken"},
    {"print", NULL, "with add: ask nobody, and print the entry for bursar.yaml"},
    {NULL, NULL, NULL},
};

static const struct list {
    const char *option, *key;
} lists[] = {{"uid", "uids"},
             {"gid", "gids"},
             {"role", "roles"},
             {"owner", "owners"},
             {"provider", "providers"},
             {"ref", "refs"},
             {"operator-scope", "operator_scopes"}};

static const struct principal_rule *rule_of(const char *key)
{
    const struct principal_rule *rule = principal_rules();
    while (rule->key && strcmp(rule->key, key) != 0)
        rule++;
    return rule;
}

/* ---- lists --------------------------------------------------------------------------------------- */

/* A name's number; what is none is left to the rule. */
static json_t *number_of(const char *key, const char *value)
{
    uint64_t number;
    bool is_user = strcmp(key, "uids") == 0;
    if (text_to_uint(text_of(value), UINT32_MAX, &number))
        return json_integer((json_int_t)number);
    const struct passwd *user = is_user ? getpwnam(value) : NULL;
    const struct group *group = is_user ? NULL : getgrnam(value);
    return user    ? json_integer((json_int_t)user->pw_uid)
           : group ? json_integer((json_int_t)group->gr_gid)
                   : NULL;
}

/* As the daemon will look at it; NULL where it is fine. */
static const char *problem_of(const struct principal_rule *rule, const char *value)
{
    struct principal scratch;
    bool has_memory = true;
    principal_init(&scratch);
    const char *problem = rule->take(&scratch, text_of(value), &has_memory);
    principal_fini(&scratch);
    return has_memory ? problem : "no memory";
}

static bool add_item(const struct cmd_args *args, const char *option, const char *key,
                     const char *value, json_t *items)
{
    const struct principal_rule *rule = rule_of(key);
    json_t *item = rule->is_number ? number_of(key, value) : json_string(value);
    uint64_t number;
    bool is_name = rule->is_number && !text_to_uint(text_of(value), UINT32_MAX, &number);
    const char *problem = !item     ? (rule->is_number ? "is not known here" : "must be UTF-8")
                          : is_name ? NULL
                                    : problem_of(rule, value);
    if (problem) {
        json_decref(item);
        cmd_usage(args->cmd, "--%s %s", option, problem);
        return false;
    }
    return json_array_append_new(items, item) == 0;
}

static bool apply_list(const struct cmd_args *args, const char *option, const char *key,
                       json_t *definition)
{
    json_t *items = json_array();
    const char *value;
    bool is_ok = true;
    for (size_t i = 0; is_ok && (value = cmd_option_item(args, option, i)); i++)
        is_ok = value[0] == 0 || add_item(args, option, key, value, items);
    if (is_ok && cmd_option(args, option))
        is_ok = json_object_set(definition, key, items) == 0;
    json_decref(items);
    return is_ok;
}

/* Those that are given, and the one that is made. */
static bool apply_keys(const struct cmd_args *args, const char *public_key, json_t *definition)
{
    json_t *keys = json_object_get(definition, "curve_keys");
    if (!apply_list(args, "curve-key", "curve_keys", definition))
        return false;
    if (!public_key)
        return true;
    keys = cmd_option(args, "curve-key") ? json_object_get(definition, "curve_keys") : NULL;
    if (!keys) {
        keys = json_array();
        json_object_set_new(definition, "curve_keys", keys);
    }
    return json_array_append_new(keys, json_string(public_key)) == 0;
}

/* ---- the rest ------------------------------------------------------------------------------------ */

static void option_of_limit(const struct principal_limit_rule *rule, char out[static NAME_SIZE])
{
    size_t i = 0;
    for (; rule->name[i] && i + 1 < NAME_SIZE; i++)
        out[i] = rule->name[i] == '_' ? '-' : rule->name[i];
    out[i] = 0;
}

static bool apply_limit(const struct cmd_args *args, const struct principal_limit_rule *rule,
                        json_t *definition)
{
    char option[NAME_SIZE];
    uint64_t number;
    option_of_limit(rule, option);
    const char *given = cmd_option(args, option);
    if (!given)
        return true;
    if (!text_to_uint(text_of(given), rule->max, &number) || number < rule->min) {
        cmd_usage(args->cmd, "--%s must be a whole number of %llu to %llu", option,
                  (unsigned long long)rule->min, (unsigned long long)rule->max);
        return false;
    }
    return json_object_set_new(definition, rule->name, json_integer((json_int_t)number)) == 0;
}

static bool apply_email(const struct cmd_args *args, json_t *definition)
{
    const char *email = cmd_option(args, "email");
    if (email && email[0] == 0)
        json_object_del(definition, "email");
    else if (email && json_object_set_new(definition, "email", json_string(email)) != 0) {
        cmd_usage(args->cmd, "--email must be UTF-8");
        return false;
    }
    return true;
}

bool cmd_principal_apply(const struct cmd_args *args, const char *public_key, json_t *definition)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!apply_list(args, lists[i].option, lists[i].key, definition))
            return false;
    }
    for (const struct principal_limit_rule *rule = principal_limit_rules(); rule->name; rule++) {
        if (!apply_limit(args, rule, definition))
            return false;
    }
    return apply_keys(args, public_key, definition) && apply_email(args, definition);
}

bool cmd_principal_is_somebody(const json_t *definition)
{
    static const char *const keys[] = {"uids", "gids", "curve_keys"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        count += json_array_size(json_object_get(definition, keys[i]));
    return count > 0;
}

/* ---- YAML ---------------------------------------------------------------------------------------- */

/* `${` in a key is not to be looked up. */
static void append_value(const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (text[0] == '$' && text[1] == '{')
            buf_append_byte(out, '$');
        buf_append_byte(out, (uint8_t)*text);
    }
}

/* JSON is YAML, written as people write it. */
void cmd_principal_yaml(const char *name, const json_t *definition, struct buf *out)
{
    const char *key;
    json_t *value, *members = (json_t *)(uintptr_t)definition; /* the macro knows no const */
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    buf_printf(out, "principals:\n  %s:\n", name);
    json_object_foreach(members, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        buf_printf(out, "    %s: ", key);
        append_value(text ? text : "", out);
        buf_append_byte(out, '\n');
        release(text);
    }
}
