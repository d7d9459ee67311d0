#include "connector/modules.h"

#include <stddef.h>

extern const struct bursar_connector bursar_connector_oauth2;
extern const struct bursar_connector bursar_connector_oauth2_authorization_code;
extern const struct bursar_connector bursar_connector_oauth2_client_credentials;
extern const struct bursar_connector bursar_connector_oauth2_device;
extern const struct bursar_connector bursar_connector_oauth2_refresh;
extern const struct bursar_connector bursar_connector_static;

const struct bursar_connector *const modules_builtin[] = {
    &bursar_connector_oauth2,
    &bursar_connector_oauth2_authorization_code,
    &bursar_connector_oauth2_client_credentials,
    &bursar_connector_oauth2_device,
    &bursar_connector_oauth2_refresh,
    &bursar_connector_static,
    NULL,
};
