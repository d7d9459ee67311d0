/* token_endpoint: a request of the provider's own making that gives a token, from parts that a person
 * gave once: a login, an exchange of a key. */
#include "oauth2.h"
#include "validate.h"

static const struct bursar_option options[] = {
    OAUTH2_MINT_ROTATION,
    OAUTH2_CLIENT_OPTIONS,
    OAUTH2_REPLY_OPTIONS,
    OAUTH2_REVOKE_OPTIONS,
    {"token_url", BURSAR_OPTION_TEMPLATE, .required = true, .help = "where tokens are made"},
    {"method", BURSAR_OPTION_CHOICE, .choices = "POST|GET|PUT", .default_text = "POST",
     .help = "of the request"},
    {"headers", BURSAR_OPTION_MAP, .help = "of the request, with {placeholders}"},
    {"user_agent", BURSAR_OPTION_STRING, .help = "User-Agent of requests to this provider"},
    {"body", BURSAR_OPTION_MAP, .help = "parameters of the request, with {placeholders}"},
    {"body_format", BURSAR_OPTION_CHOICE, .choices = "form|json|query", .default_text = "form",
     .help = "where the parameters stand"},
    {"scopes", BURSAR_OPTION_LIST, .help = "for the placeholder {scopes}"},
    {"scope_separator", BURSAR_OPTION_STRING, .default_text = " ", .help = "between scopes"},
    {0},
};

static const struct bursar_field form[] = {
    {"username", "User name", "text", true, "of the account that tokens are made for"},
    {"password", "Password", "password", true, "or a key that stands for it"},
    {0},
};

static int build(const struct bursar_call *call)
{
    struct oauth2_request request;
    struct bursar_text method = call->setting(call, "method");
    int result = oauth2_begin(call, "token_url", NULL, "body", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, method);
    result = oauth2_params(&request);
    return result;
}

static void check(const struct bursar_call *call)
{
    static const char what[] = "cannot stand in a GET request: use body_format query";
    bool is_get = oauth2_is(call->setting(call, "method"), "GET");
    if (is_get && oauth2_is(call->setting(call, "body_format"), "json"))
        call->emit(call, BURSAR_OUT_PROBLEM, "body_format", what, sizeof what - 1);
}

const struct bursar_connector bursar_connector_token_endpoint = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "token_endpoint",
    .summary = "tokens from a provider's own login request",
    .flags = BURSAR_CONNECTOR_MINTS,
    .secret_kind = "oauth2",
    .options = options,
    .form = form,
    .check = check,
    .exchanges = {[BURSAR_REFRESH] = {build, oauth2_read_token},
                  [BURSAR_REVOKE] = {oauth2_build_revoke, NULL},
                  [BURSAR_VALIDATE] = {validate_build, validate_read}},
};
