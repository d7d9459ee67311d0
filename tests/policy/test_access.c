/* What each principal may ask for, and hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "policy/access.h"

static const struct name_list all = {.is_all = true};

static struct text text(const char *string)
{
    return text_of(string);
}

static struct principal some(unsigned roles)
{
    static char acme[] = "acme", slash[] = "a/b", github[] = "github", warehouse[] = "warehouse",
                billing[] = "billing";
    static char *owners[] = {acme, slash}, *providers[] = {github}, *refs[] = {warehouse},
                *scopes[] = {billing};
    return (struct principal){.roles = roles,
                              .owners = {.names = owners, .count = 2},
                              .providers = {.names = providers, .count = 1},
                              .refs = {.names = refs, .count = 1},
                              .scopes = {.names = scopes, .count = 1}};
}

static struct principal everybody(unsigned roles)
{
    return (struct principal){.roles = roles, .owners = all, .providers = all, .refs = all};
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static void test_roles(void **state)
{
    (void)state;
    for (unsigned has = 0; has <= ROLE_ALL; has++) {
        struct principal principal = everybody(has);
        for (unsigned needs = 0; needs <= ROLE_ALL; needs++) {
            struct access_ask ask = {.roles = needs};
            enum access expected = needs == 0 || (has & needs) ? ACCESS_OK : ACCESS_NO_ROLE;
            assert_int_equal(access_check(&principal, &ask), expected);
        }
        struct access_ask tokens = {.roles = ROLE_VEND, .wants_export = true};
        assert_int_equal(access_check(&principal, &tokens), !(has & ROLE_VEND) ? ACCESS_NO_ROLE
                                                            : !(has & ROLE_EXPORT)
                                                                ? ACCESS_NO_EXPORT
                                                                : ACCESS_OK);
    }
}

static void test_secrets_need_vend(void **state)
{
    struct access_ask ask = {.roles = ROLE_REFRESH, .wants_secret = true};
    struct principal principal = everybody(ROLE_REFRESH);
    (void)state;
    assert_int_equal(access_check(&principal, &ask), ACCESS_NO_ROLE);
    principal.roles |= ROLE_VEND;
    assert_int_equal(access_check(&principal, &ask), ACCESS_OK);
    principal.roles = ROLE_VEND;
    assert_int_equal(access_check(&principal, &ask), ACCESS_NO_ROLE);
}

/* What a change of a principal takes from what it hears. */
static void test_hears_less(void **state)
{
    static uint32_t one[] = {7}, two[] = {7, 8};
    static struct principal_key key = {.z85 = "k"};
    static char acme[] = "acme";
    static char *shorter[] = {acme};
    struct principal before = some(ROLE_EVENTS | ROLE_VEND), now = before;
    (void)state;
    before.uids = one, before.uid_count = 1;
    now.uids = two, now.uid_count = 2;
    assert_false(access_hears_less(&before, &now)); /* somebody more */
    now.owners = all;
    now.providers = all;
    assert_false(access_hears_less(&before, &now)); /* more of everything */
    assert_true(access_hears_less(&now, &before));
    now = before;
    now.roles = ROLE_EVENTS;
    assert_false(access_hears_less(&before, &now)); /* less, but not to hear */
    now.roles = ROLE_VEND;
    assert_true(access_hears_less(&before, &now));
    now = before;
    now.owners = (struct name_list){.names = shorter, .count = 1};
    assert_true(access_hears_less(&before, &now));
    now = before;
    now.providers = (struct name_list){0};
    assert_true(access_hears_less(&before, &now));
    now = before;
    now.uid_count = 0;
    assert_true(access_hears_less(&before, &now));
    now = before;
    before.keys = &key, before.key_count = 1;
    assert_true(access_hears_less(&before, &now));
    now = before;
    now.limits.subscriptions = 1;
    before.limits.subscriptions = 2;
    assert_true(access_hears_less(&before, &now));
}

static void test_owners_and_providers(void **state)
{
    static const struct {
        const char *owner, *provider;
        bool is_about_one, makes_one, is_about_all;
        enum access expected;
    } rows[] = {
        {"acme", "github", true, false, false, ACCESS_OK},
        {"other", "github", true, false, false, ACCESS_UNSEEN},
        {"acme2", "github", true, false, false, ACCESS_UNSEEN},
        {"acm", "github", true, false, false, ACCESS_UNSEEN},
        {"", "github", true, false, false, ACCESS_UNSEEN},
        {"acme", "gitlab", true, false, false, ACCESS_NO_PROVIDER},
        {"other", "gitlab", true, false, false,
         ACCESS_NO_PROVIDER}, /* tells nothing of the owner */
        {"other", "github", true, true, false, ACCESS_NO_OWNER},
        {"other", "github", false, false, true, ACCESS_NO_OWNER},
        {NULL, "github", false, false, true, ACCESS_NAME_OWNER},
        {"acme", NULL, false, false, true, ACCESS_NAME_PROVIDER},
        {"acme", "github", false, false, true, ACCESS_OK},
        {NULL, NULL, false, false, false, ACCESS_OK}, /* about nobody: whoami */
        {NULL, "gitlab", true, false, false, ACCESS_NO_PROVIDER},
    };
    struct principal narrow = some(ROLE_ALL), wide = everybody(ROLE_ALL),
                     none = {.roles = ROLE_ALL};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct access_ask ask = {.roles = ROLE_MANAGE,
                                 .owner = text(rows[i].owner),
                                 .provider = text(rows[i].provider),
                                 .is_about_one = rows[i].is_about_one,
                                 .makes_one = rows[i].makes_one,
                                 .is_about_all = rows[i].is_about_all};
        if (access_check(&narrow, &ask) != rows[i].expected)
            fail_msg("row %zu: %d", i, access_check(&narrow, &ask));
        assert_int_equal(access_check(&wide, &ask), ACCESS_OK);
        if (rows[i].owner || rows[i].provider || rows[i].is_about_all)
            assert_int_not_equal(access_check(&none, &ask), ACCESS_OK);
    }
}

