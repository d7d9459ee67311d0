/* oauth2_refresh: the request it makes and what it reads in replies, through the broker's side of the
 * contract and a configuration as an operator writes it. */
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

struct world {
    struct config *config;
    struct connectors connectors;
    struct tree *secret_tree, *grant_tree;
    struct buf secret, grant;
    struct registry *registry;
};

static const char yaml[] = "providers:\n"
                           "  basic:\n"
                           "    kind: oauth2_refresh\n"
                           "    token_url: https://id.example/token\n"
                           "    revoke_url: https://id.example/revoke\n"
                           "    client_id: 'cli ent'\n"
                           "    client_secret: 's:cr%t'\n"
                           "    scopes: [read, write]\n"
                           "    scope_separator: ','\n"
                           "    refresh_params: {audience: 'https://api.example/'}\n"
                           "    headers: {X-Version: '2'}\n"
                           "    captures: {instance_url: $.instance_url, missing: $.missing}\n"
                           "  post:\n"
                           "    kind: oauth2_refresh\n"
                           "    token_url: https://id.example/token\n"
                           "    client_id: c\n"
                           "    client_secret: s\n"
                           "    client_auth: client_secret_post\n"
                           "  public:\n"
                           "    kind: oauth2_refresh\n"
                           "    token_url: https://id.example/token\n"
                           "    client_id: c\n"
                           "    client_auth: none\n";

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    char path[] = "/tmp/bursar-test-XXXXXX";
    int fd = mkstemp(path);
    world->registry = registry_new();
    struct buf errors = buf_make(65536);
    assert_true(fd >= 0 && write(fd, yaml, sizeof yaml - 1) == (ssize_t)sizeof yaml - 1);
    close(fd);
    if (config_load(path, registry_kinds(world->registry), &world->config, &errors) < 0)
        fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
    unlink(path);
    buf_free(&errors);
    assert_int_equal(connectors_make(world->config, world->registry, &world->connectors), 0);
    world->secret = buf_make_secret(4096);
    world->grant = buf_make_secret(4096);
    struct pack map = pack_map(&world->secret);
    pack_string(&map, "kind", "oauth2");
    pack_string(&map, "access_token", "old at");
    pack_close(&map);
    map = pack_map(&world->grant);
    pack_string(&map, "refresh_token", "r/t+1");
    pack_close(&map);
    world->secret_tree = tree_new();
    world->grant_tree = tree_new();
    assert_int_equal(tree_fill(world->secret_tree, buf_text(&world->secret)), 0);
    assert_int_equal(tree_fill(world->grant_tree, buf_text(&world->grant)), 0);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    tree_free(world->secret_tree);
    tree_free(world->grant_tree);
    buf_free(&world->secret);
    buf_free(&world->grant);
    connectors_free(&world->connectors);
    config_free(world->config);
    registry_free(world->registry);
    free(world);
    return 0;
}

static const struct connector *connector(const struct world *world, const char *id)
{
    const struct connector *found = connectors_find(&world->connectors, text_of(id));
    assert_non_null(found);
    return found;
}

static struct call call_of(const struct world *world, const char *id, enum bursar_purpose purpose)
{
    return (struct call){.connector = connector(world, id),
                         .purpose = purpose,
                         .now = 1000,
                         .secret = tree_root(world->secret_tree),
                         .grant = tree_root(world->grant_tree)};
}

static int build(const struct world *world, const char *id, enum bursar_purpose purpose,
                 bool is_bare, struct call_request *out_request)
{
    struct call call = call_of(world, id, purpose);
    if (is_bare)
        call.grant = NULL;
    return call_build(&call, out_request);
}

static bool has_header(const struct call_request *request, const char *line)
{
    const char *at = (const char *)request->headers.data;
    for (const char *end = at + request->headers.len; at < end; at += strlen(at) + 1) {
        if (strcmp(at, line) == 0)
            return true;
    }
    return false;
}

static void test_request_with_basic(void **state)
{
    struct world *world = *state;
    struct call_request request;
    assert_int_equal(build(world, "basic", BURSAR_REFRESH, false, &request), 0);
    assert_string_equal(request.method, "POST");
    assert_true(text_is(buf_text(&request.url), "https://id.example/token"));
    assert_true(text_is(buf_text(&request.body),
                        "grant_type=refresh_token&refresh_token=r%2Ft%2B1&scope=read%2Cwrite"
                        "&audience=https%3A%2F%2Fapi.example%2F"));
    /* cli+ent:s%3Acr%25t, each part form-encoded first (RFC 6749 section 2.3.1) */
    assert_true(has_header(&request, "Authorization: Basic Y2xpK2VudDpzJTNBY3IlMjV0"));
    assert_true(has_header(&request, "Content-Type: application/x-www-form-urlencoded"));
    assert_true(has_header(&request, "Accept: application/json"));
    assert_true(has_header(&request, "X-Version: 2"));
    call_request_free(&request);
}

