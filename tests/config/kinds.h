/* Option tables for the tests of the configuration, of the same shape as the connectors' own.
 * Thread: any; constant. */
#ifndef TESTS_CONFIG_KINDS_H
#define TESTS_CONFIG_KINDS_H

#include "config/config.h"

extern const struct config_kinds test_kinds;

#endif
