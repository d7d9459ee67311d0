#include "connector/sign.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <bursar/error.h>

enum { P256_BITS = 256, P256_PART_LEN = 32 };

struct sign_key {
    EVP_PKEY *pkey;
};

static const struct {
    const EVP_MD *(*md)(void);
    size_t len;
} hashes[] = {[SIGN_SHA1] = {EVP_sha1, 20},
              [SIGN_SHA256] = {EVP_sha256, 32},
              [SIGN_SHA512] = {EVP_sha512, 64}};

static const struct {
    enum sign_hash hash;
    const char *type; /* of the key */
    int min_bits;
    const char *wrong_type, *too_short;
} algorithms[] = {
    [SIGN_RS256] = {SIGN_SHA256, "RSA", 2048, "no RSA key", "an RSA key of less than 2048 bits"},
    [SIGN_RSA_SHA1] = {SIGN_SHA1, "RSA", 1024, "no RSA key", "an RSA key of less than 1024 bits"},
    [SIGN_ES256] = {SIGN_SHA256, "EC", P256_BITS, "no key of the curve P-256",
                    "no key of the curve P-256"},
};

/* ---- digests ----------------------------------------------------------------------------------- */

size_t sign_digest_len(enum sign_hash hash)
{
    return hashes[hash].len;
}

static const void *bytes_of(struct text text)
{
    return text.data ? text.data : "";
}

int sign_digest(enum sign_hash hash, struct text data, uint8_t out[static SIGN_DIGEST_MAX])
{
    bool is_ok = EVP_Digest(bytes_of(data), data.len, out, NULL, hashes[hash].md(), NULL) == 1;
    ERR_clear_error();
    return is_ok ? 0 : BURSAR_E_NOMEM;
}

int sign_hmac(enum sign_hash hash, struct text key, struct text data,
              uint8_t out[static SIGN_DIGEST_MAX])
{
    size_t out_len = 0;
    bool is_ok = EVP_Q_mac(NULL, OSSL_MAC_NAME_HMAC, NULL, EVP_MD_get0_name(hashes[hash].md()),
                           NULL, bytes_of(key), key.len, bytes_of(data), data.len, out,
                           SIGN_DIGEST_MAX, &out_len) != NULL;
    ERR_clear_error();
    return is_ok ? 0 : BURSAR_E_NOMEM;
}

/* ---- keys -------------------------------------------------------------------------------------- */

/* Nobody is asked for a passphrase. */
static int refuse_passphrase(char *out, int out_len, int is_writing, void *data)
{
    (void)out;
    (void)out_len;
    (void)is_writing;
    *(bool *)data = true;
    return -1;
}

int sign_key_new(struct text pem, struct sign_key **out_key, const char **out_problem)
{
    const char *unused = NULL;
    const char **problem = out_problem ? out_problem : &unused;
    bool is_encrypted = false;
    if (pem.len == 0 || pem.len > SIGN_KEY_BYTES_MAX) {
        *problem = "no private key in PEM";
        return BURSAR_E_CONFIG;
    }
    struct sign_key *key = calloc(1, sizeof *key);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (key && bio)
        key->pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &is_encrypted);
    bool is_without_memory = !key || !bio;
    BIO_free(bio);
    ERR_clear_error();
    if (key && key->pkey) {
        *out_key = key;
        return 0;
    }
    sign_key_free(key);
    if (is_without_memory)
        return BURSAR_E_NOMEM;
    *problem = is_encrypted ? "the private key is encrypted" : "no private key in PEM";
    return BURSAR_E_CONFIG;
}

void sign_key_free(struct sign_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey); /* clears the private numbers */
    free(key);
}

static bool is_p256(const EVP_PKEY *pkey)
{
    char name[64];
    size_t len = 0;
    return EVP_PKEY_get_group_name(pkey, name, sizeof name, &len) == 1 &&
           strcmp(name, SN_X9_62_prime256v1) == 0;
}

const char *sign_key_problem(const struct sign_key *key, enum sign_algorithm algorithm)
{
    const char *problem = NULL;
    if (!EVP_PKEY_is_a(key->pkey, algorithms[algorithm].type))
        problem = algorithms[algorithm].wrong_type;
    else if (algorithm == SIGN_ES256 && !is_p256(key->pkey))
        problem = algorithms[algorithm].wrong_type;
    else if (EVP_PKEY_get_bits(key->pkey) < algorithms[algorithm].min_bits)
        problem = algorithms[algorithm].too_short;
    ERR_clear_error();
    return problem;
}

/* ---- signatures -------------------------------------------------------------------------------- */

/* Gives a signature as libcrypto makes it, OPENSSL_free() ends it; NULL where that fails. */
static uint8_t *make_signature(const struct sign_key *key, enum sign_algorithm algorithm,
                               struct text data, size_t *out_len)
{
    const EVP_MD *md = hashes[algorithms[algorithm].hash].md();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t *signature = NULL;
    bool is_ok = context && EVP_DigestSignInit(context, NULL, md, NULL, key->pkey) == 1 &&
                 EVP_DigestSign(context, NULL, out_len, bytes_of(data), data.len) == 1;
    if (is_ok)
        signature = OPENSSL_malloc(*out_len);
    if (signature && EVP_DigestSign(context, signature, out_len, bytes_of(data), data.len) != 1) {
        OPENSSL_free(signature);
        signature = NULL;
    }
    EVP_MD_CTX_free(context);
    return signature;
}

/* ECDSA signatures come as a DER sequence of two integers; JWS wants them side by side. */
static bool append_ecdsa(const uint8_t *der, size_t der_len, struct buf *out)
{
    const uint8_t *at = der;
    uint8_t raw[2 * P256_PART_LEN];
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    bool is_ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, P256_PART_LEN) > 0 &&
                 BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + P256_PART_LEN, P256_PART_LEN) > 0;
    if (is_ok)
        buf_append(out, raw, sizeof raw);
    ECDSA_SIG_free(pair);
    return is_ok;
}

int sign_data(const struct sign_key *key, enum sign_algorithm algorithm, struct text data,
              struct buf *out)
{
    size_t len = 0;
    if (sign_key_problem(key, algorithm))
        return BURSAR_E_CONFIG;
    uint8_t *signature = make_signature(key, algorithm, data, &len);
    bool is_ok = signature != NULL;
    if (is_ok && algorithm == SIGN_ES256)
        is_ok = append_ecdsa(signature, len, out);
    else if (is_ok)
        buf_append(out, signature, len);
    OPENSSL_free(signature);
    ERR_clear_error();
    return is_ok ? buf_error(out) : BURSAR_E_INTERNAL;
}

void sign_append_base64url(struct buf *out, struct text bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t at = 0; at < bytes.len; at += 3) {
        size_t left = bytes.len - at < 3 ? bytes.len - at : 3;
        uint32_t group = 0;
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (i < left ? (uint8_t)bytes.data[at + i] : 0);
        for (size_t i = 0; i <= left; i++)
            buf_append_byte(out, (uint8_t)digits[group >> (18 - 6 * i) & 63]);
    }
}
