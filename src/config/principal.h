/* The section `principals`: who may speak.
 * Thread: its owner. */
#ifndef CONFIG_PRINCIPAL_H
#define CONFIG_PRINCIPAL_H

#include <bursar/connector.h>

#include "config/problem.h"
#include "config/value.h"
#include "config/yaml.h"
#include "policy/principal.h"

/* What has been read of the sections of all files. All-zero at the start. */
struct principal_section {
    struct principal *items;
    struct mark *marks; /* where each stands */
    size_t count;
};
/* Reads one file's section, a map. What is wrong is added to problems; two of the same name, uid, gid or
 * key are. Names of users and groups are looked up now. */
void principal_section_read(struct principal_section *section, const struct yaml_node *map,
                            const struct value_rules *rules, struct problems *problems);
void principal_section_free(struct principal_section *section);

/* The keys of one entry, NULL-ended; `bursar.yaml(5)` is compared with them. */
const struct bursar_option *principal_options(void);

#endif
