#include "base/heap.h"

#include <stdlib.h>

#include <bursar/error.h>

void heap_free(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){NULL, 0, 0};
}

static void place(struct heap *heap, struct heap_node *node, size_t i)
{
    heap->nodes[i] = node;
    node->index = i + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t i)
{
    while (i > 0 && heap->nodes[(i - 1) / 2]->at > node->at) {
        place(heap, heap->nodes[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(heap, node, i);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t i)
{
    for (size_t child = 2 * i + 1; child < heap->count; child = 2 * i + 1) {
        if (child + 1 < heap->count && heap->nodes[child + 1]->at < heap->nodes[child]->at)
            child++;
        if (heap->nodes[child]->at >= node->at)
            break;
        place(heap, heap->nodes[child], i);
        i = child;
    }
    place(heap, node, i);
}

static int grow(struct heap *heap)
{
    size_t cap = heap->cap > 0 ? heap->cap * 2 : 16;
    struct heap_node **nodes = realloc(heap->nodes, cap * sizeof *nodes);
    if (!nodes)
        return BURSAR_E_NOMEM;
    heap->nodes = nodes;
    heap->cap = cap;
    return 0;
}

int heap_set(struct heap *heap, struct heap_node *node, int64_t at)
{
    if (node->index == 0) {
        if (heap->count == heap->cap && grow(heap) < 0)
            return BURSAR_E_NOMEM;
        node->at = at;
        sift_up(heap, node, heap->count++);
        return 0;
    }
    bool is_earlier = at < node->at;
    node->at = at;
    if (is_earlier)
        sift_up(heap, node, node->index - 1);
    else
        sift_down(heap, node, node->index - 1);
    return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->index == 0)
        return;
    size_t i = node->index - 1;
    struct heap_node *last = heap->nodes[--heap->count];
    node->index = 0;
    if (last == node)
        return;
    if (i > 0 && heap->nodes[(i - 1) / 2]->at > last->at)
        sift_up(heap, last, i);
    else
        sift_down(heap, last, i);
}

struct heap_node *heap_top(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}
