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
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct text none = {NULL, 0};

static void put(struct fixture *f, const char *connection)
{
    apply_right(f, change_put(connection, connection, 0), EVENT_CONNECTED);
}

/* ---- changes ---------------------------------------------------------------------------------- */

static int begin(struct fixture *f, const char *id, enum sweep_action action, bool at_provider)
{
    static const struct sweep_share shares[] = {{{"github", 6}, 3}, {{"xero", 4}, 0}};
    struct sweep_change sweep = {.sweep = text_of(id),
                                 .action = action,
                                 .at_provider = at_provider,
                                 .selection = {.owner = T("acme"), .tag = T("t")},
                                 .rate_per_s = 7,
                                 .shares = shares,
                                 .share_count = COUNT(shares)};
    struct store_change change = {.type = CHANGE_SWEEP, .at_ms = NOW_MS, .sweep = &sweep};
    return apply_one(f, &change);
}

struct step {
    const char *after, *to; /* accounts of "acme"; NULL: none */
    const char *connections[4];
    bool is_last;
};

static int step(struct fixture *f, const char *provider, enum sweep_action action, bool at_provider,
                struct step step, bool *out_ended)
{
    struct text connections[4];
    struct sweep_change sweep = {.sweep = T("s.1"),
                                 .action = action,
                                 .at_provider = at_provider,
                                 .after_owner = step.after ? T("acme") : none,
                                 .after_account = text_of(step.after),
                                 .to_owner = step.to ? T("acme") : none,
                                 .to_account = text_of(step.to),
                                 .connections = connections,
                                 .is_last = step.is_last};
    while (sweep.connection_count < 4 && step.connections[sweep.connection_count]) {
        connections[sweep.connection_count] = text_of(step.connections[sweep.connection_count]);
        sweep.connection_count++;
    }
    struct store_change change = {.type = CHANGE_SWEEP_STEP,
                                  .at_ms = NOW_MS,
                                  .provider = text_of(provider),
                                  .remind_at = NOW_S + 60,
                                  .sweep = &sweep};
    struct store_change *changes[] = {&change};
    struct store_batch batch = {.changes = changes, .count = 1};
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    for (size_t i = 1; i < batch.event_count; i++)
        assert_int_equal(batch.events[i].seq, batch.events[i - 1].seq + 1);
    if (out_ended)
        *out_ended = sweep.has_ended;
    return change.result;
}

static int said(struct fixture *f, const char *connection, const char *says, bool *out_ended)
{
    struct sweep_change sweep = {.sweep = T("s.1"), .says = text_of(says)};
    struct store_change change = {.type = CHANGE_RECEIPT,
                                  .at_ms = NOW_MS,
                                  .connection = text_of(connection),
                                  .provider = T("github"),
                                  .sweep = &sweep};
    int result = apply_one(f, &change);
    *out_ended = sweep.has_ended;
    return result;
}

static int cancel(struct fixture *f, const char *id)
{
    struct sweep_change sweep = {.sweep = text_of(id)};
    struct store_change change = {.type = CHANGE_SWEEP_CANCEL, .at_ms = NOW_MS, .sweep = &sweep};
    return apply_one(f, &change);
}

/* ---- what is read ------------------------------------------------------------------------------ */

struct seen {
    struct sweep_row row;
    char ids[8][32];
    size_t count, parts, receipts;
    enum conn_state from[8], to[8];
    bool is_asking[8];
    char after[32], says[8][32];
    bool is_walked;
};

static bool see_sweep(void *context, const struct sweep_row *row)
{
    struct seen *seen = context;
    assert_true(row->id.len < sizeof seen->ids[0] && seen->count < COUNT(seen->ids));
    memcpy(seen->ids[seen->count++], row->id.data, row->id.len);
    seen->row = *row;
    return true;
}

static bool see_part(void *context, const struct sweep_part_row *row)
{
    struct seen *seen = context;
    if (text_is(row->provider, "github")) {
        if (row->after_account.data)
            memcpy(seen->after, row->after_account.data, row->after_account.len);
        seen->is_walked = row->is_walked;
        assert_true(text_is(row->owner, "acme") && text_is(row->tag, "t") && row->rate_per_s == 7);
    }
    seen->parts++;
    return true;
}

static bool see_receipt(void *context, const struct sweep_receipt *row)
{
    struct seen *seen = context;
    size_t i = seen->receipts++;
    assert_true(i < COUNT(seen->from));
    memcpy(seen->ids[i], row->connection.data, row->connection.len);
    seen->from[i] = row->from;
    seen->to[i] = row->to;
    seen->is_asking[i] = row->is_asking;
    if (row->at_provider.data)
        memcpy(seen->says[i], row->at_provider.data, row->at_provider.len);
    assert_true(text_is(row->owner, "acme") && row->at_ms == NOW_MS);
    return true;
}

