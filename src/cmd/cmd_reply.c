#include "cmd/cmd_reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/secret.h"
#include "cmd/cmd_keys.h"

enum { PAGES_MAX = 100000000 };

/* ---- memory --------------------------------------------------------------------------------- */

/* Jansson's free() does not say how long the block is: its length stands before it. */
union block {
    size_t len;
    max_align_t align;
};

static void *wiped_malloc(size_t len)
{
    union block *block = malloc(sizeof *block + len);
    if (!block)
        return NULL;
    block->len = len;
    return block + 1;
}

static void wiped_free(void *data)
{
    if (!data)
        return;
    union block *block = (union block *)data - 1;
    secret_wipe(data, block->len);
    free(block);
}

void cmd_reply_start(void)
{
    json_set_alloc_funcs(wiped_malloc, wiped_free);
}

/* ---- output --------------------------------------------------------------------------------- */

bool cmd_write_to(int fd, const char *name, struct text text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        if (n < 0 && errno != EINTR) {
            fprintf(stderr, "bursar: %s: %s\n", name, strerror(errno));
            return false;
        }
        if (n > 0)
            text = (struct text){text.data + n, text.len - (size_t)n};
    }
    return true;
}

bool cmd_write(struct text text)
{
    return fflush(stdout) == 0 && cmd_write_to(STDOUT_FILENO, "standard output", text);
}

static bool write_line(const char *text)
{
    return cmd_write(text_of(text)) && cmd_write(TEXT_LITERAL("\n"));
}

static int status_of(int error)
{
    if (error == BURSAR_OK)
        return CMD_DONE;
    if (error == BURSAR_E_NO_DAEMON)
        return CMD_NO_DAEMON;
    return error == BURSAR_E_NEEDS_REAUTH ? CMD_NEEDS_REAUTH : CMD_REFUSED;
}

static void print_failure_as_json(const struct bursar_failure *failure)
{
    struct buf out = buf_make(4096);
    buf_printf(&out, "{\"ok\":false,\"error\":{\"code\":\"%s\",\"message\":",
               bursar_error_code(failure->error));
    buf_append_json(&out, text_of(failure->message));
    buf_printf(&out, ",\"retryable\":%s}}", failure->is_retryable ? "true" : "false");
    write_line((const char *)buf_text(&out).data);
    buf_free(&out);
}

static void print_failure_as_text(const struct cmd_args *args, const struct bursar_failure *failure)
{
    fprintf(stderr, "bursar: %s: %s", bursar_error_code(failure->error), failure->message);
    if (failure->provider_error[0])
        fprintf(stderr, " (provider: %s)", failure->provider_error);
    if (failure->retry_after_ms > 0)
        fprintf(stderr, " (try again in %.1f s)", failure->retry_after_ms / 1000.0);
    if (failure->error == BURSAR_E_NO_DAEMON)
        fprintf(stderr, " (%s; is bursard running?)",
                args->endpoint ? args->endpoint : BURSAR_JOBS_ENDPOINT);
    fputc('\n', stderr);
}

int cmd_fail(const struct cmd_args *args, const struct bursar_failure *failure)
{
    if (args->is_json)
        print_failure_as_json(failure);
    else
        print_failure_as_text(args, failure);
    return status_of(failure->error);
}

/* ---- asking --------------------------------------------------------------------------------- */

struct bursar_client_options cmd_client_options(const struct cmd_args *args)
{
    return (struct bursar_client_options){
        .jobs_endpoint = args->endpoint,
        .events_endpoint = args->events_endpoint,
        .purpose = args->purpose,
        .server_public_key = args->keys ? cmd_keys_server(args->keys) : NULL,
        .secret_key = args->keys ? cmd_keys_secret(args->keys) : NULL,
    };
}

static int fail_here(struct bursar_failure *failure, int error)
{
    *failure = (struct bursar_failure){.error = error};
    snprintf(failure->message, sizeof failure->message, "%s", bursar_error_text(error));
    return error;
}

int cmd_call(struct bursar_client *client, const char *op, const json_t *request, json_t **out_root,
             struct bursar_failure *out_failure)
{
    char *text = json_dumps(request, JSON_COMPACT), *answer = NULL;
    if (!text)
        return fail_here(out_failure, BURSAR_E_NOMEM);
    int error = bursar_call(client, op, text, &answer, out_failure);
    wiped_free(text);
    *out_root = error == 0 ? json_loads(answer, JSON_ALLOW_NUL, NULL) : NULL;
    bursar_text_free(answer);
    return error == 0 && !*out_root ? fail_here(out_failure, BURSAR_E_NOMEM) : error;
}

