/* A provider as the broker knows it: a connector kind with one provider's settings.
 * Thread: any once built: a built connector does not change. */
#ifndef CONNECTOR_CONNECTOR_H
#define CONNECTOR_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/connector.h>

#include "config/config.h"
#include "policy/expiry.h"
#include "policy/verdict.h"

/* A shared credential is kept as a connection of nobody (the empty owner, which no job can name) at a
 * provider of this character and its name, which is no provider id: only `ref` leads there. */
#define CONNECTOR_SHARED '@'

/* What the policy functions need, taken out of the settings once. */
struct connector {
    const char *provider; /* borrows from the configuration, as all of it but the next */
    char *shared_id; /* CONNECTOR_SHARED and the name of a shared credential; NULL: a provider */
    const struct bursar_connector *module;
    const struct settings *settings;
    struct expiry_rule expiry;
    enum expiry_unit expires_unit;
    int64_t default_ttl_s;       /* 0: a secret without an expiry has none */
    int64_t refresh_token_ttl_s; /* 0: not known */
    enum rotation_rule rotation;
    int64_t reuse_grace_s; /* of ROTATION_REUSE_GRACE; 0: no end is known */
    const char **reauth_errors, **transient_errors, **client_errors; /* NULL-ended, own arrays */
    long timeout_ms, connect_timeout_ms;
};

/* All providers of a configuration, sorted by id. */
struct connectors {
    struct connector *items;
    size_t count;
};

/* The kinds that this program knows, for config_load(). */
const struct config_kinds *connector_kinds(void);
const struct bursar_connector *connector_module(const char *kind); /* NULL: none */

/* 0 or BURSAR_E_NOMEM. Borrows the configuration until connectors_free(). */
int connectors_make(const struct config *config, struct connectors *out_connectors);
void connectors_free(struct connectors *connectors);

/* NULL where no provider has this id. */
const struct connector *connectors_find(const struct connectors *connectors, struct text provider);
/* The nearest configured provider, or NULL. */
const char *connectors_nearest(const struct connectors *connectors, struct text provider);

/* The shared credential of a name, or NULL. */
const struct connector *connectors_find_shared(const struct connectors *connectors,
                                               struct text name);

struct verdict_words connector_words(const struct connector *connector);

#endif
