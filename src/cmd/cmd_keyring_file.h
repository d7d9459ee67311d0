/* Keyring files that no daemon has open.
 * Thread: the program's only one. */
#ifndef CMD_CMD_KEYRING_FILE_H
#define CMD_CMD_KEYRING_FILE_H

#include <stdbool.h>

/* Adds a key to a keyring file, and prints its id. What was wrong is printed; an enum cmd_status. */
int cmd_keyring_add(const char *path, bool is_active);

/* Puts a keyring file under a passphrase, which is asked for, or is the first line of standard input. */
int cmd_keyring_seal(const char *path);

#endif
