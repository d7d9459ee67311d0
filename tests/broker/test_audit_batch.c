/* The same thing twice is one row with a count; what differs in anything is two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/audit_batch.h"

#define T(s) TEXT_LITERAL(s)

static struct audit_row row_of(const char *connection, uint64_t generation, int64_t at_ms)
{
    return (struct audit_row){.kind = AUDIT_VEND,
                              .at_ms = at_ms,
                              .last_ms = at_ms,
                              .count = 1,
                              .generation = generation,
                              .principal = T("ci"),
                              .op = T("vend"),
                              .connection = text_of(connection),
                              .outcome = T("ok")};
}

static void test_counts(void **state)
{
    struct audit_batch batch = {0};
    char name[] = "c1";
    struct audit_row row = row_of(name, 7, 100);
    (void)state;
    audit_batch_add(&batch, &row, 0);
    memcpy(name, "xx", 2); /* it has its own copy */
    row = row_of("c1", 7, 130);
    audit_batch_add(&batch, &row, 0);
    row.at_ms = row.last_ms = 90; /* the clock was set back */
    audit_batch_add(&batch, &row, 0);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.rows[0].count, 3);
    assert_int_equal(batch.rows[0].at_ms, 100);
    assert_int_equal(batch.rows[0].last_ms, 130);
    assert_true(text_is(batch.rows[0].connection, "c1"));
    for (size_t i = 0; i < AUDIT_TEXTS; i++) { /* each text counts, and its being there */
        struct audit_row other = row_of("c1", 7, 130);
        struct text *text = audit_text(&other, i);
        *text = text->data ? T("other") : T("");
        audit_batch_add(&batch, &other, 0);
        assert_int_equal(batch.count, 2 + i);
    }
    row = row_of("c1", 8, 130);
    audit_batch_add(&batch, &row, 0);
    row = row_of("c1", 7, 130);
    row.kind = AUDIT_EXPORT;
    audit_batch_add(&batch, &row, 0);
    assert_int_equal(batch.count, 3 + AUDIT_TEXTS);
    audit_batch_free(&batch);
}

static uint64_t total_of(const struct audit_batch *batch)
{
    uint64_t total = 0;
    for (size_t i = 0; i < batch->count; i++)
        total += batch->rows[i].count;
    return total;
}

/* Many, in two rounds: the second one is in the memory of the first. */
static void test_many(void **state)
{
    struct audit_batch batch = {0};
    char name[32];
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 60000; i++) {
            snprintf(name, sizeof name, "github.%u", i % 20000);
            struct audit_row row = row_of(name, 1, i);
            audit_batch_add(&batch, &row, 0);
        }
        assert_int_equal(batch.count, 20000);
        assert_int_equal(total_of(&batch), 60000);
        for (size_t i = 0; i < batch.count; i++) {
            snprintf(name, sizeof name, "github.%zu", i);
            assert_true(text_is(batch.rows[i].connection, name));
        }
        audit_batch_clear(&batch);
        assert_int_equal(batch.count, 0);
    }
    size_t size = 100000;
    char *long_name = calloc(1, size); /* larger than any chunk */
    assert_non_null(long_name);
    memset(long_name, 'x', size - 1);
    struct audit_row row = row_of(long_name, 1, 1);
    audit_batch_add(&batch, &row, 0);
    assert_int_equal(batch.rows[0].connection.len, size - 1);
    free(long_name);
    audit_batch_free(&batch);
}

/* What was written counts no more of the same, and the others do. */
static void test_drop_done(void **state)
{
    struct audit_batch batch = {0};
    char name[16];
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(name, sizeof name, "c%d", i);
            struct audit_row row = row_of(name, 7, 100);
            audit_batch_add(&batch, &row, 0);
        }
        if (turn == 0)
            batch.done = 300;
        audit_batch_drop_done(&batch);
        assert_int_equal(batch.done, 0);
    }
    assert_int_equal(batch.count, 1000);
    for (size_t i = 0; i < batch.count; i++) {
        snprintf(name, sizeof name, "c%zu", (i + 300) % 1000);
        assert_true(text_is(batch.rows[i].connection, name));
        assert_int_equal(batch.rows[i].count, i < 700 ? 2 : 1);
    }
    audit_batch_free(&batch);
}

static void test_held(void **state)
{
    struct audit_batch batch = {0};
    struct mail one = {0}, two = {0};
    (void)state;
    assert_null(audit_batch_take_held(&batch));
    for (int round = 0; round < 2; round++) {
        audit_batch_hold(&batch, &one);
        audit_batch_hold(&batch, &two);
        assert_ptr_equal(audit_batch_take_held(&batch), &one);
        assert_ptr_equal(one.next, &two);
        assert_null(two.next);
        assert_null(audit_batch_take_held(&batch));
    }
    audit_batch_free(&batch);
}

/* Whatever the hint is, a row is counted where it belongs; the right one is what was given. */
static void test_hints(void **state)
{
    struct audit_batch batch = {0};
    struct audit_row one = row_of("c1", 7, 100), two = row_of("c2", 7, 100);
    (void)state;
    assert_int_equal(audit_batch_add(&batch, &one, UINT32_MAX), 0);
    assert_int_equal(audit_batch_add(&batch, &two, 0), 1);
    assert_int_equal(audit_batch_add(&batch, &one, 0), 0);
    assert_int_equal(audit_batch_add(&batch, &two, 1), 1);
    assert_int_equal(audit_batch_add(&batch, &one, 1), 0);
    assert_int_equal(audit_batch_add(&batch, &two, 2), 1);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.rows[0].count, 3);
    assert_int_equal(batch.rows[1].count, 3);
    audit_batch_clear(&batch);
    assert_int_equal(audit_batch_add(&batch, &two, 1), 0); /* of the time before */
    assert_int_equal(batch.rows[0].count, 1);
    audit_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_drop_done),
                                       cmocka_unit_test(test_held), cmocka_unit_test(test_hints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
