#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <bursar/error.h>

/* The codes of the wire in the order of their numbers, and those that may be sent again. */
static const char *const codes[] = {
    "ok",
    "bad_request",
    "unsupported_op",
    "forbidden",
    "not_found",
    "unknown_provider",
    "not_connected",
    "kind_mismatch",
    "needs_reauth",
    "revoked",
    "frozen",
    "in_doubt",
    "client_rejected",
    "provider_unavailable",
    "rate_limited",
    "invalid_credential",
    "conflict",
    "deadline_exceeded",
    "overloaded",
    "shutting_down",
    "store_unavailable",
    "internal",
};
enum { CODES = sizeof codes / sizeof codes[0] };

static bool may_be_sent_again(const char *code)
{
    static const char *const list[] = {"provider_unavailable", "rate_limited", "in_doubt",
                                       "deadline_exceeded",    "overloaded",   "shutting_down",
                                       "store_unavailable"};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (strcmp(code, list[i]) == 0)
            return true;
    }
    return false;
}

static void test_codes(void **state)
{
    (void)state;
    for (int i = 0; i < CODES; i++) {
        assert_string_equal(bursar_error_code(-i), codes[i]);
        assert_int_equal(bursar_error_from_code(codes[i]), -i);
        assert_int_equal(bursar_error_is_retryable(-i), may_be_sent_again(codes[i]));
    }
    assert_int_equal(BURSAR_E_INTERNAL, -(CODES - 1));
}

static void test_texts(void **state)
{
    (void)state;
    for (int error = 0; error > BURSAR_E_END; error--) {
        const char *text = bursar_error_text(error);
        assert_true(strlen(text) > 5 && text[strlen(text) - 1] != '.');
        assert_int_equal(bursar_error_from_code(bursar_error_code(error)), error);
        if (error < BURSAR_E_INTERNAL) /* what never crosses the wire */
            assert_false(bursar_error_is_retryable(error));
        for (int other = error - 1; other > BURSAR_E_END; other--)
            assert_string_not_equal(bursar_error_code(error), bursar_error_code(other));
    }
}

static void test_unknown(void **state)
{
    (void)state;
    static const int numbers[] = {1, 1000, BURSAR_E_END, BURSAR_E_END - 1, -1000};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_string_equal(bursar_error_code(numbers[i]), "internal");
        assert_string_equal(bursar_error_text(numbers[i]), bursar_error_text(BURSAR_E_INTERNAL));
        assert_false(bursar_error_is_retryable(numbers[i]));
    }
    assert_int_equal(bursar_error_from_code("no such code"), BURSAR_E_BAD_REPLY);
    assert_int_equal(bursar_error_from_code(""), BURSAR_E_BAD_REPLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
