#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bursar/error.h>

#include "policy/verdict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STRICTEST = ROTATION_UNKNOWN };

static const struct verdict_words no_words = {.reauth = NULL};

static enum verdict_class of(const struct verdict_words *words, enum reply_shape shape, int status,
                             const char *error, bool has_retry_after)
{
    struct verdict_input input = {.end = EXCHANGE_REPLY,
                                  .shape = shape,
                                  .rotation = ROTATION_NONE,
                                  .status = status,
                                  .error = text_of(error),
                                  .has_retry_after = has_retry_after};
    return verdict_of(&input, words);
}

struct reply_case {
    int status;
    const char *error; /* NULL: the reply has none */
    bool has_retry_after;
    enum verdict_class verdict;
};

/* What a reply with an error, or one that is not of the expected shape, means by its status and its
 * code, where the connector has no words of its own. */
static const struct reply_case reply_cases[] = {
    {400, "invalid_grant", false, VERDICT_GRANT},
    {401, "invalid_grant", false, VERDICT_GRANT},
    {403, "invalid_grant", false, VERDICT_GRANT},
    {200, "invalid_grant", false, VERDICT_GRANT},
    {400, "invalid_grant", true, VERDICT_GRANT},
    {400, "interaction_required", false, VERDICT_GRANT},
    {400, "consent_required", false, VERDICT_GRANT},
    {400, "login_required", false, VERDICT_GRANT},

    {401, "invalid_client", false, VERDICT_CLIENT},
    {400, "invalid_client", false, VERDICT_CLIENT},
    {200, "invalid_client", false, VERDICT_CLIENT},
    {400, "unauthorized_client", false, VERDICT_CLIENT},
    {400, "invalid_request", false, VERDICT_CLIENT},
    {400, "invalid_scope", false, VERDICT_CLIENT},
    {400, "invalid_target", false, VERDICT_CLIENT},
    {400, "unsupported_grant_type", false, VERDICT_CLIENT},
    {400, "redirect_uri_mismatch", false, VERDICT_CLIENT},
    {301, NULL, false, VERDICT_CLIENT},
    {302, NULL, true, VERDICT_CLIENT},
    {399, NULL, false, VERDICT_CLIENT},
    {402, NULL, false, VERDICT_CLIENT},
    {404, NULL, false, VERDICT_CLIENT},
    {405, NULL, false, VERDICT_CLIENT},
    {410, NULL, false, VERDICT_CLIENT},
    {415, NULL, false, VERDICT_CLIENT},
    {404, "some_words", false, VERDICT_CLIENT},

    {400, NULL, false, VERDICT_PROVIDER},
    {401, NULL, false, VERDICT_PROVIDER},
    {403, NULL, false, VERDICT_PROVIDER},
    {408, NULL, false, VERDICT_PROVIDER},
    {409, NULL, false, VERDICT_PROVIDER},
    {422, NULL, false, VERDICT_PROVIDER},
    {400, "some_words", false, VERDICT_PROVIDER},
    {400, "INVALID_GRANT", false, VERDICT_PROVIDER},
    {400, "", false, VERDICT_PROVIDER},
    {200, "some_words", false, VERDICT_PROVIDER},
    {200, "some_words", true, VERDICT_PROVIDER},
    {400, "temporarily_unavailable", false, VERDICT_PROVIDER},
    {400, "server_error", false, VERDICT_PROVIDER},
    {500, NULL, false, VERDICT_PROVIDER},
    {502, NULL, false, VERDICT_PROVIDER},
    {504, NULL, false, VERDICT_PROVIDER},
    {523, NULL, false, VERDICT_PROVIDER},
    {599, NULL, false, VERDICT_PROVIDER},
    {500, "invalid_grant", false, VERDICT_PROVIDER},
    {503, "invalid_client", false, VERDICT_PROVIDER},
    {100, NULL, false, VERDICT_PROVIDER},

    {429, NULL, false, VERDICT_THROTTLED},
    {429, NULL, true, VERDICT_THROTTLED},
    {420, NULL, false, VERDICT_THROTTLED},
    {429, "invalid_grant", false, VERDICT_THROTTLED},
    {403, NULL, true, VERDICT_THROTTLED},
    {503, NULL, true, VERDICT_THROTTLED},
    {500, "invalid_grant", true, VERDICT_THROTTLED},
    {400, "slow_down", false, VERDICT_THROTTLED},
};

