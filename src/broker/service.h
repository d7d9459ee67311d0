/* A broker with all that it is made of: configuration, kinds, keys, memory for secrets.
 * Thread: the main thread; service_registry() before service_load(). */
#ifndef BROKER_SERVICE_H
#define BROKER_SERVICE_H

#include "base/buf.h"
#include "broker/broker.h"
#include "connector/registry.h"

struct service {
    struct registry *registry;
    struct config *config;
    struct connectors connectors;
    struct keyring *keyring;
    struct broker broker;
    bool is_open; /* the memory for secrets is this service's */
    bool is_http_open;
};

/* Makes the memory for secrets. Takes the registry; NULL is bursar's own kinds. 0 or a negative error. */
int service_open(struct service *service, struct registry *registry);
/* Reads and checks the configuration, freezes the registry. errors gets all that is wrong, a line each. */
int service_load(struct service *service, const char *config_path, struct buf *errors);
/* Opens the keyring and starts the broker. */
int service_start(struct service *service, struct buf *error);
/* Ends whatever there is of it. */
void service_stop(struct service *service);

#endif
