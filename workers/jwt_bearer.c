/* jwt_bearer: tokens for a signed assertion (RFC 7523 section 2.1), such as those of Google service
 * accounts. */
#include "json.h"
#include "jwt.h"
#include "oauth2.h"
#include "validate.h"

#include <stdlib.h>

enum { LIFE_S = 3600 };

static const struct bursar_option options[] = {
    OAUTH2_MINT_OPTIONS,
    {"service_account", BURSAR_OPTION_SECRET,
     .help = "a key file as JSON, with private_key, private_key_id and client_email"},
    {"assertion_issuer", BURSAR_OPTION_STRING,
     .help = "`iss` of the assertion; absent: client_email of the key file, or client_id"},
    {"subject", BURSAR_OPTION_STRING,
     .help = "`sub`: for whom a token is made; with {placeholders}"},
    {"assertion_ttl_s", BURSAR_OPTION_INTEGER, .default_text = "3600", .min = 10, .max = 86400,
     .help = "life of an assertion"},
    {"assertion_scopes", BURSAR_OPTION_BOOL, .default_text = "true",
     .help = "whether scopes stand in the assertion; false: in the request"},
    {"assertion_claims", BURSAR_OPTION_MAP, .help = "further claims, with {placeholders}"},
    {"grant_type", BURSAR_OPTION_STRING,
     .default_text = "urn:ietf:params:oauth:grant-type:jwt-bearer",
     .help = "`grant_type` of the request"},
    OAUTH2_EXCHANGE_OPTIONS,
    {0},
};

static const struct bursar_field form[] = {
    {"service_account", "Key file", "password", true, "the whole JSON file of the account's key"},
    {"subject", "On behalf of", "text", false, "an account that the key may act for"},
    {0},
};

/* The key file, which some put where the key alone is asked for. */
static struct bursar_text key_file(const struct bursar_call *call)
{
    struct bursar_text file = oauth2_part(call, "service_account");
    if (file.data)
        return file;
    file = oauth2_part(call, "private_key");
    for (size_t i = 0; i < file.len; i++) {
        if (file.data[i] == '{')
            return file;
        if (file.data[i] != ' ' && file.data[i] != '\n' && file.data[i] != '\r')
            break;
    }
    return (struct bursar_text){NULL, 0};
}

/* A part of the assertion: of the key file, or by its own name. */
static struct bursar_text key_part(const struct bursar_call *call, struct bursar_text file,
                                   const char *member, const char *own)
{
    struct bursar_text part =
        file.data ? json_member(call, file, member) : (struct bursar_text){NULL, 0};
    return part.data ? part : oauth2_part(call, own);
}

static int64_t life_s(const struct bursar_call *call)
{
    const char *text = oauth2_string(call, call->setting(call, "assertion_ttl_s"));
    return text ? strtoll(text, NULL, 10) : LIFE_S;
}

static int claim_more(const struct bursar_call *call, struct jwt_claims *claims)
{
    struct bursar_text name, value;
    for (size_t i = 0; call->setting_item(call, "assertion_claims", i, &name, &value); i++) {
        value = call->expand(call, value, false);
        if (!value.data)
            return BURSAR_E_CONFIG;
        jwt_text(claims, oauth2_string(call, name), value);
    }
    return 0;
}

/* Absent where something is missing. */
static struct bursar_text assertion(const struct oauth2_request *request)
{
    const struct bursar_call *call = request->call;
    static const struct bursar_text absent = {NULL, 0};
    struct bursar_text file = key_file(call);
    struct bursar_text issuer = oauth2_setting(call, "assertion_issuer");
    struct bursar_text audience = oauth2_setting(call, "assertion_audience");
    struct bursar_text subject = call->secret(call, "subject");
    struct jwt_claims claims = jwt_claims(call);
    if (!issuer.data)
        issuer = key_part(call, file, "client_email", "client_id");
    if (!subject.data && call->setting(call, "subject").data)
        subject = oauth2_setting(call, "subject");
    if (!issuer.data)
        return absent;
    jwt_text(&claims, "iss", issuer);
    jwt_text(&claims, "sub", subject);
    jwt_text(&claims, "aud", audience.data ? audience : request->url);
    if (oauth2_is(call->setting(call, "assertion_scopes"), "true"))
        jwt_text(&claims, "scope", oauth2_scopes(call));
    if (claim_more(call, &claims) < 0)
        return absent;
    jwt_id(&claims);
    jwt_time(&claims, "iat", call->now);
    jwt_time(&claims, "exp", call->now + life_s(call));
    return jwt_sign(&claims, call->setting(call, "key_algorithm"),
                    key_part(call, file, "private_key_id", "key_id"),
                    key_part(call, file, "private_key", "private_key"));
}

static int build(const struct bursar_call *call)
{
    struct oauth2_request request;
    if (call->step > 0)
        return oauth2_build_second(call);
    if (!oauth2_part(call, "service_account").data && !oauth2_part(call, "private_key").data)
        return BURSAR_E_NEEDS_REAUTH;
    int result =
        oauth2_begin(call, "token_url", NULL, "token_params", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    struct bursar_text signed_text = assertion(&request);
    if (!signed_text.data)
        return BURSAR_E_CONFIG;
    oauth2_method(&request, call->setting(call, "token_method"));
    oauth2_param(&request, "grant_type", call->setting(call, "grant_type"));
    oauth2_param(&request, "assertion", signed_text);
    if (!oauth2_is(call->setting(call, "assertion_scopes"), "true"))
        oauth2_param(&request, "scope", oauth2_scopes(call));
    result = oauth2_params(&request);
    bool has_client = call->setting(call, "client_secret").data != NULL;
    return result < 0 || !has_client ? result : oauth2_client(&request);
}

const struct bursar_connector bursar_connector_jwt_bearer = {
    .kind = "jwt_bearer",
    .summary = "tokens for an assertion signed with a private key",
    .options = options,
    .form = form,
    OAUTH2_MINTS(build, oauth2_read_first),
};
