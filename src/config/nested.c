#include "config/nested.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 120, COLUMNS_MAX = 32 };

/* One map of columns. */
struct level {
    const struct bursar_option *option;
    const struct value_rules *rules;
    struct settings *settings;
    char prefix[NAME_MAX_BYTES]; /* "NAME." or "NAME.0." */
    bool is_partial;             /* what is not given may have been before: a group's overlay */
};

static const struct bursar_option *column_of(const struct bursar_option *option, struct text name)
{
    for (const struct bursar_option *column = option->columns; column && column->name; column++) {
        if (text_is(name, column->name))
            return column;
    }
    return NULL;
}

static const char *nearest_column(const struct bursar_option *option, struct text name)
{
    const char *names[COLUMNS_MAX];
    size_t count = 0;
    for (const struct bursar_option *column = option->columns;
         column && column->name && count < COLUMNS_MAX; column++)
        names[count++] = column->name;
    return text_nearest(name, names, count);
}

/* Takes the setting. */
static bool put_named(const struct level *level, const char *column, struct setting *setting,
                      struct spot spot)
{
    if (asprintf(&setting->name, "%s%s", level->prefix, column) < 0)
        setting->name = NULL;
    bool has_name = setting->name != NULL;
    if (settings_put(level->settings, setting) && has_name)
        return true;
    spot.problems->is_out_of_memory = true;
    return false;
}

static bool read_column(const struct level *level, const struct yaml_node *key,
                        const struct yaml_node *value, const struct key_path *above,
                        struct problems *problems)
{
    struct key_path path = {above, yaml_text(key), 0};
    struct spot spot = {problems, key->mark, &path};
    const struct bursar_option *column = column_of(level->option, path.name);
    struct setting setting;
    if (!column) {
        problem_add_nearest(spot, "unknown key", nearest_column(level->option, path.name));
        return false;
    }
    spot.mark = value->mark;
    return value_read(value, column, level->rules, spot, &setting) &&
           put_named(level, column->name, &setting, spot);
}

static bool fill_column(const struct level *level, const struct bursar_option *column,
                        const struct yaml_node *map, struct spot spot)
{
    char name[NAME_MAX_BYTES * 2];
    struct setting setting;
    snprintf(name, sizeof name, "%s%s", level->prefix, column->name);
    if (yaml_get(map, column->name) || (level->is_partial && settings_find(level->settings, name)))
        return true;
    if (column->default_text)
        return value_default(column, level->rules, spot, &setting) &&
               put_named(level, column->name, &setting, spot);
    if (!column->required)
        return true;
    problem_add(spot, "needs the key \"%s\": %s", column->name, column->help);
    return false;
}

static bool read_level(const struct level *level, const struct yaml_node *map, struct spot spot)
{
    bool is_ok = true;
    if (map->type != YAML_MAP) {
        problem_add(spot, "must be a map, not %s", yaml_type_name(map->type));
        return false;
    }
    for (size_t i = 0; i + 1 < map->item_count; i += 2)
        is_ok &= read_column(level, map->items[i], map->items[i + 1], spot.path, spot.problems);
    for (const struct bursar_option *column = level->option->columns; column && column->name;
         column++)
        is_ok &= fill_column(level, column, map, spot);
    return is_ok;
}

/* Rows of an entry below this one are of no use beside these. */
static void forget_rows(struct settings *settings, const char *name)
{
    char prefix[NAME_MAX_BYTES];
    struct settings kept = {.values = NULL};
    int len = snprintf(prefix, sizeof prefix, "%s.", name);
    for (size_t i = 0; i < settings->count; i++) {
        struct setting *setting = &settings->values[i];
        if (setting->name && strncmp(setting->name, prefix, (size_t)len) == 0) {
            struct settings gone = {.values = NULL};
            settings_put(&gone, setting);
            settings_free(&gone);
        } else {
            settings->values[kept.count++] = *setting;
        }
    }
    settings->count = kept.count;
}

static bool read_rows(const struct yaml_node *node, const struct level *level, struct spot spot)
{
    struct setting rows = {.option = level->option, .is_given = true};
    bool is_ok = true;
    if (node->type != YAML_LIST) {
        problem_add(spot, "must be a list of maps, not %s", yaml_type_name(node->type));
        return false;
    }
    if (node->item_count > NESTED_MAX_ROWS) {
        problem_add(spot, "has more than %u rows", NESTED_MAX_ROWS);
        return false;
    }
    forget_rows(level->settings, level->option->name);
    rows.item_count = node->item_count;
    if (!settings_put(level->settings, &rows))
        spot.problems->is_out_of_memory = true;
    for (size_t i = 0; i < node->item_count; i++) {
        struct level row = *level;
        struct key_path path = {spot.path, {NULL, 0}, i};
        snprintf(row.prefix, sizeof row.prefix, "%s.%zu.", level->option->name, i);
        is_ok &= read_level(&row, node->items[i],
                            (struct spot){spot.problems, node->items[i]->mark, &path});
    }
    return is_ok;
}

bool nested_read(const struct yaml_node *node, const struct bursar_option *option,
                 const struct value_rules *rules, struct spot spot, struct settings *settings)
{
    struct level level = {option, rules, settings, "", option->type == BURSAR_OPTION_GROUP};
    if (node->type == YAML_NULL) {
        problem_add(spot, "has no value");
        return false;
    }
    if (option->type == BURSAR_OPTION_ROWS)
        return read_rows(node, &level, spot);
    snprintf(level.prefix, sizeof level.prefix, "%s.", option->name);
    return read_level(&level, node, spot);
}
