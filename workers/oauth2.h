/* What the kinds that speak OAuth 2.0 share: the client, token requests as data says them, replies as
 * data reads them. A provider's deviations are settings, not code.
 * Thread: any; pure. */
#ifndef WORKERS_OAUTH2_H
#define WORKERS_OAUTH2_H

#include <bursar/connector.h>

/* What a request other than a token request may also be authorized with. */
#define OAUTH2_AUTH_CHOICES \
    "client_secret_basic|client_secret_post|none|private_key_jwt|tls_client_auth|access_token"

/* ---- options, for the tables of the kinds -------------------------------------------------------- */

#define OAUTH2_CLIENT_OPTIONS                                                                      \
    {"client_id", BURSAR_OPTION_STRING, .help = "our client"},                                     \
        {"client_secret", BURSAR_OPTION_SECRET, .help = "its secret; absent: a public client"},    \
        {"client_secret_next", BURSAR_OPTION_SECRET,                                               \
         .help = "the one that follows it: tried where the provider refuses the first"},           \
        {"client_secret_expires_at", BURSAR_OPTION_STRING,                                         \
         .help = "the day on which client_secret ends, as YYYY-MM-DD"},                            \
        {"client_secret_life_days", BURSAR_OPTION_INTEGER, .min = 1, .max = 36500,                 \
         .help = "how long the provider lets a client secret live; absent: without end"},          \
        {"client_auth", BURSAR_OPTION_CHOICE,                                                      \
         .choices = "client_secret_basic|client_secret_post|none|private_key_jwt|tls_client_auth", \
         .default_text = "client_secret_basic", .help = "how the client shows who it is"},         \
        {"basic_encoding", BURSAR_OPTION_CHOICE, .choices = "form|raw", .default_text = "form",    \
         .help = "whether id and secret are form-encoded in client_secret_basic"},                 \
        {"private_key", BURSAR_OPTION_SECRET, .help = "PEM key that signs for private_key_jwt"},   \
        {"key_id", BURSAR_OPTION_STRING, .help = "`kid` of what private_key signs"},               \
        {"key_algorithm", BURSAR_OPTION_CHOICE, .choices = "RS256|ES256", .default_text = "RS256", \
         .help = "how private_key signs (RFC 7518)"},                                              \
        {"assertion_audience", BURSAR_OPTION_STRING,                                               \
         .help = "`aud` of what private_key signs; absent: the token endpoint"},                   \
        {"tls_certificate_file", BURSAR_OPTION_STRING, .help = "PEM file for tls_client_auth"},    \
    {                                                                                              \
        "tls_key_file", BURSAR_OPTION_STRING, .help = "its key, a PEM file"                        \
    }

#define OAUTH2_REQUEST_OPTIONS                                                                    \
    {"token_url", BURSAR_OPTION_TEMPLATE, .required = true, .help = "the token endpoint"},        \
        {"token_method", BURSAR_OPTION_CHOICE, .choices = "POST|GET", .default_text = "POST",     \
         .help = "of a token request"},                                                           \
        {"body_format", BURSAR_OPTION_CHOICE, .choices = "form|json|query",                       \
         .default_text = "form", .help = "where the parameters of a token request stand"},        \
        {"parameter_names", BURSAR_OPTION_MAP,                                                    \
         .help = "standard parameter names to those of this provider"},                           \
        {"headers", BURSAR_OPTION_MAP, .help = "further headers of a token request"},             \
        {"user_agent", BURSAR_OPTION_STRING, .help = "User-Agent of requests to this provider"},  \
        {"scopes", BURSAR_OPTION_LIST, .help = "what is asked for; absent: as granted"},          \
        {"scope_separator", BURSAR_OPTION_STRING, .default_text = " ", .help = "between scopes"}, \
    {                                                                                             \
        "audience", BURSAR_OPTION_STRING, .help = "for whom a token is asked"                     \
    }

