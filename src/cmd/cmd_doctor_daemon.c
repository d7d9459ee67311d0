#include "cmd/cmd_doctor.h"

#include <stdio.h>
#include <string.h>

#include <bursar/client.h>
#include <bursar/version.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_text.h"
#include "policy/secret_end.h"

enum { SHOWN = 5, INCIDENT_EVENTS = 10000, MAX_PAGES = 64, NAME_MAX_BYTES = 128, TEXT_SIZE = 512 };

/* Asks without printing anything; NULL with the failure. Takes the request. */
static json_t *ask(const struct doctor *self, const char *op, json_t *request,
                   struct bursar_failure *failure)
{
    struct bursar_client_options options = cmd_client_options(self->args);
    struct bursar_client *client = NULL;
    json_free_t free_text = NULL;
    char *text = json_dumps(request, JSON_COMPACT), *reply = NULL;
    json_t *root = NULL;
    json_get_alloc_funcs(NULL, &free_text);
    *failure = (struct bursar_failure){.error = BURSAR_E_NOMEM};
    if (text && (failure->error = bursar_client_open(&options, &client)) == 0 &&
        bursar_call(client, op, text, &reply, failure) == 0)
        root = json_loads(reply, JSON_ALLOW_NUL, NULL);
    bursar_client_close(client);
    bursar_text_free(reply);
    free_text(text);
    json_decref(request);
    return root;
}

/* ---- memory and versions -------------------------------------------------------------------------- */

static void look_at_memory(struct doctor *self, const json_t *status)
{
    const json_t *memory = json_object_get(status, "secret_memory");
    const char *version = json_string_value(json_object_get(status, "version"));
    if (!json_is_true(json_object_get(memory, "locked")))
        doctor_say(self, DOCTOR_WARN, "memory",
                   "raise LimitMEMLOCK of the unit, or `ulimit -l`: secrets may come to swap",
                   "secrets are not locked in memory");
    else
        doctor_say(self, DOCTOR_OK, "memory", NULL, "secrets are locked in memory");
    if (json_integer_value(json_object_get(memory, "overflows")) > 0)
        doctor_say(self, DOCTOR_WARN, "memory", NULL,
                   "more secrets at once than the locked memory holds: slower, and still guarded");
    if (!version || strcmp(version, bursar_version()) != 0)
        doctor_say(self, DOCTOR_WARN, "version", "restart bursard after an upgrade",
                   "the daemon is %s, and this program %s",
                   cmd_text_safe(json_object_get(status, "version")), bursar_version());
}

/* ---- providers ------------------------------------------------------------------------------------ */

static void look_at_figures(struct doctor *self, const json_t *status)
{
    json_t *providers = json_object_get(status, "providers");
    const char *name;
    json_t *figures;
    json_object_foreach(providers, name, figures) {
        json_int_t refreshed = json_integer_value(json_object_get(figures, "refreshed"));
        json_int_t failed = json_integer_value(json_object_get(figures, "failed"));
        if (json_is_true(json_object_get(figures, "held")))
            doctor_say(self, DOCTOR_FAIL, name,
                       "the client's id, secret or redirect URI are wrong: compare them with the "
                       "provider's settings, then restart bursard",
                       "the provider refuses our client");
        else if (failed > 0 && refreshed == 0)
            doctor_say(self, DOCTOR_WARN, name, "see the log of bursard for its words",
                       "%lld refreshes failed since the start, and none succeeded",
                       (long long)failed);
    }
}

/* How long ago something was, in words that are near enough. */
static void describe_s(json_int_t seconds, char out[static NAME_MAX_BYTES])
{
    static const struct {
        json_int_t s;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof units[0] && seconds < units[i].s)
        i++;
    snprintf(out, NAME_MAX_BYTES, "%lld %s", (long long)(seconds / units[i].s), units[i].name);
}

/* Shared credentials that no job has named, and names of jobs that there are not. */
static void look_at_shared(struct doctor *self, const json_t *status)
{
    json_t *providers = json_object_get(status, "providers"), *value;
    json_t *unknown = json_object_get(status, "unknown_refs");
    char since[NAME_MAX_BYTES];
    const char *name;
    describe_s(json_integer_value(json_object_get(status, "uptime_s")), since);
    json_object_foreach(providers, name, value) {
        const json_t *asked = json_object_get(value, "asked");
        if (asked && json_integer_value(asked) == 0)
            doctor_say(self, DOCTOR_WARN, name,
                       "where nobody names it as `ref`, take it out of `auth`",
                       "unused: no job has named it since the daemon began, %s ago", since);
    }
    json_object_foreach(unknown, name, value)
        doctor_say(self, DOCTOR_WARN, name[0] ? name : "ref",
                   "add it under `auth`, or mend the name in whoever asks",
                   "jobs have named %s as `ref` %lld times since the daemon began, and there is no "
                   "such shared credential",
                   name[0] ? "it" : "something else", (long long)json_integer_value(value));
}

/* ---- our client's secrets ------------------------------------------------------------------------- */

