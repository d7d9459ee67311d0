/* The key-encryption keys: one active, any number of old ones.
 * Thread: any once loaded: a loaded keyring does not change.
 *
 * A keyring file has a line a key: `key ID BASE64 active|old`, ID 16 hexadecimal digits and BASE64
 * (RFC 4648 section 4) of 32 bytes. Lines that begin with `#` and empty ones are skipped. The file
 * is its owner's alone (0600). The keys live in locked memory. */
#ifndef VAULT_KEYRING_H
#define VAULT_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define KEYRING_KEY_LEN 32
#define KEYRING_ID_LEN 8

struct keyring;

/* Reads a keyring file; 0, BURSAR_E_IO or BURSAR_E_CONFIG, with one line for people in error. */
int keyring_load_file(const char *path, struct keyring **out_keyring, struct buf *error);
/* Makes a keyring file with one new active key, 0600; BURSAR_E_CONFLICT where something is there
 * already, BURSAR_E_IO with errno else. */
int keyring_create_file(const char *path);
void keyring_free(struct keyring *keyring);

/* Adds a key to a keyring file's text; the new one is active and the others become old. 0, or as
 * keyring_load_file. */
int keyring_add_key(const char *path, struct buf *error);

/* The id under which new secrets are sealed. Borrowed until the keyring ends. */
const uint8_t *keyring_active_id(const struct keyring *keyring);
/* A key by its id, or NULL. Borrowed until the keyring ends. */
const uint8_t *keyring_find(const struct keyring *keyring, const uint8_t id[static KEYRING_ID_LEN]);
/* Ids as lower-case hex, the active one first; how many there are. text holds 17 bytes. */
size_t keyring_count(const struct keyring *keyring);
void keyring_id_text(const struct keyring *keyring, size_t index,
                     char text[static KEYRING_ID_LEN * 2 + 1]);

#endif
