#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "config/catalog.h"
#include "config/files.h"
#include "config/interpolate.h"
#include "config/principal.h"
#include "config/problem.h"
#include "config/provider.h"
#include "config/schema.h"
#include "config/value.h"

enum { MAX_ENTRIES = 10000 };

/* Everything under way while a configuration is read, in this order: the files, vars (which values
 * use), the top level, defaults (which entries use), the entries. */
struct loading {
    const char *path;
    struct problems problems;
    struct files files;
    struct catalog catalog;
    struct interpolate_vars vars;
    struct value_rules rules;
    struct settings top;
    struct principal_section principals;
    struct provider_reading provider_reading;
    struct config *config;
    const struct yaml_node **keys; /* of the entries read so far: where each stands */
};

static void list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){NULL, 0};
}

void config_free(struct config *config)
{
    if (!config)
        return;
    list_free(&config->jobs);
    list_free(&config->intake);
    list_free(&config->events);
    list_free(&config->catalog);
    list_free(&config->modules);
    secret_free(&config->curve_key);
    for (size_t i = 0; i < config->principal_count; i++)
        principal_fini(&config->principals[i]);
    free(config->principals);
    secret_free(&config->keyring_passphrase);
    free(config->store);
    free(config->keyring);
    free(config->ca_file);
    for (size_t i = 0; i < config->provider_count; i++)
        provider_free(&config->providers[i]);
    for (size_t i = 0; i < config->known_count; i++)
        provider_free(&config->known[i]);
    free(config->providers);
    free(config->known);
    free(config);
}

void config_provider_free(struct config_provider *provider)
{
    provider_free(provider);
}

/* ---- sections ------------------------------------------------------------------------------- */

typedef void section_function(struct loading *loading, const struct yaml_node *map,
                              const char *section);

/* Calls read with a section's map in each file that has one. */
static void each_section(struct loading *loading, const char *section, section_function *read)
{
    for (size_t i = 0; i < loading->files.count; i++) {
        const struct yaml *yaml = loading->files.items[i].yaml;
        const struct yaml_node *map = yaml ? yaml_get(yaml->root, section) : NULL;
        struct key_path path = {NULL, text_of(section), 0};
        if (!map || map->type == YAML_NULL)
            continue;
        if (map->type == YAML_MAP)
            read(loading, map, section);
        else
            problem_add((struct spot){&loading->problems, map->mark, &path},
                        "must be a map, not %s", yaml_type_name(map->type));
    }
}

static void read_var(struct loading *loading, const struct yaml_node *key,
                     const struct yaml_node *value, struct spot spot)
{
    struct buf text = buf_make_secret(INTERPOLATE_MAX_BYTES);
    if (value_text(value, NULL, spot, &text) &&
        interpolate_vars_set(&loading->vars, yaml_text(key), buf_text(&text)) != 0)
        loading->problems.is_out_of_memory = true;
    buf_free(&text);
}

static void read_vars(struct loading *loading, const struct yaml_node *map, const char *section)
{
    struct key_path top = {NULL, text_of(section), 0};
    for (size_t i = 0; i + 1 < map->item_count; i += 2) {
        struct key_path path = {&top, yaml_text(map->items[i]), 0};
        struct spot spot = {&loading->problems, map->items[i]->mark, &path};
        if (!interpolate_is_name(path.name)) {
            problem_add(spot, "a name of `vars` is made of letters, digits, _ - and .");
            continue;
        }
        spot.mark = map->items[i + 1]->mark;
        read_var(loading, map->items[i], map->items[i + 1], spot);
    }
}

static void read_defaults(struct loading *loading, const struct yaml_node *map, const char *section)
{
    (void)section;
    provider_read_defaults(&loading->provider_reading, map);
}

/* ---- entries -------------------------------------------------------------------------------- */

static bool report_known(struct loading *loading, const struct yaml_node *key, const char *section)
{
    const struct config *config = loading->config;
    struct key_path top = {NULL, text_of(section), 0};
    struct key_path path = {&top, yaml_text(key), 0};
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct yaml_node *first = loading->keys[i];
        if (config->providers[i].is_shared != (strcmp(section, "auth") == 0) ||
            !text_is(yaml_text(key), config->providers[i].id))
            continue;
        if (first->mark.file != key->mark.file) /* in one file it is a repeated key already */
            problem_add((struct spot){&loading->problems, key->mark, &path},
                        "the name is taken already, at %s:%u", first->mark.file, first->mark.line);
        return true;
    }
    return false;
}

