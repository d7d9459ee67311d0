#include "broker/catalog_view.h"

#include <string.h>

#include <bursar/error.h>

#include "connector/form.h"
#include "connector/registry.h"
#include "wire/pack.h"

enum { NAMES_MAX = 8192 };

/* ---- parts ---------------------------------------------------------------------------------------- */

static void pack_given(struct pack *map, const char *key, struct text value)
{
    if (value.data)
        pack_text(map, key, value);
}

/* What a person or program can do to get a secret of this provider. */
static void pack_grants(struct pack *map, const struct bursar_connector *module,
                        const struct settings *settings, bool has_form)
{
    struct pack list = pack_array_in(map, "grants");
    if (module->exchanges[BURSAR_AUTHORIZE].build && settings_text(settings, "authorize_url").data)
        pack_item_text(&list, TEXT_LITERAL("authorization_code"));
    if (module->exchanges[BURSAR_DEVICE].build && settings_text(settings, "device_url").data)
        pack_item_text(&list, TEXT_LITERAL("device"));
    if (has_form)
        pack_item_text(&list, TEXT_LITERAL("form"));
    if (module->flags & BURSAR_CONNECTOR_MINTS)
        pack_item_text(&list, TEXT_LITERAL("minted"));
    pack_close(&list);
}

static void pack_list(struct pack *map, const struct settings *settings, const char *name)
{
    const struct setting *setting = settings_find(settings, name);
    struct pack list = pack_array_in(map, name);
    for (size_t i = 0; setting && i < setting->item_count; i++)
        pack_item_text(&list, text_of(setting->items[i].value));
    pack_close(&list);
}

static void pack_form(struct pack *map, const struct form *form)
{
    struct pack list = pack_array_in(map, "form_schema");
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *field = &form->fields[i];
        struct pack one = pack_item_map(&list);
        pack_text(&one, "name", field->name);
        pack_text(&one, "label", field->label);
        pack_string(&one, "type", form_type_name(field->type));
        pack_bool(&one, "required", field->is_required);
        pack_given(&one, "placeholder", field->placeholder);
        pack_given(&one, "help", field->help);
        pack_given(&one, "default", field->default_text);
        pack_given(&one, "group", field->group);
        pack_close(&one);
    }
    pack_close(&list);
}

static void pack_variables(struct pack *map, const struct settings *settings)
{
    static const char *const columns[] = {"name", "label", "default", "help", "from"};
    struct pack list = pack_array_in(map, "variables");
    for (size_t row = 0; row < settings_rows(settings, "variables"); row++) {
        struct pack variable = pack_item_map(&list);
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
            pack_given(&variable, columns[i],
                       settings_cell(settings, "variables", row, columns[i]));
        pack_close(&variable);
    }
    pack_close(&list);
}

static void pack_rate(struct pack *map, const struct settings *settings)
{
    double limit = settings_number(settings, "rate.limit", 0);
    if (limit <= 0)
        return;
    struct pack rate = pack_map_in(map, "rate");
    pack_int(&rate, "limit", (int64_t)limit);
    pack_int(&rate, "window_s", (int64_t)settings_number(settings, "rate.window_s", 0));
    pack_close(&rate);
}

/* ---- a provider ------------------------------------------------------------------------------------ */

static void pack_connector(struct pack *map, const struct broker *broker,
                           const struct config_provider *provider, bool is_configured)
{
    static const char *const texts[] = {"description",    "icon",    "category",     "docs_url",
                                        "code_parameter", "acts_as", "account_type", "guard"};
    const struct settings *settings = &provider->settings;
    const struct bursar_connector *module =
        registry_find(broker->connectors->registry, provider->kind);
    const struct connector connector = {
        .provider = provider->id, .module = module, .settings = settings};
    struct text name = settings_text(settings, "display_name");
    struct form form;
    form_of(&connector, &form);
    pack_string(map, "id", provider->id);
    pack_text(map, "display_name", name.data ? name : text_of(provider->id));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        pack_given(map, texts[i], settings_text(settings, texts[i]));
    pack_string(map, "kind", provider->kind);
    pack_string(map, "auth_type", module->secret_kind ? module->secret_kind : provider->kind);
    pack_grants(map, module, settings, form.count > 0);
    pack_form(map, &form);
    pack_list(map, settings, "scopes");
    pack_list(map, settings, "redirect_uris");
    pack_variables(map, settings);
    pack_rate(map, settings);
    pack_bool(map, "can_validate", settings_text(settings, "validate.url").data != NULL);
    pack_bool(map, "experimental", settings_bool(settings, "experimental"));
    pack_bool(map, "configured", is_configured);
}

static const struct config_provider *configured(const struct config *config, struct text id)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        if (!config->providers[i].is_shared && text_is(id, config->providers[i].id))
            return &config->providers[i];
    }
    return NULL;
}

static const struct config_provider *known(const struct config *config, struct text id)
{
    for (size_t i = 0; i < config->known_count; i++) {
        if (text_is(id, config->known[i].id))
            return &config->known[i];
    }
    return NULL;
}

int catalog_view_get(const struct broker *broker, struct text id, struct buf *out,
                     struct buf *error)
{
    const struct config *config = broker->config;
    const struct config_provider *provider = configured(config, id);
    bool is_configured = provider != NULL;
    if (!provider)
        provider = known(config, id);
    if (!provider) {
        const char *names[NAMES_MAX];
        size_t count = 0;
        for (size_t i = 0; i < config->provider_count && count < NAMES_MAX; i++) {
            if (!config->providers[i].is_shared)
                names[count++] = config->providers[i].id;
        }
        for (size_t i = 0; i < config->known_count && count < NAMES_MAX; i++)
            names[count++] = config->known[i].id;
        const char *near = text_nearest(id, names, count);
        buf_append_string(error, "no connector ");
        buf_append_text(error, id);
        if (near)
            buf_printf(error, "; did you mean %s?", near);
        return BURSAR_E_UNKNOWN_PROVIDER;
    }
    struct pack map = pack_map(out);
    struct pack one = pack_map_in(&map, "connector");
    pack_connector(&one, broker, provider, is_configured);
    pack_close(&one);
    pack_close(&map);
    return 0;
}

/* Both lists are sorted, or nearly: the configured ones are few, so each place is looked for. */
int catalog_view_list(const struct broker *broker, struct buf *out)
{
    const struct config *config = broker->config;
    const char *last = "";
    struct pack map = pack_map(out);
    struct pack list = pack_array_in(&map, "connectors");
    for (;;) {
        const struct config_provider *next = NULL;
        bool is_configured = false;
        for (size_t i = 0; i < config->provider_count; i++) {
            const struct config_provider *one = &config->providers[i];
            if (!one->is_shared && strcmp(one->id, last) > 0 &&
                (!next || strcmp(one->id, next->id) < 0)) {
                next = one;
                is_configured = true;
            }
        }
        for (size_t i = 0; i < config->known_count; i++) {
            const struct config_provider *one = &config->known[i];
            if (strcmp(one->id, last) > 0 && (!next || strcmp(one->id, next->id) < 0)) {
                next = one;
                is_configured = false;
            }
        }
        if (!next)
            break;
        last = next->id;
        struct pack item = pack_item_map(&list);
        pack_connector(&item, broker, next, is_configured);
        pack_close(&item);
    }
    pack_close(&list);
    pack_close(&map);
    return buf_error(out);
}
