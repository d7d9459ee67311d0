#include "vault/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/clock.h"

enum { WORDS_MAX = 32, CHUNK = 1024 };

static int fail(struct buf *error, const char *what)
{
    buf_printf(error, "command: %s", what);
    return BURSAR_E_CONFIG;
}

static int fail_errno(struct buf *error, const char *what)
{
    buf_printf(error, "command: %s: %s", what, strerror(errno));
    return BURSAR_E_IO;
}

/* Parts the text in place; words end with NULL. */
static int split(char *text, char *words[static WORDS_MAX + 1], struct buf *error)
{
    size_t count = 0;
    char *to = text;
    for (const char *at = text; *(at += strspn(at, " \t"));) {
        if (count == WORDS_MAX)
            return fail(error, "has more than 32 words");
        words[count++] = to;
        for (char quote = 0; *at && (quote || !strchr(" \t", *at)); at++) {
            if (quote ? *at == quote : *at == '\'' || *at == '"')
                quote = quote ? 0 : *at;
            else
                *to++ = *at;
            if (quote && !at[1])
                return fail(error, "a quotation mark has no end");
        }
        at += *at != 0;
        *to++ = 0; /* never passes at: a word is no longer than what it was read from */
    }
    words[count] = NULL;
    if (count == 0 || words[0][0] != '/')
        return fail(error, "must begin with the absolute path of a program");
    return 0;
}

static int start(char *const *words, int output, pid_t *out_pid, struct buf *error)
{
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *credentials = NULL;
    char *environment[3] = {path, NULL, NULL};
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    if (folder && asprintf(&credentials, "CREDENTIALS_DIRECTORY=%s", folder) >= 0)
        environment[1] = credentials;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    /* Asked before: where it is told behind the spawn depends on the platform. */
    int code = access(words[0], X_OK) < 0 ? errno : 0;
    if (code == 0)
        code = posix_spawn(out_pid, words[0], &files, &attributes, words, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(credentials);
    errno = code;
    return code == 0 ? 0 : fail_errno(error, words[0]);
}

/* Reads until the other end is closed, or the time is over. */
static int read_all(int fd, int64_t ends_ms, struct buf *out, struct buf *error)
{
    for (;;) {
        int64_t left_ms = ends_ms - clock_boot_ms();
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int ready = left_ms > 0 ? poll(&one, 1, (int)left_ms) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return fail(error, "did not end in time");
        uint8_t *to = buf_reserve(out, CHUNK);
        if (!to)
            return fail(error, "prints more than a keyring can have");
        ssize_t got = read(fd, to, CHUNK);
        if (got < 0 && errno != EINTR)
            return fail_errno(error, "cannot be read");
        if (got == 0)
            return 0;
        if (got > 0)
            buf_added(out, (size_t)got);
    }
}

/* The program has closed its output, or is to end now. */
static int reap(pid_t pid, int64_t ends_ms, bool is_read, struct buf *error)
{
    int status = 0;
    pid_t got = 0;
    while (is_read && (got = waitpid(pid, &status, WNOHANG)) == 0 && clock_boot_ms() < ends_ms)
        poll(NULL, 0, 5);
    kill(-pid, SIGKILL); /* and what it left behind */
    while (got == 0 || (got < 0 && errno == EINTR))
        got = waitpid(pid, &status, 0);
    if (!is_read)
        return BURSAR_E_CONFIG; /* that was said */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        buf_printf(error, "command: ended with %d", WEXITSTATUS(status));
    else
        buf_printf(error, "command: was killed by signal %d", WTERMSIG(status));
    return BURSAR_E_CONFIG;
}

int command_read(const char *command, int timeout_ms, struct buf *out, struct buf *error)
{
    int64_t ends_ms = clock_boot_ms() + timeout_ms;
    char *words[WORDS_MAX + 1], *copy = strdup(command);
    int pipe_fds[2] = {-1, -1};
    pid_t pid = 0;
    int result = copy ? split(copy, words, error) : BURSAR_E_NOMEM;
    if (result == 0 && pipe2(pipe_fds, O_CLOEXEC) < 0)
        result = fail_errno(error, "no pipe");
    if (result == 0)
        result = start(words, pipe_fds[1], &pid, error);
    if (pipe_fds[1] >= 0)
        close(pipe_fds[1]);
    if (result == 0) {
        result = read_all(pipe_fds[0], ends_ms, out, error);
        int ended = reap(pid, ends_ms, result == 0, error);
        result = result < 0 ? result : ended;
    }
    if (pipe_fds[0] >= 0)
        close(pipe_fds[0]);
    free(copy);
    return result;
}
