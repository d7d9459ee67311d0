#include "oauth2.h"

#include <stdio.h>
#include <string.h>

#include "jwt.h"

enum { ASSERTION_LIFE_S = 300, SCOPES_MAX = 4096, SCOPE_ITEMS_MAX = 256 };

static const struct bursar_text absent = {NULL, 0};

/* ---- texts ---------------------------------------------------------------------------------------- */

struct bursar_text oauth2_text(const char *string)
{
    return (struct bursar_text){string, strlen(string)};
}

bool oauth2_is(struct bursar_text text, const char *string)
{
    return text.data && text.len == strlen(string) && memcmp(text.data, string, text.len) == 0;
}

static bool is_same(struct bursar_text a, struct bursar_text b)
{
    return a.data && b.data && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

void oauth2_emit(const struct bursar_call *call, enum bursar_emit part, const char *name,
                 struct bursar_text value)
{
    if (value.data)
        call->emit(call, part, name, value.data, value.len);
}

const char *oauth2_string(const struct bursar_call *call, struct bursar_text text)
{
    const struct bursar_text parts[] = {text, {"", 1}};
    return text.data ? call->join(call, parts, 2).data : NULL;
}

/* ---- requests ------------------------------------------------------------------------------------- */

static int emit_headers(const struct bursar_call *call)
{
    struct bursar_text name, value, agent = call->setting(call, "user_agent");
    bool has_accept = false;
    if (agent.data) {
        agent = call->expand(call, agent, false);
        if (!agent.data)
            return BURSAR_E_CONFIG;
        oauth2_emit(call, BURSAR_REQ_HEADER, "User-Agent", agent);
    }
    for (size_t i = 0; call->setting_item(call, "headers", i, &name, &value); i++) {
        value = call->expand(call, value, false);
        if (!value.data)
            return BURSAR_E_CONFIG;
        has_accept = has_accept || oauth2_is(name, "Accept");
        oauth2_emit(call, BURSAR_REQ_HEADER, oauth2_string(call, name), value);
    }
    if (!has_accept)
        oauth2_emit(call, BURSAR_REQ_HEADER, "Accept", oauth2_text("application/json"));
    return 0;
}

int oauth2_begin(const struct bursar_call *call, const char *url, const char *otherwise,
                 const char *params, struct oauth2_request *out_request)
{
    struct bursar_text format = call->setting(call, "body_format");
    struct bursar_text to = call->setting(call, url);
    if (!to.data && otherwise)
        to = call->setting(call, otherwise);
    if (!to.data)
        return BURSAR_E_UNSUPPORTED_OP;
    to = call->expand(call, to, true);
    if (!to.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_URL, NULL, to);
    *out_request = (struct oauth2_request){.call = call,
                                           .params = params,
                                           .url = to,
                                           .format = oauth2_is(format, "json")    ? "json"
                                                     : oauth2_is(format, "query") ? "query"
                                                                                  : "form"};
    return emit_headers(call);
}

static void set_method(const struct oauth2_request *request, struct bursar_text method)
{
    oauth2_emit(request->call, BURSAR_REQ_METHOD, NULL, method);
}

/* What the provider calls a standard parameter. */
static struct bursar_text name_of(const struct bursar_call *call, const char *name)
{
    struct bursar_text standard, theirs;
    for (size_t i = 0; call->setting_item(call, "parameter_names", i, &standard, &theirs); i++) {
        if (oauth2_is(standard, name))
            return theirs;
    }
    return oauth2_text(name);
}

/* Whether the further parameters say themselves what stands there. */
static bool is_overridden(const struct oauth2_request *request, struct bursar_text name)
{
    struct bursar_text given, value;
    const struct bursar_call *call = request->call;
    for (size_t i = 0; call->setting_item(call, request->params, i, &given, &value); i++) {
        if (is_same(given, name))
            return true;
    }
    return false;
}

/* A parameter in a URL that is sent with GET stands there too, whatever the format of bodies. */
static void emit_param(const struct oauth2_request *request, struct bursar_text name,
                       struct bursar_text value)
{
    const struct bursar_call *call = request->call;
    enum bursar_emit part = strcmp(request->format, "json") == 0    ? BURSAR_REQ_JSON
                            : strcmp(request->format, "query") == 0 ? BURSAR_REQ_QUERY
                                                                    : BURSAR_REQ_FORM;
    oauth2_emit(call, part, oauth2_string(call, name), value);
}

void oauth2_param(const struct oauth2_request *request, const char *name, struct bursar_text value)
{
    struct bursar_text theirs = name_of(request->call, name);
    if (value.data && value.len > 0 && theirs.len > 0 && !is_overridden(request, theirs))
        emit_param(request, theirs, value);
}

int oauth2_params(const struct oauth2_request *request)
{
    struct bursar_text name, value;
    const struct bursar_call *call = request->call;
    for (size_t i = 0; call->setting_item(call, request->params, i, &name, &value); i++) {
        if (value.len == 0)
            continue;
        value = call->expand(call, value, false);
        if (!value.data)
            return BURSAR_E_CONFIG;
        emit_param(request, name, value);
    }
    return 0;
}

struct bursar_text oauth2_scopes(const struct bursar_call *call)
{
    struct bursar_text name, parts[SCOPE_ITEMS_MAX * 2];
    struct bursar_text separator = call->setting(call, "scope_separator");
    struct bursar_text given = call->input(call, "scopes");
    size_t count = 0;
    if (given.data) { /* space-delimited, as the wire has it */
        for (size_t i = 0; i < given.len && count + 2 <= SCOPE_ITEMS_MAX * 2;) {
            const char *end = memchr(given.data + i, ' ', given.len - i);
            size_t len = end ? (size_t)(end - given.data) - i : given.len - i;
            if (len > 0 && count > 0)
                parts[count++] = separator;
            if (len > 0)
                parts[count++] = (struct bursar_text){given.data + i, len};
            i += len + 1;
        }
    }
    for (size_t i = 0; !given.data && count + 2 <= SCOPE_ITEMS_MAX * 2 &&
                       call->setting_item(call, "scopes", i, &name, &parts[count + (i > 0)]);
         i++) {
        if (i > 0)
            parts[count++] = separator;
        count++;
    }
    return count > 0 ? call->join(call, parts, count) : absent;
}

/* ---- the client ----------------------------------------------------------------------------------- */

/* RFC 7523 section 2.2. */
static int show_assertion(const struct oauth2_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text audience = call->setting(call, "assertion_audience");
    struct bursar_text id = call->setting(call, "client_id");
    struct jwt_claims claims = jwt_claims(call);
    jwt_text(&claims, "iss", id);
    jwt_text(&claims, "sub", id);
    jwt_text(&claims, "aud", audience.data ? audience : request->url);
    jwt_id(&claims);
    jwt_time(&claims, "iat", call->now);
    jwt_time(&claims, "exp", call->now + ASSERTION_LIFE_S);
    struct bursar_text assertion =
        jwt_sign(&claims, call->setting(call, "key_algorithm"), call->setting(call, "key_id"),
                 call->setting(call, "private_key"));
    if (!assertion.data)
        return BURSAR_E_CONFIG;
    oauth2_param(request, "client_id", id);
    oauth2_param(request, "client_assertion_type",
                 oauth2_text("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    oauth2_param(request, "client_assertion", assertion);
    return 0;
}

static int show_certificate(const struct oauth2_request *request)
{
    const struct bursar_call *call = request->call;
    const char *file = oauth2_string(call, call->setting(call, "tls_certificate_file"));
    struct bursar_text key = call->setting(call, "tls_key_file");
    if (!file || !key.data)
        return BURSAR_E_CONFIG;
    oauth2_param(request, "client_id", call->setting(call, "client_id"));
    oauth2_emit(call, BURSAR_REQ_TLS, file, key);
    return 0;
}

int oauth2_client(const struct oauth2_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text id = call->setting(call, "client_id");
    struct bursar_text secret = call->setting(call, "client_secret");
    struct bursar_text how = call->setting(call, "client_auth");
    if (oauth2_is(how, "private_key_jwt"))
        return show_assertion(request);
    if (oauth2_is(how, "tls_client_auth"))
        return show_certificate(request);
    if (oauth2_is(how, "client_secret_basic") && secret.data && id.data) {
        bool is_raw = oauth2_is(call->setting(call, "basic_encoding"), "raw");
        oauth2_emit(call, is_raw ? BURSAR_REQ_BASIC_RAW : BURSAR_REQ_BASIC, oauth2_string(call, id),
                    secret);
        return 0;
    }
    oauth2_param(request, "client_id", id);
    if (oauth2_is(how, "client_secret_post"))
        oauth2_param(request, "client_secret", secret);
    return 0;
}

static void problem(const struct bursar_call *call, const char *key, const char *what)
{
    call->emit(call, BURSAR_OUT_PROBLEM, key, what, strlen(what));
}

void oauth2_check_client(const struct bursar_call *call)
{
    struct bursar_text how = call->setting(call, "client_auth");
    if (oauth2_is(how, "private_key_jwt") && !call->setting(call, "private_key").data)
        problem(call, "private_key", "is needed for private_key_jwt");
    if (oauth2_is(how, "tls_client_auth") && (!call->setting(call, "tls_certificate_file").data ||
                                              !call->setting(call, "tls_key_file").data))
        problem(call, "tls_certificate_file", "and tls_key_file are needed for tls_client_auth");
    if (oauth2_is(how, "none") && call->setting(call, "client_secret").data)
        problem(call, "client_secret", "is never sent with client_auth none");
}

/* ---- exchanges: requests -------------------------------------------------------------------------- */

int oauth2_build_refresh(const struct bursar_call *call)
{
    struct oauth2_request request;
    bool is_access = oauth2_is(call->setting(call, "refresh_with"), "access_token");
    struct bursar_text token = call->secret(call, is_access ? "access_token" : "refresh_token");
    struct bursar_text method = call->setting(call, "refresh_method");
    if (!token.data)
        return BURSAR_E_NEEDS_REAUTH;
    int result = oauth2_begin(call, "refresh_url", "token_url", "refresh_params", &request);
    if (result < 0)
        return result;
    set_method(&request, method.data ? method : call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "refresh_grant_type"));
    oauth2_param(&request, "refresh_token", token);
    if (!call->setting(call, "authorize_url").data && !call->setting(call, "device_url").data)
        oauth2_param(&request, "scope", oauth2_scopes(call)); /* else: as it was granted */
    oauth2_param(&request, "audience", call->setting(call, "audience"));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

/* RFC 6749 section 4.1.1. */
int oauth2_build_authorize(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result = oauth2_begin(call, "authorize_url", NULL, "authorize_params", &request);
    if (result < 0)
        return result;
    request.format = "query";
    oauth2_param(&request, "response_type", oauth2_text("code"));
    oauth2_param(&request, "client_id", call->setting(call, "client_id"));
    oauth2_param(&request, "redirect_uri", call->input(call, "redirect_uri"));
    oauth2_param(&request, "scope", oauth2_scopes(call));
    oauth2_param(&request, "audience", call->setting(call, "audience"));
    oauth2_param(&request, "state", call->input(call, "state"));
    oauth2_param(&request, "code_challenge", call->input(call, "code_challenge"));
    oauth2_param(&request, "code_challenge_method", call->input(call, "code_challenge_method"));
    return oauth2_params(&request);
}

/* RFC 6749 section 4.1.3. */
int oauth2_build_exchange(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result = oauth2_begin(call, "token_url", NULL, "token_params", &request);
    if (result < 0)
        return result;
    set_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "code_grant_type"));
    oauth2_param(&request, "code", call->input(call, "code"));
    oauth2_param(&request, "redirect_uri", call->input(call, "redirect_uri"));
    oauth2_param(&request, "code_verifier", call->input(call, "code_verifier"));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

/* RFC 8628 section 3.1. */
int oauth2_build_device(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result = oauth2_begin(call, "device_url", NULL, "device_params", &request);
    if (result < 0)
        return result;
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, oauth2_text("POST"));
    request.format = "form";
    oauth2_param(&request, "client_id", call->setting(call, "client_id"));
    oauth2_param(&request, "scope", oauth2_scopes(call));
    oauth2_param(&request, "audience", call->setting(call, "audience"));
    return oauth2_params(&request);
}

/* RFC 8628 section 3.4. */
int oauth2_build_poll(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result = oauth2_begin(call, "token_url", NULL, "", &request);
    if (result < 0)
        return result;
    set_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type",
                 oauth2_text("urn:ietf:params:oauth:grant-type:device_code"));
    oauth2_param(&request, "device_code", call->input(call, "device_code"));
    return oauth2_client(&request);
}

