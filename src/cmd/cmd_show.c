#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

static int run(const struct cmd_args *args)
{
    json_t *request = cmd_request_for(args, args->words[0], args->words[1]);
    if (!request)
        return CMD_USAGE;
    struct cmd_reply reply = cmd_ask(args, "connection.get", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        cmd_text_fields(json_object_get(reply.root, "record"));
    cmd_reply_free(&reply);
    return status;
}

const struct cmd cmd_show = {
    "show", "OWNER CONNECTION", "show all of a connection but its secret", NULL, 2, 2, run,
};
