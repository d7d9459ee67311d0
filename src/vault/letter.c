#include "vault/letter.h"

#include <sodium.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "base/secret.h"
#include "base/z85.h"

enum { KEY_LEN = crypto_box_PUBLICKEYBYTES, OVERHEAD = crypto_box_SEALBYTES };

int letter_seal(struct text public_key, struct text plain, struct buf *out_letter)
{
    uint8_t key[KEY_LEN];
    if (sodium_init() < 0 || !z85_decode(public_key, sizeof key, key))
        return BURSAR_E_CONFIG;
    struct buf sealed = buf_make(plain.len + OVERHEAD);
    uint8_t *to = buf_reserve(&sealed, plain.len + OVERHEAD);
    int result = to ? 0 : buf_error(&sealed);
    if (result == 0 && crypto_box_seal(to, (const uint8_t *)plain.data, plain.len, key) != 0)
        result = BURSAR_E_CONFIG; /* a point that is none */
    if (result == 0) {
        buf_added(&sealed, plain.len + OVERHEAD);
        base64_append(out_letter, buf_text(&sealed));
        result = buf_error(out_letter);
    }
    buf_free(&sealed);
    return result;
}

static int open_sealed(const uint8_t *secret, struct text sealed, struct buf *out_plain)
{
    uint8_t public[KEY_LEN];
    if (sealed.len < OVERHEAD)
        return BURSAR_E_BAD_SEAL;
    if (crypto_scalarmult_base(public, secret) != 0)
        return BURSAR_E_CONFIG;
    uint8_t *to = buf_reserve(out_plain, sealed.len - OVERHEAD);
    if (!to)
        return buf_error(out_plain);
    if (crypto_box_seal_open(to, (const uint8_t *)sealed.data, sealed.len, public, secret) != 0)
        return BURSAR_E_BAD_SEAL;
    buf_added(out_plain, sealed.len - OVERHEAD);
    return 0;
}

int letter_open(struct text secret_key, struct text letter, struct buf *out_plain)
{
    uint8_t secret[KEY_LEN];
    size_t len = 0;
    if (sodium_init() < 0 || !z85_decode(secret_key, sizeof secret, secret))
        return BURSAR_E_CONFIG;
    struct buf sealed = buf_make(letter.len + 1);
    uint8_t *to = buf_reserve(&sealed, letter.len + 1);
    int result = to ? 0 : buf_error(&sealed);
    if (result == 0 && sodium_base642bin(to, letter.len + 1, letter.data, letter.len, NULL, &len,
                                         NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        result = BURSAR_E_BAD_SEAL;
    if (result == 0) {
        buf_added(&sealed, len);
        result = open_sealed(secret, buf_text(&sealed), out_plain);
    }
    secret_wipe(secret, sizeof secret);
    buf_free(&sealed);
    return result;
}
