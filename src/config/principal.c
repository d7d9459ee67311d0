#include "config/principal.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nested.h"

enum { LOOKUP_BYTES = 16384, MAX_PRINCIPALS = 10000 };

static const struct bursar_option columns[] = {
    {"uids", BURSAR_OPTION_LIST, .help = "users whose processes it is, on ipc: names or numbers"},
    {"gids", BURSAR_OPTION_LIST, .help = "the same of groups; a user that is listed comes first"},
    {"curve_keys", BURSAR_OPTION_LIST, .help = "public CURVE keys in Z85, on tcp"},
    {"roles", BURSAR_OPTION_LIST, .help = "what it may do"},
    {"owners", BURSAR_OPTION_LIST, .help = "for whom; \"*\" for all"},
    {"providers", BURSAR_OPTION_LIST, .help = "at which providers; absent: all"},
    {"refs", BURSAR_OPTION_LIST,
     .help = "which shared credentials; absent: all where it may act for all owners, else none"},
    {"operator_scopes", BURSAR_OPTION_LIST, .help = "what it is an operator of"},
    {"email", BURSAR_OPTION_STRING, .help = "whose it is"},
    {"max_in_flight", BURSAR_OPTION_INTEGER, .min = 1, .max = 65536,
     .help = "jobs that wait for an answer (32768)"},
    {"max_per_second", BURSAR_OPTION_INTEGER, .min = 0, .max = 10000000,
     .help = "jobs in a second; 0: no bound"},
    {"max_subscriptions", BURSAR_OPTION_INTEGER, .min = 0, .max = 1000000,
     .help = "subscriptions of all its subscribers together (1024)"},
    {"max_job_bytes", BURSAR_OPTION_INTEGER, .min = 0, .max = 16777216,
     .help = "bytes of a job's body; 0: what holds for all"},
    {"max_unread_bytes", BURSAR_OPTION_INTEGER, .min = 65536, .max = 1099511627776,
     .help = "bytes of answers that its clients have not taken (67108864)"},
    {0}};

static const struct bursar_option entry_option = {
    .name = "principal", .type = BURSAR_OPTION_GROUP, .columns = columns};

const struct bursar_option *principal_options(void)
{
    return columns;
}

/* One entry as it is read. */
struct entry {
    struct principal_section *section;
    const struct yaml_node *map;
    struct settings settings;
    struct problems *problems;
    const struct key_path *path;
    struct principal made;
};

static const struct setting *given(const struct entry *entry, const char *key)
{
    char name[64] = "principal.";
    size_t at = strlen(name);
    memcpy(name + at, key, strlen(key) + 1);
    return settings_find(&entry->settings, name);
}

/* ---- values -------------------------------------------------------------------------------------- */

static bool user_of(const char *name, uint32_t *out_id)
{
    struct passwd entry, *found = NULL;
    char memory[LOOKUP_BYTES];
    if (getpwnam_r(name, &entry, memory, sizeof memory, &found) != 0 || !found)
        return false;
    *out_id = found->pw_uid;
    return true;
}

static bool group_of(const char *name, uint32_t *out_id)
{
    struct group entry, *found = NULL;
    char memory[LOOKUP_BYTES];
    if (getgrnam_r(name, &entry, memory, sizeof memory, &found) != 0 || !found)
        return false;
    *out_id = found->gr_gid;
    return true;
}

/* A user's or group's name becomes its number; a number stays what it is. false for an unknown name. */
static bool number_of(const char *key, const char *text, char out[static 16])
{
    uint64_t number;
    uint32_t id;
    if (text_to_uint(text_of(text), UINT32_MAX, &number))
        id = (uint32_t)number;
    else if (!(strcmp(key, "uids") == 0 ? user_of(text, &id) : group_of(text, &id)))
        return false;
    snprintf(out, 16, "%lu", (unsigned long)id);
    return true;
}

static const char *take(struct entry *entry, const struct principal_rule *rule, const char *value)
{
    char number[16];
    bool has_memory = true;
    if (rule->is_number && !number_of(rule->key, value, number))
        return strcmp(rule->key, "uids") == 0 ? "no user has this name" : "no group has this name";
    const char *problem =
        rule->take(&entry->made, text_of(rule->is_number ? number : value), &has_memory);
    if (!has_memory)
        entry->problems->is_out_of_memory = true;
    return problem;
}

