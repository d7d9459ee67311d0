#include "cmd/cmd_select.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd_change.h"
#include "cmd/cmd_input.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_since.h"
#include "cmd/cmd_sweep.h"
#include "cmd/cmd_text.h"

enum { RATE_MAX = 100000 };

static const char *const keys[] = {"provider", "owner", "tag", "client"};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

/* Adds those that a principal was given since then. false where that is wrong, which was printed. */
static bool add_given(const struct cmd_args *args, json_t **select)
{
    const char *principal = cmd_option(args, "vended-to"), *since = cmd_option(args, "since");
    int64_t at;
    if (!principal && !since)
        return true;
    if (!principal || !since) {
        cmd_usage(args->cmd, "--vended-to and --since go together");
        return false;
    }
    if (!cmd_since(args, &at))
        return false;
    if (!*select)
        *select = json_object();
    json_object_set_new(*select, "principal", json_string(principal));
    json_object_set_new(*select, "vended_since", json_integer(at));
    return true;
}

/* NULL where no option makes a selection. */
static json_t *selection(const struct cmd_args *args)
{
    json_t *select = NULL;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *value = cmd_option(args, keys[i]);
        if (!value)
            continue;
        if (!select)
            select = json_object();
        json_object_set_new(select, keys[i], json_string(value));
    }
    return select;
}

static int run_one(const struct cmd_args *args, const char *op, const char *done)
{
    static const char *const others[] = {"rate", "dry-run", "yes", "no-wait"};
    if (args->word_count != 2)
        return cmd_usage(args->cmd, "OWNER and CONNECTION, or a selection by options");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (cmd_option(args, others[i]))
            return cmd_usage(args->cmd, "--%s goes with a selection by options", others[i]);
    }
    return cmd_change(args, op, done);
}

static json_t *make_request(const struct cmd_args *args, json_t *select, json_int_t rate,
                            bool is_dry)
{
    json_t *request = json_object();
    json_object_set(request, "select", select);
    if (cmd_option(args, "at-provider"))
        json_object_set_new(request, "at_provider", json_true());
    if (rate > 0)
        json_object_set_new(request, "rate_per_s", json_integer(rate));
    if (is_dry)
        json_object_set_new(request, "dry_run", json_true());
    return request;
}

static void print_counts(FILE *to, const char *before, json_t *counts)
{
    const char *key, *between = before;
    json_t *count;
    json_object_foreach(counts, key, count) {
        json_t *name = json_string(key);
        fprintf(to, "%s%" JSON_INTEGER_FORMAT " %s", between, json_integer_value(count),
                cmd_text_safe(name));
        json_decref(name);
        between = ", ";
    }
    if (json_object_size(counts) > 0)
        fputc('\n', to);
}

/* `12 connections`, and of which providers and in which states they are. */
static void print_plan(FILE *to, const json_t *reply)
{
    json_int_t count = json_integer_value(json_object_get(reply, "count"));
    fprintf(to, "%" JSON_INTEGER_FORMAT " connection%s\n", count, count == 1 ? "" : "s");
    print_counts(to, "  by provider: ", json_object_get(reply, "providers"));
    print_counts(to, "  by state: ", json_object_get(reply, "states"));
}

static bool is_agreed(const struct cmd_args *args)
{
    struct buf answer = buf_make(64);
    char prompt[64];
    snprintf(prompt, sizeof prompt, "%s them all? [y/N]", args->cmd->name);
    bool is_read = cmd_input_line(prompt, false, &answer);
    struct text text = buf_text(&answer);
    bool is_yes = is_read && (text_is(text, "y") || text_is(text, "Y") || text_is(text, "yes"));
    buf_free(&answer);
    return is_yes;
}

/* CMD_DONE where it may go on. */
static int agree(const struct cmd_args *args, const char *op, json_t *request)
{
    if (cmd_option(args, "yes")) {
        json_decref(request);
        return CMD_DONE;
    }
    if (!cmd_input_is_terminal()) {
        json_decref(request);
        return cmd_usage(args->cmd, "--yes is required where nobody can be asked");
    }
    struct cmd_reply reply = cmd_ask_quietly(args, op, request);
    int status = reply.status;
    if (status == CMD_DONE) {
        print_plan(stderr, reply.root);
        if (!is_agreed(args)) {
            fprintf(stderr, "nothing was changed\n");
            status = CMD_REFUSED;
        }
    }
    cmd_reply_free(&reply);
    return status;
}

static int begin(const struct cmd_args *args, const char *op, json_t *request)
{
    struct cmd_reply reply = cmd_ask_quietly(args, op, request);
    int status = reply.status;
    bool waits = !cmd_option(args, "no-wait");
    if (status == CMD_DONE && !waits && args->is_json)
        puts(reply.text);
    if (status == CMD_DONE && !args->is_json)
        printf("%s\n", cmd_text_of(reply.root, "sweep"));
    fflush(stdout);
    if (status == CMD_DONE && waits)
        status = cmd_sweep_follow(args, cmd_text_of(reply.root, "sweep"));
    cmd_reply_free(&reply);
    return status;
}

static int dry_run(const struct cmd_args *args, const char *op, json_t *request)
{
    struct cmd_reply reply = cmd_ask(args, op, request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        print_plan(stdout, reply.root);
    cmd_reply_free(&reply);
    return status;
}

int cmd_select(const struct cmd_args *args, const char *op, const char *done)
{
    json_int_t rate = 0;
    json_t *select = selection(args);
    if (!add_given(args, &select)) {
        json_decref(select);
        return CMD_USAGE;
    }
    if (!select)
        return run_one(args, op, done);
    int status = CMD_DONE;
    if (args->word_count > 0)
        status = cmd_usage(args->cmd, "a selection by options stands instead of OWNER CONNECTION");
    else if (cmd_option(args, "rate") && !cmd_number(args, "rate", RATE_MAX, &rate))
        status = CMD_USAGE;
    else if (cmd_option(args, "dry-run"))
        status = dry_run(args, op, make_request(args, select, rate, true));
    else if ((status = agree(args, op, make_request(args, select, rate, true))) == CMD_DONE)
        status = begin(args, op, make_request(args, select, rate, false));
    json_decref(select);
    return status;
}
