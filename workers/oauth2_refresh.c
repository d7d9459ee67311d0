/* oauth2_refresh: an OAuth 2.0 refresh token grant (RFC 6749 section 6). */
#include <bursar/connector.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bursar_option options[] = {
    {"token_url", BURSAR_OPTION_URL, .required = true, .help = "the token endpoint"},
    {"revoke_url", BURSAR_OPTION_URL, .help = "the revocation endpoint (RFC 7009)"},
    {"client_id", BURSAR_OPTION_STRING, .required = true, .help = "our client"},
    {"client_secret", BURSAR_OPTION_SECRET, .help = "its secret; absent: a public client"},
    {"client_auth", BURSAR_OPTION_CHOICE, .choices = "client_secret_basic|client_secret_post|none",
     .default_text = "client_secret_basic", .help = "how the client shows who it is"},
    {"scopes", BURSAR_OPTION_LIST, .help = "asked for at each refresh; absent: as granted"},
    {"scope_separator", BURSAR_OPTION_STRING, .default_text = " ", .help = "between scopes"},
    {"refresh_params", BURSAR_OPTION_MAP, .help = "further parameters of a refresh"},
    {"headers", BURSAR_OPTION_MAP, .help = "further headers of a token request"},
    {0},
};

static const struct bursar_option shared_options[] = {
    {"refresh_token", BURSAR_OPTION_SECRET, .required = true,
     .help = "the one to begin with; a changed one wins over what was rotated since"},
    {0},
};

static void emit_text(const struct bursar_call *call, enum bursar_emit part, const char *name,
                      struct bursar_text value)
{
    call->emit(call, part, name, value.data, value.len);
}

static void emit_string(const struct bursar_call *call, enum bursar_emit part, const char *name,
                        const char *value)
{
    call->emit(call, part, name, value, strlen(value));
}

static bool is_text(struct bursar_text text, const char *string)
{
    return text.data && text.len == strlen(string) && memcmp(text.data, string, text.len) == 0;
}

/* RFC 6749 section 2.3.1. A basic user is a C string: settings are NUL-terminated. */
static void emit_client(const struct bursar_call *call)
{
    struct bursar_text id = call->setting(call, "client_id");
    struct bursar_text secret = call->setting(call, "client_secret");
    struct bursar_text how = call->setting(call, "client_auth");
    if (is_text(how, "client_secret_basic") && secret.data) {
        emit_text(call, BURSAR_REQ_BASIC, id.data, secret);
        return;
    }
    emit_text(call, BURSAR_REQ_FORM, "client_id", id);
    if (is_text(how, "client_secret_post") && secret.data)
        emit_text(call, BURSAR_REQ_FORM, "client_secret", secret);
}

static int emit_scopes(const struct bursar_call *call)
{
    char joined[4096];
    size_t len = 0;
    struct bursar_text name, scope;
    struct bursar_text separator = call->setting(call, "scope_separator");
    for (size_t i = 0; call->setting_item(call, "scopes", i, &name, &scope); i++) {
        size_t gap = i > 0 ? separator.len : 0;
        if (len + gap + scope.len > sizeof joined)
            return BURSAR_E_TOO_BIG;
        if (gap > 0)
            memcpy(joined + len, separator.data, gap);
        memcpy(joined + len + gap, scope.data, scope.len);
        len += gap + scope.len;
    }
    if (len > 0)
        call->emit(call, BURSAR_REQ_FORM, "scope", joined, len);
    return 0;
}

static void emit_map(const struct bursar_call *call, const char *setting, enum bursar_emit part)
{
    struct bursar_text name, value;
    for (size_t i = 0; call->setting_item(call, setting, i, &name, &value); i++)
        emit_text(call, part, name.data, value);
}

