/* Texts that only the holder of a secret key can read: sealed to a public key, by whoever has it.
 * Thread: any; pure but for randomness.
 *
 * A letter is base64 (RFC 4648) of libsodium's sealed box (X25519, XSalsa20-Poly1305). It does not say who
 * wrote it. Keys are those that `bursar init` makes as curve.pub and curve.key: X25519, in Z85. */
#ifndef VAULT_LETTER_H
#define VAULT_LETTER_H

#include "base/buf.h"
#include "base/text.h"

/* Appends the letter; 0, BURSAR_E_CONFIG (no such key), BURSAR_E_NOMEM or BURSAR_E_TOO_BIG. */
int letter_seal(struct text public_key, struct text plain, struct buf *out_letter);

/* Appends what is in the letter to a secret buffer; 0, BURSAR_E_CONFIG (no such key), BURSAR_E_BAD_SEAL
 * (no letter, or not to this key), BURSAR_E_NOMEM or BURSAR_E_TOO_BIG. */
int letter_open(struct text secret_key, struct text letter, struct buf *out_plain);

#endif
