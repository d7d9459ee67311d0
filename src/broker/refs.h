/* Who is asked for by `ref`: the shared credentials that jobs name, and names that there are not.
 * Thread: refs_note*(): the dispatcher's; refs_pack(), refs_asked(): any.
 *
 * Counted since the broker began, and forgotten with it. */
#ifndef BROKER_REFS_H
#define BROKER_REFS_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "wire/pack.h"

struct refs;

/* For so many connectors. Never NULL. */
struct refs *refs_new(size_t connectors);
void refs_free(struct refs *refs);

/* A job named the shared credential of connector `index`. now: seconds since 1970. */
void refs_note(struct refs *refs, size_t index, int64_t now);
/* A job named one that there is not. */
void refs_note_unknown(struct refs *refs, struct text name);

/* Adds how often connector `index` was asked for, and when last. */
void refs_pack(const struct refs *refs, size_t index, struct pack *map);
/* Adds `unknown_refs`: the names with their counts, of REFS_UNKNOWN_MAX at the most; what else came, or
 * is no name, is counted under "". Nothing where there was none. */
#define REFS_UNKNOWN_MAX 32
void refs_pack_unknown(struct refs *refs, struct pack *map);

#endif
