/* Keys in files, as `bursar init` makes them.
 * Thread: the program's only one. */
#ifndef CMD_CMD_KEY_H
#define CMD_CMD_KEY_H

#include <stdbool.h>

#include <bursar/client.h>

#include "base/buf.h"

/* Reads the one line of a CURVE key's file into a secret buffer. false where there is none, which was
 * printed. */
bool cmd_key_read(const char *path, struct buf *out);
/* The same of one's own secret key: its file is a regular one that nobody else may read. */
bool cmd_key_read_own(const char *path, struct buf *out);

/* A CURVE key pair in two files of a folder (AT_FDCWD: the current one). */
struct cmd_key_pair {
    int folder_fd;
    const char *secret_name, *public_name;
    char public_key[BURSAR_CURVE_KEY_SIZE];
};
/* Makes both, which must not be there yet, the secret one for its owner alone. 0, or a negative error
 * (BURSAR_E_IO: errno) with the name of the file; neither is there then. */
int cmd_key_pair_make(struct cmd_key_pair *pair, const char **out_name);
void cmd_key_pair_take_back(const struct cmd_key_pair *pair);

#endif
