/* Entries of `providers`, `auth` and `defaults` to settings, by the option tables of their kinds.
 * Thread: its owner. */
#ifndef CONFIG_PROVIDER_H
#define CONFIG_PROVIDER_H

#include <stdbool.h>

#include "config/config.h"
#include "config/problem.h"
#include "config/value.h"
#include "config/yaml.h"

struct catalog;

struct provider_reading {
    const struct config_kinds *kinds;
    const struct value_rules *rules;
    struct problems *problems;
    struct settings defaults;      /* what `defaults` gave; settings_free() ends it */
    const struct catalog *catalog; /* NULL: none */
    bool allow_experimental;
};

/* Reads the map under `defaults`, over what is there. */
void provider_read_defaults(struct provider_reading *reading, const struct yaml_node *map);

/* Reads one entry; section is "providers", "auth" or, for one as it stands in a catalogue, where what
 * an operator has to give is not missed, "catalog". An entry of a catalogue that has the same id as one
 * of `providers` lies below it: a key that is given here wins. false where something was wrong. */
bool provider_read(const struct provider_reading *reading, const char *section,
                   const struct yaml_node *key, const struct yaml_node *entry,
                   struct config_provider *out_provider);
void provider_free(struct config_provider *provider);

#endif