static int call(const struct cmd_args *args, const char *op, const json_t *request,
                struct cmd_reply *reply, struct bursar_failure *failure)
{
    struct bursar_client_options options = cmd_client_options(args);
    struct bursar_client *client = NULL;
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    int error = text ? bursar_client_open(&options, &client) : BURSAR_E_NOMEM;
    if (error == 0)
        error = bursar_call(client, op, text, &reply->text, failure);
    else
        fail_here(failure, error);
    bursar_client_close(client);
    wiped_free(text);
    if (error == 0) {
        reply->root = json_loads(reply->text, JSON_ALLOW_NUL, NULL);
        if (!reply->root)
            error = fail_here(failure, BURSAR_E_NOMEM);
    }
    return error;
}

struct cmd_reply cmd_ask_quietly(const struct cmd_args *args, const char *op, json_t *request)
{
    struct cmd_reply reply = {0};
    struct bursar_failure failure;
    int error = call(args, op, request, &reply, &failure);
    json_decref(request);
    reply.status = status_of(error);
    if (error != 0 && args->is_json && reply.text)
        write_line(reply.text);
    else if (error != 0)
        cmd_fail(args, &failure);
    return reply;
}

struct cmd_reply cmd_ask(const struct cmd_args *args, const char *op, json_t *request)
{
    struct cmd_reply reply = cmd_ask_quietly(args, op, request);
    if (reply.status == CMD_DONE && args->is_json && !write_line(reply.text))
        reply.status = CMD_REFUSED;
    return reply;
}

int cmd_ask_pages(const struct cmd_args *args, const char *op, json_t *request, const char *key,
                  cmd_page_fn *print)
{
    int status = CMD_DONE;
    bool is_last = false;
    for (int page = 0; page < PAGES_MAX && status == CMD_DONE && !is_last; page++) {
        struct cmd_reply reply = cmd_ask(args, op, json_copy(request));
        json_t *cursor = json_object_get(reply.root, "cursor");
        status = reply.status;
        if (status == CMD_DONE && !args->is_json)
            print(json_object_get(reply.root, key), page == 0);
        is_last = !json_is_string(cursor);
        json_object_set(request, "cursor", cursor);
        cmd_reply_free(&reply);
    }
    json_decref(request);
    return status;
}

void cmd_reply_free(struct cmd_reply *reply)
{
    bursar_text_free(reply->text);
    json_decref(reply->root);
    *reply = (struct cmd_reply){0};
}

/* ---- requests ------------------------------------------------------------------------------- */

static int name_account(json_t *request, const char *connection)
{
    size_t len = strcspn(connection, "/");
    if (!text_is_provider_id((struct text){connection, len}))
        return -1;
    const char *account = connection[len] == '/' ? connection + len + 1 : BURSAR_DEFAULT_ACCOUNT;
    if (account[0] == 0)
        return -1;
    return json_object_set_new(request, "provider", json_stringn(connection, len)) |
           json_object_set_new(request, "account", json_string(account));
}

json_t *cmd_request_for(const struct cmd_args *args, const char *owner, const char *connection)
{
    json_t *request = json_object();
    int error = json_object_set_new(request, "owner", json_string(owner));
    if (id_provider(text_of(connection)).data)
        error |= json_object_set_new(request, "connection", json_string(connection));
    else
        error |= name_account(request, connection);
    if (error == 0)
        return request;
    json_decref(request);
    cmd_usage(args->cmd,
              "OWNER must be UTF-8 text, CONNECTION an id, PROVIDER/ACCOUNT or PROVIDER");
    return NULL;
}

bool cmd_number(const struct cmd_args *args, const char *option, json_int_t max, json_int_t *out)
{
    uint64_t value = 0;
    const char *given = cmd_option(args, option);
    if (!text_to_uint(text_of(given), (uint64_t)max, &value)) {
        cmd_usage(args->cmd, "--%s must be a whole number of at most %" JSON_INTEGER_FORMAT, option,
                  max);
        return false;
    }
    *out = (json_int_t)value;
    return true;
}
