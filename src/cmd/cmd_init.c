#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/cmd_file.h"
#include "cmd/cmd_key.h"
#include "vault/keyring.h"

enum { MAX_FILE = 8192, MAX_SOCKET_PATH = 107 };

/* What is made; all of it or nothing. */
static const char *const names[] = {"keyring", "curve.key", "curve.pub", "bursar.yaml"};
enum { FILE_KEYRING, FILE_CURVE_KEY, FILE_CURVE_PUB, FILE_CONFIG, FILE_COUNT };

struct init {
    char folder[PATH_MAX]; /* absolute */
    int folder_fd;
    bool is_made[FILE_COUNT];
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "bursar init: %s: %s\n", what, why);
    return CMD_REFUSED;
}

/* ---- the folder ----------------------------------------------------------------------------- */

static int open_folder(struct init *init, const char *folder)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return complain(folder, strerror(errno));
    if (!realpath(folder, init->folder))
        return complain(folder, strerror(errno));
    if (!text_is_printable(text_of(init->folder)))
        return complain("the folder", "its path has control characters");
    if (strlen(init->folder) + strlen("/events") > MAX_SOCKET_PATH)
        return complain(init->folder, "too long for the path of a socket (100 bytes at most)");
    init->folder_fd = open(init->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return init->folder_fd >= 0 ? CMD_DONE : complain(init->folder, strerror(errno));
}

static int refuse_existing(const struct init *init)
{
    struct stat status;
    int found = CMD_DONE;
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (fstatat(init->folder_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0)
            found = complain(names[i], "exists already; nothing was changed");
    }
    return found;
}

static void take_back(const struct init *init)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (init->is_made[i])
            unlinkat(init->folder_fd, names[i], 0);
    }
}

/* ---- the files ------------------------------------------------------------------------------ */

static int complain_of(const char *name, int error)
{
    return complain(name, error == BURSAR_E_IO ? strerror(errno) : bursar_error_text(error));
}

static int make_file(struct init *init, size_t file, mode_t mode, struct text text)
{
    int error = cmd_file_make(init->folder_fd, names[file], mode, text);
    if (error != 0)
        return complain_of(names[file], error);
    init->is_made[file] = true;
    return CMD_DONE;
}

static int make_keyring(struct init *init)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", init->folder, names[FILE_KEYRING]);
    int error = keyring_create_file(path);
    if (error != 0)
        return complain_of(names[FILE_KEYRING], error);
    init->is_made[FILE_KEYRING] = true;
    return CMD_DONE;
}

static int make_curve_keys(struct init *init)
{
    const char *name = NULL;
    struct cmd_key_pair pair = {.folder_fd = init->folder_fd,
                                .secret_name = names[FILE_CURVE_KEY],
                                .public_name = names[FILE_CURVE_PUB]};
    int error = cmd_key_pair_make(&pair, &name);
    if (error != 0)
        return complain_of(name, error);
    init->is_made[FILE_CURVE_KEY] = init->is_made[FILE_CURVE_PUB] = true;
    return CMD_DONE;
}

/* A value with the folder in it. JSON's strings are YAML's too, whatever the folder is called. */
static void append_place(struct buf *out, const struct init *init, const char *before,
                         const char *name)
{
    char value[PATH_MAX + 64];
    snprintf(value, sizeof value, "%s%s/%s", before, init->folder, name);
    buf_append_json(out, text_of(value));
}

static void append_listen(struct buf *out, const struct init *init)
{
    static const char *const sockets[] = {"jobs", "intake", "events"};
    buf_append_string(out, "# Where the daemon listens.\nlisten:\n");
    for (size_t i = 0; i < 3; i++) {
        buf_printf(out, "  %s: [", sockets[i]);
        append_place(out, init, "ipc://", sockets[i]);
        buf_append_string(out, "]\n");
    }
    buf_append_string(out,
                      "# For other machines: another endpoint in each list, such as "
                      "tcp://0.0.0.0:7340, and this key, whose\n# public half in curve.pub each "
                      "client needs (`bursar --server-key`).\n#  curve_key: ");
    append_place(out, init, "${file:", "curve.key}");
    buf_append_string(out, "\n");
}

