/* Modules from files. One is tried first in a process of its own: what crashes while it is loaded, or
 * gives nonsense, crashes there, and is named. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "connector/registry.h"

enum {
    FILES_MAX = 256,
    TRIAL_S = 10,
    LATE_S = 2,
    TRIAL_OK = 93 /* nobody else ends so */,
    TRIAL_REFUSED = 1
};

static void say(struct buf *errors, const char *file, const char *what, const char *more)
{
    buf_printf(errors, "%s: %s%s%s", file, what, more[0] != 0 ? ": " : "", more);
    buf_append_byte(errors, 0);
}

/* Code that others could change would be theirs; so with the folder, where they could put another file
 * in its place. */
static const char *status_problem(const char *path, mode_t type)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return "cannot be read";
    if ((status.st_mode & S_IFMT) != type)
        return type == S_IFREG ? "is no regular file" : "is no folder";
    if (status.st_mode & S_IWOTH)
        return "can be written by everybody";
    if ((status.st_mode & S_IWGRP) && status.st_gid != 0 && status.st_gid != getegid())
        return "can be written by another group";
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return "belongs to another user";
    return NULL;
}

/* Opens the file and asks for its descriptor. NULL with the reason in out_problem. */
static const struct bursar_connector *open_module(const char *file, char *out_problem, size_t size)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(out_problem, size, "cannot be loaded: %s", dlerror());
        return NULL;
    }
    void *symbol = dlsym(library, BURSAR_CONNECTOR_SYMBOL);
    bursar_connector_module_fn *module_of = NULL;
    if (!symbol) {
        snprintf(out_problem, size, "has no symbol %s", BURSAR_CONNECTOR_SYMBOL);
        dlclose(library);
        return NULL;
    }
    memcpy(&module_of, &symbol, sizeof symbol); /* ISO C has no cast for this */
    const struct bursar_connector *module = module_of();
    const char *problem = registry_problem(module);
    if (problem) {
        snprintf(out_problem, size, "%s", problem);
        dlclose(library);
        return NULL;
    }
    return module; /* stays loaded as long as the process is */
}

/* In the child: loads the module and tells by the exit status; the reason goes through the pipe. */
static void try_here(const char *file, int to)
{
    char problem[512] = "";
    alarm(TRIAL_S);
    bool is_ok = open_module(file, problem, sizeof problem) != NULL;
    ssize_t ignored = write(to, problem, strlen(problem) + 1); /* its NUL says that this is all */
    (void)ignored;
    _exit(is_ok ? TRIAL_OK : TRIAL_REFUSED);
}

/* What the child says. False where it said nothing whole: it has ended before, or does not come back. The
 * wait is bounded, for a process that it left behind may hold the other end of the pipe for ever. */
static bool hear(int from, char *out_problem, size_t size)
{
    int64_t until_ms = clock_boot_ms() + (TRIAL_S + LATE_S) * 1000, left_ms;
    struct pollfd told = {.fd = from, .events = POLLIN};
    size_t len = 0;
    while (len < size - 1 && (left_ms = until_ms - clock_boot_ms()) > 0) {
        int ready = poll(&told, 1, (int)left_ms);
        ssize_t n = ready > 0 ? read(from, out_problem + len, size - 1 - len) : -1;
        if (n > 0 && memchr(out_problem + len, 0, (size_t)n))
            return true;
        if (n == 0 || (n < 0 && ready != 0 && errno != EINTR))
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    out_problem[len] = 0;
    return false;
}

/* One that has said all ends by itself. Any other is ended, which does not change how it has ended already;
 * its own alarm has been there before, unless the module has put that out. */
static bool await_end(pid_t child, bool is_heard, int *out_status)
{
    pid_t ended;
    if (!is_heard)
        kill(child, SIGKILL);
    while ((ended = waitpid(child, out_status, 0)) < 0 && errno == EINTR)
        ;
    return ended == child;
}

static bool judge_trial(int status, char *out_problem, size_t size)
{
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGKILL)) {
        snprintf(out_problem, size, "does not come back from its loading within %d s", TRIAL_S);
    } else if (WIFSIGNALED(status)) {
        snprintf(out_problem, size, "crashes while it is loaded (%s)", strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != TRIAL_OK && out_problem[0] == 0) {
        snprintf(out_problem, size, "ends the process that loads it (status %d)",
                 WEXITSTATUS(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == TRIAL_OK;
}

/* Whether the module lives through its loading. */
static bool try_apart(const char *file, char *out_problem, size_t size)
{
    int pipes[2], status = 0;
    out_problem[0] = 0;
    if (pipe(pipes) < 0) {
        snprintf(out_problem, size, "cannot be tried: %s", strerror(errno));
        return false;
    }
    fflush(NULL);
    struct sigaction usual = {.sa_handler = SIG_DFL},
                     before; /* ignored, it hides how children end */
    sigaction(SIGCHLD, &usual, &before);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        close(pipes[0]);
        try_here(file, pipes[1]);
    }
    close(pipes[1]);
    bool is_heard = child > 0 && hear(pipes[0], out_problem, size);
    bool has_ended = child > 0 && await_end(child, is_heard, &status);
    if (!has_ended)
        snprintf(out_problem, size, "cannot be tried: %s", strerror(errno));
    close(pipes[0]);
    sigaction(SIGCHLD, &before, NULL);
    bool leaves_some = child > 0 && kill(-child, SIGKILL) == 0;
    if (!has_ended || !judge_trial(status, out_problem, size))
        return false;
    if (leaves_some)
        snprintf(out_problem, size, "leaves a process behind when it is loaded");
    return !leaves_some;
}

static void load_file(struct registry *registry, const char *file, struct buf *errors)
{
    char problem[512];
    const char *wrong = status_problem(file, S_IFREG);
    if (wrong) {
        say(errors, file, wrong, "");
        return;
    }
    if (!try_apart(file, problem, sizeof problem)) {
        say(errors, file, problem, "");
        return;
    }
    const struct bursar_connector *module = open_module(file, problem, sizeof problem);
    if (!module) {
        say(errors, file, problem, "");
        return;
    }
    const char *other = registry_file(registry, module->kind);
    if (registry_find(registry, module->kind)) {
        if (!other || strcmp(other, file) != 0)
            say(errors, file, "its kind is taken already, by", other ? other : "a built-in one");
        return; /* the same file again: a configuration is read twice */
    }
    struct buf error = buf_make(256);
    if (registry_add_loaded(registry, module, file, &error) < 0)
        say(errors, file, "cannot be added", error.len > 0 ? (const char *)error.data : "");
    else
        LOG(LOG_INFO, "connector module loaded", LOG_S("file", file), LOG_S("kind", module->kind));
    buf_free(&error);
}

static int is_module(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

void registry_load_folder(struct registry *registry, const char *folder, struct buf *errors)
{
    struct dirent **names = NULL;
    const char *wrong = access(folder, F_OK) == 0 ? status_problem(folder, S_IFDIR) : NULL;
    if (wrong) {
        say(errors, folder, wrong, "");
        return;
    }
    int count = scandir(folder, &names, is_module, by_name);
    if (count < 0 && errno != ENOENT)
        say(errors, folder, "the folder cannot be read", strerror(errno));
    if (count > FILES_MAX)
        say(errors, folder, "has more modules than can be loaded", "");
    for (int i = 0; i < count; i++) {
        char *file = NULL;
        if (i < FILES_MAX && asprintf(&file, "%s/%s", folder, names[i]->d_name) >= 0)
            load_file(registry, file, errors);
        free(file);
        free(names[i]);
    }
    free(names);
}
