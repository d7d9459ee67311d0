#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

static int run(const struct cmd_args *args)
{
    struct cmd_reply reply = cmd_ask(args, "whoami", json_object());
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        cmd_text_answer(reply.root);
    cmd_reply_free(&reply);
    return status;
}

const struct cmd cmd_whoami = {
    "whoami", "", "show whom the daemon takes you for", NULL, 0, 0, run,
};
