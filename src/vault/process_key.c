#include "vault/process_key.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/secret.h"

enum {
    NONCE_LEN = crypto_aead_aes256gcm_NPUBBYTES,
    TAG_LEN = crypto_aead_aes256gcm_ABYTES,
    KEY_LEN = crypto_aead_aes256gcm_KEYBYTES
};
static_assert(NONCE_LEN + TAG_LEN == PROCESS_SEAL_OVERHEAD, "the header tells the overhead");
static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == NONCE_LEN &&
                  crypto_aead_chacha20poly1305_ietf_ABYTES == TAG_LEN &&
                  crypto_aead_chacha20poly1305_ietf_KEYBYTES == KEY_LEN,
              "both ciphers have the same form");

struct process_key {
    crypto_aead_aes256gcm_state aes; /* the expanded key; only of PROCESS_AES_GCM */
    uint8_t bytes[KEY_LEN];
    uint64_t sealed; /* how many times: the next nonce */
    enum process_cipher cipher;
};

enum process_cipher process_key_cipher(void)
{
    return crypto_aead_aes256gcm_is_available() ? PROCESS_AES_GCM : PROCESS_CHACHA20;
}

int process_key_new(enum process_cipher cipher, struct process_key **out_key)
{
    struct process_key *key = secret_memory_new(sizeof *key);
    if (!key)
        return BURSAR_E_NOMEM;
    memset(key, 0, sizeof *key);
    randombytes_buf(key->bytes, sizeof key->bytes);
    key->cipher = cipher;
    if (cipher == PROCESS_AES_GCM)
        crypto_aead_aes256gcm_beforenm(&key->aes, key->bytes);
    *out_key = key;
    return 0;
}

void process_key_free(struct process_key *key)
{
    secret_memory_free(key, sizeof *key);
}

void process_key_seal(struct process_key *key, struct text whose, struct text plain,
                      uint8_t *out_sealed)
{
    const uint8_t *about = (const uint8_t *)whose.data;
    const uint8_t *bytes = (const uint8_t *)plain.data;
    uint8_t *nonce = out_sealed, *body = out_sealed + NONCE_LEN;
    memset(nonce, 0, NONCE_LEN);
    memcpy(nonce, &key->sealed, sizeof key->sealed);
    key->sealed++;
    if (key->cipher == PROCESS_AES_GCM)
        crypto_aead_aes256gcm_encrypt_afternm(body, NULL, bytes, plain.len, about, whose.len, NULL,
                                              nonce, &key->aes);
    else
        crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, bytes, plain.len, about, whose.len,
                                                  NULL, nonce, key->bytes);
}

int process_key_open(const struct process_key *key, struct text whose, struct text sealed,
                     uint8_t *out_plain)
{
    const uint8_t *about = (const uint8_t *)whose.data;
    const uint8_t *nonce = (const uint8_t *)sealed.data, *body = nonce + NONCE_LEN;
    if (sealed.len < PROCESS_SEAL_OVERHEAD)
        return BURSAR_E_BAD_SEAL;
    size_t len = sealed.len - NONCE_LEN;
    int result = key->cipher == PROCESS_AES_GCM
                     ? crypto_aead_aes256gcm_decrypt_afternm(out_plain, NULL, NULL, body, len,
                                                             about, whose.len, nonce, &key->aes)
                     : crypto_aead_chacha20poly1305_ietf_decrypt(
                           out_plain, NULL, NULL, body, len, about, whose.len, nonce, key->bytes);
    return result == 0 ? 0 : BURSAR_E_BAD_SEAL;
}