static void look_at_end(struct doctor *self, const char *name, struct text day)
{
    int64_t ends_at, now = clock_wall_s();
    if (!secret_end_of(day, &ends_at) || !secret_ends_soon(ends_at, now))
        return;
    doctor_say(self, now >= ends_at ? DOCTOR_FAIL : DOCTOR_WARN, name,
               "make a new one at the provider, and set client_secret_next before the old one ends",
               "its client_secret %s on %.*s", now >= ends_at ? "ended" : "ends", (int)day.len,
               day.data);
}

/* What only the configuration has: how long a provider lets a secret live. */
static void look_at_lives(struct doctor *self)
{
    for (size_t i = 0; self->config && i < self->config->provider_count; i++) {
        const struct config_provider *provider = &self->config->providers[i];
        double days = settings_number(&provider->settings, "client_secret_life_days", 0);
        if (days > 0 && settings_text(&provider->settings, "client_secret").data &&
            !settings_text(&provider->settings, "client_secret_expires_at").data)
            doctor_say(self, DOCTOR_WARN, provider->id, "set client_secret_expires_at",
                       "the provider ends client secrets after %.0f days, and nobody has said when "
                       "this one was made",
                       days);
    }
}

static void look_at_secrets(struct doctor *self, const json_t *status)
{
    json_t *providers = json_object_get(status, "providers"), *figures;
    const char *name;
    json_object_foreach(providers, name, figures) {
        const char *day = json_string_value(json_object_get(figures, "client_secret_expires_at"));
        if (day)
            look_at_end(self, name, text_of(day));
        if (json_is_true(json_object_get(figures, "next_secret")))
            doctor_say(self, DOCTOR_WARN, name,
                       "put client_secret_next in the place of client_secret",
                       "the provider refuses client_secret: requests show client_secret_next");
    }
    look_at_lives(self);
}

/* The file says what the daemon will be, not what it is. */
static void compare(struct doctor *self, const json_t *status)
{
    json_t *providers = json_object_get(status, "providers");
    const char *running;
    json_t *figures;
    for (size_t i = 0; self->config && i < self->config->provider_count; i++) {
        const struct config_provider *provider = &self->config->providers[i];
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "%s%s", provider->is_shared ? "@" : "", provider->id);
        if (!json_object_get(providers, name))
            doctor_say(self, DOCTOR_WARN, name, "restart bursard, or say which file with --config",
                       "is in the configuration, and the daemon does not have it");
    }
    json_object_foreach(providers, running, figures) {
        bool is_there = !self->config;
        for (size_t i = 0; !is_there && i < self->config->provider_count; i++) {
            const struct config_provider *provider = &self->config->providers[i];
            is_there = strcmp(running + (running[0] == '@'), provider->id) == 0 &&
                       (running[0] == '@') == provider->is_shared;
        }
        if (!is_there)
            doctor_say(self, DOCTOR_WARN, running,
                       "restart bursard, or say which file with --config",
                       "the daemon has it, and it is not in the configuration");
    }
}

static void look_at_provider(struct doctor *self, const json_t *connector)
{
    struct bursar_failure failure;
    const char *id = json_string_value(json_object_get(connector, "id"));
    char advice[TEXT_SIZE];
    if (!id || !json_is_true(json_object_get(connector, "configured")))
        return;
    if (json_is_true(json_object_get(connector, "experimental")))
        doctor_say(self, DOCTOR_WARN, id, "try it before you rely on it",
                   "its entry is experimental");
    json_t *reply =
        ask(self, "connection.list", json_pack("{s:s, s:i}", "provider", id, "limit", 1), &failure);
    if (reply && json_array_size(json_object_get(reply, "connections")) == 0) {
        snprintf(advice, sizeof advice,
                 "`bursar connect OWNER %s` or `bursar put OWNER %s` makes the first", id, id);
        doctor_say(self, DOCTOR_WARN, id, advice, "it is configured, and nobody is connected");
    }
    json_decref(reply);
}

static void look_at_providers(struct doctor *self)
{
    struct bursar_failure failure;
    json_t *reply = ask(self, "connector.list", json_object(), &failure);
    const json_t *connectors = json_object_get(reply, "connectors");
    for (size_t i = 0; i < json_array_size(connectors); i++)
        look_at_provider(self, json_array_get(connectors, i));
    json_decref(reply);
}

/* ---- connections ---------------------------------------------------------------------------------- */

static const struct bad_state {
    const char *state, *what, *advice;
} bad_states[] = {
    {"NEEDS_REAUTH", "their grants are dead",
     "connect again: `bursar connect OWNER PROVIDER --reconnect ID`, or `bursar put OWNER ID`"},
    {"IN_DOUBT", "a provider's reply was lost",
     "mostly it resolves itself; where it stays, connect again or put a new secret"},
    {"FROZEN", "they were frozen", "an operator thaws them"},
};

