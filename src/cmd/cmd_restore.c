#include "cmd/cmd_change.h"
#include "cmd/cmd_table.h"

static int run(const struct cmd_args *args)
{
    return cmd_change(args, "connection.restore", "restored");
}

const struct cmd cmd_restore = {
    "restore", "OWNER CONNECTION", "take a revocation back", NULL, 2, 2, run,
};
