#include "cmd/cmd_principal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd_key.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"
#include "policy/principal.h"

enum { YAML_MAX = 1 << 20, MIN_WIDTH = 8, FROM_WIDTH = 13, WORDS_MAX = 512 };

/* ---- what there is ------------------------------------------------------------------------------- */

/* The items of a list with commas between, as much as fits. */
static const char *words(const json_t *list, char out[static WORDS_MAX])
{
    size_t len = 0;
    snprintf(out, WORDS_MAX, "-");
    for (size_t i = 0; i < json_array_size(list) && len < WORDS_MAX; i++) {
        const json_t *item = json_array_get(list, i);
        const char *comma = i > 0 ? "," : "";
        int n = json_is_integer(item)
                    ? snprintf(out + len, WORDS_MAX - len, "%s%" JSON_INTEGER_FORMAT, comma,
                               json_integer_value(item))
                    : snprintf(out + len, WORDS_MAX - len, "%s%s", comma, cmd_text_safe(item));
        len += n > 0 ? (size_t)n : 0;
    }
    return out;
}

static void print_line(const json_t *one, int width)
{
    static const char *const known_by[] = {"uids", "gids", "curve_keys"};
    char roles[WORDS_MAX], owners[WORDS_MAX], ids[WORDS_MAX];
    printf("%-*s  %-*s  %s  %s ", width, cmd_text_of(one, "principal"), FROM_WIDTH,
           cmd_text_of(one, "from"), words(json_object_get(one, "roles"), roles),
           words(json_object_get(one, "owners"), owners));
    for (size_t i = 0; i < sizeof known_by / sizeof known_by[0]; i++) {
        const json_t *list = json_object_get(one, known_by[i]);
        if (list)
            printf(" %s:%s", known_by[i], words(list, ids));
    }
    putchar('\n');
}

static int list(const struct cmd_args *args)
{
    struct cmd_reply reply = cmd_ask(args, "principal.list", json_object());
    const json_t *all = json_object_get(reply.root, "principals");
    int status = reply.status, width = MIN_WIDTH;
    for (size_t i = 0; i < json_array_size(all); i++) {
        int len = (int)strlen(cmd_text_of(json_array_get(all, i), "principal"));
        width = len > width ? len : width;
    }
    for (size_t i = 0; !args->is_json && i < json_array_size(all); i++)
        print_line(json_array_get(all, i), width);
    cmd_reply_free(&reply);
    return status;
}

static json_t *named(const struct cmd_args *args)
{
    json_t *request = json_object();
    json_object_set_new(request, "principal", json_string(args->words[1]));
    return request;
}

static int show(const struct cmd_args *args)
{
    struct cmd_reply reply = cmd_ask(args, "principal.get", named(args));
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        cmd_text_answer(reply.root);
    cmd_reply_free(&reply);
    return status;
}

static int remove_one(const struct cmd_args *args)
{
    struct cmd_reply reply = cmd_ask(args, "principal.remove", named(args));
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        printf("%s: removed, and let in no more\n", cmd_text_of(reply.root, "principal"));
    cmd_reply_free(&reply);
    return status;
}

/* ---- making and changing ------------------------------------------------------------------------- */

/* A definition on its way. */
struct making {
    const struct cmd_args *args;
    bool is_update, is_print;
    const char *key_file; /* NULL: no key is made */
    char public_file[PATH_MAX];
    struct cmd_key_pair pair;
    json_t *definition;
    json_t *server_key; /* the daemon's public key; NULL: not known, or not on tcp */
};

static int complain(const struct making *making, const char *what, const char *why)
{
    fprintf(stderr, "bursar %s: %s: %s\n", making->args->cmd->name, what, why);
    return CMD_REFUSED;
}

/* What an update begins with. */
static int fetch(struct making *making)
{
    static const char *const others[] = {"id", "ok", "principal", "from"};
    struct cmd_reply reply = cmd_ask_quietly(making->args, "principal.get", named(making->args));
    int status = reply.status;
    if (status == CMD_DONE) {
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            json_object_del(reply.root, others[i]);
        json_object_update(making->definition, reply.root);
    }
    cmd_reply_free(&reply);
    return status;
}

static int make_key(struct making *making)
{
    const char *name = NULL;
    int len = snprintf(making->public_file, sizeof making->public_file, "%s.pub", making->key_file);
    if (len < 0 || (size_t)len >= sizeof making->public_file)
        return complain(making, making->key_file, "too long for a path");
    making->pair = (struct cmd_key_pair){
        .folder_fd = AT_FDCWD, .secret_name = making->key_file, .public_name = making->public_file};
    int error = cmd_key_pair_make(&making->pair, &name);
    if (error != 0)
        return complain(making, name,
                        error == BURSAR_E_IO ? strerror(errno) : bursar_error_text(error));
    return CMD_DONE;
}

/* Before anything is made: what is wrong with the options shows without a key too. */
static int check(struct making *making)
{
    json_t *trial = json_deep_copy(making->definition);
    bool is_ok = cmd_principal_apply(making->args, NULL, trial);
    if (is_ok && !making->key_file && !cmd_principal_is_somebody(trial)) {
        cmd_usage(making->args->cmd, "--uid, --gid, --curve-key or --new-key: nobody is it else");
        is_ok = false;
    }
    json_decref(trial);
    return is_ok ? CMD_DONE : CMD_USAGE;
}