static struct seen look(struct fixture *f, const char *id)
{
    struct seen seen = {0};
    assert_int_equal(f->engine->sweep(f->reader, text_of(id), see_sweep, &seen), 0);
    assert_int_equal(seen.count, 1);
    return seen;
}

static struct seen look_parts(struct fixture *f)
{
    struct seen seen = {0};
    assert_int_equal(f->engine->sweep_parts(f->reader, see_part, &seen), 0);
    return seen;
}

static struct seen look_receipts(struct fixture *f, const char *after, size_t limit)
{
    struct seen seen = {0};
    assert_int_equal(
        f->engine->receipts(f->reader, T("s.1"), text_of(after), limit, see_receipt, &seen), 0);
    return seen;
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void test_walk(void **state)
{
    struct fixture *f = *state;
    bool has_ended;
    put(f, "c.1");
    put(f, "c.2");
    put(f, "c.3");
    apply_right(f, change_move("c.2", MOVE_REVOKE), EVENT_REVOKED);
    assert_int_equal(begin(f, "s.1", SWEEP_FREEZE, false), 0);
    struct seen seen = look(f, "s.1");
    assert_true(seen.row.action == SWEEP_FREEZE && !seen.row.at_provider &&
                seen.row.rate_per_s == 7 && seen.row.begun_at == NOW_S && seen.row.ended_at == 0);
    assert_true(seen.row.count == 3 && seen.row.done == 0);
    assert_int_equal(look_parts(f).parts, 2);

    struct step first = {NULL, "c.1", {"c.1"}, false};
    assert_int_equal(step(f, "github", SWEEP_FREEZE, false, first, &has_ended), 0);
    assert_false(has_ended);
    assert_int_equal(newest_event(f), EVENT_FROZEN);
    seen = look_parts(f);
    assert_string_equal(seen.after, "c.1");
    /* The same batch once more, as after a reply that was lost: nothing of it is done again. */
    int64_t events = fixture_sql(f, "SELECT count(*) FROM event");
    assert_int_equal(step(f, "github", SWEEP_FREEZE, false, first, NULL), BURSAR_E_CONFLICT);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM event"), events);
    assert_int_equal(look(f, "s.1").row.done, 1);

    fixture_close(f); /* it goes on where it stood */
    fixture_open(f);
    struct step second = {"c.1", "c.3", {"c.2", "c.3", "c.gone"}, true};
    assert_int_equal(step(f, "github", SWEEP_FREEZE, false, second, &has_ended), 0);
    assert_true(has_ended);
    seen = look(f, "s.1");
    assert_true(seen.row.done == 3 && seen.row.changed == 2 && seen.row.ended_at == 0);
    assert_int_equal(look_parts(f).parts, 1); /* the other provider's */
    struct step nothing = {NULL, NULL, {NULL}, true};
    assert_int_equal(step(f, "xero", SWEEP_FREEZE, false, nothing, &has_ended), 0);
    assert_true(has_ended);
    assert_int_equal(look(f, "s.1").row.ended_at, NOW_S);
    assert_int_equal(step(f, "xero", SWEEP_FREEZE, false, nothing, NULL), BURSAR_E_CONFLICT);

    seen = look_receipts(f, NULL, 8);
    assert_int_equal(seen.receipts, 3);
    assert_true(seen.from[0] == CONN_ACTIVE && seen.to[0] == CONN_FROZEN);
    assert_true(seen.from[1] == CONN_REVOKED && seen.to[1] == CONN_REVOKED);
    assert_int_equal(look_receipts(f, NULL, 2).receipts, 2);
    seen = look_receipts(f, "c.2", 8);
    assert_int_equal(seen.receipts, 1);
    assert_string_equal(seen.ids[0], "c.3");
}

static void test_thaw_goes_back(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    put(f, "c.2");
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_FROZEN);
    assert_int_equal(begin(f, "s.1", SWEEP_THAW, false), 0);
    struct step all = {NULL, "c.2", {"c.1", "c.2"}, true};
    assert_int_equal(step(f, "github", SWEEP_THAW, false, all, NULL), 0);
    struct seen seen = look_receipts(f, NULL, 8);
    assert_true(seen.from[0] == CONN_FROZEN && seen.to[0] == CONN_NEEDS_REAUTH);
    assert_true(seen.from[1] == CONN_ACTIVE && seen.to[1] == CONN_ACTIVE);
    assert_int_equal(fixture_sql(f, "SELECT remind_at FROM connection WHERE id = 'c.1'"),
                     NOW_S + 60);
}

