/* The envelope around each stored secret.
 * Thread: any; pure but for randomness.
 *
 * A sealed blob is, in this order:
 *
 *     1   format version (1)
 *     8   id of the key-encryption key
 *     24  nonce of the wrap
 *     48  fresh data key, XChaCha20-Poly1305 under the key-encryption key; associated data: the 9
 *         bytes above
 *     24  nonce of the body
 *     n   body, XChaCha20-Poly1305 under the data key; associated data: format version, what the blob
 *         is, generation, connection and owner, each text with its length
 *     16  tag of the body
 *
 * So a blob opens in its own row, for its own owner and its own generation, and nowhere else. */
#ifndef VAULT_SEAL_H
#define VAULT_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "vault/keyring.h"

#define SEAL_OVERHEAD 121 /* bytes that a blob is longer than what is in it */

/* What a blob is. Numbers are bound into blobs: never renumber. */
enum seal_kind {
    SEAL_SECRET = 1,  /* what a vend may give out */
    SEAL_GRANT = 2,   /* what stays here: the refresh token */
    SEAL_REPLY = 3,   /* a raw reply of a token endpoint that nobody has read yet */
    SEAL_CONSENT = 4, /* a consent that is under way: no owner, the digest as connection */
};

/* Where a blob belongs. */
struct seal_place {
    struct text owner;
    struct text connection;
    enum seal_kind kind;
    uint64_t generation;
};

/* Appends the blob, under the key that is active for its owner; 0, BURSAR_E_NOMEM or BURSAR_E_TOO_BIG. */
int seal(const struct keyring *keyring, const struct seal_place *place, struct text plain,
         struct buf *out_blob);

/* Several at once, each as seal() makes it, with data keys and nonces of one call to the kernel. Not all of them
 * need be there where one fails. */
struct seal_piece {
    struct seal_place place;
    struct text plain;
    struct buf *out_blob;
};
#define SEAL_PIECES_MAX 4
int seal_all(const struct keyring *keyring, const struct seal_piece *pieces, size_t count);

/* Appends what is in the blob to a secret buffer; 0, BURSAR_E_BAD_SEAL, BURSAR_E_UNKNOWN_KEY,
 * BURSAR_E_NOMEM or BURSAR_E_TOO_BIG. */
int unseal(const struct keyring *keyring, const struct seal_place *place, struct text blob,
           struct buf *out_plain);

/* The id of the key that a blob needs: 8 bytes of it; NULL for what is no blob. */
const uint8_t *seal_key_id(struct text blob);
/* The same as lower-case hex; false for what is no blob. */
bool seal_key_id_text(struct text blob, char text[static KEYRING_ID_SIZE]);

/* Whether the keyring has the key that a blob needs. */
bool seal_has_key(const struct keyring *keyring, struct text blob);
/* Whether the owner has keys and none of them is active: they are about to be destroyed. */
bool seal_is_ending(const struct keyring *keyring, struct text owner);
/* Whether a blob is under the key under which it belongs: the one that is active for this owner. A blob under a
 * key of an owner stays with that owner's keys; where none of them is active it stays where it is, for they
 * are about to be destroyed. false where the keyring has no such key. */
bool seal_is_current(const struct keyring *keyring, struct text owner, struct text blob);
/* Wraps the data key of a blob under the key where it belongs, in its place; the body stays as it is. 0 and
 * whether it was changed, or BURSAR_E_BAD_SEAL or BURSAR_E_UNKNOWN_KEY. */
int seal_rewrap(const struct keyring *keyring, struct text owner, uint8_t *blob, size_t len,
                bool *out_changed);
/* The same of a blob whose owner is not known: from an old key for all to the active one, and from an old key
 * of an owner to the active one of that. Whatever does not open stays. */
void seal_renew(const struct keyring *keyring, uint8_t *blob, size_t len);

#endif
