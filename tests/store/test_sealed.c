/* Blobs whose data keys are wrapped anew: found wherever they are, and written only over what was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "fixture.h"

#define T(s) TEXT_LITERAL(s)

enum { SEEN_MAX = 400 };

/* What a walk has seen, as one line a row. */
struct seen {
    struct buf text;
    size_t count, most; /* rows; and of one step */
    size_t step;
};

static void note(void *context, const struct sealed_row *row)
{
    static const char *const names[SEALED_END] = {"connection", "intent", "consent"};
    struct seen *seen = context;
    seen->count++;
    seen->step++;
    buf_printf(&seen->text, "%s %.*s %.*s %llu", names[row->table], (int)row->id.len, row->id.data,
               (int)row->owner.len, row->owner.data ? row->owner.data : "",
               (unsigned long long)row->generation);
    for (size_t i = 0; i < SEALED_BLOBS; i++)
        buf_printf(&seen->text, " %.*s", row->blobs[i].data ? (int)row->blobs[i].len : 1,
                   row->blobs[i].data ? row->blobs[i].data : "-");
    buf_append_byte(&seen->text, '\n');
}

static struct seen walk(struct fixture *f, struct text owner, size_t limit)
{
    struct seen seen = {.text = buf_make(1 << 20)};
    struct sealed_cursor cursor = {.table = SEALED_CONNECTION};
    for (size_t i = 0; i < SEEN_MAX && cursor.table != SEALED_END; i++) {
        seen.step = 0;
        assert_int_equal(f->engine->sealed(f->reader, owner, &cursor, limit, note, &seen), 0);
        seen.most = seen.step > seen.most ? seen.step : seen.most;
    }
    assert_int_equal(cursor.table, SEALED_END);
    return seen;
}

static void put(struct fixture *f, const char *connection, const char *owner, const char *secret)
{
    struct store_change change = change_put(connection, connection, 0);
    change.owner = text_of(owner);
    change.secret.secret = text_of(secret);
    change.secret.grant = text_of("grant");
    apply_right(f, change, EVENT_CONNECTED);
}

static void reply(struct fixture *f, const char *connection, uint64_t generation)
{
    struct store_change change = change_of(CHANGE_REPLY, connection);
    apply_right(f, change_intent(connection, generation), EVENT_NONE);
    change.expect_generation = generation;
    change.reply = T("raw");
    apply_right(f, change, EVENT_NONE);
}

static void consent(struct fixture *f)
{
    struct store_change change = change_of(CHANGE_CONSENT, "");
    change.consent = T("digest");
    change.provider = T("github");
    change.sealed = T("verifier");
    change.consent_expires_at = NOW_S + 600;
    apply_right(f, change, EVENT_NONE);
}

static void refreshed(struct fixture *f, const char *connection, uint64_t generation)
{
    struct store_change change = change_refreshed(connection, generation);
    change.secret.secret = T("newer");
    change.secret.grant = (struct text){NULL, 0};
    apply_right(f, change, EVENT_REFRESHED);
}

static void test_walk(void **state)
{
    struct fixture *f = *state;
    uint64_t count = 0;
    put(f, "github.1", "acme", "one");
    put(f, "github.2", "other", "two");
    apply_right(f, change_intent("github.1", 1), EVENT_NONE);
    refreshed(f, "github.1", 1);
    reply(f, "github.1", 2);
    struct store_change intent = change_intent("github.2", 1);
    intent.owner = T("other");
    apply_right(f, intent, EVENT_NONE); /* without a reply it holds no blob */
    consent(f);
    for (size_t limit = 1; limit <= 64; limit *= 8) {
        struct seen all = walk(f, (struct text){NULL, 0}, limit);
        assert_string_equal((char *)all.text.data, "connection github.1 acme 2 newer - one grant\n"
                                                   "connection github.2 other 1 two grant - -\n"
                                                   "intent github.1 acme 2 raw - - -\n"
                                                   "consent digest  0 verifier - - -\n");
        assert_true(all.most <= limit);
        buf_free(&all.text);
        struct seen one = walk(f, T("acme"), limit);
        assert_string_equal((char *)one.text.data, "connection github.1 acme 2 newer - one grant\n"
                                                   "intent github.1 acme 2 raw - - -\n");
        buf_free(&one.text);
    }
    assert_int_equal(f->engine->sealed_count(f->reader, &count), 0);
    assert_int_equal(count, 4);
}

static size_t write_rows(struct fixture *f, struct sealed_batch *batch)
{
    struct store_change change = change_of(CHANGE_SEALED, "");
    change.sealed_batch = batch;
    apply_right(f, change, EVENT_NONE);
    return batch->lost;
}

static void expect_walk(struct fixture *f, const char *text)
{
    struct seen seen = walk(f, (struct text){NULL, 0}, 64);
    assert_string_equal((char *)seen.text.data, text);
    buf_free(&seen.text);
}