/* What is held for a hand-over was not frozen by whoever thaws many; what was let go and frozen again was. */
static void test_thaw_leaves_held(void **state)
{
    static const enum conn_move moves[] = {MOVE_THAW, MOVE_FREEZE};
    struct fixture *f = *state;
    const char *names[] = {"a.1", "a.2"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct store_change held = change_put(names[i], names[i], 0);
        struct store_change *changes[] = {&held};
        struct store_batch batch = {.changes = changes, .count = 1};
        held.is_held = true;
        held.reason = T("hand_over");
        assert_int_equal(f->engine->apply(f->writer, &batch), 0);
        assert_int_equal(held.result, 0);
    }
    for (size_t i = 0; i < COUNT(moves); i++)
        apply_right(f, change_move("a.2", moves[i]), i == 0 ? EVENT_THAWED : EVENT_FROZEN);
    begin(f, "s.1", SWEEP_THAW, false);
    struct step both = {.to = "a.2", .connections = {"a.1", "a.2"}, .is_last = true};
    assert_int_equal(step(f, "github", SWEEP_THAW, false, both, NULL), 0);
    struct conn_row row = row_of(f, "a.1");
    assert_true(row.state == CONN_FROZEN && text_is(row.reason, "hand_over"));
    conn_row_free(&row);
    row = row_of(f, "a.2");
    assert_int_equal(row.state, CONN_ACTIVE);
    conn_row_free(&row);
}

static void test_at_provider(void **state)
{
    struct fixture *f = *state;
    bool has_ended;
    put(f, "c.1");
    put(f, "c.2");
    assert_int_equal(begin(f, "s.1", SWEEP_REVOKE, true), 0);
    struct step all = {NULL, "c.2", {"c.1", "c.2"}, true};
    assert_int_equal(step(f, "github", SWEEP_REVOKE, true, all, &has_ended), 0);
    assert_false(has_ended); /* the provider is still to be asked */
    struct seen seen = look_parts(f);
    assert_true(seen.is_walked);
    assert_int_equal(look(f, "s.1").row.asking, 2);
    seen = (struct seen){0};
    assert_int_equal(
        f->engine->asking(f->reader, T("s.1"), T("github"), none, 8, see_receipt, &seen), 0);
    assert_int_equal(seen.receipts, 2);
    assert_int_equal(said(f, "c.1", "revoked", &has_ended), 0);
    assert_false(has_ended);
    assert_int_equal(said(f, "c.1", "refused", &has_ended), BURSAR_E_CONFLICT); /* once */
    assert_int_equal(said(f, "c.9", "revoked", &has_ended), BURSAR_E_CONFLICT);
    fixture_close(f);
    fixture_open(f);
    seen = (struct seen){0};
    assert_int_equal(
        f->engine->asking(f->reader, T("s.1"), T("github"), none, 8, see_receipt, &seen), 0);
    assert_true(seen.receipts == 1 && strcmp(seen.ids[0], "c.2") == 0);
    assert_int_equal(said(f, "c.2", "refused: HTTP 400", &has_ended), 0);
    assert_true(has_ended);
    seen = look_receipts(f, NULL, 8);
    assert_string_equal(seen.says[0], "revoked");
    assert_string_equal(seen.says[1], "refused: HTTP 400");
    assert_false(seen.is_asking[0] || seen.is_asking[1]);
    assert_int_equal(look(f, "s.1").row.asking, 0);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    assert_int_equal(begin(f, "s.1", SWEEP_FREEZE, false), 0);
    assert_int_equal(cancel(f, "s.2"), BURSAR_E_NOT_FOUND);
    assert_int_equal(cancel(f, "s.1"), 0);
    assert_int_equal(cancel(f, "s.1"), BURSAR_E_CONFLICT);
    struct seen seen = look(f, "s.1");
    assert_true(seen.row.is_cancelled && seen.row.ended_at == NOW_S);
    assert_int_equal(look_parts(f).parts, 0);
    struct step all = {NULL, "c.1", {"c.1"}, true};
    assert_int_equal(step(f, "github", SWEEP_FREEZE, false, all, NULL), BURSAR_E_CONFLICT);
    struct conn_row row = row_of(f, "c.1");
    assert_int_equal(row.state, CONN_ACTIVE);
    conn_row_free(&row);
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (int i = 0; i < SWEEPS_ACTIVE_MAX; i++) {
        snprintf(id, sizeof id, "s.%03d", i);
        assert_int_equal(begin(f, id, SWEEP_FREEZE, false), 0);
    }
    assert_int_equal(begin(f, "s.999", SWEEP_FREEZE, false), BURSAR_E_OVERLOADED);
    assert_int_equal(cancel(f, "s.000"), 0);
    assert_int_equal(begin(f, "s.999", SWEEP_FREEZE, false), 0);
    struct seen seen = {0};
    assert_int_equal(f->engine->sweeps(f->reader, none, 2, see_sweep, &seen), 0);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.ids[0], "s.999");
    assert_string_equal(seen.ids[1], "s.063");
    seen = (struct seen){0};
    assert_int_equal(f->engine->sweeps(f->reader, T("s.001"), 8, see_sweep, &seen), 0);
    assert_true(seen.count == 1 && strcmp(seen.ids[0], "s.000") == 0);
    assert_int_equal(f->engine->sweep(f->reader, T("s.888"), see_sweep, &seen), BURSAR_E_NOT_FOUND);
}

