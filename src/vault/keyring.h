/* The keyring that a process seals with: what all its threads read, and one may change.
 * Thread: keyring_hold, _let_go: any; making, ending and changing: one at a time.
 *
 * The keys are an immutable set in locked memory behind one pointer. Who reads holds the set for as long as it
 * uses a key, by two atomic counts and no lock. A change publishes another set, waits until nobody holds
 * the one before (readers hold it for microseconds), and wipes that. So a key that was dropped is in no
 * memory when keyring_publish() returns. */
#ifndef VAULT_KEYRING_H
#define VAULT_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vault/key_set.h"
#include "vault/keyring_file.h"

struct keyring;

/* Takes the set. NULL without memory (the set is then ended too). */
struct keyring *keyring_new(struct key_set *set);
/* Reads a source; as keyring_source_read(). */
int keyring_open(const struct keyring_source *source, struct keyring **out_keyring,
                 struct buf *error);
/* The same of a file without a passphrase. */
int keyring_load_file(const char *path, struct keyring **out_keyring, struct buf *error);
void keyring_free(struct keyring *keyring);

struct keyring_hold {
    const struct key_set *set;
    unsigned side;
};
/* The keys, which stay until they are let go: soon. */
const struct key_set *keyring_hold(const struct keyring *keyring, struct keyring_hold *out_hold);
void keyring_let_go(const struct keyring *keyring, const struct keyring_hold *hold);

/* Takes the set; from now on it is what is held. */
void keyring_publish(struct keyring *keyring, struct key_set *set);

/* Makes a keyring file with one new active key, 0600; BURSAR_E_CONFLICT where something is there
 * already, BURSAR_E_IO with errno else. */
int keyring_create_file(const char *path);
/* Adds a key to a keyring without a daemon; role KEY_ACTIVE makes those before it old. 0, or as
 * keyring_open(). */
int keyring_add_key(const struct keyring_source *source, enum key_role role,
                    uint8_t out_id[KEYRING_ID_LEN], struct buf *error);

/* How many keys there are, and their ids as lower-case hex, the active one first. text holds 17 bytes. */
size_t keyring_count(const struct keyring *keyring);
void keyring_id_text(const struct keyring *keyring, size_t index,
                     char text[static KEYRING_ID_SIZE]);

#endif
