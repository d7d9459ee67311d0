#include "cmd/cmd_change.h"
#include "cmd/cmd_table.h"

static const struct cmd_option options[] = {
    {"at-provider", NULL, "end the grant at the provider too"},
    {NULL, NULL, NULL},
};

static int run(const struct cmd_args *args)
{
    return cmd_change(args, "connection.delete", "deleted");
}

const struct cmd cmd_delete = {
    "delete",
    "OWNER CONNECTION [--at-provider]",
    "delete a connection with its credential",
    options,
    2,
    2,
    run,
};
