#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/expiry.h"
#include "policy/spender.h"

#define NOW 1000000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct spender_refusal refusal;
        enum spender_sign sign;
    } cases[] = {
        {{ROTATION_STRICT, VERDICT_GRANT, false, false, EXPIRY_NEVER, NOW}, SPENDER_REFUSED},
        {{ROTATION_REUSE_GRACE, VERDICT_GRANT, false, false, EXPIRY_NEVER, NOW}, SPENDER_REFUSED},
        {{ROTATION_STRICT, VERDICT_GRANT, false, false, NOW + 1, NOW}, SPENDER_REFUSED},
        /* it was at its own end */
        {{ROTATION_STRICT, VERDICT_GRANT, false, false, NOW, NOW}, SPENDER_NONE},
        /* a token that is not spent by being used cannot have been spent by somebody */
        {{ROTATION_NONE, VERDICT_GRANT, false, false, EXPIRY_NEVER, NOW}, SPENDER_NONE},
        {{ROTATION_UNKNOWN, VERDICT_GRANT, false, false, EXPIRY_NEVER, NOW}, SPENDER_NONE},
        /* we may have spent it ourselves */
        {{ROTATION_STRICT, VERDICT_GRANT, true, false, EXPIRY_NEVER, NOW}, SPENDER_NONE},
        /* nothing was spent */
        {{ROTATION_STRICT, VERDICT_GRANT, false, true, EXPIRY_NEVER, NOW}, SPENDER_NONE},
        /* the grant was not refused */
        {{ROTATION_STRICT, VERDICT_CLIENT, false, false, EXPIRY_NEVER, NOW}, SPENDER_NONE},
        {{ROTATION_STRICT, VERDICT_UNCERTAIN, false, false, EXPIRY_NEVER, NOW}, SPENDER_NONE},
        {{ROTATION_STRICT, VERDICT_PROVIDER, false, false, EXPIRY_NEVER, NOW}, SPENDER_NONE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (spender_of_refusal(&cases[i].refusal) != cases[i].sign)
            fail_msg("case %zu", i);
    }
}

static void test_tokens(void **state)
{
    (void)state;
    assert_int_equal(spender_of_token(true, false, true), SPENDER_NONE);
    assert_int_equal(spender_of_token(false, true, true), SPENDER_NONE);
    assert_int_equal(spender_of_token(false, false, true), SPENDER_FOREIGN);
    assert_int_equal(spender_of_token(false, false, false), SPENDER_NONE); /* nobody can say */
}

static void test_cut_short(void **state)
{
    (void)state;
    static const struct {
        struct spender_cut cut;
        unsigned count;
    } cases[] = {
        {{0, false, NOW, NOW + 100, NOW + 49}, 1}, {{1, true, NOW, NOW + 100, NOW}, 2},
        {{2, true, NOW, NOW + 100, NOW + 10}, 3},  {{2, true, NOW, NOW + 100, NOW + 50}, 0},
        {{2, false, NOW, NOW + 100, NOW + 10}, 1}, {{2, true, NOW, NOW + 100, NOW + 200}, 0},
        {{2, true, NOW, EXPIRY_NEVER, NOW}, 0},    {{2, true, EXPIRY_NEVER, NOW, NOW}, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (spender_count_cut(&cases[i].cut) != cases[i].count)
            fail_msg("case %zu", i);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_null(spender_sign_name(SPENDER_NONE));
    assert_null(spender_sign_name(SPENDER_SIGN_END));
    for (int i = SPENDER_NONE + 1; i < SPENDER_SIGN_END; i++)
        assert_non_null(spender_sign_name((enum spender_sign)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
