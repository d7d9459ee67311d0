/* aws_sts: temporary keys of AWS: AssumeRole or GetSessionToken signed with a long-lived key, or
 * AssumeRoleWithWebIdentity with a token of another issuer. */
#include "oauth2.h"

#include <stdio.h>
#include <string.h>

#define VERSION "2011-06-15"

static const struct bursar_option options[] = {
    OAUTH2_MINT_ROTATION,
    {"sts_url", BURSAR_OPTION_TEMPLATE, .default_text = "https://sts.{region}.amazonaws.com/",
     .help = "the service's endpoint"},
    {"region", BURSAR_OPTION_STRING, .default_text = "us-east-1",
     .help = "of the endpoint, and that requests are signed for"},
    {"access_key_id", BURSAR_OPTION_STRING, .help = "the long-lived key that asks"},
    {"secret_access_key", BURSAR_OPTION_SECRET, .help = "its secret"},
    {"role_arn", BURSAR_OPTION_STRING, .help = "the role to take; absent: GetSessionToken"},
    {"session_name", BURSAR_OPTION_STRING, .default_text = "bursar",
     .help = "name of the session in AWS's own logs"},
    {"external_id", BURSAR_OPTION_STRING, .help = "what the role's owner agreed on with us"},
    {"policy", BURSAR_OPTION_STRING, .help = "a policy as JSON that narrows the role's"},
    {"duration_s", BURSAR_OPTION_INTEGER, .default_text = "3600", .min = 900, .max = 129600,
     .help = "life of the keys"},
    {"reauth_errors", BURSAR_OPTION_LIST,
     .default_text = "[InvalidClientTokenId, ExpiredToken, AccessDenied, SignatureDoesNotMatch]",
     .help = "error codes of a key that is no longer taken"},
    {"throttle_errors", BURSAR_OPTION_LIST,
     .default_text = "[Throttling, ThrottlingException, RequestLimitExceeded]",
     .help = "error codes that ask to wait"},
    {"user_agent", BURSAR_OPTION_STRING, .help = "User-Agent of requests to this provider"},
    {"expires_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601",
     .default_text = "iso8601", .help = "what the end of the keys is written in"},
    {0},
};

static const struct bursar_field form[] = {
    {"access_key_id", "Access key id", "text", true, "AKIA…"},
    {"secret_access_key", "Secret access key", "password", true, "shown once when it is made"},
    {"role_arn", "Role", "text", false, "ARN of a role to take"},
    {0},
};

static const struct bursar_text absent = {NULL, 0};

/* What the connection gave, or else what the operator set. */
static struct bursar_text part_of(const struct bursar_call *call, const char *name)
{
    struct bursar_text part = call->secret(call, name);
    if (!part.data)
        part = call->metadata(call, name);
    return part.data ? part : oauth2_setting(call, name);
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* Parameters come in the order of their names and are encoded by RFC 3986, as SigV4 signs them. */
struct query {
    const struct bursar_call *call;
    struct bursar_text url;
};

static void add(struct query *query, const char *name, struct bursar_text value)
{
    const struct bursar_call *call = query->call;
    if (!value.data || value.len == 0)
        return;
    const struct bursar_text parts[] = {
        query->url, oauth2_text(memchr(query->url.data, '?', query->url.len) ? "&" : "?"),
        oauth2_text(name), oauth2_text("="), call->encode(call, BURSAR_PERCENT, value)};
    query->url = call->join(call, parts, 5);
}

static int begin(const struct bursar_call *call, struct query *out_query)
{
    *out_query = (struct query){call, call->expand(call, call->setting(call, "sts_url"), true)};
    return out_query->url.data ? 0 : BURSAR_E_CONFIG;
}

static void send_query(const struct query *query)
{
    const struct bursar_call *call = query->call;
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, oauth2_text("GET"));
    oauth2_emit(call, BURSAR_REQ_URL, NULL, query->url);
    oauth2_emit(call, BURSAR_REQ_HEADER, "User-Agent", oauth2_setting(call, "user_agent"));
}

static int sign(const struct bursar_call *call, struct bursar_text key, struct bursar_text secret)
{
    const struct bursar_text scope[] = {part_of(call, "region"), oauth2_text(":sts")};
    const struct bursar_text user[] = {key, oauth2_text(":"), secret};
    if (!scope[0].data || !key.data || !secret.data)
        return BURSAR_E_NEEDS_REAUTH;
    oauth2_emit(call, BURSAR_REQ_SIGV4, oauth2_string(call, call->join(call, scope, 2)),
                call->join(call, user, 3));
    return 0;
}

static int build_web_identity(const struct bursar_call *call, struct bursar_text token)
{
    struct query query;
    struct bursar_text role = part_of(call, "role_arn");
    if (!role.data || begin(call, &query) < 0)
        return BURSAR_E_CONFIG;
    add(&query, "Action", oauth2_text("AssumeRoleWithWebIdentity"));
    add(&query, "DurationSeconds", call->setting(call, "duration_s"));
    add(&query, "Policy", part_of(call, "policy"));
    add(&query, "RoleArn", role);
    add(&query, "RoleSessionName", part_of(call, "session_name"));
    add(&query, "Version", oauth2_text(VERSION));
    add(&query, "WebIdentityToken", token);
    send_query(&query);
    return 0;
}