/* RFC 7009 section 2.1: the refresh token where there is one, for it ends the whole grant. */
int oauth2_build_revoke(const struct bursar_call *call)
{
    struct oauth2_request request;
    struct bursar_text token = call->secret(call, "refresh_token");
    const char *hint = token.data ? "refresh_token" : "access_token";
    if (!token.data)
        token = call->secret(call, "access_token");
    if (!token.data)
        return BURSAR_E_UNSUPPORTED_OP;
    int result = oauth2_begin(call, "revoke_url", NULL, "revoke_params", &request);
    if (result < 0)
        return result;
    set_method(&request, call->setting(call, "revoke_method"));
    oauth2_param(&request, "token", token);
    oauth2_param(&request, "token_type_hint", oauth2_text(hint));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

static int apply_row(const struct bursar_call *call, size_t row)
{
    static const struct {
        const char *in;
        enum bursar_emit part;
    } places[] = {{"header", BURSAR_REQ_HEADER}, {"query", BURSAR_REQ_QUERY}};
    char key[64];
    snprintf(key, sizeof key, "apply.%zu.name", row);
    const char *name = oauth2_string(call, call->setting(call, key));
    snprintf(key, sizeof key, "apply.%zu.value", row);
    struct bursar_text value = call->expand(call, call->setting(call, key), false);
    snprintf(key, sizeof key, "apply.%zu.in", row);
    struct bursar_text in = call->setting(call, key);
    if (!name || !value.data)
        return BURSAR_E_CONFIG;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (oauth2_is(in, places[i].in))
            oauth2_emit(call, places[i].part, name, value);
    }
    if (oauth2_is(in, "cookie")) {
        const struct bursar_text pair[] = {oauth2_text(name), oauth2_text("="), value};
        oauth2_emit(call, BURSAR_REQ_HEADER, "Cookie", call->join(call, pair, 3));
    }
    return 0;
}

