/* A bound on how long something takes. Nothing but a clock can tell, and on a busy machine any one of them may be
 * late: so the quickest of a few counts, each begun anew. What waits where it should not is late every time. */
#ifndef TESTS_CLIENT_QUICKEST_H
#define TESTS_CLIENT_QUICKEST_H

#include <stdint.h>

/* For what is sure to come: only a failure takes so long. */
enum { PATIENCE_MS = 60000 };

/* Does it up to eight times, until it took no longer than most_ms. Gives the milliseconds of the quickest; once()
 * gives those of one. */
int64_t quickest_ms(int64_t most_ms, int64_t (*once)(void *data), void *data);

#endif
