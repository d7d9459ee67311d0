/* api_key: what a person copies from the provider's settings: one key, or several parts. */
#include "oauth2.h"
#include "validate.h"

static const struct bursar_option options[] = {
    VALIDATE_REPLY_OPTIONS,
    {0},
};

static const struct bursar_option shared_options[] = {
    {"api_key", BURSAR_OPTION_SECRET, .required = true, .help = "the key"},
    {"api_secret", BURSAR_OPTION_SECRET, .help = "its second part"},
    {0},
};

static const struct bursar_field form[] = {
    {"api_key", "API key", "password", true, "made in the provider's settings"},
    {0},
};

static int seed(const struct bursar_call *call)
{
    oauth2_emit(call, BURSAR_OUT_FIELD, "kind", oauth2_text("api_key"));
    oauth2_emit(call, BURSAR_OUT_FIELD, "api_key", call->setting(call, "api_key"));
    oauth2_emit(call, BURSAR_OUT_FIELD, "api_secret", call->setting(call, "api_secret"));
    return 0;
}

const struct bursar_connector bursar_connector_api_key = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "api_key",
    .summary = "a key that a person copies from the provider, with further parts where it has them",
    .secret_kind = "api_key",
    .options = options,
    .shared_options = shared_options,
    .form = form,
    .seed = seed,
    .exchanges = {[BURSAR_VALIDATE] = {validate_build, validate_read}},
};
