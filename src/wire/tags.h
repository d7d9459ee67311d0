/* Questions asked of a connection's tags as they are stored.
 * Thread: the owner of the tree. */
#ifndef WIRE_TAGS_H
#define WIRE_TAGS_H

#include <stdbool.h>

#include "base/text.h"
#include "wire/tree.h"

/* Whether packed tags (a list of texts; absent: none) have this one: the same text, or one of the form
 * `KEY=VALUE` where tag is its KEY. Fills the tree anew. */
bool tags_have(struct tree *tree, struct text packed, struct text tag);

#endif
