/* The form of a provider on a terminal, and the secret that is made of it.
 * Thread: the program's only one. */
#ifndef CMD_CMD_FORM_H
#define CMD_CMD_FORM_H

#include <stdbool.h>

#include <jansson.h>

#include "cmd/cmd.h"
#include "connector/form.h"

struct cmd_form {
    struct form form;
    json_t *connector; /* that the form borrows from */
};

/* Asks the daemon what it knows of a provider. CMD_DONE, or a status whose reason was printed; a
 * provider that nobody fills in a form for has a form without fields. */
int cmd_form_get(const struct cmd_args *args, const char *provider, struct cmd_form *out_form);
void cmd_form_free(struct cmd_form *form);

/* Asks on the terminal for each field, for passwords without an echo. Gives an object of what was
 * typed, or NULL where there was an end of input or an interruption. */
json_t *cmd_form_ask(const struct cmd_form *form);

/* Whether a document is an object of texts that are fields of the form. */
bool cmd_form_fits(const struct cmd_form *form, const json_t *document);
/* The `secret` of a credential.put, or NULL with the rule that is broken in error. */
json_t *cmd_form_secret(const struct cmd_form *form, const json_t *fields, struct buf *error);

#endif
