/* github_app: tokens of an installation of a GitHub App, for a JWT that the app's key signs. */
#include "json.h"
#include "jwt.h"
#include "oauth2.h"
#include "validate.h"

/* GitHub refuses a JWT that is issued in its future or ends more than ten minutes ahead. */
enum { CLOCK_SLACK_S = 60, LIFE_S = 540 };

static const struct bursar_option options[] = {
    OAUTH2_MINT_ROTATION,
    {"app_id", BURSAR_OPTION_STRING, .help = "the app's id or client id, which signs"},
    {"private_key", BURSAR_OPTION_SECRET, .help = "the app's private key, PEM"},
    {"token_url", BURSAR_OPTION_TEMPLATE,
     .default_text = "https://api.github.com/app/installations/{installation_id}/access_tokens",
     .help = "where tokens of an installation are made"},
    {"repositories", BURSAR_OPTION_LIST, .help = "only these; absent: all of the installation"},
    {"permissions", BURSAR_OPTION_MAP, .help = "only these; absent: all of the installation"},
    {"body_format", BURSAR_OPTION_CHOICE, .choices = "json", .default_text = "json",
     .help = "of the request"},
    {"headers", BURSAR_OPTION_MAP, .help = "further headers of a token request"},
    {"user_agent", BURSAR_OPTION_STRING, .help = "User-Agent of requests to this provider"},
    {"access_token_path", BURSAR_OPTION_PATH, .default_text = "$.token",
     .help = "the token in a reply"},
    {"expires_path", BURSAR_OPTION_PATH, .default_text = "$.expires_at",
     .help = "the token's end in a reply"},
    {"expires_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601",
     .default_text = "iso8601", .help = "what that is written in"},
    {"error_text_path", BURSAR_OPTION_PATH, .default_text = "$.message",
     .help = "an error for people in a reply"},
    {"captures", BURSAR_OPTION_PATHS, .help = "fields of the secret from a reply"},
    OAUTH2_REVOKE_OPTIONS,
    {0},
};

static const struct bursar_field form[] = {
    {"installation_id", "Installation id", "text", true, "at the end of the installation's URL"},
    {0},
};

/* {"repositories":[…],"permissions":{…}}; "" where everything is wanted. */
static struct bursar_text body_of(const struct bursar_call *call)
{
    struct bursar_text name, value, lists[2] = {{"", 0}, {"", 0}};
    for (size_t i = 0; call->setting_item(call, "repositories", i, &name, &value); i++) {
        const struct bursar_text parts[] = {
            lists[0], oauth2_text(i > 0 ? "," : "\"repositories\":["), json_quote(call, value)};
        lists[0] = call->join(call, parts, 3);
    }
    for (size_t i = 0; call->setting_item(call, "permissions", i, &name, &value); i++) {
        const struct bursar_text parts[] = {
            lists[1], oauth2_text(i > 0 ? "," : "\"permissions\":{"), json_quote(call, name),
            oauth2_text(":"), json_quote(call, value)};
        lists[1] = call->join(call, parts, 5);
    }
    const struct bursar_text all[] = {oauth2_text("{"),
                                      lists[0],
                                      oauth2_text(lists[0].len > 0 ? "]" : ""),
                                      oauth2_text(lists[0].len > 0 && lists[1].len > 0 ? "," : ""),
                                      lists[1],
                                      oauth2_text(lists[1].len > 0 ? "}}" : "}")};
    return lists[0].len + lists[1].len > 0 ? call->join(call, all, 6) : oauth2_text("");
}

static int build(const struct bursar_call *call)
{
    struct oauth2_request request;
    struct jwt_claims claims = jwt_claims(call);
    int result = oauth2_begin(call, "token_url", NULL, "", OAUTH2_TOKEN_HEADERS, &request);
    if (result < 0)
        return result;
    jwt_text(&claims, "iss", call->setting(call, "app_id"));
    jwt_time(&claims, "iat", call->now - CLOCK_SLACK_S);
    jwt_time(&claims, "exp", call->now + LIFE_S);
    struct bursar_text token =
        jwt_sign(&claims, oauth2_text("RS256"), (struct bursar_text){NULL, 0},
                 call->setting(call, "private_key"));
    const struct bursar_text bearer[] = {oauth2_text("Bearer "), token};
    if (!token.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, oauth2_text("POST"));
    oauth2_emit(call, BURSAR_REQ_HEADER, "Authorization", call->join(call, bearer, 2));
    struct bursar_text body = body_of(call);
    if (body.len > 0) {
        oauth2_emit(call, BURSAR_REQ_HEADER, "Content-Type", oauth2_text("application/json"));
        oauth2_emit(call, BURSAR_REQ_BODY, NULL, body);
    }
    return 0;
}

/* Errors have a message and no code: what they mean is in the status. 404 is an installation that was
 * removed, 401 our app's own key. */
static enum bursar_read read_token(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    static const struct {
        int status;
        const char *error;
    } errors[] = {{404, "invalid_grant"},
                  {401, "invalid_client"},
                  {403, "forbidden"},
                  {422, "invalid_request"}};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (response->status != errors[i].status)
            continue;
        oauth2_emit(call, BURSAR_OUT_ERROR, NULL, oauth2_text(errors[i].error));
        oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL,
                    oauth2_scalar(call, response, "error_text_path"));
        return BURSAR_READ_ERROR;
    }
    return response->status < 300 ? oauth2_read_token(call, response) : BURSAR_READ_MALFORMED;
}

static void check(const struct bursar_call *call)
{
    static const char what[] = "is needed: requests are signed with it";
    static const char *const needed[] = {"app_id", "private_key"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!call->setting(call, needed[i]).data)
            call->emit(call, BURSAR_OUT_PROBLEM, needed[i], what, sizeof what - 1);
    }
}

const struct bursar_connector bursar_connector_github_app = {
    .kind = "github_app",
    .summary = "tokens of an installation of a GitHub App",
    .options = options,
    .form = form,
    .check = check,
    OAUTH2_MINTS(build, read_token),
};
