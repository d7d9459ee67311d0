#include "connector/options.h"

#include <stdio.h>

#include <bursar/error.h>

#include "connector/path.h"
#include "connector/predicate.h"

static const struct bursar_option rate_columns[] = {
    {"limit", BURSAR_OPTION_INTEGER, .required = true, .min = 1, .max = 1e12,
     .help = "requests in a window"},
    {"window_s", BURSAR_OPTION_INTEGER, .required = true, .min = 1, .max = 31536000,
     .help = "length of the window, in seconds"},
    {0},
};

static const struct bursar_option token_rate_columns[] = {
    {"limit", BURSAR_OPTION_INTEGER, .required = true, .min = 1, .max = 1e12,
     .help = "token requests in a window"},
    {"window_s", BURSAR_OPTION_INTEGER, .required = true, .min = 1, .max = 31536000,
     .help = "length of the window, in seconds"},
    {"per", BURSAR_OPTION_CHOICE, .choices = "provider|client|grant", .default_text = "provider",
     .help = "what the ceiling is counted for"},
    {0},
};

static const struct bursar_option breaker_columns[] = {
    {"failures", BURSAR_OPTION_INTEGER, .default_text = "5", .min = 1, .max = 1000000,
     .help = "in a row, after which nothing is sent for a while"},
    {"open_s", BURSAR_OPTION_NUMBER, .default_text = "30", .min = 0.1, .max = 86400,
     .help = "how long; one request then tries whether it works again"},
    {0},
};

static const struct bursar_option guard_columns[] = {
    {"refusals", BURSAR_OPTION_INTEGER, .default_text = "20", .min = 1, .max = 1000000000,
     .help = "so many refused grants in the window are too many"},
    {"share", BURSAR_OPTION_NUMBER, .default_text = "0.3", .min = 0, .max = 1,
     .help = "where they are more than this share of all"},
    {"window_s", BURSAR_OPTION_INTEGER, .default_text = "300", .min = 10, .max = 86400,
     .help = "length of the window, in seconds"},
    {"round_s", BURSAR_OPTION_NUMBER, .default_text = "60", .min = 0.1, .max = 900,
     .help = "before the first canaries; doubles up to 900"},
    {0},
};

static const struct bursar_option apply_columns[] = {
    {"in", BURSAR_OPTION_CHOICE, .required = true, .choices = "header|query|cookie|body|basic|path",
     .help = "where in a request"},
    {"name", BURSAR_OPTION_STRING, .required = true, .help = "name of the header or parameter"},
    {"value", BURSAR_OPTION_STRING, .required = true, .help = "its value, with {placeholders}"},
    {0},
};

static const struct bursar_option variable_columns[] = {
    {"name", BURSAR_OPTION_STRING, .required = true, .help = "as in {name}"},
    {"label", BURSAR_OPTION_STRING, .help = "the same for people"},
    {"default", BURSAR_OPTION_STRING, .help = "where the connection has none"},
    {"help", BURSAR_OPTION_STRING, .help = "where to find it"},
    {"from", BURSAR_OPTION_CHOICE, .choices = "metadata|callback|reply", .default_text = "metadata",
     .help = "where it comes from"},
    {"allow", BURSAR_OPTION_LIST, .help = "hosts that it may lead to; `*.` stands for any below"},
    {0},
};

static const struct bursar_option form_columns[] = {
    {"name", BURSAR_OPTION_STRING, .required = true, .help = "part or field of the secret"},
    {"label", BURSAR_OPTION_STRING, .required = true, .help = "the same for people"},
    {"type", BURSAR_OPTION_CHOICE, .choices = "password|text|url", .default_text = "password",
     .help = "how it is asked for"},
    {"required", BURSAR_OPTION_BOOL, .default_text = "true", .help = "whether it may be blank"},
    {"placeholder", BURSAR_OPTION_STRING, .help = "what one looks like"},
    {"help", BURSAR_OPTION_STRING, .help = "where to find it"},
    {"default", BURSAR_OPTION_STRING, .help = "taken where it is blank"},
    {"group", BURSAR_OPTION_STRING, .help = "fields of one group are one of several methods"},
    {0},
};

static const struct bursar_option validate_columns[] = {
    {"method", BURSAR_OPTION_CHOICE, .choices = "GET|POST|HEAD", .default_text = "GET",
     .help = "of the request"},
    {"url", BURSAR_OPTION_TEMPLATE, .required = true, .help = "where a key is tried"},
    {"headers", BURSAR_OPTION_MAP, .help = "of the request, with {placeholders}"},
    {"body", BURSAR_OPTION_STRING, .help = "of the request, with {placeholders}"},
    {"valid", BURSAR_OPTION_LIST, .help = "words of replies that mean a good key"},
    {"invalid", BURSAR_OPTION_LIST, .help = "words of replies that mean a bad one"},
    {"username_path", BURSAR_OPTION_PATH, .help = "whose key it is, in the reply"},
    {"metadata", BURSAR_OPTION_PATHS, .help = "what else to keep from the reply"},
    {0},
};

