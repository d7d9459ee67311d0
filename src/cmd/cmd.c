#include "cmd/cmd.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <bursar/version.h>

#include "base/secret.h"
#include "base/text.h"
#include "cmd/cmd_keys.h"
#include "cmd/cmd_line.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"

enum { ARENA_BYTES = 1 << 20, NAME_WIDTH = 12 };

static const struct cmd *const commands[] = {
    &cmd_init,     &cmd_vend,       &cmd_put,       &cmd_refresh, &cmd_invalidate, &cmd_revoke,
    &cmd_restore,  &cmd_delete,     &cmd_list,      &cmd_show,    &cmd_events,     &cmd_status,
    &cmd_whoami,   &cmd_connectors, &cmd_validate,  &cmd_connect, &cmd_simulate,   &cmd_conform,
    &cmd_discover, &cmd_doctor,     &cmd_freeze,    &cmd_thaw,    &cmd_sweep,      &cmd_provider,
    &cmd_export,   &cmd_import,     &cmd_principal, &cmd_key,     &cmd_audit,      &cmd_bench,
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const struct cmd *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

const char *cmd_option(const struct cmd_args *args, const char *name)
{
    for (size_t i = 0; args->cmd->options && args->cmd->options[i].name; i++) {
        if (strcmp(args->cmd->options[i].name, name) == 0)
            return args->values[i];
    }
    return NULL;
}

const char *cmd_option_item(const struct cmd_args *args, const char *name, size_t index)
{
    for (size_t i = 0; i < args->use_count; i++) {
        if (strcmp(args->uses[i].option->name, name) == 0 && index-- == 0)
            return args->uses[i].value;
    }
    return NULL;
}

int cmd_usage(const struct cmd *cmd, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "bursar %s: ", cmd->name);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\nusage: bursar %s%s%s\n", cmd->name, cmd->usage[0] ? " " : "", cmd->usage);
    return CMD_USAGE;
}

/* ---- help ----------------------------------------------------------------------------------- */

static void print_options(const struct cmd_option *options)
{
    for (; options && options->name; options++) {
        char text[64];
        snprintf(text, sizeof text, "--%s%s%s", options->name, options->value_name ? " " : "",
                 options->value_name ? options->value_name : "");
        printf("  %-28s %s\n", text, options->help);
    }
}

static int print_help(void)
{
    printf("usage: bursar [OPTION…] COMMAND [ARGUMENT…]\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-*s %s\n", NAME_WIDTH, commands[i]->name, commands[i]->help);
    printf("\noptions of every command:\n");
    print_options(cmd_line_common);
    printf("\nA CONNECTION is its id, PROVIDER/ACCOUNT, or PROVIDER for the account \"default\".\n"
           "See bursar(1), and `bursar COMMAND --help`.\n");
    return CMD_DONE;
}

static int print_command_help(const struct cmd *cmd)
{
    printf("usage: bursar %s%s%s\n\n%s\n", cmd->name, cmd->usage[0] ? " " : "", cmd->usage,
           cmd->help);
    if (cmd->options)
        printf("\noptions:\n");
    print_options(cmd->options);
    return CMD_DONE;
}

static int print_version(void)
{
    printf("bursar %s (protocol %d)\n", bursar_version(), BURSAR_PROTOCOL);
    return CMD_DONE;
}

/* ---- running -------------------------------------------------------------------------------- */

static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i]->name;
    const char *nearest = text_nearest(text_of(name), names, COMMAND_COUNT);
    if (nearest)
        fprintf(stderr, "bursar: unknown command \"%s\" (did you mean \"%s\"?)\n", name, nearest);
    else
        fprintf(stderr, "bursar: unknown command \"%s\"; `bursar --help` lists them\n", name);
    return CMD_USAGE;
}

/* Those ask nobody, and have no use for keys. */
static bool is_local(const struct cmd *cmd)
{
    static const struct cmd *const local[] = {&cmd_init, &cmd_discover, &cmd_conform,
                                              &cmd_simulate};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        if (local[i] == cmd)
            return true;
    }
    return false;
}

static int run_command(struct cmd_args *args)
{
    struct cmd_keys keys = {0};
    int status = CMD_USAGE;
    if (is_local(args->cmd))
        return args->cmd->run(args);
    if (cmd_keys_read(&keys, args)) {
        args->keys = &keys;
        status = args->cmd->run(args);
    }
    cmd_keys_wipe(&keys);
    return status;
}

static int run_line(int argc, char **argv)
{
    struct cmd_line line;
    const char *name = cmd_line_command(argc, argv);
    const struct cmd *cmd = name ? find(name) : NULL;
    if (name && !cmd)
        return unknown_command(name);
    if (!cmd_line_read(argc, argv, cmd, &line))
        return CMD_USAGE;
    if (line.wants_version)
        return print_version();
    if (line.wants_help)
        return cmd ? print_command_help(cmd) : print_help();
    if (!cmd) {
        fprintf(stderr, "bursar: which command? `bursar --help` lists them\n");
        return CMD_USAGE;
    }
    if (line.args.word_count < cmd->min_words || line.args.word_count > cmd->max_words)
        return cmd_usage(cmd, "%s arguments",
                         line.args.word_count < cmd->min_words ? "too few" : "too many");
    return run_command(&line.args);
}

/* Nothing of this process is to be found in a core file. */
static void forbid_dumps(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

int cmd_main(int argc, char **argv)
{
    forbid_dumps();
    setlocale(LC_TIME, "");
    tzset();
    if (secret_arena_open(ARENA_BYTES) != 0) {
        fprintf(stderr, "bursar: no memory\n");
        return CMD_REFUSED;
    }
    cmd_reply_start();
    int status = run_line(argc, argv);
    if (fflush(stdout) != 0 && status == CMD_DONE)
        status = CMD_REFUSED;
    secret_arena_close();
    return status;
}
