#include "cmd/cmd_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
    COMMON_ENDPOINT,
    COMMON_EVENTS,
    COMMON_PURPOSE,
    COMMON_KEY,
    COMMON_SERVER_KEY,
    COMMON_JSON,
    COMMON_HELP,
    COMMON_VERSION,
    COMMON_COUNT
};

const struct cmd_option cmd_line_common[] = {
    [COMMON_ENDPOINT] = {"endpoint", "ENDPOINT", "where the daemon takes jobs (BURSAR_ENDPOINT)"},
    [COMMON_EVENTS] = {"events-endpoint", "ENDPOINT",
                       "where it sends events (BURSAR_EVENTS_ENDPOINT)"},
    [COMMON_PURPOSE] = {"purpose", "TEXT", "what it is for, for the audit log (BURSAR_PURPOSE)"},
    [COMMON_KEY] = {"key", "FILE", "your secret CURVE key, for tcp:// (BURSAR_KEY)"},
    [COMMON_SERVER_KEY] = {"server-key", "KEY|FILE",
                           "the daemon's public CURVE key (BURSAR_SERVER_KEY)"},
    [COMMON_JSON] = {"json", NULL, "replies as JSON, one object a line"},
    [COMMON_HELP] = {"help", NULL, "print this"},
    [COMMON_VERSION] = {"version", NULL, "print the version"},
    [COMMON_COUNT] = {NULL, NULL, NULL},
};

struct reader {
    int argc;
    char **argv;
    int next;
    const struct cmd *cmd;
    const char *common[COMMON_COUNT];
    bool is_command_seen;
    bool has_options_ended;
};

static size_t find_option(const struct cmd_option *options, struct text name)
{
    size_t i = 0;
    while (options[i].name && !text_is(name, options[i].name))
        i++;
    return i;
}

static struct text name_of(const char *argument)
{
    const char *name = argument + 2;
    return (struct text){name, strcspn(name, "=")};
}

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] != 0;
}

const char *cmd_line_command(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!is_option(argv[i]))
            return argv[i];
        if (strcmp(argv[i], "--") == 0)
            return i + 1 < argc ? argv[i + 1] : NULL;
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        const struct cmd_option *option =
            &cmd_line_common[find_option(cmd_line_common, name_of(argv[i]))];
        if (option->name && option->value_name && !strchr(argv[i], '='))
            i++;
    }
    return NULL;
}

static bool unknown_option(const struct reader *reader, const char *argument)
{
    const char *names[CMD_MAX_OPTIONS + COMMON_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < COMMON_COUNT; i++)
        names[count++] = cmd_line_common[i].name;
    for (size_t i = 0; reader->cmd && reader->cmd->options && reader->cmd->options[i].name; i++)
        names[count++] = reader->cmd->options[i].name;
    struct text name = argument[1] == '-' ? name_of(argument) : text_of(argument + 1);
    const char *nearest = text_nearest(name, names, count);
    fprintf(stderr, "bursar: unknown option %.*s%.*s", argument[1] == '-' ? 2 : 1, "--",
            (int)name.len, name.data);
    if (nearest)
        fprintf(stderr, " (did you mean --%s?)", nearest);
    fputc('\n', stderr);
    return false;
}

/* Names of files and sockets may be any bytes. All else becomes text of a job, where what is no text could only be left
 * out, and with it what an owner or a provider narrows a selection to. */
static bool is_fit(const struct cmd_option *option, const char *value)
{
    static const char *const paths[] = {"FILE", "DIR", "ENDPOINT"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strstr(option->value_name, paths[i]))
            return true;
    }
    return text_is_utf8(text_of(value));
}

/* The value of an option, from behind its `=` or from the next argument. */
static bool take_value(struct reader *reader, const struct cmd_option *option, const char *argument,
                       const char **out_value)
{
    const char *equals = strchr(argument, '=');
    if (!option->value_name && equals) {
        fprintf(stderr, "bursar: --%s takes no value\n", option->name);
        return false;
    }
    if (!option->value_name)
        *out_value = "";
    else if (equals)
        *out_value = equals + 1;
    else if (reader->next < reader->argc)
        *out_value = reader->argv[reader->next++];
    else {
        fprintf(stderr, "bursar: --%s needs %s\n", option->name, option->value_name);
        return false;
    }
    if (option->value_name && !is_fit(option, *out_value)) {
        fprintf(stderr, "bursar: --%s must be UTF-8 text\n", option->name);
        return false;
    }
    return true;
}

