#include "cmd/cmd_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd_fetch.h"
#include "cmd/cmd_reply.h"
#include "config/url.h"
#include "config/value.h"
#include "config/yaml.h"
#include "connector/discovery.h"

enum { URL_MAX = 4096, ENTRY_MAX = 1 << 18, ERRORS_MAX = 65536 };

static const struct cmd_option options[] = {
    {"register", NULL, "register a client there (RFC 7591); needs --redirect-uri and --output"},
    {"redirect-uri", "URI", "where a consent leads back to"},
    {"scope", "SCOPE", "what is asked for instead of all there is; may stand repeatedly"},
    {"name", "NAME", "of the client, for the people who consent (bursar)"},
    {"id", "ID", "of the provider in the configuration; of the URL's host by default"},
    {"output", "FILE", "write the entry, with the client's secret, to a new file (0600)"},
    {"config", "FILE", "the daemon's configuration, for its connectors.ca_file"},
    {"allow-loopback", NULL, "http:// on this machine too, for tests"},
    {"allow-private", NULL, "addresses of private networks too"},
    {NULL, NULL, NULL},
};

/* All that was found out; what points into documents borrows from them. */
struct discover {
    const struct cmd_args *args;
    struct cmd_fetch *fetch;
    bool allow_http;
    struct buf error; /* of the last step, one line */
    struct discovery_document documents[3];
    struct discovery_resource resource;
    struct discovery_server server;
    struct discovery_client client;
    bool has_resource, has_client;
    struct buf id, scopes;
};

enum { OF_RESOURCE, OF_SERVER, OF_CLIENT };

static int complain(const char *what, const struct buf *why)
{
    fprintf(stderr, "bursar discover: %s%s%s\n", what, why->len > 0 ? ": " : "",
            (const char *)buf_text(why).data);
    return CMD_REFUSED;
}

/* ---- documents ------------------------------------------------------------------------------------ */

/* Why a reply is no document, without a word of its own. */
static bool has_document(struct discover *self, struct text url, const struct http_reply *reply,
                         int status_to)
{
    buf_clear(&self->error);
    if (reply->end != EXCHANGE_REPLY)
        buf_printf(&self->error, "%.*s: %s", (int)url.len, url.data, reply->error);
    else if (reply->status < 200 || reply->status > status_to)
        buf_printf(&self->error, "%.*s: HTTP %d%s", (int)url.len, url.data, reply->status,
                   reply->status / 100 == 3 ? ", and redirects are not followed" : "");
    return self->error.len == 0;
}

/* Fetches a document into its place; what was there ends. */
static bool get(struct discover *self, struct text url, int place)
{
    struct http_reply reply;
    const char *problem = url_problem(url, self->allow_http);
    buf_clear(&self->error);
    if (problem) {
        buf_printf(&self->error, "its address %s", problem);
        return false;
    }
    cmd_fetch(self->fetch, url, (struct text){NULL, 0}, &reply);
    bool is_ok = has_document(self, url, &reply, 200);
    discovery_document_free(&self->documents[place]);
    if (is_ok)
        is_ok = discovery_parse(buf_text(&reply.body), &self->documents[place], &self->error) == 0;
    http_reply_free(&reply);
    return is_ok;
}

/* ---- the resource --------------------------------------------------------------------------------- */

/* A resource that is asked without a token says where its metadata are (RFC 9728 section 5). */
static bool find_challenge(struct discover *self, struct text url, struct buf *out)
{
    struct http_reply reply;
    cmd_fetch(self->fetch, url, (struct text){NULL, 0}, &reply);
    bool is_found = reply.end == EXCHANGE_REPLY && reply.status == 401 &&
                    discovery_challenge(http_reply_header(&reply, "WWW-Authenticate"), out);
    http_reply_free(&reply);
    return is_found && buf_error(out) == 0;
}

/* Whether the URL is a protected resource; one whose document is wrong is an error. */
static bool find_resource(struct discover *self, struct text url, bool *out_is_wrong)
{
    struct buf address = buf_make(URL_MAX);
    *out_is_wrong = false;
    bool is_there = discovery_url(DISCOVERY_RESOURCE, url, &address) == 0 &&
                    get(self, buf_text(&address), OF_RESOURCE);
    buf_clear(&address);
    if (!is_there && find_challenge(self, url, &address)) {
        is_there = get(self, buf_text(&address), OF_RESOURCE);
        *out_is_wrong = !is_there;
    }
    if (is_there) {
        self->has_resource =
            discovery_read_resource(&self->documents[OF_RESOURCE], url, self->allow_http,
                                    &self->resource, &self->error) == 0;
        *out_is_wrong = !self->has_resource;
    }
    buf_free(&address);
    return self->has_resource;
}

/* ---- the server ----------------------------------------------------------------------------------- */

/* Of several places one is enough; what is wrong with a document that is there says more than that
 * there is none elsewhere. */
