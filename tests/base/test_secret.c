#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define T(s) TEXT_LITERAL(s)

enum { ARENA_BYTES = 1 << 16, LEAST = 64, THREADS = 4, ROUNDS = 20000, HELD = 32 };

static int open_arena(void **state)
{
    (void)state;
    return secret_arena_open(ARENA_BYTES);
}

static int close_arena(void **state)
{
    (void)state;
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return used_bytes == 0 ? 0 : -1;
}

static bool is_all(const uint8_t *data, size_t len, uint8_t byte)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != byte)
            return false;
    }
    return true;
}

static size_t rounded(size_t len)
{
    size_t block = LEAST;
    while (block < len)
        block *= 2;
    return block;
}

/* The whole arena can be had in one piece: everything that was split is merged again. */
static void assert_whole(void)
{
    size_t overflows = secret_arena_info().overflows;
    assert_int_equal(secret_arena_info().used_bytes, 0);
    void *all = secret_memory_new(ARENA_BYTES);
    assert_int_equal(secret_arena_info().used_bytes, ARENA_BYTES);
    assert_int_equal(secret_arena_info().overflows, overflows);
    secret_memory_free(all, ARENA_BYTES);
}

static void test_sizes(void **state)
{
    (void)state;
    size_t overflows = secret_arena_info().overflows;
    for (size_t len = 0; len <= ARENA_BYTES; len += len < 600 ? 1 : 997) {
        uint8_t *data = secret_memory_new(len);
        assert_non_null(data);
        assert_int_equal(secret_arena_info().used_bytes, rounded(len));
        assert_int_equal((uintptr_t)data % LEAST, 0);
        memset(data, 0xa5, len);
        secret_memory_free(data, len);
        assert_int_equal(secret_arena_info().used_bytes, 0);
    }
    assert_int_equal(secret_arena_info().overflows, overflows);
    assert_int_equal(secret_arena_info().bytes, ARENA_BYTES);
    secret_memory_free(NULL, 10);
    assert_whole();
}

static void test_split_and_merge(void **state)
{
    (void)state;
    enum { COUNT = ARENA_BYTES / LEAST };
    static uint8_t *blocks[COUNT];
    for (size_t order = 0; order < 8; order++) { /* orders in which the blocks come back */
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = secret_memory_new(LEAST);
            memset(blocks[i], (int)(i % 255 + 1), LEAST);
        }
        assert_int_equal(secret_arena_info().used_bytes, ARENA_BYTES);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(is_all(blocks[i], LEAST, (uint8_t)(i % 255 + 1)));
        for (size_t i = 0; i < COUNT; i++) {
            size_t which = order == 0   ? i
                           : order == 1 ? COUNT - 1 - i
                                        : i * (2 * order + 1) % COUNT;
            secret_memory_free(blocks[which], LEAST);
            assert_int_equal(secret_arena_info().used_bytes, ARENA_BYTES - (i + 1) * LEAST);
        }
        assert_whole();
    }
}

/* A free half with an occupied one beside it stays a half. */
static void test_no_merge_with_what_is_used(void **state)
{
    (void)state;
    uint8_t *a = secret_memory_new(ARENA_BYTES / 2);
    uint8_t *b = secret_memory_new(ARENA_BYTES / 4);
    uint8_t *c = secret_memory_new(ARENA_BYTES / 4);
    memset(b, 'b', ARENA_BYTES / 4);
    secret_memory_free(a, ARENA_BYTES / 2);
    secret_memory_free(c, ARENA_BYTES / 4);
    uint8_t *half = secret_memory_new(ARENA_BYTES / 2);
    uint8_t *quarter = secret_memory_new(ARENA_BYTES / 4);
    assert_int_equal(secret_arena_info().used_bytes, ARENA_BYTES);
    memset(half, 'h', ARENA_BYTES / 2);
    memset(quarter, 'q', ARENA_BYTES / 4);
    assert_true(is_all(b, ARENA_BYTES / 4, 'b'));
    secret_memory_free(half, ARENA_BYTES / 2);
    secret_memory_free(b, ARENA_BYTES / 4);
    secret_memory_free(quarter, ARENA_BYTES / 4);
    assert_whole();
}

