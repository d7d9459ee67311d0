#include "connector/key.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { RSA_BITS = 2048 };

bool key_make(bool is_ec, struct buf *out)
{
    EVP_PKEY *key = is_ec ? EVP_EC_gen("P-256") : EVP_RSA_gen(RSA_BITS);
    BIO *bio = BIO_new(BIO_s_secmem());
    char *pem = NULL;
    bool is_ok = key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    long len = is_ok ? BIO_get_mem_data(bio, &pem) : 0;
    if (len > 0)
        buf_append(out, pem, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return len > 0 && buf_error(out) == 0;
}
