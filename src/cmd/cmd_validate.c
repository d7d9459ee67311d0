#include "cmd/cmd_document.h"
#include "cmd/cmd_form.h"
#include "cmd/cmd_input.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"
#include "cmd/cmd_values.h"

#include <stdio.h>

static const struct cmd_option options[] = {
    {"set", "NAME=VALUE", "metadata that the provider's URLs need; may stand repeatedly"},
    {NULL, NULL, NULL},
};

/* What was piped: the fields, or an object with them as `fields`. */
static json_t *read_fields(const struct cmd_args *args)
{
    json_t *document = cmd_document_read(args->cmd);
    json_t *inner = json_object_get(document, "fields");
    if (document && !json_is_object(document))
        cmd_document_complain(args->cmd, "not an object of fields");
    else if (document)
        return json_is_object(inner) ? document : json_pack("{s:o}", "fields", document);
    json_decref(document);
    return NULL;
}

static int ask_fields(const struct cmd_args *args, json_t **out_request)
{
    struct cmd_form form;
    int status = cmd_form_get(args, args->words[0], &form);
    json_t *fields = NULL;
    if (status == CMD_DONE && form.form.count == 0) {
        fprintf(stderr, "bursar validate: nobody fills in a form for this provider\n");
        status = CMD_REFUSED;
    } else if (status == CMD_DONE) {
        fields = cmd_form_ask(&form);
        if (!fields)
            status = cmd_document_complain(args->cmd, "nothing was given");
    }
    cmd_form_free(&form);
    *out_request = fields ? json_pack("{s:o}", "fields", fields) : NULL;
    return status;
}

static void print(const json_t *reply)
{
    static const char *const names[] = {"message", "provider_username"};
    printf("%s\n", json_is_true(json_object_get(reply, "valid")) ? "valid" : "not valid");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (json_is_string(json_object_get(reply, names[i])))
            printf("%s: %s\n", names[i], cmd_text_of(reply, names[i]));
    }
    if (json_object_size(json_object_get(reply, "provider_metadata")) > 0)
        cmd_text_fields(json_object_get(reply, "provider_metadata"));
}

static int validate(const struct cmd_args *args, json_t *request)
{
    struct cmd_reply reply = cmd_ask(args, "connector.validate", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        print(reply.root);
    if (status == CMD_DONE && !json_is_true(json_object_get(reply.root, "valid")))
        status = CMD_REFUSED;
    cmd_reply_free(&reply);
    return status;
}

static int run(const struct cmd_args *args)
{
    json_t *metadata = json_object(), *request = NULL;
    int status = cmd_values_read(args, "set", metadata) ? CMD_DONE : CMD_USAGE;
    if (status == CMD_DONE && cmd_input_is_terminal())
        status = ask_fields(args, &request);
    else if (status == CMD_DONE && !(request = read_fields(args)))
        status = CMD_USAGE;
    if (request) {
        json_object_set_new(request, "provider", json_string(args->words[0]));
        if (json_object_size(metadata) > 0)
            json_object_set(request, "metadata", metadata);
        status = validate(args, request);
    }
    json_decref(metadata);
    return status;
}

const struct cmd cmd_validate = {
    "validate",
    "PROVIDER [--set NAME=VALUE]…",
    "ask a provider whether it takes a key, without storing it",
    options,
    1,
    1,
    run,
};
