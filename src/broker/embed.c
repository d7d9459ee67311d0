/* What <bursar/broker.h> promises, by what the daemon itself is made of. */
#include <bursar/broker.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/service.h"

enum { ERRORS_MAX = 1 << 20 };

struct bursar_registry {
    struct registry *registry;
};

struct bursar_broker {
    struct service service;
};

/* The locked memory and the log are the process's. */
static atomic_bool is_running;

static void cut(const struct buf *text, char *out, size_t size)
{
    if (size > 0)
        snprintf(out, size, "%s", text->len > 0 ? (const char *)text->data : "");
}

/* ---- the registry --------------------------------------------------------------------------------- */

static struct bursar_registry *wrap(struct registry *registry)
{
    struct bursar_registry *wrapped = registry ? calloc(1, sizeof *wrapped) : NULL;
    if (wrapped)
        wrapped->registry = registry;
    else
        registry_free(registry);
    return wrapped;
}

struct bursar_registry *bursar_registry_new(void)
{
    return wrap(registry_new());
}

struct bursar_registry *bursar_registry_new_empty(void)
{
    return wrap(registry_new_empty());
}

void bursar_registry_free(struct bursar_registry *registry)
{
    if (registry)
        registry_free(registry->registry);
    free(registry);
}

int bursar_registry_add(struct bursar_registry *registry, const struct bursar_connector *connector,
                        char *error, size_t size)
{
    struct buf why = buf_make(512);
    int result = registry_add(registry->registry, connector, &why);
    cut(&why, error, size);
    buf_free(&why);
    return result;
}

int bursar_registry_remove(struct bursar_registry *registry, const char *kind)
{
    return registry_remove(registry->registry, kind);
}

int bursar_registry_load(struct bursar_registry *registry, const char *folder, char *error,
                         size_t size)
{
    struct buf lines = buf_make(ERRORS_MAX);
    registry_load_folder(registry->registry, folder, &lines);
    int result = lines.len > 0 ? BURSAR_E_CONFIG : BURSAR_OK;
    cut(&lines, error, size);
    buf_free(&lines);
    return result;
}

const struct bursar_connector *bursar_registry_get(const struct bursar_registry *registry,
                                                   const char *kind)
{
    return registry_find(registry->registry, kind);
}

bool bursar_registry_has(const struct bursar_registry *registry, const char *kind)
{
    return registry_find(registry->registry, kind) != NULL;
}

size_t bursar_registry_count(const struct bursar_registry *registry)
{
    return registry_count(registry->registry);
}

const struct bursar_connector *bursar_registry_item(const struct bursar_registry *registry,
                                                    size_t index)
{
    return registry_item(registry->registry, index);
}

/* ---- the broker ----------------------------------------------------------------------------------- */

static int start(struct bursar_broker *broker, struct registry *registry, const char *config_path,
                 struct buf *errors)
{
    int result = service_open(&broker->service, registry);
    if (result == 0)
        result = service_load(&broker->service, config_path, errors);
    if (result == 0)
        result = service_start(&broker->service, errors);
    if (result < 0)
        service_stop(&broker->service);
    return result;
}

int bursar_broker_start(const char *config_path, struct bursar_registry *wrapped,
                        struct bursar_broker **out_broker, char *error, size_t size)
{
    struct registry *registry = wrapped ? wrapped->registry : NULL;
    struct buf errors = buf_make(ERRORS_MAX);
    struct bursar_broker *broker = calloc(1, sizeof *broker);
    bool is_first = !atomic_exchange(&is_running, true);
    int result = !is_first ? BURSAR_E_CONFLICT : broker ? 0 : BURSAR_E_NOMEM;
    free(wrapped);
    if (result == 0)
        result = start(broker, registry, config_path, &errors);
    else
        registry_free(registry);
    if (!is_first)
        buf_append_string(&errors, "this process has a broker already");
    cut(&errors, error, size);
    buf_free(&errors);
    if (result == 0) {
        *out_broker = broker;
        return BURSAR_OK;
    }
    free(broker);
    if (is_first)
        atomic_store(&is_running, false);
    return result;
}

void bursar_broker_stop(struct bursar_broker *broker)
{
    if (!broker)
        return;
    service_stop(&broker->service);
    free(broker);
    atomic_store(&is_running, false);
}
