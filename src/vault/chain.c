#include "vault/chain.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/secret.h"

enum { KEY_LEN = crypto_generichash_KEYBYTES };
static_assert(KEY_LEN == KEYRING_KEY_LEN, "a key-encryption key is a whole key of BLAKE2b");
static_assert(CHAIN_LINK_LEN == crypto_generichash_BYTES, "a link is a whole hash");

/* What the hashes are for, so that none can stand for one of another purpose. */
static const char key_purpose[] = "bursar audit seal 1", link_purpose[] = "bursar audit row 1",
                  journal_purpose[] = "bursar audit journal 1";

static void make_link(struct text purpose, const uint8_t before[static CHAIN_LINK_LEN],
                      struct text bytes, uint8_t out[static CHAIN_LINK_LEN])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, CHAIN_LINK_LEN);
    crypto_generichash_update(&state, (const uint8_t *)purpose.data, purpose.len);
    crypto_generichash_update(&state, before, CHAIN_LINK_LEN);
    crypto_generichash_update(&state, (const uint8_t *)bytes.data, bytes.len);
    crypto_generichash_final(&state, out, CHAIN_LINK_LEN);
}

void chain_link(const uint8_t before[static CHAIN_LINK_LEN], struct text row,
                uint8_t out[static CHAIN_LINK_LEN])
{
    make_link((struct text){link_purpose, sizeof link_purpose}, before, row, out);
}

void chain_journal_link(const uint8_t before[static CHAIN_LINK_LEN], struct text entry,
                        uint8_t out[static CHAIN_LINK_LEN])
{
    make_link((struct text){journal_purpose, sizeof journal_purpose}, before, entry, out);
}

static void put_uint(uint8_t to[static 8], uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (56 - 8 * i));
}

static void make_seal(const uint8_t *key, const uint8_t id[static KEYRING_ID_LEN],
                      const struct chain_ends *ends, uint8_t out[static CHAIN_SEAL_LEN])
{
    uint8_t derived[KEY_LEN], numbers[16];
    crypto_generichash_state state;
    crypto_generichash(derived, sizeof derived, (const uint8_t *)key_purpose, sizeof key_purpose,
                       key, KEYRING_KEY_LEN);
    put_uint(numbers, ends->anchor_seq);
    put_uint(numbers + 8, ends->seq);
    crypto_generichash_init(&state, derived, sizeof derived, CHAIN_SEAL_LEN);
    crypto_generichash_update(&state, id, KEYRING_ID_LEN);
    crypto_generichash_update(&state, numbers, sizeof numbers);
    crypto_generichash_update(&state, ends->anchor, CHAIN_LINK_LEN);
    crypto_generichash_update(&state, ends->link, CHAIN_LINK_LEN);
    if (ends->journal_nr > 0) {
        put_uint(numbers, ends->journal_nr);
        crypto_generichash_update(&state, numbers, 8);
        crypto_generichash_update(&state, ends->journal, CHAIN_LINK_LEN);
    }
    crypto_generichash_final(&state, out, CHAIN_SEAL_LEN);
    secret_wipe(derived, sizeof derived);
    secret_wipe(&state, sizeof state);
}

int chain_seal(const struct keyring *keyring, const struct chain_ends *ends,
               struct chain_seal *out_seal)
{
    struct keyring_hold hold;
    const struct key *key = key_set_active(keyring_hold(keyring, &hold), TEXT_LITERAL(""));
    bool is_there = key && sodium_init() >= 0;
    if (is_there) {
        memcpy(out_seal->key_id, key->id, KEYRING_ID_LEN);
        make_seal(key->bytes, key->id, ends, out_seal->bytes);
    }
    keyring_let_go(keyring, &hold);
    return is_there ? 0 : BURSAR_E_INTERNAL;
}

bool chain_is_current(const struct keyring *keyring, const struct chain_seal *seal)
{
    struct keyring_hold hold;
    const struct key *key = key_set_active(keyring_hold(keyring, &hold), TEXT_LITERAL(""));
    bool is_current = key && memcmp(key->id, seal->key_id, KEYRING_ID_LEN) == 0;
    keyring_let_go(keyring, &hold);
    return is_current;
}

int chain_check(const struct keyring *keyring, const struct chain_ends *ends,
                const struct chain_seal *seal)
{
    uint8_t right[CHAIN_SEAL_LEN];
    struct keyring_hold hold;
    const struct key *key = key_set_find(keyring_hold(keyring, &hold), seal->key_id);
    bool is_there = key != NULL;
    if (is_there)
        make_seal(key->bytes, seal->key_id, ends, right);
    keyring_let_go(keyring, &hold);
    if (!is_there)
        return BURSAR_E_UNKNOWN_KEY;
    return sodium_memcmp(right, seal->bytes, sizeof right) == 0 ? 0 : BURSAR_E_BAD_SEAL;
}
