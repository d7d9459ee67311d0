/* token_exchange: a token of one issuer for a token of another (RFC 8693), and where the provider has
 * it a second request with what came (`exchange`), such as Google's generateAccessToken. */
#include "oauth2.h"
#include "validate.h"

#define TYPE_JWT "urn:ietf:params:oauth:token-type:jwt"

static const struct bursar_option options[] = {
    OAUTH2_MINT_OPTIONS,
    {"subject_token", BURSAR_OPTION_SECRET,
     .help = "the token that is exchanged, where all connections have the same"},
    {"subject_token_type", BURSAR_OPTION_STRING, .default_text = TYPE_JWT,
     .help = "what sort of token that is (RFC 8693 section 3)"},
    {"actor_token", BURSAR_OPTION_SECRET, .help = "a token of who acts for the subject"},
    {"actor_token_type", BURSAR_OPTION_STRING, .default_text = TYPE_JWT,
     .help = "what sort of token that is"},
    {"resource", BURSAR_OPTION_STRING, .help = "where the token will be used, a URI"},
    {"requested_token_type", BURSAR_OPTION_STRING,
     .default_text = "urn:ietf:params:oauth:token-type:access_token",
     .help = "what sort of token is wanted"},
    {"issued_token_type_path", BURSAR_OPTION_PATH, .default_text = "$.issued_token_type",
     .help = "the sort of token in a reply, which must be there"},
    {"grant_type", BURSAR_OPTION_STRING,
     .default_text = "urn:ietf:params:oauth:grant-type:token-exchange",
     .help = "`grant_type` of the request"},
    OAUTH2_EXCHANGE_OPTIONS,
    {0},
};

static const struct bursar_field form[] = {
    {"subject_token", "Token", "password", true, "the token that is exchanged"},
    {"actor_token", "Token of the actor", "password", false, "of who acts for the subject"},
    {0},
};

static int build(const struct bursar_call *call)
{
    struct oauth2_request request;
    struct bursar_text subject = oauth2_part(call, "subject_token");
    struct bursar_text actor = oauth2_part(call, "actor_token");
    if (call->step > 0)
        return oauth2_build_second(call);
    if (!subject.data)
        return BURSAR_E_NEEDS_REAUTH;
    int result =
        oauth2_begin(call, "token_url", NULL, "token_params", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "grant_type"));
    oauth2_param(&request, "subject_token", subject);
    oauth2_param(&request, "subject_token_type", call->setting(call, "subject_token_type"));
    if (actor.data) {
        oauth2_param(&request, "actor_token", actor);
        oauth2_param(&request, "actor_token_type", call->setting(call, "actor_token_type"));
    }
    oauth2_param(&request, "audience", oauth2_setting(call, "audience"));
    oauth2_param(&request, "resource", oauth2_setting(call, "resource"));
    oauth2_param(&request, "scope", oauth2_scopes(call));
    oauth2_param(&request, "requested_token_type", call->setting(call, "requested_token_type"));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

/* RFC 8693 section 2.2.1: issued_token_type is required. */
static enum bursar_read read_token(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    enum bursar_read read = oauth2_read_first(call, response);
    struct bursar_text type = oauth2_scalar(call, response, "issued_token_type_path");
    bool is_first = call->step == 0;
    if (is_first && (read == BURSAR_READ_OK || read == BURSAR_READ_NEXT) && !type.data)
        return BURSAR_READ_MALFORMED;
    if (is_first && read == BURSAR_READ_OK)
        oauth2_emit(call, BURSAR_OUT_FIELD, "issued_token_type", type);
    return read;
}

const struct bursar_connector bursar_connector_token_exchange = {
    .kind = "token_exchange",
    .summary = "a token of one issuer for a token of another (RFC 8693)",
    .options = options,
    .form = form,
    .check = oauth2_check_client,
    OAUTH2_MINTS(build, read_token),
};
