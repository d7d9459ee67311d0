/* Lists of texts, as scopes and roles are: NULL-ended, each text owned by the list.
 * Thread: the list's owner. */
#ifndef CLIENT_TEXTS_H
#define CLIENT_TEXTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "wire/tree.h"

/* Copies the texts of an array; items of other types are left out, and what is no array gives an
 * empty list. NULL without memory. */
char **texts_read(const struct node *array);
/* NULL without memory. */
char **texts_copy(const char *const *texts);
/* Ends it; NULL is fine. */
void texts_free(char **texts);
/* A NULL list has nothing in it. */
bool texts_has(const char *const *texts, const char *text);
/* Appends them with ", " between. */
void texts_join(const char *const *texts, struct buf *out);

#endif
