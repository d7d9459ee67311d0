#include "config/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/protocol.h>

#include "config/catalog.h"
#include "config/nested.h"
#include "policy/acts_as.h"

enum { MAX_NAMES = 256 };

/* What `defaults` may hold; each is a row of the common options too. */
static const char *const default_names[] = {"refresh_lead_s", "expiry_ratio", "availability",
                                            "timeout_s", "connect_timeout_s"};
enum { DEFAULT_COUNT = sizeof default_names / sizeof default_names[0] };

void provider_free(struct config_provider *provider)
{
    free(provider->id);
    free(provider->kind);
    free(provider->place);
    settings_free(&provider->settings);
    *provider = (struct config_provider){0};
}

static const struct bursar_option *find_in(const struct bursar_option *table, struct text name)
{
    for (const struct bursar_option *option = table; option && option->name; option++) {
        if (text_is(name, option->name))
            return option;
    }
    return NULL;
}

/* ---- defaults ------------------------------------------------------------------------------- */

static bool is_default_name(struct text name)
{
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        if (text_is(name, default_names[i]))
            return true;
    }
    return false;
}

void provider_read_defaults(struct provider_reading *reading, const struct yaml_node *map)
{
    struct key_path top = {NULL, TEXT_LITERAL("defaults"), 0};
    for (size_t i = 0; i + 1 < map->item_count; i += 2) {
        struct text name = yaml_text(map->items[i]);
        struct key_path path = {&top, name, 0};
        struct spot spot = {reading->problems, map->items[i]->mark, &path};
        const struct bursar_option *option = find_in(reading->kinds->common, name);
        struct setting setting;
        if (!option || !is_default_name(name)) {
            problem_add_nearest(spot, "unknown key",
                                text_nearest(name, default_names, DEFAULT_COUNT));
            continue;
        }
        spot.mark = map->items[i + 1]->mark;
        if (value_read(map->items[i + 1], option, reading->rules, spot, &setting) &&
            !settings_put(&reading->defaults, &setting))
            reading->problems->is_out_of_memory = true;
    }
}

/* ---- an entry ------------------------------------------------------------------------------- */

struct entry {
    const struct provider_reading *reading;
    const struct bursar_option *own;    /* the kind's table */
    const struct bursar_option *shared; /* the kind's table of what only `auth` has, or NULL */
    struct settings *settings;
    struct spot spot; /* the entry's name */
    bool is_catalog;  /* nothing is missed */
    bool is_wrong;
};

/* A kind's own row wins over a common one of the same name. */
static const struct bursar_option *find_option(const struct entry *entry, struct text name)
{
    const struct bursar_option *option = find_in(entry->own, name);
    if (!option)
        option = find_in(entry->shared, name);
    return option ? option : find_in(entry->reading->kinds->common, name);
}

static size_t add_names(const struct bursar_option *table, const char *names[static MAX_NAMES],
                        size_t count)
{
    for (; table && table->name && count < MAX_NAMES; table++)
        names[count++] = table->name;
    return count;
}

static void report_unknown_key(const struct entry *entry, const char *kind, struct spot spot)
{
    const char *names[MAX_NAMES] = {"kind"};
    size_t count = add_names(entry->own, names, 1);
    char message[128];
    count = add_names(entry->shared, names, count);
    count = add_names(entry->reading->kinds->common, names, count);
    snprintf(message, sizeof message, "the kind \"%s\" has no such key", kind);
    problem_add_nearest(spot, message, text_nearest(spot.path->name, names, count));
}

static void put(struct entry *entry, struct setting *setting)
{
    if (!settings_put(entry->settings, setting))
        entry->reading->problems->is_out_of_memory = true;
}

static void read_key(struct entry *entry, const char *kind, const struct yaml_node *key,
                     const struct yaml_node *value)
{
    struct key_path path = {entry->spot.path, yaml_text(key), 0};
    struct spot spot = {entry->reading->problems, key->mark, &path};
    const struct bursar_option *option = find_option(entry, path.name);
    struct setting setting;
    if (text_is(path.name, "kind"))
        return;
    if (!option) {
        report_unknown_key(entry, kind, spot);
        entry->is_wrong = true;
        return;
    }
    spot.mark = value->mark;
    if (option->type == BURSAR_OPTION_GROUP || option->type == BURSAR_OPTION_ROWS)
        entry->is_wrong |=
            !nested_read(value, option, entry->reading->rules, spot, entry->settings);
    else if (value_read(value, option, entry->reading->rules, spot, &setting))
        put(entry, &setting);
    else
        entry->is_wrong = true;
}

