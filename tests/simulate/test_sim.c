/* The simulated provider and what is held against it, without a port: requests go from the connector
 * to the simulator as they are. An entry that is wrong must fail: each way to be wrong is tried. */
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

#include "connector/registry.h"
#include "sim/conform.h"
#include "sim/scenario.h"

enum { NOW = 1700000000 };

/* ---- entries ------------------------------------------------------------------------------------ */

static const char truth[] = "kind: oauth2_authorization_code\n"
                            "authorize_url: https://id.example/authorize\n"
                            "token_url: https://id.example/token\n"
                            "refresh_url: https://id.example/refresh\n"
                            "revoke_url: https://id.example/revoke\n"
                            "identity_url: https://api.example/me\n"
                            "identity_path: $.data.id\n"
                            "device_url: https://id.example/device\n"
                            "client_id: 'cli ent+1'\n"
                            "client_secret: 's:cr%t/+='\n"
                            "client_auth: client_secret_post\n"
                            "parameter_names: {client_id: client_key}\n"
                            "headers: {X-Version: '2'}\n"
                            "refresh_params: {audience: 'https://api.example/'}\n"
                            "rotation: strict\n"
                            "default_ttl_s: 7200\n"
                            "access_token_path: $.data.access_token\n"
                            "refresh_token_path: $.data.refresh_token\n"
                            "expires_path: $.data.expires_at\n"
                            "expires_unit: epoch_s\n"
                            "scope_path: $.data.scope\n"
                            "success: ['$.code == 0']\n"
                            "error_path: $.code\n"
                            "error_subcode_path: $.sub\n"
                            "reauth_errors: ['40001', '40002/7']\n"
                            "client_errors: ['40101']\n"
                            "transient_errors: ['50000']\n"
                            "throttle_errors: ['42900', Access Denied]\n"
                            "captures: {tenant: $.data.tenant}\n";

struct entry {
    struct config_provider provider;
    struct connector connector;
};

struct world {
    struct registry *registry;
    struct entry truth;
    struct sim sim;
    struct conform conform;
    char *failures; /* of the last run, a line each */
};

/* The entry of a text with more keys, which lie over it. */
static void load(const struct world *world, const char *text, const char *more,
                 struct entry *out_entry)
{
    char path[] = "/tmp/bursar-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    struct buf errors = buf_make(65536);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    /* The id is the file's name, and a name has no capitals. */
    char lower[64];
    snprintf(lower, sizeof lower, "/tmp/bursar-test-%d.yaml", (int)getpid());
    assert_int_equal(rename(path, lower), 0);
    int result = config_load_entry(lower, registry_kinds(world->registry), more, true,
                                   &out_entry->provider, &errors);
    unlink(lower);
    if (result < 0)
        fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
    buf_free(&errors);
    assert_int_equal(
        connector_make(&out_entry->provider, world->registry, true, &out_entry->connector), 0);
}

static void unload(struct entry *entry)
{
    connector_fini(&entry->connector);
    config_provider_free(&entry->provider);
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->registry = registry_new();
    registry_freeze(world->registry);
    load(world, truth, "\n", &world->truth);
    assert_int_equal(sim_init(&world->sim, &world->truth.connector), 0);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    sim_fini(&world->sim);
    unload(&world->truth);
    registry_free(world->registry);
    free(world->failures);
    free(world);
    return 0;
}

/* ---- a run without a port ----------------------------------------------------------------------- */

static void take_headers(const struct sim_reply *from, struct http_reply *to)
{
    to->headers = buf_make_secret(65536);
    to->body = buf_make_secret(1 << 20);
    buf_append(&to->headers, from->headers.data, from->headers.len);
    buf_append(&to->body, from->body.data, from->body.len);
}

