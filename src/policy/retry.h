/* How long to wait after a failure.
 * Thread: any; pure functions. */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include <stdint.h>

#include "base/text.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 60000
#define RETRY_AFTER_MAX_MS (3600 * 1000) /* a provider is believed up to an hour */
#define RETRY_ATTEMPTS 4 /* a waiting caller gets the error after so many failures in a row */
#define RETRY_CLIENT_MS (300 * 1000) /* a rejected client is tried again so slowly, for ever */

/* Wait before the next attempt: 0.5 s doubling to 60 s, times [0.5, 1.5) by jitter in [0, 1), and
 * not less than retry_after_ms (0: the provider gave none), which is lengthened by up to a tenth, so that
 * those who were told the same do not come back together. failures is how many came in a row, >= 1. */
int64_t retry_delay_ms(unsigned failures, double jitter, int64_t retry_after_ms);

/* Reads Retry-After (RFC 9110 section 10.2.3): seconds or an HTTP date. 0 where it is absent, not
 * valid or in the past; capped at RETRY_AFTER_MAX_MS. now is in seconds since 1970. */
int64_t retry_after_ms(struct text header, int64_t now);

#endif
