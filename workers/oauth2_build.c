/* The requests of OAuth 2.0, as an entry's data says them. */
#include "apply.h"
#include "json.h"
#include "oauth2.h"

static const struct bursar_text absent = {NULL, 0};

int oauth2_build_refresh(const struct bursar_call *call)
{
    struct oauth2_request request;
    bool is_access = oauth2_is(call->setting(call, "refresh_with"), "access_token");
    struct bursar_text token = call->secret(call, is_access ? "access_token" : "refresh_token");
    struct bursar_text method = call->setting(call, "refresh_method");
    if (!token.data)
        return BURSAR_E_NEEDS_REAUTH;
    int result = oauth2_begin(call, "refresh_url", "token_url", "refresh_params",
                              OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, method.data ? method : call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "refresh_grant_type"));
    oauth2_param(&request, "refresh_token", token);
    if (!call->setting(call, "authorize_url").data && !call->setting(call, "device_url").data)
        oauth2_param(&request, "scope", oauth2_scopes(call)); /* else: as it was granted */
    oauth2_param(&request, "audience", oauth2_setting(call, "audience"));
    result = oauth2_params(&request);
    request.auth = "refresh_auth";
    return result < 0 ? result : oauth2_client(&request);
}

/* RFC 6749 section 4.1.3 wants it in both requests or in neither; some take it in the first alone. What
 * an application is registered with decides, so it may be the connection's to say. */
static int add_redirect_uri(const struct oauth2_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text where = oauth2_setting(call, "send_redirect_uri");
    bool is_wanted = oauth2_is(where, "both") ||
                     (oauth2_is(where, "authorize") && call->purpose == BURSAR_AUTHORIZE);
    bool is_known = is_wanted || oauth2_is(where, "authorize") || oauth2_is(where, "none");
    if (is_wanted)
        oauth2_param(request, "redirect_uri", call->input(call, "redirect_uri"));
    return is_known ? 0 : BURSAR_E_CONFIG;
}

/* The URL with its fragment; bursar puts the parameters before it. */
static void add_fragment(const struct oauth2_request *request)
{
    const struct bursar_call *call = request->call;
    const struct bursar_text parts[] = {
        request->url, {"#", 1}, call->setting(call, "authorize_fragment")};
    if (parts[2].len > 0)
        oauth2_emit(call, BURSAR_REQ_URL, NULL, call->join(call, parts, 3));
}

/* RFC 6749 section 4.1.1. */
int oauth2_build_authorize(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result =
        oauth2_begin(call, "authorize_url", NULL, "authorize_params", OAUTH2_NO_HEADERS, &request);
    if (result < 0)
        return result;
    request.part = BURSAR_REQ_QUERY;
    add_fragment(&request);
    oauth2_param(&request, "response_type", oauth2_text("code"));
    oauth2_param(&request, "client_id", call->setting(call, "client_id"));
    result = add_redirect_uri(&request);
    if (result < 0)
        return result;
    oauth2_param(&request, "scope", oauth2_scopes(call));
    oauth2_param(&request, "audience", oauth2_setting(call, "audience"));
    oauth2_param(&request, "state", call->input(call, "state"));
    oauth2_param(&request, "code_challenge", call->input(call, "code_challenge"));
    oauth2_param(&request, "code_challenge_method", call->input(call, "code_challenge_method"));
    return oauth2_params(&request);
}

/* What some providers want after the exchange of the code: another exchange, of what came. */
int oauth2_build_second(const struct bursar_call *call)
{
    struct oauth2_request request;
    struct bursar_text body = call->setting(call, "exchange.body");
    struct bursar_text method = call->setting(call, "exchange.method");
    int result =
        oauth2_begin(call, "exchange.url", NULL, "exchange.params", OAUTH2_NO_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, method);
    if (body.data)
        request.part = BURSAR_REQ_QUERY;
    result = oauth2_params(&request);
    if (result == 0)
        result = oauth2_more_headers(call, "exchange.headers");
    if (result < 0 || !body.data)
        return result;
    body = json_fill(call, body, JSON_PLACE_JSON);
    if (!body.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_HEADER, "Content-Type", oauth2_text("application/json"));
    oauth2_emit(call, BURSAR_REQ_BODY, NULL, body);
    return 0;
}

