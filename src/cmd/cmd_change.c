#include "cmd/cmd_change.h"

#include <stdio.h>

#include "cmd/cmd_reply.h"
#include "cmd/cmd_text.h"

int cmd_change(const struct cmd_args *args, const char *op, const char *done)
{
    json_t *request = cmd_request_for(args, args->words[0], args->words[1]);
    if (!request)
        return CMD_USAGE;
    if (cmd_option(args, "at-provider"))
        json_object_set_new(request, "at_provider", json_true());
    struct cmd_reply reply = cmd_ask(args, op, request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json) {
        if (json_is_string(json_object_get(reply.root, "state")))
            cmd_text_state(cmd_text_of(reply.root, "state"), 0);
        else
            printf("%s", done);
        putchar('\n');
    }
    cmd_reply_free(&reply);
    return status;
}
