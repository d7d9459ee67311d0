/* Leaves a process behind that holds whatever its trial has open. */
#include <bursar/connector.h>

#include <unistd.h>

static const struct bursar_option options[] = {{0}};

static const struct bursar_connector module = {.abi = BURSAR_CONNECTOR_ABI,
                                               .kind = "bad_child",
                                               .summary = "leaves a process behind",
                                               .options = options};

bursar_connector_module_fn bursar_connector_module;
__attribute__((visibility("default"))) const struct bursar_connector *bursar_connector_module(void)
{
    if (fork() == 0) {
        for (;;)
            pause();
    }
    return &module;
}
