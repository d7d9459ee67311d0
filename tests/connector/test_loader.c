/* Modules from files: a good one works, and each bad one is named and does no harm. The modules are
 * built beside this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "connector/call.h"
#include "connector/registry.h"
#include "wire/pack.h"

struct world {
    char folder[64];
    struct registry *registry;
    struct buf errors;
};

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/bursar-test-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    world->registry = registry_new();
    world->errors = buf_make(65536);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", world->folder);
    assert_int_equal(system(command), 0);
    registry_free(world->registry);
    buf_free(&world->errors);
    free(world);
    return 0;
}

static void put_bytes(const char *from, const char *to)
{
    char piece[65536];
    size_t n;
    FILE *source = fopen(from, "rb"), *target = fopen(to, "wb");
    if (!source || !target)
        fail_msg("%s to %s", from, to);
    while ((n = fread(piece, 1, sizeof piece, source)) > 0)
        assert_int_equal(fwrite(piece, 1, n, target), n);
    fclose(source);
    assert_int_equal(fclose(target), 0);
}

/* Puts a module of the build into the folder. */
static void install(const struct world *world, const char *module, const char *name, mode_t mode)
{
    char from[4096], to[256];
    const char *top = getenv("abs_top_builddir");
    snprintf(from, sizeof from, "%s/tests/module/.libs/%s.so", top ? top : ".", module);
    snprintf(to, sizeof to, "%s/%s", world->folder, name);
    put_bytes(from, to);
    assert_int_equal(chmod(to, mode), 0);
}

/* Loads the folder; the one line that it gives, or "". */
static const char *load(struct world *world)
{
    buf_clear(&world->errors);
    registry_load_folder(world->registry, world->folder, &world->errors);
    return world->errors.len > 0 ? (const char *)world->errors.data : "";
}

static void assert_refused(struct world *world, const char *file, const char *why)
{
    const char *line = load(world);
    if (!strstr(line, file) || !strstr(line, why))
        fail_msg("`%s` has no `%s`", line, why);
    assert_int_equal(strlen(line) + 1, world->errors.len); /* one line */
}

static void test_good_module(void **state)
{
    struct world *world = *state;
    size_t before = registry_count(world->registry);
    install(world, "example", "example.so", 0644);
    install(world, "example", "not-a-module.txt", 0644);
    assert_string_equal(load(world), "");
    assert_int_equal(registry_count(world->registry), before + 1);
    assert_non_null(registry_find(world->registry, "example_session"));
    assert_non_null(strstr(registry_file(world->registry, "example_session"), "/example.so"));
    assert_string_equal(load(world), ""); /* a configuration is read twice */
    assert_int_equal(registry_count(world->registry), before + 1);
}

static void test_world_writable(void **state)
{
    struct world *world = *state;
    install(world, "example", "example.so", 0666);
    assert_refused(world, "example.so", "can be written by everybody");
    assert_null(registry_find(world->registry, "example_session"));
}

static void test_same_kind_twice(void **state)
{
    struct world *world = *state;
    install(world, "example", "a.so", 0644);
    install(world, "example", "b.so", 0644);
    assert_refused(world, "b.so", "its kind is taken already");
    assert_non_null(strstr(registry_file(world->registry, "example_session"), "/a.so"));
}

static void test_another_abi(void **state)
{
    struct world *world = *state;
    install(world, "bad_abi", "m.so", 0644);
    assert_refused(world, "m.so", "another version of the contract");
}

static void test_no_symbol(void **state)
{
    struct world *world = *state;
    install(world, "bad_symbol", "m.so", 0644);
    assert_refused(world, "m.so", "has no symbol bursar_connector_module");
}

/* The start goes on at once, and nothing of it stays. */
static void test_process_left_behind(void **state)
{
    struct world *world = *state;
    install(world, "bad_child", "m.so", 0644);
    assert_refused(world, "m.so", "leaves a process behind");
    assert_null(registry_find(world->registry, "bad_child"));
}

static void test_crash(void **state)
{
    struct world *world = *state;
    install(world, "bad_crash", "m.so", 0644);
    assert_refused(world, "m.so", "crashes while it is loaded");
}