static void test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reply_cases); i++) {
        const struct reply_case *one = &reply_cases[i];
        enum verdict_class got =
            of(&no_words, REPLY_ERROR, one->status, one->error, one->has_retry_after);
        if (got != one->verdict)
            fail_msg("%d %s: %s", one->status, one->error ? one->error : "",
                     verdict_class_name(got));
        /* A secret beside a status that is no success is not believed. */
        if (one->status >= 300)
            assert_int_equal(
                of(&no_words, REPLY_SECRET, one->status, one->error, one->has_retry_after), got);
        if (one->status >= 300 && !one->error)
            assert_int_equal(
                of(&no_words, REPLY_MALFORMED, one->status, NULL, one->has_retry_after), got);
    }
}

static void test_success(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        bool is_ok = of(&no_words, REPLY_SECRET, status, NULL, false) == VERDICT_OK;
        assert_int_equal(is_ok, status >= 200 && status < 300);
        assert_int_not_equal(of(&no_words, REPLY_ERROR, status, "invalid_grant", false),
                             VERDICT_OK);
        assert_int_not_equal(of(&no_words, REPLY_MALFORMED, status, NULL, false), VERDICT_OK);
    }
}

/* A token that may have been spent is in doubt exactly where it cannot be sent again. */
static void test_uncertain(void **state)
{
    (void)state;
    for (int rotation = ROTATION_NONE; rotation <= STRICTEST; rotation++) {
        enum verdict_class doubt = rotation == ROTATION_NONE || rotation == ROTATION_REUSE_GRACE
                                       ? VERDICT_PROVIDER
                                       : VERDICT_UNCERTAIN;
        struct verdict_input input = {.rotation = (enum rotation_rule)rotation, .status = 200};
        assert_int_equal(rotation_is_strict(input.rotation), doubt == VERDICT_UNCERTAIN);

        input.end = EXCHANGE_REPLY; /* HTML, empty or cut short, as 200 */
        input.shape = REPLY_MALFORMED;
        assert_int_equal(verdict_of(&input, &no_words), doubt);
        input.status = 502;
        assert_int_equal(verdict_of(&input, &no_words), VERDICT_PROVIDER);

        input.end = EXCHANGE_LOST; /* whatever else is there */
        input.status = 0;
        assert_int_equal(verdict_of(&input, &no_words), doubt);
        input.status = 429;
        assert_int_equal(verdict_of(&input, &no_words), doubt);

        input.end = EXCHANGE_UNSENT;
        assert_int_equal(verdict_of(&input, &no_words), VERDICT_PROVIDER);
        input.error = text_of("invalid_grant");
        assert_int_equal(verdict_of(&input, &no_words), VERDICT_PROVIDER);
    }
}

