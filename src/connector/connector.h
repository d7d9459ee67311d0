/* A provider as the broker knows it: a connector kind with one provider's settings.
 * Thread: any once built: a built connector does not change. */
#ifndef CONNECTOR_CONNECTOR_H
#define CONNECTOR_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/connector.h>

#include "config/config.h"
#include "connector/paths.h"
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
    struct paths *paths; /* of the settings; NULL: each is compiled when it is asked for */
    struct expiry_rule expiry;
    enum expiry_unit expires_unit;
    enum expiry_unit refresh_at_unit; /* of the issuer's own time for a refresh */
    bool is_refresh_at_late;          /* it is followed where it is later, too */
    double availability;              /* wanted share of time with a good secret; 0: none */
    int64_t default_ttl_s;            /* 0: a secret without an expiry has none */
    int64_t refresh_token_ttl_s;      /* 0: not known */
    enum rotation_rule rotation;
    int64_t reuse_grace_s; /* of ROTATION_REUSE_GRACE; 0: no end is known */
    const char **reauth_errors, **transient_errors; /* NULL-ended, own arrays */
    const char **throttle_errors, **client_errors;
    enum expiry_unit refresh_expires_unit;
    int64_t grant_ttl_s; /* 0: a grant has no end of its own */
    int64_t
        earliest_refresh_s; /* a refresh earlier than so long before the end is refused; -1: none is */
    int64_t minimum_age_s;   /* of a secret before it may be refreshed */
    int64_t confirm_after_s; /* from a refusal to the look that confirms it */
    bool confirms_refusals;  /* of refreshes */
    long timeout_ms, connect_timeout_ms;
    bool allow_http; /* http:// on loopback */
    bool mints;      /* a refresh needs no refresh token */
};

/* All providers of a configuration, sorted by id. */
struct registry;

struct connectors {
    struct connector *items;
    size_t count;
    const struct registry *registry; /* of the kinds that they are of */
};

/* 0 or BURSAR_E_NOMEM. Borrows the configuration and the registry that it was read with until
 * connectors_free(). */
int connectors_make(const struct config *config, const struct registry *registry,
                    struct connectors *out_connectors);
void connectors_free(struct connectors *connectors);
/* One alone, for a tool that has one entry: connector_fini() ends it. */
int connector_make(const struct config_provider *provider, const struct registry *registry,
                   bool allow_http, struct connector *out_connector);
void connector_fini(struct connector *connector);

/* NULL where no provider has this id. */
const struct connector *connectors_find(const struct connectors *connectors, struct text provider);
/* The nearest configured provider, or NULL. */
const char *connectors_nearest(const struct connectors *connectors, struct text provider);

/* The shared credential of a name, or NULL. */
const struct connector *connectors_find_shared(const struct connectors *connectors,
                                               struct text name);

/* What decides when a secret is due, beside the settings. */
struct due_input {
    int64_t issued_at, expires_at;
    int64_t hinted_at; /* when its issuer wants to be asked again; EXPIRY_NEVER: not said */
    int64_t lead_s;    /* at least so long before the end (policy/availability.h) */
    double jitter;     /* as for expiry_due_at() */
};
int64_t connector_due_at(const struct connector *connector, const struct due_input *input);
/* Whether a credential can get a new secret: has_grant where something is stored to refresh with. */
bool connector_can_refresh(const struct connector *connector, bool has_grant);

/* The kind of the secrets that a refresh gives. */
const char *connector_secret_kind(const struct connector *connector);

struct verdict_words connector_words(const struct connector *connector);

#endif