/* The four that `defaults` can hold are numbers. */
static void copy_default(struct entry *entry, const struct bursar_option *option,
                         const struct setting *from)
{
    struct setting copy = {
        .option = option, .is_given = true, .text = strdup(from->text), .number = from->number};
    if (copy.text)
        put(entry, &copy);
    else
        entry->reading->problems->is_out_of_memory = true;
}

static void fill(struct entry *entry, const struct bursar_option *option,
                 const struct yaml_node *map)
{
    const struct setting *from = settings_find(&entry->reading->defaults, option->name);
    struct setting setting;
    if (settings_find(entry->settings, option->name) || yaml_get(map, option->name))
        return;
    if (from) {
        copy_default(entry, option, from);
    } else if (option->default_text) {
        if (value_default(option, entry->reading->rules, entry->spot, &setting))
            put(entry, &setting);
        else
            entry->is_wrong = true;
    } else if (option->required && !entry->is_catalog) {
        problem_add(entry->spot, "needs the key \"%s\": %s", option->name, option->help);
        entry->is_wrong = true;
    }
}

static void fill_from(struct entry *entry, const struct bursar_option *table,
                      const struct yaml_node *map)
{
    for (const struct bursar_option *option = table; option && option->name; option++) {
        if (!text_is(TEXT_LITERAL("kind"), option->name))
            fill(entry, option, map);
    }
}

static size_t count_kinds(const struct config_kinds *kinds)
{
    size_t count = 0;
    while (kinds->kinds[count])
        count++;
    return count;
}

static void report_no_kind(const struct entry *entry)
{
    const struct config_kinds *kinds = entry->reading->kinds;
    struct buf message = buf_make(1024);
    buf_append_string(&message, "needs the key \"kind\": one of");
    for (size_t i = 0; kinds->kinds[i]; i++)
        buf_printf(&message, "%s %s", i > 0 ? "," : "", kinds->kinds[i]);
    problem_add(entry->spot, "%s", (const char *)buf_text(&message).data);
    buf_free(&message);
}

/* Finds the kind and its option table. */
static bool read_kind(struct entry *entry, const struct yaml_node *map,
                      const struct yaml_node *below, char **out_kind)
{
    const struct config_kinds *kinds = entry->reading->kinds;
    const struct yaml_node *node = yaml_get(map, "kind");
    if (!node)
        node = yaml_get(below, "kind");
    struct key_path path = {entry->spot.path, TEXT_LITERAL("kind"), 0};
    if (!node) {
        report_no_kind(entry);
        return false;
    }
    struct spot spot = {entry->reading->problems, node->mark, &path};
    struct buf text = buf_make(256);
    bool is_ok = value_text(node, entry->reading->rules->vars, spot, &text);
    char *kind = is_ok ? buf_take_string(&text) : NULL;
    buf_free(&text);
    if (!kind)
        return false;
    entry->own = kinds->options_of(kinds, kind);
    if (!entry->own) {
        problem_add_nearest(spot, "no such kind of connector",
                            text_nearest(text_of(kind), kinds->kinds, count_kinds(kinds)));
        free(kind);
        return false;
    }
    *out_kind = kind;
    return true;
}

static bool name_entry(const struct provider_reading *reading, const struct yaml_node *key,
                       struct config_provider *provider)
{
    struct buf place = buf_make(8192);
    buf_printf(&place, "%s:%u", key->mark.file, key->mark.line);
    provider->place = buf_take_string(&place);
    provider->id = text_copy(yaml_text(key));
    if (provider->place && provider->id)
        return true;
    reading->problems->is_out_of_memory = true;
    return false;
}

