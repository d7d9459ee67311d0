/* What the daemon may ask of the kernel once it runs: a seccomp filter with the calls that it needs.
 * Thread: the main thread; it holds for all threads, those of libraries too.
 *
 * Whatever is not listed ends the process at once, with a line in the log that has the call's number; so code
 * that somebody brings in by a fault can neither start a program nor look into another process. */
#ifndef CMD_SANDBOX_H
#define CMD_SANDBOX_H

#include "base/buf.h"
#include "config/config.h"

/* Whether this program was built with libseccomp. Sanitizers need more than the daemon: not with them. */
bool sandbox_is_there(void);

/* From now on, for ever. Nothing where it is not there or CONFIG_SANDBOX_OFF. 0, or BURSAR_E_IO with a line in
 * error. */
int sandbox_enter(enum config_sandbox mode, struct buf *error);

#endif
