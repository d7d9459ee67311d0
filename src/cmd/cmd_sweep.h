/* Following a sweep to its end.
 * Thread: the program's only one. */
#ifndef CMD_CMD_SWEEP_H
#define CMD_CMD_SWEEP_H

#include "cmd/cmd.h"

/* Shows how far it is, on a terminal as it goes on, until it has ended; then what came of it. */
int cmd_sweep_follow(const struct cmd_args *args, const char *sweep);

#endif
