#include "jwt_check.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { PART_MAX = 8192, SCALAR_LEN = 32 };

static int value_of(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *found = c != 0 ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

/* RFC 7515 appendix C. */
static bool decode(struct text text, struct buf *out)
{
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xffffff;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        buf_append_byte(out, (uint8_t)(bits >> count));
    }
    return text.len % 4 != 1;
}

/* RFC 7518 section 3.4 to what libcrypto verifies. */
static size_t to_der(const struct buf *raw, uint8_t out[static 128])
{
    uint8_t *at = out;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw->data, SCALAR_LEN, NULL);
    BIGNUM *s = BN_bin2bn(raw->data + SCALAR_LEN, SCALAR_LEN, NULL);
    ECDSA_SIG_set0(pair, r, s);
    int len = i2d_ECDSA_SIG(pair, &at);
    ECDSA_SIG_free(pair);
    return len > 0 ? (size_t)len : 0;
}

static bool verify(const char *pem, struct text data, const struct buf *signature)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const uint8_t *bytes = signature->data;
    size_t len = signature->len;
    uint8_t der[128];
    if (key && EVP_PKEY_base_id(key) == EVP_PKEY_EC) {
        len = len == SCALAR_LEN * 2 ? to_der(signature, der) : 0;
        bytes = der;
    }
    bool is_right =
        key && len > 0 && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(context, bytes, len, (const uint8_t *)data.data, data.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return is_right;
}

bool jwt_check(struct text jwt, const char *pem, struct buf *out_header, struct buf *out_claims)
{
    const char *first = memchr(jwt.data, '.', jwt.len);
    const char *second =
        first ? memchr(first + 1, '.', jwt.len - (size_t)(first + 1 - jwt.data)) : NULL;
    struct buf signature = buf_make(PART_MAX);
    if (!second)
        return false;
    struct text header = {jwt.data, (size_t)(first - jwt.data)};
    struct text claims = {first + 1, (size_t)(second - first - 1)};
    struct text rest = {second + 1, jwt.len - (size_t)(second + 1 - jwt.data)};
    bool is_right = decode(header, out_header) && decode(claims, out_claims) &&
                    decode(rest, &signature) &&
                    verify(pem, (struct text){jwt.data, (size_t)(second - jwt.data)}, &signature);
    buf_free(&signature);
    return is_right;
}
