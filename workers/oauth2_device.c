/* oauth2_device: a grant that a person gives on a second device (RFC 8628). */
#include "oauth2.h"
#include "validate.h"

static void check(const struct bursar_call *call)
{
    oauth2_check_client(call);
    oauth2_check_consent(call);
    if (!call->setting(call, "device_url").data)
        oauth2_problem(call, "device_url", "is needed: it gives the code that a person types in");
}

const struct bursar_connector bursar_connector_oauth2_device = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "oauth2_device",
    .summary = "an OAuth 2.0 grant that a person gives on a second device",
    .secret_kind = "oauth2",
    .options = oauth2_consent_options,
    .check = check,
    .exchanges = {[BURSAR_REFRESH] = {oauth2_build_refresh, oauth2_read_token},
                  [BURSAR_DEVICE] = {oauth2_build_device, oauth2_read_device},
                  [BURSAR_POLL] = {oauth2_build_poll, oauth2_read_poll},
                  [BURSAR_REVOKE] = {oauth2_build_revoke, NULL},
                  [BURSAR_VALIDATE] = {validate_build, validate_read},
                  [BURSAR_IDENTIFY] = {oauth2_build_identify, oauth2_read_identify}},
};
