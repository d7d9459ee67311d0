/* What connector.list and connector.get tell of providers: never a setting that is secret.
 * Thread: any; reads the configuration, which does not change. */
#ifndef BROKER_CATALOG_VIEW_H
#define BROKER_CATALOG_VIEW_H

#include "broker/broker.h"
#include "wire/job.h"

/* Packs the map of the answer. 0, or BURSAR_E_UNKNOWN_PROVIDER with the nearest name in error. */
int catalog_view_list(const struct broker *broker, struct buf *out);
int catalog_view_get(const struct broker *broker, struct text provider, struct buf *out,
                     struct buf *error);

#endif