static void test_overflow(void **state)
{
    (void)state;
    uint8_t *all = secret_memory_new(ARENA_BYTES / 2 + 1);
    size_t overflows = secret_arena_info().overflows;
    uint8_t *one_more = secret_memory_new(40);
    assert_non_null(one_more);
    assert_int_equal(secret_arena_info().overflows, overflows + 1);
    assert_int_equal(secret_arena_info().used_bytes, ARENA_BYTES);
    memset(one_more, 1, 40);
    uint8_t *huge = secret_memory_new(ARENA_BYTES + 1);
    assert_non_null(huge);
    memset(huge, 2, ARENA_BYTES + 1);
    assert_int_equal(secret_arena_info().overflows, overflows + 2);
    secret_memory_free(one_more, 40);
    secret_memory_free(all, ARENA_BYTES / 2 + 1);
    secret_memory_free(huge, ARENA_BYTES + 1);
    assert_null(secret_memory_new(SIZE_MAX / 2));
    assert_whole();
}

/* In a block that was given back there is nothing but the pointers of the free list. */
static void test_wiped(void **state)
{
    (void)state;
    uint8_t *all = secret_memory_new(ARENA_BYTES);
    memset(all, 0x55, ARENA_BYTES);
    secret_memory_free(all, ARENA_BYTES);
    for (size_t len = 1; len <= 5000; len += 123) {
        uint8_t *data = secret_memory_new(len);
        memset(data, 0xee, len);
        secret_memory_free(data, len);
        size_t links = 2 * sizeof(void *);
        if (len > links)
            assert_true(is_all(data + links, len - links, 0));
    }
    all = secret_memory_new(ARENA_BYTES);
    assert_true(is_all(all, ARENA_BYTES, 0)); /* and those are gone when blocks become one */
    secret_memory_free(all, ARENA_BYTES);
    uint8_t bytes[] = {1, 2, 3, 4};
    secret_wipe(bytes, 3);
    assert_memory_equal(bytes, ((uint8_t[]){0, 0, 0, 4}), 4);
    secret_wipe(NULL, 0);
}

/* ---- many threads ---------------------------------------------------------------------------- */

struct held {
    uint8_t *data;
    size_t len;
    uint8_t byte;
};

static void exchange(struct held *held, uint32_t random, uint8_t byte, size_t *damaged)
{
    if (held->data && !is_all(held->data, held->len, held->byte))
        ++*damaged;
    secret_memory_free(held->data, held->len);
    held->len = random >> 8 & 15 ? random >> 12 & 255 : random >> 12 & 8191;
    held->byte = byte;
    held->data = secret_memory_new(held->len);
    memset(held->data, byte, held->len);
}

static void *churn(void *argument)
{
    struct held held[HELD] = {{NULL, 0, 0}};
    size_t damaged = 0;
    uint32_t random = *(uint32_t *)argument;
    uint8_t byte = (uint8_t)(random * 50);
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1664525 + 1013904223;
        exchange(&held[random >> 27], random, (uint8_t)(byte + i % 50), &damaged);
    }
    for (size_t i = 0; i < HELD; i++)
        secret_memory_free(held[i].data, held[i].len);
    *(uint32_t *)argument = (uint32_t)damaged;
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint32_t values[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        values[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &values[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(values[i], 0);
    }
    assert_whole();
}

/* ---- what the kernel is told ----------------------------------------------------------------- */

/* Whether the mapping around data has a flag in its VmFlags line of /proc/self/smaps. */
static bool has_vm_flag(const void *data, const char *flag)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512];
    bool is_here = false, has_flag = false;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        uintptr_t from, to;
        if (sscanf(line, "%zx-%zx ", &from, &to) == 2)
            is_here = (uintptr_t)data >= from && (uintptr_t)data < to;
        if (is_here && strncmp(line, "VmFlags:", 8) == 0)
            has_flag = strstr(line, flag) != NULL;
    }
    fclose(file);
    return has_flag;
}

