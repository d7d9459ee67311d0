/* One node of a file, or a default's text, to one checked value by its row in an option table.
 * Thread: its owner. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>

#include <bursar/connector.h>

#include "config/interpolate.h"
#include "config/problem.h"
#include "config/settings.h"
#include "config/yaml.h"

/* Asked of each text of a PATH, PATHS or PREDICATES; writes what is wrong, false then. */
#define VALUE_PROBLEM_SIZE 192
typedef bool value_check(enum bursar_option_type type, struct text text,
                         char out_problem[static VALUE_PROBLEM_SIZE]);

struct value_rules {
    const struct interpolate_vars *vars;
    bool allow_http_loopback;
    value_check *check; /* NULL: such texts are taken as they are */
};

/* Reads a value that an operator wrote, no group and no rows (config/nested.h). false where it was wrong, all of it added at spot (or
 * deeper); true gives the setting. */
bool value_read(const struct yaml_node *node, const struct bursar_option *option,
                const struct value_rules *rules, struct spot spot, struct setting *out_setting);

/* The value of option->default_text, which is not NULL. A default that cannot be read is the
 * programmer's error and comes as a problem too. */
bool value_default(const struct bursar_option *option, const struct value_rules *rules,
                   struct spot spot, struct setting *out_setting);

/* The interpolated text of a scalar in out, a secret buffer. false where something was wrong. */
bool value_text(const struct yaml_node *node, const struct interpolate_vars *vars, struct spot spot,
                struct buf *out);

/* Calls for each word of "a|b|c". */
#define VALUE_MAX_CHOICES 16
size_t value_choices(const char *choices, struct text out[static VALUE_MAX_CHOICES]);

#endif
