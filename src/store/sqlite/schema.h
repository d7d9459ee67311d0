/* The tables and how a file of an older version becomes one of this version.
 * Thread: the writer's owner, while it opens. */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#include <sqlite3.h>

#include "base/buf.h"

/* Brings the file to the version of this program, each step in a transaction of its own. 0,
 * BURSAR_E_CONFIG for a file that is newer or is not bursar's, BURSAR_E_STORE_UNAVAILABLE. */
int schema_migrate(sqlite3 *handle, struct buf *error);

/* The version that this program writes. */
int schema_version(void);

#endif
