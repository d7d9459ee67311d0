#include "connector/discovery.h"

#include <string.h>
#include <strings.h>

#include <bursar/error.h>

#include "config/url.h"
#include "wire/json.h"

enum { DOCUMENT_MAX = 2 << 20 };

static const struct text none = {NULL, 0};

/* ---- where documents are -------------------------------------------------------------------------- */

/* `https://host:port` and the path behind it. */
static bool split(struct text url, struct text *out_origin, struct text *out_path)
{
    const char *scheme = url.data ? memmem(url.data, url.len, "://", 3) : NULL;
    if (!scheme || url_problem(url, true) || memchr(url.data, '?', url.len))
        return false;
    size_t host = (size_t)(scheme - url.data) + 3;
    const char *slash = memchr(url.data + host, '/', url.len - host);
    size_t len = slash ? (size_t)(slash - url.data) : url.len;
    *out_origin = (struct text){url.data, len};
    *out_path = (struct text){url.data + len, url.len - len};
    return true;
}

int discovery_url(enum discovery_place place, struct text identifier, struct buf *out)
{
    static const char *const names[] = {
        [DISCOVERY_RESOURCE] = "/.well-known/oauth-protected-resource",
        [DISCOVERY_OAUTH] = "/.well-known/oauth-authorization-server",
        [DISCOVERY_OPENID_INSERTED] = "/.well-known/openid-configuration",
        [DISCOVERY_OPENID_APPENDED] = "/.well-known/openid-configuration"};
    struct text origin, path;
    if (!split(identifier, &origin, &path))
        return BURSAR_E_BAD_REQUEST;
    if (path.len > 0 && path.data[path.len - 1] == '/')
        path.len--;
    buf_append_text(out, origin);
    if (place == DISCOVERY_OPENID_APPENDED)
        buf_append_text(out, path);
    buf_append_string(out, names[place]);
    if (place != DISCOVERY_OPENID_APPENDED)
        buf_append_text(out, path);
    return buf_error(out);
}

/* A quoted string's content, without its backslashes (RFC 9110 section 5.6.4). */
static bool unquote(struct text text, struct buf *out)
{
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] == '"')
            return true;
        if (text.data[i] == '\\' && ++i == text.len)
            return false;
        buf_append_byte(out, (uint8_t)text.data[i]);
    }
    return false;
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

bool discovery_challenge(struct text header, struct buf *out_url)
{
    static const char name[] = "resource_metadata=";
    size_t name_len = strlen(name);
    bool is_quoted = false;
    for (size_t i = 0; i + name_len < header.len; i++) {
        if (is_quoted && header.data[i] == '\\')
            i++;
        else if (header.data[i] == '"')
            is_quoted = !is_quoted;
        if (is_quoted || strncasecmp(header.data + i, name, name_len) != 0 ||
            (i > 0 && !is_separator(header.data[i - 1])))
            continue;
        struct text value = {header.data + i + name_len, header.len - i - name_len};
        if (value.data[0] == '"')
            return unquote(value, out_url);
        while (value.len > 0 && !is_separator(value.data[0])) {
            buf_append_byte(out_url, (uint8_t)value.data[0]);
            value = (struct text){value.data + 1, value.len - 1};
        }
        return out_url->len > 0;
    }
    return false;
}

/* ---- documents ------------------------------------------------------------------------------------ */

int discovery_parse(struct text json, struct discovery_document *out_document, struct buf *error)
{
    struct discovery_document made = {buf_make_secret(DOCUMENT_MAX), tree_new()};
    int result = made.tree ? json_to_pack(json, &made.packed, error) : BURSAR_E_NOMEM;
    if (result == 0)
        result = tree_fill(made.tree, buf_text(&made.packed));
    if (result == 0 && node_type(tree_root(made.tree)) != NODE_MAP)
        result = BURSAR_E_BAD_REQUEST;
    if (result == 0) {
        *out_document = made;
        return 0;
    }
    if (error->len == 0)
        buf_append_string(error, "it is no JSON object");
    discovery_document_free(&made);
    return result;
}

void discovery_document_free(struct discovery_document *document)
{
    tree_free(document->tree);
    buf_free(&document->packed);
    *document = (struct discovery_document){.tree = NULL};
}

static struct text text_in(const struct discovery_document *document, const char *name)
{
    const struct node *node = node_get(tree_root(document->tree), name);
    struct text text = node_type(node) == NODE_TEXT ? node_text(node) : none;
    return text.len > 0 ? text : none;
}

