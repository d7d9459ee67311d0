/* oauth1: tokens of OAuth 1.0 (RFC 5849), which do not end and are not refreshed. A token's owner signs
 * his own requests with its two parts; what is signed here are the requests that get and try it. */
#include "oauth1_sign.h"
#include "oauth2.h"
#include "validate.h"

static const struct bursar_option options[] = {
    {"request_token_url", BURSAR_OPTION_TEMPLATE, .help = "where temporary credentials are made"},
    {"authorize_url", BURSAR_OPTION_TEMPLATE, .help = "where a person consents"},
    {"token_url", BURSAR_OPTION_TEMPLATE, .help = "where tokens are made"},
    {"client_id", BURSAR_OPTION_STRING, .help = "our consumer key"},
    {"client_secret", BURSAR_OPTION_SECRET, .help = "its secret"},
    {"private_key", BURSAR_OPTION_SECRET, .help = "PEM key that signs for RSA-SHA1"},
    {"signature_method", BURSAR_OPTION_CHOICE,
     .choices = "HMAC-SHA1|HMAC-SHA256|RSA-SHA1|PLAINTEXT", .default_text = "HMAC-SHA1",
     .help = "how requests are signed"},
    {"oauth_version", BURSAR_OPTION_STRING, .help = "`oauth_version`; absent: it is not sent"},
    {"realm", BURSAR_OPTION_STRING, .help = "`realm` of the Authorization header"},
    {"redirect_uris", BURSAR_OPTION_LIST, .help = "where a consent may lead back to"},
    {"authorize_params", BURSAR_OPTION_MAP, .help = "further parameters of authorize_url"},
    {"headers", BURSAR_OPTION_MAP, .help = "further headers of requests"},
    {"captures", BURSAR_OPTION_PATHS, .help = "fields of the secret from a reply"},
    {"identity_url", BURSAR_OPTION_TEMPLATE, .help = "what says whose a token is"},
    {"identity_path", BURSAR_OPTION_PATH, .default_text = "$.id",
     .help = "the account's id in its reply"},
    {"identity_metadata", BURSAR_OPTION_PATHS, .help = "what else to keep of the reply"},
    VALIDATE_REPLY_OPTIONS,
    {0},
};

static const struct bursar_field form[] = {
    {"api_key", "Access token", "text", true, "the token itself"},
    {"api_secret", "Token secret", "password", true, "its secret part"},
    {0},
};

static int begin(const struct bursar_call *call, const char *method, const char *url,
                 struct oauth1_request *out_request)
{
    struct bursar_text to = call->setting(call, url);
    if (!to.data)
        return BURSAR_E_UNSUPPORTED_OP;
    to = call->expand(call, to, true);
    if (!to.data || !call->setting(call, "client_id").data)
        return BURSAR_E_CONFIG;
    *out_request = (struct oauth1_request){.call = call, .method = method, .url = to};
    return 0;
}

static int finish(struct oauth1_request *request, const char *headers)
{
    int result = oauth1_send(request);
    return result < 0 ? result : oauth2_headers(request->call, headers);
}

/* ---- consent -------------------------------------------------------------------------------------- */

/* `state` is unknown to OAuth 1.0: it goes along with the address that the consent leads back to. */
static struct bursar_text callback_of(const struct bursar_call *call)
{
    struct bursar_text uri = call->input(call, "redirect_uri");
    struct bursar_text state = call->input(call, "state");
    bool has_query = false;
    for (size_t i = 0; i < uri.len; i++)
        has_query = has_query || uri.data[i] == '?';
    if (!uri.data)
        return oauth2_text("oob");
    if (!state.data)
        return uri;
    const struct bursar_text parts[] = {uri, oauth2_text(has_query ? "&state=" : "?state="),
                                        call->encode(call, BURSAR_PERCENT, state)};
    return call->join(call, parts, 3);
}

/* Section 2.2. */
static int build_url(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result =
        oauth2_begin(call, "authorize_url", NULL, "authorize_params", OAUTH2_NO_HEADERS, &request);
    if (result < 0)
        return result;
    request.part = BURSAR_REQ_QUERY;
    oauth2_param(&request, "oauth_token", call->captured(call, "oauth_token"));
    return oauth2_params(&request);
}

/* Section 2.1 first; then the URL that a person opens. */
static int build_authorize(const struct bursar_call *call)
{
    struct oauth1_request request;
    if (call->step > 0)
        return build_url(call);
    int result = begin(call, "POST", "request_token_url", &request);
    if (result < 0)
        return result;
    oauth1_param(&request, "oauth_callback", callback_of(call));
    return finish(&request, "headers");
}

static struct bursar_text member(const struct bursar_response *response, const char *path)
{
    struct bursar_value value = response->find(response, oauth2_text(path));
    return oauth2_is_scalar(&value) ? value.text : (struct bursar_text){NULL, 0};
}