static bool has_room(struct loading *loading)
{
    struct config *config = loading->config;
    size_t count = config->provider_count + 1;
    struct config_provider *providers = reallocarray(config->providers, count, sizeof *providers);
    if (providers)
        config->providers = providers;
    const struct yaml_node **keys = reallocarray(loading->keys, count, sizeof(*keys));
    if (keys)
        loading->keys = keys;
    return providers && keys;
}

static void read_entries(struct loading *loading, const struct yaml_node *map, const char *section)
{
    struct config *config = loading->config;
    for (size_t i = 0; i + 1 < map->item_count; i += 2) {
        struct config_provider provider;
        const struct yaml_node *key = map->items[i];
        if (config->provider_count == MAX_ENTRIES) {
            problem_add((struct spot){&loading->problems, key->mark, NULL},
                        "more than %d entries of providers and auth", MAX_ENTRIES);
            return;
        }
        if (report_known(loading, key, section) ||
            !provider_read(&loading->provider_reading, section, key, map->items[i + 1], &provider))
            continue;
        if (!has_room(loading)) {
            provider_free(&provider);
            loading->problems.is_out_of_memory = true;
            return;
        }
        loading->keys[config->provider_count] = key;
        config->providers[config->provider_count++] = provider;
    }
}

static void read_principals(struct loading *loading, const struct yaml_node *map,
                            const char *section)
{
    (void)section;
    principal_section_read(&loading->principals, map, &loading->rules, &loading->problems);
}

/* The configuration's from now on. */
static void take_principals(struct loading *loading)
{
    loading->config->principals = loading->principals.items;
    loading->config->principal_count = loading->principals.count;
    loading->principals.items = NULL;
    loading->principals.count = 0;
}

/* ---- the top level -------------------------------------------------------------------------- */

static bool has_curve_key(const struct loading *loading)
{
    for (size_t i = 0; i < loading->files.count; i++) {
        const struct yaml *yaml = loading->files.items[i].yaml;
        if (yaml && yaml_get(yaml_get(yaml->root, "listen"), "curve_key"))
            return true;
    }
    return false;
}

static void read_root(struct loading *loading, const struct schema_reading *reading,
                      const struct yaml_node *root)
{
    if (!root || root->type == YAML_NULL)
        return;
    if (root->type == YAML_MAP)
        schema_read(reading, root, &loading->top);
    else
        problem_add((struct spot){&loading->problems, root->mark, NULL},
                    "a configuration is a map of keys, not %s", yaml_type_name(root->type));
}

static void read_top(struct loading *loading)
{
    struct schema_reading reading = {&loading->problems, &loading->rules, has_curve_key(loading)};
    for (size_t i = 0; i < loading->files.count; i++) {
        const struct yaml *yaml = loading->files.items[i].yaml;
        if (yaml)
            read_root(loading, &reading, yaml->root);
    }
    schema_fill(&reading, loading->path, &loading->top);
}

static void take_text(struct loading *loading, const char *name, char **out_text)
{
    *out_text = text_copy(settings_text(&loading->top, name));
    if (!*out_text && settings_find(&loading->top, name))
        loading->problems.is_out_of_memory = true;
}

static void take_list(struct loading *loading, const char *name, struct config_list *out_list)
{
    const struct setting *setting = settings_find(&loading->top, name);
    if (!setting || setting->item_count == 0)
        return;
    out_list->items = calloc(setting->item_count, sizeof(*out_list->items));
    for (size_t i = 0; out_list->items && i < setting->item_count; i++) {
        out_list->items[i] = strdup(setting->items[i].value);
        if (out_list->items[i])
            out_list->count = i + 1;
        else
            break;
    }
    if (out_list->count < setting->item_count)
        loading->problems.is_out_of_memory = true;
}

static void take_log(const struct settings *top, struct config *config)
{
    const struct setting *level = settings_find(top, "log.level");
    if (level)
        log_level_of(level->text, &config->log_level);
    config->log_format = text_is(settings_text(top, "log.format"), "json") ? LOG_JSON : LOG_TEXT;
}

static void take_sandbox(const struct settings *top, struct config *config)
{
    struct text mode = settings_text(top, "sandbox");
    config->sandbox = text_is(mode, "off")   ? CONFIG_SANDBOX_OFF
                      : text_is(mode, "log") ? CONFIG_SANDBOX_LOG
                                             : CONFIG_SANDBOX_ENFORCE;
}

