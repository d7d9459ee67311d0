/* Options that are maps of options: groups, and rows, which are lists of such maps.
 * Thread: its owner. */
#ifndef CONFIG_NESTED_H
#define CONFIG_NESTED_H

#include <stdbool.h>

#include "config/problem.h"
#include "config/settings.h"
#include "config/value.h"
#include "config/yaml.h"

#define NESTED_MAX_ROWS 64u

/* Reads the node of a GROUP or ROWS option into settings, a column each: "NAME.COLUMN" or
 * "NAME.0.COLUMN", with the columns' defaults. Of ROWS all that stood there before goes; of a group
 * what is given replaces what was. false where something was wrong, all of it added. */
bool nested_read(const struct yaml_node *node, const struct bursar_option *option,
                 const struct value_rules *rules, struct spot spot, struct settings *settings);

#endif