static void append_stores(struct buf *out, const struct init *init)
{
    buf_append_string(out, "\n# Where credentials are kept, sealed.\nstore: ");
    append_place(out, init, "sqlite:", "bursar.db");
    buf_append_string(out,
                      "\n\n# The keys that seal them. Keep a copy elsewhere: without it the store "
                      "is lost.\nkeyring: ");
    append_place(out, init, "file:", "keyring");
    buf_append_string(out, "\n");
}

static const char examples[] =
    "\n"
    "# error, warning, info or debug; text or json. To standard error.\n"
    "log: {level: info, format: text}\n"
    "\n"
    "# What every provider has that does not say otherwise.\n"
    "#defaults: {refresh_lead_s: 300, expiry_ratio: 0.9, timeout_s: 30, connect_timeout_s: 5}\n"
    "\n"
    "# Who issues the tokens; `bursar put OWNER acme` stores the first one. ${secret:NAME} is a file\n"
    "# in $CREDENTIALS_DIRECTORY or /etc/bursar/secrets, or the variable BURSAR_SECRET_NAME.\n"
    "providers:\n"
    "#  acme:\n"
    "#    kind: oauth2_refresh\n"
    "#    token_url: https://id.acme.example/token\n"
    "#    client_id: my-client\n"
    "#    client_secret: ${secret:ACME_CLIENT_SECRET}\n"
    "#    rotation: unknown          # none, reuse_grace or strict, where it is known\n"
    "\n"
    "# Who may speak. While there is nobody here, only root and the user who runs the daemon may, and\n"
    "# may all. `bursar principal add NAME ... --print` writes an entry.\n"
    "#principals:\n"
    "#  app:\n"
    "#    uids: [www-data]               # its processes on this machine\n"
    "#    #curve_keys: [...]             # or its public keys, on tcp\n"
    "#    roles: [vend, refresh]         # connect, manage, events, export, admin\n"
    "#    owners: [\"*\"]                  # for whom it may ask\n";

static int make_config(struct init *init)
{
    struct buf out = buf_make(MAX_FILE + 4 * PATH_MAX);
    buf_append_string(&out, "# The configuration of bursard; see bursar.yaml(5).\n\n");
    append_listen(&out, init);
    append_stores(&out, init);
    buf_append_string(&out, examples);
    int status = buf_error(&out) == 0 ? make_file(init, FILE_CONFIG, 0600, buf_text(&out))
                                      : complain(names[FILE_CONFIG], "no memory");
    buf_free(&out);
    return status;
}

static void print_made(const struct cmd_args *args, const struct init *init)
{
    json_t *made = json_object();
    if (!args->is_json) {
        for (size_t i = 0; i < FILE_COUNT; i++)
            printf("%s/%s\n", init->folder, names[i]);
        printf("\nstart it:  bursard -c %s/bursar.yaml\n"
               "speak to it:  export BURSAR_ENDPOINT=ipc://%s/jobs\n",
               init->folder, init->folder);
    } else {
        json_object_set_new(made, "ok", json_true());
        json_object_set_new(made, "folder", json_string(init->folder));
        json_dumpf(made, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(made);
}

static int run(const struct cmd_args *args)
{
    struct init init = {.folder_fd = -1};
    int status = open_folder(&init, args->words[0]);
    if (status == CMD_DONE)
        status = refuse_existing(&init);
    if (status == CMD_DONE)
        status = make_keyring(&init);
    if (status == CMD_DONE)
        status = make_curve_keys(&init);
    if (status == CMD_DONE)
        status = make_config(&init);
    if (status == CMD_DONE && fsync(init.folder_fd) != 0)
        status = complain(init.folder, strerror(errno));
    if (status == CMD_DONE)
        print_made(args, &init);
    else if (init.folder_fd >= 0)
        take_back(&init);
    if (init.folder_fd >= 0)
        close(init.folder_fd);
    return status;
}

const struct cmd cmd_init = {
    "init", "DIR", "make a keyring, a CURVE key and a commented bursar.yaml", NULL, 1, 1, run,
};
