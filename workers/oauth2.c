#include "oauth2.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "apply.h"
#include "json.h"
#include "jwt.h"

enum { ASSERTION_LIFE_S = 300, SCOPE_ITEMS_MAX = 256 };

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

struct bursar_text oauth2_part(const struct bursar_call *call, const char *name)
{
    struct bursar_text part = call->secret(call, name);
    return part.data ? part : call->setting(call, name);
}

const char *oauth2_string(const struct bursar_call *call, struct bursar_text text)
{
    const struct bursar_text parts[] = {text, {"", 1}};
    return text.data ? call->join(call, parts, 2).data : NULL;
}

/* ---- requests ------------------------------------------------------------------------------------- */

struct bursar_text oauth2_setting(const struct bursar_call *call, const char *name)
{
    return call->expand(call, call->setting(call, name), false);
}

int oauth2_more_headers(const struct bursar_call *call, const char *setting)
{
    struct bursar_text name, value;
    for (size_t i = 0; call->setting_item(call, setting, i, &name, &value); i++) {
        value = call->expand(call, value, false);
        if (!value.data)
            return BURSAR_E_CONFIG;
        oauth2_emit(call, BURSAR_REQ_HEADER, oauth2_string(call, name), value);
    }
    return 0;
}

struct bursar_text oauth2_item(const struct bursar_call *call, const char *setting,
                               const char *wanted)
{
    struct bursar_text name, value;
    for (size_t i = 0; call->setting_item(call, setting, i, &name, &value); i++) {
        if (name.data && name.len == strlen(wanted) &&
            strncasecmp(name.data, wanted, name.len) == 0)
            return value;
    }
    return absent;
}

int oauth2_body(const struct bursar_call *call, const char *headers, struct bursar_text body,
                const char *type)
{
    struct bursar_text given = oauth2_item(call, headers, "Content-Type");
    if (!given.data) {
        given = oauth2_text(type);
        oauth2_emit(call, BURSAR_REQ_HEADER, "Content-Type", given);
    }
    body = json_fill(call, body, json_place_of(given));
    if (!body.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_BODY, NULL, body);
    return 0;
}

int oauth2_headers(const struct bursar_call *call, const char *setting)
{
    struct bursar_text agent = call->setting(call, "user_agent");
    if (agent.data) {
        agent = call->expand(call, agent, false);
        if (!agent.data)
            return BURSAR_E_CONFIG;
        oauth2_emit(call, BURSAR_REQ_HEADER, "User-Agent", agent);
    }
    if (!oauth2_item(call, setting, "Accept").data)
        oauth2_emit(call, BURSAR_REQ_HEADER, "Accept", oauth2_text("application/json"));
    return oauth2_more_headers(call, setting);
}

int oauth2_begin(const struct bursar_call *call, const char *url, const char *otherwise,
                 const char *params, const char *headers, struct oauth2_request *out_request)
{
    struct bursar_text to = call->setting(call, url);
    if (!to.data && otherwise)
        to = call->setting(call, otherwise);
    if (!to.data)
        return BURSAR_E_UNSUPPORTED_OP;
    to = call->expand(call, to, true);
    if (!to.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_URL, NULL, to);
    *out_request = (struct oauth2_request){
        .call = call, .params = params, .url = to, .auth = "client_auth", .part = BURSAR_REQ_FORM};
    oauth2_format(out_request, call->setting(call, "body_format"));
    return oauth2_headers(call, headers);
}

void oauth2_format(struct oauth2_request *request, struct bursar_text format)
{
    if (format.data)
        request->part = oauth2_is(format, "json")    ? BURSAR_REQ_JSON
                        : oauth2_is(format, "query") ? BURSAR_REQ_QUERY
                                                     : BURSAR_REQ_FORM;
}

void oauth2_method(struct oauth2_request *request, struct bursar_text method)
{
    oauth2_emit(request->call, BURSAR_REQ_METHOD, NULL, method);
    if (oauth2_is(method, "GET"))
        request->part = BURSAR_REQ_QUERY;
}

struct bursar_text oauth2_name(const struct bursar_call *call, const char *name)
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

static void emit_param(const struct oauth2_request *request, struct bursar_text name,
                       struct bursar_text value)
{
    oauth2_emit(request->call, request->part, oauth2_string(request->call, name), value);
}

void oauth2_param(const struct oauth2_request *request, const char *name, struct bursar_text value)
{
    struct bursar_text theirs = oauth2_name(request->call, name);
    if (value.data && value.len > 0 && theirs.len > 0 && !is_overridden(request, theirs) &&
        !is_overridden(request, oauth2_text(name)))
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
        if (value.len > 0)
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
    struct bursar_text audience = oauth2_setting(call, "assertion_audience");
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
    struct bursar_text how = call->setting(call, request->auth);
    if (!how.data)
        how = call->setting(call, "client_auth");
    if (oauth2_is(how, "access_token"))
        return apply_secret(call, request->part);
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

void oauth2_problem(const struct bursar_call *call, const char *key, const char *what)
{
    call->emit(call, BURSAR_OUT_PROBLEM, key, what, strlen(what));
}

/* Whether an entry itself puts the client's secret somewhere. */
static bool names_secret(const struct bursar_call *call, const char *setting)
{
    static const char placeholder[] = "{client_secret}";
    struct bursar_text name, value;
    for (size_t i = 0; call->setting_item(call, setting, i, &name, &value); i++) {
        for (size_t at = 0; at + sizeof placeholder - 1 <= value.len; at++) {
            if (memcmp(value.data + at, placeholder, sizeof placeholder - 1) == 0)
                return true;
        }
    }
    return false;
}

/* YYYY-MM-DD, and no 30th of February, which would become another day. */
static bool is_day(const char *text)
{
    struct tm given = {0}, found;
    const char *rest = text ? strptime(text, "%Y-%m-%d", &given) : NULL;
    found = given;
    timegm(&found); /* makes a day that there is of it */
    return rest && *rest == 0 && rest - text == 10 && !strchr(text, ' ') &&
           found.tm_mday == given.tm_mday && found.tm_mon == given.tm_mon;
}

static void check_date(const struct bursar_call *call, const char *name)
{
    struct bursar_text text = call->setting(call, name);
    if (text.data && !is_day(oauth2_string(call, text)))
        oauth2_problem(call, name, "must be a day, as in 2027-01-31");
}

void oauth2_check_client(const struct bursar_call *call)
{
    struct bursar_text how = call->setting(call, "client_auth");
    if (oauth2_is(how, "private_key_jwt") && !call->setting(call, "private_key").data)
        oauth2_problem(call, "private_key", "is needed for private_key_jwt");
    if (oauth2_is(how, "tls_client_auth") && (!call->setting(call, "tls_certificate_file").data ||
                                              !call->setting(call, "tls_key_file").data))
        oauth2_problem(call, "tls_certificate_file",
                       "and tls_key_file are needed for tls_client_auth");
    bool is_sent = names_secret(call, "headers") || names_secret(call, "token_params");
    if (oauth2_is(how, "none") && call->setting(call, "client_secret").data && !is_sent)
        oauth2_problem(call, "client_secret", "is never sent with client_auth none");
    if (call->setting(call, "client_secret_next").data &&
        !call->setting(call, "client_secret").data)
        oauth2_problem(call, "client_secret_next", "follows a client_secret, and there is none");
    check_date(call, "client_secret_expires_at");
}