static int refuse(struct buf *error, const char *name, const char *problem)
{
    buf_printf(error, "%s %s", name, problem);
    return BURSAR_E_BAD_REQUEST;
}

static bool holds(const struct discovery_list *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_is(list->items[i], word))
            return true;
    }
    return false;
}

/* What is too long, or no text that a line can show, is left out. */
static struct discovery_list list_in(const struct discovery_document *document, const char *name)
{
    const struct node *node = node_get(tree_root(document->tree), name);
    struct discovery_list list = {.count = 0};
    size_t count = node_type(node) == NODE_ARRAY ? node_count(node) : 0;
    for (size_t i = 0; i < count && list.count < DISCOVERY_LIST_MAX; i++) {
        const struct node *item = node_item(node, i);
        if (node_type(item) == NODE_TEXT && node_text(item).len > 0 &&
            node_text(item).len <= 2048 && text_is_printable(node_text(item)))
            list.items[list.count++] = node_text(item);
    }
    return list;
}

/* A URL of a document, or absent. */
static int take_url(const struct discovery_document *document, const char *name, bool allow_http,
                    struct text *out, struct buf *error)
{
    struct text url = text_in(document, name);
    const char *problem = url.data ? url_problem(url, allow_http) : NULL;
    if (problem)
        return refuse(error, name, problem);
    *out = url;
    return 0;
}

int discovery_read_resource(const struct discovery_document *document, struct text resource,
                            bool allow_http, struct discovery_resource *out, struct buf *error)
{
    struct discovery_resource made = {.servers = list_in(document, "authorization_servers"),
                                      .scopes = list_in(document, "scopes_supported")};
    int result = take_url(document, "resource", allow_http, &made.resource, error);
    if (result < 0)
        return result;
    if (!made.resource.data)
        return refuse(error, "resource", "is missing");
    if (resource.data && !text_equal(resource, made.resource))
        return refuse(error, "resource",
                      "is another one than was asked about (RFC 9728 section 3.3)");
    for (size_t i = 0; i < made.servers.count; i++) {
        const char *problem = url_problem(made.servers.items[i], allow_http);
        if (problem)
            return refuse(error, "authorization_servers", problem);
    }
    if (made.servers.count == 0)
        return refuse(error, "authorization_servers", "names none");
    *out = made;
    return 0;
}

/* What bursar can, best first; a list that is not there means the first (RFC 8414 section 2). */
static struct text choose_auth(const struct discovery_list *methods)
{
    static const char *const known[] = {"client_secret_basic", "client_secret_post", "none",
                                        "private_key_jwt", "tls_client_auth"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (methods->count == 0 || holds(methods, known[i]))
            return text_of(known[i]);
    }
    return none;
}

static struct text choose_pkce(const struct discovery_list *methods)
{
    /* A server that says nothing ignores what it does not know (RFC 6749 section 3.1). */
    if (methods->count == 0 || holds(methods, "S256"))
        return TEXT_LITERAL("s256");
    return holds(methods, "plain") ? TEXT_LITERAL("plain") : TEXT_LITERAL("none");
}

static bool is_true(const struct discovery_document *document, const char *name)
{
    return node_bool(node_get(tree_root(document->tree), name));
}

int discovery_read_server(const struct discovery_document *document, struct text issuer,
                          bool allow_http, struct discovery_server *out, struct buf *error)
{
    struct discovery_server made = {
        .scopes = list_in(document, "scopes_supported"),
        .has_iss = is_true(document, "authorization_response_iss_parameter_supported")};
    const struct {
        const char *name;
        struct text *to;
    } urls[] = {{"issuer", &made.issuer},
                {"authorization_endpoint", &made.authorize_url},
                {"token_endpoint", &made.token_url},
                {"registration_endpoint", &made.registration_url},
                {"device_authorization_endpoint", &made.device_url},
                {"revocation_endpoint", &made.revoke_url},
                {"userinfo_endpoint", &made.identity_url},
                {"introspection_endpoint", &made.introspection_url}};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        int result = take_url(document, urls[i].name, allow_http, urls[i].to, error);
        if (result < 0)
            return result;
    }
    if (!made.issuer.data || !text_equal(made.issuer, issuer))
        return refuse(error, "issuer",
                      "is another one than was asked about (RFC 8414 section 3.3)");
    if (!made.token_url.data)
        return refuse(error, "token_endpoint", "is missing");
    if (!made.authorize_url.data && !made.device_url.data)
        return refuse(error, "authorization_endpoint", "is missing");
    struct discovery_list auth = list_in(document, "token_endpoint_auth_methods_supported");
    struct discovery_list pkce = list_in(document, "code_challenge_methods_supported");
    struct discovery_list algorithms = list_in(document, "id_token_signing_alg_values_supported");
    made.client_auth = choose_auth(&auth);
    if (algorithms.count > 0 && !holds(&algorithms, "RS256"))
        made.id_token_alg = algorithms.items[0];
    made.pkce = choose_pkce(&pkce);
    if (!made.client_auth.data)
        return refuse(error, "token_endpoint_auth_methods_supported", "has none that bursar knows");
    *out = made;
    return 0;
}

