#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "cmd/cmd_input.h"
#include "cmd/cmd_keyring_file.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"
#include "vault/key_set.h"

static const struct cmd_option options[] = {
    {"owner", "OWNER", "new, rotate: a key for this owner's secrets alone"},
    {"activate", NULL, "new: the key is used from now on"},
    {"file", "FILE", "new, seal: a keyring file that no daemon has open"},
    {"yes", NULL, "shred: do not ask"},
    {NULL, NULL, NULL},
};

static bool has_words(const struct cmd_args *args, size_t count)
{
    return args->word_count == count;
}

static void set_text(json_t *request, const char *key, const char *value)
{
    if (value)
        json_object_set_new(request, key, json_string(value));
}

static long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* ---- what is printed --------------------------------------------------------------------------- */

static void print_rewrap(const json_t *rewrap)
{
    if (!rewrap)
        return;
    printf("%s: %lld of %lld rows, %lld wrapped anew, %lld that do not open\n",
           json_is_true(json_object_get(rewrap, "running")) ? "wrapping" : "wrapped",
           number_of(rewrap, "done"), number_of(rewrap, "total"), number_of(rewrap, "changed"),
           number_of(rewrap, "failed"));
}

static void print_list(const json_t *reply)
{
    const json_t *key;
    size_t i;
    json_array_foreach(json_object_get(reply, "keys"), i, key) {
        printf("%s  %-6s  %8lld rows%s%s\n", cmd_text_of(key, "key"), cmd_text_of(key, "role"),
               number_of(key, "rows"), json_object_get(key, "owner") ? "  " : "",
               json_object_get(key, "owner") ? cmd_text_of(key, "owner") : "");
    }
    if (number_of(reply, "unknown_rows") > 0)
        printf("%lld rows name keys that are not in the keyring\n",
               number_of(reply, "unknown_rows"));
    print_rewrap(json_object_get(reply, "rewrap"));
}

static void print_key(const json_t *reply)
{
    bool has_owner = json_object_get(reply, "owner") != NULL;
    printf("%s %s%s%s\n", cmd_text_of(reply, "key"), cmd_text_of(reply, "role"),
           has_owner ? " for " : "", has_owner ? cmd_text_of(reply, "owner") : "");
}

static void print_dropped(const json_t *reply)
{
    printf("dropped %lld, %lld left\n", number_of(reply, "dropped"), number_of(reply, "count"));
}

static void print_shred(const json_t *reply)
{
    printf("%s: %lld keys destroyed, %lld connections need a new secret\n",
           cmd_text_of(reply, "owner"), number_of(reply, "dropped"),
           number_of(reply, "connections"));
}

static int ask(const struct cmd_args *args, const char *op, json_t *request,
               void (*print)(const json_t *reply))
{
    struct cmd_reply reply = cmd_ask(args, op, request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        print(reply.root);
    cmd_reply_free(&reply);
    return status;
}

/* ---- the verbs --------------------------------------------------------------------------------- */

static int list(const struct cmd_args *args)
{
    return ask(args, "key.list", json_object(), print_list);
}

static int make(const struct cmd_args *args)
{
    const char *file = cmd_option(args, "file"), *owner = cmd_option(args, "owner");
    bool is_active = cmd_option(args, "activate") != NULL;
    if (file && owner)
        return cmd_usage(args->cmd, "--owner asks a daemon, --file does without one");
    if (file)
        return cmd_keyring_add(file, is_active);
    json_t *request = json_object();
    set_text(request, "owner", owner);
    if (is_active)
        json_object_set_new(request, "activate", json_true());
    return ask(args, "key.new", request, print_key);
}

static int rotate(const struct cmd_args *args)
{
    json_t *request = json_object();
    set_text(request, "owner", cmd_option(args, "owner"));
    set_text(request, "key", args->words[1]);
    return ask(args, "key.rotate", request, print_key);
}

static int retire(const struct cmd_args *args)
{
    json_t *request = json_object();
    if (!args->words[1]) {
        json_decref(request);
        return cmd_usage(args->cmd, "which key?");
    }
    set_text(request, "key", args->words[1]);
    return ask(args, "key.retire", request, print_dropped);
}

/* The owner's name once more: a slip of the hand must not do what nothing undoes. */
static bool is_confirmed(const char *owner)
{
    struct buf line = buf_make(1024);
    fprintf(
        stderr,
        "This destroys the keys of %s: nothing that is stored for this owner can be read again,\n"
        "here or from a backup, unless somebody has a copy of the keyring.\n",
        owner);
    bool is_given = cmd_input_line("Type the owner's name to go on: ", false, &line);
    bool is_same = is_given && text_is(buf_text(&line), owner);
    buf_free(&line);
    if (!is_same)
        fprintf(stderr, "bursar key shred: nothing was done\n");
    return is_same;
}

static int shred(const struct cmd_args *args)
{
    const char *owner = args->words[1];
    if (!owner)
        return cmd_usage(args->cmd, "whose keys?");
    if (!cmd_option(args, "yes") && !cmd_input_is_terminal())
        return cmd_usage(args->cmd, "there is nobody to ask: say --yes");
    if (!cmd_option(args, "yes") && !is_confirmed(owner))
        return CMD_REFUSED;
    json_t *request = json_object();
    set_text(request, "owner", owner);
    return ask(args, "key.shred", request, print_shred);
}

static int reload(const struct cmd_args *args)
{
    return ask(args, "key.reload", json_object(), print_dropped);
}

static int seal_file(const struct cmd_args *args)
{
    const char *file = cmd_option(args, "file");
    return file ? cmd_keyring_seal(file) : cmd_usage(args->cmd, "--file is required");
}

static const struct {
    const char *name;
    size_t max_words; /* with the verb */
    int (*run)(const struct cmd_args *args);
} verbs[] = {
    {"list", 1, list},   {"new", 1, make},      {"rotate", 2, rotate},  {"retire", 2, retire},
    {"shred", 2, shred}, {"reload", 1, reload}, {"seal", 1, seal_file},
};

static int run(const struct cmd_args *args)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(args->words[0], verbs[i].name) != 0)
            continue;
        if (!has_words(args, 1) && verbs[i].max_words < 2)
            return cmd_usage(args->cmd, "%s takes no further word", verbs[i].name);
        return verbs[i].run(args);
    }
    return cmd_usage(args->cmd, "list, new, rotate, retire, shred, reload or seal?");
}

const struct cmd cmd_key = {
    "key",
    "list | new [--owner OWNER | --file FILE] [--activate] | rotate [KEY | --owner OWNER] | retire KEY"
    " | shred OWNER [--yes] | reload | seal --file FILE",
    "the keys that seal credentials: make, rotate, retire, destroy an owner's",
    options,
    1,
    2,
    run,
};
