#include "cmd/cmd_sweep.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

enum { MAX_PAGES = 100000, LOOK_EVERY_MS = 250, ACTION_WIDTH = 8, STATE_WIDTH = 10 };

static const struct cmd_option options[] = {
    {"receipts", NULL, "what became of each connection"},
    {"follow", NULL, "wait for the end"},
    {"cancel", NULL, "end it; what is done stays done"},
    {NULL, NULL, NULL},
};

static json_t *request_for(const char *sweep, const char *cursor)
{
    json_t *request = json_object();
    if (sweep)
        json_object_set_new(request, "sweep", json_string(sweep));
    if (cursor)
        json_object_set_new(request, "cursor", json_string(cursor));
    return request;
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

/* The daemon tells nobody of it, so it is asked again and again. */
static void wait_a_little(void)
{
    const struct timespec wait = {LOOK_EVERY_MS / 1000, LOOK_EVERY_MS % 1000 * 1000000L};
    nanosleep(&wait, NULL);
}

int cmd_sweep_follow(const struct cmd_args *args, const char *sweep)
{
    bool is_shown = isatty(STDERR_FILENO) && !args->is_json;
    for (;;) {
        struct cmd_reply reply = cmd_ask_quietly(args, "sweep.get", request_for(sweep, NULL));
        const json_t *record = json_object_get(reply.root, "sweep");
        const char *state = json_string_value(json_object_get(record, "state"));
        bool is_running = state && strcmp(state, "running") == 0;
        int status = reply.status;
        if (status == CMD_DONE && is_shown)
            print_progress(record);
        if (status == CMD_DONE && !is_running) {
            if (is_shown)
                fputc('\n', stderr);
            if (args->is_json)
                puts(reply.text);
            else
                print_end(record);
        }
        cmd_reply_free(&reply);
        if (status != CMD_DONE || !is_running)
            return status;
        wait_a_little();
    }
}

static int show(const struct cmd_args *args, const char *op)
{
    struct cmd_reply reply = cmd_ask(args, op, request_for(args->words[0], NULL));
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

static int list(const struct cmd_args *args, const char *op, const char *key,
                void (*print)(const json_t *item))
{
    json_t *cursor = NULL;
    int status = CMD_DONE;
    for (int page = 0; page < MAX_PAGES && status == CMD_DONE; page++) {
        size_t i;
        json_t *item;
        struct cmd_reply reply =
            cmd_ask(args, op, request_for(args->words[0], json_string_value(cursor)));
        status = reply.status;
        if (status == CMD_DONE && !args->is_json) {
            json_array_foreach(json_object_get(reply.root, key), i, item)
                print(item);
        }
        json_decref(cursor);
        cursor = json_incref(json_object_get(reply.root, "cursor"));
        cmd_reply_free(&reply);
        if (!json_is_string(cursor))
            break;
    }
    json_decref(cursor);
    return status;
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
    if (args->word_count == 0)
        return list(args, "sweep.list", "sweeps", print_sweep);
    if (cmd_option(args, "receipts"))
        return list(args, "sweep.receipts", "receipts", print_receipt);
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
