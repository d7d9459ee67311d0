/* Who may bring a secret of a provider. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/acts_as.h"

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(acts_as_of(TEXT_LITERAL("user")), ACTS_AS_USER);
    assert_int_equal(acts_as_of(TEXT_LITERAL("service")), ACTS_AS_SERVICE);
    assert_int_equal(acts_as_of(TEXT_LITERAL("either")), ACTS_AS_EITHER);
    assert_int_equal(acts_as_of((struct text){NULL, 0}), ACTS_AS_EITHER);
    assert_int_equal(acts_as_of(TEXT_LITERAL("users")), ACTS_AS_EITHER);
}

static void test_all(void **state)
{
    static const struct {
        enum acts_as acts_as;
        bool person, service;
    } rows[] = {
        {ACTS_AS_EITHER, true, true}, {ACTS_AS_USER, true, false}, {ACTS_AS_SERVICE, false, true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(acts_as_allows(rows[i].acts_as, ACTOR_PERSON), rows[i].person);
        assert_int_equal(acts_as_allows(rows[i].acts_as, ACTOR_SERVICE), rows[i].service);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
