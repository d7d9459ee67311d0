#include "cmd/cmd_connect.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cmd_text.h"

enum { LOOK_EVERY_MS = 2000, LATE_S = 15 /* what the daemon may need after the end of the code */ };

/* What is waited for. */
struct wait {
    const struct cmd_args *args;
    const char *connection;
    json_int_t generation; /* before */
    json_int_t refused_at; /* before: an earlier consent's refusal is not this one's */
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

/* When a consent for it was refused last; 0: never. Of a connection that has no secret yet that is its
 * last refresh. */
static json_int_t refused_at(const json_t *record)
{
    const json_t *last = json_object_get(record, "last_refresh");
    const char *reason = json_string_value(json_object_get(record, "reason"));
    if (is_state(record, "PENDING"))
        return json_integer_value(json_object_get(last, "at"));
    return reason && strcmp(reason, "consent_refused") == 0
               ? json_integer_value(json_object_get(record, "updated_at"))
               : 0;
}

static int print_refusal(const json_t *record)
{
    const json_t *error = json_object_get(json_object_get(record, "last_refresh"), "error");
    fprintf(stderr, "bursar connect: not connected: %s\n",
            json_is_string(error) ? cmd_text_safe(error) : "the consent was refused");
    return CMD_REFUSED;
}

/* -1 where it goes on. */
static int look(const struct wait *wait)
{
    struct cmd_reply reply = get(wait);
    const json_t *record = json_object_get(reply.root, "record");
    json_int_t generation = json_integer_value(json_object_get(record, "generation"));
    int status = reply.status == CMD_DONE ? -1 : reply.status;
    if (status == -1 && is_state(record, "ACTIVE") && generation > wait->generation)
        status = print_record(wait, &reply);
    else if (status == -1 && refused_at(record) > wait->refused_at)
        status = print_refusal(record);
    cmd_reply_free(&reply);
    return status;
}

/* Waits for the connection's next event, or until it is time to look whether it was refused: of a
 * refusal no event tells. CMD_DONE, or what was printed of a failure. */
static int wait_for_event(const struct wait *wait, struct bursar_events *events)
{
    int64_t until_ms = clock_boot_ms() + LOOK_EVERY_MS;
    for (int64_t left_ms = LOOK_EVERY_MS; left_ms > 0; left_ms = until_ms - clock_boot_ms()) {
        struct bursar_event event;
        struct bursar_failure failure;
        int error = bursar_events_next(events, (int)left_ms, &event, &failure);
        if (error == BURSAR_E_DEADLINE_EXCEEDED)
            break;
        if (error != 0)
            return cmd_fail(wait->args, &failure);
        if (event.connection && strcmp(event.connection, wait->connection) == 0)
            break;
    }
    return CMD_DONE;
}

static int wait_for_consent(const struct wait *wait, struct bursar_events *events)
{
    while (clock_wall_s() <= wait->until + LATE_S) {
        int status = look(wait);
        if (status >= 0)
            return status;
        status = wait_for_event(wait, events);
        if (status != CMD_DONE)
            return status;
    }
    fprintf(stderr, "bursar connect: nobody consented in time\n");
    return CMD_REFUSED;
}

/* What comes after `since`: nothing that happened while the code was asked for is missed. */
static int subscribe(const struct cmd_args *args, json_int_t since,
                     struct bursar_events **out_events)
{
    static const char *const topics[] = {"connected/", "recovered/", "refreshed/", NULL};
    struct bursar_client_options client = cmd_client_options(args);
    struct bursar_failure failure;
    int error = bursar_events_open(&client, topics, true, (uint64_t)since, out_events, &failure);
    return error == 0 ? CMD_DONE : cmd_fail(args, &failure);
}

static void print_code(const json_t *reply)
{
    fprintf(stderr, "Open this address on any device:\n%s\nand enter this code:\n%s\n",
            cmd_text_of(reply, "verification_uri"), cmd_text_of(reply, "user_code"));
    if (json_is_string(json_object_get(reply, "verification_uri_complete")))
        fprintf(stderr, "or open this one, which has the code in it:\n%s\n",
                cmd_text_of(reply, "verification_uri_complete"));
}

/* reply: of connect.device. since: the number of the last event before it. */
static int follow(const struct cmd_args *args, const json_t *reply, json_int_t since)
{
    struct wait wait = {.args = args,
                        .connection = json_string_value(json_object_get(reply, "connection")),
                        .until = json_integer_value(json_object_get(reply, "expires_at"))};
    struct bursar_events *events = NULL;
    struct cmd_reply before = get(&wait);
    const json_t *record = json_object_get(before.root, "record");
    wait.generation = json_integer_value(json_object_get(record, "generation"));
    wait.refused_at = refused_at(record);
    int status = before.status;
    cmd_reply_free(&before);
    if (status == CMD_DONE)
        status = subscribe(args, since, &events);
    if (status == CMD_DONE) {
        print_code(reply);
        status = wait_for_consent(&wait, events);
    }
    bursar_events_close(events);
    return status;
}

int cmd_connect_device(const struct cmd_args *args, const json_t *request)
{
    struct cmd_reply now = cmd_ask_quietly(args, "status", json_object());
    json_int_t since = json_integer_value(json_object_get(now.root, "seq"));
    int status = now.status;
    cmd_reply_free(&now);
    if (status != CMD_DONE)
        return status;
    struct cmd_reply reply =
        cmd_ask_quietly(args, "connect.device", json_copy((json_t *)(uintptr_t)request));
    status = reply.status == CMD_DONE ? follow(args, reply.root, since) : reply.status;
    cmd_reply_free(&reply);
    return status;
}
