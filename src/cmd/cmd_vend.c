#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"

#include <stdio.h>

#include "base/secret.h"

static const struct cmd_option options[] = {
    {"ref", "NAME", "a shared credential of the configuration instead of OWNER CONNECTION"},
    {"min-ttl", "S", "good for S seconds more at least"},
    {"kind", "KIND", "refuse a secret of another kind"},
    {NULL, NULL, NULL},
};

static json_t *make_request(const struct cmd_args *args)
{
    const char *ref = cmd_option(args, "ref");
    if (ref && args->word_count > 0) {
        cmd_usage(args->cmd, "either --ref NAME or OWNER CONNECTION");
        return NULL;
    }
    if (!ref && args->word_count != 2) {
        cmd_usage(args->cmd, "OWNER and CONNECTION are needed");
        return NULL;
    }
    return ref ? json_pack("{s:s}", "ref", ref)
               : cmd_request_for(args, args->words[0], args->words[1]);
}

/* The part that a program authenticates with. */
static const char *main_part(const json_t *secret)
{
    static const char *const names[] = {"access_token", "api_key", "token", "password", "value"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = json_string_value(json_object_get(secret, names[i]));
        if (value)
            return value;
    }
    return NULL;
}

static int print_token(const json_t *reply)
{
    const char *token = main_part(json_object_get(reply, "secret"));
    if (!token) {
        fprintf(stderr, "bursar: the secret has no token of its own; --json prints all of it\n");
        return CMD_REFUSED;
    }
    return cmd_write(text_of(token)) && cmd_write(TEXT_LITERAL("\n")) ? CMD_DONE : CMD_REFUSED;
}

static int run(const struct cmd_args *args)
{
    json_int_t min_ttl_s = 0;
    if (cmd_option(args, "min-ttl") && !cmd_number(args, "min-ttl", INT32_MAX, &min_ttl_s))
        return CMD_USAGE;
    json_t *request = make_request(args);
    if (!request)
        return CMD_USAGE;
    if (min_ttl_s > 0)
        json_object_set_new(request, "min_ttl_s", json_integer(min_ttl_s));
    if (cmd_option(args, "kind"))
        json_object_set_new(request, "kind", json_string(cmd_option(args, "kind")));
    struct cmd_reply reply = cmd_ask(args, "vend", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        status = print_token(reply.root);
    cmd_reply_free(&reply);
    return status;
}

const struct cmd cmd_vend = {
    "vend",
    "OWNER CONNECTION | --ref NAME",
    "print a usable token, and nothing else",
    options,
    0,
    2,
    run,
};
