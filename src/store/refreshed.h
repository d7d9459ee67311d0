/* A row behind the commit of its new generation, without reading it again.
 * Thread: any; pure. */
#ifndef STORE_REFRESHED_H
#define STORE_REFRESHED_H

#include <stdbool.h>

#include "store/row.h"
#include "store/store.h"

/* The row as a REFRESHED that was applied has left it, where it was ACTIVE and no other change was made since
 * `before` was read; who asks knows that. false where the change does not say it: it was not applied, or the row was or
 * became anything else. Its texts are borrowed from both. */
bool store_row_refreshed(const struct conn_row *before, const struct store_change *change,
                         struct conn_row *out_row);

#endif
