#include "cmd/cmd_document.h"
#include "cmd/cmd_form.h"
#include "cmd/cmd_input.h"
#include "cmd/cmd_put_read.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

enum { MAX_LINE = 65536, MAX_PARTS = 4, PROVIDER_SIZE = 80 };

static int complain(const char *problem)
{
    return cmd_document_complain(&cmd_put, problem);
}

/* ---- from a terminal ------------------------------------------------------------------------ */

struct part {
    const char *name;
    bool is_secret, is_optional;
};

struct kind {
    const char *name;
    struct part parts[MAX_PARTS];
};

static const struct kind kinds[] = {
    {"oauth2",
     {{"access_token", true, false}, {"refresh_token", true, true}, {"expires_in", false, true}}},
    {"api_key", {{"api_key", true, false}, {"api_secret", true, true}}},
    {"basic", {{"username", false, false}, {"password", true, false}}},
    {"bearer", {{"token", true, false}}},
    {"header", {{"name", false, false}, {"value", true, false}}},
};

/* Asks for one text and adds it; false where there is none and must be. */
static bool ask_part(const struct part *part, json_t *to)
{
    char prompt[64];
    struct buf line = buf_make_secret(MAX_LINE);
    snprintf(prompt, sizeof prompt, "%s%s", part->name, part->is_optional ? " (or nothing)" : "");
    bool is_ok = cmd_input_line(prompt, part->is_secret, &line);
    struct text text = buf_text(&line);
    if (is_ok && text.len == 0)
        is_ok = part->is_optional;
    else if (is_ok)
        is_ok = json_object_set_new(to, part->name, json_stringn(text.data, text.len)) == 0;
    buf_free(&line);
    return is_ok;
}

static const struct kind *ask_kind(void)
{
    struct buf line = buf_make(64);
    const struct kind *found = NULL;
    if (cmd_input_line("kind (oauth2, api_key, basic, bearer, header) [oauth2]", false, &line)) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (text_is(buf_text(&line), kinds[i].name) || (line.len == 0 && i == 0))
                found = &kinds[i];
        }
        if (!found)
            complain("no such kind");
    }
    buf_free(&line);
    return found;
}

/* The parts of a kind. Those of oauth2 make what a token endpoint answers. */
static json_t *ask_document(void)
{
    const struct kind *kind = ask_kind();
    if (!kind)
        return NULL;
    json_t *document = json_object();
    if (kind != &kinds[0])
        json_object_set_new(document, "kind", json_string(kind->name));
    for (size_t i = 0; i < MAX_PARTS && kind->parts[i].name; i++) {
        if (!ask_part(&kind->parts[i], document)) {
            complain("nothing was given, nothing is stored");
            json_decref(document);
            return NULL;
        }
    }
    return document;
}

/* ---- all ------------------------------------------------------------------------------------ */

static void tell_left_out(const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        fprintf(stderr, "bursar put: not stored: %s\n", cmd_text_safe(json_array_get(names, i)));
}

static int store(const struct cmd_args *args, json_t *request)
{
    struct cmd_reply reply = cmd_ask(args, "credential.put", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        printf("%s generation %lld\n", cmd_text_of(reply.root, "connection"),
               (long long)json_integer_value(json_object_get(reply.root, "generation")));
    cmd_reply_free(&reply);
    return status;
}

/* From what was read or typed of a token or secret, whatever its provider is. */
static int put_document(const struct cmd_args *args, const json_t *document, json_t *request)
{
    json_t *left_out = NULL;
    const char *problem = NULL;
    bool is_ok = cmd_put_read(document, clock_wall_s(), request, &left_out, &problem);
    tell_left_out(left_out);
    json_decref(left_out);
    if (is_ok)
        return store(args, json_incref(request));
    return complain(problem);
}

static int put_fields(const struct cmd_args *args, const struct cmd_form *form,
                      const json_t *fields, json_t *request)
{
    struct buf error = buf_make(4096);
    json_t *secret = cmd_form_secret(form, fields, &error);
    int status = CMD_REFUSED;
    if (secret && json_object_set_new(request, "secret", secret) == 0)
        status = store(args, json_incref(request));
    else
        fprintf(stderr, "bursar put: %s\n", (const char *)buf_text(&error).data);
    buf_free(&error);
    return status;
}

static int put_typed(const struct cmd_args *args, const struct cmd_form *form, json_t *request)
{
    bool has_form = form->form.count > 0;
    json_t *typed = has_form ? cmd_form_ask(form) : ask_document();
    int status = CMD_USAGE;
    if (typed)
        status =
            has_form ? put_fields(args, form, typed, request) : put_document(args, typed, request);
    else if (has_form)
        complain("nothing was given, nothing is stored");
    json_decref(typed);
    return status;
}

static int put_piped(const struct cmd_args *args, const char *provider, json_t *request)
{
    struct cmd_form form = {.connector = NULL};
    json_t *document = cmd_document_read(args->cmd);
    int status = CMD_USAGE;
    if (document && (cmd_put_is_known(document) || !json_is_object(document)))
        status = put_document(args, document, request);
    else if (document)
        status = cmd_form_get(args, provider, &form);
    if (form.connector)
        status = cmd_form_fits(&form, document) ? put_fields(args, &form, document, request)
                                                : put_document(args, document, request);
    cmd_form_free(&form);
    json_decref(document);
    return status;
}

/* The provider that a request names, or that stands in the id of its connection. */
static const char *provider_of(const json_t *request, char out[static PROVIDER_SIZE])
{
    const char *provider = json_string_value(json_object_get(request, "provider"));
    const char *connection = json_string_value(json_object_get(request, "connection"));
    if (provider)
        return provider;
    snprintf(out, PROVIDER_SIZE, "%.*s", (int)strcspn(connection, "."), connection);
    return out;
}

static int run(const struct cmd_args *args)
{
    char name[PROVIDER_SIZE];
    struct cmd_form form;
    json_t *request = cmd_request_for(args, args->words[0], args->words[1]);
    if (!request)
        return CMD_USAGE;
    const char *provider = provider_of(request, name);
    int status;
    if (!cmd_input_is_terminal()) {
        status = put_piped(args, provider, request);
    } else {
        status = cmd_form_get(args, provider, &form);
        if (status == CMD_DONE)
            status = put_typed(args, &form, request);
        cmd_form_free(&form);
    }
    json_decref(request);
    return status;
}

const struct cmd cmd_put = {
    "put",
    "OWNER PROVIDER[/ACCOUNT]",
    "store a secret from standard input, as JSON or asked for",
    NULL,
    2,
    2,
    run,
};
