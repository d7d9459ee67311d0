/* A text under a passphrase, as a keyring file may stand on a disk.
 * Thread: any; takes a good part of a second and as much memory as the text says.
 *
 * Two lines: `bursar-keyring argon2id OPS KIB SALT NONCE`, and base64 of the text's XChaCha20-Poly1305 under
 * the key that Argon2id (RFC 9106, libsodium's crypto_pwhash) makes of the passphrase; associated data is
 * the first line. */
#ifndef VAULT_PASSPHRASE_H
#define VAULT_PASSPHRASE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/text.h"

/* Whether the text is one that passphrase_open() is for. */
bool passphrase_is_sealed(struct text text);

/* Appends what was sealed, under a fresh salt. 0, BURSAR_E_NOMEM or BURSAR_E_TOO_BIG. */
int passphrase_seal(struct text passphrase, struct text plain, struct buf *out);

/* Appends the text to a secret buffer. 0, BURSAR_E_CONFIG (no such text, or what it asks for is beyond
 * what is allowed), BURSAR_E_BAD_SEAL (another passphrase, or damaged), BURSAR_E_NOMEM. */
int passphrase_open(struct text passphrase, struct text sealed, struct buf *out_plain);

#endif