#define OAUTH2_REPLY_OPTIONS                                                                       \
    {"access_token_path", BURSAR_OPTION_PATH, .default_text = "$.access_token",                    \
     .help = "the access token in a reply"},                                                       \
        {"refresh_token_path", BURSAR_OPTION_PATH, .default_text = "$.refresh_token",              \
         .help = "the refresh token in a reply"},                                                  \
        {"token_type_path", BURSAR_OPTION_PATH, .default_text = "$.token_type",                    \
         .help = "the token's type in a reply"},                                                   \
        {"scope_path", BURSAR_OPTION_PATH, .default_text = "$.scope",                              \
         .help = "what was granted, in a reply"},                                                  \
        {"expires_path", BURSAR_OPTION_PATH, .default_text = "$.expires_in",                       \
         .help = "the access token's end in a reply"},                                             \
        {"refresh_expires_path", BURSAR_OPTION_PATH,                                               \
         .default_text = "$.refresh_token_expires_in | $.refresh_expires_in | "                    \
                         "$.x_refresh_token_expires_in",                                           \
         .help = "the refresh token's end in a reply"},                                            \
        {"refresh_expires_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601", \
         .default_text = "s", .help = "what that is written in"},                                  \
        {"refresh_at_path", BURSAR_OPTION_PATH,                                                    \
         .help = "when the issuer wants the next refresh, in a reply"},                            \
        {"refresh_at_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601",      \
         .default_text = "s", .help = "what that is written in"},                                  \
        {"refresh_at_delays", BURSAR_OPTION_BOOL, .default_text = "false",                         \
         .help = "it is followed also where it is later than the usual time"},                     \
        {"success", BURSAR_OPTION_PREDICATES, .help = "what is true of a reply that has a token"}, \
        {"error_path", BURSAR_OPTION_PATH, .default_text = "$.error",                              \
         .help = "the error code in a reply"},                                                     \
        {"error_subcode_path", BURSAR_OPTION_PATH, .help = "a further code beside it"},            \
        {"error_text_path", BURSAR_OPTION_PATH, .default_text = "$.error_description | $.message", \
         .help = "the same for people"},                                                           \
    {                                                                                              \
        "captures", BURSAR_OPTION_PATHS, .help = "fields of the secret from a reply"               \
    }

/* Of kinds that make a secret from what stays: a lost reply costs nothing. Their form and their own
 * options follow. */
#define OAUTH2_MINT_ROTATION                                                                    \
    {                                                                                           \
        "rotation", BURSAR_OPTION_CHOICE, .choices = "none|reuse_grace|strict|unknown",         \
                                          .default_text = "none",                               \
                                          .help = "whether a refresh spends what it is made of" \
    }
#define OAUTH2_MINT_OPTIONS                                                                    \
    OAUTH2_MINT_ROTATION, OAUTH2_CLIENT_OPTIONS, OAUTH2_REQUEST_OPTIONS, OAUTH2_REPLY_OPTIONS, \
        OAUTH2_REVOKE_OPTIONS,                                                                 \
    {                                                                                          \
        "token_params", BURSAR_OPTION_MAP, .help = "further parameters of the request"         \
    }

/* What their descriptors have in common. */
#define OAUTH2_MINTS(build, read)                                                          \
    .abi = BURSAR_CONNECTOR_ABI, .flags = BURSAR_CONNECTOR_MINTS, .secret_kind = "oauth2", \
    .exchanges = {[BURSAR_REFRESH] = {build, read},                                        \
                  [BURSAR_REVOKE] = {oauth2_build_revoke, NULL},                           \
                  [BURSAR_VALIDATE] = {validate_build, validate_read}}

/* A second exchange, of what the first one gave. */
extern const struct bursar_option oauth2_exchange_columns[];
#define OAUTH2_EXCHANGE_OPTIONS                                                   \
    {                                                                             \
        "exchange", BURSAR_OPTION_GROUP,                                          \
            .columns = oauth2_exchange_columns,                                   \
            .help = "a second request, which makes the secret of what came first" \
    }

