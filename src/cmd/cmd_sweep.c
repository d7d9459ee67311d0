#include "cmd/cmd_sweep.h"

#include <stdio.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

enum { SHOW_EVERY_MS = 1000, WAIT_MS = 20000, ACTION_WIDTH = 8, STATE_WIDTH = 10 };

static const struct cmd_option options[] = {
    {"receipts", NULL, "what became of each connection"},
    {"follow", NULL, "wait for the end"},
    {"cancel", NULL, "end it; what is done stays done"},
    {NULL, NULL, NULL},
};

static json_t *request_for(const char *sweep)
{
    return json_pack("{s:s}", "sweep", sweep);
}

static json_int_t number(const json_t *sweep, const char *key)
{
    return json_integer_value(json_object_get(sweep, key));
}

/* ---- one ----------------------------------------------------------------------------------------- */

static void print_progress(const json_t *sweep)
{
    fprintf(stderr, "\r%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT, number(sweep, "done"),
            number(sweep, "count"));
    if (number(sweep, "asking") > 0)
        fprintf(stderr, ", %" JSON_INTEGER_FORMAT " to be answered by their providers",
                number(sweep, "asking"));
    fprintf(stderr, "\033[K");
    fflush(stderr);
}

static void print_end(const json_t *sweep)
{
    printf("%s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " done, %" JSON_INTEGER_FORMAT
           " changed\n",
           cmd_text_of(sweep, "state"), number(sweep, "done"), number(sweep, "count"),
           number(sweep, "changed"));
}

/* The record of a sweep, once it has ended or `deadline_ms` has passed: BURSAR_E_DEADLINE_EXCEEDED then. */
static int wait_for(struct bursar_client *client, const char *sweep, json_int_t deadline_ms,
                    json_t **out_root, struct bursar_failure *failure)
{
    json_t *request = request_for(sweep);
    json_object_set_new(request, "wait", json_true());
    json_object_set_new(request, "deadline_ms", json_integer(deadline_ms));
    int error = cmd_call(client, "sweep.get", request, out_root, failure);
    json_decref(request);
    return error;
}

static void show_progress(struct bursar_client *client, const char *sweep)
{
    json_t *request = request_for(sweep), *root = NULL;
    struct bursar_failure failure;
    if (cmd_call(client, "sweep.get", request, &root, &failure) == 0)
        print_progress(json_object_get(root, "sweep"));
    json_decref(request);
    json_decref(root);
}

static void tell_end(const struct cmd_args *args, const json_t *root, bool is_shown)
{
    if (is_shown) {
        print_progress(json_object_get(root, "sweep"));
        fputc('\n', stderr);
    }
    if (!args->is_json) {
        print_end(json_object_get(root, "sweep"));
        return;
    }
    json_dumpf(root, stdout, JSON_COMPACT);
    putchar('\n');
}

int cmd_sweep_follow(const struct cmd_args *args, const char *sweep)
{
    bool is_shown = isatty(STDERR_FILENO) && !args->is_json;
    struct bursar_client_options how = cmd_client_options(args);
    struct bursar_client *client = NULL;
    struct bursar_failure failure = {0};
    json_t *root = NULL;
    int error = bursar_client_open(&how, &client);
    if (error < 0)
        return cmd_fail(args, &(struct bursar_failure){.error = error});
    do {
        if (is_shown)
            show_progress(client, sweep);
        error = wait_for(client, sweep, is_shown ? SHOW_EVERY_MS : WAIT_MS, &root, &failure);
    } while (error == BURSAR_E_DEADLINE_EXCEEDED);
    if (error == 0)
        tell_end(args, root, is_shown);
    json_decref(root);
    bursar_client_close(client);
    return error == 0 ? CMD_DONE : cmd_fail(args, &failure);
}

static int show(const struct cmd_args *args, const char *op)
{
    struct cmd_reply reply = cmd_ask(args, op, request_for(args->words[0]));
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        cmd_text_fields(json_object_get(reply.root, "sweep"));
    cmd_reply_free(&reply);
    return status;
}

/* ---- lists --------------------------------------------------------------------------------------- */

static void print_sweep(const json_t *sweep)
{
    char begun[CMD_TEXT_TIME_SIZE], count[64];
    cmd_text_time(number(sweep, "begun_at"), clock_wall_s(), begun);
    snprintf(count, sizeof count, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
             number(sweep, "done"), number(sweep, "count"));
    printf("%-32s  %-*s  %-*s  %-20s  %s\n", cmd_text_of(sweep, "id"), ACTION_WIDTH,
           cmd_text_of(sweep, "action"), STATE_WIDTH, cmd_text_of(sweep, "state"), count, begun);
}

static void print_receipt(const json_t *receipt)
{
    const json_t *says = json_object_get(receipt, "at_provider");
    printf("%s  %s  %s/%s  ", cmd_text_of(receipt, "connection"), cmd_text_of(receipt, "owner"),
           cmd_text_of(receipt, "provider"), cmd_text_of(receipt, "account"));
    if (json_is_true(json_object_get(receipt, "changed")))
        printf("%s -> ", cmd_text_of(receipt, "from"));
    printf("%s", cmd_text_of(receipt, "state"));
    if (says)
        printf("  at the provider: %s", cmd_text_safe(says));
    else if (json_is_true(json_object_get(receipt, "asking")))
        printf("  at the provider: not answered yet");
    putchar('\n');
}

static void print_sweeps(const json_t *sweeps, bool is_first)
{
    size_t i;
    const json_t *sweep;
    (void)is_first;
    json_array_foreach(sweeps, i, sweep)
        print_sweep(sweep);
}

static void print_receipts(const json_t *receipts, bool is_first)
{
    size_t i;
    const json_t *receipt;
    (void)is_first;
    json_array_foreach(receipts, i, receipt)
        print_receipt(receipt);
}

static int run(const struct cmd_args *args)
{
    int given = 0;
    for (size_t i = 0; options[i].name; i++)
        given += cmd_option(args, options[i].name) != NULL;
    if (given > 1)
        return cmd_usage(args->cmd, "one option at a time");
    if (given > 0 && args->word_count == 0)
        return cmd_usage(args->cmd, "which sweep?");
    if (args->word_count > 0 && !text_is_utf8(text_of(args->words[0])))
        return cmd_usage(args->cmd, "SWEEP must be an id");
    if (args->word_count == 0)
        return cmd_ask_pages(args, "sweep.list", json_object(), "sweeps", print_sweeps);
    if (cmd_option(args, "receipts"))
        return cmd_ask_pages(args, "sweep.receipts", request_for(args->words[0]), "receipts",
                             print_receipts);
    if (cmd_option(args, "follow"))
        return cmd_sweep_follow(args, args->words[0]);
    return show(args, cmd_option(args, "cancel") ? "sweep.cancel" : "sweep.get");
}

const struct cmd cmd_sweep = {
    "sweep",
    "[SWEEP [--receipts | --follow | --cancel]]",
    "list changes of many connections, show one, its receipts, or end it",
    options,
    0,
    1,
    run,
};