static void take_top(struct loading *loading)
{
    const struct settings *top = &loading->top;
    struct config *config = loading->config;
    take_list(loading, "listen.jobs", &config->jobs);
    take_list(loading, "listen.intake", &config->intake);
    take_list(loading, "listen.events", &config->events);
    take_list(loading, "connectors.catalog", &config->catalog);
    take_list(loading, "connectors.modules", &config->modules);
    take_text(loading, "store", &config->store);
    take_text(loading, "keyring", &config->keyring);
    take_text(loading, "connectors.ca_file", &config->ca_file);
    take_log(top, config);
    take_sandbox(top, config);
    if (secret_copy(settings_text(top, "listen.curve_key"), &config->curve_key) != 0 ||
        secret_copy(settings_text(top, "keyring_passphrase"), &config->keyring_passphrase) != 0)
        loading->problems.is_out_of_memory = true;
    config->is_audit_strict = text_is(settings_text(top, "audit"), "strict");
    config->idle_s = (uint32_t)settings_number(top, "connectors.idle_s", 0);
    config->io_threads = (int)settings_number(top, "listen.io_threads", 1);
    config->max_job_bytes = (uint32_t)settings_number(top, "max_job_bytes", 0);
    config->audit_keep_days = (uint32_t)settings_number(top, "audit_keep_days", 0);
    config->events_keep_days = (uint32_t)settings_number(top, "events.keep_days", 0);
    config->events_reminder_s = (uint32_t)settings_number(top, "events.reminder_s", 0);
    config->allow_experimental = settings_bool(top, "connectors.experimental");
    config->allow_http_loopback = settings_bool(top, "connectors.allow_http_loopback");
    config->allow_private_addresses = settings_bool(top, "connectors.allow_private_addresses");
}

/* Two sockets at one path: the second bind would take the path away from the first. */
static void check_endpoints(struct loading *loading)
{
    const struct config *config = loading->config;
    const struct config_list *lists[] = {&config->jobs, &config->intake, &config->events};
    struct key_path path = {NULL, TEXT_LITERAL("listen"), 0};
    struct spot spot = {&loading->problems, {loading->path, 0, 0}, &path};
    const char *seen[64];
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < lists[i]->count; j++) {
            const char *endpoint = lists[i]->items[j];
            for (size_t k = 0; k < count; k++) {
                if (strcmp(seen[k], endpoint) == 0)
                    problem_add(spot, "the endpoint %s is used twice", endpoint);
            }
            if (count == 64)
                problem_add(spot, "more than 64 endpoints");
            else
                seen[count++] = endpoint;
        }
    }
    if (config->jobs.count == 0 && settings_find(&loading->top, "listen.jobs"))
        problem_add(spot, "jobs needs at least one endpoint");
}

/* ---- modules -------------------------------------------------------------------------------- */

/* Before the entries, which name the kinds that come from them. */
static void load_modules(struct loading *loading, const struct config_kinds *kinds)
{
    const struct setting *folders = settings_find(&loading->top, "connectors.modules");
    struct key_path top = {NULL, TEXT_LITERAL("connectors"), 0};
    struct key_path path = {&top, TEXT_LITERAL("modules"), 0};
    struct spot spot = {&loading->problems, {loading->path, 0, 0}, &path};
    struct buf lines = buf_make(65536);
    for (size_t i = 0; kinds->load && folders && i < folders->item_count; i++)
        kinds->load(kinds, folders->items[i].value, &lines);
    for (size_t at = 0; at < lines.len; at += strlen((const char *)lines.data + at) + 1)
        problem_add(spot, "%s", (const char *)lines.data + at);
    buf_free(&lines);
}

/* ---- the catalogue -------------------------------------------------------------------------- */

static void read_catalog(struct loading *loading)
{
    const struct setting *folders = settings_find(&loading->top, "connectors.catalog");
    struct key_path top = {NULL, TEXT_LITERAL("connectors"), 0};
    struct key_path path = {&top, TEXT_LITERAL("catalog"), 0};
    struct spot spot = {&loading->problems, {loading->path, 0, 0}, &path};
    for (size_t i = 0; folders && i < folders->item_count; i++) {
        if (catalog_add_folder(&loading->catalog, folders->items[i].value, &loading->problems,
                               spot) != 0)
            loading->problems.is_out_of_memory = true;
    }
    loading->provider_reading.catalog = &loading->catalog;
}

