#include "cmd/sandbox.h"

#include <bursar/error.h>

#if defined HAVE_SECCOMP && !defined BURSAR_SANITIZE

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <seccomp.h>

#include "base/log.h"

/* By what needs them. A name that this machine's kernel does not have is passed over. */
static const char *const allowed[] = {
    /* files: the store, the configuration, keys, certificates */
    "access",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fchown",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents64",
    "ioctl",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "pread64",
    "preadv",
    "pwrite64",
    "pwritev",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "chmod",
    "stat",
    "statfs",
    "statx",
    "umask",
    "unlink",
    "unlinkat",
    "write",
    "writev",
    /* sockets */
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socket",
    "socketpair",
    /* waiting */
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "futex",
    "futex_waitv",
    "gettimeofday",
    "nanosleep",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "restart_syscall",
    "select",
    "time",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    /* memory */
    "brk",
    "madvise",
    "membarrier",
    "mlock",
    "mlock2",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munmap",
    /* threads: libcurl resolves names in one of its own, and one of ZeroMQ's may only now begin */
    "arch_prctl",
    "clone",
    "clone3",
    "exit",
    "exit_group",
    "get_robust_list",
    "getpid",
    "gettid",
    "prctl",
    "rseq",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_setaffinity",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "tgkill",
    /* signals */
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sigaltstack",
    /* what it is and how it fares */
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getuid",
    "prlimit64",
    "sysinfo",
    "times",
    "uname",
};
enum { ALLOWED_COUNT = sizeof allowed / sizeof allowed[0] };

bool sandbox_is_there(void)
{
    return true;
}

/* Only what may be called in a signal handler. */
static void refused(int number, siginfo_t *info, void *context)
{
    static const char before[] =
        "bursard: a system call that it never needs was refused, and it ends; number ";
    char line[sizeof before + 16];
    size_t len = sizeof before - 1;
    char digits[12];
    size_t count = 0;
    unsigned call = (unsigned)info->si_syscall;
    (void)number, (void)context;
    memcpy(line, before, len);
    do {
        digits[count++] = (char)('0' + call % 10);
        call /= 10;
    } while (call > 0 && count < sizeof digits);
    while (count > 0)
        line[len++] = digits[--count];
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
    signal(SIGSYS, SIG_DFL);
    raise(SIGSYS);
}

static int catch_refused(void)
{
    struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    return sigaction(SIGSYS, &action, NULL) < 0 || pthread_sigmask(SIG_UNBLOCK, &set, NULL) != 0
               ? -1
               : 0;
}

static int make_filter(enum config_sandbox mode, scmp_filter_ctx *out_filter)
{
    uint32_t action = mode == CONFIG_SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_TRAP;
    scmp_filter_ctx filter = seccomp_init(action);
    int result = filter ? 0 : -1;
    for (size_t i = 0; i < ALLOWED_COUNT && result == 0; i++) {
        int call = seccomp_syscall_resolve_name(allowed[i]);
        if (call != __NR_SCMP_ERROR)
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    }
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads */
    if (result == 0)
        *out_filter = filter;
    else if (filter)
        seccomp_release(filter);
    return result;
}

int sandbox_enter(enum config_sandbox mode, struct buf *error)
{
    scmp_filter_ctx filter = NULL;
    if (mode == CONFIG_SANDBOX_OFF)
        return 0;
    int result = make_filter(mode, &filter);
    if (result == 0 && mode == CONFIG_SANDBOX_ENFORCE)
        result = catch_refused();
    if (result == 0)
        result = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    if (result == 0)
        return 0;
    buf_printf(error,
               "sandbox: the kernel does not take the filter (%s): `sandbox: off` goes without",
               strerror(result < 0 ? -result : result));
    return BURSAR_E_IO;
}

#else

bool sandbox_is_there(void)
{
    return false;
}

int sandbox_enter(enum config_sandbox mode, struct buf *error)
{
    (void)mode, (void)error;
    return 0;
}

#endif
