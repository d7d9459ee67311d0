/* The commands of `bursar`: one file and one constant descriptor for each, one table in cmd.c.
 * Thread: the program's only one. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>

#define CMD_MAX_OPTIONS 20u
#define CMD_MAX_WORDS 32u
#define CMD_MAX_USES 64u

/* How the program ends. */
enum cmd_status {
    CMD_DONE = 0,
    CMD_REFUSED = 1, /* with an error code, printed */
    CMD_USAGE = 2,
    CMD_NO_DAEMON = 3,
    CMD_NEEDS_REAUTH = 4,
};

struct cmd_option {
    const char *name;       /* "min-ttl" for --min-ttl; NULL ends a table */
    const char *value_name; /* NULL: a switch */
    const char *help;
};

struct cmd;

/* One use of an option with a value. */
struct cmd_use {
    const struct cmd_option *option;
    const char *value;
};

/* A command line that fits its command. */
struct cmd_args {
    const struct cmd *cmd;
    const char *values[CMD_MAX_OPTIONS]; /* as cmd->options; NULL: absent, "": a switch */
    struct cmd_use uses[CMD_MAX_USES];   /* in their order, for options that may stand repeatedly */
    size_t use_count;
    const char *words[CMD_MAX_WORDS]; /* the last one stays NULL */
    size_t word_count;
    bool is_json;
    const char *endpoint, *events_endpoint; /* NULL: the library's default */
    const char *purpose;                    /* NULL: not said */
    const char *key_file, *server_key;      /* --key, --server-key; NULL: absent */
    struct cmd_keys *keys;                  /* what they say; NULL for a command that asks nobody */
};

struct cmd {
    const char *name;
    const char *usage; /* what stands behind the name */
    const char *help;  /* one line */
    const struct cmd_option *options;
    size_t min_words, max_words;
    int (*run)(const struct cmd_args *args); /* an enum cmd_status */
};

/* The whole program. */
int cmd_main(int argc, char **argv);

/* What was given for an option of the command; NULL where it was not. */
const char *cmd_option(const struct cmd_args *args, const char *name);
/* The index-th value of an option that may stand repeatedly; NULL behind the last one. */
const char *cmd_option_item(const struct cmd_args *args, const char *name, size_t index);

/* Prints `bursar COMMAND: message` and how it is used; CMD_USAGE. */
int cmd_usage(const struct cmd *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