static bool find_server(struct discover *self, struct text issuer)
{
    struct buf wrong = buf_make(URL_MAX);
    bool is_found = false;
    for (int place = DISCOVERY_OAUTH; place < DISCOVERY_PLACE_COUNT && !is_found; place++) {
        struct buf address = buf_make(URL_MAX);
        bool is_there = discovery_url((enum discovery_place)place, issuer, &address) == 0 &&
                        get(self, buf_text(&address), OF_SERVER);
        is_found =
            is_there && discovery_read_server(&self->documents[OF_SERVER], issuer, self->allow_http,
                                              &self->server, &self->error) == 0;
        if (is_there && !is_found && wrong.len == 0)
            buf_append_text(&wrong, buf_text(&self->error));
        buf_free(&address);
    }
    if (!is_found && wrong.len > 0) {
        buf_clear(&self->error);
        buf_append_text(&self->error, buf_text(&wrong));
    }
    buf_free(&wrong);
    return is_found;
}

/* The words of --scope, and whether all of them can stand in a list. */
static bool join_scopes(const struct cmd_args *args, struct buf *out)
{
    const char *scope;
    for (size_t i = 0; (scope = cmd_option_item(args, "scope", i)); i++) {
        if (!text_is_printable(text_of(scope)))
            return false;
        buf_append_string(out, i > 0 ? " " : "");
        buf_append_string(out, scope);
    }
    return buf_error(out) == 0;
}

static struct text wanted_scopes(const struct discover *self)
{
    return self->scopes.len > 0 ? buf_text(&self->scopes) : (struct text){NULL, 0};
}

static int register_client(struct discover *self)
{
    struct http_reply reply;
    struct buf body = buf_make(ENTRY_MAX);
    const char *name = cmd_option(self->args, "name");
    struct text url = self->server.registration_url;
    buf_clear(&self->error);
    if (!url.data)
        return complain("the server registers nobody by itself: register a client there by hand, "
                        "and fill it in",
                        &self->error);
    discovery_write_registration(&self->server, text_of(cmd_option(self->args, "redirect-uri")),
                                 text_of(name ? name : "bursar"), wanted_scopes(self), &body);
    cmd_fetch(self->fetch, url, buf_text(&body), &reply);
    buf_free(&body);
    /* A refusal is a document too (RFC 7591 section 3.2.2). */
    self->has_client =
        has_document(self, url, &reply, reply.status == 400 ? 400 : 201) &&
        discovery_parse(buf_text(&reply.body), &self->documents[OF_CLIENT], &self->error) == 0 &&
        discovery_read_registration(&self->documents[OF_CLIENT], &self->client, &self->error) == 0;
    http_reply_free(&reply);
    return self->has_client ? CMD_DONE : complain("not registered", &self->error);
}

/* ---- the entry ------------------------------------------------------------------------------------ */

static int write_file(const char *path, struct text text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_ok = fd >= 0;
    while (is_ok && text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        is_ok = n > 0 || (n < 0 && errno == EINTR);
        if (n > 0)
            text = (struct text){text.data + n, text.len - (size_t)n};
    }
    is_ok = is_ok && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && is_ok) {
        is_ok = false;
        error = errno;
    }
    if (is_ok) {
        printf("%s\n", path);
        return CMD_DONE;
    }
    fprintf(stderr, "bursar discover: %s: %s\n", path, strerror(error));
    return CMD_REFUSED;
}

static int give_entry(struct discover *self)
{
    const char *path = cmd_option(self->args, "output");
    struct discovery_entry entry = {.server = &self->server,
                                    .resource = self->has_resource ? &self->resource : NULL,
                                    .client = self->has_client ? &self->client : NULL,
                                    .redirect_uri = text_of(cmd_option(self->args, "redirect-uri")),
                                    .scopes = wanted_scopes(self)};
    struct buf out = buf_make_secret(ENTRY_MAX);
    discovery_write_entry(&entry, buf_text(&self->id), &out);
    int status = CMD_REFUSED;
    if (buf_error(&out) != 0)
        complain("the entry is too large", &self->error);
    else if (path)
        status = write_file(path, buf_text(&out));
    else
        status = cmd_write(buf_text(&out)) ? CMD_DONE : CMD_REFUSED;
    if (status == CMD_DONE && self->has_client && self->client.secret_expires_at > 0)
        fprintf(stderr, "bursar discover: the client's secret ends some day: see the file\n");
    buf_free(&out);
    return status;
}

/* ---- entry ---------------------------------------------------------------------------------------- */