static int build_refresh(const struct bursar_call *call)
{
    struct bursar_text refresh_token = call->secret(call, "refresh_token");
    if (!refresh_token.data)
        return BURSAR_E_NEEDS_REAUTH;
    emit_text(call, BURSAR_REQ_URL, NULL, call->setting(call, "token_url"));
    emit_string(call, BURSAR_REQ_HEADER, "Accept", "application/json");
    emit_map(call, "headers", BURSAR_REQ_HEADER);
    emit_string(call, BURSAR_REQ_FORM, "grant_type", "refresh_token");
    emit_text(call, BURSAR_REQ_FORM, "refresh_token", refresh_token);
    int result = emit_scopes(call);
    emit_map(call, "refresh_params", BURSAR_REQ_FORM);
    emit_client(call);
    return result;
}

/* RFC 7009 section 2.1: the refresh token where there is one, for it ends the whole grant. */
static int build_revoke(const struct bursar_call *call)
{
    struct bursar_text url = call->setting(call, "revoke_url");
    struct bursar_text token = call->secret(call, "refresh_token");
    const char *hint = token.data ? "refresh_token" : "access_token";
    if (!token.data)
        token = call->secret(call, "access_token");
    if (!url.data || !token.data)
        return BURSAR_E_UNSUPPORTED_OP;
    emit_text(call, BURSAR_REQ_URL, NULL, url);
    emit_text(call, BURSAR_REQ_FORM, "token", token);
    emit_string(call, BURSAR_REQ_FORM, "token_type_hint", hint);
    emit_client(call);
    return 0;
}

static int seed(const struct bursar_call *call)
{
    emit_string(call, BURSAR_OUT_FIELD, "kind", "oauth2");
    emit_text(call, BURSAR_OUT_FIELD, "refresh_token", call->setting(call, "refresh_token"));
    return 0;
}

/* ---- the reply --------------------------------------------------------------------------------- */

static void emit_json_text(const struct bursar_call *call, enum bursar_emit part, json_t *value)
{
    if (json_is_string(value) && json_string_length(value) > 0)
        call->emit(call, part, NULL, json_string_value(value), json_string_length(value));
}

/* A number comes as a number or, from many, as a text. */
static void emit_json_number(const struct bursar_call *call, enum bursar_emit part, json_t *value)
{
    char text[64];
    if (json_is_string(value)) {
        emit_json_text(call, part, value);
        return;
    }
    if (!json_is_number(value))
        return;
    int len = json_is_integer(value)
                  ? snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value))
                  : snprintf(text, sizeof text, "%.3f", json_real_value(value));
    if (len > 0 && (size_t)len < sizeof text)
        call->emit(call, part, NULL, text, (size_t)len);
}

/* RFC 6749 section 3.3 says one text with spaces; some send a list. */
static void emit_json_scopes(const struct bursar_call *call, json_t *value)
{
    char joined[4096];
    size_t len = 0, i;
    json_t *item;
    if (json_is_string(value) && json_string_length(value) <= sizeof joined)
        emit_json_text(call, BURSAR_OUT_SCOPES, value); /* a longer one counts as absent */
    json_array_foreach(value, i, item) {
        size_t item_len = json_string_length(item);
        if (!json_is_string(item) || len + item_len + 1 > sizeof joined)
            return;
        if (len > 0)
            joined[len++] = ' ';
        memcpy(joined + len, json_string_value(item), item_len);
        len += item_len;
    }
    if (len > 0)
        call->emit(call, BURSAR_OUT_SCOPES, NULL, joined, len);
}

/* The parts of the reply that are not said elsewhere are kept as fields, where they are texts:
 * instance URLs and the like that some providers send beside the token. */
static void emit_fields(const struct bursar_call *call, json_t *root)
{
    static const char *const known[] = {"access_token",
                                        "refresh_token",
                                        "token_type",
                                        "expires_in",
                                        "scope",
                                        "error",
                                        "error_description",
                                        "expires",
                                        "id_token",
                                        "refresh_token_expires_in"};
    const char *name;
    json_t *value;
    size_t left = 16;
    json_object_foreach(root, name, value) {
        bool is_known = strlen(name) > 63;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (is_known || !json_is_string(value) || json_string_length(value) > 2048 || left == 0)
            continue;
        left--;
        call->emit(call, BURSAR_OUT_FIELD, name, json_string_value(value),
                   json_string_length(value));
    }
}

