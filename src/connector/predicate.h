/* What an entry says that a reply must show.
 * Thread: any; a compiled predicate never changes.
 *
 * A predicate is `PATH == VALUE`, `PATH != VALUE`, `PATH exists` or `PATH absent`.
 * VALUE is a number, true, false, null or a quoted string (RFC 9535 section 2.3.5.1). Types are told
 * apart where the reply's format does so: in JSON "0" is not 0, in a form or XML 0 is a text that is
 * that number. Numbers are compared as they are written, without rounding. A value that is not there
 * is equal to none, and so is a list or a map; `!=` is the contrary of `==`. `exists` means there and
 * not null, `absent` the contrary; `PATH == null` tells null from what is not there. */
#ifndef CONNECTOR_PREDICATE_H
#define CONNECTOR_PREDICATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/text.h"
#include "connector/document.h"

struct predicate;

/* Gives the compiled text, predicate_free() ends it. 0, BURSAR_E_NOMEM, or BURSAR_E_CONFIG; then error
 * has one line, `at byte 3: …`. */
int predicate_compile(struct text text, struct predicate **out_predicate, struct buf *error);
void predicate_free(struct predicate *predicate);

bool predicate_holds(const struct predicate *predicate, const struct document *document);

#endif
