/* Audit rows as bytes, for exports and for the log's journal: they come out as they went in, those that are alike
 * take few, and bytes of which the end is missing or wrong are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/audit.h"
#include "store/audit_journal.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct expected {
    const struct audit_row *rows;
    size_t count, at;
};

static void expect_row(void *context, const struct audit_row *row)
{
    struct expected *expected = context;
    assert_true(expected->at < expected->count);
    const struct audit_row *right = &expected->rows[expected->at++];
    assert_int_equal(row->kind, right->kind);
    assert_true(row->generation == right->generation && row->count == right->count);
    assert_true(row->at_ms == right->at_ms && row->last_ms == right->last_ms);
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        struct text one = audit_text_of(row, i), other = audit_text_of(right, i);
        assert_true((one.data == NULL) == (other.data == NULL) && text_equal(one, other));
    }
}

static void count_row(void *context, const struct audit_row *row)
{
    (void)row;
    ++*(size_t *)context;
}

/* One of each: the greatest numbers, a clock that was set back, texts that come, go and are empty. */
static const struct audit_row rows[] = {
    {.kind = AUDIT_VEND, .count = 1, .at_ms = 1000, .last_ms = 1000, .principal = T("ci")},
    {.kind = AUDIT_EXPORT,
     .count = UINT64_MAX,
     .generation = UINT64_MAX,
     .at_ms = INT64_MIN,
     .last_ms = INT64_MAX,
     .principal = T("ci"),
     .peer = T("uid:7"),
     .op = T("vend"),
     .purpose = T(""),
     .owner = T("acme"),
     .connection = T("github.1"),
     .provider = T("github"),
     .account = T("one"),
     .outcome = T("ok"),
     .detail = T("d")},
    {.kind = AUDIT_REFUSED,
     .count = 300,
     .at_ms = INT64_MAX,
     .last_ms = INT64_MIN,
     .detail = T("")},
    {.kind = AUDIT_LOG, .count = 127, .at_ms = -1, .last_ms = 0, .connection = T("github.1")},
};

static void test_there_and_back(void **state)
{
    struct buf bytes = buf_make(1 << 20);
    struct expected expected = {.rows = rows, .count = COUNT(rows)};
    (void)state;
    audit_journal_write(rows, COUNT(rows), &bytes);
    assert_int_equal(buf_error(&bytes), 0);
    assert_true(audit_journal_read(buf_text(&bytes), expect_row, &expected));
    assert_int_equal(expected.at, COUNT(rows));
    size_t count = 0;
    assert_true(audit_journal_read((struct text){NULL, 0}, count_row, &count));
    assert_int_equal(count, 0);
    buf_free(&bytes);
}

/* What ten thousand vends of one caller cost is their connections. */
static void test_few_bytes(void **state)
{
    enum { MANY = 1000 };
    static char names[MANY][16];
    struct audit_row *many = calloc(MANY, sizeof *many);
    struct buf bytes = buf_make(1 << 20);
    struct expected expected = {.rows = many, .count = MANY};
    (void)state;
    assert_non_null(many);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "github.%d", 1000 + i);
        many[i] = rows[1];
        many[i].count = many[i].generation = 1;
        many[i].at_ms = many[i].last_ms = 1800000000000 + i;
        many[i].connection = text_of(names[i]);
    }
    audit_journal_write(many, MANY, &bytes);
    assert_true(bytes.len < MANY * 20 + 100);
    assert_true(audit_journal_read(buf_text(&bytes), expect_row, &expected));
    buf_free(&bytes);
    free(many);
}

