/* The connector modules that are built in; each is one file in workers/.
 * Thread: any; constants only. */
#ifndef CONNECTOR_MODULES_H
#define CONNECTOR_MODULES_H

#include <bursar/connector.h>

extern const struct bursar_connector bursar_connector_oauth2_refresh;
extern const struct bursar_connector bursar_connector_static;

#endif