static int discover(struct discover *self)
{
    struct text url = text_of(self->args->words[0]);
    bool is_wrong;
    bool has_resource = find_resource(self, url, &is_wrong);
    if (is_wrong)
        return complain("the resource's metadata", &self->error);
    bool is_found = false;
    for (size_t i = 0; has_resource && i < self->resource.servers.count && !is_found; i++)
        is_found = find_server(self, self->resource.servers.items[i]);
    if (!has_resource)
        is_found = find_server(self, url);
    buf_clear(&self->id);
    if (!is_found)
        return complain(has_resource ? "its authorization server"
                                     : "neither a protected resource nor an authorization server",
                        &self->error);
    if (cmd_option(self->args, "id"))
        buf_append_string(&self->id, cmd_option(self->args, "id"));
    else
        discovery_id(url, &self->id);
    int status = cmd_option(self->args, "register") ? register_client(self) : CMD_DONE;
    return status == CMD_DONE ? give_entry(self) : status;
}

static int check(const struct cmd_args *args, bool allow_http)
{
    const char *uri = cmd_option(args, "redirect-uri"), *id = cmd_option(args, "id");
    const char *output = cmd_option(args, "output");
    const char *problem = url_problem(text_of(args->words[0]), allow_http);
    if (problem)
        return cmd_usage(args->cmd, "URL %s", problem);
    if (id && !text_is_provider_id(text_of(id)))
        return cmd_usage(args->cmd, "--id must be a provider's id: [a-z0-9][a-z0-9_-]{0,63}");
    if (uri && url_problem(text_of(uri), true))
        return cmd_usage(args->cmd, "--redirect-uri %s", url_problem(text_of(uri), true));
    if (cmd_option(args, "register") && (!uri || !output))
        return cmd_usage(args->cmd, "--register needs --redirect-uri, and --output for the secret");
    if (output && access(output, F_OK) == 0) /* before anything is registered */
        return cmd_usage(args->cmd, "--output: %s exists already", output);
    return CMD_DONE;
}

/* The authorities that the daemon would ask: without --config those of the usual file, where it can be
 * read. Appends a C string, or nothing. */
static int find_authorities(const struct cmd_args *args, struct buf *out)
{
    const char *given = cmd_option(args, "config");
    const char *path = given ? given : BURSAR_SYSCONFDIR "/bursar.yaml";
    struct problems problems = {0};
    struct yaml *yaml = NULL;
    if (!given && access(path, R_OK) != 0)
        return CMD_DONE;
    int result = yaml_read_file(path, &problems, &yaml);
    const struct yaml_node *map = yaml ? yaml_get(yaml->root, "connectors") : NULL;
    const struct yaml_node *file = map ? yaml_get(map, "ca_file") : NULL;
    if (file && problems.count == 0) {
        struct spot spot = {.problems = &problems, .mark = file->mark};
        if (value_text(file, NULL, spot, out))
            buf_append_byte(out, 0);
    }
    bool is_ok = result == 0 && problems.count == 0;
    if (!is_ok) {
        struct buf errors = buf_make(ERRORS_MAX);
        problems_print(&problems, &errors);
        fprintf(stderr, "bursar discover: %s\n%.*s", path, (int)errors.len,
                errors.data ? (const char *)errors.data : "");
        buf_free(&errors);
    }
    yaml_free(yaml);
    problems_free(&problems);
    return is_ok ? CMD_DONE : CMD_REFUSED;
}

static int run(const struct cmd_args *args)
{
    bool allow_http = cmd_option(args, "allow-loopback") != NULL;
    struct buf authorities = buf_make(URL_MAX);
    struct http_options rules = {.allow_http_loopback = allow_http,
                                 .allow_private_addresses =
                                     cmd_option(args, "allow-private") != NULL};
    struct discover self = {.args = args,
                            .allow_http = allow_http,
                            .error = buf_make(URL_MAX * 2),
                            .id = buf_make(256),
                            .scopes = buf_make(URL_MAX)};
    int status = check(args, allow_http);
    if (status == CMD_DONE && !join_scopes(args, &self.scopes))
        status = cmd_usage(args->cmd, "--scope must be UTF-8 text");
    if (status == CMD_DONE)
        status = find_authorities(args, &authorities);
    if (status == CMD_DONE) {
        rules.ca_file = authorities.len > 0 ? (const char *)authorities.data : NULL;
        self.fetch = cmd_fetch_open(&rules);
        status = self.fetch ? discover(&self) : complain("out of memory", &self.error);
        cmd_fetch_close(self.fetch);
    }
    for (size_t i = 0; i < sizeof self.documents / sizeof self.documents[0]; i++)
        discovery_document_free(&self.documents[i]);
    buf_free(&self.error);
    buf_free(&self.id);
    buf_free(&self.scopes);
    buf_free(&authorities);
    return status;
}

const struct cmd cmd_discover = {
    "discover",
    "URL [--register --redirect-uri URI --output FILE] [--scope SCOPE]… [--id ID] [--name NAME]\n"
    "       [--allow-loopback] [--allow-private]",
    "make a provider's entry of what a service says of itself",
    options,
    1,
    1,
    run,
};
