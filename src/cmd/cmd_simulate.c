#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "cmd/cmd_entry.h"
#include "cmd/cmd_table.h"
#include "sim/scenario.h"
#include "sim/server.h"

enum { ERRORS_MAX = 1 << 20, PATH_SIZE = 4096, PORT_MAX = 65535 };

struct simulating {
    const struct cmd_args *args;
    struct registry *registry;
    struct cmd_entry entry;
    bool is_loaded;
    struct sim sim;
    struct sim_server *server;
    bool is_quiet;
};

/* ---- what is printed ---------------------------------------------------------------------------- */

/* One line a request: where it went and what it came to, none of its values. */
static void print_request(const struct simulating *self, const struct sim_request *request,
                          const struct sim_reply *reply)
{
    static const char *const ends[] = {[SIM_END_WHOLE] = "",
                                       [SIM_END_CUT] = ", cut within the body",
                                       [SIM_END_NONE] = ", never sent",
                                       [SIM_END_NEVER] = ", never sent"};
    size_t path_len = strcspn(request->url.data, "?");
    printf("%s %.*s -> HTTP %d%s%s%s\n", request->method, (int)path_len, request->url.data,
           reply->status, ends[reply->end], self->sim.problem[0] != 0 ? ": " : "",
           self->sim.problem);
    fflush(stdout);
}

static struct sim_reply answer(void *context, const struct sim_request *request)
{
    struct simulating *self = context;
    self->sim.problem[0] = 0;
    struct sim_reply reply = sim_answer(&self->sim, request, clock_wall_s());
    if (!self->is_quiet)
        print_request(self, request, &reply);
    return reply;
}

/* The URLs of the entry, at this port, as lines of a configuration. */
static void print_urls(const struct simulating *self)
{
    const struct settings *settings = self->entry.connector.settings;
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->values[i];
        bool is_url = setting->text && (setting->option->type == BURSAR_OPTION_TEMPLATE ||
                                        setting->option->type == BURSAR_OPTION_URL);
        const char *name = setting_name(setting);
        const char *host = is_url ? strstr(setting->text, "://") : NULL;
        if (!is_url || strchr(name, '.') || strcmp(name, "docs_url") == 0)
            continue;
        const char *path = host ? strchr(host + 3, '/') : strchr(setting->text, '/');
        printf("    %s: \"http://127.0.0.1:%u%s\"\n", name, sim_server_port(self->server),
               path ? path : "/");
    }
}

static void print_start(const struct simulating *self)
{
    const struct connector *entry = &self->entry.connector;
    const struct sim_grant *grant = self->sim.grant_count > 0 ? &self->sim.grants[0] : NULL;
    printf("%s at http://127.0.0.1:%u, %s\n", self->entry.provider.id,
           sim_server_port(self->server),
           sim_scenario_of(cmd_option(self->args, "scenario"))->help);
    printf("\nconnectors: {allow_http_loopback: true}\nproviders:\n  %s:\n    kind: %s\n",
           self->entry.provider.id, self->entry.provider.kind);
    if (sim_setting(entry, "client_id").data)
        printf("    client_id: \"%s\"\n", CMD_ENTRY_CLIENT_ID);
    if (sim_setting(entry, "client_secret").data)
        printf("    client_secret: \"%s\"\n", CMD_ENTRY_CLIENT_SECRET);
    print_urls(self);
    if (grant)
        printf("\nrefresh_token: %s\naccess_token: %s\n", grant->refresh_token,
               grant->access_token);
    printf("\n");
    fflush(stdout);
}

static void print_json(const struct simulating *self)
{
    char url[64];
    const struct sim_grant *grant = self->sim.grant_count > 0 ? &self->sim.grants[0] : NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", sim_server_port(self->server));
    json_t *root = json_pack(
        "{s:s,s:s,s:s,s:s?,s:s?,s:s,s:s}", "provider", self->entry.provider.id, "url", url,
        "scenario", sim_scenario_of(cmd_option(self->args, "scenario"))->name, "refresh_token",
        grant ? grant->refresh_token : NULL, "access_token", grant ? grant->access_token : NULL,
        "client_id", CMD_ENTRY_CLIENT_ID, "client_secret", CMD_ENTRY_CLIENT_SECRET);
    if (root)
        json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    fflush(stdout);
    json_decref(root);
}

