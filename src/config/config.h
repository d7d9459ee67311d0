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
#include "config/value.h"
#include "policy/principal.h"

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
    bool is_known;            /* a catalogue has an entry of this id, which is part of it */
    struct settings settings; /* common options and those of the kind */
};

enum config_sandbox {
    CONFIG_SANDBOX_ENFORCE, /* it ends the process */
    CONFIG_SANDBOX_LOG,     /* the kernel's log has a line of it */
    CONFIG_SANDBOX_OFF,
};

struct config {
    struct config_list jobs, intake, events; /* endpoints to bind: ipc://, tcp:// */
    struct secret curve_key;                 /* Z85; absent where not given */
    char *store;                             /* sqlite:PATH */
    char *keyring;                           /* file:PATH, credential:NAME, command:WORDS */
    struct secret keyring_passphrase;        /* absent where not given */
    bool is_audit_strict;                    /* an answer waits for its audit row */
    uint32_t audit_keep_days;
    enum config_sandbox sandbox;
    enum log_level log_level;
    enum log_format log_format;
    uint32_t max_job_bytes;
    int io_threads;  /* of ZeroMQ */
    uint32_t idle_s; /* until a worker rests; 0: never */
    uint32_t events_keep_days;
    uint32_t events_reminder_s;
    struct config_list catalog, modules; /* folders */
    bool allow_experimental;
    bool allow_http_loopback;
    bool allow_private_addresses;
    char *ca_file;                /* PEM; NULL: the system's */
    struct principal *principals; /* who may speak; none: the daemon's own user and root */
    size_t principal_count;
    struct config_provider *providers;
    size_t provider_count;
    /* Every entry of the catalogue folders as it is there, sorted by id: what could be configured. */
    struct config_provider *known;
    size_t known_count;
};

/* Where the option tables of connector kinds come from, so that this layer knows no connector. Each
 * function gets the struct itself, which is the first member of whatever its maker needs. */
struct config_kinds {
    const struct bursar_option
        *common;              /* options of every kind, such as the `defaults`; a `kind` in
                                           it is left to this layer */
    const char *const *kinds; /* their names, NULL-ended */
    /* A kind's own table, or NULL for an unknown kind. */
    const struct bursar_option *(*options_of)(const struct config_kinds *self, const char *kind);
    /* What an entry under `auth` has besides: where its secret begins. NULL: nothing. */
    const struct bursar_option *(*shared_options_of)(const struct config_kinds *self,
                                                     const char *kind);
    /* What is wrong with a text of the types PATH, PATHS and PREDICATES. NULL: nothing is. */
    value_check *check;
    /* What no single option can say, asked of a whole entry: adds lines `KEY: WHAT` that each end with
     * NUL. NULL: nothing is asked. */
    void (*check_entry)(const struct config_kinds *self, const char *kind,
                        const struct settings *settings, struct buf *out);
    /* Whether a kind is for those alone who allow experimental ones. NULL: none is. */
    bool (*is_experimental)(const struct config_kinds *self, const char *kind);
    /* Loads what more kinds there are in a folder: adds lines that each end with NUL for what cannot
     * be. NULL: none are loaded. */
    void (*load)(const struct config_kinds *self, const char *folder, struct buf *out);
};

/* Reads path and conf.d/(names).yaml beside it, where a later file's value wins over an earlier one's
 * and entries of providers and auth add up. On success gives the configuration. On BURSAR_E_CONFIG
 * every error was appended to errors, one a line, by place:
 * `FILE:LINE:COLUMN: key.path: what is wrong (did you mean "x"?)`; never a value. Else BURSAR_E_NOMEM.
 * Settings of `defaults` fill the common options that a provider's entry does not give. */
int config_load(const char *path, const struct config_kinds *kinds, struct config **out_config,
                struct buf *errors);
/* Reads one file as an entry of a catalogue (its id is the file's name without .yaml) that was given
 * these further keys, "KEY: VALUE" lines of YAML, by the same rules. 0, BURSAR_E_CONFIG, _NOMEM. */
int config_load_entry(const char *path, const struct config_kinds *kinds, const char *more,
                      bool allow_http_loopback, struct config_provider *out_provider,
                      struct buf *errors);
void config_provider_free(struct config_provider *provider);
void config_free(struct config *config);

#endif
