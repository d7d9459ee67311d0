/* oauth2_refresh: an OAuth 2.0 refresh token grant (RFC 6749 section 6). */
#include "oauth2.h"
#include "validate.h"

static const struct bursar_option options[] = {
    OAUTH2_CLIENT_OPTIONS,
    OAUTH2_REQUEST_OPTIONS,
    OAUTH2_REPLY_OPTIONS,
    OAUTH2_REFRESH_OPTIONS,
    {0},
};

static const struct bursar_option shared_options[] = {
    {"refresh_token", BURSAR_OPTION_SECRET, .required = true,
     .help = "the one to begin with; a changed one wins over what was rotated since"},
    {0},
};

static int seed(const struct bursar_call *call)
{
    oauth2_emit(call, BURSAR_OUT_FIELD, "kind", oauth2_text("oauth2"));
    oauth2_emit(call, BURSAR_OUT_FIELD, "refresh_token", call->setting(call, "refresh_token"));
    return 0;
}

const struct bursar_connector bursar_connector_oauth2_refresh = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "oauth2_refresh",
    .summary = "an OAuth 2.0 grant that is kept alive by its refresh token",
    .secret_kind = "oauth2",
    .options = options,
    .shared_options = shared_options,
    .check = oauth2_check_client,
    .seed = seed,
    .exchanges = {[BURSAR_REFRESH] = {oauth2_build_refresh, oauth2_read_token},
                  [BURSAR_REVOKE] = {oauth2_build_revoke, NULL},
                  [BURSAR_VALIDATE] = {validate_build, validate_read}},
};