#define OAUTH2_REFRESH_OPTIONS                                                                  \
    {"refresh_url", BURSAR_OPTION_TEMPLATE, .help = "where refreshes go, if not to token_url"}, \
        {"refresh_method", BURSAR_OPTION_CHOICE, .choices = "POST|GET",                         \
         .help = "of a refresh; absent: token_method"},                                         \
        {"refresh_grant_type", BURSAR_OPTION_STRING, .default_text = "refresh_token",           \
         .help = "`grant_type` of a refresh"},                                                  \
        {"refresh_with", BURSAR_OPTION_CHOICE, .choices = "refresh_token|access_token",         \
         .default_text = "refresh_token", .help = "what is sent to get a new secret"},          \
        {"refresh_params", BURSAR_OPTION_MAP,                                                   \
         .help = "further parameters of a refresh; an empty value leaves one out"},             \
        {"refresh_auth", BURSAR_OPTION_CHOICE, .choices = OAUTH2_AUTH_CHOICES,                  \
         .help = "the same as client_auth, for a refresh where it differs"},                    \
        {"confirm_refusals", BURSAR_OPTION_BOOL, .default_text = "false",                       \
         .help = "a refused grant is tried once more before its owner is asked"},               \
        OAUTH2_REVOKE_OPTIONS

#define OAUTH2_REVOKE_OPTIONS                                                             \
    {"revoke_url", BURSAR_OPTION_TEMPLATE, .help = "the revocation endpoint (RFC 7009)"}, \
        {"revoke_auth", BURSAR_OPTION_CHOICE, .choices = OAUTH2_AUTH_CHOICES,             \
         .help = "the same as client_auth, for a revocation where it differs"},           \
        {"revoke_body_format", BURSAR_OPTION_CHOICE, .choices = "form|json|query",        \
         .help = "of a revocation; absent: body_format"},                                 \
        {"revoke_method", BURSAR_OPTION_CHOICE, .choices = "POST|GET|DELETE",             \
         .default_text = "POST", .help = "of a revocation"},                              \
    {                                                                                     \
        "revoke_params", BURSAR_OPTION_MAP, .help = "further parameters of a revocation"  \
    }

/* All of a kind whose grants people give, in a browser or on a second device. */
extern const struct bursar_option oauth2_consent_options[];

/* ---- texts ---------------------------------------------------------------------------------------- */

struct bursar_text oauth2_text(const char *string);
bool oauth2_is(struct bursar_text text, const char *string);
/* Emits a text; nothing where it is absent. */
void oauth2_emit(const struct bursar_call *call, enum bursar_emit part, const char *name,
                 struct bursar_text value);
/* What the connection gave, or else what the operator set. */
struct bursar_text oauth2_part(const struct bursar_call *call, const char *name);
/* A C string of the call's life; NULL where there is no room. */
const char *oauth2_string(const struct bursar_call *call, struct bursar_text text);

/* ---- requests ------------------------------------------------------------------------------------- */

#define OAUTH2_TOKEN_HEADERS "headers"
#define OAUTH2_NO_HEADERS ""

/* A token request that is being made. */
struct oauth2_request {
    const struct bursar_call *call;
    const char *params; /* setting with further parameters: what it names is not emitted twice */
    const char *auth;   /* setting that says how the client shows who it is; client_auth else */
    struct bursar_text url;
    enum bursar_emit part; /* where parameters stand: BURSAR_REQ_FORM, _JSON or _QUERY */
};

/* Emits URL and headers (those of the map `headers`, OAUTH2_TOKEN_HEADERS for a token request, which may
 * have the client's secret among them); the URL is the setting's, or that of `otherwise`. 0,
 * BURSAR_E_UNSUPPORTED_OP where neither is set, BURSAR_E_CONFIG where a {placeholder} is unknown. */
int oauth2_begin(const struct bursar_call *call, const char *url, const char *otherwise,
                 const char *params, const char *headers, struct oauth2_request *out_request);
/* GET has its parameters in the URL. */
void oauth2_method(struct oauth2_request *request, struct bursar_text method);
/* form, json or query; absent: as it is. */
void oauth2_format(struct oauth2_request *request, struct bursar_text format);
/* A standard parameter, under this provider's name for it; absent or empty ones are left out, and those
 * that the further parameters name, by either name. */
