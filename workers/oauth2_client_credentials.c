/* oauth2_client_credentials: tokens for the client itself (RFC 6749 section 4.4); also written oauth2. */
#include "oauth2.h"
#include "validate.h"

static const struct bursar_option options[] = {
    OAUTH2_MINT_OPTIONS,
    {"grant_type", BURSAR_OPTION_STRING, .default_text = "client_credentials",
     .help = "`grant_type` of the request"},
    {0},
};

static const struct bursar_field form[] = {
    {"client_id", "Client ID", "text", true, "given by the provider when an app is registered"},
    {"client_secret", "Client secret", "password", true, "its secret"},
    {0},
};

static int build(const struct bursar_call *call)
{
    struct oauth2_request request;
    int result =
        oauth2_begin(call, "token_url", NULL, "token_params", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    oauth2_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "grant_type"));
    oauth2_param(&request, "scope", oauth2_scopes(call));
    oauth2_param(&request, "audience", oauth2_setting(call, "audience"));
    result = oauth2_params(&request);
    return result < 0 ? result : oauth2_client(&request);
}

const struct bursar_connector bursar_connector_oauth2_client_credentials = {
    .kind = "oauth2_client_credentials",
    .summary = "OAuth 2.0 tokens for the client itself",
    .options = options,
    .form = form,
    .check = oauth2_check_client,
    OAUTH2_MINTS(build, oauth2_read_token),
};

/* The short name. */
const struct bursar_connector bursar_connector_oauth2 = {
    .kind = "oauth2",
    .summary = "the same as oauth2_client_credentials",
    .options = options,
    .form = form,
    .check = oauth2_check_client,
    OAUTH2_MINTS(build, oauth2_read_token),
};