/* RFC 6750 section 2.1, whatever token_type says. */
int oauth2_apply(const struct bursar_call *call)
{
    size_t rows = call->setting_rows(call, "apply");
    const struct bursar_text bearer[] = {oauth2_text("Bearer "),
                                         call->secret(call, "access_token")};
    if (rows == 0 && bearer[1].data)
        oauth2_emit(call, BURSAR_REQ_HEADER, "Authorization", call->join(call, bearer, 2));
    for (size_t i = 0; i < rows; i++) {
        int result = apply_row(call, i);
        if (result < 0)
            return result;
    }
    return 0;
}

int oauth2_build_identify(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result = oauth2_begin(call, "identity_url", NULL, "", &request);
    return result < 0 ? result : oauth2_apply(call);
}

/* ---- exchanges: replies --------------------------------------------------------------------------- */

static struct bursar_value find(const struct bursar_call *call,
                                const struct bursar_response *response, const char *path)
{
    struct bursar_text text = call->setting(call, path);
    return text.data ? response->find(response, text)
                     : (struct bursar_value){.type = BURSAR_VALUE_ABSENT};
}

static bool is_scalar(const struct bursar_value *value)
{
    return (value->type == BURSAR_VALUE_TEXT || value->type == BURSAR_VALUE_NUMBER) &&
           value->text.len > 0;
}

