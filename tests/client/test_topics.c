/* Whose events a subscription can ask the log for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/topics.h"

static void test_owner(void **state)
{
    static const struct {
        const char *topics[4];
        const char *owner;
    } rows[] = {
        {{"reauth/acme/"}, "acme"},
        {{"reauth/acme/", "connected/acme/github/"}, "acme"},
        {{"reauth/a%2Fb/", "revoked/a%2Fb/"}, "a/b"},
        {{"reauth/a%/", "revoked/a%/"}, "a%"},
        {{"reauth/%zz%4/"}, "%zz%4"},
        {{"reauth/acme"}, NULL}, /* acme2 too */
        {{"reauth/"}, NULL},
        {{"reauth"}, NULL},
        {{""}, NULL},
        {{"reauth//"}, NULL},
        {{"incident/-/"}, NULL},
        {{"reauth/acme/", "reauth/"}, NULL},
        {{"reauth/acme/", "reauth/other/"}, NULL},
        {{NULL}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *owner = NULL;
        assert_int_equal(topics_owner(rows[i].topics, &owner), 0);
        if (!owner != !rows[i].owner || (owner && strcmp(owner, rows[i].owner) != 0))
            fail_msg("row %zu: %s", i, owner ? owner : "none");
        free(owner);
    }
    char *none = NULL;
    assert_int_equal(topics_owner(NULL, &none), 0);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_owner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
