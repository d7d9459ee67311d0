/* The paths of a provider's settings, each compiled when it is first looked for.
 * Thread: make and free: the connector's; paths_find(): any. */
#ifndef CONNECTOR_PATHS_H
#define CONNECTOR_PATHS_H

#include "base/text.h"
#include "config/settings.h"
#include "connector/path.h"

struct paths;

/* Borrows the settings until paths_free(). NULL without memory. */
struct paths *paths_make(const struct settings *settings);
void paths_free(struct paths *paths);
/* Of a whole text of the settings, known by where it lies. NULL where it is none of theirs, or without memory. Borrowed
 * until paths_free(). */
const struct path *paths_find(const struct paths *paths, struct text text);

#endif
