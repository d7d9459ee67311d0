#include "cmd/cmd_doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/secret.h"
#include "connector/registry.h"
#include "vault/keyring.h"

#ifndef BURSAR_SYSCONFDIR
#define BURSAR_SYSCONFDIR "/etc/bursar"
#endif

enum {
    ERRORS_MAX = 1 << 20,
    PATH_SIZE = 4096,
    FREE_PERCENT = 5,
    MODE_BITS = 07777,
    OTHERS_WRITE = 022,
    OTHERS_ALL = 077
};
static const uint64_t least_free_bytes = UINT64_C(64) << 20;
static const time_t earliest = 1735689600; /* 2025: a clock before it was never set */

/* ---- the configuration ---------------------------------------------------------------------------- */

static void say_errors(struct doctor *self, const struct buf *errors)
{
    struct text rest = buf_text(errors);
    while (rest.len > 0) {
        const char *end = memchr(rest.data, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        if (len > 0)
            doctor_say(self, DOCTOR_FAIL, "configuration",
                       "mend it, and see `bursard --check`; a secret that systemd hands to the "
                       "daemon alone is not seen here",
                       "%.*s", (int)len, rest.data);
        len += end != NULL;
        rest = (struct text){rest.data + len, rest.len - len};
    }
}

static void load(struct doctor *self, const char *path)
{
    struct buf errors = buf_make(ERRORS_MAX);
    struct registry *registry = registry_new();
    int result = registry ? config_load(path, registry_kinds(registry), &self->config, &errors)
                          : BURSAR_E_NOMEM;
    if (result == 0)
        doctor_say(self, DOCTOR_OK, "configuration", NULL, "%s has no errors", path);
    else if (errors.len > 0)
        say_errors(self, &errors);
    else
        doctor_say(self, DOCTOR_FAIL, "configuration", NULL, "%s: %s", path,
                   bursar_error_text(result));
    buf_free(&errors);
    if (result < 0)
        self->config = NULL;
    registry_free(registry);
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* What an entry of a file system should be. */
struct wanted {
    const char *about, *path;
    bool is_folder;
    mode_t forbidden;
    enum doctor_level where_missing; /* DOCTOR_OK: it need not be there */
    const char *advice;              /* where it is missing */
};

static bool look_at(struct doctor *self, const struct wanted *wanted, struct stat *out_status)
{
    char advice[PATH_SIZE + 64];
    if (lstat(wanted->path, out_status) != 0) {
        if (errno == EACCES)
            doctor_say(self, DOCTOR_WARN, wanted->about,
                       "run the doctor as root or as the daemon's user", "%s cannot be looked at",
                       wanted->path);
        else if (wanted->where_missing != DOCTOR_OK)
            doctor_say(self, wanted->where_missing, wanted->about, wanted->advice, "%s: %s",
                       wanted->path, strerror(errno));
        return false;
    }
    mode_t mode = out_status->st_mode & MODE_BITS;
    mode_t kind = wanted->is_folder ? S_IFDIR : S_IFREG;
    if (S_ISLNK(out_status->st_mode) && stat(wanted->path, out_status) == 0)
        mode = out_status->st_mode & MODE_BITS;
    if ((out_status->st_mode & S_IFMT) != kind) {
        doctor_say(self, DOCTOR_FAIL, wanted->about, NULL, "%s is no %s", wanted->path,
                   wanted->is_folder ? "folder" : "file");
        return false;
    }
    if (mode & wanted->forbidden) {
        snprintf(advice, sizeof advice, "chmod %03o %s", (unsigned)(mode & ~wanted->forbidden),
                 wanted->path);
        doctor_say(self, DOCTOR_FAIL, wanted->about, advice,
                   "%s has mode %03o: others than its owner have no business there", wanted->path,
                   (unsigned)mode);
        return true;
    }
    doctor_say(self, DOCTOR_OK, wanted->about, NULL, "%s has mode %03o", wanted->path,
               (unsigned)mode);
    return true;
}

/* The folder of a path. */
static void folder_of(const char *path, char out[static PATH_SIZE])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash && slash > path ? (size_t)(slash - path) : 1;
    snprintf(out, PATH_SIZE, "%.*s", (int)len, path);
}

static const char *behind(const char *text, const char *scheme)
{
    size_t len = strlen(scheme);
    return strncmp(text, scheme, len) == 0 ? text + len : NULL;
}

static void look_at_keyring(struct doctor *self, const struct stat *store)
{
    const char *path = behind(self->config->keyring, "file:");
    struct wanted wanted = {"keyring",
                            path,
                            false,
                            OTHERS_ALL,
                            DOCTOR_FAIL,
                            "without it no secret opens: bring it back, or for a new installation "
                            "make one with `bursar init DIR`"};
    struct keyring_source source = {self->config->keyring,
                                    secret_text(&self->config->keyring_passphrase)};
    struct keyring *keyring = NULL;
    struct buf error = buf_make(PATH_SIZE);
    struct stat status;
    if (!path) {
        doctor_say(self, DOCTOR_OK, "keyring", NULL,
                   "%s is read by the daemon when it starts: not looked at from here",
                   self->config->keyring);
        return;
    }
    if (!look_at(self, &wanted, &status))
        return;
    if (store && status.st_uid != store->st_uid && status.st_uid != 0)
        doctor_say(self, DOCTOR_FAIL, "keyring", "chown it to the daemon's user",
                   "%s belongs to uid %u, and the store to uid %u", path, (unsigned)status.st_uid,
                   (unsigned)store->st_uid);
    if (access(path, R_OK) != 0)
        doctor_say(self, DOCTOR_WARN, "keyring", "run the doctor as root or as the daemon's user",
                   "%s cannot be read", path);
    else if (keyring_open(&source, &keyring, &error) < 0)
        doctor_say(self, DOCTOR_FAIL, "keyring", "bring back a copy of it", "%s",
                   (const char *)buf_text(&error).data);
    keyring_free(keyring);
    buf_free(&error);
}

static void look_at_space(struct doctor *self, const char *folder)
{
    struct statvfs space;
    if (statvfs(folder, &space) != 0 || space.f_blocks == 0)
        return;
    uint64_t free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    uint64_t percent = (uint64_t)space.f_bavail * 100 / space.f_blocks;
    if (free_bytes < least_free_bytes || percent < FREE_PERCENT)
        doctor_say(self, DOCTOR_WARN, "store",
                   "make room: on a full disk nothing is refreshed, and no secret is lost",
                   "%s has %llu MiB (%llu %%) left", folder, (unsigned long long)(free_bytes >> 20),
                   (unsigned long long)percent);
    else
        doctor_say(self, DOCTOR_OK, "store", NULL, "%s has %llu MiB left", folder,
                   (unsigned long long)(free_bytes >> 20));
}

/* Gives the status of the folder that holds the store; false where there is none. */
static bool look_at_store(struct doctor *self, struct stat *out_folder)
{
    char folder[PATH_SIZE];
    const char *path = behind(self->config->store, "sqlite:");
    struct stat file;
    if (!path)
        return false;
    folder_of(path, folder);
    const struct wanted wanted_folder = {
        "store",      folder,      true,
        OTHERS_WRITE, DOCTOR_FAIL, "make it, owned by the daemon's user, with mode 700"};
    const struct wanted wanted_file = {"store", path, false, OTHERS_ALL, DOCTOR_OK, NULL};
    if (!look_at(self, &wanted_folder, out_folder))
        return false;
    look_at(self, &wanted_file, &file);
    look_at_space(self, folder);
    return true;
}

static void look_at_sockets(struct doctor *self)
{
    const struct config_list *const lists[] = {&self->config->jobs, &self->config->intake,
                                               &self->config->events};
    char last[PATH_SIZE] = "";
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t j = 0; j < lists[i]->count; j++) {
            char folder[PATH_SIZE];
            struct stat status;
            const char *path = behind(lists[i]->items[j], "ipc://");
            if (!path)
                continue;
            folder_of(path, folder);
            const struct wanted wanted = {"sockets",
                                          folder,
                                          true,
                                          OTHERS_WRITE,
                                          DOCTOR_FAIL,
                                          "make it, owned by the daemon's user (systemd does so by "
                                          "RuntimeDirectory)"};
            if (strcmp(folder, last) != 0)
                look_at(self, &wanted, &status);
            memcpy(last, folder, sizeof last);
        }
    }
}

