/* What the kinds share whose grants people give: their options, and what no single one can say. */
#include <string.h>

#include "oauth2.h"

const struct bursar_option oauth2_exchange_columns[] = {
    {"url", BURSAR_OPTION_TEMPLATE, .required = true, .help = "where it goes"},
    {"method", BURSAR_OPTION_CHOICE, .choices = "POST|GET", .default_text = "POST",
     .help = "of the request"},
    {"headers", BURSAR_OPTION_MAP, .help = "further headers, with {placeholders}"},
    {"params", BURSAR_OPTION_MAP, .help = "its parameters, with {placeholders}"},
    {"body", BURSAR_OPTION_STRING, .help = "a JSON body, with {placeholders}"},
    {"access_token_path", BURSAR_OPTION_PATH, .help = "in its reply; absent: as in the first"},
    {"expires_path", BURSAR_OPTION_PATH, .help = "in its reply; absent: as in the first"},
    {"expires_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601",
     .help = "in its reply; absent: as in the first"},
    {0},
};

static const struct bursar_option second_columns[] = {
    {"access_token_path", BURSAR_OPTION_PATH, .required = true,
     .help = "its access token in the reply to the code"},
    {"refresh_token_path", BURSAR_OPTION_PATH, .help = "its refresh token"},
    {"token_type_path", BURSAR_OPTION_PATH, .help = "its type"},
    {"expires_path", BURSAR_OPTION_PATH, .help = "its end"},
    {"scope_path", BURSAR_OPTION_PATH, .help = "what it was granted"},
    {"account", BURSAR_OPTION_PATHS, .required = true,
     .help = "whose it is: what these paths find, with `/` between"},
    {0},
};

const struct bursar_option oauth2_consent_options[] = {
    OAUTH2_CLIENT_OPTIONS,
    OAUTH2_REQUEST_OPTIONS,
    OAUTH2_REPLY_OPTIONS,
    OAUTH2_REFRESH_OPTIONS,
    {"authorize_url", BURSAR_OPTION_TEMPLATE, .help = "where a person consents"},
    {"device_url", BURSAR_OPTION_TEMPLATE, .help = "device authorization (RFC 8628)"},
    {"identity_url", BURSAR_OPTION_TEMPLATE, .help = "what says whose a token is"},
    {"identity_path", BURSAR_OPTION_PATH, .default_text = "$.sub",
     .help = "the account's id in its reply"},
    {"identity_method", BURSAR_OPTION_CHOICE, .choices = "GET|POST", .default_text = "GET",
     .help = "of the request"},
    {"identity_headers", BURSAR_OPTION_MAP, .help = "of the request, with {placeholders}"},
    {"identity_body", BURSAR_OPTION_STRING, .help = "JSON body, with {placeholders}"},
    {"identity_metadata", BURSAR_OPTION_PATHS, .help = "what else to keep of the reply"},
    {"introspection_url", BURSAR_OPTION_TEMPLATE, .help = "RFC 7662"},
    {"issuer", BURSAR_OPTION_TEMPLATE, .help = "the server's name (RFC 8414, RFC 9207)"},
    {"require_iss", BURSAR_OPTION_BOOL, .default_text = "false",
     .help = "a callback without `iss` is refused (RFC 9207)"},
    {"redirect_uris", BURSAR_OPTION_LIST, .help = "where a consent may lead back to"},
    {"pkce", BURSAR_OPTION_CHOICE, .choices = "none|plain|s256", .default_text = "s256",
     .help = "RFC 7636"},
    {"authorize_params", BURSAR_OPTION_MAP, .help = "further parameters of authorize_url"},
    {"token_params", BURSAR_OPTION_MAP, .help = "further parameters of a code's exchange"},
    {"device_params", BURSAR_OPTION_MAP, .help = "further parameters of device_url"},
    {"authorize_fragment", BURSAR_OPTION_STRING,
     .help = "what the URL of a consent ends with, behind `#`"},
    {"send_redirect_uri", BURSAR_OPTION_STRING, .default_text = "both",
     .help = "where redirect_uri is said: both, authorize or none; with {placeholders}"},
    {"callback_scope", BURSAR_OPTION_STRING,
     .help = "the callback's parameter that says what was granted"},
    {"second_grant", BURSAR_OPTION_GROUP, .columns = second_columns,
     .help = "another grant of the same consent, which becomes a connection of its own"},
    {"code_parameter", BURSAR_OPTION_STRING, .default_text = "code",
     .help = "the callback's name of the code"},
    {"code_grant_type", BURSAR_OPTION_STRING, .default_text = "authorization_code",
     .help = "`grant_type` of a code's exchange"},
    {"callback_captures", BURSAR_OPTION_MAP,
     .help = "fields of the secret to parameters of the callback"},
    OAUTH2_EXCHANGE_OPTIONS,
    {0},
};

/* A fragment is sent nowhere, and changes nothing of the URL before it. */
static bool is_fragment(struct bursar_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= ' ' || byte >= 127 || strchr("#\"<>\\^`{|}", byte))
            return false;
    }
    return true;
}

void oauth2_check_consent(const struct bursar_call *call)
{
    struct bursar_text said = call->setting(call, "send_redirect_uri");
    if (!is_fragment(call->setting(call, "authorize_fragment")))
        oauth2_problem(call, "authorize_fragment", "must be the text behind the `#` of a URL");
    if (said.data && !memchr(said.data, '{', said.len) && !oauth2_is(said, "both") &&
        !oauth2_is(said, "authorize") && !oauth2_is(said, "none"))
        oauth2_problem(call, "send_redirect_uri", "must be one of both, authorize, none");
}