static int send_directly(void *context, struct call_request *request, long timeout_ms,
                         struct http_reply *out_reply)
{
    struct world *world = context;
    (void)timeout_ms;
    buf_append_string(&request->headers, "User-Agent: test");
    buf_append_byte(&request->headers, 0);
    const struct sim_request seen = {request->method, buf_text(&request->url),
                                     buf_text(&request->headers), buf_text(&request->body)};
    struct sim_reply reply = sim_answer(&world->sim, &seen, world->conform.provider_now);
    *out_reply = (struct http_reply){.end = EXCHANGE_LOST};
    if (reply.end == SIM_END_WHOLE) {
        out_reply->end = EXCHANGE_REPLY;
        out_reply->status = reply.status;
        take_headers(&reply, out_reply);
    }
    sim_reply_free(&reply);
    call_request_free(request);
    return 0;
}

static void note(void *context, const char *name, const char *failure)
{
    struct world *world = context;
    char *longer = NULL;
    if (!failure)
        return;
    assert_true(
        asprintf(&longer, "%s%s: %s\n", world->failures ? world->failures : "", name, failure) > 0);
    free(world->failures);
    world->failures = longer;
}

static struct conform *begin(struct world *world, const struct connector *connector)
{
    free(world->failures);
    world->failures = NULL;
    world->conform = (struct conform){.connector = connector,
                                      .sim = &world->sim,
                                      .send = send_directly,
                                      .send_context = world,
                                      .tell = note,
                                      .context = world,
                                      .now = NOW};
    return &world->conform;
}

static void run(struct world *world, const struct connector *connector)
{
    assert_int_equal(conform_run(begin(world, connector)), 0);
}

/* ---- conformance -------------------------------------------------------------------------------- */

static void test_right_entry(void **state)
{
    struct world *world = *state;
    run(world, &world->truth.connector);
    if (world->failures)
        fail_msg("%s", world->failures);
    assert_int_equal(world->conform.failed, 0);
    assert_true(world->conform.passed > 50);
}

