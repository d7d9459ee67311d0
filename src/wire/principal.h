/* A principal as MessagePack: in principal.* jobs and answers, and as the store keeps it.
 * Thread: the owner of what is given. */
#ifndef WIRE_PRINCIPAL_H
#define WIRE_PRINCIPAL_H

#include "base/buf.h"
#include "policy/principal.h"
#include "wire/pack.h"
#include "wire/tree.h"

/* Adds what it is recognised by and what it may do (not its name) to an open map. */
void principal_pack(struct pack *map, const struct principal *principal);

/* Reads such a map; a key that is not known is refused: what it was to narrow would be wide. 0 and a
 * principal, BURSAR_E_BAD_REQUEST with the key and what is wrong in error, BURSAR_E_NOMEM. */
int principal_read(struct text name, const struct node *map, struct principal *out_principal,
                   struct buf *error);

#endif
