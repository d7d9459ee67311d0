/* Headers of replies that are told to anybody: what they say can be no secret.
 * Thread: any; pure. */
#ifndef HTTP_OPEN_HEADER_H
#define HTTP_OPEN_HEADER_H

#include <stdbool.h>

#include "base/text.h"

/* Whether a line, a status line or `name: value`, is one of those. false for whatever is not known. */
bool http_header_is_open(struct text line);

#endif
