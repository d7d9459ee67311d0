/* What the readers of the formats share with the document that they build.
 * Thread: the document's owner.
 *
 *     document.c        formats told apart, forms, questions asked of a document
 *     document_json.c   JSON and JSONP
 *     document_xml.c    XML
 *     document_nodes.c  the values as they are built, and brought in order at the end
 *
 * A reader adds values under their parents; texts point into `bytes`, which belongs to the document
 * and does not move. */
#ifndef CONNECTOR_DOCUMENT_PARTS_H
#define CONNECTOR_DOCUMENT_PARTS_H

#include "connector/document.h"

#define DOCUMENT_NONE UINT32_MAX /* instead of a value's number */

struct document_node {
    struct text name; /* of a member; absent for the root and items */
    struct text text;
    enum bursar_value_type type;
    uint32_t first, last, next; /* while it is built: numbers of children and of a sibling */
    uint32_t slot, count;       /* then: children are order[slot] … order[slot + count - 1] */
};

struct document {
    enum document_format format;
    const char *problem;
    bool is_without_memory;
    char *bytes; /* secret memory */
    size_t bytes_len;
    struct document_node *nodes; /* the first one is the root */
    uint32_t node_count, node_cap;
    uint32_t *order;
};

/* Remembers the first problem; gives false. */
bool document_fail(struct document *document, const char *problem);

/* Memory for the content, once. */
bool document_reserve(struct document *document, size_t len);

/* Adds a value behind the children of parent (DOCUMENT_NONE: it is the root) and gives its number;
 * DOCUMENT_NONE where there are too many or no memory. */
uint32_t document_add(struct document *document, uint32_t parent, enum bursar_value_type type,
                      struct text name, struct text text);

/* Puts children beside each other, and makes lists of XML elements of one name. */
bool document_lay_out(struct document *document);

/* Both read the document's bytes from `at`, changing them in place. */
bool document_read_json(struct document *document, size_t at);
bool document_read_jsonp(struct document *document, size_t at);
/* Whether the bytes begin as JSONP does. */
bool document_is_jsonp(struct text text);

/* Reads XML that stands in text; the bytes are the reader's to reserve. */
bool document_read_xml(struct document *document, struct text text);

#endif
