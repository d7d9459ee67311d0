#include "cmd/cmd_connect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/cmd_input.h"
#include "cmd/cmd_loopback.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"
#include "cmd/cmd_values.h"

enum { MAX_LINE = 65536, QUERY_MAX = 16384, MAX_PAIRS = 60 };

static const struct cmd_option options[] = {
    {"reconnect", "CONNECTION", "a new consent for this connection, which stays the same"},
    {"scope", "SCOPE", "what is asked for instead of the configured; may stand repeatedly"},
    {"set", "NAME=VALUE", "metadata that the provider's URLs need; may stand repeatedly"},
    {"redirect-uri", "URI", "one of the provider's redirect_uris"},
    {"no-browser", NULL, "only print the address"},
    {"device", NULL, "consent on another device, with a code"},
    {NULL, NULL, NULL},
};

/* ---- what is asked for ---------------------------------------------------------------------------- */

static bool add_account(const struct cmd_args *args, const char *word, json_t *request)
{
    size_t len = strcspn(word, "/");
    bool is_ok =
        text_is_provider_id((struct text){word, len}) && word[len + (word[len] == '/')] != 0;
    is_ok = is_ok || (word[len] == 0 && text_is_provider_id((struct text){word, len}));
    is_ok = is_ok && json_object_set_new(request, "provider", json_stringn(word, len)) == 0 &&
            (word[len] == 0 ||
             json_object_set_new(request, "account", json_string(word + len + 1)) == 0);
    if (!is_ok)
        cmd_usage(args->cmd, "OWNER must be UTF-8 text, and then PROVIDER or PROVIDER/ACCOUNT");
    return is_ok;
}

static bool add_options(const struct cmd_args *args, json_t *request)
{
    json_t *scopes = json_array(), *metadata = json_object();
    const char *reconnect = cmd_option(args, "reconnect"), *scope;
    bool is_ok = cmd_values_read(args, "set", metadata);
    for (size_t i = 0; (scope = cmd_option_item(args, "scope", i)); i++)
        json_array_append_new(scopes, json_string(scope));
    if (json_array_size(scopes) > 0)
        json_object_set(request, "scopes", scopes);
    if (json_object_size(metadata) > 0)
        json_object_set(request, "metadata", metadata);
    if (reconnect)
        json_object_set_new(request, "reconnect", json_string(reconnect));
    json_decref(scopes);
    json_decref(metadata);
    return is_ok;
}

/* NULL where the command line is wrong, which was printed. */
static json_t *make_request(const struct cmd_args *args)
{
    json_t *request = json_object();
    bool is_ok = json_object_set_new(request, "owner", json_string(args->words[0])) == 0;
    if (!is_ok)
        cmd_usage(args->cmd, "OWNER must be UTF-8 text");
    if (is_ok && add_account(args, args->words[1], request) && add_options(args, request))
        return request;
    json_decref(request);
    return NULL;
}

/* ---- the way back --------------------------------------------------------------------------------- */

/* The URI that was asked for, or the first that this machine can listen for, or the first. */
static const char *choose_uri(const struct cmd_args *args, const json_t *connector)
{
    const char *given = cmd_option(args, "redirect-uri");
    const json_t *uris = json_object_get(connector, "redirect_uris");
    for (size_t i = 0; !given && i < json_array_size(uris); i++) {
        const char *uri = json_string_value(json_array_get(uris, i));
        if (uri && cmd_loopback_fits(uri))
            given = uri;
    }
    return given ? given : json_string_value(json_array_get(uris, 0));
}

/* Without a daemon's or a shell's help: its end is nobody's business. */
static void open_browser(const char *url)
{
    const char *display = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    if (!(display && display[0]) && !(wayland && wayland[0]))
        return;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; null >= 0 && fd < 3; fd++)
            dup2(null, fd);
        if (setsid() >= 0 && fork() == 0)
            execlp("xdg-open", "xdg-open", url, (char *)NULL);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

/* Where nothing here can listen, the person brings the address that the browser ended at. */
static bool ask_address(const char *state, struct buf *out_query)
{
    struct buf line = buf_make_secret(MAX_LINE), given = buf_make_secret(QUERY_MAX);
    bool is_ok = cmd_input_line("Paste the address that the browser ends at", false, &line);
    const char *mark = is_ok && line.len > 0 ? memchr(line.data, '?', line.len) : NULL;
    if (mark) {
        struct text query = {mark + 1, line.len - (size_t)(mark + 1 - (const char *)line.data)};
        const char *fragment = memchr(query.data, '#', query.len);
        query.len = fragment ? (size_t)(fragment - query.data) : query.len;
        is_ok = cmd_query_get(query, "state", &given) && text_is(buf_text(&given), state);
        buf_append_text(out_query, query);
    }
    if (!mark || !is_ok)
        fprintf(stderr, "bursar connect: this is not the address that was waited for\n");
    buf_free(&line);
    buf_free(&given);
    return mark && is_ok;
}

/* ---- the end -------------------------------------------------------------------------------------- */

static bool is_one_of(struct text name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is(name, names[i]))
            return true;
    }
    return false;
}

/* The callback's parameters as members of a connect.complete: what it does not name goes into
 * `callback`. */