static enum bursar_read read_object(const struct bursar_call *call, json_t *root)
{
    json_t *error = json_object_get(root, "error");
    if (error && !json_is_null(error)) { /* some say so with a 200 */
        emit_json_text(call, BURSAR_OUT_ERROR,
                       json_is_object(error) ? json_object_get(error, "code") : error);
        emit_json_text(call, BURSAR_OUT_ERROR_TEXT, json_object_get(root, "error_description"));
        return BURSAR_READ_ERROR;
    }
    json_t *token = json_object_get(root, "access_token");
    if (!json_is_string(token) || json_string_length(token) == 0)
        return BURSAR_READ_MALFORMED;
    emit_json_text(call, BURSAR_OUT_ACCESS_TOKEN, token);
    emit_json_text(call, BURSAR_OUT_TOKEN_TYPE, json_object_get(root, "token_type"));
    emit_json_text(call, BURSAR_OUT_REFRESH_TOKEN, json_object_get(root, "refresh_token"));
    emit_json_number(call, BURSAR_OUT_EXPIRES, json_object_get(root, "expires_in"));
    emit_json_number(call, BURSAR_OUT_REFRESH_EXPIRES_IN,
                     json_object_get(root, "refresh_token_expires_in"));
    emit_json_scopes(call, json_object_get(root, "scope"));
    emit_fields(call, root);
    return BURSAR_READ_SECRET;
}

/* Blanks the number that ends before `end`, so that it reads as 0. */
static bool blank_number(char *text, size_t end)
{
    size_t start = end;
    while (start > 0 && strchr("0123456789+-.eE", text[start - 1]))
        start--;
    if (start == end)
        return false;
    memset(text + start, ' ', end - start);
    text[start] = '0';
    return true;
}

/* A number that no double holds, an absurd expiry say, must not cost the token that came with it. */
static json_t *load_with_absurd_numbers(struct bursar_text body)
{
    json_t *root = NULL;
    json_error_t error = {.position = 0};
    char *copy = malloc(body.len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, body.data, body.len);
    copy[body.len] = 0;
    for (int i = 0; i < 8 && !root; i++) {
        root = json_loadb(copy, body.len, JSON_DECODE_INT_AS_REAL, &error);
        if (!root &&
            (json_error_code(&error) != json_error_numeric_overflow || error.position < 0 ||
             (size_t)error.position > body.len || !blank_number(copy, (size_t)error.position)))
            break;
    }
    explicit_bzero(copy, body.len);
    free(copy);
    return root;
}

static enum bursar_read read_refresh(const struct bursar_call *call,
                                     const struct bursar_response *response)
{
    json_error_t error;
    json_t *root =
        json_loadb(response->body.data, response->body.len, JSON_DECODE_INT_AS_REAL, &error);
    enum bursar_read read = BURSAR_READ_MALFORMED;
    if (!root && json_error_code(&error) == json_error_numeric_overflow)
        root = load_with_absurd_numbers(response->body);
    if (json_is_object(root))
        read = read_object(call, root);
    json_decref(root);
    return read;
}

const struct bursar_connector bursar_connector_oauth2_refresh = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "oauth2_refresh",
    .summary = "an OAuth 2.0 grant that is kept alive by its refresh token",
    .flags = BURSAR_CONNECTOR_REFRESHES,
    .secret_kind = "oauth2",
    .options = options,
    .shared_options = shared_options,
    .seed = seed,
    .build_refresh = build_refresh,
    .read_refresh = read_refresh,
    .build_revoke = build_revoke,
};