static struct bursar_text scalar(const struct bursar_call *call,
                                 const struct bursar_response *response, const char *path)
{
    struct bursar_value value = find(call, response, path);
    return is_scalar(&value) ? value.text : absent;
}

/* Whether what the entry says of a good reply is true of this one; true where it says nothing. */
static bool is_success(const struct bursar_call *call, const struct bursar_response *response,
                       bool *out_is_told)
{
    struct bursar_text name, predicate;
    size_t i = 0;
    bool is_true = true;
    for (; call->setting_item(call, "success", i, &name, &predicate); i++)
        is_true = is_true && response->holds(response, predicate);
    *out_is_told = i > 0;
    return is_true;
}

/* The error's code: a text or number, or the code of an object; `false`, 0 and "" are none. */
static struct bursar_text error_of(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    struct bursar_value value = find(call, response, "error_path");
    if (value.type == BURSAR_VALUE_TRUE)
        return oauth2_text("true");
    if (value.type == BURSAR_VALUE_MAP) {
        const struct bursar_text inner[] = {call->setting(call, "error_path"),
                                            oauth2_text(".code")};
        bool is_single = !memchr(inner[0].data, '|', inner[0].len);
        struct bursar_value code = {.type = BURSAR_VALUE_ABSENT};
        if (is_single)
            code = response->find(response, call->join(call, inner, 2));
        return is_scalar(&code) ? code.text : oauth2_text("error");
    }
    return is_scalar(&value) && !oauth2_is(value.text, "0") ? value.text : absent;
}

