/* The one place that asks what time it is.
 * Thread: any.
 *
 * Decisions take `now` as an argument; only the loops of the broker call these. Stored times are
 * wall clock, waits use the boot-time clock, which counts suspended time and never jumps. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* since 1970 UTC */
int64_t clock_wall_s(void);
int64_t clock_boot_ms(void); /* since some moment before this boot's first process */

#endif
