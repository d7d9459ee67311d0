/* From what was read for `bursar put` to the members of a credential.put.
 * Thread: any; pure. */
#ifndef CMD_CMD_PUT_READ_H
#define CMD_CMD_PUT_READ_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* Adds `secret`, and where given `expires_at`, `scopes` and `expect_generation`, to request, from
 * one of
 *     {"secret": {"kind": …}, "expires_at"?: …, "scopes"?: …}
 *     {"kind": …, …, "expires_at"?: …, "scopes"?: …}
 *     a token endpoint's reply (RFC 6749 section 5.1): {"access_token": …, "expires_in": …, …}
 * now is in seconds. false where it is none of them; *out_problem says why. *out_left_out becomes an
 * array of the names that a reply had and that are not stored; json_decref() ends it. */
bool cmd_put_read(const json_t *document, int64_t now, json_t *request, json_t **out_left_out,
                  const char **out_problem);
/* Whether a document is of one of these shapes, good or not; else it may be the fields of a form. */
bool cmd_put_is_known(const json_t *document);

#endif