static bool note_use(const struct cmd_option *option, const char *value, struct cmd_args *args)
{
    if (args->use_count == CMD_MAX_USES) {
        fprintf(stderr, "bursar: too many options\n");
        return false;
    }
    args->uses[args->use_count++] = (struct cmd_use){option, value};
    return true;
}

static bool read_option(struct reader *reader, const char *argument, struct cmd_args *args)
{
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    if (strcmp(argument, "-V") == 0)
        argument = "--version";
    if (argument[1] != '-')
        return unknown_option(reader, argument);
    struct text name = name_of(argument);
    size_t i = find_option(cmd_line_common, name);
    if (i < COMMON_COUNT)
        return take_value(reader, &cmd_line_common[i], argument, &reader->common[i]);
    if (!reader->cmd || !reader->cmd->options)
        return unknown_option(reader, argument);
    i = find_option(reader->cmd->options, name);
    if (!reader->cmd->options[i].name)
        return unknown_option(reader, argument);
    return take_value(reader, &reader->cmd->options[i], argument, &args->values[i]) &&
           note_use(&reader->cmd->options[i], args->values[i], args);
}

static bool read_word(struct reader *reader, const char *argument, struct cmd_args *args)
{
    if (!reader->is_command_seen) {
        reader->is_command_seen = true; /* the command's own name */
        return true;
    }
    if (args->word_count + 1 == CMD_MAX_WORDS) {
        fprintf(stderr, "bursar: too many arguments\n");
        return false;
    }
    args->words[args->word_count++] = argument;
    return true;
}

static bool read_all(struct reader *reader, struct cmd_args *args)
{
    while (reader->next < reader->argc) {
        const char *argument = reader->argv[reader->next++];
        bool is_ok = true;
        if (!reader->has_options_ended && strcmp(argument, "--") == 0)
            reader->has_options_ended = true;
        else if (!reader->has_options_ended && is_option(argument))
            is_ok = read_option(reader, argument, args);
        else
            is_ok = read_word(reader, argument, args);
        if (!is_ok)
            return false;
    }
    return true;
}

static const char *or_variable(const char *given, const char *variable)
{
    const char *value = given ? given : getenv(variable);
    return value && value[0] ? value : NULL;
}

/* ipc:///x/jobs has its events at ipc:///x/events, as `bursar init` lays them out. */
static const char *events_beside(const char *jobs)
{
    static char endpoint[256];
    static const char tail[] = "/jobs";
    size_t len = jobs ? strlen(jobs) : 0;
    size_t head = len >= strlen(tail) ? len - strlen(tail) : 0;
    if (head == 0 || strcmp(jobs + head, tail) != 0 || head + sizeof "/events" > sizeof endpoint)
        return NULL;
    snprintf(endpoint, sizeof endpoint, "%.*s/events", (int)head, jobs);
    return endpoint;
}

bool cmd_line_read(int argc, char **argv, const struct cmd *cmd, struct cmd_line *out_line)
{
    struct reader reader = {.argc = argc, .argv = argv, .next = 1, .cmd = cmd};
    struct cmd_args args = {.cmd = cmd};
    if (!read_all(&reader, &args))
        return false;
    args.is_json = reader.common[COMMON_JSON] != NULL;
    args.endpoint = or_variable(reader.common[COMMON_ENDPOINT], "BURSAR_ENDPOINT");
    args.events_endpoint = or_variable(reader.common[COMMON_EVENTS], "BURSAR_EVENTS_ENDPOINT");
    args.purpose = or_variable(reader.common[COMMON_PURPOSE], "BURSAR_PURPOSE");
    args.key_file = or_variable(reader.common[COMMON_KEY], "BURSAR_KEY");
    args.server_key = or_variable(reader.common[COMMON_SERVER_KEY], "BURSAR_SERVER_KEY");
    if (!args.events_endpoint)
        args.events_endpoint = events_beside(args.endpoint);
    *out_line = (struct cmd_line){args, reader.common[COMMON_HELP] != NULL,
                                  reader.common[COMMON_VERSION] != NULL};
    return true;
}
