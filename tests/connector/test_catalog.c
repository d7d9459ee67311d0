/* The catalogue: every entry loads, and from every entry, given what an operator and a connection have
 * to give, every request can be made that it describes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bursar/error.h>

#include "connector/call.h"
#include "connector/registry.h"
#include "wire/pack.h"

#include "keys.h"

enum { VALUES_MAX = 65536 };

struct world {
    struct registry *registry;
    struct config *config;
};

static const char *folder(void)
{
    static char path[4096];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/workers/catalog", top ? top : ".");
    return path;
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    char path[] = "/tmp/bursar-test-XXXXXX";
    int fd = mkstemp(path);
    struct buf errors = buf_make(1 << 20);
    world->registry = registry_new();
    assert_true(fd >= 0);
    dprintf(fd, "connectors:\n  catalog: ['%s']\n  modules: []\n", folder());
    close(fd);
    int result = config_load(path, registry_kinds(world->registry), &world->config, &errors);
    unlink(path);
    if (result < 0)
        fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
    buf_free(&errors);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    config_free(world->config);
    registry_free(world->registry);
    free(world);
    return 0;
}

static void test_all_entries_load(void **state)
{
    const struct world *world = *state;
    assert_true(world->config->known_count >= 380);
}

/* ---- what an operator gives ----------------------------------------------------------------------- */

static bool has_option(const struct bursar_connector *module, const char *name)
{
    for (const struct bursar_option *option = module->options; option->name; option++) {
        if (strcmp(option->name, name) == 0)
            return true;
    }
    return false;
}

/* Lines of YAML: the keys that only the operator has. */
static void write_keys(const struct bursar_connector *module, const struct settings *settings,
                       struct buf *out)
{
    const struct setting *headers = settings_find(settings, "headers");
    bool is_public = text_is(settings_text(settings, "client_auth"), "none");
    for (size_t i = 0; headers && i < headers->item_count; i++)
        is_public = is_public && !strstr(headers->items[i].value, "{client_secret}");
    if (has_option(module, "client_id"))
        buf_append_string(out, "client_id: our-client\n");
    if (has_option(module, "client_secret") && !is_public)
        buf_append_string(out, "client_secret: our-secret\n");
    if (has_option(module, "app_id"))
        buf_append_string(out, "app_id: '42'\n");
    if (has_option(module, "private_key"))
        buf_printf(out, "private_key: \"%s\"\n", KEYS_RSA_YAML);
}

/* ---- what a connection gives ---------------------------------------------------------------------- */

/* Whether some URL of the entry begins with this placeholder: then it stands for a base URL. */
static bool is_base(const struct settings *settings, const char *name)
{
    char start[128];
    int len = snprintf(start, sizeof start, "{%s}", name);
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->values[i];
        if (setting->option->type == BURSAR_OPTION_TEMPLATE && setting->text &&
            strncmp(setting->text, start, (size_t)len) == 0)
            return true;
    }
    return false;
}

/* A value that a variable may have: an allowed host where only some are. */
static const char *value_for(const struct settings *settings, size_t row, const char *host,
                             char out[static 256])
{
    char name[64], variable[128];
    struct text text = settings_cell(settings, "variables", row, "name");
    snprintf(variable, sizeof variable, "%.*s", (int)text.len, text.data);
    snprintf(name, sizeof name, "variables.%zu.allow", row);
    const struct setting *allow = settings_find(settings, name);
    const char *allowed = allow && allow->item_count > 0 ? allow->items[0].value : "dummy";
    if (host)
        allowed = host;
    snprintf(out, 256, "%s%s%s", is_base(settings, variable) ? "https://" : "",
             allowed[0] == '*' ? "below" : "", allowed + (allowed[0] == '*'));
    return out;
}

struct given {
    struct buf secret, grant, metadata;
    struct tree *secret_tree, *grant_tree, *metadata_tree;
    struct call_values inputs;
};

static void put_forms(struct pack *map, const struct config_provider *entry,
                      const struct bursar_connector *module)
{
    for (size_t i = 0; i < settings_rows(&entry->settings, "form"); i++) {
        char name[128];
        struct text text = settings_cell(&entry->settings, "form", i, "name");
        snprintf(name, sizeof name, "%.*s", (int)text.len, text.data);
        pack_string(map, name, "part");
    }
    for (const struct bursar_field *field = module->form; field && field->name; field++)
        pack_string(map, field->name, "part");
}

static void put_captures(struct pack *map, const struct settings *settings, const char *option,
                         const char *host)
{
    const struct setting *captures = settings_find(settings, option);
    for (size_t i = 0; captures && i < captures->item_count; i++) {
        char value[256] = "captured";
        for (size_t row = 0; row < settings_rows(settings, "variables"); row++) {
            if (text_is(settings_cell(settings, "variables", row, "name"), captures->items[i].name))
                value_for(settings, row, host, value);
        }
        pack_string(map, captures->items[i].name, value);
    }
}

