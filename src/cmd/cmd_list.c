#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { STATE_WIDTH = 12, MIN_WIDTH = 8 };

static const struct cmd_option options[] = {
    {"provider", "ID", "of this provider only"},
    {"state", "STATE", "in this state only, such as NEEDS_REAUTH"},
    {NULL, NULL, NULL},
};

static json_t *make_request(const struct cmd_args *args)
{
    const struct {
        const char *key, *value;
    } members[] = {{"owner", args->word_count > 0 ? args->words[0] : NULL},
                   {"provider", cmd_option(args, "provider")},
                   {"state", cmd_option(args, "state")}};
    json_t *request = json_object();
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (members[i].value)
            json_object_set_new(request, members[i].key, json_string(members[i].value));
    }
    return request;
}

/* Widths of a page's first columns. */
struct widths {
    int owner, account;
};

static int account_text(const json_t *record, char *out, size_t size)
{
    return snprintf(out, size, "%s/%s", cmd_text_of(record, "provider"),
                    cmd_text_of(record, "account"));
}

static struct widths measure(const json_t *records)
{
    struct widths widths = {MIN_WIDTH, MIN_WIDTH};
    for (size_t i = 0; i < json_array_size(records); i++) {
        char account[512];
        const json_t *record = json_array_get(records, i);
        int owner_len = (int)strlen(cmd_text_of(record, "owner"));
        int account_len = account_text(record, account, sizeof account);
        widths.owner = owner_len > widths.owner ? owner_len : widths.owner;
        widths.account = account_len > widths.account ? account_len : widths.account;
    }
    return widths;
}

static void print_page(const json_t *records, bool is_first)
{
    struct widths widths = measure(records);
    if (is_first && json_array_size(records) > 0)
        printf("%-*s  %-*s  %-*s  %-36s  %s\n", widths.owner, "OWNER", widths.account, "CONNECTION",
               STATE_WIDTH, "STATE", "EXPIRES", "ID");
    for (size_t i = 0; i < json_array_size(records); i++) {
        char account[512];
        char expires[CMD_TEXT_TIME_SIZE];
        const json_t *record = json_array_get(records, i);
        account_text(record, account, sizeof account);
        cmd_text_time(json_integer_value(json_object_get(record, "expires_at")), clock_wall_s(),
                      expires);
        printf("%-*s  %-*s  ", widths.owner, cmd_text_of(record, "owner"), widths.account, account);
        cmd_text_state(cmd_text_of(record, "state"), STATE_WIDTH);
        printf("  %-36s  %s\n", expires, cmd_text_of(record, "id"));
    }
}

static int run(const struct cmd_args *args)
{
    if (args->word_count > 0 && !text_is_utf8(text_of(args->words[0])))
        return cmd_usage(args->cmd, "OWNER must be UTF-8 text");
    return cmd_ask_pages(args, "connection.list", make_request(args), "connections", print_page);
}

const struct cmd cmd_list = {
    "list",
    "[OWNER] [--provider ID] [--state STATE]",
    "list connections, never their secrets",
    options,
    0,
    1,
    run,
};
