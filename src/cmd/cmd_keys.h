/* The CURVE keys with which a command speaks to a daemon on tcp: --key and --server-key.
 * Thread: the program's only one. */
#ifndef CMD_CMD_KEYS_H
#define CMD_CMD_KEYS_H

#include <stdbool.h>

#include "base/buf.h"
#include "cmd/cmd.h"

/* All-zero: none. */
struct cmd_keys {
    struct buf secret; /* locked memory */
    struct buf server;
};

/* Reads what the command line and the environment name. false where one is missing or is none, which was
 * printed; cmd_keys_wipe() in any case. */
bool cmd_keys_read(struct cmd_keys *keys, const struct cmd_args *args);
void cmd_keys_wipe(struct cmd_keys *keys);

/* NULL: none. Borrowed. */
const char *cmd_keys_server(const struct cmd_keys *keys);
const char *cmd_keys_secret(const struct cmd_keys *keys);

#endif
