#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <stdio.h>

#include "base/clock.h"

static const struct cmd_option options[] = {
    {"force", NULL, "refresh although it is not due"},
    {"async", NULL, "do not wait for the provider"},
    {NULL, NULL, NULL},
};

static void print(const json_t *reply)
{
    char expires[CMD_TEXT_TIME_SIZE];
    if (json_is_true(json_object_get(reply, "accepted"))) {
        printf("accepted\n");
        return;
    }
    cmd_text_time(json_integer_value(json_object_get(reply, "expires_at")), clock_wall_s(),
                  expires);
    printf("generation %lld, expires %s\n",
           (long long)json_integer_value(json_object_get(reply, "generation")), expires);
}

static int run(const struct cmd_args *args)
{
    json_t *request = cmd_request_for(args, args->words[0], args->words[1]);
    if (!request)
        return CMD_USAGE;
    if (cmd_option(args, "force"))
        json_object_set_new(request, "force", json_true());
    if (cmd_option(args, "async"))
        json_object_set_new(request, "async", json_true());
    struct cmd_reply reply = cmd_ask(args, "refresh", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        print(reply.root);
    cmd_reply_free(&reply);
    return status;
}

const struct cmd cmd_refresh = {
    "refresh",
    "OWNER CONNECTION [--force] [--async]",
    "refresh a credential where that is due",
    options,
    2,
    2,
    run,
};
