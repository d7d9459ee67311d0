#include "connector/registry.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/call.h"
#include "connector/modules.h"
#include "connector/options.h"
#include "wire/doc.h"

enum { KINDS_MAX = 256 };

struct item {
    const struct bursar_connector *module;
    char *file;
};

struct registry {
    struct config_kinds kinds; /* first member: registry_of() */
    struct item items[KINDS_MAX];
    const char *names[KINDS_MAX + 1];
    size_t count;
    bool is_frozen;
};

static struct registry *registry_of(const struct config_kinds *kinds)
{
    return (struct registry *)(uintptr_t)kinds;
}

/* ---- for config_load() --------------------------------------------------------------------------- */

static const struct bursar_option *options_of(const struct config_kinds *self, const char *kind)
{
    const struct bursar_connector *module = registry_find(registry_of(self), kind);
    return module ? module->options : NULL;
}

static const struct bursar_option *shared_options_of(const struct config_kinds *self,
                                                     const char *kind)
{
    const struct bursar_connector *module = registry_find(registry_of(self), kind);
    return module ? module->shared_options : NULL;
}

static void check_entry(const struct config_kinds *self, const char *kind,
                        const struct settings *settings, struct buf *out)
{
    const struct bursar_connector *module = registry_find(registry_of(self), kind);
    if (module)
        call_check(module, settings, out);
}

static bool is_experimental(const struct config_kinds *self, const char *kind)
{
    const struct bursar_connector *module = registry_find(registry_of(self), kind);
    return module && (module->flags & BURSAR_CONNECTOR_EXPERIMENTAL) != 0;
}

static void load(const struct config_kinds *self, const char *folder, struct buf *out)
{
    struct registry *registry = registry_of(self);
    if (!registry->is_frozen)
        registry_load_folder(registry, folder, out);
}

const struct config_kinds *registry_kinds(const struct registry *registry)
{
    return &registry->kinds;
}

/* ---- the table ----------------------------------------------------------------------------------- */

struct registry *registry_new_empty(void)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry)
        registry->kinds = (struct config_kinds){.common = options_common,
                                                .kinds = registry->names,
                                                .options_of = options_of,
                                                .shared_options_of = shared_options_of,
                                                .check = options_check,
                                                .check_entry = check_entry,
                                                .is_experimental = is_experimental,
                                                .load = load};
    return registry;
}

struct registry *registry_new(void)
{
    struct registry *registry = registry_new_empty();
    struct buf error = buf_make(256);
    for (size_t i = 0; registry && modules_builtin[i]; i++) {
        if (registry_add(registry, modules_builtin[i], &error) < 0)
            abort(); /* a built-in descriptor that is wrong is the programmer's error */
    }
    buf_free(&error);
    return registry;
}

void registry_free(struct registry *registry)
{
    for (size_t i = 0; registry && i < registry->count; i++)
        free(registry->items[i].file);
    free(registry);
}

void registry_freeze(struct registry *registry)
{
    registry->is_frozen = true;
}

/* Where a kind stands or would stand. */
static size_t place_of(const struct registry *registry, const char *kind, bool *out_is_there)
{
    size_t at = 0;
    while (at < registry->count && strcmp(registry->names[at], kind) < 0)
        at++;
    *out_is_there = at < registry->count && strcmp(registry->names[at], kind) == 0;
    return at;
}

const struct bursar_connector *registry_find(const struct registry *registry, const char *kind)
{
    bool is_there;
    size_t at = place_of(registry, kind, &is_there);
    return is_there ? registry->items[at].module : NULL;
}

const char *registry_file(const struct registry *registry, const char *kind)
{
    bool is_there;
    size_t at = place_of(registry, kind, &is_there);
    return is_there ? registry->items[at].file : NULL;
}

size_t registry_count(const struct registry *registry)
{
    return registry->count;
}

const struct bursar_connector *registry_item(const struct registry *registry, size_t index)
{
    return index < registry->count ? registry->items[index].module : NULL;
}

static void make_room(struct registry *registry, size_t at)
{
    size_t behind = registry->count - at;
    memmove(&registry->items[at + 1], &registry->items[at], behind * sizeof registry->items[0]);
    memmove(&registry->names[at + 1], &registry->names[at], behind * sizeof registry->names[0]);
    registry->count++;
    registry->items[at].file = NULL;
}