/* ---- registration --------------------------------------------------------------------------------- */

static void member(struct buf *out, const char *before, const char *name, struct text value)
{
    buf_append_string(out, before);
    buf_append_json(out, text_of(name));
    buf_append_byte(out, ':');
    buf_append_json(out, value);
}

static bool is_loopback_uri(struct text uri)
{
    return uri.len > 5 && strncasecmp(uri.data, "http:", 5) == 0;
}

void discovery_write_registration(const struct discovery_server *server, struct text redirect_uri,
                                  struct text name, struct text scopes, struct buf *out)
{
    member(out, "{", "client_name", name);
    buf_append_string(out, ",\"redirect_uris\":[");
    buf_append_json(out, redirect_uri);
    buf_append_string(out, "],\"grant_types\":[\"authorization_code\",\"refresh_token\"");
    if (server->device_url.data)
        buf_append_string(out, ",\"urn:ietf:params:oauth:grant-type:device_code\"");
    buf_append_string(out, "],\"response_types\":[\"code\"]");
    member(out, ",", "token_endpoint_auth_method", server->client_auth);
    /* OpenID Connect Registration 1.0 section 2: only such a client may lead back to http. */
    member(out, ",", "application_type",
           is_loopback_uri(redirect_uri) ? TEXT_LITERAL("native") : TEXT_LITERAL("web"));
    if (server->id_token_alg.data) /* of a token that is not looked at, but would be refused */
        member(out, ",", "id_token_signed_response_alg", server->id_token_alg);
    if (scopes.data)
        member(out, ",", "scope", scopes);
    buf_append_byte(out, '}');
}

static void say(struct text text, struct buf *error)
{
    if (text.data && text.len <= 256 && text_is_printable(text)) {
        buf_append_string(error, error->len > 0 ? ": " : "");
        buf_append_text(error, text);
    }
}

int discovery_read_registration(const struct discovery_document *document,
                                struct discovery_client *out, struct buf *error)
{
    struct discovery_client made = {
        .client_id = text_in(document, "client_id"),
        .client_secret = text_in(document, "client_secret"),
        .client_auth = text_in(document, "token_endpoint_auth_method"),
        .secret_expires_at =
            node_int(node_get(tree_root(document->tree), "client_secret_expires_at")),
        .management_url = text_in(document, "registration_client_uri"),
        .management_token = text_in(document, "registration_access_token")};
    if (text_in(document, "error").data) {
        say(text_in(document, "error"), error);
        say(text_in(document, "error_description"), error);
        return BURSAR_E_BAD_REQUEST;
    }
    if (!made.client_id.data)
        return refuse(error, "client_id", "is missing");
    *out = made;
    return 0;
}

/* ---- the entry ------------------------------------------------------------------------------------ */

void discovery_id(struct text url, struct buf *out)
{
    struct text origin, path;
    if (!split(url, &origin, &path))
        return;
    const char *host = (const char *)memmem(origin.data, origin.len, "://", 3) + 3;
    size_t len = origin.len - (size_t)(host - origin.data);
    for (size_t i = 0; i < len && out->len < 64; i++) {
        char c = host[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (is_word)
            buf_append_byte(out, (uint8_t)c);
        else if (out->len > 0 && out->data[out->len - 1] != '-')
            buf_append_byte(out, '-');
    }
    if (out->len > 0 && out->data[out->len - 1] == '-')
        buf_truncate(out, out->len - 1);
}

/* Every JSON string is a scalar of YAML. `${` would be looked up by the configuration. */
static void scalar(struct buf *out, struct text value)
{
    struct buf escaped = buf_make_secret(value.len * 2 + 1);
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '$' && i + 1 < value.len && value.data[i + 1] == '{')
            buf_append_byte(&escaped, '$');
        buf_append_byte(&escaped, (uint8_t)value.data[i]);
    }
    buf_append_json(out, value.len > 0 ? buf_text(&escaped) : TEXT_LITERAL(""));
    buf_free(&escaped);
}

