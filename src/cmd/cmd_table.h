/* The descriptors of all commands.
 * Thread: any; constant. */
#ifndef CMD_CMD_TABLE_H
#define CMD_CMD_TABLE_H

#include "cmd/cmd.h"

extern const struct cmd cmd_init, cmd_vend, cmd_put, cmd_refresh, cmd_invalidate, cmd_revoke,
    cmd_restore, cmd_delete, cmd_list, cmd_show, cmd_events, cmd_status, cmd_whoami, cmd_connectors,
    cmd_validate, cmd_connect, cmd_simulate, cmd_conform, cmd_discover, cmd_doctor, cmd_freeze,
    cmd_thaw, cmd_sweep, cmd_provider, cmd_export, cmd_import, cmd_principal, cmd_key, cmd_audit,
    cmd_bench;

#endif
