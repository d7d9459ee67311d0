#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/base64.h"

#define T(s) TEXT_LITERAL(s)

/* RFC 4648 section 10. */
static void test_vectors(void **state)
{
    (void)state;
    static const struct {
        struct text bytes;
        const char *encoded;
    } cases[] = {
        {{NULL, 0}, ""},
        {T(""), ""},
        {T("f"), "Zg=="},
        {T("fo"), "Zm8="},
        {T("foo"), "Zm9v"},
        {T("foob"), "Zm9vYg=="},
        {T("fooba"), "Zm9vYmE="},
        {T("foobar"), "Zm9vYmFy"},
        {T("\xfb\xff\xfe"), "+//+"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = buf_make(20);
        base64_append(&out, cases[i].bytes);
        assert_true(text_is(buf_text(&out), cases[i].encoded));
        buf_free(&out);
    }
}

/* What another library reads is what was written. */
static void test_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[200], read[200];
    for (size_t len = 0; len < sizeof bytes; len++) {
        size_t read_len = 0;
        struct buf out = buf_make_secret(1000);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i * 89 + len * 31);
        base64_append(&out, (struct text){(const char *)bytes, len});
        assert_int_equal(out.len, (len + 2) / 3 * 4);
        assert_int_equal(sodium_base642bin(read, sizeof read, (const char *)buf_text(&out).data,
                                           out.len, NULL, &read_len, NULL,
                                           sodium_base64_VARIANT_ORIGINAL),
                         0);
        assert_int_equal(read_len, len);
        assert_memory_equal(read, bytes, len);
        buf_free(&out);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    struct buf out = buf_make(7);
    base64_append(&out, T("foobar"));
    assert_int_equal(buf_error(&out), BURSAR_E_TOO_BIG);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