static int ask(struct making *making)
{
    json_t *request = named(making->args);
    json_object_set(request, "definition", making->definition);
    struct cmd_reply reply = cmd_ask_quietly(
        making->args, making->is_update ? "principal.update" : "principal.add", request);
    int status = reply.status;
    cmd_reply_free(&reply);
    if (status != CMD_DONE || !making->key_file)
        return status;
    reply = cmd_ask_quietly(making->args, "status", json_object());
    making->server_key = json_incref(json_object_get(reply.root, "curve_public_key"));
    cmd_reply_free(&reply);
    return status;
}

/* ---- what is printed ----------------------------------------------------------------------------- */

static void print_json(const struct making *making, const char *yaml)
{
    json_t *made = json_object();
    json_object_set_new(made, "ok", json_true());
    json_object_set_new(made, "principal", json_string(making->args->words[1]));
    json_object_set(made, "definition", making->definition);
    json_object_set_new(made, "yaml", json_string(yaml));
    if (making->key_file) {
        json_object_set_new(made, "key_file", json_string(making->key_file));
        json_object_set_new(made, "public_key", json_string(making->pair.public_key));
    }
    if (making->server_key)
        json_object_set(made, "server_key", making->server_key);
    json_dumpf(made, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(made);
}

static void print_use(const struct making *making)
{
    const char *endpoint = making->args->endpoint;
    bool is_tcp = endpoint && strncmp(endpoint, "tcp://", strlen("tcp://")) == 0;
    const char *server = json_string_value(making->server_key);
    printf("\nIts key is in %s, which goes to its machine and nowhere else. It asks with\n"
           "  bursar --endpoint %s --server-key '%s' --key %s whoami\n",
           making->key_file, is_tcp ? endpoint : "tcp://HOST:PORT", server ? server : "curve.pub",
           making->key_file);
    if (!server && !making->is_print)
        printf("The daemon does not listen on tcp yet: bursar.yaml(5), listen.\n");
}

static void print_text(const struct making *making, const char *yaml)
{
    if (!making->is_print)
        printf("%s: %s, and it holds now. To have it in bursar.yaml instead:\n\n",
               making->args->words[1], making->is_update ? "changed" : "added");
    printf("%s", yaml);
    if (making->key_file)
        print_use(making);
}

static int print(const struct making *making)
{
    struct buf yaml = buf_make(YAML_MAX);
    cmd_principal_yaml(making->args->words[1], making->definition, &yaml);
    buf_append_byte(&yaml, 0);
    bool has_memory = buf_error(&yaml) == 0;
    if (has_memory && making->args->is_json)
        print_json(making, (const char *)yaml.data);
    else if (has_memory)
        print_text(making, (const char *)yaml.data);
    buf_free(&yaml);
    return has_memory ? CMD_DONE : complain(making, making->args->words[1], "no memory");
}

static int make(struct making *making)
{
    int status = making->is_update ? fetch(making) : CMD_DONE;
    if (status == CMD_DONE)
        status = check(making);
    if (status == CMD_DONE && making->key_file)
        status = make_key(making);
    if (status != CMD_DONE)
        return status;
    bool is_whole = cmd_principal_apply(
        making->args, making->key_file ? making->pair.public_key : NULL, making->definition);
    if (!is_whole)
        status = CMD_USAGE;
    else if (!making->is_print)
        status = ask(making);
    if (status != CMD_DONE && making->key_file)
        cmd_key_pair_take_back(&making->pair);
    return status == CMD_DONE ? print(making) : status;
}

static int run_make(const struct cmd_args *args, bool is_update)
{
    struct making making = {.args = args,
                            .is_update = is_update,
                            .is_print = cmd_option(args, "print") != NULL,
                            .key_file = cmd_option(args, "new-key")};
    if (is_update && making.is_print)
        return cmd_usage(args->cmd, "--print is for add");
    if (!principal_is_name(text_of(args->words[1])))
        return cmd_usage(args->cmd, "NAME is 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter or "
                                    "digit");
    making.definition = json_object();
    int status = make(&making);
    json_decref(making.definition);
    json_decref(making.server_key);
    return status;
}

static int add(const struct cmd_args *args)
{
    return run_make(args, false);
}

static int update(const struct cmd_args *args)
{
    return run_make(args, true);
}

static const struct action {
    const char *word;
    size_t word_count;
    bool takes_options;
    int (*run)(const struct cmd_args *args);
} actions[] = {{"list", 1, false, list},
               {"show", 2, false, show},
               {"add", 2, true, add},
               {"update", 2, true, update},
               {"remove", 2, false, remove_one}};

static int run(const struct cmd_args *args)
{
    const struct action *action = NULL;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].word, args->words[0]) == 0)
            action = &actions[i];
    }
    if (!action)
        return cmd_usage(args->cmd, "list, show, add, update or remove?");
    if (args->word_count != action->word_count)
        return cmd_usage(args->cmd, action->word_count > args->word_count ? "which NAME?"
                                                                          : "too many arguments");
    for (const struct cmd_option *option = cmd_principal_options; option->name; option++) {
        if (cmd_option(args, option->name) && !action->takes_options)
            return cmd_usage(args->cmd, "--%s is for add and update", option->name);
    }
    return action->run(args);
}

const struct cmd cmd_principal = {
    "principal",
    "list | show NAME | add NAME OPTION… | update NAME OPTION… | remove NAME",
    "say who may speak to the daemon, and what each may ask for",
    cmd_principal_options,
    1,
    2,
    run,
};
