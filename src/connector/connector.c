#include "connector/connector.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "connector/registry.h"

enum { PROVIDERS_MAX = 4096 };

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

int connector_make(const struct config_provider *provider, const struct registry *registry,
                   bool allow_http, struct connector *out)
{
    const struct settings *settings = &provider->settings;
    char *shared_id = NULL;
    if (provider->is_shared && asprintf(&shared_id, "%c%s", CONNECTOR_SHARED, provider->id) < 0)
        return BURSAR_E_NOMEM;
    struct connector made = {
        .provider = shared_id ? shared_id : provider->id,
        .shared_id = shared_id,
        .module = registry_find(registry, provider->kind),
        .settings = settings,
        .paths = paths_make(settings),
        .expiry = {(int64_t)settings_number(settings, "refresh_lead_s", 300),
                   settings_number(settings, "expiry_ratio", 0.9)},
        .availability = settings_number(settings, "availability", 0),
        .is_refresh_at_late = settings_bool(settings, "refresh_at_delays"),
        .default_ttl_s = (int64_t)settings_number(settings, "default_ttl_s", 0),
        .refresh_token_ttl_s = (int64_t)settings_number(settings, "refresh_token_ttl_s", 0),
        .rotation = ROTATION_UNKNOWN,
        .reuse_grace_s = (int64_t)settings_number(settings, "reuse_grace_s", 0),
        .reauth_errors = words_of(settings, "reauth_errors"),
        .transient_errors = words_of(settings, "transient_errors"),
        .throttle_errors = words_of(settings, "throttle_errors"),
        .client_errors = words_of(settings, "client_errors"),
        .grant_ttl_s = (int64_t)settings_number(settings, "grant_ttl_s", 0),
        .earliest_refresh_s = (int64_t)settings_number(settings, "earliest_refresh_s", -1),
        .minimum_age_s = (int64_t)settings_number(settings, "minimum_age_s", 0),
        .confirm_after_s = (int64_t)settings_number(settings, "confirm_after_s", 60),
        .confirms_refusals = settings_bool(settings, "confirm_refusals"),
        .allow_http = allow_http,
        .timeout_ms = (long)(settings_number(settings, "timeout_s", 30) * 1000),
        .connect_timeout_ms = (long)(settings_number(settings, "connect_timeout_s", 5) * 1000),
    };
    rotation_rule_of(settings_text(settings, "rotation"), &made.rotation);
    expiry_unit_of(settings_text(settings, "expires_unit"), &made.expires_unit);
    expiry_unit_of(settings_text(settings, "refresh_expires_unit"), &made.refresh_expires_unit);
    expiry_unit_of(settings_text(settings, "refresh_at_unit"), &made.refresh_at_unit);
    made.mints = (made.module->flags & BURSAR_CONNECTOR_MINTS) != 0 ||
                 text_is(settings_text(settings, "refresh_with"), "access_token");
    *out = made;
    return made.paths && made.reauth_errors && made.transient_errors && made.throttle_errors &&
                   made.client_errors
               ? 0
               : BURSAR_E_NOMEM;
}

static int by_provider(const void *a, const void *b)
{
    return strcmp(((const struct connector *)a)->provider, ((const struct connector *)b)->provider);
}

int connectors_make(const struct config *config, const struct registry *registry,
                    struct connectors *out_connectors)
{
    struct connectors made = {calloc(config->provider_count + 1, sizeof *made.items), 0, registry};
    int result = made.items ? 0 : BURSAR_E_NOMEM;
    for (size_t i = 0; i < config->provider_count && result == 0; i++) {
        result = connector_make(&config->providers[i], registry, config->allow_http_loopback,
                                &made.items[made.count++]);
    }
    if (result < 0) {
        connectors_free(&made);
        return result;
    }
    qsort(made.items, made.count, sizeof *made.items, by_provider);
    *out_connectors = made;
    return 0;
}

void connector_fini(struct connector *connector)
{
    free(connector->shared_id);
    paths_free(connector->paths);
    free(connector->reauth_errors);
    free(connector->transient_errors);
    free(connector->throttle_errors);
    free(connector->client_errors);
    *connector = (struct connector){.provider = NULL};
}

void connectors_free(struct connectors *connectors)
{
    for (size_t i = 0; i < connectors->count; i++) {
        connector_fini(&connectors->items[i]);
    }
    free(connectors->items);
    *connectors = (struct connectors){.items = NULL};
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

int64_t connector_due_at(const struct connector *connector, const struct due_input *input)
{
    int64_t issued_at = input->issued_at, expires_at = input->expires_at;
    int64_t due_at = expiry_due_at(&connector->expiry, issued_at, expires_at, input->jitter);
    if (input->lead_s > 0 && expires_at != EXPIRY_NEVER) {
        /* No ratio makes it shorter, and chance only longer: it is what is wanted at least. */
        const struct expiry_rule rule = {input->lead_s, DBL_MIN};
        int64_t early_at = expiry_due_at(&rule, issued_at, expires_at, -fabs(input->jitter));
        due_at = early_at < due_at ? early_at : due_at;
    }
    due_at = expiry_hinted_at(due_at, issued_at, expires_at, input->hinted_at,
                              connector->is_refresh_at_late, input->jitter);
    if (due_at == EXPIRY_NEVER || expires_at == EXPIRY_NEVER)
        return due_at;
    if (connector->earliest_refresh_s >= 0 && due_at < expires_at - connector->earliest_refresh_s)
        due_at = expires_at - connector->earliest_refresh_s;
    if (connector->minimum_age_s > 0 && due_at < issued_at + connector->minimum_age_s)
        due_at = issued_at + connector->minimum_age_s;
    return due_at;
}

bool connector_can_refresh(const struct connector *connector, bool has_grant)
{
    return connector->module->exchanges[BURSAR_REFRESH].build && (has_grant || connector->mints);
}

const char *connector_secret_kind(const struct connector *connector)
{
    return connector->module->secret_kind ? connector->module->secret_kind : "oauth2";
}

struct verdict_words connector_words(const struct connector *connector)
{
    return (struct verdict_words){connector->reauth_errors, connector->transient_errors,
                                  connector->client_errors, connector->throttle_errors};
}
