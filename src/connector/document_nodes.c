#include "connector/document_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { FIRST_CAP = 32 };

bool document_fail(struct document *document, const char *problem)
{
    if (!document->problem)
        document->problem = problem;
    return false;
}

static bool fail_memory(struct document *document)
{
    document->is_without_memory = true;
    return document_fail(document, "no memory");
}

bool document_reserve(struct document *document, size_t len)
{
    document->bytes = secret_memory_new(len);
    if (!document->bytes)
        return fail_memory(document);
    document->bytes_len = len;
    return true;
}

static bool grow(struct document *document)
{
    uint32_t cap = document->node_cap > 0 ? document->node_cap * 2 : FIRST_CAP;
    struct document_node *nodes = realloc(document->nodes, cap * sizeof *nodes);
    if (!nodes)
        return fail_memory(document);
    document->nodes = nodes;
    document->node_cap = cap;
    return true;
}

static uint32_t push(struct document *document, struct document_node node)
{
    if (document->node_count == document->node_cap && !grow(document))
        return DOCUMENT_NONE;
    document->nodes[document->node_count] = node;
    return document->node_count++;
}

uint32_t document_add(struct document *document, uint32_t parent, enum bursar_value_type type,
                      struct text name, struct text text)
{
    if (document->node_count == DOCUMENT_NODES_MAX) {
        document_fail(document, "too many values");
        return DOCUMENT_NONE;
    }
    struct document_node node = {.name = name,
                                 .text = text,
                                 .type = type,
                                 .first = DOCUMENT_NONE,
                                 .last = DOCUMENT_NONE,
                                 .next = DOCUMENT_NONE};
    uint32_t added = push(document, node);
    if (added == DOCUMENT_NONE || parent == DOCUMENT_NONE)
        return added;
    struct document_node *above = &document->nodes[parent];
    if (above->last == DOCUMENT_NONE)
        above->first = added;
    else
        document->nodes[above->last].next = added;
    above->last = added;
    return added;
}

/* ---- order ------------------------------------------------------------------------------------- */

/* By name, and those of one name as they came. */
static int compare(const void *a, const void *b, void *context)
{
    const struct document_node *nodes = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    struct text x = nodes[left].name, y = nodes[right].name;
    int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
    if (order == 0 && x.len != y.len)
        order = x.len < y.len ? -1 : 1;
    return order != 0 ? order : (left > right) - (left < right);
}

/* Children that have the name of the one at `from`, in sorted order. */
static uint32_t run_len(const struct document *document, uint32_t from, uint32_t end)
{
    uint32_t at = from;
    struct text name = document->nodes[document->order[from]].name;
    while (at < end && text_equal(document->nodes[document->order[at]].name, name))
        at++;
    return at - from;
}

/* Gives an element its children anew, with one list for each name that came more than once. */
static bool group(struct document *document, uint32_t parent, uint32_t *used)
{
    uint32_t slot = document->nodes[parent].slot, end = slot + document->nodes[parent].count;
    uint32_t begin = *used;
    if (end - slot < 2)
        return true;
    qsort_r(&document->order[slot], end - slot, sizeof *document->order, compare, document->nodes);
    for (uint32_t at = slot, len; at < end; at += len) {
        uint32_t child = document->order[at];
        len = run_len(document, at, end);
        if (len > 1)
            child = push(document, (struct document_node){.name = document->nodes[child].name,
                                                          .type = BURSAR_VALUE_LIST,
                                                          .slot = at,
                                                          .count = len});
        if (child == DOCUMENT_NONE)
            return false;
        document->order[(*used)++] = child;
    }
    document->nodes[parent].slot = begin;
    document->nodes[parent].count = *used - begin;
    return true;
}

bool document_lay_out(struct document *document)
{
    uint32_t used = 0, count = document->node_count;
    bool is_ok = true;
    /* Each value is one parent's child, and of an XML element once more when it is grouped. */
    document->order = calloc((size_t)count * 2, sizeof *document->order);
    if (!document->order)
        return fail_memory(document);
    for (uint32_t i = 0; is_ok && i < count; i++) {
        struct document_node *node = &document->nodes[i];
        node->slot = used;
        for (uint32_t child = node->first; child != DOCUMENT_NONE;
             child = document->nodes[child].next)
            document->order[used++] = child;
        node->count = used - node->slot;
        if (document->format == DOCUMENT_XML)
            is_ok = group(document, i, &used);
    }
    return is_ok;
}
