/* The top-level keys of bursar.yaml: one table, from which come checks, defaults and help.
 * Thread: its owner; the table is constant. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include <bursar/connector.h>

#include "config/problem.h"
#include "config/settings.h"
#include "config/value.h"
#include "config/yaml.h"

/* Asked of each text of a value; NULL where it is right, else what is wrong. */
typedef const char *schema_check(struct text value, bool has_curve_key);

struct schema_row {
    struct bursar_option option; /* its name is the path, as in "log.level" */
    schema_check *check;         /* NULL: the type says all */
    bool is_section;             /* read by somebody else: vars, defaults, providers, auth */
    const char *refusal;         /* a key of another version, and what to tell about it */
};

const struct schema_row *schema_rows(size_t *out_count);

struct schema_reading {
    struct problems *problems;
    const struct value_rules *rules;
    bool has_curve_key;
};

/* Reads all of a file's top level but the sections into settings, over what is there. */
void schema_read(const struct schema_reading *reading, const struct yaml_node *root,
                 struct settings *settings);
/* Gives what no file gave its default. */
void schema_fill(const struct schema_reading *reading, const char *file, struct settings *settings);

#endif