void oauth2_param(const struct oauth2_request *request, const char *name, struct bursar_text value);
/* The further parameters. 0, or BURSAR_E_CONFIG where a {placeholder} is unknown. */
int oauth2_params(const struct oauth2_request *request);
/* Shows who the client is (RFC 6749 section 2.3, RFC 7523, RFC 8705). 0 or BURSAR_E_CONFIG. */
int oauth2_client(const struct oauth2_request *request);
/* The scopes of the input, or else of the settings, joined as the provider wants it; absent: none. */
struct bursar_text oauth2_scopes(const struct bursar_call *call);

/* Headers of a map setting, with {placeholders}: with what each request to the provider has besides
 * (user_agent, Accept), or alone. 0 or BURSAR_E_CONFIG. */
int oauth2_headers(const struct bursar_call *call, const char *setting);
int oauth2_more_headers(const struct bursar_call *call, const char *setting);
/* A body with its {placeholders} filled in as its Content-Type needs: that of the map, or else this type,
 * which is emitted then. 0 or BURSAR_E_CONFIG. */
int oauth2_body(const struct bursar_call *call, const char *headers, struct bursar_text body,
                const char *type);
/* The value of a header in such a map; absent. */
struct bursar_text oauth2_item(const struct bursar_call *call, const char *setting,
                               const char *wanted);
/* A setting with its {placeholders} filled in. */
struct bursar_text oauth2_setting(const struct bursar_call *call, const char *name);
/* What the provider calls a standard parameter. */
struct bursar_text oauth2_name(const struct bursar_call *call, const char *name);

/* ---- exchanges ------------------------------------------------------------------------------------ */

int oauth2_build_refresh(const struct bursar_call *call);
int oauth2_build_authorize(const struct bursar_call *call);
int oauth2_build_exchange(const struct bursar_call *call);
int oauth2_build_second(const struct bursar_call *call); /* `exchange` */
int oauth2_build_device(const struct bursar_call *call);
int oauth2_build_poll(const struct bursar_call *call);
int oauth2_build_revoke(const struct bursar_call *call);
int oauth2_build_identify(const struct bursar_call *call);

enum bursar_read oauth2_read_token(const struct bursar_call *call,
                                   const struct bursar_response *response);
/* The same, but with a second exchange to come (`exchange`) what it gave is captured for that. */
enum bursar_read oauth2_read_first(const struct bursar_call *call,
                                   const struct bursar_response *response);
enum bursar_read oauth2_read_device(const struct bursar_call *call,
                                    const struct bursar_response *response);
enum bursar_read oauth2_read_poll(const struct bursar_call *call,
                                  const struct bursar_response *response);
enum bursar_read oauth2_read_identify(const struct bursar_call *call,
                                      const struct bursar_response *response);
/* Emits what a reply says of an error; false where it says none. */
bool oauth2_read_error(const struct bursar_call *call, const struct bursar_response *response);

/* Pieces of replies. A setting that is a path finds a value, or as oauth2_scalar its text. */
struct bursar_value oauth2_find(const struct bursar_call *call,
                                const struct bursar_response *response, const char *path);
struct bursar_text oauth2_scalar(const struct bursar_call *call,
                                 const struct bursar_response *response, const char *path);
bool oauth2_is_scalar(const struct bursar_value *value); /* a text or number that is not empty */
/* Whether `success` is true of a reply; true where it says nothing (out_is_told is false). */
bool oauth2_is_success(const struct bursar_call *call, const struct bursar_response *response,
                       bool *out_is_told);
/* The error's code: a text or number, or the code of an object; `false`, 0 and "" are none. */
struct bursar_text oauth2_error(const struct bursar_call *call,
                                const struct bursar_response *response);
/* Emits what a map of paths finds as BURSAR_OUT_METADATA. */
void oauth2_read_metadata(const struct bursar_call *call, const struct bursar_response *response,
                          const char *setting);

/* Says of a setting what is wrong with it, for `check`. */
void oauth2_problem(const struct bursar_call *call, const char *key, const char *what);
/* The emitted problems of a client's settings, for `check`. */
void oauth2_check_client(const struct bursar_call *call);
/* The same of a consent's. */
void oauth2_check_consent(const struct bursar_call *call);

#endif