static void test_wrong_bytes(void **state)
{
    static const struct text wrong[] = {
        T("\x01"),                             /* no head */
        T("\x01\x04\x01\x01\x01\x01\x01\x01"), /* a text that is none */
        T("\x00\x00\x01\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\x01\x01"), /* too great */
        T("\x00\x00\x09\x01\x01\x01\x01"),                                     /* no such kind */
        T("\x00\x00\x01\x01\x00\x01\x01"),                                     /* never */
        T("\x01\x00\x01\x01\x01\x01\x01\x7f ab"), /* a text that goes on */
    };
    struct buf bytes = buf_make(1 << 20);
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(audit_journal_read(wrong[i], count_row, &count));
    assert_int_equal(count, 0);
    /* Cut off anywhere but between two rows it is found, with the rows before. */
    size_t ends[COUNT(rows) + 1] = {0}, next = 1;
    for (size_t i = 1; i <= COUNT(rows); i++) {
        buf_clear(&bytes);
        audit_journal_write(rows, i, &bytes);
        ends[i] = bytes.len;
    }
    for (size_t len = 1; len <= bytes.len; len++) {
        char *copy = malloc(len); /* so that a sanitizer sees what lies behind */
        assert_non_null(copy);
        memcpy(copy, bytes.data, len);
        count = 0;
        bool is_end = len == ends[next];
        assert_true(audit_journal_read((struct text){copy, len}, count_row, &count) == is_end);
        next += is_end;
        assert_int_equal(count, next - 1);
        free(copy);
    }
    buf_free(&bytes);
}

/* A mark is no row, and a row is no mark. */
static void test_marks(void **state)
{
    static const uint64_t right[] = {1, 127, 128, 32768, UINT64_MAX};
    const struct audit_row row = {.kind = AUDIT_VEND, .count = 1, .op = T("vend")};
    uint64_t settled = 0;
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(right); i++) {
        struct buf bytes = buf_make(100);
        audit_journal_write_mark(right[i], &bytes);
        assert_true(audit_journal_read_mark(buf_text(&bytes), &settled));
        assert_true(settled == right[i]);
        assert_false(audit_journal_read(buf_text(&bytes), count_row, &count));
        for (size_t len = 0; len < bytes.len; len++)
            assert_false(
                audit_journal_read_mark((struct text){(const char *)bytes.data, len}, &settled));
        buf_append_byte(&bytes, 0);
        assert_false(audit_journal_read_mark(buf_text(&bytes), &settled));
        buf_free(&bytes);
    }
    struct buf bytes = buf_make(100);
    audit_journal_write(&row, 1, &bytes);
    assert_false(audit_journal_read_mark(buf_text(&bytes), &settled));
    assert_int_equal(count, 0);
    buf_free(&bytes);
}

/* What is exported is checked without the store: there and back without a loss. */
static void test_packed(void **state)
{
    struct audit_row row = {.seq = 5,
                            .at_ms = 1,
                            .last_ms = INT64_MAX,
                            .count = 3,
                            .kind = AUDIT_EXPORT,
                            .generation = 9,
                            .principal = T("a"),
                            .op = T("vend"),
                            .account = T(""),
                            .outcome = T("ok")},
                     back;
    uint8_t link[CHAIN_LINK_LEN] = {0xab, 1}, back_link[CHAIN_LINK_LEN];
    struct buf body = buf_make(4096), bytes = buf_make(4096), back_bytes = buf_make(4096);
    struct tree *tree = tree_new();
    (void)state;
    struct pack map = pack_map(&body);
    audit_pack(&map, &row, link);
    pack_close(&map);
    assert_int_equal(tree_fill(tree, buf_text(&body)), 0);
    assert_true(audit_read(tree_root(tree), &back, back_link));
    assert_memory_equal(link, back_link, sizeof link);
    audit_bytes(&row, &bytes);
    audit_bytes(&back, &back_bytes);
    assert_true(text_equal(buf_text(&bytes), buf_text(&back_bytes)));
    assert_false(audit_read(NULL, &back, back_link));
    assert_false(audit_unhex(T("00"), back_link));
    tree_free(tree);
    buf_free(&body);
    buf_free(&bytes);
    buf_free(&back_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_marks), cmocka_unit_test(test_packed),
                                       cmocka_unit_test(test_there_and_back),
                                       cmocka_unit_test(test_few_bytes),
                                       cmocka_unit_test(test_wrong_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