/* An entry that differs from its provider in one thing fails in the case that shows it. */
static void test_wrong_entries(void **state)
{
    static const struct {
        const char *more, *failure; /* part of a line */
    } cases[] = {
        {"access_token_path: $.access_token\n", "refresh: expected: a new secret"},
        {"refresh_token_path: $.refresh_token\n", "refresh: the new refresh token was not read"},
        {"expires_path: $.data.expires_in\n", "refresh: the secret ends in "},
        {"expires_unit: ms\n", "refresh: the secret "},
        {"scope_path: $.scope\n", "scopes with blanks: the scopes were not read"},
        {"captures: {tenant: $.tenant}\n", "refresh: the capture \"tenant\" was not kept"},
        {"captures: {}\n", "refresh: the capture \"tenant\" was not kept"},
        {"error_path: $.error\n", "a dead grant: expected: a dead grant"},
        {"error_subcode_path: $.subcode\n", "reauth_errors: 40002/7: expected: a dead grant"},
        {"success: ['$.code == 1']\n", "refresh: expected: a new secret"},
        {"success: ['$.code != 1']\n", "a dead grant: expected: a dead grant"},
        {"rotation: none\n", "the connection ends before the reply: expected: an uncertain end"},
        {"rotation: reuse_grace\n", "a page with HTTP 200: expected: an uncertain end"},
        {"reauth_errors: ['40001']\n", "reauth_errors: 40002/7: expected: a dead grant"},
        {"client_errors: []\n", "client_errors: 40101: expected: a refused client"},
        {"throttle_errors: ['42900']\n", "throttle_errors: Access Denied: expected: a throttle"},
        {"transient_errors: ['50000', '40101']\n", "client_errors: 40101"},
        {"client_auth: client_secret_basic\n", "the provider refuses the request"},
        {"client_secret: other\n", "refresh: the provider refuses the request: the parameter"},
        {"parameter_names: {client_id: client_id}\n", "the parameter \"client_key\" is missing"},
        {"body_format: json\n", "is missing in the form"},
        {"token_method: GET\nbody_format: query\n", "the method is GET, not POST"},
        {"headers: {}\n", "the header \"X-Version\" is missing"},
        {"headers: {X-Version: '3'}\n", "the header \"X-Version\" has another value"},
        {"refresh_params: {}\n", "the parameter \"audience\" of refresh_params is missing"},
        {"refresh_grant_type: refresh\n", "the parameter \"grant_type\" has another value"},
        {"code_grant_type: code\n", "the exchange of a code: the provider refuses the request"},
        {"refresh_url: https://id.example/token\n", "the refresh went to token_url"},
        {"token_url: https://id.example/tokens\n", "no endpoint of the entry is at this URL"},
        {"revoke_url: https://id.example/token/revoke\n", "a revocation: the provider refuses"},
        {"identity_path: $.id\n", "whose token it is: expected: all is well"},
        {"apply: [{in: header, name: Authorization, value: 'Token {access_token}'}]\n",
         "whose token it is: the provider refuses the request"},
        {"device_url: https://id.example/token\n", "consent on a second device: "},
        {"pkce: none\n", "the parameter \"code_verifier\" is missing"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct entry wrong;
        load(world, truth, cases[i].more, &wrong);
        run(world, &wrong.connector);
        if (!world->failures || !strstr(world->failures, cases[i].failure))
            fail_msg("%snot found: %s\n%s", cases[i].more, cases[i].failure,
                     world->failures ? world->failures : "nothing failed");
        assert_true(world->conform.failed > 0);
        unload(&wrong);
    }
}

/* No failure shows what was in a request or a reply. */
static void test_no_secrets(void **state)
{
    static const char *const secrets[] = {"s:cr%t", "at.0", "rt.0", "s%3Acr", "code.0", "device."};
    struct world *world = *state;
    struct entry wrong;
    load(world, truth,
         "access_token_path: $.token\nclient_auth: client_secret_basic\nbody_format: query\n",
         &wrong);
    run(world, &wrong.connector);
    assert_non_null(world->failures);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        assert_null(strstr(world->failures, secrets[i]));
    unload(&wrong);
}

/* An entry whose words cannot be true together, and one that lists a code twice, fail by themselves. */
static void test_contradictions(void **state)
{
    static const struct {
        const char *more, *failure;
    } cases[] = {
        {"success: ['$.code == 0', '$.code == 1']\n", "cannot be true together"},
        {"transient_errors: ['40001']\n", "reauth_errors: 40001: expected: a dead grant"},
        {"reauth_errors: ['40001', HTTP 429]\n", "HTTP 429 asks to wait"},
        {"throttle_errors: ['40101']\n", "client_errors: 40101: expected: a refused client"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct entry entry;
        struct sim kept = world->sim;
        load(world, truth, cases[i].more, &entry);
        assert_int_equal(sim_init(&world->sim, &entry.connector), 0);
        run(world, &entry.connector);
        if (!world->failures || !strstr(world->failures, cases[i].failure))
            fail_msg("%snot found: %s\n%s", cases[i].more, cases[i].failure,
                     world->failures ? world->failures : "nothing failed");
        sim_fini(&world->sim);
        world->sim = kept;
        unload(&entry);
    }
}

static void test_quirks(void **state)
{
    static const struct {
        const char *quirk, *more;
    } wrong[] = {{"rotation_strict", "rotation: none\n"},
                 {"reuse_grace", "rotation: strict\n"},
                 {"never_rotates", "rotation: strict\n"},
                 {"error_in_200", "success: ['$.code exists']\n"},
                 {"throttle_text", "throttle_errors: []\n"},
                 {"user_agent", "\n"},
                 {"get_method", "\n"},
                 {"absolute_end", "\n"},
                 {"minimum_age", "default_ttl_s: 7200\n"},
                 {"access_token_exchange", "\n"},
                 {"dead_by_text", "\n"},
                 {"second_grant", "\n"},
                 {"redirect_uri_left_out", "\n"},
                 {"redirect_uri_left_out", "send_redirect_uri: none\n"},
                 {"authorize_fragment", "\n"},
                 {"callback_scope", "\n"},
                 {"client_secret_rollover", "\n"},
                 {"wrong_invalid_grant", "\n"}};
    struct world *world = *state;
    assert_int_equal(conform_quirk(begin(world, &world->truth.connector), "no_such"),
                     BURSAR_E_NOT_FOUND);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct entry entry;
        load(world, truth, wrong[i].more, &entry);
        assert_int_equal(sim_init(&world->sim, &world->truth.connector), 0);
        assert_int_equal(conform_quirk(begin(world, &entry.connector), wrong[i].quirk), 0);
        if (world->conform.failed != 1)
            fail_msg("%s passes with %s", wrong[i].quirk, wrong[i].more);
        sim_fini(&world->sim);
        unload(&entry);
    }
    assert_int_equal(sim_init(&world->sim, &world->truth.connector), 0);
    assert_int_equal(conform_quirk(begin(world, &world->truth.connector), "rotation_strict"), 0);
    assert_int_equal(world->conform.passed, 1);
}

/* ---- the provider itself ------------------------------------------------------------------------ */

static struct sim_reply refresh_with(struct world *world, const char *token, int64_t now)
{
    struct buf body = buf_make_secret(4096);
    static const char headers[] = "Host: id.example\0User-Agent: test\0X-Version: 2\0"
                                  "Content-Type: application/x-www-form-urlencoded\0";
    buf_append_string(&body, "grant_type=refresh_token&client_key=cli+ent%2B1&client_secret="
                             "s%3Acr%25t%2F%2B%3D&audience=https%3A%2F%2Fapi.example%2F"
                             "&refresh_token=");
    buf_append_form(&body, text_of(token));
    const struct sim_request request = {
        "POST", TEXT_LITERAL("/refresh"), {headers, sizeof headers - 1}, buf_text(&body)};
    struct sim_reply reply = sim_answer(&world->sim, &request, now);
    buf_free(&body);
    return reply;
}

/* Whether a refresh with the token goes well; the code of a refusal is that of a dead grant. */
static bool refreshes(struct world *world, const char *token, int64_t now)
{
    struct sim_reply reply = refresh_with(world, token, now);
    struct text body = buf_text(&reply.body);
    json_t *root = json_loadb(body.data, body.len, 0, NULL);
    int64_t code = json_integer_value(json_object_get(root, "code"));
    assert_string_equal(world->sim.problem, "");
    assert_true(root && (code == 0 || code == 40001));
    json_decref(root);
    sim_reply_free(&reply);
    return code == 0;
}

/* The newest tokens of a grant, as they are now. */
static struct sim_grant grant_of(const struct world *world, size_t index)
{
    return world->sim.grants[index];
}

static void test_strict_rotation(void **state)
{
    struct world *world = *state;
    size_t index = sim_consent(&world->sim, NOW);
    struct sim_grant first = grant_of(world, index);
    assert_true(refreshes(world, first.refresh_token, NOW + 10));
    struct sim_grant second = grant_of(world, index);
    assert_string_not_equal(first.refresh_token, second.refresh_token);
    assert_string_not_equal(first.access_token, second.access_token);
    assert_true(refreshes(world, second.refresh_token, NOW + 20));
    struct sim_grant third = grant_of(world, index);
    assert_false(refreshes(world, first.refresh_token, NOW + 21));
    /* The family is gone, the newest token too. */
    assert_false(refreshes(world, third.refresh_token, NOW + 22));
    assert_int_equal(grant_of(world, index).refused, 2);
    assert_int_equal(grant_of(world, index).refreshed, 2);
    /* Another grant is not. */
    size_t other = sim_consent(&world->sim, NOW);
    assert_true(refreshes(world, grant_of(world, other).refresh_token, NOW + 30));
    assert_false(refreshes(world, "rt.77.1/+%=", NOW));
    assert_false(refreshes(world, "rt.0.99/+%=", NOW));
}

static void test_grace(void **state)
{
    struct world *world = *state;
    world->sim.rotation = ROTATION_REUSE_GRACE;
    world->sim.reuse_grace_s = 30;
    size_t index = sim_consent(&world->sim, NOW);
    struct sim_grant first = grant_of(world, index);
    assert_true(refreshes(world, first.refresh_token, NOW));
    assert_true(refreshes(world, first.refresh_token, NOW + 30));
    assert_int_equal(grant_of(world, index).replayed, 1);
    assert_false(refreshes(world, first.refresh_token, NOW + 31));
    assert_false(grant_of(world, index).is_alive);
}

static void test_no_rotation(void **state)
{
    struct world *world = *state;
    world->sim.rotation = ROTATION_NONE;
    size_t index = sim_consent(&world->sim, NOW);
    struct sim_grant first = grant_of(world, index);
    for (int i = 0; i < 3; i++)
        assert_true(refreshes(world, first.refresh_token, NOW + i));
    assert_string_equal(grant_of(world, index).refresh_token, first.refresh_token);
    assert_int_equal(grant_of(world, index).generation, 4);
}

static void test_too_early(void **state)
{
    struct world *world = *state;
    world->sim.minimum_age_s = 86400;
    size_t index = sim_consent(&world->sim, NOW);
    struct sim_reply reply = refresh_with(world, grant_of(world, index).refresh_token, NOW + 86399);
    assert_string_equal(world->sim.problem, "the refresh comes too early");
    sim_reply_free(&reply);
    world->sim.problem[0] = 0;
    assert_true(refreshes(world, grant_of(world, index).refresh_token, NOW + 86400));
}

/* A lost reply has rotated all the same. */
static void test_lost_reply(void **state)
{
    struct world *world = *state;
    const struct sim_play lost = {.fault = SIM_LOST};
    size_t index = sim_consent(&world->sim, NOW);
    struct sim_grant first = grant_of(world, index);
    assert_true(sim_script(&world->sim, &lost));
    struct sim_reply reply = refresh_with(world, first.refresh_token, NOW);
    assert_int_equal(reply.end, SIM_END_NONE);
    sim_reply_free(&reply);
    assert_int_equal(grant_of(world, index).generation, 2);
    assert_false(refreshes(world, first.refresh_token, NOW + 1));
}

static void test_scenarios(void **state)
{
    struct world *world = *state;
    char *names = strdup(sim_scenario_names), *rest = names;
    size_t count = 0;
    assert_null(sim_scenario_of("no-such"));
    assert_string_equal(sim_scenario_of(NULL)->name, "fine");
    for (char *name; (name = strsep(&rest, ","));) {
        name += strspn(name, " ");
        const struct sim_scenario *scenario = sim_scenario_of(name);
        assert_non_null(scenario);
        assert_string_equal(scenario->name, name);
        sim_reset(&world->sim);
        sim_scenario_start(scenario, &world->sim);
        struct sim_grant grant = grant_of(world, sim_consent(&world->sim, NOW));
        struct sim_reply reply = refresh_with(world, grant.refresh_token, NOW);
        assert_true(reply.status > 0);
        sim_reply_free(&reply);
        count++;
    }
    free(names);
    assert_true(count > 10);
}

/* ---- bodies ------------------------------------------------------------------------------------- */

static char *written(const json_t *root, enum sim_format format)
{
    struct buf out = buf_make(65536);
    bool is_ok = sim_body_write(root, format, &out);
    char *text = is_ok ? buf_take_string(&out) : NULL;
    buf_free(&out);
    return text;
}

static void test_bodies(void **state)
{
    json_t *root = NULL;
    char *text;
    (void)state;
    assert_true(sim_body_put(&root, TEXT_LITERAL("$.a.b[1].c"), 0, json_integer(5), false));
    assert_false(sim_body_put(&root, TEXT_LITERAL("$.a.b[1].c"), 0, json_integer(6), false));
    assert_true(sim_body_put(&root, TEXT_LITERAL("$.a.b[1].c"), 0, json_integer(7), true));
    assert_false(sim_body_put(&root, TEXT_LITERAL("$.a.b.c"), 0, json_integer(8), true));
    assert_true(sim_body_put(&root, TEXT_LITERAL("$.x | $.a.d"), 1, json_string("<&>"), true));
    text = written(root, SIM_JSON);
    assert_string_equal(text, "{\"a\":{\"b\":[null,{\"c\":7}],\"d\":\"<&>\"}}");
    free(text);
    text = written(root, SIM_XML);
    assert_string_equal(text, "<a><b></b><b><c>7</c></b><d>&lt;&amp;&gt;</d></a>");
    free(text);
    assert_null(written(root, SIM_FORM));
    json_decref(root);
    root = json_pack("{s:s,s:i,s:n}", "t", "a b&c", "n", 3, "null");
    text = written(root, SIM_FORM);
    assert_string_equal(text, "t=a+b%26c&n=3");
    free(text);
    text = written(root, SIM_JSONP);
    assert_string_equal(text, "callback( {\"t\":\"a b&c\",\"n\":3,\"null\":null} );");
    free(text);
    json_decref(root);
}

static void test_predicates(void **state)
{
    static const char *const predicates[] = {"$.a.ok == true", "$.code == 0",    "$.s == \"x\"",
                                             "$.s != \"0\"",   "$.r != false",   "$.u.id != null",
                                             "$.t exists",     "$.error absent", "$.n == null"};
    (void)state;
    for (size_t i = 0; i < sizeof predicates / sizeof predicates[0]; i++) {
        json_t *root = json_object();
        char *text;
        assert_true(sim_body_satisfy(&root, text_of(predicates[i])));
        text = written(root, SIM_JSON);
        if (!sim_body_holds(text_of(text), text_of(predicates[i])))
            fail_msg("%s is not true of %s", predicates[i], text);
        free(text);
        assert_true(sim_body_break(&root, text_of(predicates[i]), NULL));
        text = written(root, SIM_JSON);
        if (sim_body_holds(text_of(text), text_of(predicates[i])))
            fail_msg("%s is true of %s", predicates[i], text);
        free(text);
        json_decref(root);
    }
}

static void test_templates(void **state)
{
    static const struct sim_known known[] = {{"id", {"a/b", 3}}, {NULL, {NULL, 0}}};
    static const struct {
        const char *template, *text;
        bool is_url, matches;
    } cases[] = {
        {"https://{shop}.example/x", "https://s-1.example/x", true, true},
        {"https://{shop}.example/x", "https://s/1.example/x", true, false},
        {"{base}/token", "https://any.example/v1/token", true, true},
        {"/apps/{id}/grant", "/apps/a%2Fb/grant", true, true},
        {"/apps/{id}/grant", "/apps/a/b/grant", true, false},
        {"Zoho {id}", "Zoho a/b", false, true},
        {"Zoho {id}", "Zoho a", false, false},
        {"{{literal}", "{literal}", false, true},
        {"{x}{y}", "ab", false, true},
        {"{x}", "", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sim_matches(text_of(cases[i].template), text_of(cases[i].text), cases[i].is_url,
                        known) != cases[i].matches)
            fail_msg("%s and %s", cases[i].template, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right_entry, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_wrong_entries, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_no_secrets, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_contradictions, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_quirks, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_strict_rotation, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_grace, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_no_rotation, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_too_early, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_lost_reply, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_scenarios, open_world, close_world),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_predicates),
        cmocka_unit_test(test_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
