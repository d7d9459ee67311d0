/* The end of a client's secret, as the configuration has it.
 * Thread: any; pure functions. */
#ifndef POLICY_SECRET_END_H
#define POLICY_SECRET_END_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { SECRET_DAY_S = 86400, SECRET_WARN_DAYS = 30 };

/* The beginning of a day (UTC) that is written as YYYY-MM-DD, in seconds since 1970; false for what is
 * no day. */
bool secret_end_of(struct text day, int64_t *out_at);
/* Whether it is time to tell of the end: within SECRET_WARN_DAYS, or past. */
bool secret_ends_soon(int64_t ends_at, int64_t now);

#endif