/* ---- life --------------------------------------------------------------------------------------- */

static int complain(const struct buf *error)
{
    struct text text = buf_text(error);
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len--;
    fprintf(stderr, "bursar simulate: %.*s\n", (int)text.len, text.len > 0 ? text.data : "");
    return CMD_REFUSED;
}

static int load(struct simulating *self)
{
    struct buf path = buf_make(PATH_SIZE), errors = buf_make(ERRORS_MAX);
    const char *folder = cmd_option(self->args, "catalog");
    const char *word = self->args->words[0];
    int status = CMD_DONE, result = BURSAR_E_CONFIG;
    self->registry = registry_new();
    if (!self->registry)
        buf_append_string(&errors, "no memory");
    else if (!cmd_entry_path(word, folder ? folder : cmd_entry_folder, &path))
        buf_printf(&errors, "\"%s\" is no provider's id and no path of a file", word);
    else
        result = cmd_entry_load((const char *)path.data, self->registry, &self->entry, &errors);
    if (result < 0)
        status = complain(&errors);
    self->is_loaded = result == 0;
    buf_free(&path);
    buf_free(&errors);
    return status;
}

static int open_server(struct simulating *self)
{
    uint64_t port = 0;
    struct buf error = buf_make(ERRORS_MAX);
    const char *given = cmd_option(self->args, "port");
    if (given && !text_to_uint(text_of(given), PORT_MAX, &port))
        return cmd_usage(&cmd_simulate, "--port is a number up to %d", PORT_MAX);
    const struct sim_scenario *scenario = sim_scenario_of(cmd_option(self->args, "scenario"));
    if (!scenario)
        return cmd_usage(&cmd_simulate, "there is no scenario \"%s\": one of %s",
                         cmd_option(self->args, "scenario"), sim_scenario_names);
    int result = sim_init(&self->sim, &self->entry.connector);
    if (result == 0 && sim_consent(&self->sim, clock_wall_s()) == SIZE_MAX)
        result = BURSAR_E_NOMEM;
    sim_scenario_start(scenario, &self->sim);
    self->server = result == 0 ? sim_server_open((uint16_t)port, answer, self, &error) : NULL;
    int status = self->server ? CMD_DONE : complain(&error);
    buf_free(&error);
    return status;
}

/* Until SIGTERM or SIGINT. */
static int serve(struct simulating *self)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    struct pollfd fds[] = {{signalfd(-1, &signals, SFD_CLOEXEC), POLLIN, 0},
                           {sim_server_fd(self->server), POLLIN, 0}};
    if (fds[0].fd < 0) {
        fprintf(stderr, "bursar simulate: no signals can be waited for\n");
        return CMD_REFUSED;
    }
    while (fds[0].revents == 0) {
        poll(fds, 2, sim_server_wait_ms(self->server));
        sim_server_run(self->server);
    }
    close(fds[0].fd);
    return CMD_DONE;
}

static int run(const struct cmd_args *args)
{
    struct simulating self = {.args = args, .is_quiet = cmd_option(args, "quiet") != NULL};
    int status = load(&self);
    if (status == CMD_DONE)
        status = open_server(&self);
    if (status == CMD_DONE) {
        if (args->is_json)
            print_json(&self);
        else
            print_start(&self);
        status = serve(&self);
    }
    sim_server_close(self.server);
    sim_fini(&self.sim);
    if (self.is_loaded)
        cmd_entry_free(&self.entry);
    registry_free(self.registry);
    return status;
}

static const struct cmd_option options[] = {
    {"port", "N", "listen there; a free port else"},
    {"scenario", "NAME", "what the provider does: see bursar(1)"},
    {"catalog", "DIR", "the folder of the catalogue"},
    {"quiet", NULL, "do not print the requests"},
    {NULL, NULL, NULL},
};

const struct cmd cmd_simulate = {
    "simulate", "PROVIDER|FILE", "play a provider on a loopback port", options, 1, 1, run,
};
