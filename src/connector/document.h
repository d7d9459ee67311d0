/* The body of a provider's reply, whatever its format, read once and asked by paths.
 * Thread: the document's owner.
 *
 * The format is told by the body itself, for many providers name another one than they send:
 *
 *     JSON    begins with `{`, `[` or `"` (RFC 8259); of a name that is there twice the last counts
 *     JSONP   `callback( … )`, also behind an empty comment and with `;` at its end
 *     XML     begins with `<`. The root element is the only member of `$`; an element's name without
 *             its prefix is the member's name, elements of one name beside each other are a list (and
 *             one alone counts as a list of one), an attribute is the member `@name`. An element
 *             without elements inside is a text, without the blanks around it. A document type
 *             declaration is refused, so there are no entities but XML's own five.
 *     HTML    begins as a page does: no members
 *     form    `name=value&…`, percent-encoded, `+` for a blank
 *
 * The Content-Type decides only where the body alone does not. Depth, number of values and size are
 * bounded; a body beyond that is malformed. All memory that held content is wiped. */
#ifndef CONNECTOR_DOCUMENT_H
#define CONNECTOR_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include <bursar/connector.h>

#include "base/text.h"
#include "connector/path.h"

#define DOCUMENT_BYTES_MAX ((size_t)1 << 20)
#define DOCUMENT_DEPTH_MAX 64
#define DOCUMENT_NODES_MAX 65536

enum document_format {
    DOCUMENT_MALFORMED, /* no members */
    DOCUMENT_EMPTY,     /* nothing or blanks alone: no members */
    DOCUMENT_JSON,
    DOCUMENT_JSONP,
    DOCUMENT_FORM,
    DOCUMENT_XML,
    DOCUMENT_HTML, /* no members */
};

struct document;

/* Copies what it needs of body. content_type may be absent. Gives the document of any body, a
 * malformed one too, document_free() ends it; NULL only without memory. */
struct document *document_new(struct text body, struct text content_type);
void document_free(struct document *document);

enum document_format document_format(const struct document *document);
/* What makes a body malformed: a constant that quotes nothing of it. NULL else. */
const char *document_problem(const struct document *document);
/* Whether the format tells numbers and words from texts (JSON and JSONP); in the others all is text. */
bool document_is_typed(const struct document *document);

/* A value, borrowed until the document ends. */
struct document_value {
    enum bursar_value_type type;
    /* Of a text, or a number as it was written, of any length. Absent for other types, and for a text
     * that is no Unicode: such a one costs the reply nothing but itself. */
    struct text text;
    size_t count; /* items of a list, members of a map; attributes of an XML text */
    const struct document_node *node;
};

/* The value of the first query of path that finds one that is not null; else null where a query found
 * that, else absent. */
struct document_value document_find(const struct document *document, const struct path *path);
/* Item `index` of a list; absent where there is none. */
struct document_value document_item(const struct document *document,
                                    const struct document_value *list, size_t index);
/* Member `index` of a map, in the order of the reply (of an XML element perhaps not), and its name;
 * absent behind the last. A name that is no Unicode is an absent text. */
struct document_value document_member(const struct document *document,
                                      const struct document_value *map, size_t index,
                                      struct text *out_name);

#endif
