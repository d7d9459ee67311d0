/* Definitions of principals: from the command line, and as YAML.
 * Thread: the program's only one. */
#ifndef CMD_CMD_PRINCIPAL_H
#define CMD_CMD_PRINCIPAL_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "cmd/cmd.h"

/* What `definition` is built from, in the order in which it is shown. */
extern const struct cmd_option cmd_principal_options[];

/* Lays the options over a definition: each that is given takes the place of what was there, an empty
 * value that of all. Names of users and groups become their numbers. public_key: of a pair that is made
 * for it, or NULL. false where something is wrong, which was printed. */
bool cmd_principal_apply(const struct cmd_args *args, const char *public_key, json_t *definition);
/* Whether somebody is recognised as it. */
bool cmd_principal_is_somebody(const json_t *definition);

/* Appends the definition as it stands in bursar.yaml, with `principals:` above it. */
void cmd_principal_yaml(const char *name, const json_t *definition, struct buf *out);

#endif
