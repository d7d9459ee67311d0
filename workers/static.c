/* static: a secret that is put once and never refreshed: a bearer token, a header, a password. */
#include <bursar/connector.h>

static const struct bursar_option options[] = {
    {0},
};

const struct bursar_connector bursar_connector_static = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "static",
    .summary = "a secret that is stored as it is and never refreshed",
    .options = options,
};
