/* Headers of replies that are told to anybody: what they say can be no secret.
 * Thread: any; pure. */
#ifndef HTTP_OPEN_HEADER_H
#define HTTP_OPEN_HEADER_H

#include <stdbool.h>

#include "base/text.h"

/* Whether a line, a status line or `name: value`, is one of those. false for whatever is not known. */
bool http_header_is_open(struct text line);

/* Their names, each once and in the order of http_header_compare(): of two texts, as for bsearch(). */
const struct text *http_open_headers(size_t *out_count);
int http_header_compare(const void *a, const void *b);

#endif
