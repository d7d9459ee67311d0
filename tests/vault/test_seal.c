#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "fresh_keyring.h"
#include "vault/seal.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PLAIN_MAX = 70000 };

static const struct seal_place place = {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"),
                                        SEAL_SECRET, 7};

static const struct key *active_key(const struct keyring *keyring)
{
    struct keyring_hold hold;
    const struct key *key = key_set_active(keyring_hold(keyring, &hold), T(""));
    keyring_let_go(keyring, &hold); /* one thread, and nothing changes the keyring */
    return key;
}

static int set_up(void **state)
{
    if (secret_arena_open(1 << 20) != 0)
        return -1;
    *state = fresh_keyring();
    return 0;
}

static int tear_down(void **state)
{
    keyring_free(*state);
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return used_bytes == 0 ? 0 : -1;
}

/* What unseal() says of a blob; what it opens is compared with plain. */
static int open_blob(const struct keyring *keyring, const struct seal_place *where,
                     struct text blob, struct text plain)
{
    struct buf opened = buf_make_secret(PLAIN_MAX);
    int result = unseal(keyring, where, blob, &opened);
    if (result == 0)
        assert_true(text_equal(buf_text(&opened), plain.data ? plain : T("")));
    else
        assert_int_equal(opened.len, 0);
    buf_free(&opened);
    return result;
}

static struct buf make_blob(const struct keyring *keyring, struct text plain)
{
    struct buf blob = buf_make(PLAIN_MAX + SEAL_OVERHEAD);
    assert_int_equal(seal(keyring, &place, plain, &blob), 0);
    assert_int_equal(blob.len, plain.len + SEAL_OVERHEAD);
    return blob;
}

static void test_round_trip(void **state)
{
    static char plain[PLAIN_MAX];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)(i * 31 >> 3);
    for (size_t len = 0; len <= sizeof plain; len = len * 3 / 2 + 1) {
        struct buf blob = make_blob(*state, (struct text){plain, len});
        assert_int_equal(
            open_blob(*state, &place, buf_text(&blob), (struct text){len > 0 ? plain : NULL, len}),
            0);
        buf_free(&blob);
    }
}

/* The layout is a promise to files that exist: version, key id, and nothing of the secret. */
static void test_layout(void **state)
{
    char active[KEYRING_ID_LEN * 2 + 1], written[KEYRING_ID_LEN * 2 + 1];
    struct buf one = make_blob(*state, T("a secret text"));
    struct buf two = make_blob(*state, T("a secret text"));
    assert_int_equal(one.data[0], 1);
    assert_memory_equal(one.data + 1, active_key(*state)->id, KEYRING_ID_LEN);
    assert_true(seal_key_id_text(buf_text(&one), written));
    keyring_id_text(*state, 0, active);
    assert_string_equal(written, active);
    assert_null(memmem(one.data, one.len, "secret", 6));
    /* Nonces and data keys are fresh: no part behind the id is the same twice. */
    for (size_t at = 9; at + 8 <= one.len; at += 8)
        assert_memory_not_equal(one.data + at, two.data + at, 8);
    assert_false(seal_key_id_text((struct text){(char *)one.data, SEAL_OVERHEAD - 1}, written));
    assert_true(seal_key_id_text((struct text){(char *)one.data, SEAL_OVERHEAD}, written));
    one.data[0] = 2;
    assert_false(seal_key_id_text(buf_text(&one), written));
    assert_false(seal_key_id_text((struct text){NULL, 0}, written));
    buf_free(&one);
    buf_free(&two);
}

/* It opens in its own place and in no other. */
static void test_places(void **state)
{
    static const struct seal_place others[] = {
        {T("acm"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7},
        {T("acmf"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7},
        {T("acme\0"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7},
        {T(""), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7},
        {{NULL, 0}, T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5faw"), SEAL_SECRET, 7},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fa"), SEAL_SECRET, 7},
        {T("acme"), {NULL, 0}, SEAL_SECRET, 7},
        {T("vacme"), T("github.01aryz6s41tsv4rrffq69g5fa"), SEAL_SECRET, 7}, /* moved border */
        {T("github.01aryz6s41tsv4rrffq69g5fav"), T("acme"), SEAL_SECRET, 7},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_GRANT, 7},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_REPLY, 7},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 6},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 8},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7 + (1ULL << 32)},
        {T("acme"), T("github.01aryz6s41tsv4rrffq69g5fav"), SEAL_SECRET, 7 + (1ULL << 63)},
    };
    struct text plain = T("text");
    struct buf blob = make_blob(*state, plain);
    assert_int_equal(open_blob(*state, &place, buf_text(&blob), plain), 0);
    for (size_t i = 0; i < COUNT(others); i++) {
        if (open_blob(*state, &others[i], buf_text(&blob), plain) != BURSAR_E_BAD_SEAL)
            fail_msg("place %zu", i);
    }
    for (int bit = 0; bit < 64; bit++) {
        struct seal_place other = place;
        other.generation ^= 1ULL << bit;
        assert_int_equal(open_blob(*state, &other, buf_text(&blob), plain), BURSAR_E_BAD_SEAL);
    }
    buf_free(&blob);
}

