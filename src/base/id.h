/* Connection ids: `<provider>.<26 characters>`, time-ordered and not guessable.
 * Thread: any. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include <bursar/protocol.h>

#include "base/text.h"

#define ID_SIZE (1 + BURSAR_MAX_CONNECTION_BYTES + 1) /* a shared credential's has one more */

/* Makes an id: 48 bits of time in milliseconds and 80 random bits in Crockford's base32, so that
 * ids made later sort later. provider is a valid provider id. */
void id_make(const char *provider, int64_t now_ms, char out_id[static ID_SIZE]);

/* The provider part of a well-formed id; an absent text for anything else. Borrows from id. */
struct text id_provider(struct text id);

/* Random bytes from the kernel, and a random number below limit (> 0), for jitter: of libsodium, in whose place the
 * simulation puts a source of its own, so that a seed tells all that happens. */
void id_random(void *out, size_t len);
uint32_t id_random_below(uint32_t limit);

#endif
