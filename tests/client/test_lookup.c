#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/client.h>

#include "fake_client.h"

/* ---- kinds ----------------------------------------------------------------------------------- */

static void test_kinds(void **state)
{
    static const struct {
        enum bursar_kind kind;
        const char *name;
        struct bursar_part parts[2];
        size_t values[2]; /* where they are found */
    } cases[] = {
#define AT(member) offsetof(struct bursar_credential, member)
        {BURSAR_KIND_OAUTH2,
         "oauth2",
         {{"access_token", "1"}, {"token_type", "2"}},
         {AT(oauth2.access_token), AT(oauth2.token_type)}},
        {BURSAR_KIND_API_KEY,
         "api_key",
         {{"api_key", "1"}, {"api_secret", "2"}},
         {AT(api_key.key), AT(api_key.secret)}},
        {BURSAR_KIND_BASIC,
         "basic",
         {{"username", "1"}, {"password", "2"}},
         {AT(basic.username), AT(basic.password)}},
        {BURSAR_KIND_BEARER,
         "bearer",
         {{"token", "1"}, {"extra", "2"}},
         {AT(bearer.token), AT(bearer.token)}},
        {BURSAR_KIND_HEADER,
         "header",
         {{"name", "1"}, {"value", "2"}},
         {AT(header.name), AT(header.value)}},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    (void)state;
    assert_int_equal(COUNT, BURSAR_KIND_END - 1);
    for (int i = 0; i < COUNT; i++) {
        struct bursar_grant grant;
        struct bursar_failure failure;
        assert_int_equal(bursar_grant_make(cases[i].name, cases[i].parts, 2, &grant), 0);
        for (int kind = 0; kind < BURSAR_KIND_END; kind++) {
            struct bursar_credential credential;
            bool is_it = kind == BURSAR_KIND_ANY || kind == (int)cases[i].kind;
            assert_int_equal(
                bursar_credential_of(&grant, (enum bursar_kind)kind, &credential, &failure),
                is_it ? BURSAR_OK : BURSAR_E_KIND_MISMATCH);
            if (!is_it)
                continue;
            const char *value = NULL;
            assert_int_equal(credential.kind, cases[i].kind);
            memcpy(&value, (const char *)&credential + cases[i].values[0], sizeof value);
            assert_string_equal(value, "1");
            memcpy(&value, (const char *)&credential + cases[i].values[1], sizeof value);
            assert_string_equal(value, cases[i].kind == BURSAR_KIND_BEARER ? "1" : "2");
        }
        bursar_grant_free(&grant);
    }
    struct bursar_grant none = {0};
    struct bursar_credential credential;
    assert_int_equal(bursar_credential_of(&none, BURSAR_KIND_ANY, &credential, NULL),
                     BURSAR_E_KIND_MISMATCH);
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static void test_found(void **state)
{
    struct fake_client *fixture = *state;
    const struct bursar_lookup lookup = {.owner = "acme",
                                         .provider = "prov",
                                         .account = "a1",
                                         .account_type = "email",
                                         .kind = BURSAR_KIND_OAUTH2,
                                         .min_ttl_s = 60,
                                         .deadline_ms = 150000};
    struct bursar_grant grant;
    struct bursar_credential credential;
    assert_int_equal(bursar_lookup(fixture->client, &lookup, &grant, &credential, NULL), 0);
    assert_string_equal(credential.oauth2.access_token, "a1");
    assert_string_equal(credential.oauth2.token_type, "Bearer");
    bursar_grant_free(&grant);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"vend\",\"deadline_ms\":150000,\"owner\":\"acme\","
                        "\"provider\":\"prov\",\"account\":\"a1\",\"kind\":\"oauth2\","
                        "\"min_ttl_s\":60}");
    assert_int_equal(fake_count(fixture->fake, "connector.get"), 1);
}

static void test_answers(void **state)
{
    struct fake_client *fixture = *state;
    static const struct {
        const char *code;
        int error;
        enum bursar_answer answer;
    } cases[] = {
        {"unknown_provider", BURSAR_E_UNKNOWN_PROVIDER, BURSAR_ANSWER_UNKNOWN_KIND},
        {"kind_mismatch", BURSAR_E_KIND_MISMATCH, BURSAR_ANSWER_WRONG_TYPE},
        {"not_connected", BURSAR_E_NOT_CONNECTED, BURSAR_ANSWER_NOT_CONNECTED},
        {"needs_reauth", BURSAR_E_NEEDS_REAUTH, BURSAR_ANSWER_DEAD},
        {"provider_unavailable", BURSAR_E_PROVIDER_UNAVAILABLE, BURSAR_ANSWER_REFRESH_FAILED},
        {"rate_limited", BURSAR_E_RATE_LIMITED, BURSAR_ANSWER_REFRESH_FAILED},
        {"in_doubt", BURSAR_E_IN_DOUBT, BURSAR_ANSWER_REFRESH_FAILED},
        {"client_rejected", BURSAR_E_CLIENT_REJECTED, BURSAR_ANSWER_REFRESH_FAILED},
        {"deadline_exceeded", BURSAR_E_DEADLINE_EXCEEDED, BURSAR_ANSWER_REFRESH_FAILED},
        {"revoked", BURSAR_E_REVOKED, BURSAR_ANSWER_FAILED},
        {"forbidden", BURSAR_E_FORBIDDEN, BURSAR_ANSWER_FAILED},
        {"internal", BURSAR_E_INTERNAL, BURSAR_ANSWER_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char owner[64];
        struct bursar_grant grant = {0};
        struct bursar_credential credential = {0};
        struct bursar_failure failure;
        snprintf(owner, sizeof owner, "code:%s", cases[i].code);
        const struct bursar_lookup lookup = {.owner = owner, .provider = "prov"};
        int error = bursar_lookup(fixture->client, &lookup, &grant, &credential, &failure);
        assert_int_equal(error, cases[i].error);
        assert_int_equal(bursar_lookup_answer(error), cases[i].answer);
        assert_string_equal(failure.message, "as the test wants it");
        assert_null(grant.token);
    }
    assert_int_equal(bursar_lookup_answer(BURSAR_OK), BURSAR_ANSWER_FOUND);
    assert_int_equal(bursar_lookup_answer(BURSAR_E_NO_DAEMON), BURSAR_ANSWER_FAILED);
}

static void test_account_type(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_lookup lookup = {
        .owner = "acme", .provider = "prov", .account = "a1", .account_type = "user id"};
    struct bursar_grant grant;
    struct bursar_credential credential;
    struct bursar_failure failure;
    assert_int_equal(bursar_lookup(fixture->client, &lookup, &grant, &credential, &failure),
                     BURSAR_E_KIND_MISMATCH);
    assert_string_equal(failure.message,
                        "an account id of \"prov\" is of the type \"email\", not \"user id\"");
    lookup.provider = "bare";
    assert_int_equal(bursar_lookup(fixture->client, &lookup, &grant, &credential, &failure),
                     BURSAR_E_KIND_MISMATCH);
    assert_string_equal(failure.message, "an account id of \"bare\" is of no type that its "
                                         "connector names, not \"user id\"");
    assert_int_equal(fake_count(fixture->fake, "vend"), 0);
}

static void test_bad_lookups(void **state)
{
    struct fake_client *fixture = *state;
    static const struct bursar_lookup cases[] = {
        {.provider = "prov"},
        {.owner = "acme"},
        {.owner = "acme", .provider = "prov", .kind = BURSAR_KIND_END},
    };
    struct bursar_grant grant;
    struct bursar_credential credential;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bursar_lookup(fixture->client, &cases[i], &grant, &credential, NULL),
                         BURSAR_E_BAD_REQUEST);
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static void test_scopes(void **state)
{
    static const char *const one[] = {"admin", "write", NULL};
    static const char *const none[] = {"admin", "delete", NULL};
    static const char *const both[] = {"read", "write", NULL};
    char read[] = "read";
    char write[] = "write";
    struct bursar_grant grant = {.scopes = (char *[]){read, write, NULL}};
    struct bursar_grant empty = {.scopes = (char *[]){NULL}};
    struct bursar_grant unknown = {0};
    struct bursar_failure failure;
    (void)state;
    assert_int_equal(bursar_need_any(&grant, one, &failure), 0);
    assert_int_equal(bursar_need_any(&grant, none, &failure), BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message,
                        "needs at least one of admin, delete; granted: read, write");
    assert_false(failure.is_retryable);
    assert_int_equal(bursar_need_any(&grant, none, NULL), BURSAR_E_FORBIDDEN);
    assert_int_equal(bursar_need_all(&grant, both, &failure), 0);
    assert_int_equal(bursar_need_all(&grant, one, &failure), BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message, "needs all of admin, write; granted: read, write");
    assert_int_equal(bursar_need_any(&empty, both, &failure), BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message, "needs at least one of read, write; none is granted");
    assert_int_equal(bursar_need_any(&unknown, both, &failure), BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message,
                        "needs at least one of read, write; which are granted is not known");
    char word[3000];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = 0;
    const char *const many[] = {word, word, word, word, word, word, NULL};
    assert_int_equal(bursar_need_any(&grant, many, &failure), BURSAR_E_FORBIDDEN);
    assert_memory_equal(failure.message, "needs at least one of aaa", 25);
}

/* They stand in the secret, or else in the record; a lookup looks at both. */
static void test_lookup_scopes(void **state)
{
    struct fake_client *fixture = *state;
    static const char *const repo[] = {"repo", NULL};
    static const char *const write[] = {"admin", "write", NULL};
    static const struct {
        const char *owner;
        const char *const *any, *const *all;
        int error;
        unsigned records; /* asked for until then */
    } cases[] = {
        {"scoped", repo, NULL, BURSAR_OK, 0},
        {"scoped", write, NULL, BURSAR_E_FORBIDDEN, 0},
        {"acme", write, NULL, BURSAR_OK, 1},
        {"acme", NULL, write, BURSAR_E_FORBIDDEN, 2},
        {"acme", NULL, repo, BURSAR_E_FORBIDDEN, 3},
        {"unscoped", write, NULL, BURSAR_E_FORBIDDEN, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct bursar_lookup lookup = {.owner = cases[i].owner,
                                             .provider = "prov",
                                             .account = "a1",
                                             .need_any = cases[i].any,
                                             .need_all = cases[i].all};
        struct bursar_grant grant = {0};
        struct bursar_credential credential;
        assert_int_equal(bursar_lookup(fixture->client, &lookup, &grant, &credential, NULL),
                         cases[i].error);
        assert_int_equal(fake_count(fixture->fake, "connection.get"), cases[i].records);
        bursar_grant_free(&grant);
    }
}

static void test_copy(void **state)
{
    const struct bursar_part parts[] = {{"access_token", "a"}, {"x", "y"}};
    struct bursar_grant grant;
    struct bursar_grant copy;
    (void)state;
    assert_int_equal(bursar_grant_make("oauth2", parts, 2, &grant), 0);
    grant.connection = strdup("prov.1");
    grant.generation = 4;
    grant.expires_at = 5;
    grant.is_stale = true;
    grant.scopes = calloc(2, sizeof(*grant.scopes));
    grant.scopes[0] = strdup("read");
    assert_int_equal(bursar_grant_copy(&grant, &copy), 0);
    bursar_grant_free(&grant);
    assert_string_equal(copy.connection, "prov.1");
    assert_string_equal(copy.token, "a");
    assert_string_equal(bursar_grant_part(&copy, "x"), "y");
    assert_string_equal(copy.scopes[0], "read");
    assert_null(copy.scopes[1]);
    assert_int_equal(copy.generation, 4);
    assert_int_equal(copy.expires_at, 5);
    assert_true(copy.is_stale);
    bursar_grant_free(&copy);
}

/* ---- who may --------------------------------------------------------------------------------- */

static void test_principal(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_principal principal;
    struct bursar_failure failure;
    assert_int_equal(bursar_whoami(fixture->client, &principal, &failure), 0);
    assert_string_equal(principal.principal, "uid:7");
    assert_string_equal(principal.email, "who@example.com");
    assert_string_equal(principal.roles[1], "refresh");
    assert_null(principal.operator_scopes[0]);
    assert_string_equal(principal.peer, "uid:7:gid:8:pid:9");
    assert_string_equal(principal.providers[0], "*");
    assert_string_equal(principal.refs[0], "warehouse");
    assert_int_equal(bursar_need_role(&principal, "vend", &failure), 0);
    assert_int_equal(bursar_need_role(&principal, "admin", &failure), BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message, "uid:7 does not have the role \"admin\"");
    assert_int_equal(bursar_need_owner(&principal, "acme", &failure), 0);
    assert_int_equal(bursar_need_owner(&principal, "other", &failure), BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message, "uid:7 may not act for \"other\"");
    free(principal.owners[0]);
    principal.owners[0] = strdup("*");
    assert_int_equal(bursar_need_owner(&principal, "other", &failure), 0);
    bursar_principal_free(&principal);
    bursar_principal_free(&principal);
    bursar_principal_free(NULL);
}

static void test_operator(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_client *client = fixture->client;
    struct bursar_failure failure;
    bool is_operator = false;
    assert_int_equal(bursar_is_operator(client, "op@example.com", "billing", &is_operator, NULL),
                     0);
    assert_true(is_operator);
    assert_int_equal(bursar_is_operator(client, "op@example.com", "x", &is_operator, NULL), 0);
    assert_false(is_operator);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"principal.is_operator\",\"deadline_ms\":50000,"
                        "\"email\":\"op@example.com\",\"scope\":\"x\"}");
    assert_int_equal(bursar_need_operator(client, "op@example.com", "billing", &failure), 0);
    assert_int_equal(bursar_need_operator(client, "me@example.com", "billing", &failure),
                     BURSAR_E_FORBIDDEN);
    assert_string_equal(failure.message, "me@example.com is no operator for \"billing\"");
}

int main(void)
{
#define WITH_FIXTURE(test) \
    cmocka_unit_test_setup_teardown(test, fake_client_open, fake_client_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),     WITH_FIXTURE(test_found),
        WITH_FIXTURE(test_answers),       WITH_FIXTURE(test_account_type),
        WITH_FIXTURE(test_bad_lookups),   cmocka_unit_test(test_scopes),
        WITH_FIXTURE(test_lookup_scopes), cmocka_unit_test(test_copy),
        WITH_FIXTURE(test_principal),     WITH_FIXTURE(test_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