/* What a connector's data says goes before the standard words; waiting goes before everything. */
static void test_connector_words(void **state)
{
    (void)state;
    static const char *const reauth[] = {"token_revoked", "unauthorized_client", "both", NULL};
    static const char *const transient[] = {"retry_please", "invalid_grant", "both", NULL};
    static const char *const client[] = {"app_disabled", "server_error", "token_revoked", NULL};
    static const struct verdict_words words = {
        .reauth = reauth, .transient = transient, .client = client};
    static const struct reply_case cases[] = {
        {400, "token_revoked", false, VERDICT_GRANT},
        {200, "token_revoked", false, VERDICT_GRANT},
        {404, "token_revoked", false, VERDICT_GRANT},
        {500, "token_revoked", false, VERDICT_GRANT},
        {400, "unauthorized_client", false, VERDICT_GRANT},
        {400, "retry_please", false, VERDICT_PROVIDER},
        {200, "retry_please", false, VERDICT_PROVIDER},
        {400, "invalid_grant", false, VERDICT_PROVIDER},
        {400, "both", false, VERDICT_PROVIDER},
        {400, "app_disabled", false, VERDICT_CLIENT},
        {503, "app_disabled", true, VERDICT_CLIENT},
        {400, "server_error", false, VERDICT_CLIENT},
        {400, "invalid_client", false, VERDICT_CLIENT},
        {500, "invalid_client", false, VERDICT_PROVIDER},
        {429, "token_revoked", false, VERDICT_THROTTLED},
        {420, "app_disabled", false, VERDICT_THROTTLED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (of(&words, REPLY_ERROR, cases[i].status, cases[i].error, cases[i].has_retry_after) !=
            cases[i].verdict)
            fail_msg("%d %s", cases[i].status, cases[i].error);
    }
    static const struct verdict_words some = {.transient = transient};
    assert_int_equal(of(&some, REPLY_ERROR, 400, "token_revoked", false), VERDICT_PROVIDER);
    assert_int_equal(of(&some, REPLY_ERROR, 400, "retry_please", false), VERDICT_PROVIDER);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        enum verdict_class verdict;
        const char *name;
        int error;
    } cases[] = {
        {VERDICT_OK, "ok", 0},
        {VERDICT_GRANT, "grant", BURSAR_E_NEEDS_REAUTH},
        {VERDICT_CLIENT, "client", BURSAR_E_CLIENT_REJECTED},
        {VERDICT_PROVIDER, "provider", BURSAR_E_PROVIDER_UNAVAILABLE},
        {VERDICT_THROTTLED, "provider", BURSAR_E_RATE_LIMITED},
        {VERDICT_UNCERTAIN, "provider", BURSAR_E_IN_DOUBT},
    };
    assert_int_equal(COUNT(cases), VERDICT_END);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_string_equal(verdict_class_name(cases[i].verdict), cases[i].name);
        assert_int_equal(verdict_error(cases[i].verdict), cases[i].error);
    }
}

static void test_rotation_words(void **state)
{
    (void)state;
    static const char *const words[] = {"none", "reuse_grace", "strict", "unknown"};
    static const enum rotation_rule rules[] = {ROTATION_NONE, ROTATION_REUSE_GRACE, ROTATION_STRICT,
                                               ROTATION_UNKNOWN};
    enum rotation_rule rule;
    for (size_t i = 0; i < COUNT(words); i++) {
        assert_true(rotation_rule_of(text_of(words[i]), &rule));
        assert_int_equal(rule, rules[i]);
    }
    assert_false(rotation_rule_of(text_of("Strict"), &rule));
    assert_false(rotation_rule_of(text_of(""), &rule));
    assert_int_equal(rule, ROTATION_UNKNOWN);
}

/* Without a reply the token is sent again only where that is known to be harmless. */
static void test_recovery(void **state)
{
    (void)state;
    static const enum recovery in_grace[] = {RECOVERY_SEND_AGAIN, RECOVERY_SEND_AGAIN,
                                             RECOVERY_PROBE, RECOVERY_PROBE};
    static const enum recovery behind_it[] = {RECOVERY_SEND_AGAIN, RECOVERY_PROBE, RECOVERY_PROBE,
                                              RECOVERY_PROBE};
    for (int i = ROTATION_NONE; i <= STRICTEST; i++) {
        enum rotation_rule rotation = (enum rotation_rule)i;
        assert_int_equal(recovery_of(true, rotation, true), RECOVERY_READ_REPLY);
        assert_int_equal(recovery_of(true, rotation, false), RECOVERY_READ_REPLY);
        assert_int_equal(recovery_of(false, rotation, true), in_grace[i]);
        assert_int_equal(recovery_of(false, rotation, false), behind_it[i]);
    }
}

