/* Small allocations of the broker's threads: where there is no memory at all, the process ends.
 * Thread: any.
 *
 * A message that cannot be made would leave a caller without an answer or a commit unknown; a daemon
 * that keeps its state on the disk and is started again loses nothing by ending. */
#ifndef BROKER_MEMORY_H
#define BROKER_MEMORY_H

#include <stddef.h>

/* Zeroed memory, free() ends it; never NULL. */
void *memory_new(size_t bytes);
/* As realloc(); never NULL. */
void *memory_resize(void *memory, size_t bytes);

#endif
