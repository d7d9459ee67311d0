/* Header lines as requests and replies carry them: `Name: value`, each ended by NUL.
 * Thread: any; pure. */
#ifndef BASE_HEADER_H
#define BASE_HEADER_H

#include "base/text.h"

/* The value of the first line of this name (letter case does not count), without the blanks before it;
 * absent where there is none. Borrows from headers. */
struct text header_find(struct text headers, const char *name);

#endif