bool oauth2_read_error(const struct bursar_call *call, const struct bursar_response *response)
{
    struct bursar_text error = error_of(call, response);
    if (!error.data)
        return false;
    oauth2_emit(call, BURSAR_OUT_ERROR, NULL, error);
    oauth2_emit(call, BURSAR_OUT_ERROR_SUBCODE, NULL, scalar(call, response, "error_subcode_path"));
    oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL, scalar(call, response, "error_text_path"));
    return true;
}

/* RFC 6749 section 3.3 says one text with spaces; some send commas, some a list. */
static void read_scopes(const struct bursar_call *call, const struct bursar_response *response)
{
    char joined[SCOPES_MAX];
    size_t len = 0;
    struct bursar_text path = call->setting(call, "scope_path");
    struct bursar_value value = find(call, response, "scope_path");
    size_t count = value.type == BURSAR_VALUE_LIST ? value.count : 0;
    if (value.type == BURSAR_VALUE_TEXT && value.text.len <= sizeof joined) {
        memcpy(joined, value.text.data, value.text.len);
        len = value.text.len;
    }
    for (size_t i = 0; i < count && i < SCOPE_ITEMS_MAX; i++) {
        struct bursar_value item = response->find_item(response, path, i);
        if (!is_scalar(&item) || len + item.text.len + 1 > sizeof joined)
            return;
        if (len > 0)
            joined[len++] = ' ';
        memcpy(joined + len, item.text.data, item.text.len);
        len += item.text.len;
    }
    for (size_t i = 0; i < len; i++)
        joined[i] = joined[i] == ',' ? ' ' : joined[i];
    if (len > 0)
        call->emit(call, BURSAR_OUT_SCOPES, NULL, joined, len);
}

static void read_captures(const struct bursar_call *call, const struct bursar_response *response)
{
    struct bursar_text name, path;
    for (size_t i = 0; call->setting_item(call, "captures", i, &name, &path); i++) {
        struct bursar_value value = response->find(response, path);
        if (is_scalar(&value))
            oauth2_emit(call, BURSAR_OUT_FIELD, oauth2_string(call, name), value.text);
    }
}

