/* The daemon's configuration: bursar.yaml and conf.d beside it, checked as a whole.
 * Thread: any once loaded: a loaded configuration does not change.
 *
 * Every key stands in one table (config/schema.c) from which come the checks, the defaults and the
 * list that bursar.yaml(5) is compared with. All errors of a file are found in one go. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/connector.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "config/settings.h"

struct config_list {
    char **items;
    size_t count;
};

/* An entry under `providers` (or, with is_shared, under `auth`). No two of the same section have the
 * same id. */
struct config_provider {
    char *id;
    char *kind;               /* the connector's kind */
    char *place;              /* "file:line" of the entry, for messages */
    bool is_shared;           /* stands under `auth` and is used by its name as `ref` */
    struct settings settings; /* common options and those of the kind */
};

struct config {
    struct config_list jobs, intake, events; /* endpoints to bind, all ipc:// */
    struct secret curve_key;                 /* Z85; absent where not given */
    char *store;                             /* sqlite:PATH */
    char *keyring;                           /* file:PATH */
    bool is_audit_strict;                    /* an answer waits for its audit row */
    enum log_level log_level;
    enum log_format log_format;
    uint32_t max_job_bytes;
    uint32_t events_keep_days;
    uint32_t events_reminder_s;
    struct config_list catalog, modules; /* folders */
    bool allow_experimental;
    bool allow_http_loopback;
    bool allow_private_addresses;
    struct config_provider *providers;
    size_t provider_count;
};

/* Where the option tables of connector kinds come from, so that this layer knows no connector.
 * common: options that every kind has, such as the `defaults` (rows end with a NULL name).
 * options_of gives a kind's own table or NULL for an unknown kind; kinds lists them, NULL-ended. */
struct config_kinds {
    const struct bursar_option *common; /* a `kind` in it is left to this layer */
    const struct bursar_option *(*options_of)(const char *kind);
    const char *const *kinds;
    /* What an entry under `auth` has besides: where its secret begins. NULL: nothing. */
    const struct bursar_option *(*shared_options_of)(const char *kind);
};

/* Reads path and conf.d/(names).yaml beside it, where a later file's value wins over an earlier one's
 * and entries of providers and auth add up. On success gives the configuration. On BURSAR_E_CONFIG
 * every error was appended to errors, one a line, by place:
 * `FILE:LINE:COLUMN: key.path: what is wrong (did you mean "x"?)`; never a value. Else BURSAR_E_NOMEM.
 * Settings of `defaults` fill the common options that a provider's entry does not give. */
int config_load(const char *path, const struct config_kinds *kinds, struct config **out_config,
                struct buf *errors);
void config_free(struct config *config);

#endif