/* RFC 6749 section 4.1.3. */
int oauth2_build_exchange(const struct bursar_call *call)
{
    struct oauth2_request request;
    if (call->step > 0)
        return oauth2_build_second(call);
    int result =
        oauth2_begin(call, "token_url", NULL, "token_params", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "code_grant_type"));
    oauth2_param(&request, "code", call->input(call, "code"));
    result = add_redirect_uri(&request);
    if (result < 0)
        return result;
    oauth2_param(&request, "code_verifier", call->input(call, "code_verifier"));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

/* RFC 8628 section 3.1. */
int oauth2_build_device(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result =
        oauth2_begin(call, "device_url", NULL, "device_params", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, oauth2_text("POST"));
    if (request.part == BURSAR_REQ_QUERY)
        request.part = BURSAR_REQ_FORM;
    bool is_basic = oauth2_is(call->setting(call, "client_auth"), "client_secret_basic") &&
                    call->setting(call, "client_secret").data;
    if (is_basic) /* what shows the client otherwise has this in it already */
        oauth2_param(&request, "client_id", call->setting(call, "client_id"));
    oauth2_param(&request, "scope", oauth2_scopes(call));
    oauth2_param(&request, "audience", oauth2_setting(call, "audience"));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

/* RFC 8628 section 3.4. */
int oauth2_build_poll(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result = oauth2_begin(call, "token_url", NULL, "", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type",
                 oauth2_text("urn:ietf:params:oauth:grant-type:device_code"));
    oauth2_param(&request, "device_code", call->input(call, "device_code"));
    return oauth2_client(&request);
}

/* Whether the entry itself says where the token stands that is revoked. */
static bool names_token(const struct bursar_call *call)
{
    struct bursar_text name, value;
    bool is_named = false;
    for (size_t i = 0; call->setting_item(call, "revoke_params", i, &name, &value); i++)
        is_named =
            is_named || oauth2_is(value, "{access_token}") || oauth2_is(value, "{refresh_token}");
    return is_named;
}

/* RFC 7009 section 2.1: the refresh token where there is one, for it ends the whole grant; where the
 * request is authorized with the access token, it is that one. */
int oauth2_build_revoke(const struct bursar_call *call)
{
    struct oauth2_request request;
    bool is_own = oauth2_is(call->setting(call, "revoke_auth"), "access_token");
    struct bursar_text token = is_own ? absent : call->secret(call, "refresh_token");
    const char *hint = token.data ? "refresh_token" : "access_token";
    if (!token.data)
        token = call->secret(call, "access_token");
    if (!token.data)
        return BURSAR_E_UNSUPPORTED_OP;
    int result =
        oauth2_begin(call, "revoke_url", NULL, "revoke_params", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    request.auth = "revoke_auth";
    oauth2_method(&request, call->setting(call, "revoke_method"));
    oauth2_format(&request, call->setting(call, "revoke_body_format"));
    if (!is_own && !names_token(call)) {
        oauth2_param(&request, "token", token);
        oauth2_param(&request, "token_type_hint", oauth2_text(hint));
    }
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

/* Whose the secret is. */
int oauth2_build_identify(const struct bursar_call *call)
{
    struct oauth2_request request;
    struct bursar_text body = call->setting(call, "identity_body");
    struct bursar_text method = call->setting(call, "identity_method");
    int result = apply_path(call);
    if (result == 0)
        result = oauth2_begin(call, "identity_url", NULL, "", "identity_headers", &request);
    if (result < 0)
        return result;
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, method);
    if (body.data) {
        body = json_fill(call, body, JSON_PLACE_JSON);
        if (!body.data)
            return BURSAR_E_CONFIG;
        oauth2_emit(call, BURSAR_REQ_HEADER, "Content-Type", oauth2_text("application/json"));
        oauth2_emit(call, BURSAR_REQ_BODY, NULL, body);
    }
    return apply_secret(call, BURSAR_REQ_BODY);
}
