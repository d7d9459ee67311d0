/* Entries of `providers`, `auth` and `defaults` to settings, by the option tables of their kinds.
 * Thread: its owner. */
#ifndef CONFIG_PROVIDER_H
#define CONFIG_PROVIDER_H

#include <stdbool.h>

#include "config/config.h"
#include "config/problem.h"
#include "config/value.h"
#include "config/yaml.h"

struct provider_reading {
    const struct config_kinds *kinds;
    const struct value_rules *rules;
    struct problems *problems;
    struct settings defaults; /* what `defaults` gave; settings_free() ends it */
};

/* Reads the map under `defaults`, over what is there. */
void provider_read_defaults(struct provider_reading *reading, const struct yaml_node *map);

/* Reads one entry; section is "providers" or "auth". false where something was wrong. */
bool provider_read(const struct provider_reading *reading, const char *section,
                   const struct yaml_node *key, const struct yaml_node *entry,
                   struct config_provider *out_provider);
void provider_free(struct config_provider *provider);

#endif
