/* Bodies of replies, built so that an entry's paths and predicates find in them what they look for.
 * Thread: the owner of the values.
 *
 * A value is put where a singular JSONPath points; what stands on the way is made. */
#ifndef SIM_BODY_H
#define SIM_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/text.h"

enum sim_format { SIM_JSON, SIM_JSONP, SIM_FORM, SIM_XML };

/* How many queries a path has (`A | B`); 0 where it is none. */
size_t sim_body_queries(struct text path);

/* Puts value (takes it) where query `query` of path points; the last query where there are fewer.
 * *root may be NULL at first. False, with nothing changed that stood there, where something else
 * stands in the way; with is_over a value that stands there already is replaced. */
bool sim_body_put(json_t **root, struct text path, size_t query, json_t *value, bool is_over);
/* Borrows what stands there; NULL where nothing does. */
json_t *sim_body_get(const json_t *root, struct text path, size_t query);

/* Makes a predicate true, or false, of the body; false where that cannot be. */
bool sim_body_satisfy(json_t **root, struct text predicate);
/* Where something has to be that must not: this value (takes it). */
bool sim_body_break(json_t **root, struct text predicate, json_t *something);
/* Whether it is true of bytes as they are sent. */
bool sim_body_holds(struct text bytes, struct text predicate);

/* A word of an entry as a provider would send it: a number where it is one and the entry does not
 * compare it with a text. */
json_t *sim_body_code(struct text word, bool is_text);

/* Appends the body; false where the format cannot hold it (lists and maps in a form, several roots in
 * XML). */
bool sim_body_write(const json_t *root, enum sim_format format, struct buf *out);

#endif