/* A shared credential has no owner, and each kind is a place of its own. */
static void test_place_without_owner(void **state)
{
    struct seal_place where = {{NULL, 0}, T("warehouse"), SEAL_GRANT, 1};
    struct buf blob = buf_make(1000);
    assert_int_equal(seal(*state, &where, T("x"), &blob), 0);
    assert_int_equal(open_blob(*state, &where, buf_text(&blob), T("x")), 0);
    where.owner = T("a");
    assert_int_equal(open_blob(*state, &where, buf_text(&blob), T("x")), BURSAR_E_BAD_SEAL);
    buf_free(&blob);
}

static void test_every_bit(void **state)
{
    struct text plain = T("twenty bytes of text");
    struct buf blob = make_blob(*state, plain);
    for (size_t bit = 0; bit < blob.len * 8; bit++) {
        blob.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        bool is_key_id = bit / 8 >= 1 && bit / 8 < 1 + KEYRING_ID_LEN;
        if (open_blob(*state, &place, buf_text(&blob), plain) !=
            (is_key_id ? BURSAR_E_UNKNOWN_KEY : BURSAR_E_BAD_SEAL))
            fail_msg("bit %zu", bit);
        blob.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(open_blob(*state, &place, buf_text(&blob), plain), 0);
    buf_free(&blob);
}

static void test_every_length(void **state)
{
    struct text plain = T("twenty bytes of text");
    struct buf blob = make_blob(*state, plain);
    for (size_t len = 0; len < blob.len; len++) {
        char *copy = malloc(len + 1); /* so that reading behind it is seen */
        memcpy(copy, blob.data, len);
        assert_int_equal(open_blob(*state, &place, (struct text){copy, len}, plain),
                         BURSAR_E_BAD_SEAL);
        free(copy);
    }
    buf_append_byte(&blob, 0);
    assert_int_equal(open_blob(*state, &place, buf_text(&blob), plain), BURSAR_E_BAD_SEAL);
    assert_int_equal(open_blob(*state, &place, (struct text){NULL, 0}, plain), BURSAR_E_BAD_SEAL);
    buf_free(&blob);
}

/* Two blobs of the same place cannot be made into a third. */
static void test_parts_exchanged(void **state)
{
    struct text plain = T("twenty bytes of text");
    struct buf one = make_blob(*state, plain), two = make_blob(*state, plain);
    for (size_t at = 9; at < one.len; at++) {
        uint8_t mixed[200];
        memcpy(mixed, one.data, at);
        memcpy(mixed + at, two.data + at, one.len - at);
        if (at > 9 && at < one.len)
            assert_int_equal(
                open_blob(*state, &place, (struct text){(char *)mixed, one.len}, plain),
                BURSAR_E_BAD_SEAL);
    }
    buf_free(&one);
    buf_free(&two);
}

static void test_other_keyring(void **state)
{
    struct buf blob = make_blob(*state, T("text"));
    struct keyring *other = fresh_keyring();
    assert_int_equal(open_blob(other, &place, buf_text(&blob), T("text")), BURSAR_E_UNKNOWN_KEY);
    keyring_free(other);
    buf_free(&blob);
}

static void test_no_room(void **state)
{
    struct buf small = buf_make(SEAL_OVERHEAD + 3), blob = make_blob(*state, T("text"));
    assert_int_equal(seal(*state, &place, T("text"), &small), BURSAR_E_TOO_BIG);
    assert_int_equal(small.len, 0);
    buf_free(&small);
    small = buf_make_secret(3);
    assert_int_equal(unseal(*state, &place, buf_text(&blob), &small), BURSAR_E_TOO_BIG);
    assert_int_equal(small.len, 0);
    buf_free(&small);
    small = buf_make_secret(10);
    buf_append_string(&small, "before");
    assert_int_equal(unseal(*state, &place, buf_text(&blob), &small), 0);
    assert_true(text_is(buf_text(&small), "beforetext"));
    buf_free(&small);
    buf_free(&blob);
}

/* What is sealed together opens alone, each in its own place, and has nothing in common. */
static void test_together(void **state)
{
    struct buf blobs[2] = {buf_make(1000), buf_make(1000)}, opened = buf_make_secret(100);
    struct seal_place places[2] = {place, place};
    places[1].kind = SEAL_GRANT;
    const struct seal_piece pieces[2] = {{places[0], T("a secret"), &blobs[0]},
                                         {places[1], T("a secret"), &blobs[1]}};
    assert_int_equal(seal_all(*state, pieces, 2), 0);
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&opened);
        assert_int_equal(unseal(*state, &places[i], buf_text(&blobs[i]), &opened), 0);
        assert_true(text_is(buf_text(&opened), "a secret"));
        assert_int_equal(unseal(*state, &places[!i], buf_text(&blobs[i]), &opened),
                         BURSAR_E_BAD_SEAL);
    }
    for (size_t i = 1 + KEYRING_ID_LEN; i + 8 <= blobs[0].len; i++)
        assert_memory_not_equal(blobs[0].data + i, blobs[1].data + i, 8);
    for (size_t i = 0; i < 2; i++)
        buf_free(&blobs[i]);
    buf_free(&opened);
    assert_int_equal(seal_all(*state, pieces, SEAL_PIECES_MAX + 1), BURSAR_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_layout),
        cmocka_unit_test(test_places),          cmocka_unit_test(test_place_without_owner),
        cmocka_unit_test(test_every_bit),       cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_parts_exchanged), cmocka_unit_test(test_other_keyring),
        cmocka_unit_test(test_no_room),         cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