static void test_locked_and_not_dumped(void **state)
{
    (void)state;
    uint8_t *data = secret_memory_new(100);
    assert_true(has_vm_flag(data, " dd"));
#if !defined BURSAR_SANITIZE && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    /* The sanitizers' runtimes make mlock() do nothing and say that it did. */
    assert_int_equal(secret_arena_info().is_locked, has_vm_flag(data, " lo"));
#endif
    secret_memory_free(data, 100);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void test_secret_values(void **state)
{
    (void)state;
    struct secret secret, absent, empty;
    assert_int_equal(secret_copy(T("s3cr\0t"), &secret), 0);
    assert_int_equal(secret_copy((struct text){NULL, 0}, &absent), 0);
    assert_int_equal(secret_copy(T(""), &empty), 0);
    assert_true(text_equal(secret_text(&secret), T("s3cr\0t")));
    assert_int_equal(secret.data[6], 0);
    assert_null(secret_text(&absent).data);
    assert_non_null(secret_text(&empty).data);
    assert_int_equal(secret_text(&empty).len, 0);
    assert_int_equal(secret_arena_info().used_bytes, 2 * LEAST);
    secret_free(&secret);
    secret_free(&secret);
    secret_free(&absent);
    secret_free(&empty);
    assert_null(secret.data);
    assert_int_equal(secret.len, 0);
}

/* A block is filled to its end: the copy ends with a NUL, and its neighbour is left alone. */
static void test_secret_that_fills_its_block(void **state)
{
    (void)state;
    char text[LEAST];
    struct secret secret;
    uint8_t *first = secret_memory_new(LEAST), *second = secret_memory_new(LEAST);
    assert_ptr_equal(first + LEAST, second);
    memset(first, 0xff, LEAST);
    memset(second, 0xff, LEAST);
    memset(text, 't', sizeof text);
    secret_memory_free(first, 1); /* so that it is not clean */
    assert_int_equal(secret_copy((struct text){text, LEAST - 1}, &secret), 0);
    assert_ptr_equal(secret.data, first);
    assert_int_equal(secret.data[LEAST - 1], 0);
    secret_free(&secret);
    assert_true(is_all(second, LEAST, 0xff));
    secret_memory_free(second, LEAST);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(secret_equal(T("abc"), T("abc")));
    assert_false(secret_equal(T("abc"), T("abd")));
    assert_false(secret_equal(T("abc"), T("Abc")));
    assert_false(secret_equal(T("abc"), T("ab")));
    assert_false(secret_equal(T("ab"), T("abc")));
    assert_true(secret_equal(T(""), T("")));
}

/* Counted by other programs: BLAKE2b-256 with the key "bursar fingerprint 1", and SHA-256. */
static void test_digests(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        const char *fingerprint, *sha256;
    } cases[] = {
        {T(""), "e8e886daa737aa5240727d12d203163a7f68343cf063d29fe0e7e233c2d4671c",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {T("abc"), "8e25dbb77345f74163649df6f5695b8cc46ea7a60cc64003ea39db3d83b2d045",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    };
    for (size_t i = 0; i < 2; i++) {
        uint8_t digest[SECRET_FINGERPRINT_LEN];
        char hex[65];
        secret_fingerprint(cases[i].text, digest);
        for (size_t k = 0; k < sizeof digest; k++)
            snprintf(hex + 2 * k, 3, "%02x", digest[k]);
        assert_string_equal(hex, cases[i].fingerprint);
        secret_sha256_hex(cases[i].text, hex);
        assert_string_equal(hex, cases[i].sha256);
    }
}

static void test_without_arena(void **state)
{
    (void)state;
    assert_int_equal(secret_arena_info().bytes, 0);
    uint8_t *data = secret_memory_new(100);
    memset(data, 1, 100);
    assert_int_equal(secret_arena_info().used_bytes, 0);
    assert_int_equal(secret_arena_info().overflows, 1);
    secret_memory_free(data, 100);
}

/* What came from outside may be given back when the arena has ended. */
static void test_block_outlives_arena(void **state)
{
    (void)state;
    assert_int_equal(secret_arena_open(LEAST), 0);
    size_t overflows = secret_arena_info().overflows;
    uint8_t *inside = secret_memory_new(LEAST);
    assert_int_equal(secret_arena_info().overflows, overflows);
    uint8_t *outside = secret_memory_new(LEAST);
    assert_int_equal(secret_arena_info().overflows, overflows + 1);
    secret_memory_free(inside, LEAST);
    secret_arena_close();
    outside[LEAST - 1] = 1;
    secret_memory_free(outside, LEAST);
    secret_arena_close();
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_arena),
        cmocka_unit_test(test_block_outlives_arena),
        WITH_ARENA(test_sizes),
        WITH_ARENA(test_split_and_merge),
        WITH_ARENA(test_no_merge_with_what_is_used),
        WITH_ARENA(test_overflow),
        WITH_ARENA(test_wiped),
        WITH_ARENA(test_threads),
        WITH_ARENA(test_locked_and_not_dumped),
        WITH_ARENA(test_secret_values),
        WITH_ARENA(test_secret_that_fills_its_block),
        cmocka_unit_test(test_equal),
        WITH_ARENA(test_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