/* Each row is written where nothing of it has changed, and no row of a batch disturbs another. */
static void test_write(void **state)
{
    struct fixture *f = *state;
    static struct sealed_batch batch;
    put(f, "github.1", "acme", "one");
    put(f, "github.2", "acme", "two");
    reply(f, "github.2", 1);
    consent(f);
    batch = (struct sealed_batch){.rows = {{.table = SEALED_CONNECTION,
                                            .id = T("github.1"),
                                            .before = {T("one"), T("grant")},
                                            .after = {T("ONE"), {NULL, 0}}},
                                           {.table = SEALED_CONNECTION,
                                            .id = T("github.2"),
                                            .before = {T("two"), T("older")},
                                            .after = {T("TWO"), T("GRANT")}},
                                           {.table = SEALED_INTENT,
                                            .id = T("github.2"),
                                            .generation = 1,
                                            .before = {T("raw")},
                                            .after = {T("RAW")}},
                                           {.table = SEALED_INTENT,
                                            .id = T("github.2"),
                                            .generation = 2,
                                            .before = {T("raw")},
                                            .after = {T("WRONG")}},
                                           {.table = SEALED_CONSENT,
                                            .id = T("digest"),
                                            .before = {T("verifier")},
                                            .after = {T("VERIFIER")}},
                                           {.table = SEALED_CONSENT,
                                            .id = T("gone"),
                                            .before = {T("verifier")},
                                            .after = {T("WRONG")}}},
                                  .count = 6};
    assert_int_equal(write_rows(f, &batch), 3);
    expect_walk(f, "connection github.1 acme 1 ONE grant - -\n"
                   "connection github.2 acme 1 two grant - -\n"
                   "intent github.2 acme 1 RAW - - -\n"
                   "consent digest  0 VERIFIER - - -\n");
    assert_int_equal(
        fixture_sql(f, "SELECT count(*) FROM connection WHERE updated_at <> 1800000000"), 0);
}

/* A refresh between reading and writing stays what it is. */
static void test_lost_to_a_refresh(void **state)
{
    struct fixture *f = *state;
    static struct sealed_batch batch;
    put(f, "github.1", "acme", "one");
    batch = (struct sealed_batch){.rows = {{.table = SEALED_CONNECTION,
                                            .id = T("github.1"),
                                            .before = {T("one"), T("grant")},
                                            .after = {T("ONE"), T("GRANT")}}},
                                  .count = 1};
    apply_right(f, change_intent("github.1", 1), EVENT_NONE);
    refreshed(f, "github.1", 1);
    assert_int_equal(write_rows(f, &batch), 1);
    expect_walk(f, "connection github.1 acme 2 newer - one grant\n");
    apply_right(f, change_move("github.1", MOVE_DELETE), EVENT_DELETED);
    assert_int_equal(write_rows(f, &batch), 1);
}

static struct store_change shred_of(const char *connection, uint64_t generation)
{
    struct store_change change = change_failed(connection, generation, MOVE_REFUSED, VERDICT_GRANT);
    change.type = CHANGE_SHRED;
    change.reason = T("key_destroyed");
    return change;
}

static void test_shred(void **state)
{
    struct fixture *f = *state;
    put(f, "github.1", "acme", "one");
    put(f, "github.2", "acme", "two");
    apply_right(f, change_intent("github.1", 1), EVENT_NONE);
    refreshed(f, "github.1", 1);
    reply(f, "github.1", 2);
    apply_refused(f, shred_of("github.2", 2), BURSAR_E_CONFLICT);
    apply_right(f, shred_of("github.1", 2), EVENT_REAUTH);
    expect_walk(f, "connection github.2 acme 1 two grant - -\n");
    struct conn_row row = row_of(f, "github.1");
    assert_int_equal(row.state, CONN_NEEDS_REAUTH);
    assert_null(row.secret.data);
    assert_false(row.can_refresh);
    conn_row_free(&row);
    apply_refused(f, change_refreshed("github.1", 2), BURSAR_E_CONFLICT); /* that was under way */
    apply_right(f, change_move("github.2", MOVE_FREEZE), EVENT_FROZEN);
    apply_right(f, shred_of("github.2", 1), EVENT_NONE);
    apply_right(f, change_move("github.2", MOVE_THAW), EVENT_THAWED);
    row = row_of(f, "github.2");
    assert_int_equal(row.state,
                     CONN_NEEDS_REAUTH); /* it does not come back as if it had a secret */
    conn_row_free(&row);
    struct store_change again = change_put("github.1", "github.1", 3);
    again.is_new = false;
    apply_right(f, again, EVENT_RECOVERED);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_walk),
        TEST(test_write),
        TEST(test_lost_to_a_refresh),
        TEST(test_shred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
