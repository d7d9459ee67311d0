/* The options that an entry of every kind may have.
 * Thread: any; constants and pure functions. */
#ifndef CONNECTOR_OPTIONS_H
#define CONNECTOR_OPTIONS_H

#include <bursar/connector.h>

#include "config/value.h"

extern const struct bursar_option options_common[];

/* For struct config_kinds: paths and predicates. */
bool options_check(enum bursar_option_type type, struct text text,
                   char out_problem[static VALUE_PROBLEM_SIZE]);

#endif