static int build(const struct bursar_call *call)
{
    struct query query;
    struct bursar_text token = call->secret(call, "web_identity_token");
    struct bursar_text role = part_of(call, "role_arn");
    if (token.data)
        return build_web_identity(call, token);
    if (begin(call, &query) < 0)
        return BURSAR_E_CONFIG;
    add(&query, "Action", oauth2_text(role.data ? "AssumeRole" : "GetSessionToken"));
    add(&query, "DurationSeconds", call->setting(call, "duration_s"));
    if (role.data) {
        add(&query, "ExternalId", part_of(call, "external_id"));
        add(&query, "Policy", part_of(call, "policy"));
        add(&query, "RoleArn", role);
        add(&query, "RoleSessionName", part_of(call, "session_name"));
    }
    add(&query, "Version", oauth2_text(VERSION));
    send_query(&query);
    return sign(call, part_of(call, "access_key_id"), part_of(call, "secret_access_key"));
}

/* Whether the long-lived key is taken. */
static int build_validate(const struct bursar_call *call)
{
    struct query query;
    if (begin(call, &query) < 0)
        return BURSAR_E_CONFIG;
    add(&query, "Action", oauth2_text("GetCallerIdentity"));
    add(&query, "Version", oauth2_text(VERSION));
    send_query(&query);
    return sign(call, part_of(call, "access_key_id"), part_of(call, "secret_access_key"));
}

/* ---- replies -------------------------------------------------------------------------------------- */

/* The reply of any of the three actions. */
#define CREDENTIAL(name)                                                                       \
    "$.AssumeRoleResponse.AssumeRoleResult.Credentials." name                                  \
    " | $.AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult.Credentials." name \
    " | $.GetSessionTokenResponse.GetSessionTokenResult.Credentials." name

static struct bursar_text text_at(const struct bursar_response *response, const char *path)
{
    struct bursar_value value = response->find(response, oauth2_text(path));
    return oauth2_is_scalar(&value) ? value.text : absent;
}

static bool read_error(const struct bursar_call *call, const struct bursar_response *response)
{
    struct bursar_text code = text_at(response, "$.ErrorResponse.Error.Code | $.Error.Code");
    if (!code.data)
        return false;
    oauth2_emit(call, BURSAR_OUT_ERROR, NULL, code);
    oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL,
                text_at(response, "$.ErrorResponse.Error.Message | $.Error.Message"));
    return true;
}

static enum bursar_read read_keys(const struct bursar_call *call,
                                  const struct bursar_response *response)
{
    struct bursar_text id = text_at(response, CREDENTIAL("AccessKeyId"));
    struct bursar_text secret = text_at(response, CREDENTIAL("SecretAccessKey"));
    if (read_error(call, response))
        return BURSAR_READ_ERROR;
    if (!id.data || !secret.data)
        return BURSAR_READ_MALFORMED;
    oauth2_emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, id);
    oauth2_emit(call, BURSAR_OUT_API_SECRET, NULL, secret);
    oauth2_emit(call, BURSAR_OUT_FIELD, "session_token",
                text_at(response, CREDENTIAL("SessionToken")));
    oauth2_emit(call, BURSAR_OUT_EXPIRES, NULL, text_at(response, CREDENTIAL("Expiration")));
    return BURSAR_READ_OK;
}

#define IDENTITY(name) "$.GetCallerIdentityResponse.GetCallerIdentityResult." name

static enum bursar_read read_identity(const struct bursar_call *call,
                                      const struct bursar_response *response)
{
    static const char *const invalid[] = {"InvalidClientTokenId", "SignatureDoesNotMatch",
                                          "ExpiredToken", "AccessDenied"};
    struct bursar_text code = text_at(response, "$.ErrorResponse.Error.Code | $.Error.Code");
    struct bursar_text account = text_at(response, IDENTITY("Account"));
    if (read_error(call, response)) {
        for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
            if (oauth2_is(code, invalid[i]))
                return BURSAR_READ_ERROR;
        }
        return BURSAR_READ_MALFORMED;
    }
    oauth2_emit(call, BURSAR_OUT_ACCOUNT, NULL, account);
    oauth2_emit(call, BURSAR_OUT_USERNAME, NULL, text_at(response, IDENTITY("Arn")));
    oauth2_emit(call, BURSAR_OUT_METADATA, "user_id", text_at(response, IDENTITY("UserId")));
    return account.data ? BURSAR_READ_OK : BURSAR_READ_MALFORMED;
}

static void check(const struct bursar_call *call)
{
    static const char what[] = "and secret_access_key go together";
    if (!call->setting(call, "access_key_id").data !=
        !call->setting(call, "secret_access_key").data)
        call->emit(call, BURSAR_OUT_PROBLEM, "access_key_id", what, sizeof what - 1);
}

const struct bursar_connector bursar_connector_aws_sts = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "aws_sts",
    .summary = "temporary keys of AWS",
    .flags = BURSAR_CONNECTOR_MINTS,
    .secret_kind = "api_key",
    .options = options,
    .form = form,
    .check = check,
    .exchanges = {[BURSAR_REFRESH] = {build, read_keys},
                  [BURSAR_VALIDATE] = {build_validate, read_identity},
                  [BURSAR_IDENTIFY] = {build_validate, read_identity}},
};