static void line(struct buf *out, const char *name, struct text value)
{
    if (!value.data)
        return;
    buf_printf(out, "  %s: ", name);
    scalar(out, value);
    buf_append_byte(out, '\n');
}

static void write_client(const struct discovery_entry *entry, struct buf *out)
{
    const struct discovery_client *client = entry->client;
    struct text auth =
        client && client->client_auth.data ? client->client_auth : entry->server->client_auth;
    if (!client) {
        buf_append_string(out, "  client_id: \"\" # as the provider gives it\n");
        if (!text_is(auth, "none"))
            buf_append_string(out, "  # client_secret: ${secret:NAME}\n");
    } else {
        line(out, "client_id", client->client_id);
        line(out, "client_secret", client->client_secret);
        if (client->secret_expires_at > 0)
            buf_printf(out, "  # the secret ends at %lld, seconds since 1970\n",
                       (long long)client->secret_expires_at);
        if (!client->client_secret.data)
            auth = TEXT_LITERAL("none");
    }
    line(out, "client_auth", auth);
}

static void write_scopes(const struct discovery_entry *entry, struct buf *out)
{
    const struct discovery_list *known = entry->resource && entry->resource->scopes.count > 0
                                             ? &entry->resource->scopes
                                             : &entry->server->scopes;
    const char *gap = "";
    buf_append_string(out, "  scopes: [");
    for (size_t i = 0; entry->scopes.data && i < entry->scopes.len;) {
        const char *from = entry->scopes.data + i;
        const char *end = memchr(from, ' ', entry->scopes.len - i);
        size_t len = end ? (size_t)(end - from) : entry->scopes.len - i;
        if (len > 0) {
            buf_append_string(out, gap);
            scalar(out, (struct text){from, len});
            gap = ", ";
        }
        i += len + 1;
    }
    for (size_t i = 0; !entry->scopes.data && i < known->count; i++) {
        buf_append_string(out, gap);
        scalar(out, known->items[i]);
        gap = ", ";
    }
    buf_append_string(out, "]\n");
}

/* RFC 8707: a token is asked for the resource that it is for. */
static void write_resource(struct text resource, struct buf *out)
{
    static const char *const names[] = {"authorize_params", "token_params", "refresh_params"};
    for (size_t i = 0; resource.data && i < sizeof names / sizeof names[0]; i++) {
        buf_printf(out, "  %s: {resource: ", names[i]);
        scalar(out, resource);
        buf_append_string(out, "}\n");
    }
}

static void write_management(const struct discovery_client *client, struct buf *out)
{
    if (!client || !client->management_url.data || !client->management_token.data)
        return;
    buf_append_string(out, "  # To change or end this registration (RFC 7592):\n  #   ");
    scalar(out, client->management_url);
    buf_append_string(out, "\n  #   ");
    scalar(out, client->management_token);
    buf_append_byte(out, '\n');
}

void discovery_write_entry(const struct discovery_entry *entry, struct text id, struct buf *out)
{
    const struct discovery_server *server = entry->server;
    bool has_browser = server->authorize_url.data != NULL;
    buf_append_text(out, id);
    buf_append_string(out, ":\n");
    line(out, "kind",
         has_browser ? TEXT_LITERAL("oauth2_authorization_code") : TEXT_LITERAL("oauth2_device"));
    line(out, "issuer", server->issuer);
    if (server->has_iss && has_browser)
        buf_append_string(out, "  require_iss: true\n");
    line(out, "authorize_url", server->authorize_url);
    line(out, "token_url", server->token_url);
    line(out, "device_url", server->device_url);
    line(out, "revoke_url", server->revoke_url);
    line(out, "identity_url", server->identity_url);
    line(out, "introspection_url", server->introspection_url);
    write_client(entry, out);
    if (has_browser) {
        line(out, "pkce", server->pkce);
        buf_append_string(out, "  redirect_uris: [");
        if (entry->redirect_uri.data)
            scalar(out, entry->redirect_uri);
        buf_append_string(out, "]\n");
    }
    write_scopes(entry, out);
    if (entry->resource)
        write_resource(entry->resource->resource, out);
    write_management(entry->client, out);
}