static void test_request_with_post_and_public(void **state)
{
    struct world *world = *state;
    struct call_request request;
    assert_int_equal(build(world, "post", BURSAR_REFRESH, false, &request), 0);
    assert_true(
        text_is(buf_text(&request.body),
                "grant_type=refresh_token&refresh_token=r%2Ft%2B1&client_id=c&client_secret=s"));
    call_request_free(&request);
    assert_int_equal(build(world, "public", BURSAR_REFRESH, false, &request), 0);
    assert_true(text_is(buf_text(&request.body),
                        "grant_type=refresh_token&refresh_token=r%2Ft%2B1&client_id=c"));
    call_request_free(&request);
}

static void test_request_without_a_grant(void **state)
{
    struct world *world = *state;
    struct call_request request;
    assert_int_equal(build(world, "basic", BURSAR_REFRESH, true, &request), BURSAR_E_NEEDS_REAUTH);
}

static void test_revocation(void **state)
{
    struct world *world = *state;
    struct call_request request;
    assert_int_equal(build(world, "basic", BURSAR_REVOKE, false, &request), 0);
    assert_true(text_is(buf_text(&request.url), "https://id.example/revoke"));
    assert_true(text_is(buf_text(&request.body), "token=r%2Ft%2B1&token_type_hint=refresh_token"));
    call_request_free(&request);
    assert_int_equal(build(world, "basic", BURSAR_REVOKE, true, &request), 0);
    assert_true(text_is(buf_text(&request.body), "token=old+at&token_type_hint=access_token"));
    call_request_free(&request);
    assert_int_equal(build(world, "post", BURSAR_REVOKE, false, &request), BURSAR_E_UNSUPPORTED_OP);
}

#define REPLY(text)           \
    {                         \
        text, sizeof text - 1 \
    }

static const struct {
    struct text body;
    enum reply_shape shape;
    const char *access_token, *refresh_token, *expires, *scopes, *error;
} replies[] = {
    {REPLY("{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":3600,"
           "\"refresh_token\":\"r2\",\"scope\":\"x y\"}"),
     REPLY_SECRET, "a", "r2", "3600", "x y", NULL},
    {REPLY("{\"access_token\":\"a\"}"), REPLY_SECRET, "a", NULL, NULL, NULL, NULL},
    {REPLY("{\"access_token\":\"a\",\"refresh_token\":\"\"}"), REPLY_SECRET, "a", NULL, NULL, NULL,
     NULL},
    {REPLY("{\"access_token\":\"a\",\"refresh_token\":null,\"scope\":null,\"error\":null}"),
     REPLY_SECRET, "a", NULL, NULL, NULL, NULL},
    {REPLY("{\"access_token\":\"a\",\"expires_in\":\"3600\"}"), REPLY_SECRET, "a", NULL, "3600",
     NULL, NULL},
    {REPLY("{\"access_token\":\"a\",\"scope\":[\"x\",\"y\"]}"), REPLY_SECRET, "a", NULL, NULL,
     "x y", NULL},
    {REPLY("{\"access_token\":\"a\",\"a\":1,\"a\":2}"), REPLY_SECRET, "a", NULL, NULL, NULL, NULL},
    {REPLY("{\"error\":\"invalid_grant\"}"), REPLY_ERROR, NULL, NULL, NULL, NULL, "invalid_grant"},
    {REPLY("{\"access_token\":\"a\",\"error\":\"invalid_grant\"}"), REPLY_ERROR, NULL, NULL, NULL,
     NULL, "invalid_grant"},
    {REPLY("{\"error\":{\"code\":\"dead\"}}"), REPLY_ERROR, NULL, NULL, NULL, NULL, "dead"},
    {REPLY("{\"access_token\":\"\"}"), REPLY_MALFORMED, NULL, NULL, NULL, NULL, NULL},
    {REPLY("{\"access_token\":7}"), REPLY_MALFORMED, NULL, NULL, NULL, NULL, NULL},
    {REPLY("[]"), REPLY_MALFORMED, NULL, NULL, NULL, NULL, NULL},
    {REPLY(""), REPLY_MALFORMED, NULL, NULL, NULL, NULL, NULL},
    {REPLY("<html></html>"), REPLY_MALFORMED, NULL, NULL, NULL, NULL, NULL},
    {REPLY("{\"access_token\":\"a\""), REPLY_MALFORMED, NULL, NULL, NULL, NULL, NULL},
};