static bool check_entry(const struct entry *entry, const struct yaml_node *map,
                        const struct yaml_node *below)
{
    bool is_ok = true;
    if (!text_is_provider_id(entry->spot.path->name)) {
        problem_add(entry->spot,
                    "a name must be 1 to %d of a-z, 0-9, _ and -, the first a letter "
                    "or digit",
                    BURSAR_MAX_PROVIDER_BYTES);
        is_ok = false;
    }
    if (map->type != YAML_MAP && !(map->type == YAML_NULL && below)) {
        problem_add(entry->spot, "must be a map, not %s", yaml_type_name(map->type));
        is_ok = false;
    }
    return is_ok;
}

static const struct yaml_node *node_below(const struct provider_reading *reading,
                                          const char *section, struct text id)
{
    bool may_lie_below = reading->catalog && strcmp(section, "providers") == 0;
    return may_lie_below ? catalog_find(reading->catalog, id) : NULL;
}

static void read_keys(struct entry *entry, const char *kind, const struct yaml_node *map)
{
    for (size_t i = 0; map && i + 1 < map->item_count; i += 2)
        read_key(entry, kind, map->items[i], map->items[i + 1]);
}

/* What the kind itself says of the settings as a whole, line by line. */
static void check_settings(struct entry *entry, const char *kind)
{
    struct buf lines = buf_make(16384);
    if (entry->reading->kinds->check_entry && !entry->is_catalog)
        entry->reading->kinds->check_entry(entry->reading->kinds, kind, entry->settings, &lines);
    for (size_t at = 0; at < lines.len; at += strlen((const char *)lines.data + at) + 1) {
        problem_add(entry->spot, "%s", (const char *)lines.data + at);
        entry->is_wrong = true;
    }
    buf_free(&lines);
}

static void check_experimental(struct entry *entry, const char *kind)
{
    const struct config_kinds *kinds = entry->reading->kinds;
    bool is_kind = kinds->is_experimental && kinds->is_experimental(kinds, kind);
    if (entry->is_catalog || entry->reading->allow_experimental ||
        (!is_kind && !settings_bool(entry->settings, "experimental")))
        return;
    problem_add(entry->spot, "is experimental: used only with connectors.experimental");
    entry->is_wrong = true;
}

/* What is shared is nobody's in particular. */
static void check_actor(struct entry *entry)
{
    enum acts_as acts_as = acts_as_of(settings_text(entry->settings, "acts_as"));
    if (acts_as_allows(acts_as, ACTOR_SERVICE))
        return;
    problem_add(entry->spot, "acts as a user: a shared credential stands for nobody");
    entry->is_wrong = true;
}

bool provider_read(const struct provider_reading *reading, const char *section,
                   const struct yaml_node *key, const struct yaml_node *map,
                   struct config_provider *out_provider)
{
    struct config_provider provider = {.is_shared = strcmp(section, "auth") == 0};
    struct key_path top = {NULL, text_of(section), 0};
    struct key_path path = {&top, yaml_text(key), 0};
    struct entry entry = {.reading = reading,
                          .settings = &provider.settings,
                          .is_catalog = strcmp(section, "catalog") == 0,
                          .spot = {reading->problems, key->mark, &path}};
    const struct yaml_node *below = node_below(reading, section, path.name);
    if (!check_entry(&entry, map, below) || !name_entry(reading, key, &provider) ||
        !read_kind(&entry, map, below, &provider.kind)) {
        provider_free(&provider);
        return false;
    }
    provider.is_known = below != NULL;
    if (provider.is_shared && reading->kinds->shared_options_of)
        entry.shared = reading->kinds->shared_options_of(reading->kinds, provider.kind);
    read_keys(&entry, provider.kind, below);
    read_keys(&entry, provider.kind, map);
    fill_from(&entry, entry.own, map);
    fill_from(&entry, entry.shared, map);
    fill_from(&entry, reading->kinds->common, map);
    settings_index(entry.settings);
    check_experimental(&entry, provider.kind);
    if (provider.is_shared)
        check_actor(&entry);
    if (!entry.is_wrong)
        check_settings(&entry, provider.kind);
    if (entry.is_wrong) {
        provider_free(&provider);
        return false;
    }
    *out_provider = provider;
    return true;
}