int registry_add_loaded(struct registry *registry, const struct bursar_connector *module,
                        const char *file, struct buf *error)
{
    const char *problem = registry_problem(module);
    bool is_there;
    if (registry->is_frozen)
        return BURSAR_E_CONFLICT;
    if (problem) {
        buf_append_string(error, problem);
        return BURSAR_E_BAD_REQUEST;
    }
    size_t at = place_of(registry, module->kind, &is_there);
    if (!is_there && registry->count == KINDS_MAX) {
        buf_printf(error, "there are %d kinds already", KINDS_MAX);
        return BURSAR_E_BAD_REQUEST;
    }
    char *copy = file ? strdup(file) : NULL;
    if (file && !copy)
        return BURSAR_E_NOMEM;
    if (!is_there)
        make_room(registry, at);
    free(registry->items[at].file);
    registry->items[at] = (struct item){module, copy};
    registry->names[at] = module->kind;
    return 0;
}

int registry_add(struct registry *registry, const struct bursar_connector *module,
                 struct buf *error)
{
    return registry_add_loaded(registry, module, NULL, error);
}

int registry_remove(struct registry *registry, const char *kind)
{
    bool is_there;
    size_t at = place_of(registry, kind, &is_there);
    if (registry->is_frozen)
        return BURSAR_E_CONFLICT;
    if (!is_there)
        return BURSAR_E_NOT_FOUND;
    size_t behind = registry->count - at - 1;
    free(registry->items[at].file);
    memmove(&registry->items[at], &registry->items[at + 1], behind * sizeof registry->items[0]);
    memmove(&registry->names[at], &registry->names[at + 1], behind * sizeof registry->names[0]);
    registry->names[--registry->count] = NULL;
    return 0;
}

/* ---- descriptors --------------------------------------------------------------------------------- */

static const char *option_problem(const struct bursar_option *option, bool is_column)
{
    bool is_nested = option->type == BURSAR_OPTION_GROUP || option->type == BURSAR_OPTION_ROWS;
    if (option->type > BURSAR_OPTION_ROWS)
        return "an option has an unknown type";
    if (!option->help)
        return "an option has no help";
    if (option->type == BURSAR_OPTION_CHOICE && !option->choices)
        return "an option of the type CHOICE has no choices";
    if (is_nested && (is_column || !option->columns))
        return "groups and rows have columns that are neither";
    return NULL;
}

static const char *options_problem(const struct bursar_option *options, bool is_column)
{
    const char *problem = NULL;
    for (size_t i = 0; options && options[i].name && !problem; i++) {
        if (i == 128)
            return "more than 128 options, or a table without an end";
        problem = option_problem(&options[i], is_column);
        if (!problem && options[i].columns)
            problem = options_problem(options[i].columns, true);
    }
    return problem;
}

/* Purposes that come to nothing where nobody reads the reply. */
static const enum bursar_purpose readers[] = {BURSAR_REFRESH, BURSAR_EXCHANGE, BURSAR_DEVICE,
                                              BURSAR_POLL, BURSAR_IDENTIFY};

const char *registry_problem(const struct bursar_connector *module)
{
    if (!module)
        return "it gives no descriptor";
    if (module->abi != BURSAR_CONNECTOR_ABI)
        return "it was made for another version of the contract (its ABI number differs)";
    if (!module->kind || !text_is_provider_id(text_of(module->kind)))
        return "its kind is not a name of a-z, 0-9, _ and -";
    if (!module->summary || !module->options)
        return "its descriptor has no summary or no table of options";
    if (module->secret_kind && !doc_main_part(text_of(module->secret_kind)))
        return "its secret_kind is none of oauth2, api_key, basic, bearer and header";
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        const struct bursar_exchange *exchange = &module->exchanges[readers[i]];
        if (exchange->build && !exchange->read)
            return "one of its purposes has no function that reads the reply";
    }
    for (const struct bursar_field *field = module->form; field && field->name; field++) {
        if (!field->label || !field->type)
            return "a field of its form has no label or no type";
    }
    const char *problem = options_problem(module->options, false);
    return problem ? problem : options_problem(module->shared_options, false);
}
