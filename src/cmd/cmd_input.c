#include "cmd/cmd_input.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <bursar/error.h>

enum { PIECE = 4096 };

int cmd_input_all(struct buf *out)
{
    for (;;) {
        uint8_t *to = buf_reserve(out, PIECE);
        if (!to)
            return buf_error(out);
        ssize_t n = read(STDIN_FILENO, to, PIECE);
        if (n < 0 && errno != EINTR)
            return BURSAR_E_IO;
        if (n == 0)
            return 0;
        if (n > 0)
            buf_added(out, (size_t)n);
    }
}

bool cmd_input_is_terminal(void)
{
    return isatty(STDIN_FILENO);
}

static volatile sig_atomic_t interrupted_by;

static void note_signal(int signal_number)
{
    interrupted_by = signal_number;
}

/* Signals that end the program wait until the terminal shows again what is typed. */
static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { SIGNAL_COUNT = sizeof ending_signals / sizeof ending_signals[0] };

static void catch_signals(struct sigaction before[static SIGNAL_COUNT])
{
    struct sigaction action = {.sa_handler = note_signal}; /* without SA_RESTART: read() ends */
    sigemptyset(&action.sa_mask);
    interrupted_by = 0;
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        sigaction(ending_signals[i], &action, &before[i]);
}

static void release_signals(const struct sigaction before[static SIGNAL_COUNT])
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        sigaction(ending_signals[i], &before[i], NULL);
    if (interrupted_by)
        raise(interrupted_by);
}

static bool read_line(struct buf *out)
{
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n <= 0)
            return false; /* a signal too */
        if (c == '\n')
            return buf_error(out) == 0;
        buf_append_byte(out, (uint8_t)c);
    }
}

bool cmd_input_line(const char *prompt, bool is_secret, struct buf *out)
{
    struct termios shown = {0};
    struct sigaction before[SIGNAL_COUNT];
    bool has_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (is_secret && !has_terminal)
        return false;
    struct termios hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    catch_signals(before);
    fprintf(stderr, "%s: ", prompt);
    bool is_ok = !is_secret || tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
    is_ok = is_ok && read_line(out);
    if (is_secret) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
    }
    release_signals(before);
    return is_ok;
}
