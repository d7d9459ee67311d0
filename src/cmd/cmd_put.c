#include "cmd/cmd_input.h"
#include "cmd/cmd_put_read.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

enum { MAX_INPUT = 1 << 20, MAX_LINE = 65536, MAX_PARTS = 4 };

static int complain(const char *problem)
{
    fprintf(stderr, "bursar put: standard input: %s\n", problem);
    return CMD_USAGE;
}

/* ---- from a pipe ---------------------------------------------------------------------------- */

static json_t *read_document(void)
{
    struct buf input = buf_make_secret(MAX_INPUT);
    json_error_t error;
    json_t *document = NULL;
    int failure = cmd_input_all(&input);
    struct text text = buf_text(&input);
    if (failure == 0)
        document = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (failure == BURSAR_E_IO)
        complain(strerror(errno));
    else if (failure != 0)
        complain(bursar_error_text(failure));
    else if (!document) /* error.text quotes what it stumbled over, and that may be a secret */
        fprintf(stderr, "bursar put: standard input: not JSON, line %d column %d\n", error.line,
                error.column);
    buf_free(&input);
    return document;
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

static int run(const struct cmd_args *args)
{
    json_t *left_out = NULL;
    const char *problem = NULL;
    json_t *request = cmd_request_for(args, args->words[0], args->words[1]);
    if (!request)
        return CMD_USAGE;
    json_t *document = cmd_input_is_terminal() ? ask_document() : read_document();
    bool is_ok = document && cmd_put_read(document, clock_wall_s(), request, &left_out, &problem);
    if (document && !is_ok)
        complain(problem);
    tell_left_out(left_out);
    json_decref(left_out);
    json_decref(document);
    if (is_ok)
        return store(args, request);
    json_decref(request);
    return CMD_USAGE;
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
