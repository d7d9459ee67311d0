#include "cmd/cmd_connect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cmd/cmd_text.h"

enum { ASK_EVERY_S = 2, LATE_S = 15 /* what the daemon may need after the end of the code */ };

/* What is waited for. */
struct wait {
    const struct cmd_args *args;
    const char *connection;
    json_int_t generation; /* before */
    json_int_t until;
};

static struct cmd_reply get(const struct wait *wait)
{
    return cmd_ask_quietly(
        wait->args, "connection.get",
        json_pack("{s:s, s:s}", "owner", wait->args->words[0], "connection", wait->connection));
}

static bool is_state(const json_t *record, const char *state)
{
    const char *given = json_string_value(json_object_get(record, "state"));
    return given && strcmp(given, state) == 0;
}

static int print_record(const struct wait *wait, const struct cmd_reply *reply)
{
    if (!wait->args->is_json)
        cmd_text_fields(json_object_get(reply->root, "record"));
    else
        printf("%s\n", reply->text);
    return CMD_DONE;
}

/* -1 where it goes on. */
static int look(const struct wait *wait)
{
    struct cmd_reply reply = get(wait);
    const json_t *record = json_object_get(reply.root, "record");
    const json_t *error = json_object_get(json_object_get(record, "last_refresh"), "error");
    json_int_t generation = json_integer_value(json_object_get(record, "generation"));
    int status = reply.status == CMD_DONE ? -1 : reply.status;
    if (status == -1 && is_state(record, "ACTIVE") && generation > wait->generation) {
        status = print_record(wait, &reply);
    } else if (status == -1 && is_state(record, "PENDING") && json_is_string(error)) {
        fprintf(stderr, "bursar connect: not connected: %s\n", cmd_text_safe(error));
        status = CMD_REFUSED;
    }
    cmd_reply_free(&reply);
    return status;
}

/* No event tells of a consent that is refused, so the record is looked at. */
static int wait_for_consent(const struct wait *wait)
{
    const struct timespec pause = {ASK_EVERY_S, 0};
    while (clock_wall_s() <= wait->until + LATE_S) {
        int status = look(wait);
        if (status >= 0)
            return status;
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "bursar connect: nobody consented in time\n");
    return CMD_REFUSED;
}

static void print_code(const json_t *reply)
{
    fprintf(stderr, "Open this address on any device:\n%s\nand enter this code:\n%s\n",
            cmd_text_of(reply, "verification_uri"), cmd_text_of(reply, "user_code"));
    if (json_is_string(json_object_get(reply, "verification_uri_complete")))
        fprintf(stderr, "or open this one, which has the code in it:\n%s\n",
                cmd_text_of(reply, "verification_uri_complete"));
}

int cmd_connect_device(const struct cmd_args *args, const json_t *request)
{
    struct cmd_reply reply =
        cmd_ask_quietly(args, "connect.device", json_copy((json_t *)(uintptr_t)request));
    int status = reply.status;
    if (status == CMD_DONE) {
        struct wait wait = {args, json_string_value(json_object_get(reply.root, "connection")), 0,
                            json_integer_value(json_object_get(reply.root, "expires_at"))};
        struct cmd_reply before = get(&wait);
        wait.generation = json_integer_value(
            json_object_get(json_object_get(before.root, "record"), "generation"));
        status = before.status;
        cmd_reply_free(&before);
        if (status == CMD_DONE) {
            print_code(reply.root);
            status = wait_for_consent(&wait);
        }
    }
    cmd_reply_free(&reply);
    return status;
}
