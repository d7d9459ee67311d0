/* Filling a struct bursar_failure: with the library's words, or with what the daemon said.
 * Thread: any; pure functions. All take a NULL and then only give the error. */
#ifndef CLIENT_FAILURE_H
#define CLIENT_FAILURE_H

#include <bursar/client.h>

#include "wire/tree.h"

/* Each returns error, so that a function can end with it. */
int failure_say(struct bursar_failure *out_failure, int error, const char *message);
/* The error's own text. */
int failure_plain(struct bursar_failure *out_failure, int error);
/* Why no connection was made; has_keys: one that speaks CURVE. */
int failure_of_link(struct bursar_failure *out_failure, int error, bool has_keys);
/* The `error` of a reply; BURSAR_E_BAD_REPLY where it says none. */
int failure_told(struct bursar_failure *out_failure, const struct node *told);

#endif
