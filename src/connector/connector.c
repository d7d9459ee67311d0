#include "connector/connector.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "connector/modules.h"

static const struct bursar_connector *const modules[] = {
    &bursar_connector_oauth2_refresh,
    &bursar_connector_static,
};
enum { MODULE_COUNT = sizeof modules / sizeof modules[0], PROVIDERS_MAX = 4096 };

static const struct bursar_option common[] = {
    {"display_name", BURSAR_OPTION_STRING, .help = "name for people"},
    {"description", BURSAR_OPTION_STRING, .help = "one line about the provider"},
    {"docs_url", BURSAR_OPTION_URL, .help = "where the provider documents its authorization"},
    {"refresh_lead_s", BURSAR_OPTION_INTEGER, .default_text = "300", .min = 0, .max = 86400,
     .help = "refresh at most so many seconds before the end"},
    {"expiry_ratio", BURSAR_OPTION_NUMBER, .default_text = "0.9", .min = 0.000001, .max = 1,
     .help = "refresh not before this share of the life has passed"},
    {"timeout_s", BURSAR_OPTION_NUMBER, .default_text = "30", .min = 0.1, .max = 600,
     .help = "for a whole request"},
    {"connect_timeout_s", BURSAR_OPTION_NUMBER, .default_text = "5", .min = 0.1, .max = 120,
     .help = "for the connection alone"},
    {"default_ttl_s", BURSAR_OPTION_INTEGER, .min = 1, .max = 315360000,
     .help = "life of a secret whose reply names none; absent: until it is invalidated"},
    {"expires_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601",
     .default_text = "s", .help = "what the expiry in a reply is written in"},
    {"refresh_token_ttl_s", BURSAR_OPTION_INTEGER, .min = 1, .max = 3153600000.0,
     .help = "life of a refresh token whose reply names none"},
    {"rotation", BURSAR_OPTION_CHOICE, .choices = "none|reuse_grace|strict|unknown",
     .default_text = "unknown", .help = "whether a refresh spends the refresh token"},
    {"reuse_grace_s", BURSAR_OPTION_INTEGER, .default_text = "0", .min = 0, .max = 31536000,
     .help = "how long a spent refresh token may be sent again"},
    {"reauth_errors", BURSAR_OPTION_LIST, .help = "further error codes of a dead grant"},
    {"transient_errors", BURSAR_OPTION_LIST, .help = "further error codes that pass"},
    {"client_errors", BURSAR_OPTION_LIST, .help = "further error codes of a refused client"},
    {0},
};

static const struct bursar_option *options_of(const char *kind)
{
    const struct bursar_connector *module = connector_module(kind);
    return module ? module->options : NULL;
}

static const struct bursar_option *shared_options_of(const char *kind)
{
    const struct bursar_connector *module = connector_module(kind);
    return module ? module->shared_options : NULL;
}

const struct config_kinds *connector_kinds(void)
{
    static const char *const names[] = {"oauth2_refresh", "static", NULL};
    static_assert(sizeof names / sizeof names[0] == MODULE_COUNT + 1, "one name a module");
    static const struct config_kinds kinds = {common, options_of, names, shared_options_of};
    return &kinds;
}

const struct bursar_connector *connector_module(const char *kind)
{
    for (size_t i = 0; i < MODULE_COUNT; i++) {
        if (strcmp(modules[i]->kind, kind) == 0)
            return modules[i];
    }
    return NULL;
}

/* A list setting as a NULL-ended array that borrows the texts; NULL without memory. */
static const char **words_of(const struct settings *settings, const char *name)
{
    const struct setting *setting = settings_find(settings, name);
    size_t count = setting ? setting->item_count : 0;
    const char **words = calloc(count + 1, sizeof *words);
    for (size_t i = 0; words && i < count; i++)
        words[i] = setting->items[i].value;
    return words;
}