const struct bursar_option options_common[] = {
    {"display_name", BURSAR_OPTION_STRING, .help = "name for people"},
    {"description", BURSAR_OPTION_STRING, .help = "one line about the provider"},
    {"docs_url", BURSAR_OPTION_URL, .help = "where the provider documents its authorization"},
    {"refresh_lead_s", BURSAR_OPTION_INTEGER, .default_text = "300", .min = 0, .max = 86400,
     .help = "refresh at most so many seconds before the end"},
    {"expiry_ratio", BURSAR_OPTION_NUMBER, .default_text = "0.9", .min = 0.000001, .max = 1,
     .help = "refresh not before this share of the life has passed"},
    {"availability", BURSAR_OPTION_NUMBER, .min = 0.5, .max = 0.9999999,
     .help = "the share of time that a good secret is wanted to be there: refresh so early"},
    {"timeout_s", BURSAR_OPTION_NUMBER, .default_text = "30", .min = 0.1, .max = 600,
     .help = "for a whole request"},
    {"connect_timeout_s", BURSAR_OPTION_NUMBER, .default_text = "5", .min = 0.1, .max = 120,
     .help = "for the connection alone"},
    {"default_ttl_s", BURSAR_OPTION_INTEGER, .min = 1, .max = 315360000,
     .help = "life of a secret whose reply names none; absent: until it is invalidated"},
    {"expires_unit", BURSAR_OPTION_CHOICE, .choices = "s|ms|epoch_s|epoch_ms|iso8601",
     .default_text = "s", .help = "what the expiry in a reply is written in"},
    {"refresh_token_ttl_s", BURSAR_OPTION_INTEGER, .min = 1, .max = 3153600000.0,
     .help = "life of a refresh token whose reply names none"},
    {"rotation", BURSAR_OPTION_CHOICE, .choices = "none|reuse_grace|strict|unknown",
     .default_text = "unknown", .help = "whether a refresh spends the refresh token"},
    {"reuse_grace_s", BURSAR_OPTION_INTEGER, .default_text = "0", .min = 0, .max = 31536000,
     .help = "how long a spent refresh token may be sent again"},
    {"reauth_errors", BURSAR_OPTION_LIST, .help = "further error codes of a dead grant"},
    {"transient_errors", BURSAR_OPTION_LIST, .help = "further error codes that pass"},
    {"throttle_errors", BURSAR_OPTION_LIST, .help = "further error codes that ask to wait"},
    {"client_errors", BURSAR_OPTION_LIST, .help = "further error codes of a refused client"},
    {"grant_ttl_s", BURSAR_OPTION_INTEGER, .min = 1, .max = 3153600000.0,
     .help = "the whole grant ends so long after the consent, however often it is refreshed"},
    {"earliest_refresh_s", BURSAR_OPTION_INTEGER, .min = 0, .max = 31536000,
     .help = "a refresh is refused earlier than so many seconds before the end"},
    {"minimum_age_s", BURSAR_OPTION_INTEGER, .min = 0, .max = 31536000,
     .help = "a secret must be so old before it can be refreshed"},
    {"confirm_after_s", BURSAR_OPTION_INTEGER, .default_text = "60", .min = 1, .max = 86400,
     .help = "from a refusal that a second look has to confirm to that look"},
    {"category", BURSAR_OPTION_STRING, .help = "what sort of provider it is"},
    {"icon", BURSAR_OPTION_STRING, .help = "a picture for people: a URL or a name"},
    {"experimental", BURSAR_OPTION_BOOL, .default_text = "false",
     .help = "used only with connectors.experimental"},
    {"guard", BURSAR_OPTION_STRING, .help = "only operators of this scope may vend it"},
    {"acts_as", BURSAR_OPTION_CHOICE, .choices = "user|service|either",
     .help = "on whose behalf a secret acts"},
    {"account_type", BURSAR_OPTION_STRING, .help = "what an account id of this provider is"},
    {"rate", BURSAR_OPTION_GROUP, .columns = rate_columns, .help = "ceiling of the API"},
    {"token_rate", BURSAR_OPTION_GROUP, .columns = token_rate_columns,
     .help = "ceiling of the token endpoint"},
    {"breaker", BURSAR_OPTION_GROUP, .columns = breaker_columns,
     .help = "when a provider that does not answer is left alone"},
    {"fleet_guard", BURSAR_OPTION_GROUP, .columns = guard_columns,
     .help = "when a provider that refuses many grants is not believed"},
    {"apply", BURSAR_OPTION_ROWS, .columns = apply_columns,
     .help = "how the secret is put into a request"},
    {"variables", BURSAR_OPTION_ROWS, .columns = variable_columns,
     .help = "what {placeholders} need from a connection"},
    {"form", BURSAR_OPTION_ROWS, .columns = form_columns, .help = "what a person is asked for"},
    {"validate", BURSAR_OPTION_GROUP, .columns = validate_columns,
     .help = "the request that shows whether the provider takes a secret"},
    {"recheck_s", BURSAR_OPTION_INTEGER, .min = 60, .max = 31536000,
     .help = "how often a stored secret is validated again; absent: never"},
    {0},
};

/* Cuts an error into what fits. */
static bool told(int result, struct buf *error, char out_problem[static VALUE_PROBLEM_SIZE])
{
    if (result < 0)
        snprintf(out_problem, VALUE_PROBLEM_SIZE, "%s",
                 error->len > 0 ? (const char *)error->data : "is no path");
    buf_free(error);
    return result == 0;
}

bool options_check(enum bursar_option_type type, struct text text,
                   char out_problem[static VALUE_PROBLEM_SIZE])
{
    struct buf error = buf_make(512);
    struct predicate *predicate = NULL;
    struct path *path = NULL;
    int result = type == BURSAR_OPTION_PREDICATES ? predicate_compile(text, &predicate, &error)
                                                  : path_compile(text, &path, &error);
    predicate_free(predicate);
    path_free(path);
    return told(result, &error, out_problem);
}