/* A shared credential is nobody's: its name alone decides. */
static void test_refs_and_guards(void **state)
{
    struct principal narrow = some(ROLE_VEND), none = everybody(ROLE_VEND);
    struct access_ask ask = {.roles = ROLE_VEND, .ref = text("warehouse")};
    none.refs = (struct name_list){0};
    (void)state;
    assert_int_equal(access_check(&narrow, &ask), ACCESS_OK);
    assert_int_equal(access_check(&none, &ask), ACCESS_NO_REF);
    ask.ref = text("warehouse2");
    assert_int_equal(access_check(&narrow, &ask), ACCESS_NO_REF);
    ask = (struct access_ask){.roles = ROLE_VEND,
                              .is_about_one = true,
                              .owner = text("acme"),
                              .provider = text("github"),
                              .guard = text("billing")};
    assert_int_equal(access_check(&narrow, &ask), ACCESS_OK);
    ask.guard = text("payroll");
    assert_int_equal(access_check(&narrow, &ask), ACCESS_NO_SCOPE);
    assert_int_equal(access_check(&none, &ask), ACCESS_NO_SCOPE); /* `*` is no operator */
}

static void test_words(void **state)
{
    (void)state;
    for (int i = 0; i < ACCESS_END; i++) {
        const char *why = access_why((enum access)i);
        assert_int_equal(why == NULL, i == ACCESS_OK || i == ACCESS_UNSEEN);
    }
}

/* ---- subscriptions ------------------------------------------------------------------------------- */

static void test_alive_is_for_all(void **state)
{
    static const char *const prefixes[] = {"alive", "alive/", "alive/-", "alive/-/-/-"};
    struct principal nothing = {0};
    (void)state;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        assert_true(access_subscription(&nothing, text(prefixes[i])));
    assert_false(access_subscription(&nothing, text("")));
    assert_false(access_subscription(&nothing, text("a")));
    assert_false(access_subscription(&nothing, text("alivex")));
    assert_false(access_subscription(&nothing, text("reauth/")));
}

static void test_owners_prefixes(void **state)
{
    static const struct {
        const char *prefix;
        bool is_allowed;
    } rows[] = {
        {"", false},
        {"reauth", false},
        {"reauth/", false},
        {"reauth/acme", false}, /* acme2 begins so too */
        {"reauth/acme/", true},
        {"reauth/acme/github/", true},
        {"reauth/acme/github/github.01", true},
        {"re/acme/", true}, /* no type; matches nothing */
        {"reauth/acme2/", false},
        {"reauth/-/", false},
        {"reauth//", false},
        {"/acme/", true},
        {"//acme/", false},
        {"reauth/a%2Fb/", true},
        {"reauth/a%2fb/", false},
        {"reauth/a/b/", false},
        {"reauth/%61cme/", false},
        {"reauth/acme%00/", false},
        {"reauth/ACME/", false},
    };
    struct principal principal = some(ROLE_EVENTS), deaf = some(ROLE_ALL & ~ROLE_EVENTS);
    (void)state;
    principal.providers = all;
    deaf.providers = all;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (access_subscription(&principal, text(rows[i].prefix)) != rows[i].is_allowed)
            fail_msg("%s", rows[i].prefix);
        assert_false(access_subscription(&deaf, text(rows[i].prefix)));
    }
    assert_false(access_subscription(&principal, (struct text){"reauth/acme\0/", 13}));
}

static void test_providers_prefixes(void **state)
{
    struct principal principal = some(ROLE_EVENTS);
    (void)state;
    assert_false(access_subscription(&principal, text("reauth/acme/")));
    assert_false(access_subscription(&principal, text("reauth/acme/github")));
    assert_true(access_subscription(&principal, text("reauth/acme/github/")));
    assert_false(access_subscription(&principal, text("reauth/acme/gitlab/")));
    assert_false(access_subscription(&principal, text("reauth/acme/-/")));
    principal.owners = all;
    assert_true(access_subscription(&principal, text("incident/-/github/")));
    assert_false(access_subscription(&principal, text("incident/-/")));
    principal.providers = all;
    assert_true(access_subscription(&principal, text("")));
}

/* An owner may be called `-`; so is what belongs to nobody. */
static void test_owner_dash(void **state)
{
    static char dash[] = "-", *owners[] = {dash};
    struct principal principal = {
        .roles = ROLE_EVENTS, .owners = {.names = owners, .count = 1}, .providers = all};
    (void)state;
    assert_false(access_subscription(&principal, text("reauth/-/")));
    assert_false(access_subscription(&principal, text("incident/-/")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_secrets_need_vend),
        cmocka_unit_test(test_hears_less),
        cmocka_unit_test(test_owners_and_providers),
        cmocka_unit_test(test_refs_and_guards),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_alive_is_for_all),
        cmocka_unit_test(test_owners_prefixes),
        cmocka_unit_test(test_providers_prefixes),
        cmocka_unit_test(test_owner_dash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
