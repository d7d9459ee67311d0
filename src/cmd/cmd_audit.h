/* What the files of `bursar audit` share.
 * Thread: the program's only one. */
#ifndef CMD_CMD_AUDIT_H
#define CMD_CMD_AUDIT_H

#include <jansson.h>

#include "cmd/cmd.h"
#include "store/audit.h"

/* A row whose hash was noted: SEQ:HASH. seq 0: none. */
struct cmd_audit_mark {
    uint64_t seq;
    uint8_t link[CHAIN_LINK_LEN];
};
/* Reads the option --head; false where it is none, which was printed. */
bool cmd_audit_mark(const struct cmd_args *args, struct cmd_audit_mark *out_mark);

void cmd_audit_problem(uint64_t seq, const char *text);

/* cmd_audit_file.c: verifies exported files, one behind the other, without the daemon. */
int cmd_audit_verify_files(const struct cmd_args *args);

/* The line that an export begins with: the row behind which it begins, and that row's hash. */
#define CMD_AUDIT_AFTER "audit_after"

#endif
