/* The connector modules that are built in; each is one file in workers/.
 * Thread: any; constants only. */
#ifndef CONNECTOR_MODULES_H
#define CONNECTOR_MODULES_H

#include <bursar/connector.h>

extern const struct bursar_connector *const modules_builtin[]; /* NULL-ended */

#endif
