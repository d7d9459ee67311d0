#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bursar/error.h>

#include "cmd/cmd_input.h"
#include "cmd/cmd_key.h"
#include "vault/letter.h"

enum { MAX_PAGES = 1000000, PAGE_ROWS = 100, LINE_MAX_BYTES = 1 << 20, KEY_MAX = 64 };

static const struct cmd_option options[] = {
    {"owner", "OWNER", "of this owner only"},
    {"provider", "ID", "of this provider only"},
    {"seal-to", "FILE", "seal each line to a public key, such as curve.pub"},
    {"hand-over", NULL, "freeze, write, and mark as transferred: never refreshed here again"},
    {"yes", NULL, "do not ask"},
    {NULL, NULL, NULL},
};

struct export
{
    const struct cmd_args *args;
    struct bursar_client *client;
    int fd;
    const char *name;
    bool hands_over;
    struct buf key; /* empty: lines are written as they are */
    size_t written, left_out, failed;
};

static json_t *named(const json_t *record)
{
    json_t *request = json_object();
    json_object_set(request, "owner", json_object_get(record, "owner"));
    json_object_set(request, "connection", json_object_get(record, "id"));
    return request;
}

/* One job about a record; false where it failed, which was printed. */
static bool ask(struct export *export, const char *op, json_t *request, const json_t *record,
                json_t **out_root)
{
    struct bursar_failure failure;
    json_t *root = NULL;
    int error = cmd_call(export->client, op, request, &root, &failure);
    json_decref(request);
    if (error < 0) {
        fprintf(stderr, "bursar: %s: %s: %s\n", cmd_text_of(record, "id"), bursar_error_code(error),
                failure.message);
        export->failed++;
        return false;
    }
    if (out_root)
        *out_root = root;
    else
        json_decref(root);
    return true;
}

static bool is_state(const json_t *record, const char *state)
{
    const char *its = json_string_value(json_object_get(record, "state"));
    return its && strcmp(its, state) == 0;
}

static bool write_text(const struct export *export, struct text text)
{
    return cmd_write_to(export->fd, export->name, text) &&
           cmd_write_to(export->fd, export->name, TEXT_LITERAL("\n"));
}

static bool write_sealed(const struct export *export, struct text text)
{
    struct buf line = buf_make(LINE_MAX_BYTES);
    buf_append_string(&line, "{\"sealed\":\"");
    int result = letter_seal(buf_text(&export->key), text, &line);
    buf_append_string(&line, "\"}");
    bool is_sealed = result == 0 && buf_error(&line) == 0;
    if (!is_sealed)
        fprintf(stderr, "bursar: a line cannot be sealed: is the key a public one?\n");
    bool is_written = is_sealed && write_text(export, buf_text(&line));
    buf_free(&line);
    return is_written;
}

/* A line as `bursar import` reads it. */
static bool write_line(struct export *export, const json_t *reply)
{
    static const char *const copied[] = {"owner",  "provider", "account", "state",     "generation",
                                         "scopes", "metadata", "tags",    "expires_at"};
    const json_t *record = json_object_get(reply, "record");
    json_t *line = json_object();
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        json_t *value = json_object_get(record, copied[i]);
        if (value)
            json_object_set(line, copied[i], value);
    }
    json_object_set(line, "secret", json_object_get(reply, "secret"));
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    bool is_written = text && (export->key.len > 0 ? write_sealed(export, text_of(text))
                                                   : write_text(export, text_of(text)));
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return is_written;
}

/* What is written is on the disk before anything is marked: a copy that may be lost is none. */
static bool reaches_disk(const struct export *export)
{
    if (fsync(export->fd) == 0 || errno == EINVAL || errno == EROFS) /* a pipe, a terminal */
        return true;
    fprintf(stderr, "bursar: %s: %s\n", export->name, strerror(errno));
    return false;
}

/* false where nothing more can be written. */
static bool export_one(struct export *export, const json_t *record, json_t *marked)
{
    json_t *reply = NULL;
    if (is_state(record, "PENDING") || is_state(record, "REVOKED")) {
        export->left_out++;
        return true;
    }
    if (export->hands_over && !ask(export, "connection.freeze", named(record), record, NULL))
        return true;
    if (!ask(export, "connection.export", named(record), record, &reply))
        return true;
    bool is_written = write_line(export, reply);
    json_decref(reply);
    if (!is_written)
        return false;
    export->written++;
    if (export->hands_over)
        json_array_append_new(marked, json_incref((json_t *)(uintptr_t)record));
    return true;
}

