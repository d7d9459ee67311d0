#include "vault/seal.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/secret.h"

enum {
    VERSION = 1,
    NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    KEY_LEN = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,

    AT_KEY_ID = 1,
    AT_WRAP_NONCE = AT_KEY_ID + KEYRING_ID_LEN,
    AT_WRAP = AT_WRAP_NONCE + NONCE_LEN,
    AT_NONCE = AT_WRAP + KEY_LEN + TAG_LEN,
    AT_BODY = AT_NONCE + NONCE_LEN,

    PLACE_USUAL = 512
};
static_assert(AT_BODY + TAG_LEN == SEAL_OVERHEAD, "the header tells the overhead");
static_assert(KEY_LEN == KEYRING_KEY_LEN, "key-encryption keys are keys of the same cipher");

static size_t add_text(uint8_t *to, struct text text)
{
    assert(text.len <= UINT16_MAX);
    to[0] = (uint8_t)(text.len >> 8);
    to[1] = (uint8_t)text.len;
    if (text.len > 0)
        memcpy(to + 2, text.data, text.len);
    return text.len + 2;
}

/* The associated data of the body; owners and ids are bounded far below PLACE_USUAL. */
static size_t add_place(uint8_t to[static PLACE_USUAL], const struct seal_place *place)
{
    size_t len = 0;
    assert(place->connection.len + place->owner.len + 14 <= PLACE_USUAL);
    to[len++] = VERSION;
    to[len++] = (uint8_t)place->kind;
    for (int shift = 56; shift >= 0; shift -= 8)
        to[len++] = (uint8_t)(place->generation >> shift);
    len += add_text(to + len, place->connection);
    len += add_text(to + len, place->owner);
    return len;
}

int seal(const struct keyring *keyring, const struct seal_place *place, struct text plain,
         struct buf *out_blob)
{
    uint8_t ad[PLACE_USUAL];
    size_t ad_len = add_place(ad, place);
    uint8_t *blob = buf_reserve(out_blob, SEAL_OVERHEAD + plain.len);
    if (!blob)
        return buf_error(out_blob);
    uint8_t *data_key = secret_memory_new(KEY_LEN);
    if (!data_key)
        return BURSAR_E_NOMEM;
    randombytes_buf(data_key, KEY_LEN);
    blob[0] = VERSION;
    memcpy(blob + AT_KEY_ID, keyring_active_id(keyring), KEYRING_ID_LEN);
    randombytes_buf(blob + AT_WRAP_NONCE, NONCE_LEN);
    randombytes_buf(blob + AT_NONCE, NONCE_LEN);
    crypto_aead_xchacha20poly1305_ietf_encrypt(blob + AT_WRAP, NULL, data_key, KEY_LEN, blob,
                                               AT_WRAP_NONCE, NULL, blob + AT_WRAP_NONCE,
                                               keyring_find(keyring, keyring_active_id(keyring)));
    crypto_aead_xchacha20poly1305_ietf_encrypt(blob + AT_BODY, NULL, (const uint8_t *)plain.data,
                                               plain.len, ad, ad_len, NULL, blob + AT_NONCE,
                                               data_key);
    secret_memory_free(data_key, KEY_LEN);
    buf_added(out_blob, SEAL_OVERHEAD + plain.len);
    return 0;
}

static const uint8_t *check_head(struct text blob)
{
    const uint8_t *bytes = (const uint8_t *)blob.data;
    return blob.len >= SEAL_OVERHEAD && bytes[0] == VERSION ? bytes : NULL;
}

int unseal(const struct keyring *keyring, const struct seal_place *place, struct text blob,
           struct buf *out_plain)
{
    uint8_t ad[PLACE_USUAL];
    uint8_t data_key[KEY_LEN]; /* on the stack: the way of a warm vend takes no memory */
    const uint8_t *bytes = check_head(blob);
    if (!bytes)
        return BURSAR_E_BAD_SEAL;
    const uint8_t *key = keyring_find(keyring, bytes + AT_KEY_ID);
    if (!key)
        return BURSAR_E_UNKNOWN_KEY;
    size_t plain_len = blob.len - SEAL_OVERHEAD;
    uint8_t *plain = buf_reserve(out_plain, plain_len);
    if (!plain)
        return buf_error(out_plain);
    size_t ad_len = add_place(ad, place);
    int result = crypto_aead_xchacha20poly1305_ietf_decrypt(data_key, NULL, NULL, bytes + AT_WRAP,
                                                            KEY_LEN + TAG_LEN, bytes, AT_WRAP_NONCE,
                                                            bytes + AT_WRAP_NONCE, key);
    if (result == 0)
        result = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, bytes + AT_BODY,
                                                            plain_len + TAG_LEN, ad, ad_len,
                                                            bytes + AT_NONCE, data_key);
    secret_wipe(data_key, sizeof data_key);
    if (result != 0)
        return BURSAR_E_BAD_SEAL;
    buf_added(out_plain, plain_len);
    return 0;
}

bool seal_key_id_text(struct text blob, char text[static KEYRING_ID_LEN * 2 + 1])
{
    const uint8_t *bytes = check_head(blob);
    if (bytes)
        sodium_bin2hex(text, KEYRING_ID_LEN * 2 + 1, bytes + AT_KEY_ID, KEYRING_ID_LEN);
    return bytes != NULL;
}