/* Old sweeps go with the old events, and only those that have ended. */
static void test_trim(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    assert_int_equal(begin(f, "s.1", SWEEP_FREEZE, false), 0);
    assert_int_equal(begin(f, "s.2", SWEEP_FREEZE, false), 0);
    struct step all = {NULL, "c.1", {"c.1"}, true};
    assert_int_equal(step(f, "github", SWEEP_FREEZE, false, all, NULL), 0);
    struct store_change trim = {
        .type = CHANGE_TRIM, .at_ms = NOW_MS + 60000, .now_ms = NOW_MS + 60000};
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM receipt"), 1);
    assert_int_equal(cancel(f, "s.1"), 0);
    trim.at_ms = NOW_MS - 60000;
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM receipt"), 1);
    trim.at_ms = NOW_MS + 60000;
    assert_int_equal(apply_one(f, &trim), 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM receipt"), 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM sweep"), 1);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM sweep_part"), 2);
}

static bool count_row(void *context, struct text provider, enum conn_state state, struct text tags)
{
    (void)tags;
    size_t *counts = context;
    assert_true(text_is(provider, "github"));
    counts[state]++;
    return true;
}

static void test_tally(void **state)
{
    struct fixture *f = *state;
    size_t counts[CONN_STATE_END] = {0};
    put(f, "c.1");
    put(f, "c.2");
    apply_right(f, change_move("c.2", MOVE_FREEZE), EVENT_FROZEN);
    assert_int_equal(f->engine->tally(f->reader, none, none, count_row, counts), 0);
    assert_true(counts[CONN_ACTIVE] == 1 && counts[CONN_FROZEN] == 1);
    assert_int_equal(f->engine->tally(f->reader, T("acme"), T("github"), count_row, counts), 0);
    assert_true(counts[CONN_ACTIVE] == 2 && counts[CONN_FROZEN] == 2);
    assert_int_equal(f->engine->tally(f->reader, T("other"), none, count_row, counts), 0);
    assert_int_equal(f->engine->tally(f->reader, none, T("xero"), count_row, counts), 0);
    assert_true(counts[CONN_ACTIVE] == 2);
}

static void test_pause(void **state)
{
    struct fixture *f = *state;
    int64_t since = 5;
    struct store_change pause = {
        .type = CHANGE_PAUSE, .at_ms = NOW_MS, .provider = T("github"), .is_begin = true};
    assert_int_equal(f->engine->paused(f->reader, T("github"), &since), 0);
    assert_int_equal(since, 0);
    assert_int_equal(apply_one(f, &pause), 0);
    pause.at_ms += 60000;
    assert_int_equal(apply_one(f, &pause), 0); /* since when stays */
    assert_int_equal(f->engine->paused(f->reader, T("github"), &since), 0);
    assert_int_equal(since, NOW_S);
    assert_int_equal(f->engine->paused(f->reader, T("xero"), &since), 0);
    assert_int_equal(since, 0);
    pause.is_begin = false;
    assert_int_equal(apply_one(f, &pause), 0);
    assert_int_equal(f->engine->paused(f->reader, T("github"), &since), 0);
    assert_int_equal(since, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_walk),        TEST(test_thaw_goes_back), TEST(test_thaw_leaves_held),
        TEST(test_at_provider), TEST(test_cancel),         TEST(test_many),
        TEST(test_trim),        TEST(test_tally),          TEST(test_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
