/* bursard: the daemon. Start in order, run until told to end, stop in reverse. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include <bursar/error.h>
#include <bursar/version.h>

#include "base/log.h"
#include "base/secret.h"
#include "broker/service.h"
#include "cmd/sandbox.h"
#include "config/config.h"
#include "connector/registry.h"
#include "store/store.h"

#ifndef BURSAR_SYSCONFDIR
#define BURSAR_SYSCONFDIR "/etc/bursar"
#endif

enum { ERRORS_MAX = 1 << 20, SERVICE_ERRORS_MAX = 8192 };

struct daemon {
    const char *config_path;
    bool is_check_only;
    struct service service;
};

static int usage(FILE *to, int status)
{
    fputs("usage: bursard [-c FILE] [--check]\n"
          "  -c, --config FILE  the configuration (" BURSAR_SYSCONFDIR "/bursar.yaml)\n"
          "      --check        report all errors of the configuration and end\n"
          "  -h, --help         this text\n"
          "  -V, --version      the version\n",
          to);
    return status;
}

/* Returns -1 to go on, or the status to end with. */
static int read_arguments(struct daemon *self, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;) {
        switch (option) {
        case 'c': self->config_path = optarg; break;
        case 'k': self->is_check_only = true; break;
        case 'h': return usage(stdout, 0);
        case 'V': printf("bursard %s\n", bursar_version()); return 0;
        default: return usage(stderr, 2);
        }
    }
    return optind == argc ? -1 : usage(stderr, 2);
}

/* What a burst of jobs has needed is not given back between it and the next: the threads' heaps would grow and
 * shrink by a system call for every few. */
static void keep_heap(void)
{
#ifdef M_TRIM_THRESHOLD
    enum { KEPT_BYTES = 2 << 20 }; /* by each heap */
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

/* No core file, no debugger, no /proc/PID/mem for others: the memory holds keys. */
static void harden(void)
{
    struct rlimit none = {0, 0}, locked, files;
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    close_range(STDERR_FILENO + 1, ~0U, 0);      /* what whoever started it has left open */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* each peer is one */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
        locked.rlim_cur = locked.rlim_max;
        setrlimit(RLIMIT_MEMLOCK, &locked);
    }
}

static int fail(const char *what, const struct buf *error, int result)
{
    struct text text = buf_text(error);
    LOG(LOG_ERROR, what, LOG_T("error", text.len > 0 ? text : text_of(bursar_error_text(result))));
    return result;
}

static int load_config(struct daemon *self)
{
    struct buf errors = buf_make(ERRORS_MAX);
    int result = service_load(&self->service, self->config_path, &errors);
    if (errors.len > 0)
        fwrite(errors.data, 1, errors.len, stderr);
    buf_free(&errors);
    if (result < 0)
        return result;
    log_set(self->service.config->log_level, self->service.config->log_format);
    if (!sandbox_is_there()) /* nobody is to believe that there is one */
        self->service.config->sandbox = CONFIG_SANDBOX_OFF;
    return 0;
}

static int start(struct daemon *self)
{
    struct buf error = buf_make(SERVICE_ERRORS_MAX);
    int result = service_start(&self->service, &error);
    if (result == 0) /* what is opened and started once is there */
        result = sandbox_enter(self->service.config->sandbox, &error);
    if (result < 0)
        fail("bursard cannot start", &error, result);
    buf_free(&error);
    return result;
}

static void tell_manager(const char *state)
{
#ifdef HAVE_LIBSYSTEMD
    sd_notify(0, state);
#else
    (void)state;
#endif
}

/* Reads the configuration again: who may speak and what is logged change while it runs, nothing else. */
static void reload(struct daemon *self)
{
    struct config *config = NULL;
    struct buf errors = buf_make(ERRORS_MAX);
    int result =
        config_load(self->config_path, registry_kinds(self->service.registry), &config, &errors);
    if (result < 0) {
        if (errors.len > 0)
            fwrite(errors.data, 1, errors.len, stderr);
        LOG(LOG_ERROR, "the configuration has errors: nothing was changed");
    } else {
        log_set(config->log_level, config->log_format);
        broker_reload(&self->service.broker, config);
        LOG(LOG_INFO, "log and principals read again; other changes need a restart");
        config_free(config);
    }
    buf_free(&errors);
}

static void run(struct daemon *self, const sigset_t *signals)
{
    int signal = 0;
    struct secret_arena_info memory = secret_arena_info();
    if (!memory.is_locked)
        LOG(LOG_WARNING, "secrets cannot be locked in memory: raise LimitMEMLOCK",
            LOG_I("bytes", (int64_t)memory.bytes));
    if (!sandbox_is_there())
        LOG(LOG_WARNING, "built without a sandbox: any system call is possible");
    LOG(LOG_INFO, "ready", LOG_S("version", bursar_version()),
        LOG_I("providers", (int64_t)self->service.connectors.count));
    tell_manager("READY=1");
    while (sigwait(signals, &signal) == 0 && signal == SIGHUP)
        reload(self);
    tell_manager("STOPPING=1");
    LOG(LOG_INFO, "ending", LOG_S("signal", strsignal(signal)));
}

int main(int argc, char **argv)
{
    struct daemon self = {.config_path = BURSAR_SYSCONFDIR "/bursar.yaml"};
    sigset_t signals;
    int status = read_arguments(&self, argc, argv);
    if (status >= 0)
        return status;
    umask(077);
    harden();
    keep_heap();
    store_own_process();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit is an error of the store, not the end */
    int result = service_open(&self.service, NULL);
    if (result == 0)
        result = load_config(&self);
    if (result == 0 && self.is_check_only) {
        printf("%s: no errors\n", self.config_path);
        service_stop(&self.service);
        return 0;
    }
    if (result == 0)
        result = start(&self);
    if (result == 0)
        run(&self, &signals);
    service_stop(&self.service);
    return result == 0 ? 0 : 1;
}
