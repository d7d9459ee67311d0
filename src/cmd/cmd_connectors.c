#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

#include <stdio.h>
#include <string.h>

static const struct cmd_option options[] = {
    {"configured", NULL, "only those that the configuration has"},
    {"search", "TEXT", "only those whose id, name or category has this in it"},
    {NULL, NULL, NULL},
};

enum { COLUMNS = 4 };
static const char *const keys[COLUMNS] = {"id", "display_name", "category", "kind"};
static const char *const heads[COLUMNS] = {"ID", "NAME", "CATEGORY", "KIND"};

/* What is printed takes as many columns as it has characters. */
static int characters(const char *text)
{
    int count = 0;
    for (; *text; text++)
        count += (*text & 0xC0) != 0x80;
    return count;
}

static bool is_wanted(const struct cmd_args *args, const json_t *connector)
{
    const char *search = cmd_option(args, "search");
    bool is_found = !search;
    for (size_t i = 0; !is_found && i < COLUMNS; i++) {
        const char *text = json_string_value(json_object_get(connector, keys[i]));
        is_found = text && strcasestr(text, search);
    }
    return is_found && (!cmd_option(args, "configured") ||
                        json_is_true(json_object_get(connector, "configured")));
}

static void print_row(const char *const *texts, const int *widths, const char *last)
{
    for (size_t i = 0; i < COLUMNS; i++)
        printf("%s%*s", texts[i], widths[i] - characters(texts[i]) + 2, "");
    printf("%s\n", last);
}

static const char *note_of(const json_t *connector)
{
    if (json_is_true(json_object_get(connector, "configured")))
        return "configured";
    return json_is_true(json_object_get(connector, "experimental")) ? "experimental" : "";
}

static void print_table(const struct cmd_args *args, const json_t *connectors)
{
    int widths[COLUMNS];
    size_t count = 0;
    for (size_t i = 0; i < COLUMNS; i++)
        widths[i] = characters(heads[i]);
    for (size_t row = 0; row < json_array_size(connectors); row++) {
        const json_t *connector = json_array_get(connectors, row);
        if (!is_wanted(args, connector))
            continue;
        count++;
        for (size_t i = 0; i < COLUMNS; i++) {
            int len = characters(cmd_text_of(connector, keys[i]));
            widths[i] = len > widths[i] ? len : widths[i];
        }
    }
    if (count > 0)
        print_row(heads, widths, "");
    for (size_t row = 0; row < json_array_size(connectors); row++) {
        const json_t *connector = json_array_get(connectors, row);
        const char *texts[COLUMNS];
        for (size_t i = 0; i < COLUMNS; i++)
            texts[i] = cmd_text_of(connector, keys[i]);
        if (is_wanted(args, connector))
            print_row(texts, widths, note_of(connector));
    }
}

static int list(const struct cmd_args *args)
{
    struct cmd_reply reply = cmd_ask(args, "connector.list", json_object());
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        print_table(args, json_object_get(reply.root, "connectors"));
    cmd_reply_free(&reply);
    return status;
}

static int show(const struct cmd_args *args)
{
    struct cmd_reply reply =
        cmd_ask(args, "connector.get", json_pack("{s:s}", "provider", args->words[0]));
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        cmd_text_fields(json_object_get(reply.root, "connector"));
    cmd_reply_free(&reply);
    return status;
}

static int run(const struct cmd_args *args)
{
    if (args->word_count == 0)
        return list(args);
    if (cmd_option(args, "configured") || cmd_option(args, "search"))
        return cmd_usage(args->cmd, "--configured and --search are for the whole list");
    return show(args);
}

const struct cmd cmd_connectors = {
    "connectors",
    "[ID | [--configured] [--search TEXT]]",
    "list the providers that are known, or show all of one",
    options,
    0,
    1,
    run,
};
