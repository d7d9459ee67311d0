/* Discovery: addresses of documents, what is believed of them, registrations and entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/discovery.h"

enum { MAX = 1 << 16 };

/* ---- addresses ------------------------------------------------------------------------------------ */

static const struct address {
    enum discovery_place place;
    const char *identifier, *url; /* NULL: refused */
} addresses[] = {
    {DISCOVERY_RESOURCE, "https://r.example",
     "https://r.example/.well-known/oauth-protected-resource"},
    {DISCOVERY_RESOURCE, "https://r.example/",
     "https://r.example/.well-known/oauth-protected-resource"},
    {DISCOVERY_RESOURCE, "https://r.example:8443/mcp/v1",
     "https://r.example:8443/.well-known/oauth-protected-resource/mcp/v1"},
    {DISCOVERY_OAUTH, "https://as.example/tenant1/",
     "https://as.example/.well-known/oauth-authorization-server/tenant1"},
    {DISCOVERY_OPENID_INSERTED, "https://as.example/tenant1",
     "https://as.example/.well-known/openid-configuration/tenant1"},
    {DISCOVERY_OPENID_APPENDED, "https://as.example/tenant1",
     "https://as.example/tenant1/.well-known/openid-configuration"},
    {DISCOVERY_OPENID_APPENDED, "https://as.example/",
     "https://as.example/.well-known/openid-configuration"},
    {DISCOVERY_OAUTH, "http://127.0.0.1:1/a",
     "http://127.0.0.1:1/.well-known/oauth-authorization-server/a"},
    {DISCOVERY_OAUTH, "http://as.example/a", NULL},
    {DISCOVERY_OAUTH, "https://as.example/a?b=c", NULL},
    {DISCOVERY_OAUTH, "https://as.example/a#b", NULL},
    {DISCOVERY_OAUTH, "https://u@as.example/", NULL},
    {DISCOVERY_OAUTH, "as.example", NULL},
    {DISCOVERY_OAUTH, "", NULL},
};

static void makes_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct buf out = buf_make(MAX);
        int result = discovery_url(addresses[i].place, text_of(addresses[i].identifier), &out);
        assert_int_equal(result, addresses[i].url ? 0 : BURSAR_E_BAD_REQUEST);
        if (addresses[i].url)
            assert_string_equal((const char *)out.data, addresses[i].url);
        buf_free(&out);
    }
}

