#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { MAX_PAGES = 10000000, TYPE_WIDTH = 10 };

static const struct cmd_option options[] = {
    {"follow", NULL, "wait for what comes, for ever"},
    {"since", "SEQ", "begin behind the event SEQ (0: with the oldest that is kept)"},
    {"owner", "OWNER", "of the log, this owner's alone"},
    {NULL, NULL, NULL},
};

/* ---- a line --------------------------------------------------------------------------------- */

static void print_reason(const json_t *event)
{
    const json_t *reason = json_object_get(event, "reason");
    if (!json_is_object(reason))
        return;
    printf("  %s", cmd_text_of(reason, "code"));
    if (json_is_string(json_object_get(reason, "provider_error")))
        printf(" (%s)", cmd_text_of(reason, "provider_error"));
}

static void print_event(const json_t *event)
{
    char when[CMD_TEXT_TIME_SIZE];
    const char *phase = json_string_value(json_object_get(event, "phase"));
    cmd_text_time(json_integer_value(json_object_get(event, "at_ms")) / 1000, clock_wall_s(), when);
    printf("%lld  %s  %-*s  %s  %s/%s",
           (long long)json_integer_value(json_object_get(event, "seq")), when, TYPE_WIDTH,
           cmd_text_of(event, "type"), cmd_text_of(event, "owner"), cmd_text_of(event, "provider"),
           cmd_text_of(event, "account"));
    if (phase)
        printf("  %s", cmd_text_of(event, "phase"));
    if (json_is_string(json_object_get(event, "state"))) {
        printf("  ");
        cmd_text_state(cmd_text_of(event, "state"), 0);
    }
    print_reason(event);
    if (json_is_true(json_object_get(event, "reminder")))
        printf("  reminder");
    putchar('\n');
}

/* One line each, at once: somebody may be reading them from a pipe. */
static bool put_event(const struct cmd_args *args, const char *json)
{
    if (args->is_json) {
        printf("%s\n", json);
    } else {
        json_t *event = json_loads(json, 0, NULL);
        if (event)
            print_event(event);
        json_decref(event);
    }
    return fflush(stdout) == 0;
}

/* ---- what is in the log --------------------------------------------------------------------- */

static bool put_page(const struct cmd_args *args, const json_t *events)
{
    bool is_ok = true;
    for (size_t i = 0; is_ok && i < json_array_size(events); i++) {
        char *json = json_dumps(json_array_get(events, i), JSON_COMPACT);
        json_free_t free_text = NULL;
        json_get_alloc_funcs(NULL, &free_text);
        is_ok = json && put_event(args, json);
        free_text(json);
    }
    return is_ok;
}

static json_t *log_request(const struct cmd_args *args, json_int_t since)
{
    const char *owner = cmd_option(args, "owner");
    json_t *request = json_pack("{s:I}", "seq", since);
    if (owner)
        json_object_set_new(request, "owner", json_string(owner));
    return request;
}

static int print_log(const struct cmd_args *args, json_int_t since)
{
    for (int page = 0; page < MAX_PAGES; page++) {
        struct cmd_reply reply = cmd_ask_quietly(args, "events.since", log_request(args, since));
        const json_t *events = json_object_get(reply.root, "events");
        json_int_t next = json_integer_value(json_object_get(reply.root, "next_seq"));
        int status = reply.status;
        if (status == CMD_DONE && !put_page(args, events))
            status = CMD_REFUSED;
        bool is_end = json_array_size(events) == 0 && next <= since;
        cmd_reply_free(&reply);
        if (status != CMD_DONE || is_end)
            return status;
        since = next;
    }
    return CMD_DONE;
}

/* ---- what comes ----------------------------------------------------------------------------- */

static int follow(const struct cmd_args *args, bool has_since, json_int_t since)
{
    struct bursar_client_options client = cmd_client_options(args);
    struct bursar_events *events = NULL;
    struct bursar_failure failure;
    const char *const *topics = args->word_count > 0 ? args->words : NULL;
    int error = bursar_events_open(&client, topics, has_since, (uint64_t)since, &events, &failure);
    if (error != 0)
        return cmd_fail(args, &failure);
    for (bool is_away = false;;) {
        struct bursar_event event;
        error = bursar_events_next(events, -1, &event, &failure);
        if (error == 0 && !put_event(args, event.json))
            break;
        if (error != 0 && !failure.is_retryable)
            break;
        if (error != 0 && !is_away)
            fprintf(stderr, "bursar: %s: %s; still waiting\n", bursar_error_code(error),
                    failure.message);
        is_away = error != 0;
    }
    bursar_events_close(events);
    return error != 0 ? cmd_fail(args, &failure) : CMD_REFUSED;
}

static int run(const struct cmd_args *args)
{
    json_int_t since = 0;
    bool has_since = cmd_option(args, "since") != NULL;
    if (has_since && !cmd_number(args, "since", INT64_MAX, &since))
        return CMD_USAGE;
    if (cmd_option(args, "follow") && cmd_option(args, "owner"))
        return cmd_usage(args->cmd, "--owner is for the log; with --follow a TOPIC names an owner");
    if (cmd_option(args, "follow"))
        return follow(args, has_since, since);
    if (args->word_count > 0)
        return cmd_usage(args->cmd, "a TOPIC is for --follow");
    return print_log(args, since);
}

const struct cmd cmd_events = {
    "events",
    "[--since SEQ] [--owner OWNER | --follow [TOPIC…]]",
    "print the event log, or what comes to it",
    options,
    0,
    CMD_MAX_WORDS - 1,
    run,
};