static void read_list(struct entry *entry, const struct principal_rule *rule)
{
    const struct setting *setting = given(entry, rule->key);
    const struct yaml_node *node = yaml_get(entry->map, rule->key);
    struct key_path path = {entry->path, text_of(rule->key), 0};
    for (size_t i = 0; setting && i < setting->item_count; i++) {
        struct key_path item = {&path, {NULL, 0}, i};
        bool is_place_known = node && node->type == YAML_LIST && i < node->item_count;
        struct mark mark = is_place_known ? node->items[i]->mark : entry->map->mark;
        const char *problem = take(entry, rule, setting->items[i].value);
        if (problem)
            problem_add((struct spot){entry->problems, mark, &item}, "%s", problem);
    }
}

static void read_limits(struct entry *entry)
{
    for (const struct principal_limit_rule *rule = principal_limit_rules(); rule->name; rule++) {
        const struct setting *setting = given(entry, rule->name);
        if (setting)
            principal_limit_set(&entry->made.limits, rule, (uint64_t)setting->number);
    }
}

/* ---- entries ------------------------------------------------------------------------------------- */

/* A peer is one principal, never two. */
static void check_others(const struct entry *entry, struct spot spot)
{
    const struct principal_section *section = entry->section;
    for (size_t i = 0; i < section->count; i++) {
        const struct principal *other = &section->items[i];
        const char *shared = principal_shared(&entry->made, other);
        if (strcmp(other->name, entry->made.name) == 0)
            problem_add(spot, "the name is taken already, at %s:%u", section->marks[i].file,
                        section->marks[i].line);
        else if (shared)
            problem_add(spot, "has a %s that %s has too", shared, other->name);
    }
}

static bool has_room(struct principal_section *section)
{
    size_t count = section->count + 1;
    struct principal *items = reallocarray(section->items, count, sizeof *items);
    if (items)
        section->items = items;
    struct mark *marks = reallocarray(section->marks, count, sizeof *marks);
    if (marks)
        section->marks = marks;
    return items && marks;
}

static void read_entry(struct entry *entry, struct text name, const struct value_rules *rules,
                       struct spot spot)
{
    struct principal_section *section = entry->section;
    principal_init(&entry->made);
    if (!principal_is_name(name)) {
        problem_add(spot, "the name of a principal is 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a"
                          " letter or digit");
        return;
    }
    bool has_memory = principal_set_text(&entry->made.name, name);
    nested_read(entry->map, &entry_option, rules, spot, &entry->settings);
    for (const struct principal_rule *rule = principal_rules(); rule->key; rule++)
        read_list(entry, rule);
    read_limits(entry);
    principal_fill(&entry->made, given(entry, "providers"), given(entry, "refs"));
    has_memory =
        has_memory &&
        principal_set_text(&entry->made.email, settings_text(&entry->settings, "principal.email"));
    const char *problem = principal_problem(&entry->made);
    if (problem)
        problem_add(spot, "%s", problem);
    if (has_memory)
        check_others(entry, spot);
    if (!has_memory || !has_room(section)) {
        entry->problems->is_out_of_memory = true;
        return;
    }
    section->marks[section->count] = spot.mark;
    section->items[section->count++] = entry->made;
    entry->made = (struct principal){0};
}

void principal_section_read(struct principal_section *section, const struct yaml_node *map,
                            const struct value_rules *rules, struct problems *problems)
{
    struct key_path top = {NULL, TEXT_LITERAL("principals"), 0};
    for (size_t i = 0; i + 1 < map->item_count; i += 2) {
        struct text name = yaml_text(map->items[i]);
        struct key_path path = {&top, name, 0};
        struct spot spot = {problems, map->items[i]->mark, &path};
        struct entry entry = {
            .section = section, .map = map->items[i + 1], .problems = problems, .path = &path};
        if (section->count == MAX_PRINCIPALS) {
            problem_add(spot, "more than %d principals", (int)MAX_PRINCIPALS);
            return;
        }
        if (entry.map->type == YAML_MAP)
            read_entry(&entry, name, rules, spot);
        else
            problem_add(spot, "must be a map, not %s", yaml_type_name(entry.map->type));
        principal_fini(&entry.made);
        settings_free(&entry.settings);
    }
}

void principal_section_free(struct principal_section *section)
{
    for (size_t i = 0; i < section->count; i++)
        principal_fini(&section->items[i]);
    free(section->items);
    free(section->marks);
    *section = (struct principal_section){0};
}
