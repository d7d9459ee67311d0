/* Where the text of a keyring comes from, and where it is written back to.
 * Thread: any; reading may wait for a command, and either for a passphrase.
 *
 *     file:PATH        a regular file of the daemon's own user or of root, for its owner alone
 *     credential:NAME  a file in $CREDENTIALS_DIRECTORY, as systemd's LoadCredential= puts it there
 *     command:WORDS    what a program prints
 *
 * Each may hold the text under a passphrase (passphrase.h); then a passphrase is needed, and else none may
 * be given. A file alone can be written. */
#ifndef VAULT_KEYRING_FILE_H
#define VAULT_KEYRING_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "vault/key_set.h"

struct keyring_source {
    const char *where;
    struct text passphrase; /* absent: none */
};

/* What stands behind `file:`; NULL where the source cannot be written. */
const char *keyring_source_file(const struct keyring_source *source);

/* Whether it is a file whose text is under a passphrase; false where it cannot be read. */
bool keyring_source_needs_passphrase(const struct keyring_source *source);

/* 0, BURSAR_E_IO, BURSAR_E_CONFIG, BURSAR_E_BAD_SEAL (the passphrase) or BURSAR_E_NOMEM, with one line
 * for people in error. */
int keyring_source_read(const struct keyring_source *source, struct key_set **out_set,
                        struct buf *error);
/* Puts a new file in the place of the old one, with its owner; it is on the disk when this returns. The old one
 * is there whole where it fails. */
int keyring_source_write(const struct keyring_source *source, const struct key_set *set,
                         struct buf *error);
/* A new file that takes nobody's place: 0, BURSAR_E_CONFLICT, or BURSAR_E_IO with errno. */
int keyring_file_create(const char *path, const struct buf *content);

#endif