/* Which of several words decides: the one that means the reply most closely. */
static void test_closest_word(void **state)
{
    static const char *const reauth[] = {"invalid_request", "190",        "HTTP 404",
                                         "/expired",        "bad_token*", NULL};
    static const char *const transient[] = {"190/2", "HTTP 503", NULL};
    static const char *const client[] = {"invalid_request/7", "HTTP 403 invalid_request",
                                         "HTTP 401", NULL};
    static const char *const throttle[] = {"190/4", "HTTP 403 slow*", NULL};
    static const struct verdict_words words = {
        .reauth = reauth, .transient = transient, .client = client, .throttle = throttle};
    static const struct {
        int status;
        const char *error, *subcode;
        enum verdict_class verdict;
    } cases[] = {
        {400, "invalid_request", NULL, VERDICT_GRANT},
        {400, "invalid_request", "7", VERDICT_CLIENT},
        {400, "invalid_request", "8", VERDICT_GRANT},
        {403, "invalid_request", NULL, VERDICT_CLIENT},
        {400, "190", NULL, VERDICT_GRANT},
        {400, "190", "2", VERDICT_PROVIDER},
        {200, "190", "4", VERDICT_THROTTLED},
        {400, "191", "4", VERDICT_PROVIDER},
        {400, "anything", "expired", VERDICT_GRANT},
        {400, NULL, "expired", VERDICT_GRANT},
        {404, NULL, NULL, VERDICT_GRANT},
        {404, "invalid_grant", NULL, VERDICT_GRANT},
        {401, "190", NULL, VERDICT_GRANT},
        {401, "unheard", NULL, VERDICT_CLIENT},
        {403, "slow_down_please", NULL, VERDICT_THROTTLED},
        {403, "slo", NULL, VERDICT_PROVIDER},
        {503, NULL, NULL, VERDICT_PROVIDER},
        {400, "bad_token", NULL, VERDICT_GRANT},
        {400, "bad_token_7", NULL, VERDICT_GRANT},
        {400, "bad_toke", NULL, VERDICT_PROVIDER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verdict_input input = {.end = EXCHANGE_REPLY,
                                      .shape = cases[i].error ? REPLY_ERROR : REPLY_MALFORMED,
                                      .rotation = ROTATION_NONE,
                                      .status = cases[i].status,
                                      .error = text_of(cases[i].error),
                                      .subcode = text_of(cases[i].subcode)};
        if (verdict_of(&input, &words) != cases[i].verdict)
            fail_msg("case %zu: HTTP %d %s: %s", i, cases[i].status,
                     cases[i].error ? cases[i].error : "-",
                     verdict_class_name(verdict_of(&input, &words)));
    }
}

static void test_may_mean_secret(void **state)
{
    static const struct {
        int status;
        struct text error;
        bool expected;
    } cases[] = {{401, TEXT_LITERAL("invalid_client"), true},
                 {400, TEXT_LITERAL("unauthorized_client"), true},
                 {200, TEXT_LITERAL("bad_client_secret"), true},
                 {401, {NULL, 0}, true},
                 {403, {NULL, 0}, true},
                 {404, {NULL, 0}, false},
                 {400, TEXT_LITERAL("invalid_scope"), false},
                 {401, TEXT_LITERAL("invalid_request"), false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(verdict_may_mean_secret(cases[i].status, cases[i].error),
                         cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_may_mean_secret), cmocka_unit_test(test_replies),
        cmocka_unit_test(test_success),         cmocka_unit_test(test_uncertain),
        cmocka_unit_test(test_connector_words), cmocka_unit_test(test_names),
        cmocka_unit_test(test_rotation_words),  cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_closest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
