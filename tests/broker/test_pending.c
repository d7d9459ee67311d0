/* The jobs that wait: found by their ticket until answered, first deadline first, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "broker/pending.h"

static struct pending *add(struct pending_table *table, int64_t deadline_ms)
{
    struct job job = {.op = OP_VEND, .id = TEXT_LITERAL("\x07")};
    char name[] = "uid:7";
    struct audit_row about = {.principal = text_of(name), .op = TEXT_LITERAL("vend")};
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, 5);
    memcpy(zmq_msg_data(&frame), "peer1", 5);
    struct pending *pending = pending_add(table, &frame, 1, &job, &about, deadline_ms);
    zmq_msg_close(&frame);
    memset(name, 0, sizeof name); /* it has its own copy */
    assert_true(!pending || text_is(pending->about.principal, "uid:7"));
    return pending;
}

static void test_ticket_is_good_once(void **state)
{
    struct pending_table *table = pending_new();
    struct pending *pending = add(table, 10);
    uint64_t ticket = pending->ticket;
    (void)state;
    assert_int_not_equal(ticket, 0);
    assert_ptr_equal(pending_find(table, ticket), pending);
    assert_true(text_is(pending_id(pending), "\x07"));
    assert_int_equal(zmq_msg_size(&pending->envelope[0]), 5);
    pending_remove(table, pending);
    assert_null(pending_find(table, ticket));
    struct pending *next = add(table, 10); /* the same slot under another ticket */
    assert_ptr_equal(next, pending);
    assert_int_not_equal(next->ticket, ticket);
    assert_null(pending_find(table, ticket));
    assert_null(pending_find(table, 0));
    assert_null(pending_find(table, UINT64_MAX));
    pending_free(table);
}

static void test_first_deadline_first(void **state)
{
    static const int64_t deadlines[] = {50, 10, 40, 20, 30};
    struct pending_table *table = pending_new();
    int64_t last = 0;
    (void)state;
    assert_null(pending_first(table));
    for (size_t i = 0; i < 5; i++)
        add(table, deadlines[i]);
    for (size_t i = 0; i < 5; i++) {
        struct pending *first = pending_first(table);
        assert_true(first->deadline.at > last);
        last = first->deadline.at;
        pending_remove(table, first);
    }
    assert_int_equal(pending_count(table), 0);
    pending_free(table);
}

static void test_bounded(void **state)
{
    struct pending_table *table = pending_new();
    (void)state;
    for (int i = 0; i < PENDING_MAX; i++)
        assert_non_null(add(table, i));
    assert_null(add(table, 1));
    pending_remove(table, pending_first(table));
    assert_non_null(add(table, 1));
    assert_int_equal(pending_count(table), PENDING_MAX);
    pending_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticket_is_good_once),
        cmocka_unit_test(test_first_deadline_first),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
