/* A module that was made for another version of the contract. */
#include <bursar/connector.h>

#include <stddef.h>

static const struct bursar_option options[] = {{0}};

static const struct bursar_connector connector = {.abi = BURSAR_CONNECTOR_ABI + 1,
                                                  .kind = "bad_abi",
                                                  .summary = "from another time",
                                                  .options = options};

bursar_connector_module_fn bursar_connector_module;
__attribute__((visibility("default"))) const struct bursar_connector *bursar_connector_module(void)
{
    return &connector;
}