static void look_at_folders(struct doctor *self)
{
    const struct config_list *catalog = &self->config->catalog, *modules = &self->config->modules;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct wanted wanted = {"catalogue",
                                      catalog->items[i],
                                      true,
                                      OTHERS_WRITE,
                                      DOCTOR_WARN,
                                      "no provider is known from it: install the catalogue, or set "
                                      "connectors.catalog"};
        struct stat status;
        look_at(self, &wanted, &status);
    }
    for (size_t i = 0; i < modules->count; i++) {
        const struct wanted wanted = {"modules",    modules->items[i], true,
                                      OTHERS_WRITE, DOCTOR_OK,         NULL};
        struct stat status;
        look_at(self, &wanted, &status);
    }
}

/* Where `bursar init` puts it. A file that the configuration names elsewhere is not known here: only its
 * content is. */
static void look_at_curve_key(struct doctor *self, const char *config)
{
    char folder[PATH_SIZE], path[PATH_SIZE + 16];
    struct stat status;
    folder_of(config, folder);
    snprintf(path, sizeof path, "%s/curve.key", folder);
    const struct wanted wanted = {"CURVE key", path, false, OTHERS_ALL, DOCTOR_OK, NULL};
    look_at(self, &wanted, &status);
}

void doctor_look_at_files(struct doctor *self, const char *path)
{
    struct stat folder;
    const char *file = path ? path : BURSAR_SYSCONFDIR "/bursar.yaml";
    if (access(file, R_OK) != 0) {
        doctor_say(self, path ? DOCTOR_FAIL : DOCTOR_WARN, "configuration",
                   errno == ENOENT ? "say where it is with --config FILE"
                                   : "run the doctor as root or as the daemon's user",
                   "%s: %s", file, strerror(errno));
        return;
    }
    load(self, file);
    if (!self->config)
        return;
    bool has_store = look_at_store(self, &folder);
    look_at_keyring(self, has_store ? &folder : NULL);
    look_at_sockets(self);
    look_at_folders(self);
    look_at_curve_key(self, file);
}

/* ---- the clock ------------------------------------------------------------------------------------ */

void doctor_look_at_clock(struct doctor *self)
{
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);
    if (time(NULL) < earliest)
        doctor_say(self, DOCTOR_FAIL, "clock", "set it: signatures and expiries depend on it",
                   "it stands before 2025");
    else if (result == TIME_ERROR || (result >= 0 && (state.status & STA_UNSYNC)))
        doctor_say(self, DOCTOR_WARN, "clock",
                   "run a time service: providers refuse what is signed at a wrong time",
                   "the kernel does not know it to be synchronized");
    else
        doctor_say(self, DOCTOR_OK, "clock", NULL, "synchronized");
}