static json_t *read_callback(struct text query, const char *code_parameter)
{
    static const char *const own[] = {"state", "code", "error", "iss"};
    json_t *request = json_object(), *others = json_object();
    for (size_t i = 0; i < MAX_PAIRS; i++) {
        struct buf name = buf_make(QUERY_MAX), value = buf_make_secret(QUERY_MAX);
        bool is_there = cmd_query_item(query, i, &name, &value);
        struct text key = buf_text(&name);
        bool is_code = text_is(key, code_parameter);
        bool is_own =
            is_code || (is_one_of(key, own, sizeof own / sizeof own[0]) && !text_is(key, "code"));
        if (is_there && key.len > 0 && value.len > 0)
            json_object_set_new(is_own ? request : others,
                                is_code ? "code" : (const char *)name.data,
                                json_stringn((const char *)value.data, value.len));
        buf_free(&name);
        buf_free(&value);
        if (!is_there)
            break;
    }
    if (json_object_get(request, "error")) /* a callback with both is none */
        json_object_del(request, "code");
    if (json_object_size(others) > 0)
        json_object_set(request, "callback", others);
    json_decref(others);
    return request;
}

static int complete(const struct cmd_args *args, const json_t *connector, struct text query)
{
    const char *code_parameter = json_string_value(json_object_get(connector, "code_parameter"));
    json_t *request = read_callback(query, code_parameter ? code_parameter : "code");
    json_object_set_new(request, "owner", json_string(args->words[0]));
    struct cmd_reply reply = cmd_ask(args, "connect.complete", request);
    int status = reply.status;
    if (status == CMD_DONE && !args->is_json)
        cmd_text_fields(json_object_get(reply.root, "record"));
    cmd_reply_free(&reply);
    return status;
}

/* ---- in a browser --------------------------------------------------------------------------------- */

static int64_t boot_ms_of(json_int_t at)
{
    return clock_boot_ms() + (at * 1000 - clock_wall_ms());
}

/* The person has until the daemon forgets the consent. */
static int consent(const struct cmd_args *args, const json_t *connector, const json_t *begun,
                   struct cmd_loopback *loopback)
{
    struct buf query = buf_make_secret(QUERY_MAX);
    const char *url = json_string_value(json_object_get(begun, "authorize_url"));
    const char *state = json_string_value(json_object_get(begun, "state"));
    json_int_t expires_at = json_integer_value(json_object_get(begun, "expires_at"));
    int status = CMD_REFUSED;
    if (!url || !state || !text_is_printable(text_of(url))) {
        fprintf(stderr, "bursar connect: the daemon's answer has no address\n");
        return CMD_REFUSED;
    }
    fprintf(stderr, "Open this address in a browser:\n%s\n", url);
    if (!cmd_option(args, "no-browser"))
        open_browser(url);
    bool is_back = loopback
                       ? cmd_loopback_wait(loopback, text_of(state), boot_ms_of(expires_at), &query)
                       : ask_address(state, &query);
    if (is_back)
        status = complete(args, connector, buf_text(&query));
    else if (loopback)
        fprintf(stderr, "bursar connect: nobody consented in time\n");
    buf_free(&query);
    return status;
}

static int connect_in_browser(const struct cmd_args *args, const json_t *connector, json_t *request)
{
    struct buf error = buf_make(1024);
    const char *uri = choose_uri(args, connector);
    struct cmd_loopback *loopback = NULL;
    int status = CMD_REFUSED;
    if (!uri)
        buf_append_string(&error,
                          "the provider's entry has no redirect_uris: the configuration must"
                          " name one");
    else if (cmd_loopback_fits(uri))
        loopback = cmd_loopback_open(uri, &error);
    if (error.len > 0) {
        fprintf(stderr, "bursar connect: %s%s%s\n", uri ? uri : "", uri ? ": " : "",
                (const char *)error.data);
    } else {
        json_object_set_new(request, "redirect_uri", json_string(uri));
        struct cmd_reply reply = cmd_ask_quietly(args, "connect.begin", json_incref(request));
        status = reply.status;
        if (status == CMD_DONE)
            status = consent(args, connector, reply.root, loopback);
        cmd_reply_free(&reply);
    }
    cmd_loopback_close(loopback);
    buf_free(&error);
    return status;
}

/* ---- entry ---------------------------------------------------------------------------------------- */

static int run(const struct cmd_args *args)
{
    json_t *request = make_request(args);
    if (!request)
        return CMD_USAGE;
    int status;
    if (cmd_option(args, "device")) {
        status = cmd_connect_device(args, request);
    } else {
        struct cmd_reply reply =
            cmd_ask_quietly(args, "connector.get",
                            json_pack("{s:O}", "provider", json_object_get(request, "provider")));
        status = reply.status;
        if (status == CMD_DONE)
            status = connect_in_browser(args, json_object_get(reply.root, "connector"), request);
        cmd_reply_free(&reply);
    }
    json_decref(request);
    return status;
}

const struct cmd cmd_connect = {
    "connect",
    "OWNER PROVIDER[/ACCOUNT] [--reconnect CONNECTION] [--scope SCOPE]… [--set NAME=VALUE]…\n"
    "       [--redirect-uri URI] [--no-browser] [--device]",
    "get a person's consent, in a browser or on another device",
    options,
    2,
    2,
    run,
};