/* The first few, so that one knows where to begin. */
static void name_some(struct doctor *self, const struct bad_state *bad, struct buf *out)
{
    struct bursar_failure failure;
    json_t *reply = ask(self, "connection.list",
                        json_pack("{s:s, s:i}", "state", bad->state, "limit", SHOWN), &failure);
    const json_t *records = json_object_get(reply, "connections");
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        buf_printf(out, "%s%s %s", i > 0 ? ", " : "", cmd_text_of(record, "owner"),
                   cmd_text_of(record, "id"));
    }
    json_decref(reply);
}

static void look_at_connections(struct doctor *self, const json_t *status)
{
    const json_t *counts = json_object_get(status, "connections");
    for (size_t i = 0; i < sizeof bad_states / sizeof bad_states[0]; i++) {
        struct buf names = buf_make(TEXT_SIZE);
        json_int_t count = json_integer_value(json_object_get(counts, bad_states[i].state));
        if (count > 0) {
            name_some(self, &bad_states[i], &names);
            doctor_say(self, DOCTOR_WARN, "connections", bad_states[i].advice, "%lld %s, %s: %s%s",
                       (long long)count, bad_states[i].state, bad_states[i].what,
                       (const char *)buf_text(&names).data, count > SHOWN ? " …" : "");
        }
        buf_free(&names);
    }
    doctor_say(self, DOCTOR_OK, "connections", NULL, "%lld ACTIVE",
               (long long)json_integer_value(json_object_get(counts, "ACTIVE")));
}

/* ---- incidents ------------------------------------------------------------------------------------ */

/* Those that began and did not end, by provider and what they are about. */
static void note_incidents(const json_t *events, json_t *open)
{
    char key[2 * NAME_MAX_BYTES];
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        const char *type = json_string_value(json_object_get(event, "type"));
        const char *provider = json_string_value(json_object_get(event, "provider"));
        const char *phase = json_string_value(json_object_get(event, "phase"));
        const char *about = json_string_value(json_object_get(event, "incident"));
        if (!type || !provider || !phase || !about || strcmp(type, "incident") != 0)
            continue;
        snprintf(key, sizeof key, "%s %s", provider, about);
        if (strcmp(phase, "begin") == 0)
            json_object_set(open, key, (json_t *)event);
        else
            json_object_del(open, key);
    }
}

static const char *help_for(const char *about)
{
    if (strcmp(about, "client") == 0)
        return "the client's id, secret or settings: compare them with the provider's";
    if (strcmp(about, "mass_refusal") == 0)
        return "the application's registration at the provider; then its status page";
    if (strcmp(about, "secret_end") == 0)
        return "a new client secret from the provider: client_secret_next takes it before the old one ends";
    return "the network, and the provider's status page; what waits goes on by itself";
}

static void look_at_incidents(struct doctor *self, const json_t *status)
{
    json_int_t last = json_integer_value(json_object_get(status, "seq"));
    json_int_t seq = last > INCIDENT_EVENTS ? last - INCIDENT_EVENTS : 0;
    json_t *open = json_object(), *event;
    const char *key;
    for (int page = 0; page < MAX_PAGES && seq < last; page++) {
        struct bursar_failure failure;
        json_t *reply = ask(self, "events.since", json_pack("{s:I}", "seq", seq), &failure);
        json_int_t next = json_integer_value(json_object_get(reply, "next_seq"));
        note_incidents(json_object_get(reply, "events"), open);
        json_decref(reply);
        if (next <= seq)
            break;
        seq = next;
    }
    json_object_foreach(open, key, event)
        doctor_say(self, DOCTOR_FAIL, cmd_text_of(event, "provider"),
                   help_for(cmd_text_of(event, "incident")),
                   "an incident has begun and not ended: %s",
                   cmd_text_of(json_object_get(event, "reason"), "code"));
    json_decref(open);
}

/* ---- who may speak ------------------------------------------------------------------------------- */

static void look_at_who(struct doctor *self)
{
    struct bursar_failure failure;
    json_t *whoami = ask(self, "whoami", json_object(), &failure);
    json_t *principals = ask(self, "principal.list", json_object(), &failure);
    doctor_look_at_roles(self, whoami);
    doctor_compare_principals(self, principals);
    json_decref(whoami);
    json_decref(principals);
}

/* ---- all ------------------------------------------------------------------------------------------ */

void doctor_look_at_daemon(struct doctor *self)
{
    struct bursar_failure failure;
    json_t *status = ask(self, "status", json_object(), &failure);
    if (!status) {
        doctor_say(self, DOCTOR_FAIL, "daemon",
                   failure.error == BURSAR_E_NO_DAEMON
                       ? "start bursard, or say where it listens with --endpoint"
                       : "run the doctor as root or as the daemon's user",
                   "%s: %s", self->args->endpoint ? self->args->endpoint : BURSAR_JOBS_ENDPOINT,
                   failure.message[0] ? failure.message : bursar_error_text(failure.error));
        return;
    }
    doctor_say(self, DOCTOR_OK, "daemon", NULL, "it answers");
    look_at_who(self);
    look_at_memory(self, status);
    look_at_figures(self, status);
    look_at_shared(self, status);
    look_at_secrets(self, status);
    compare(self, status);
    look_at_providers(self);
    look_at_connections(self, status);
    look_at_incidents(self, status);
    json_decref(status);
}
