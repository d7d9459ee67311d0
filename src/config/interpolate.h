/* `${…}` inside values: secrets, environment, files and the file's own `vars`.
 * Thread: its owner; reads the environment, so not while another thread changes it.
 *
 *     ${secret:NAME}  $CREDENTIALS_DIRECTORY/NAME, else /etc/bursar/secrets/NAME (another directory:
 *                     BURSAR_SECRETS_DIR), else the variable BURSAR_SECRET_NAME
 *     ${env:NAME}     the variable NAME
 *     ${file:PATH}    a regular file, by its absolute path
 *     ${vars.NAME}    a value of the key `vars`
 *     $${             the two characters ${
 *
 * One line break at the end of a file is not part of its value. What is missing is an error that
 * names it; no message holds a value. */
#ifndef CONFIG_INTERPOLATE_H
#define CONFIG_INTERPOLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/problem.h"

#define INTERPOLATE_MAX_BYTES ((size_t)64 << 10) /* of one value when done */

struct interpolate_var {
    char *name;
    struct secret value; /* may have come from a secret */
};

struct interpolate_vars {
    struct interpolate_var *items;
    size_t count, cap;
};

void interpolate_vars_free(struct interpolate_vars *vars);
/* Copies both; a name that is there already gets the new value. 0 or BURSAR_E_NOMEM. */
int interpolate_vars_set(struct interpolate_vars *vars, struct text name, struct text value);

bool interpolate_is_needed(struct text raw);
/* Whether a name can stand in ${vars.NAME}, ${secret:NAME}, ${env:NAME}. */
bool interpolate_is_name(struct text name);

/* Appends raw to out with everything replaced. vars is NULL where `vars` may not be used (inside
 * vars itself). false where something was wrong; all of it was added at spot. */
bool interpolate(struct text raw, const struct interpolate_vars *vars, struct spot spot,
                 struct buf *out);

#endif