static bool export_page(struct export *export, const json_t *records)
{
    json_t *marked = json_array(), *record;
    bool goes_on = true;
    size_t i;
    json_array_foreach(records, i, record) {
        goes_on = goes_on && export_one(export, record, marked);
    }
    goes_on = goes_on && reaches_disk(export);
    json_array_foreach(marked, i, record) {
        json_t *request = named(record);
        json_object_set_new(request, "reason", json_string("transferred"));
        if (goes_on)
            ask(export, "connection.revoke", request, record, NULL);
        else
            json_decref(request);
    }
    json_decref(marked);
    return goes_on;
}

static json_t *list_request(const struct export *export, const json_t *cursor)
{
    json_t *request = json_object();
    const char *owner = cmd_option(export->args, "owner");
    const char *provider = cmd_option(export->args, "provider");
    if (owner)
        json_object_set_new(request, "owner", json_string(owner));
    if (provider)
        json_object_set_new(request, "provider", json_string(provider));
    if (cursor)
        json_object_set(request, "cursor", (json_t *)(uintptr_t)cursor);
    json_object_set_new(request, "limit", json_integer(PAGE_ROWS));
    return request;
}

static int export_all(struct export *export)
{
    json_t *cursor = NULL;
    int status = CMD_DONE;
    for (int page = 0; page < MAX_PAGES; page++) {
        struct cmd_reply reply =
            cmd_ask_quietly(export->args, "connection.list", list_request(export, cursor));
        status = reply.status;
        bool goes_on =
            status == CMD_DONE && export_page(export, json_object_get(reply.root, "connections"));
        if (status == CMD_DONE && !goes_on)
            status = CMD_REFUSED;
        json_decref(cursor);
        cursor = json_incref(json_object_get(reply.root, "cursor"));
        cmd_reply_free(&reply);
        if (!goes_on || !json_is_string(cursor))
            break;
    }
    json_decref(cursor);
    return status == CMD_DONE && export->failed > 0 ? CMD_REFUSED : status;
}

static bool is_agreed(const struct cmd_args *args)
{
    struct buf answer = buf_make(64);
    bool is_yes = cmd_option(args, "yes") != NULL;
    if (!is_yes && cmd_input_is_terminal() &&
        cmd_input_line("they are never refreshed here again. Go on? [y/N]", false, &answer))
        is_yes = text_is(buf_text(&answer), "y") || text_is(buf_text(&answer), "yes");
    buf_free(&answer);
    return is_yes;
}

static int run(const struct cmd_args *args)
{
    bool is_output = strcmp(args->words[0], "-") == 0;
    struct export export = {.args = args,
                            .fd = STDOUT_FILENO,
                            .name = is_output ? "standard output" : args->words[0],
                            .hands_over = cmd_option(args, "hand-over") != NULL};
    struct bursar_client_options client_options = cmd_client_options(args);
    if (export.hands_over && !is_agreed(args))
        return cmd_usage(args->cmd, "--hand-over is to be agreed to, or --yes given");
    export.key = buf_make_secret(KEY_MAX);
    if (cmd_option(args, "seal-to") && !cmd_key_read(cmd_option(args, "seal-to"), &export.key))
        return CMD_USAGE;
    if (!is_output)
        export.fd = open(args->words[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (export.fd < 0) {
        fprintf(stderr, "bursar: %s: %s\n", args->words[0], strerror(errno));
        return CMD_REFUSED;
    }
    int status = CMD_REFUSED;
    if (bursar_client_open(&client_options, &export.client) == 0)
        status = export_all(&export);
    bursar_client_close(export.client);
    buf_free(&export.key);
    if (!is_output && close(export.fd) != 0 && status == CMD_DONE) {
        fprintf(stderr, "bursar: %s: %s\n", args->words[0], strerror(errno));
        status = CMD_REFUSED;
    }
    fprintf(stderr, "%zu written, %zu without a secret or revoked, %zu failed\n", export.written,
            export.left_out, export.failed);
    return status;
}

const struct cmd cmd_export = {
    "export",
    "FILE|- [--owner OWNER] [--provider ID] [--seal-to FILE] [--hand-over [--yes]]",
    "write connections with their secrets, one a line",
    options,
    1,
    1,
    run,
};
