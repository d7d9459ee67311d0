/* Links bind what stands before them, seals need the keyring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "vault/chain.h"

#define T(s) TEXT_LITERAL(s)

static struct keyring *make_keyring(char path[static 32])
{
    struct keyring *keyring = NULL;
    struct buf error = buf_make(500);
    strcpy(path, "/tmp/bursar-chain-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(keyring_create_file(path), 0);
    assert_int_equal(keyring_load_file(path, &keyring, &error), 0);
    buf_free(&error);
    return keyring;
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

static const uint8_t zero[CHAIN_LINK_LEN];

static void test_links(void **state)
{
    uint8_t first[CHAIN_LINK_LEN], second[CHAIN_LINK_LEN], other[CHAIN_LINK_LEN];
    (void)state;
    chain_link(zero, T("one"), first);
    chain_link(first, T("two"), second);
    chain_link(zero, T("two"), other);
    assert_memory_not_equal(second, other, sizeof other); /* what stands before counts */
    chain_link(zero, T("onE"), other);
    assert_memory_not_equal(first, other, sizeof other);
    memcpy(other, first, sizeof other);
    chain_link(other, T("two"), other); /* in place */
    assert_memory_equal(second, other, sizeof other);
    chain_journal_link(zero, T("one"), other); /* is no link of a row */
    assert_memory_not_equal(first, other, sizeof other);
    memcpy(first, other, sizeof first);
    chain_journal_link(first, T("two"), other);
    chain_journal_link(zero, T("two"), second);
    assert_memory_not_equal(second, other, sizeof other);
}

static void test_seals(void **state)
{
    char path[32], other_path[32];
    struct keyring *keyring = make_keyring(path), *other = make_keyring(other_path);
    const struct chain_ends ends = {
        .anchor_seq = 3, .seq = 9, .anchor = {1, 2, 3}, .link = {4, 5, 6}};
    struct chain_ends changed[4] = {ends, ends, ends, ends}, journal = ends;
    struct chain_seal seal, forged;
    (void)state;
    assert_int_equal(chain_seal(keyring, &ends, &seal), 0);
    assert_int_equal(chain_check(keyring, &ends, &seal), 0);
    changed[0].anchor_seq = 2;
    changed[1].seq = 8;
    changed[2].anchor[31] ^= 1;
    changed[3].link[0] ^= 1;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(chain_check(keyring, &changed[i], &seal), BURSAR_E_BAD_SEAL);
    assert_int_equal(chain_check(other, &ends, &seal), BURSAR_E_UNKNOWN_KEY);
    journal.journal_nr = 2; /* one that is empty is none */
    journal.journal[0] = 1;
    assert_int_equal(chain_check(keyring, &journal, &seal), BURSAR_E_BAD_SEAL);
    assert_int_equal(chain_seal(keyring, &journal, &forged), 0);
    assert_int_equal(chain_check(keyring, &journal, &forged), 0);
    assert_int_equal(chain_check(keyring, &ends, &forged), BURSAR_E_BAD_SEAL);
    journal.journal_nr = 3;
    assert_int_equal(chain_check(keyring, &journal, &forged), BURSAR_E_BAD_SEAL);
    journal.journal_nr = 2;
    journal.journal[0] = 2;
    assert_int_equal(chain_check(keyring, &journal, &forged), BURSAR_E_BAD_SEAL);
    /* Made with another key, under the name of this one. */
    assert_int_equal(chain_seal(other, &ends, &forged), 0);
    memcpy(forged.key_id, seal.key_id, sizeof forged.key_id);
    assert_int_equal(chain_check(keyring, &ends, &forged), BURSAR_E_BAD_SEAL);
    assert_true(chain_is_current(keyring, &seal));
    keyring_free(keyring);
    /* A key that became old still checks what it sealed. */
    struct buf error = buf_make(500);
    char where[300];
    snprintf(where, sizeof where, "file:%s", path);
    const struct keyring_source source = {.where = where};
    assert_int_equal(keyring_add_key(&source, KEY_ACTIVE, NULL, &error), 0);
    assert_int_equal(keyring_load_file(path, &keyring, &error), 0);
    assert_int_equal(chain_check(keyring, &ends, &seal), 0);
    assert_false(chain_is_current(keyring, &seal));
    assert_int_equal(chain_seal(keyring, &ends, &forged), 0);
    assert_memory_not_equal(forged.key_id, seal.key_id, sizeof seal.key_id);
    buf_free(&error);
    keyring_free(keyring);
    keyring_free(other);
    unlink(path);
    unlink(other_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_links), cmocka_unit_test(test_seals)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
