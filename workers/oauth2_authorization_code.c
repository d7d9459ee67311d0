/* oauth2_authorization_code: a grant that a person gives in a browser (RFC 6749 section 4.1, with PKCE
 * of RFC 7636), or, where the provider has it, on a second device (RFC 8628). */
#include "oauth2.h"
#include "validate.h"

static void check(const struct bursar_call *call)
{
    oauth2_check_client(call);
    oauth2_check_consent(call);
    if (!call->setting(call, "authorize_url").data)
        oauth2_problem(call, "authorize_url", "is needed: it is where a person consents");
}

const struct bursar_connector bursar_connector_oauth2_authorization_code = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "oauth2_authorization_code",
    .summary = "an OAuth 2.0 grant that a person gives in a browser",
    .secret_kind = "oauth2",
    .options = oauth2_consent_options,
    .check = check,
    .exchanges = {[BURSAR_REFRESH] = {oauth2_build_refresh, oauth2_read_token},
                  [BURSAR_AUTHORIZE] = {oauth2_build_authorize, NULL},
                  [BURSAR_EXCHANGE] = {oauth2_build_exchange, oauth2_read_first},
                  [BURSAR_DEVICE] = {oauth2_build_device, oauth2_read_device},
                  [BURSAR_POLL] = {oauth2_build_poll, oauth2_read_poll},
                  [BURSAR_REVOKE] = {oauth2_build_revoke, NULL},
                  [BURSAR_VALIDATE] = {validate_build, validate_read},
                  [BURSAR_IDENTIFY] = {oauth2_build_identify, oauth2_read_identify}},
};