static int make_one(const struct config_provider *provider, struct connector *out)
{
    const struct settings *settings = &provider->settings;
    char *shared_id = NULL;
    if (provider->is_shared && asprintf(&shared_id, "%c%s", CONNECTOR_SHARED, provider->id) < 0)
        return BURSAR_E_NOMEM;
    struct connector made = {
        .provider = shared_id ? shared_id : provider->id,
        .shared_id = shared_id,
        .module = connector_module(provider->kind),
        .settings = settings,
        .expiry = {(int64_t)settings_number(settings, "refresh_lead_s", 300),
                   settings_number(settings, "expiry_ratio", 0.9)},
        .default_ttl_s = (int64_t)settings_number(settings, "default_ttl_s", 0),
        .refresh_token_ttl_s = (int64_t)settings_number(settings, "refresh_token_ttl_s", 0),
        .rotation = ROTATION_UNKNOWN,
        .reuse_grace_s = (int64_t)settings_number(settings, "reuse_grace_s", 0),
        .reauth_errors = words_of(settings, "reauth_errors"),
        .transient_errors = words_of(settings, "transient_errors"),
        .client_errors = words_of(settings, "client_errors"),
        .timeout_ms = (long)(settings_number(settings, "timeout_s", 30) * 1000),
        .connect_timeout_ms = (long)(settings_number(settings, "connect_timeout_s", 5) * 1000),
    };
    rotation_rule_of(settings_text(settings, "rotation"), &made.rotation);
    expiry_unit_of(settings_text(settings, "expires_unit"), &made.expires_unit);
    *out = made;
    return made.reauth_errors && made.transient_errors && made.client_errors ? 0 : BURSAR_E_NOMEM;
}

static int by_provider(const void *a, const void *b)
{
    return strcmp(((const struct connector *)a)->provider, ((const struct connector *)b)->provider);
}

int connectors_make(const struct config *config, struct connectors *out_connectors)
{
    struct connectors made = {calloc(config->provider_count + 1, sizeof *made.items), 0};
    int result = made.items ? 0 : BURSAR_E_NOMEM;
    for (size_t i = 0; i < config->provider_count && result == 0; i++) {
        result = make_one(&config->providers[i], &made.items[made.count++]);
    }
    if (result < 0) {
        connectors_free(&made);
        return result;
    }
    qsort(made.items, made.count, sizeof *made.items, by_provider);
    *out_connectors = made;
    return 0;
}

void connectors_free(struct connectors *connectors)
{
    for (size_t i = 0; i < connectors->count; i++) {
        free(connectors->items[i].shared_id);
        free(connectors->items[i].reauth_errors);
        free(connectors->items[i].transient_errors);
        free(connectors->items[i].client_errors);
    }
    free(connectors->items);
    *connectors = (struct connectors){NULL, 0};
}

static int compare_id(const void *key, const void *item)
{
    const struct text *id = key;
    const char *provider = ((const struct connector *)item)->provider;
    int order = strncmp(id->data, provider, id->len);
    return order != 0 ? order : -(provider[id->len] != 0);
}

const struct connector *connectors_find(const struct connectors *connectors, struct text provider)
{
    return bsearch(&provider, connectors->items, connectors->count, sizeof *connectors->items,
                   compare_id);
}

const char *connectors_nearest(const struct connectors *connectors, struct text provider)
{
    const char *names[PROVIDERS_MAX];
    size_t count = connectors->count < PROVIDERS_MAX ? connectors->count : PROVIDERS_MAX;
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        if (!connectors->items[i].shared_id)
            names[named++] = connectors->items[i].provider;
    }
    return text_nearest(provider, names, named);
}

const struct connector *connectors_find_shared(const struct connectors *connectors,
                                               struct text name)
{
    char id[BURSAR_MAX_PROVIDER_BYTES + 2] = {CONNECTOR_SHARED};
    if (!text_is_provider_id(name))
        return NULL;
    memcpy(id + 1, name.data, name.len);
    return connectors_find(connectors, text_of(id));
}

struct verdict_words connector_words(const struct connector *connector)
{
    return (struct verdict_words){connector->reauth_errors, connector->transient_errors,
                                  connector->client_errors};
}
