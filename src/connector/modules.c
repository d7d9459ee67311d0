#include "connector/modules.h"

#include <stddef.h>

extern const struct bursar_connector bursar_connector_api_key;
extern const struct bursar_connector bursar_connector_aws_sts;
extern const struct bursar_connector bursar_connector_flow;
extern const struct bursar_connector bursar_connector_github_app;
extern const struct bursar_connector bursar_connector_jwt_bearer;
extern const struct bursar_connector bursar_connector_oauth1;
extern const struct bursar_connector bursar_connector_oauth2;
extern const struct bursar_connector bursar_connector_oauth2_authorization_code;
extern const struct bursar_connector bursar_connector_oauth2_client_credentials;
extern const struct bursar_connector bursar_connector_oauth2_device;
extern const struct bursar_connector bursar_connector_oauth2_refresh;
extern const struct bursar_connector bursar_connector_static;
extern const struct bursar_connector bursar_connector_token_endpoint;
extern const struct bursar_connector bursar_connector_token_exchange;

const struct bursar_connector *const modules_builtin[] = {
    &bursar_connector_api_key,
    &bursar_connector_aws_sts,
    &bursar_connector_flow,
    &bursar_connector_github_app,
    &bursar_connector_jwt_bearer,
    &bursar_connector_oauth1,
    &bursar_connector_oauth2,
    &bursar_connector_oauth2_authorization_code,
    &bursar_connector_oauth2_client_credentials,
    &bursar_connector_oauth2_device,
    &bursar_connector_oauth2_refresh,
    &bursar_connector_static,
    &bursar_connector_token_endpoint,
    &bursar_connector_token_exchange,
    NULL,
};
