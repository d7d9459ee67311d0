#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"

enum { NODES = 200, ROUNDS = 100000 };

/* Every node knows its place, no child is earlier than its parent, and the earliest is on top. */
static void check(const struct heap *heap, const struct heap_node *nodes, const int64_t *model,
                  const bool *is_in)
{
    size_t count = 0;
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < NODES; i++) {
        if (!is_in[i]) {
            assert_int_equal(nodes[i].index, 0);
            continue;
        }
        count++;
        assert_true(nodes[i].index >= 1 && nodes[i].index <= heap->count);
        assert_ptr_equal(heap->nodes[nodes[i].index - 1], &nodes[i]);
        assert_true(nodes[i].at == model[i]);
        earliest = model[i] < earliest ? model[i] : earliest;
    }
    assert_int_equal(heap->count, count);
    if (count == 0)
        assert_null(heap_top(heap));
    else
        assert_true(heap_top(heap)->at == earliest);
    for (size_t i = 1; i < heap->count; i++)
        assert_true(heap->nodes[(i - 1) / 2]->at <= heap->nodes[i]->at);
}

static void test_against_model(void **state)
{
    (void)state;
    struct heap heap = {NULL, 0, 0};
    static struct heap_node nodes[NODES];
    static int64_t model[NODES];
    static bool is_in[NODES];
    uint32_t random = 1;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        size_t i = (random >> 16) % NODES;
        /* It fills in one phase and empties in the next. */
        bool is_filling = round / 2000 % 2 == 0;
        if ((random >> 8 & 7) < (is_filling ? 6 : 2)) {
            model[i] = (int64_t)(random >> 24) - 128; /* many are at the same time */
            is_in[i] = true;
            assert_int_equal(heap_set(&heap, &nodes[i], model[i]), 0);
        } else {
            heap_remove(&heap, &nodes[i]);
            is_in[i] = false;
        }
        if (round % 50 == 0)
            check(&heap, nodes, model, is_in);
    }
    int64_t last = INT64_MIN;
    for (struct heap_node *top; (top = heap_top(&heap)); last = top->at) {
        assert_true(top->at >= last);
        heap_remove(&heap, top);
        assert_int_equal(top->index, 0);
    }
    heap_free(&heap);
}

static void test_ends(void **state)
{
    (void)state;
    struct heap heap = {NULL, 0, 0};
    struct heap_node a = {0}, b = {0};
    assert_null(heap_top(&heap));
    heap_remove(&heap, &a);
    assert_int_equal(heap_set(&heap, &a, INT64_MAX), 0);
    assert_int_equal(heap_set(&heap, &b, INT64_MIN), 0);
    assert_ptr_equal(heap_top(&heap), &b);
    assert_int_equal(heap_set(&heap, &b, INT64_MAX), 0);
    assert_int_equal(heap_set(&heap, &a, 0), 0);
    assert_ptr_equal(heap_top(&heap), &a);
    heap_remove(&heap, &a);
    heap_remove(&heap, &a);
    assert_ptr_equal(heap_top(&heap), &b);
    heap_remove(&heap, &b);
    assert_null(heap_top(&heap));
    heap_free(&heap);
    heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