static void assert_part(size_t row, const struct call_outcome *outcome, enum bursar_emit part,
                        const char *expected)
{
    struct text got = call_outcome_part(outcome, part);
    double number;
    if (part == BURSAR_OUT_EXPIRES && got.data && expected &&
        sscanf(got.data, "%lf", &number) == 1 && number == atof(expected))
        return;
    if (expected ? !text_is(got, expected) : got.data != NULL)
        fail_msg("reply %zu, part %d: %.*s", row, (int)part, (int)got.len, got.data);
}

static void test_replies(void **state)
{
    struct world *world = *state;
    const struct call call = call_of(world, "basic", BURSAR_REFRESH);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct call_reply reply = {200, TEXT_LITERAL(""), replies[i].body};
        struct call_outcome outcome;
        assert_int_equal(call_read(&call, &reply, &outcome), 0);
        if (outcome.shape != replies[i].shape)
            fail_msg("reply %zu has shape %d", i, (int)outcome.shape);
        if (replies[i].shape == REPLY_SECRET) {
            assert_part(i, &outcome, BURSAR_OUT_ACCESS_TOKEN, replies[i].access_token);
            assert_part(i, &outcome, BURSAR_OUT_REFRESH_TOKEN, replies[i].refresh_token);
            assert_part(i, &outcome, BURSAR_OUT_EXPIRES, replies[i].expires);
            assert_part(i, &outcome, BURSAR_OUT_SCOPES, replies[i].scopes);
        }
        assert_part(i, &outcome, BURSAR_OUT_ERROR, replies[i].error);
        call_outcome_free(&outcome);
    }
}

/* A number that no integer type holds must not make the token in the same reply unreadable. */
static void test_huge_numbers_do_not_cost_the_token(void **state)
{
    struct world *world = *state;
    const struct call call = call_of(world, "basic", BURSAR_REFRESH);
    static const char *const numbers[] = {"1e30",
                                          "10000000000000000000000000000000000000000",
                                          "-99999999999999999999999",
                                          "1e999",
                                          "-1e999",
                                          "0.5"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char body[256];
        struct call_outcome outcome;
        snprintf(body, sizeof body,
                 "{\"access_token\":\"a\",\"expires_in\":%s,\"refresh_token\":\"r2\"}", numbers[i]);
        struct call_reply reply = {200, TEXT_LITERAL(""), text_of(body)};
        assert_int_equal(call_read(&call, &reply, &outcome), 0);
        if (outcome.shape != REPLY_SECRET ||
            !text_is(call_outcome_part(&outcome, BURSAR_OUT_REFRESH_TOKEN), "r2"))
            fail_msg("expires_in %s: shape %d", numbers[i], (int)outcome.shape);
        call_outcome_free(&outcome);
    }
}

/* What a provider says beside the token is kept as fields of the secret, where the entry asks for it. */
static void test_captures_become_fields(void **state)
{
    struct world *world = *state;
    const struct call call = call_of(world, "basic", BURSAR_REFRESH);
    struct call_outcome outcome;
    struct call_reply reply = {
        200, TEXT_LITERAL(""),
        TEXT_LITERAL("{\"access_token\":\"a\",\"instance_url\":\"https://eu.example\",\"n\":1}")};
    assert_int_equal(call_read(&call, &reply, &outcome), 0);
    size_t fields = 0;
    for (size_t i = 0; i < outcome.part_count; i++) {
        const struct call_part *part = &outcome.parts[i];
        if (part->part != BURSAR_OUT_FIELD)
            continue;
        fields++;
        assert_string_equal(part->name, "instance_url");
        assert_memory_equal(outcome.values.data + part->at, "https://eu.example", part->len);
    }
    assert_int_equal(fields, 1);
    call_outcome_free(&outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_with_basic),
        cmocka_unit_test(test_request_with_post_and_public),
        cmocka_unit_test(test_request_without_a_grant),
        cmocka_unit_test(test_revocation),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_huge_numbers_do_not_cost_the_token),
        cmocka_unit_test(test_captures_become_fields),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
