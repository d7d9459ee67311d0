/* The embedded store: SQLite in WAL mode with synchronous=FULL.
 * Thread: as store/store.h says; one connection to the file for the writer and one for each reader. */
#ifndef STORE_SQLITE_SQLITE_STORE_H
#define STORE_SQLITE_SQLITE_STORE_H

#include "store/store.h"

extern const struct store_engine sqlite_engine;

#endif