/* Errors have no form of their own in RFC 5849; `oauth_problem` is what is used. */
static enum bursar_read failed(const struct bursar_call *call,
                               const struct bursar_response *response)
{
    struct bursar_text problem = member(response, "$.oauth_problem");
    if (!problem.data)
        return oauth2_read_error(call, response) ? BURSAR_READ_ERROR : BURSAR_READ_MALFORMED;
    oauth2_emit(call, BURSAR_OUT_ERROR, NULL, problem);
    oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL, member(response, "$.oauth_problem_advice"));
    return BURSAR_READ_ERROR;
}

static enum bursar_read read_authorize(const struct bursar_call *call,
                                       const struct bursar_response *response)
{
    struct bursar_text token = member(response, "$.oauth_token");
    struct bursar_text secret = member(response, "$.oauth_token_secret");
    if (response->status >= 300 || !token.data || !secret.data)
        return failed(call, response);
    oauth2_emit(call, BURSAR_OUT_CAPTURE, "oauth_token", token);
    oauth2_emit(call, BURSAR_OUT_CAPTURE, "oauth_token_secret", secret);
    return BURSAR_READ_NEXT;
}

static bool is_same(struct bursar_text a, struct bursar_text b)
{
    bool is_equal = a.len == b.len;
    for (size_t i = 0; is_equal && i < a.len; i++)
        is_equal = a.data[i] == b.data[i];
    return is_equal;
}

/* Section 2.3, with what the first step captured. */
static int build_exchange(const struct bursar_call *call)
{
    struct oauth1_request request;
    struct bursar_text token = call->captured(call, "oauth_token");
    struct bursar_text given = call->input(call, "oauth_token");
    struct bursar_text verifier = call->input(call, "oauth_verifier");
    int result = begin(call, "POST", "token_url", &request);
    if (result < 0)
        return result;
    if (!token.data || !verifier.data || (given.data && !is_same(given, token)))
        return BURSAR_E_BAD_REQUEST;
    request.token_secret = call->captured(call, "oauth_token_secret");
    oauth1_param(&request, "oauth_token", token);
    oauth1_param(&request, "oauth_verifier", verifier);
    return finish(&request, "headers");
}

static enum bursar_read read_exchange(const struct bursar_call *call,
                                      const struct bursar_response *response)
{
    struct bursar_text token = member(response, "$.oauth_token");
    struct bursar_text secret = member(response, "$.oauth_token_secret");
    struct bursar_text name, path;
    if (response->status >= 300 || !token.data || !secret.data)
        return failed(call, response);
    oauth2_emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, token);
    oauth2_emit(call, BURSAR_OUT_API_SECRET, NULL, secret);
    for (size_t i = 0; call->setting_item(call, "captures", i, &name, &path); i++) {
        struct bursar_value value = response->find(response, path);
        if (oauth2_is_scalar(&value))
            oauth2_emit(call, BURSAR_OUT_FIELD, oauth2_string(call, name), value.text);
    }
    return BURSAR_READ_OK;
}

/* ---- signed requests ------------------------------------------------------------------------------ */

static int build_signed(const struct bursar_call *call, const char *method, const char *url,
                        const char *headers)
{
    struct oauth1_request request;
    struct bursar_text token = call->secret(call, "api_key");
    int result = begin(call, method, url, &request);
    if (result < 0)
        return result;
    if (!token.data)
        return BURSAR_E_NEEDS_REAUTH;
    request.token_secret = call->secret(call, "api_secret");
    oauth1_param(&request, "oauth_token", token);
    return finish(&request, headers);
}

static int build_identify(const struct bursar_call *call)
{
    return build_signed(call, "GET", "identity_url", "headers");
}

static int build_validate(const struct bursar_call *call)
{
    struct bursar_text method = call->setting(call, "validate.method");
    if (!call->setting(call, "validate.url").data)
        return build_identify(call);
    return build_signed(call, oauth2_is(method, "POST") ? "POST" : "GET", "validate.url",
                        "validate.headers");
}

static void check(const struct bursar_call *call)
{
    static const char key[] = "is needed for RSA-SHA1", body[] = "cannot be signed by this kind";
    bool is_rsa = oauth2_is(call->setting(call, "signature_method"), "RSA-SHA1");
    if (is_rsa && !call->setting(call, "private_key").data)
        call->emit(call, BURSAR_OUT_PROBLEM, "private_key", key, sizeof key - 1);
    if (call->setting(call, "validate.body").data)
        call->emit(call, BURSAR_OUT_PROBLEM, "validate.body", body, sizeof body - 1);
}

const struct bursar_connector bursar_connector_oauth1 = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "oauth1",
    .summary = "tokens of OAuth 1.0, with which their users sign",
    .secret_kind = "api_key",
    .options = options,
    .form = form,
    .check = check,
    .exchanges = {[BURSAR_AUTHORIZE] = {build_authorize, read_authorize},
                  [BURSAR_EXCHANGE] = {build_exchange, read_exchange},
                  [BURSAR_VALIDATE] = {build_validate, validate_read},
                  [BURSAR_IDENTIFY] = {build_identify, oauth2_read_identify}},
};