static void put_variables(struct pack *map, const struct settings *settings, const char *from,
                          const char *host)
{
    for (size_t i = 0; i < settings_rows(settings, "variables"); i++) {
        char name[128], value[256];
        struct text text = settings_cell(settings, "variables", i, "name");
        snprintf(name, sizeof name, "%.*s", (int)text.len, text.data);
        bool has_default = settings_cell(settings, "variables", i, "default").data != NULL;
        if (!has_default && text_is(settings_cell(settings, "variables", i, "from"), from))
            pack_string(map, name, value_for(settings, i, host, value));
    }
}

/* What comes with a callback: under the callback's own names. */
static void put_inputs(struct call_values *inputs, const struct settings *settings,
                       const char *host)
{
    static const char *const standard[] = {"code",  "redirect_uri", "code_verifier",
                                           "state", "device_code",  "code_challenge"};
    const struct setting *captures = settings_find(settings, "callback_captures");
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        assert_true(call_values_set(inputs, standard[i], TEXT_LITERAL("given")));
    for (size_t i = 0; captures && i < captures->item_count; i++) {
        char value[256] = "called";
        for (size_t row = 0; row < settings_rows(settings, "variables"); row++) {
            if (text_is(settings_cell(settings, "variables", row, "name"), captures->items[i].name))
                value_for(settings, row, host, value);
        }
        assert_true(call_values_set(inputs, captures->items[i].value, text_of(value)));
    }
}

static struct given give(const struct config_provider *entry, const struct bursar_connector *module,
                         const char *host)
{
    struct given given = {buf_make_secret(VALUES_MAX),
                          buf_make_secret(VALUES_MAX),
                          buf_make_secret(VALUES_MAX),
                          tree_new(),
                          tree_new(),
                          tree_new(),
                          call_values_make()};
    const struct settings *settings = &entry->settings;
    struct pack map = pack_map(&given.secret);
    pack_string(&map, "kind", module->secret_kind ? module->secret_kind : "bearer");
    pack_string(&map, "access_token", "an-access-token");
    pack_string(&map, "api_key", "a-key");
    struct pack fields = pack_map_in(&map, "fields");
    put_forms(&fields, entry, module);
    put_captures(&fields, settings, "captures", host);
    put_captures(&fields, settings, "callback_captures", host);
    put_variables(&fields, settings, "reply", host);
    pack_string(&fields, "redirect_uri", "https://app.example/callback");
    pack_close(&fields);
    pack_close(&map);
    map = pack_map(&given.grant);
    pack_string(&map, "refresh_token", "a-refresh-token");
    struct pack inner = pack_map_in(&map, "grant");
    put_forms(&inner, entry, module);
    pack_close(&inner);
    pack_close(&map);
    map = pack_map(&given.metadata);
    put_variables(&map, settings, "metadata", host);
    pack_close(&map);
    assert_int_equal(tree_fill(given.secret_tree, buf_text(&given.secret)), 0);
    assert_int_equal(tree_fill(given.grant_tree, buf_text(&given.grant)), 0);
    assert_int_equal(tree_fill(given.metadata_tree, buf_text(&given.metadata)), 0);
    put_inputs(&given.inputs, settings, host);
    return given;
}

static void take_back(struct given *given)
{
    tree_free(given->secret_tree);
    tree_free(given->grant_tree);
    tree_free(given->metadata_tree);
    buf_free(&given->secret);
    buf_free(&given->grant);
    buf_free(&given->metadata);
    call_values_free(&given->inputs);
}

/* ---- requests ------------------------------------------------------------------------------------- */

static const struct {
    enum bursar_purpose purpose;
    const char *name;
    const char *url; /* the setting that makes it possible; NULL: always */
} purposes[] = {
    {BURSAR_REFRESH, "refresh", NULL},
    {BURSAR_AUTHORIZE, "authorize", "authorize_url"},
    {BURSAR_EXCHANGE, "exchange", "token_url"},
    {BURSAR_DEVICE, "device", "device_url"},
    {BURSAR_POLL, "poll", "device_url"},
    {BURSAR_REVOKE, "revoke", "revoke_url"},
    {BURSAR_VALIDATE, "validate", "validate.url"},
    {BURSAR_IDENTIFY, "identify", "identity_url"},
};
enum { PURPOSE_COUNT = sizeof purposes / sizeof purposes[0] };

static bool is_whole_url(struct text url)
{
    return url.len > 8 && memcmp(url.data, "https://", 8) == 0 && !memchr(url.data, '{', url.len) &&
           !memchr(url.data, ' ', url.len);
}

static int build(const struct connector *connector, const struct given *given,
                 enum bursar_purpose purpose, unsigned step)
{
    struct call_request request;
    struct call_values captures = call_values_make();
    assert_true(call_values_set(&captures, "access_token", TEXT_LITERAL("first-token")));
    struct call call = {.connector = connector,
                        .purpose = purpose,
                        .now = 1700000000,
                        .step = step,
                        .secret = tree_root(given->secret_tree),
                        .grant = tree_root(given->grant_tree),
                        .metadata = tree_root(given->metadata_tree),
                        .inputs = &given->inputs,
                        .captures = step > 0 ? &captures : NULL};
    int result = call_build(&call, &request);
    call_values_free(&captures);
    if (result < 0)
        return result;
    if (!is_whole_url(buf_text(&request.url)))
        result = BURSAR_E_INTERNAL;
    call_request_free(&request);
    return result;
}

