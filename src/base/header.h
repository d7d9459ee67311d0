/* Header lines as requests and replies carry them: `Name: value`, each ended by NUL.
 * Thread: any; pure. */
#ifndef BASE_HEADER_H
#define BASE_HEADER_H

#include <stdbool.h>

#include "base/text.h"

/* The value of the first line of this name (letter case does not count), without the blanks before it;
 * absent where there is none. Borrows from headers. */
struct text header_find(struct text headers, const char *name);

/* Whether a line can be made of them: the name is a token (RFC 9110, section 5.6.2), and the value has no control
 * character but the tab (section 5.5), so that it is one line for whoever reads it. */
bool header_is_line(struct text name, struct text value);

#endif
