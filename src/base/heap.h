/* A binary heap of timers embedded in what they belong to; the earliest is on top.
 * Thread: its owner. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member of the structure that waits. All-zero: in no heap. */
struct heap_node {
    int64_t at;   /* in the unit that the heap's owner uses throughout */
    size_t index; /* place in the heap plus one; 0: not in it */
};

struct heap {
    struct heap_node **nodes;
    size_t count, cap;
};

void heap_free(struct heap *heap); /* the nodes are their owners' */
/* Puts the node in, or moves it where it is in; 0 or BURSAR_E_NOMEM (never for a move). */
int heap_set(struct heap *heap, struct heap_node *node, int64_t at);
void heap_remove(struct heap *heap, struct heap_node *node); /* nothing where it is not in */
/* The earliest, or NULL; it stays in. */
struct heap_node *heap_top(const struct heap *heap);

#endif
