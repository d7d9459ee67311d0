/* Reading MessagePack bodies from anybody: bounded before anything is allocated for it.
 * Thread: the tree's owner.
 *
 * A body is first walked over without building anything: one whole value, nested at most
 * BURSAR_MAX_NESTING deep, each count covered by the bytes that follow. Only then is it parsed, so
 * that no length in it can ask for more memory than the body is long. */
#ifndef WIRE_TREE_H
#define WIRE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

enum node_type {
    NODE_NIL,
    NODE_BOOL,
    NODE_UINT,
    NODE_NEGATIVE,
    NODE_DOUBLE,
    NODE_TEXT,
    NODE_BYTES,
    NODE_ARRAY,
    NODE_MAP,
    NODE_OTHER /* an extension type */
};

struct tree; /* keeps its memory from one body to the next */
struct node; /* a value; borrowed until the tree is filled again or ends */

struct tree *tree_new(void); /* NULL without memory */
void tree_free(struct tree *tree);

/* Parses one body; texts point into it. 0, BURSAR_E_BAD_REQUEST for what is not exactly one value
 * within the bounds, or BURSAR_E_NOMEM. */
int tree_fill(struct tree *tree, struct text body);
/* As if it were filled with an empty map. */
void tree_clear(struct tree *tree);
/* Only after a tree_fill() that returned 0, or a tree_clear(). */
const struct node *tree_root(const struct tree *tree);

/* NULL counts as NODE_NIL throughout. */
enum node_type node_type(const struct node *node);
struct text node_text(const struct node *node); /* TEXT and BYTES; absent else */
uint64_t node_uint(const struct node *node);    /* UINT; 0 else */
int64_t node_int(const struct node *node);      /* UINT (capped) and NEGATIVE; 0 else */
double node_double(const struct node *node);    /* any number; 0 else */
bool node_bool(const struct node *node);        /* BOOL; false else */
size_t node_count(const struct node *node);     /* items or pairs; 0 else */
const struct node *node_item(const struct node *array, size_t index);
/* The index-th pair of a map. */
void node_pair(const struct node *map, size_t index, const struct node **out_key,
               const struct node **out_value);
/* The value of a key of a map; NULL where there is none or it is no map. */
const struct node *node_get(const struct node *map, const char *key);

/* Appends the value as MessagePack. */
void node_pack(const struct node *node, struct buf *out);

#endif