/* What came back to the redirect URI beside the code, as the entry names it. */
static void read_callback(const struct bursar_call *call)
{
    struct bursar_text name, parameter;
    if (call->purpose != BURSAR_EXCHANGE)
        return;
    for (size_t i = 0; call->setting_item(call, "callback_captures", i, &name, &parameter); i++) {
        const char *key = oauth2_string(call, parameter);
        if (key)
            oauth2_emit(call, BURSAR_OUT_FIELD, oauth2_string(call, name), call->input(call, key));
    }
}

enum bursar_read oauth2_read_token(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    bool is_told;
    bool is_good = is_success(call, response, &is_told);
    if ((!is_told || !is_good) && oauth2_read_error(call, response))
        return BURSAR_READ_ERROR;
    struct bursar_value token = find(call, response, "access_token_path");
    if (!is_good && token.type == BURSAR_VALUE_ABSENT)
        return BURSAR_READ_MALFORMED;
    if (!is_good) { /* it says that it failed, and not why */
        oauth2_emit(call, BURSAR_OUT_ERROR, NULL, oauth2_text("unsuccessful"));
        return BURSAR_READ_ERROR;
    }
    if (token.type != BURSAR_VALUE_TEXT || token.text.len == 0)
        return BURSAR_READ_MALFORMED;
    oauth2_emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, token.text);
    oauth2_emit(call, BURSAR_OUT_TOKEN_TYPE, NULL, scalar(call, response, "token_type_path"));
    oauth2_emit(call, BURSAR_OUT_REFRESH_TOKEN, NULL, scalar(call, response, "refresh_token_path"));
    oauth2_emit(call, BURSAR_OUT_EXPIRES, NULL, scalar(call, response, "expires_path"));
    oauth2_emit(call, BURSAR_OUT_REFRESH_EXPIRES, NULL,
                scalar(call, response, "refresh_expires_path"));
    read_scopes(call, response);
    read_captures(call, response);
    read_callback(call);
    return BURSAR_READ_OK;
}

enum bursar_read oauth2_read_device(const struct bursar_call *call,
                                    const struct bursar_response *response)
{
    static const struct {
        enum bursar_emit part;
        const char *path;
    } parts[] = {
        {BURSAR_OUT_DEVICE_CODE, "$.device_code"},
        {BURSAR_OUT_USER_CODE, "$.user_code"},
        {BURSAR_OUT_VERIFICATION_URI, "$.verification_uri | $.verification_url"},
        {BURSAR_OUT_VERIFICATION_URI_COMPLETE,
         "$.verification_uri_complete | $.verification_url_complete"},
        {BURSAR_OUT_EXPIRES, "$.expires_in"},
        {BURSAR_OUT_INTERVAL, "$.interval"},
    };
    if (oauth2_read_error(call, response))
        return BURSAR_READ_ERROR;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct bursar_value value = response->find(response, oauth2_text(parts[i].path));
        if (is_scalar(&value))
            oauth2_emit(call, parts[i].part, parts[i].part == BURSAR_OUT_EXPIRES ? "s" : NULL,
                        value.text);
    }
    return BURSAR_READ_OK;
}

/* RFC 8628 section 3.5. */
enum bursar_read oauth2_read_poll(const struct bursar_call *call,
                                  const struct bursar_response *response)
{
    struct bursar_text error = error_of(call, response);
    bool is_slow = oauth2_is(error, "slow_down");
    if (!is_slow && !oauth2_is(error, "authorization_pending"))
        return oauth2_read_token(call, response);
    if (is_slow)
        oauth2_emit(call, BURSAR_OUT_ERROR, NULL, error);
    return BURSAR_READ_PENDING;
}

enum bursar_read oauth2_read_identify(const struct bursar_call *call,
                                      const struct bursar_response *response)
{
    if (response->status >= 400)
        return BURSAR_READ_ERROR;
    struct bursar_text account = scalar(call, response, "identity_path");
    oauth2_emit(call, BURSAR_OUT_ACCOUNT, NULL, account);
    return account.data ? BURSAR_READ_OK : BURSAR_READ_MALFORMED;
}