static void test_no_shared_object(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/m.so", world->folder);
    FILE *file = fopen(path, "w");
    fputs("text", file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
    assert_refused(world, "m.so", "cannot be loaded");
}

static void test_bad_ones_beside_a_good_one(void **state)
{
    struct world *world = *state;
    install(world, "bad_crash", "a.so", 0644);
    install(world, "bad_abi", "b.so", 0644);
    install(world, "example", "c.so", 0644);
    load(world);
    assert_non_null(registry_find(world->registry, "example_session"));
}

static void test_frozen(void **state)
{
    struct world *world = *state;
    install(world, "example", "example.so", 0644);
    registry_freeze(world->registry);
    assert_true(strlen(load(world)) > 0);
    assert_null(registry_find(world->registry, "example_session"));
}

/* ---- the example at work -------------------------------------------------------------------------- */

static const char entry_text[] = "kind: example_session\n"
                                 "token_url: https://api.example/session\n"
                                 "partner: p7\n"
                                 "shared_secret: s3\n";

static void load_entry(const struct world *world, struct config_provider *out)
{
    char path[128];
    struct buf errors = buf_make(65536);
    snprintf(path, sizeof path, "%s/acme.yaml", world->folder);
    FILE *file = fopen(path, "w");
    fputs(entry_text, file);
    fclose(file);
    if (config_load_entry(path, registry_kinds(world->registry), "", false, out, &errors) < 0)
        fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
    buf_free(&errors);
}

static void test_example_at_work(void **state)
{
    struct world *world = *state;
    struct config_provider entry;
    struct connector connector;
    struct call_request request;
    struct call_outcome outcome;
    struct tree *tree = tree_new();
    struct buf packed = buf_make_secret(4096);
    install(world, "example", "example.so", 0644);
    assert_string_equal(load(world), "");
    load_entry(world, &entry);
    assert_int_equal(connector_make(&entry, world->registry, false, &connector), 0);
    struct pack map = pack_map(&packed);
    struct pack grant = pack_map_in(&map, "grant");
    pack_string(&grant, "user", "anna");
    pack_string(&grant, "pin", "1\"2");
    pack_close(&grant);
    pack_close(&map);
    assert_int_equal(tree_fill(tree, buf_text(&packed)), 0);
    struct call call = {.connector = &connector, .purpose = BURSAR_REFRESH, .now = 1700000000};
    assert_int_equal(call_build(&call, &request), BURSAR_E_NEEDS_REAUTH);
    call.grant = tree_root(tree);
    assert_int_equal(call_build(&call, &request), 0);
    assert_string_equal(request.method, "POST");
    assert_true(text_is(buf_text(&request.body),
                        "{\"partner\":\"p7\",\"user\":\"anna\",\"pin\":\"1\\\"2\"}"));
    call_request_free(&request);
    struct call_reply reply = {
        200, {"", 0}, TEXT_LITERAL("{\"ok\":true,\"session\":{\"id\":\"t\",\"ttl\":9}}")};
    assert_int_equal(call_read(&call, &reply, &outcome), 0);
    assert_int_equal(outcome.read, BURSAR_READ_OK);
    assert_true(text_is(call_outcome_part(&outcome, BURSAR_OUT_ACCESS_TOKEN), "t"));
    call_outcome_free(&outcome);
    reply.body = TEXT_LITERAL("{\"ok\":false,\"reason\":\"locked\"}");
    assert_int_equal(call_read(&call, &reply, &outcome), 0);
    assert_int_equal(outcome.read, BURSAR_READ_ERROR);
    call_outcome_free(&outcome);
    connector_fini(&connector);
    config_provider_free(&entry);
    tree_free(tree);
    buf_free(&packed);
}

/* ---- the manual ----------------------------------------------------------------------------------- */

static struct buf whole(const char *name)
{
    char path[4096], piece[4096];
    struct buf text = buf_make(1 << 20);
    const char *top = getenv("abs_top_srcdir");
    size_t n;
    snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read", path);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_append(&text, piece, n);
    fclose(file);
    return text;
}

/* bursar-connector(7) shows the very module that is tested here. */
static void test_example_of_the_manual(void **state)
{
    (void)state;
    struct buf code = whole("tests/module/example.c"), page = whole("man/bursar-connector.7");
    struct buf shown = buf_make(1 << 20);
    for (size_t i = 0; i < code.len; i++) {
        bool is_begin = i == 0 || code.data[i - 1] == '\n';
        if (is_begin && (code.data[i] == '.' || code.data[i] == '\''))
            buf_append_string(&shown, "\\&");
        buf_append_byte(&shown, code.data[i]);
        if (code.data[i] == '\\')
            buf_append_byte(&shown, 'e');
    }
    assert_non_null(strstr((const char *)page.data, (const char *)shown.data));
    buf_free(&code);
    buf_free(&page);
    buf_free(&shown);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(test_good_module),      TEST(test_world_writable),
        TEST(test_same_kind_twice),  TEST(test_another_abi),
        TEST(test_no_symbol),        TEST(test_crash),
        TEST(test_no_shared_object), TEST(test_bad_ones_beside_a_good_one),
        TEST(test_frozen),           cmocka_unit_test(test_example_of_the_manual),
        TEST(test_example_at_work),  TEST(test_process_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
