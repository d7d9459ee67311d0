/* Seals of one process: they open under their own key alone, once for each opening, and never altered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "vault/process_key.h"

enum { LONGEST = 3000 };

static const struct text whose = TEXT_LITERAL("acme.01J9ZQ8V6R3W5Y7A9B1C2D3E4F");

/* Of the cipher that is the test's state: a processor with AES would never come to the other one. */
static struct process_key *make(void **state)
{
    const enum process_cipher *cipher = *state;
    struct process_key *key = NULL;
    if (*cipher != PROCESS_CHACHA20 && *cipher != process_key_cipher())
        skip();
    assert_int_equal(process_key_new(*cipher, &key), 0);
    return key;
}

static void test_opens_what_it_sealed(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 200, 1200, LONGEST};
    struct process_key *key = make(state);
    char plain[LONGEST];
    uint8_t sealed[LONGEST + PROCESS_SEAL_OVERHEAD], opened[LONGEST];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t len = lengths[i];
        struct text blob = {(const char *)sealed, len + PROCESS_SEAL_OVERHEAD};
        process_key_seal(key, whose, (struct text){plain, len}, sealed);
        memset(opened, 0, sizeof opened);
        assert_int_equal(process_key_open(key, whose, blob, opened), 0);
        assert_memory_equal(opened, plain, len);
    }
    process_key_free(key);
}

/* Two seals of the same text share no bytes to speak of: the nonce counts. */
static void test_nonce_never_comes_twice(void **state)
{
    struct process_key *key = make(state);
    uint8_t one[64 + PROCESS_SEAL_OVERHEAD], two[sizeof one];
    char plain[64] = "the same";
    process_key_seal(key, whose, (struct text){plain, sizeof plain}, one);
    process_key_seal(key, whose, (struct text){plain, sizeof plain}, two);
    assert_memory_not_equal(one, two, 12);
    assert_memory_not_equal(one + 12, two + 12, 16);
    process_key_free(key);
}

/* Each bit is looked at, and what does not open leaves nothing of the clear text. */
static void test_altered_does_not_open(void **state)
{
    struct process_key *key = make(state);
    static const char plain[] = "a token that nobody may see";
    uint8_t sealed[sizeof plain + PROCESS_SEAL_OVERHEAD], opened[sizeof plain];
    struct text blob = {(const char *)sealed, sizeof sealed};
    process_key_seal(key, whose, (struct text){plain, sizeof plain}, sealed);
    for (size_t bit = 0; bit < sizeof sealed * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(opened, 0, sizeof opened);
        assert_int_equal(process_key_open(key, whose, blob, opened), BURSAR_E_BAD_SEAL);
        assert_null(memchr(opened, 't', sizeof opened));
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < sizeof sealed; len++)
        assert_int_equal(process_key_open(key, whose, (struct text){blob.data, len}, opened),
                         BURSAR_E_BAD_SEAL);
    assert_int_equal(process_key_open(key, whose, blob, opened), 0);
    process_key_free(key);
}

static void test_other_key_does_not_open(void **state)
{
    struct process_key *key = make(state), *other = make(state);
    uint8_t sealed[8 + PROCESS_SEAL_OVERHEAD], opened[8];
    process_key_seal(key, whose, TEXT_LITERAL("12345678"), sealed);
    assert_int_equal(
        process_key_open(other, whose, (struct text){(const char *)sealed, sizeof sealed}, opened),
        BURSAR_E_BAD_SEAL);
    process_key_free(key);
    process_key_free(other);
}

/* What is one connection's is not given out as another's, wherever it came to lie. */
static void test_of_another_does_not_open(void **state)
{
    struct process_key *key = make(state);
    uint8_t sealed[8 + PROCESS_SEAL_OVERHEAD], opened[8];
    const struct text blob = {(const char *)sealed, sizeof sealed};
    process_key_seal(key, whose, TEXT_LITERAL("12345678"), sealed);
    assert_int_equal(
        process_key_open(key, TEXT_LITERAL("acme.01J9ZQ8V6R3W5Y7A9B1C2D3E4G"), blob, opened),
        BURSAR_E_BAD_SEAL);
    assert_int_equal(process_key_open(key, (struct text){whose.data, whose.len - 1}, blob, opened),
                     BURSAR_E_BAD_SEAL);
    assert_int_equal(process_key_open(key, (struct text){NULL, 0}, blob, opened),
                     BURSAR_E_BAD_SEAL);
    assert_int_equal(process_key_open(key, whose, blob, opened), 0);
    process_key_free(key);
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
    static enum process_cipher aes = PROCESS_AES_GCM, chacha = PROCESS_CHACHA20;
#define WITH(test, cipher)                             \
    {                                                  \
#test " " #cipher, test, NULL, NULL, &(cipher) \
    }
    const struct CMUnitTest tests[] = {
        WITH(test_opens_what_it_sealed, aes),     WITH(test_nonce_never_comes_twice, aes),
        WITH(test_altered_does_not_open, aes),    WITH(test_other_key_does_not_open, aes),
        WITH(test_opens_what_it_sealed, chacha),  WITH(test_nonce_never_comes_twice, chacha),
        WITH(test_altered_does_not_open, chacha), WITH(test_other_key_does_not_open, chacha),
        WITH(test_of_another_does_not_open, aes), WITH(test_of_another_does_not_open, chacha),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
