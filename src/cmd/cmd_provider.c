#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static void print(const json_t *reply)
{
    char since[CMD_TEXT_TIME_SIZE];
    if (!json_is_true(json_object_get(reply, "paused"))) {
        printf("%s: refreshing goes on\n", cmd_text_of(reply, "provider"));
        return;
    }
    cmd_text_time(json_integer_value(json_object_get(reply, "since")), clock_wall_s(), since);
    printf("%s: refreshing is paused since %s\n", cmd_text_of(reply, "provider"), since);
}

static int run(const struct cmd_args *args)
{
    bool is_pause = strcmp(args->words[0], "pause") == 0;
    if (!is_pause && strcmp(args->words[0], "resume") != 0)
        return cmd_usage(args->cmd, "pause or resume?");
    json_t *request = json_object();
    json_object_set_new(request, "provider", json_string(args->words[1]));
    struct cmd_reply reply =
        cmd_ask(args, is_pause ? "provider.pause" : "provider.resume", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        print(reply.root);
    cmd_reply_free(&reply);
    return status;
}

const struct cmd cmd_provider = {
    "provider",
    "pause|resume PROVIDER",
    "hold the refreshing of a provider's credentials, or let it go on",
    NULL,
    2,
    2,
    run,
};
