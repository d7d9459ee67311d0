#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"

#include <stdio.h>

static const struct cmd_option options[] = {
    {"generation", "N", "the generation that was refused (default: the current one)"},
    {NULL, NULL, NULL},
};

static int run(const struct cmd_args *args)
{
    json_int_t generation = 0;
    bool has_generation = cmd_option(args, "generation") != NULL;
    if (has_generation && !cmd_number(args, "generation", INT64_MAX, &generation))
        return CMD_USAGE;
    json_t *request = cmd_request_for(args, args->words[0], args->words[1]);
    if (!request)
        return CMD_USAGE;
    if (has_generation)
        json_object_set_new(request, "generation", json_integer(generation));
    struct cmd_reply reply = cmd_ask(args, "invalidate", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        printf("generation %lld\n",
               (long long)json_integer_value(json_object_get(reply.root, "generation")));
    cmd_reply_free(&reply);
    return status;
}

const struct cmd cmd_invalidate = {
    "invalidate",
    "OWNER CONNECTION [--generation N]",
    "say that the provider refused a token: a new one is fetched",
    options,
    2,
    2,
    run,
};
