/* The options of every kind, as the daemon has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bursar/error.h>

#include "connector/registry.h"

static int load(const char *more, struct config_provider *out, struct buf *errors)
{
    char folder[] = "/tmp/bursar-test-XXXXXX", path[64];
    struct registry *registry = registry_new();
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/entry.yaml", folder);
    FILE *file = fopen(path, "w");
    fputs("kind: static\n", file);
    fclose(file);
    int result = config_load_entry(path, registry_kinds(registry), more, false, out, errors);
    unlink(path);
    rmdir(folder);
    registry_free(registry);
    return result;
}

static const struct {
    const char *yaml;
    double value; /* NAN: refused */
} rows[] = {
    {"expiry_ratio: 0", NAN},      {"expiry_ratio: -0.5", NAN}, {"expiry_ratio: 1.1", NAN},
    {"expiry_ratio: .nan", NAN},   {"expiry_ratio: nan", NAN},  {"expiry_ratio: .inf", NAN},
    {"expiry_ratio: '0.5'", NAN},  {"expiry_ratio: ", NAN},     {"expiry_ratio: [0.5]", NAN},
    {"expiry_ratio: 1e-400", NAN}, {"expiry_ratio: 1", 1},      {"expiry_ratio: 1.0", 1},
    {"expiry_ratio: 0.5", 0.5},    {"expiry_ratio: 5e-1", 0.5}, {"expiry_ratio: 0.000001", 1e-6},
};

static void test_expiry_ratio(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_provider entry;
        struct buf errors = buf_make(65536);
        int result = load(rows[i].yaml, &entry, &errors);
        if (result != (isnan(rows[i].value) ? BURSAR_E_CONFIG : 0))
            fail_msg("%s: %s %.*s", rows[i].yaml, bursar_error_code(result), (int)errors.len,
                     (const char *)errors.data);
        if (result == 0 &&
            fabs(settings_number(&entry.settings, "expiry_ratio", -1) - rows[i].value) > 1e-12)
            fail_msg("%s gives another number", rows[i].yaml);
        if (result == 0)
            config_provider_free(&entry);
        buf_free(&errors);
    }
}

/* The default of every option of every kind can be read, by entries of nothing but their kind. */
static void test_defaults(void **state)
{
    (void)state;
    char path[] = "/tmp/bursar-test-XXXXXX";
    struct registry *registry = registry_new();
    struct config *config = NULL;
    struct buf errors = buf_make(1 << 20);
    char folder[] = "/tmp/bursar-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < registry_count(registry); i++) {
        char name[256];
        snprintf(name, sizeof name, "%s/%s.yaml", folder, registry_item(registry, i)->kind);
        FILE *file = fopen(name, "w");
        fprintf(file, "kind: %s\n", registry_item(registry, i)->kind);
        fclose(file);
    }
    int fd = mkstemp(path);
    dprintf(fd, "connectors: {catalog: ['%s'], modules: []}\n", folder);
    close(fd);
    if (config_load(path, registry_kinds(registry), &config, &errors) < 0)
        fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
    assert_int_equal(config->known_count, registry_count(registry));
    for (size_t i = 0; i < registry_count(registry); i++) {
        char name[256];
        snprintf(name, sizeof name, "%s/%s.yaml", folder, registry_item(registry, i)->kind);
        unlink(name);
    }
    unlink(path);
    rmdir(folder);
    config_free(config);
    registry_free(registry);
    buf_free(&errors);
}

/* A kind that says so itself is for those who allow it. */
static void test_experimental_kind(void **state)
{
    static const struct bursar_option none[] = {{0}};
    static const struct bursar_connector risky = {.abi = BURSAR_CONNECTOR_ABI,
                                                  .kind = "risky",
                                                  .summary = "not for everybody",
                                                  .flags = BURSAR_CONNECTOR_EXPERIMENTAL,
                                                  .options = none};
    (void)state;
    for (int is_allowed = 0; is_allowed < 2; is_allowed++) {
        char path[] = "/tmp/bursar-test-XXXXXX";
        struct registry *registry = registry_new();
        struct config *config = NULL;
        struct buf errors = buf_make(65536);
        assert_int_equal(registry_add(registry, &risky, &errors), 0);
        int fd = mkstemp(path);
        dprintf(fd,
                "connectors: {catalog: [], modules: [], experimental: %s}\n"
                "providers: {a: {kind: risky}}\n",
                is_allowed ? "true" : "false");
        close(fd);
        int result = config_load(path, registry_kinds(registry), &config, &errors);
        assert_int_equal(result, is_allowed ? 0 : BURSAR_E_CONFIG);
        if (!is_allowed)
            assert_non_null(strstr((const char *)errors.data, "providers.a: is experimental"));
        unlink(path);
        config_free(config);
        registry_free(registry);
        buf_free(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiry_ratio),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_experimental_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
