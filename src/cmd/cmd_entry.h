/* One provider's entry, read for the commands that play providers: with client keys that open nothing.
 * Thread: the program's only one. */
#ifndef CMD_CMD_ENTRY_H
#define CMD_CMD_ENTRY_H

#include <stdbool.h>

#include "base/buf.h"
#include "connector/connector.h"
#include "connector/registry.h"

struct cmd_entry {
    struct config_provider provider;
    struct connector connector; /* borrows the provider */
};

/* Finds the file that a word of the command line means: a path, where it has a `/` or ends in .yaml,
 * or else an entry of the catalogue in folder. False where it is no provider's id. */
bool cmd_entry_path(const char *word, const char *folder, struct buf *out_path);

/* 0, BURSAR_E_NOMEM, or BURSAR_E_CONFIG with a line of errors for each thing that is wrong. */
int cmd_entry_load(const char *path, const struct registry *registry, struct cmd_entry *out_entry,
                   struct buf *errors);
void cmd_entry_free(struct cmd_entry *entry);

/* What the entry was given for a key that an operator fills in. */
#define CMD_ENTRY_CLIENT_ID "client-1"
#define CMD_ENTRY_CLIENT_SECRET "open:sesame/+%= 1"

/* Where the catalogue is, unless told otherwise. */
extern const char cmd_entry_folder[];

#endif
