#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/id.h"

#define T(s) TEXT_LITERAL(s)

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void test_format(void **state)
{
    (void)state;
    char id[ID_SIZE];
    for (int i = 0; i < 1000; i++) {
        id_make("github", 1700000000000, id);
        assert_int_equal(strlen(id), 6 + 1 + 26);
        assert_memory_equal(id, "github.", 7);
        assert_int_equal(strspn(id + 7, alphabet), 26);
    }
}

/* The first ten characters are the time, most significant first. */
static void test_time_part(void **state)
{
    (void)state;
    static const struct {
        int64_t now_ms;
        const char *text;
    } cases[] = {{0, "0000000000"},
                 {1, "0000000001"},
                 {31, "000000000z"},
                 {32, "0000000010"},
                 {1469918176385, "01aryz6s41"}, /* the example of the ULID specification */
                 {INT64_C(0xffffffffffff), "7zzzzzzzzz"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[ID_SIZE];
        id_make("p", cases[i].now_ms, id);
        assert_memory_equal(id + 2, cases[i].text, 10);
    }
}

static void test_sorted_by_time(void **state)
{
    (void)state;
    char before[ID_SIZE], after[ID_SIZE];
    uint64_t random = 1;
    id_make("p", 0, before);
    for (int64_t now_ms = 1; now_ms < INT64_C(1) << 47;) {
        id_make("p", now_ms, after);
        assert_true(strcmp(before, after) < 0);
        memcpy(before, after, sizeof before);
        random = random * 6364136223846793005U + 1442695040888963407U;
        now_ms += 1 + (int64_t)(random >> 33) % (now_ms / 8 + 1);
    }
}

/* Each of the 80 bits is set about half of the time: none is fixed or left out. */
static void test_random_part(void **state)
{
    (void)state;
    enum { MADE = 2000 };
    unsigned ones[16][5] = {{0}};
    for (int i = 0; i < MADE; i++) {
        char id[ID_SIZE];
        id_make("p", 1, id);
        for (int c = 0; c < 16; c++) {
            ptrdiff_t value = strchr(alphabet, id[2 + 10 + c]) - alphabet;
            for (int bit = 0; bit < 5; bit++)
                ones[c][bit] += (unsigned)(value >> bit & 1);
        }
    }
    for (int c = 0; c < 16; c++) {
        for (int bit = 0; bit < 5; bit++)
            assert_in_range(ones[c][bit], MADE * 2 / 5, MADE * 3 / 5); /* 9 sigma */
    }
}

static void test_longest_provider(void **state)
{
    (void)state;
    char provider[65], id[ID_SIZE];
    memset(provider, 'a', 64);
    provider[64] = 0;
    id_make(provider, 1700000000000, id);
    assert_int_equal(strlen(id), BURSAR_MAX_CONNECTION_BYTES);
    assert_true(strlen(id) < ID_SIZE);
    assert_true(text_is(id_provider(text_of(id)), provider));
}

static void test_provider_part(void **state)
{
    (void)state;
#define TAIL "0123456789abcdefghjkmnpqrs"
    static const struct {
        struct text id;
        const char *provider;
    } cases[] = {
        {T("git-hub_2." TAIL), "git-hub_2"},
        {T("p.tvwxyz6789abcdefghjkmnpqrs"), "p"},
        {T("." TAIL), NULL},
        {T(TAIL), NULL},
        {T("p" TAIL), NULL},
        {T("p-" TAIL), NULL},
        {T("p." TAIL "0"), NULL},
        {T("p.0123456789abcdefghjkmnpqr"), NULL},
        {T("P." TAIL), NULL},
        {T("-p." TAIL), NULL},
        {T("a.b." TAIL), NULL},
        {T("p.0123456789ABCDEFGHJKMNPQRS"), NULL},
        {T("p.i123456789abcdefghjkmnpqrs"), NULL},
        {T("p.0123456789abcdefghjkmnpqrl"), NULL},
        {T("p.0123456789abcdefghjkmnpqro"), NULL},
        {T("p.0123456789abcdefghjkmnpqru"), NULL},
        {T("p.0123456789abc\0efghjkmnpqrs"), NULL},
        {T("p.0123456789abcdefghjkmnpqr\0"), NULL},
        {T(""), NULL},
        {{NULL, 0}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text provider = id_provider(cases[i].id);
        if (!text_equal(provider, text_of(cases[i].provider)))
            fail_msg("case %zu", i);
        if (provider.data)
            assert_ptr_equal(provider.data, cases[i].id.data);
    }
}

static void test_random_below(void **state)
{
    (void)state;
    unsigned seen[7] = {0};
    for (int i = 0; i < 2000; i++) {
        uint32_t number = id_random_below(7);
        assert_true(number < 7);
        seen[number]++;
    }
    for (int i = 0; i < 7; i++)
        assert_true(seen[i] > 0);
    assert_int_equal(id_random_below(1), 0);
    uint8_t some[32] = {0}, other[32] = {0};
    id_random(some, 32);
    id_random(other, 31);
    assert_memory_not_equal(some, other, 31);
    assert_int_equal(other[31], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),           cmocka_unit_test(test_time_part),
        cmocka_unit_test(test_sorted_by_time),   cmocka_unit_test(test_random_part),
        cmocka_unit_test(test_longest_provider), cmocka_unit_test(test_provider_part),
        cmocka_unit_test(test_random_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
