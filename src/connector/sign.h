/* Digests and signatures that requests carry (JWS, OAuth 1.0a, HMAC schemes), by libcrypto.
 * Thread: any; a key is read only once it is made.
 *
 * Errors are constants and quote nothing; nothing stays in libcrypto's queue of errors. */
#ifndef CONNECTOR_SIGN_H
#define CONNECTOR_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

enum sign_hash { SIGN_SHA1, SIGN_SHA256, SIGN_SHA512 };
#define SIGN_DIGEST_MAX 64

/* Bytes of a digest. */
size_t sign_digest_len(enum sign_hash hash);
/* 0, or BURSAR_E_NOMEM, the only reason to fail. */
int sign_digest(enum sign_hash hash, struct text data, uint8_t out[static SIGN_DIGEST_MAX]);
/* HMAC (RFC 2104). */
int sign_hmac(enum sign_hash hash, struct text key, struct text data,
              uint8_t out[static SIGN_DIGEST_MAX]);

enum sign_algorithm {
    SIGN_RS256,    /* RFC 7518 section 3.3; RSA of at least 2048 bits */
    SIGN_RSA_SHA1, /* RFC 5849 section 3.4.3; RSA of at least 1024 bits */
    SIGN_ES256,    /* RFC 7518 section 3.4: P-256, r and s of 32 bytes each */
};
#define SIGN_KEY_BYTES_MAX 65536

struct sign_key;

/* Reads an unencrypted private key in PEM (PKCS #1, PKCS #8 or SEC 1), sign_key_free() ends and wipes
 * it. 0, BURSAR_E_NOMEM, or BURSAR_E_CONFIG; then *out_problem, where it is not NULL, is a constant. */
int sign_key_new(struct text pem, struct sign_key **out_key, const char **out_problem);
void sign_key_free(struct sign_key *key);
/* NULL where the key fits the algorithm, else why not, a constant. */
const char *sign_key_problem(const struct sign_key *key, enum sign_algorithm algorithm);

/* Appends the signature's bytes. 0, BURSAR_E_CONFIG for a key that does not fit, BURSAR_E_INTERNAL
 * where libcrypto fails, or the error of out. */
int sign_data(const struct sign_key *key, enum sign_algorithm algorithm, struct text data,
              struct buf *out);

/* Appends base64url without padding (RFC 4648 section 5, as RFC 7515 section 2 wants it). */
void sign_append_base64url(struct buf *out, struct text bytes);

#endif
