#include "broker/service.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "http/engine.h"

int service_open(struct service *service, struct registry *registry)
{
    *service = (struct service){.registry = registry ? registry : registry_new()};
    int result = service->registry ? secret_arena_open(SECRET_ARENA_BYTES) : BURSAR_E_NOMEM;
    service->is_open = result == 0;
    return result;
}

int service_load(struct service *service, const char *config_path, struct buf *errors)
{
    int result =
        config_load(config_path, registry_kinds(service->registry), &service->config, errors);
    registry_freeze(service->registry);
    return result < 0 ? result
                      : connectors_make(service->config, service->registry, &service->connectors);
}

int service_start(struct service *service, struct buf *error)
{
    struct keyring_source source = broker_keyring_source(service->config);
    int result = keyring_open(&source, &service->keyring, error);
    if (result < 0)
        return result;
    json_set_alloc_funcs(malloc, secret_wiping_free);
    result = http_global_open();
    service->is_http_open = result == 0;
    if (result == 0)
        result = broker_start(&service->broker, service->config, &service->connectors,
                              service->keyring, error);
    return result;
}

void service_stop(struct service *service)
{
    broker_stop(&service->broker);
    if (service->is_http_open)
        http_global_close();
    keyring_free(service->keyring);
    connectors_free(&service->connectors);
    config_free(service->config);
    registry_free(service->registry);
    if (service->is_open)
        secret_arena_close();
    *service = (struct service){.registry = NULL};
}