static void reads_challenges(void **state)
{
    static const struct {
        const char *header, *url;
    } rows[] = {
        {"Bearer resource_metadata=\"https://r.example/m\"", "https://r.example/m"},
        {"Bearer error=\"x\", Resource_Metadata=\"https://r.example/m\", a=b",
         "https://r.example/m"},
        {"Bearer resource_metadata=https://r.example/m, a=b", "https://r.example/m"},
        {"Bearer resource_metadata=\"a\\\"b\"", "a\"b"},
        {"Bearer realm=\"resource_metadata=https://evil.example/\"", NULL},
        {"Bearer realm=\"\\\"resource_metadata=https://evil.example/\"", NULL},
        {"Bearer realm=\"a\", resource_metadata=\"open", NULL},
        {"Bearer xresource_metadata=\"https://r.example/m\"", NULL},
        {"Bearer resource_metadata=", NULL},
        {"Bearer", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = buf_make(MAX);
        assert_int_equal(discovery_challenge(text_of(rows[i].header), &out), rows[i].url != NULL);
        if (rows[i].url)
            assert_string_equal((const char *)out.data, rows[i].url);
        buf_free(&out);
    }
}

/* ---- documents ------------------------------------------------------------------------------------ */

struct fixture {
    struct discovery_document document;
    struct buf error;
};

static int parse(struct fixture *fixture, const char *json)
{
    fixture->error = buf_make(MAX);
    return discovery_parse(text_of(json), &fixture->document, &fixture->error);
}

static void end(struct fixture *fixture)
{
    discovery_document_free(&fixture->document);
    buf_free(&fixture->error);
}

static void parses_objects_alone(void **state)
{
    static const char *const wrong[] = {"",        "[]", "\"a\"", "null", "{", "<html></html>",
                                        "{\"a\":}"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fixture fixture = {.error = {0}};
        assert_int_equal(parse(&fixture, wrong[i]), BURSAR_E_BAD_REQUEST);
        assert_true(fixture.error.len > 0);
        end(&fixture);
    }
}

#define SERVERS ",\"authorization_servers\":[\"https://as.example\"]"

static void reads_resources(void **state)
{
    static const struct {
        const char *json, *problem;
    } rows[] = {
        {"{\"resource\":\"https://r.example/mcp\"" SERVERS "}", NULL},
        {"{\"resource\":\"https://r.example/mcp\"" SERVERS ",\"scopes_supported\":[\"a\",1,\"b\"]}",
         NULL},
        {"{\"resource\":\"https://r.example/mcp/\"" SERVERS "}",
         "resource is another one than was asked about (RFC 9728 section 3.3)"},
        {"{\"resource\":\"https://evil.example\"" SERVERS "}",
         "resource is another one than was asked about (RFC 9728 section 3.3)"},
        {"{\"resource\":\"http://r.example/mcp\"" SERVERS "}",
         "resource must be https (http on loopback only with connectors.allow_http_loopback)"},
        {"{\"authorization_servers\":[\"https://as.example\"]}", "resource is missing"},
        {"{\"resource\":1" SERVERS "}", "resource is missing"},
        {"{\"resource\":\"https://r.example/mcp\"}", "authorization_servers names none"},
        {"{\"resource\":\"https://r.example/mcp\",\"authorization_servers\":\"https://as\"}",
         "authorization_servers names none"},
        {"{\"resource\":\"https://r.example/mcp\",\"authorization_servers\":[\"file:///x\"]}",
         "authorization_servers must be an absolute URL that begins with https://"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture;
        struct discovery_resource resource;
        assert_int_equal(parse(&fixture, rows[i].json), 0);
        int result = discovery_read_resource(&fixture.document, text_of("https://r.example/mcp"),
                                             false, &resource, &fixture.error);
        assert_int_equal(result, rows[i].problem ? BURSAR_E_BAD_REQUEST : 0);
        if (rows[i].problem)
            assert_string_equal((const char *)fixture.error.data, rows[i].problem);
        else
            assert_true(text_is(resource.servers.items[0], "https://as.example"));
        end(&fixture);
    }
}

#define ISSUER "{\"issuer\":\"https://as.example\""
#define TOKEN ",\"token_endpoint\":\"https://as.example/token\""
#define AUTHORIZE ",\"authorization_endpoint\":\"https://as.example/auth\""

static void refuses_servers(void **state)
{
    static const struct {
        const char *json, *problem;
    } rows[] = {
        {"{}", "issuer is another one than was asked about (RFC 8414 section 3.3)"},
        {"{\"issuer\":\"https://as.example/\"" TOKEN AUTHORIZE "}",
         "issuer is another one than was asked about (RFC 8414 section 3.3)"},
        {"{\"issuer\":\"https://as.example.evil\"" TOKEN AUTHORIZE "}",
         "issuer is another one than was asked about (RFC 8414 section 3.3)"},
        {ISSUER AUTHORIZE "}", "token_endpoint is missing"},
        {ISSUER TOKEN "}", "authorization_endpoint is missing"},
        {ISSUER AUTHORIZE ",\"token_endpoint\":\"http://as.example/token\"}",
         "token_endpoint must be https (http on loopback only with connectors.allow_http_loopback)"},
        {ISSUER TOKEN AUTHORIZE ",\"userinfo_endpoint\":\"https://{access_token}.evil/\"}",
         "userinfo_endpoint has characters that a URL cannot have: percent-encode them"},
        {ISSUER TOKEN AUTHORIZE ",\"revocation_endpoint\":\"https://a:b@as.example/\"}",
         "revocation_endpoint must not have a user or password in the URL"},
        {ISSUER TOKEN AUTHORIZE ",\"token_endpoint_auth_methods_supported\":[\"magic\"]}",
         "token_endpoint_auth_methods_supported has none that bursar knows"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture;
        struct discovery_server server;
        assert_int_equal(parse(&fixture, rows[i].json), 0);
        assert_int_equal(discovery_read_server(&fixture.document, text_of("https://as.example"),
                                               false, &server, &fixture.error),
                         BURSAR_E_BAD_REQUEST);
        assert_string_equal((const char *)fixture.error.data, rows[i].problem);
        end(&fixture);
    }
}

static void chooses_what_both_can(void **state)
{
    static const struct {
        const char *members, *auth, *pkce;
        bool has_iss;
    } rows[] = {
        {"", "client_secret_basic", "s256", false},
        {",\"token_endpoint_auth_methods_supported\":[\"none\",\"client_secret_post\"]",
         "client_secret_post", "s256", false},
        {",\"token_endpoint_auth_methods_supported\":[\"none\"]", "none", "s256", false},
        {",\"code_challenge_methods_supported\":[\"plain\",\"S256\"]", "client_secret_basic",
         "s256", false},
        {",\"code_challenge_methods_supported\":[\"plain\"]", "client_secret_basic", "plain",
         false},
        {",\"code_challenge_methods_supported\":[\"x\"]", "client_secret_basic", "none", false},
        {",\"authorization_response_iss_parameter_supported\":true", "client_secret_basic", "s256",
         true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture;
        struct discovery_server server;
        char json[1024];
        snprintf(json, sizeof json, ISSUER TOKEN AUTHORIZE "%s}", rows[i].members);
        assert_int_equal(parse(&fixture, json), 0);
        assert_int_equal(discovery_read_server(&fixture.document, text_of("https://as.example"),
                                               false, &server, &fixture.error),
                         0);
        assert_true(text_is(server.client_auth, rows[i].auth));
        assert_true(text_is(server.pkce, rows[i].pkce));
        assert_int_equal(server.has_iss, rows[i].has_iss);
        end(&fixture);
    }
}

/* ---- registration --------------------------------------------------------------------------------- */

static void writes_registrations(void **state)
{
    struct discovery_server server = {.client_auth = TEXT_LITERAL("client_secret_basic")};
    struct buf out = buf_make(MAX);
    (void)state;
    discovery_write_registration(&server, TEXT_LITERAL("http://127.0.0.1:8400/cb"),
                                 TEXT_LITERAL("bursar \"x\""), (struct text){NULL, 0}, &out);
    assert_string_equal(
        (const char *)out.data,
        "{\"client_name\":\"bursar \\\"x\\\"\",\"redirect_uris\":[\"http://127.0.0.1:8400/cb\"],"
        "\"grant_types\":[\"authorization_code\",\"refresh_token\"],\"response_types\":[\"code\"],"
        "\"token_endpoint_auth_method\":\"client_secret_basic\",\"application_type\":\"native\"}");
    buf_clear(&out);
    server.device_url = TEXT_LITERAL("https://as.example/device");
    server.id_token_alg = TEXT_LITERAL("ES256");
    discovery_write_registration(&server, TEXT_LITERAL("https://app.example/cb"), TEXT_LITERAL("n"),
                                 TEXT_LITERAL("a b"), &out);
    assert_string_equal(
        (const char *)out.data,
        "{\"client_name\":\"n\",\"redirect_uris\":[\"https://app.example/cb\"],"
        "\"grant_types\":[\"authorization_code\",\"refresh_token\","
        "\"urn:ietf:params:oauth:grant-type:device_code\"],\"response_types\":[\"code\"],"
        "\"token_endpoint_auth_method\":\"client_secret_basic\",\"application_type\":\"web\","
        "\"id_token_signed_response_alg\":\"ES256\","
        "\"scope\":\"a b\"}");
    buf_free(&out);
}

static void reads_registrations(void **state)
{
    static const struct {
        const char *json, *problem;
    } rows[] = {
        {"{\"client_id\":\"c\",\"client_secret\":\"s\",\"client_secret_expires_at\":9}", NULL},
        {"{\"error\":\"invalid_redirect_uri\",\"error_description\":\"not there\"}",
         "invalid_redirect_uri: not there"},
        {"{\"error\":\"a\\u001bb\"}", ""},
        {"{}", "client_id is missing"},
        {"{\"client_id\":\"\"}", "client_id is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture;
        struct discovery_client client;
        assert_int_equal(parse(&fixture, rows[i].json), 0);
        int result = discovery_read_registration(&fixture.document, &client, &fixture.error);
        assert_int_equal(result, rows[i].problem ? BURSAR_E_BAD_REQUEST : 0);
        if (rows[i].problem)
            assert_int_equal(text_compare(buf_text(&fixture.error), text_of(rows[i].problem)), 0);
        else
            assert_int_equal(client.secret_expires_at, 9);
        end(&fixture);
    }
}

/* ---- entries -------------------------------------------------------------------------------------- */

static void makes_ids(void **state)
{
    static const char *const rows[][2] = {{"https://api.Example.com/x", "api-example-com"},
                                          {"http://127.0.0.1:8400", "127-0-0-1-8400"},
                                          {"https://[::1]:1/", "1-1"},
                                          {"nothing", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = buf_make(MAX);
        discovery_id(text_of(rows[i][0]), &out);
        assert_int_equal(text_compare(buf_text(&out), text_of(rows[i][1])), 0);
        buf_free(&out);
    }
}

static void writes_entries(void **state)
{
    const struct discovery_resource resource = {
        .resource = TEXT_LITERAL("https://r.example/mcp"),
        .scopes = {{TEXT_LITERAL("read"), TEXT_LITERAL("a${file:/x}")}, 2}};
    const struct discovery_server server = {.issuer = TEXT_LITERAL("https://as.example"),
                                            .authorize_url =
                                                TEXT_LITERAL("https://as.example/auth"),
                                            .token_url = TEXT_LITERAL("https://as.example/token"),
                                            .client_auth = TEXT_LITERAL("client_secret_post"),
                                            .pkce = TEXT_LITERAL("s256"),
                                            .has_iss = true};
    const struct discovery_client client = {.client_id = TEXT_LITERAL("c: \"x\""),
                                            .client_secret = TEXT_LITERAL("${env:HOME}\n#"),
                                            .secret_expires_at = 99,
                                            .management_url = TEXT_LITERAL("https://as.example/r"),
                                            .management_token = TEXT_LITERAL("t\n  evil: 1")};
    const struct discovery_entry whole = {
        &server, &resource, &client, TEXT_LITERAL("http://127.0.0.1:8400/cb"), {NULL, 0}};
    const struct discovery_entry bare = {&server, NULL, NULL, {NULL, 0}, TEXT_LITERAL("x  y")};
    struct buf out = buf_make_secret(MAX);
    (void)state;
    discovery_write_entry(&whole, TEXT_LITERAL("r-example"), &out);
    assert_string_equal((const char *)out.data,
                        "r-example:\n"
                        "  kind: \"oauth2_authorization_code\"\n"
                        "  issuer: \"https://as.example\"\n"
                        "  require_iss: true\n"
                        "  authorize_url: \"https://as.example/auth\"\n"
                        "  token_url: \"https://as.example/token\"\n"
                        "  client_id: \"c: \\\"x\\\"\"\n"
                        "  client_secret: \"$${env:HOME}\\n#\"\n"
                        "  # the secret ends at 99, seconds since 1970\n"
                        "  client_auth: \"client_secret_post\"\n"
                        "  pkce: \"s256\"\n"
                        "  redirect_uris: [\"http://127.0.0.1:8400/cb\"]\n"
                        "  scopes: [\"read\", \"a$${file:/x}\"]\n"
                        "  authorize_params: {resource: \"https://r.example/mcp\"}\n"
                        "  token_params: {resource: \"https://r.example/mcp\"}\n"
                        "  refresh_params: {resource: \"https://r.example/mcp\"}\n"
                        "  # To change or end this registration (RFC 7592):\n"
                        "  #   \"https://as.example/r\"\n"
                        "  #   \"t\\n  evil: 1\"\n");
    buf_clear(&out);
    discovery_write_entry(&bare, TEXT_LITERAL("as"), &out);
    assert_string_equal((const char *)out.data, "as:\n"
                                                "  kind: \"oauth2_authorization_code\"\n"
                                                "  issuer: \"https://as.example\"\n"
                                                "  require_iss: true\n"
                                                "  authorize_url: \"https://as.example/auth\"\n"
                                                "  token_url: \"https://as.example/token\"\n"
                                                "  client_id: \"\" # as the provider gives it\n"
                                                "  # client_secret: ${secret:NAME}\n"
                                                "  client_auth: \"client_secret_post\"\n"
                                                "  pkce: \"s256\"\n"
                                                "  redirect_uris: []\n"
                                                "  scopes: [\"x\", \"y\"]\n");
    buf_free(&out);
}

static void a_public_client_has_no_secret(void **state)
{
    const struct discovery_server server = {.issuer = TEXT_LITERAL("https://as.example"),
                                            .device_url = TEXT_LITERAL("https://as.example/d"),
                                            .token_url = TEXT_LITERAL("https://as.example/token"),
                                            .client_auth = TEXT_LITERAL("client_secret_basic"),
                                            .pkce = TEXT_LITERAL("s256")};
    const struct discovery_client client = {.client_id = TEXT_LITERAL("c")};
    const struct discovery_entry entry = {&server, NULL, &client, {NULL, 0}, {NULL, 0}};
    struct buf out = buf_make(MAX);
    (void)state;
    discovery_write_entry(&entry, TEXT_LITERAL("as"), &out);
    assert_non_null(strstr((const char *)out.data, "kind: \"oauth2_device\"\n"));
    assert_non_null(strstr((const char *)out.data, "client_auth: \"none\"\n"));
    assert_null(strstr((const char *)out.data, "client_secret"));
    assert_null(strstr((const char *)out.data, "redirect_uris"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_addresses),
        cmocka_unit_test(reads_challenges),
        cmocka_unit_test(parses_objects_alone),
        cmocka_unit_test(reads_resources),
        cmocka_unit_test(refuses_servers),
        cmocka_unit_test(chooses_what_both_can),
        cmocka_unit_test(writes_registrations),
        cmocka_unit_test(reads_registrations),
        cmocka_unit_test(makes_ids),
        cmocka_unit_test(writes_entries),
        cmocka_unit_test(a_public_client_has_no_secret),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
