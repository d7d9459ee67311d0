#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <bursar/client.h>
#include <bursar/error.h>

#include "base/secret.h"
#include "base/z85.h"
#include "vault/letter.h"

static struct buf open_letter(const char *key, struct text letter, int expected)
{
    struct buf plain = buf_make_secret(1 << 16);
    assert_int_equal(letter_open(text_of(key), letter, &plain), expected);
    if (expected != 0)
        assert_int_equal(plain.len, 0);
    return plain;
}

static void test_there_and_back(void **state)
{
    (void)state;
    static char content[5000];
    static const size_t lens[] = {0, 1, 2, 3, 48, 4999};
    char public_key[BURSAR_CURVE_KEY_SIZE], secret_key[BURSAR_CURVE_KEY_SIZE];
    char other_public[BURSAR_CURVE_KEY_SIZE], other_secret[BURSAR_CURVE_KEY_SIZE];
    assert_int_equal(bursar_curve_keypair(public_key, secret_key), 0);
    assert_int_equal(bursar_curve_keypair(other_public, other_secret), 0);
    memset(content, 's', sizeof content);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct text plain = {content, lens[i]};
        struct buf letter = buf_make(1 << 16), again = buf_make(1 << 16);
        assert_int_equal(letter_seal(text_of(public_key), plain, &letter), 0);
        assert_int_equal(letter_seal(text_of(public_key), plain, &again), 0);
        assert_false(text_equal(buf_text(&letter), buf_text(&again)));
        struct buf got = open_letter(secret_key, buf_text(&letter), 0);
        assert_true(text_equal(buf_text(&got), plain));
        buf_free(&got);
        got = open_letter(other_secret, buf_text(&letter), BURSAR_E_BAD_SEAL);
        buf_free(&got);
        letter.data[letter.len / 2] ^= 1; /* one of another letter, or no letter at all */
        got = open_letter(secret_key, buf_text(&letter), BURSAR_E_BAD_SEAL);
        buf_free(&got);
        buf_free(&letter);
        buf_free(&again);
    }
}

static void test_what_is_none(void **state)
{
    (void)state;
    char public_key[BURSAR_CURVE_KEY_SIZE], secret_key[BURSAR_CURVE_KEY_SIZE];
    assert_int_equal(bursar_curve_keypair(public_key, secret_key), 0);
    static const char *const letters[] = {"", "AAAA", "!", "AAAAA", "{}"};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        struct buf got = open_letter(secret_key, text_of(letters[i]), BURSAR_E_BAD_SEAL);
        buf_free(&got);
    }
    struct buf out = buf_make(1000);
    struct buf got = open_letter("short", text_of("AAAA"), BURSAR_E_CONFIG);
    buf_free(&got);
    assert_int_equal(letter_seal(text_of("short"), text_of("x"), &out), BURSAR_E_CONFIG);
    public_key[7] = '~';
    assert_int_equal(letter_seal(text_of(public_key), text_of("x"), &out), BURSAR_E_CONFIG);
    /* all zero: a point on which there is no secret */
    assert_int_equal(
        letter_seal(text_of("0000000000000000000000000000000000000000"), text_of("x"), &out),
        BURSAR_E_CONFIG);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

/* The example of ZeroMQ RFC 32, and what is none. */
static void test_z85(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b};
    uint8_t out[8];
    assert_true(z85_decode(text_of("HelloWorld"), 8, out));
    assert_memory_equal(out, bytes, 8);
    assert_false(z85_decode(text_of("HelloWorl"), 8, out));
    assert_false(z85_decode(text_of("HelloWorld"), 7, out));
    assert_false(z85_decode(text_of("Hello Worl"), 8, out));
    assert_false(z85_decode((struct text){"Hell\0World", 10}, 8, out));
    assert_false(z85_decode(text_of("#####World"), 8, out)); /* more than 32 bits */
    assert_true(z85_decode(text_of(""), 0, out));
}

static int set_up(void **state)
{
    (void)state;
    return secret_arena_open(1 << 20);
}

static int tear_down(void **state)
{
    (void)state;
    secret_arena_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_z85),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
