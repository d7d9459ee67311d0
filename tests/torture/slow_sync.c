/* A disk that is slow: preloaded into the daemon, it makes each fsync() and fdatasync() wait first.
 *
 * How long stands as a number of milliseconds in the file that TORTURE_SLOW_SYNC names; without the
 * file, or with a number out of bounds, nothing is slow. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_MS 5000

static long wanted_ms(void)
{
    const char *path = getenv("TORTURE_SLOW_SYNC");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        return 0;
    }
    char text[16] = {0};
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    long ms = length > 0 ? strtol(text, NULL, 10) : 0;
    return ms > 0 && ms <= MAX_MS ? ms : 0;
}

static void wait_first(void)
{
    long ms = wanted_ms();
    if (ms > 0) {
        struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
}

int fsync(int file)
{
    wait_first();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    wait_first();
    return (int)syscall(SYS_fdatasync, file);
}