static size_t build_all(const struct config_provider *entry, const struct connector *connector,
                        const struct given *given)
{
    size_t problems = 0;
    for (size_t i = 0; i < PURPOSE_COUNT; i++) {
        bool is_wanted = !purposes[i].url || settings_find(&entry->settings, purposes[i].url);
        if (!call_can(connector, purposes[i].purpose) || !is_wanted)
            continue;
        int result = build(connector, given, purposes[i].purpose, 0);
        if (result == 0 && purposes[i].purpose == BURSAR_EXCHANGE &&
            settings_find(&entry->settings, "exchange.url"))
            result = build(connector, given, BURSAR_EXCHANGE, 1);
        if (result == 0)
            continue;
        print_message("# %s: no request to %s: %s\n", entry->id, purposes[i].name,
                      bursar_error_code(result));
        problems++;
    }
    return problems;
}

static bool load(const struct world *world, const struct config_provider *known,
                 struct config_provider *out_entry)
{
    char path[8192];
    struct buf keys = buf_make(16384), errors = buf_make(65536);
    const struct bursar_connector *module = registry_find(world->registry, known->kind);
    snprintf(path, sizeof path, "%s/%s.yaml", folder(), known->id);
    write_keys(module, &known->settings, &keys);
    int result =
        config_load_entry(path, registry_kinds(world->registry),
                          keys.len > 0 ? (const char *)keys.data : "", false, out_entry, &errors);
    if (result < 0)
        print_message("# %s: %.*s\n", known->id, (int)errors.len, (const char *)errors.data);
    buf_free(&keys);
    buf_free(&errors);
    return result == 0;
}

static size_t try_entry(const struct world *world, const struct config_provider *known)
{
    struct config_provider entry;
    struct connector connector;
    if (!load(world, known, &entry))
        return 1;
    assert_int_equal(connector_make(&entry, world->registry, false, &connector), 0);
    struct given given = give(&entry, connector.module, NULL);
    size_t problems = build_all(&entry, &connector, &given);
    take_back(&given);
    connector_fini(&connector);
    config_provider_free(&entry);
    return problems;
}

static void test_requests_of_all_entries(void **state)
{
    const struct world *world = *state;
    size_t problems = 0;
    for (size_t i = 0; i < world->config->known_count; i++)
        problems += try_entry(world, &world->config->known[i]);
    if (problems > 0)
        fail_msg("%zu problems", problems);
}

/* ---- forged callbacks ----------------------------------------------------------------------------- */

/* Whether a URL's host comes from a callback or a reply. */
static bool is_led_from_outside(const struct settings *settings, const char *url)
{
    struct text text = settings_text(settings, url);
    for (size_t i = 0; text.data && i < settings_rows(settings, "variables"); i++) {
        char start[160], host[160];
        struct text from = settings_cell(settings, "variables", i, "from");
        struct text name = settings_cell(settings, "variables", i, "name");
        snprintf(start, sizeof start, "{%.*s}", (int)name.len, name.data);
        snprintf(host, sizeof host, "https://{%.*s}", (int)name.len, name.data);
        if (text_is(from, "metadata"))
            continue;
        if (strncmp(text.data, start, strlen(start)) == 0 ||
            strncmp(text.data, host, strlen(host)) == 0)
            return true;
    }
    return false;
}

/* Our client's secret is not sent to whoever a callback names. */
static void test_forged_callbacks(void **state)
{
    static const char *const forged[] = {"evil.example", "evil.example:443",
                                         "accounts.zoho.com.evil.example", "evilkommo.com"};
    const struct world *world = *state;
    size_t tried = 0;
    for (size_t i = 0; i < world->config->known_count; i++) {
        const struct config_provider *known = &world->config->known[i];
        struct config_provider entry;
        struct connector connector;
        if (!is_led_from_outside(&known->settings, "token_url") || !load(world, known, &entry))
            continue;
        assert_int_equal(connector_make(&entry, world->registry, false, &connector), 0);
        for (size_t j = 0; j < sizeof forged / sizeof forged[0]; j++) {
            struct given given = give(&entry, connector.module, forged[j]);
            bool is_suffixed = strcmp(entry.id, "lightspeed-retail-x") == 0;
            int result = build(&connector, &given, BURSAR_EXCHANGE, 0);
            if (result == 0 && !is_suffixed)
                fail_msg("%s sends to %s", entry.id, forged[j]);
            take_back(&given);
            tried++;
        }
        connector_fini(&connector);
        config_provider_free(&entry);
    }
    assert_true(tried >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_entries_load),
        cmocka_unit_test(test_requests_of_all_entries),
        cmocka_unit_test(test_forged_callbacks),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