/* A map, as provider_read() wants it, for a file that is empty or broken too. */
static const struct yaml_node *root_of(const struct catalog_entry *entry)
{
    static const struct yaml_node nothing = {.type = YAML_NULL};
    return entry->yaml && entry->yaml->root ? entry->yaml->root : &nothing;
}

static void read_known(struct loading *loading)
{
    struct config *config = loading->config;
    config->known = calloc(loading->catalog.count + 1, sizeof *config->known);
    if (!config->known) {
        loading->problems.is_out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < loading->catalog.count; i++) {
        const struct catalog_entry *entry = &loading->catalog.entries[i];
        if (entry->yaml && provider_read(&loading->provider_reading, "catalog", &entry->key,
                                         root_of(entry), &config->known[config->known_count]))
            config->known_count++;
    }
}

/* ---- all ------------------------------------------------------------------------------------ */

static void read_all(struct loading *loading)
{
    each_section(loading, "vars", read_vars);
    read_top(loading);
    take_top(loading);
    check_endpoints(loading);
    loading->rules.allow_http_loopback = loading->config->allow_http_loopback;
    loading->provider_reading.allow_experimental = loading->config->allow_experimental;
    load_modules(loading, loading->provider_reading.kinds);
    read_catalog(loading);
    each_section(loading, "defaults", read_defaults);
    read_known(loading);
    each_section(loading, "providers", read_entries);
    each_section(loading, "auth", read_entries);
    each_section(loading, "principals", read_principals);
    take_principals(loading);
}

static int result_of(struct loading *loading, struct buf *errors)
{
    if (loading->problems.is_out_of_memory)
        return BURSAR_E_NOMEM;
    if (loading->problems.count == 0)
        return 0;
    problems_print(&loading->problems, errors);
    return BURSAR_E_CONFIG;
}

static void loading_free(struct loading *loading)
{
    problems_free(&loading->problems);
    files_free(&loading->files);
    catalog_free(&loading->catalog);
    interpolate_vars_free(&loading->vars);
    settings_free(&loading->top);
    principal_section_free(&loading->principals);
    settings_free(&loading->provider_reading.defaults);
    free(loading->keys);
    config_free(loading->config);
}

int config_load(const char *path, const struct config_kinds *kinds, struct config **out_config,
                struct buf *errors)
{
    struct loading loading = {.path = path, .config = calloc(1, sizeof *loading.config)};
    loading.rules.vars = &loading.vars;
    loading.rules.check = kinds->check;
    loading.provider_reading = (struct provider_reading){
        .kinds = kinds, .rules = &loading.rules, .problems = &loading.problems};
    int error =
        loading.config ? files_read(path, &loading.problems, &loading.files) : BURSAR_E_NOMEM;
    if (error == 0) {
        read_all(&loading);
        error = result_of(&loading, errors);
    }
    if (error == 0) {
        *out_config = loading.config;
        loading.config = NULL;
    }
    loading_free(&loading);
    return error;
}

/* The entry of a file with further keys over it. */
static int read_entry(struct loading *loading, const char *more, struct config_provider *out)
{
    struct yaml *over = NULL;
    struct provider_reading *reading = &loading->provider_reading;
    struct yaml_node nothing = {.type = YAML_NULL, .mark = {loading->path, 0, 0}};
    int error = catalog_add_file(&loading->catalog, loading->path, &loading->problems);
    if (error == 0)
        error = yaml_read_text("(further keys)", text_of(more), &loading->problems, &over);
    if (error == 0 && loading->catalog.entries[0].yaml) {
        reading->catalog = &loading->catalog;
        provider_read(reading, "providers", &loading->catalog.entries[0].key,
                      over->root ? over->root : &nothing, out);
    }
    yaml_free(over);
    return error == BURSAR_E_NOMEM ? error : 0;
}

int config_load_entry(const char *path, const struct config_kinds *kinds, const char *more,
                      bool allow_http_loopback, struct config_provider *out_provider,
                      struct buf *errors)
{
    struct loading loading = {.path = path};
    struct config_provider provider = {0};
    loading.rules = (struct value_rules){&loading.vars, allow_http_loopback, kinds->check};
    loading.provider_reading = (struct provider_reading){.kinds = kinds,
                                                         .rules = &loading.rules,
                                                         .problems = &loading.problems,
                                                         .allow_experimental = true};
    int error = read_entry(&loading, more, &provider);
    if (error == 0)
        error = result_of(&loading, errors);
    if (error == 0)
        *out_provider = provider;
    else
        provider_free(&provider);
    loading_free(&loading);
    return error;
}
