#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bursar/error.h>

#include "fixture.h"
#include "policy/expiry.h"
#include "store/refreshed.h"

#define T(s) TEXT_LITERAL(s)

static void put(struct fixture *f, const char *connection)
{
    apply_right(f, change_put(connection, connection, 0), EVENT_CONNECTED);
}

static void expect_state(struct fixture *f, const char *connection, enum conn_state state,
                         int64_t next_refresh_at)
{
    struct conn_row row = row_of(f, connection);
    assert_int_equal(row.state, state);
    assert_int_equal(row.next_refresh_at, next_refresh_at);
    conn_row_free(&row);
}

/* ---- refreshes ------------------------------------------------------------------------------- */

static size_t intents(struct fixture *f)
{
    return (size_t)fixture_sql(f, "SELECT count(*) FROM intent");
}

static struct store_change reply_of(const char *connection, uint64_t generation, const char *sealed)
{
    struct store_change change = change_of(CHANGE_REPLY, connection);
    change.expect_generation = generation;
    change.reply = text_of(sealed);
    return change;
}

static void test_refresh(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    apply_refused(f, reply_of("c.1", 1, "raw"), BURSAR_E_CONFLICT); /* nothing was begun */
    apply_refused(f, change_intent("c.1", 2), BURSAR_E_CONFLICT);
    apply_refused(f, change_intent("c.2", 1), BURSAR_E_NOT_FOUND);
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_refused(f, change_intent("c.1", 1), BURSAR_E_CONFLICT); /* one flight at a time */
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM intent WHERE provider = 'github' AND"
                                    " node = 'node-1' AND length(token_hash) = 32 AND"
                                    " hex(token_hash) LIKE 'ABAB%AB' AND reply IS NULL"),
                     1);
    apply_refused(f, reply_of("c.1", 2, "raw"), BURSAR_E_CONFLICT);
    apply_right(f, reply_of("c.1", 1, "raw"), EVENT_NONE);
    struct store_change refreshed = change_refreshed("c.1", 1);
    refreshed.secret.secret = T("new");
    apply_right(f, refreshed, EVENT_REFRESHED);
    assert_int_equal(intents(f), 0);
    struct conn_row row = row_of(f, "c.1");
    assert_true(row.generation == 2 && text_is(row.secret, "new"));
    assert_true(row.last_refresh_at == NOW_S && row.last_outcome == VERDICT_OK);
    conn_row_free(&row);
    apply_refused(f, refreshed, BURSAR_E_CONFLICT); /* an older secret never wins */
}

static void expect_same(const struct conn_row *a, const struct conn_row *b)
{
    const struct text of_a[] = {a->id,         a->owner,  a->provider, a->account,
                                a->last_error, a->reason, a->kind,     a->scopes,
                                a->metadata,   a->tags,   a->secret,   a->grant},
                      of_b[] = {b->id,         b->owner,  b->provider, b->account,
                                b->last_error, b->reason, b->kind,     b->scopes,
                                b->metadata,   b->tags,   b->secret,   b->grant};
    for (size_t i = 0; i < sizeof of_a / sizeof of_a[0]; i++) {
        assert_int_equal(of_a[i].data != NULL, of_b[i].data != NULL);
        assert_true(text_equal(of_a[i], of_b[i]));
    }
    assert_true(a->state == b->state && a->prior_state == b->prior_state);
    assert_true(a->generation == b->generation && a->invalid_generation == b->invalid_generation);
    assert_true(a->issued_at == b->issued_at && a->expires_at == b->expires_at);
    assert_true(a->due_at == b->due_at && a->next_refresh_at == b->next_refresh_at);
    assert_true(a->refresh_expires_at == b->refresh_expires_at && a->lost_at == b->lost_at);
    assert_true(a->created_at == b->created_at && a->updated_at == b->updated_at);
    assert_true(a->last_refresh_at == b->last_refresh_at && a->last_outcome == b->last_outcome);
    assert_true(a->failures == b->failures && a->is_probed == b->is_probed);
    assert_true(a->can_refresh == b->can_refresh && a->suspect == b->suspect);
}

/* What the change leaves is what the store has then, whatever the row was. */
static void test_known(void **state)
{
    struct fixture *f = *state;
    struct conn_row before, known, gathered, after;
    put(f, "c.1");
    for (unsigned turn = 0; turn < 32; turn++) {
        uint64_t generation = turn + 1;
        if (turn & 1) { /* not the first attempt */
            apply_right(f, change_intent("c.1", generation), EVENT_NONE);
            apply_right(f, change_failed("c.1", generation, MOVE_END, VERDICT_THROTTLED),
                        EVENT_NONE);
        }
        if (turn & 2) {
            struct store_change invalidate = change_of(CHANGE_INVALIDATE, "c.1");
            invalidate.expect_generation = generation;
            assert_int_equal(apply_one(f, &invalidate), 0);
        }
        if (turn & 4) {
            struct store_change update = change_of(CHANGE_UPDATE, "c.1");
            update.metadata = T("\x81\xa1m\x01");
            update.tags = T("\x81\xa1t\xa1v");
            apply_right(f, update, EVENT_NONE);
        }
        before = row_of(f, "c.1");
        apply_right(f, change_intent("c.1", generation), EVENT_NONE);
        struct store_change refreshed = change_refreshed("c.1", generation);
        refreshed.at_ms += 5000 * (turn + 1);
        refreshed.secret.secret = T("new");
        refreshed.secret.refresh_expires_at = NOW_S + turn;
        if (turn & 8)
            refreshed.secret.scopes = (struct text){NULL, 0};
        if (turn & 16)
            refreshed.secret.expires_at = EXPIRY_NEVER;
        assert_false(store_row_refreshed(&before, &refreshed, &known)); /* nobody has said yet */
        assert_int_equal(apply_one(f, &refreshed), 0);
        assert_true(store_row_refreshed(&before, &refreshed, &known));
        assert_int_equal(conn_row_gather(&known, &gathered), 0);
        after = row_of(f, "c.1");
        expect_same(&known, &after);
        conn_row_free(&before);
        expect_same(&gathered, &after);
        conn_row_free(&gathered);
        conn_row_free(&after);
    }
}

/* A row that was set aside, or refreshed by somebody else: the change alone does not say what it is now. */
static void test_unknown(void **state)
{
    struct fixture *f = *state;
    struct conn_row before, known;
    put(f, "c.1");
    before = row_of(f, "c.1");
    struct store_change refreshed = change_refreshed("c.1", 1), late = change_refreshed("c.1", 1);
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_FROZEN);
    assert_int_equal(apply_one(f, &refreshed), 0);
    assert_false(store_row_refreshed(&before, &refreshed, &known));
    assert_int_equal(apply_one(f, &late), BURSAR_E_CONFLICT);
    assert_false(store_row_refreshed(&before, &late, &known));
    conn_row_free(&before);
    before = row_of(f, "c.1");
    assert_false(store_row_refreshed(&before, &refreshed, &known));
    conn_row_free(&before);
}

static void test_failed(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    for (unsigned i = 1; i <= 3; i++) {
        apply_right(f, change_intent("c.1", 1), EVENT_NONE);
        apply_right(f, change_failed("c.1", 1, MOVE_END, VERDICT_THROTTLED), EVENT_NONE);
        assert_int_equal(intents(f), 0);
        struct conn_row row = row_of(f, "c.1");
        assert_true(row.state == CONN_ACTIVE && row.generation == 1);
        assert_true(row.failures == i && conn_row_view(&row).is_failing);
        assert_int_equal(row.last_outcome, VERDICT_THROTTLED);
        assert_true(text_is(row.last_error, "what went wrong"));
        assert_null(row.reason.data); /* of a move alone */
        assert_true(row.next_refresh_at == NOW_S + 60 && row.last_refresh_at == NOW_S);
        conn_row_free(&row);
    }
    apply_right(f, change_refreshed("c.1", 1), EVENT_REFRESHED);
    struct conn_row row = row_of(f, "c.1");
    assert_true(row.failures == 0 && row.last_outcome == VERDICT_OK);
    assert_null(row.last_error.data);
    conn_row_free(&row);
    apply_refused(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), BURSAR_E_CONFLICT);
    apply_refused(f, change_failed("c.2", 1, MOVE_END, VERDICT_GRANT), BURSAR_E_NOT_FOUND);
}

/* A reply that could not be read here is read later: its intent stays. */
static void test_kept_intent(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, reply_of("c.1", 1, "raw"), EVENT_NONE);
    struct store_change failed = change_failed("c.1", 1, MOVE_END, VERDICT_PROVIDER);
    failed.keeps_intent = true;
    apply_right(f, failed, EVENT_NONE);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM intent WHERE reply IS NOT NULL"), 1);
    apply_refused(f, change_intent("c.1", 1), BURSAR_E_CONFLICT);
    apply_right(f, change_refreshed("c.1", 1), EVENT_REFRESHED);
    assert_int_equal(intents(f), 0);
}

static void test_plan(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    struct store_change plan = change_of(CHANGE_PLAN, "c.1");
    plan.expect_generation = 1;
    plan.at_ms += 5000;
    apply_right(f, plan, EVENT_NONE);
    expect_state(f, "c.1", CONN_ACTIVE, NOW_S + 5);
    plan.expect_generation = 2;
    apply_refused(f, plan, BURSAR_E_CONFLICT);
    plan.expect_generation = 1;
    plan.owner = T("other");
    apply_refused(f, plan, BURSAR_E_NOT_FOUND);
    plan.owner = T("acme");
    apply_right(f, change_move("c.1", MOVE_REVOKE), EVENT_REVOKED);
    apply_refused(f, plan, BURSAR_E_CONFLICT);
}

static void test_refused_grant(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    expect_state(f, "c.1", CONN_NEEDS_REAUTH, EXPIRY_NEVER);
    assert_int_equal(intents(f), 0);
    apply_right(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_NONE); /* once */
    apply_refused(f, change_intent("c.1", 1), BURSAR_E_CONFLICT); /* nothing is sent any more */
    struct conn_row row = row_of(f, "c.1");
    assert_true(text_is(row.reason, "the_reason") && text_is(row.secret, "sealed secret"));
    conn_row_free(&row);
    apply_right(f, change_put("c.1", "c.1", 1), EVENT_RECOVERED);
    row = row_of(f, "c.1");
    assert_true(row.state == CONN_ACTIVE && row.generation == 2);
    assert_null(row.reason.data);
    conn_row_free(&row);
}

/* ---- in doubt -------------------------------------------------------------------------------- */

static struct store_change probe(const char *connection, uint64_t generation)
{
    struct store_change change = change_intent(connection, generation);
    change.is_probe = true;
    return change;
}

static void lose(struct fixture *f, const char *connection)
{
    put(f, connection);
    apply_right(f, change_intent(connection, 1), EVENT_NONE);
    apply_refused(f, probe(connection, 1), BURSAR_E_CONFLICT); /* it is not in doubt yet */
    apply_right(f, change_failed(connection, 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_IN_DOUBT);
    expect_state(f, connection, CONN_IN_DOUBT, NOW_S + 60);
}

static bool is_probed(struct fixture *f, const char *connection)
{
    struct conn_row row = row_of(f, connection);
    bool result = row.is_probed;
    conn_row_free(&row);
    return result;
}

static void test_probe_ends_well(void **state)
{
    struct fixture *f = *state;
    lose(f, "c.1");
    assert_false(is_probed(f, "c.1"));
    apply_refused(f, change_intent("c.1", 1), BURSAR_E_CONFLICT); /* no usual refresh */
    apply_right(f, probe("c.1", 1), EVENT_NONE);
    assert_true(is_probed(f, "c.1"));
    expect_state(f, "c.1", CONN_IN_DOUBT, EXPIRY_NEVER);
    apply_right(f, change_refreshed("c.1", 1), EVENT_RECOVERED);
    assert_false(is_probed(f, "c.1"));
    expect_state(f, "c.1", CONN_ACTIVE, NOW_S + 3300);
}

static void test_probe_refused(void **state)
{
    struct fixture *f = *state;
    lose(f, "c.1");
    apply_right(f, probe("c.1", 1), EVENT_NONE);
    apply_right(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    expect_state(f, "c.1", CONN_NEEDS_REAUTH, EXPIRY_NEVER);
}

/* A probe that was lost is the last, also after a freeze. */
static void test_probe_lost(void **state)
{
    struct fixture *f = *state;
    lose(f, "c.1");
    apply_right(f, probe("c.1", 1), EVENT_NONE);
    apply_right(f, change_failed("c.1", 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_NONE);
    assert_true(is_probed(f, "c.1"));
    expect_state(f, "c.1", CONN_IN_DOUBT, EXPIRY_NEVER);
    apply_refused(f, probe("c.1", 1), BURSAR_E_CONFLICT);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_FROZEN);
    apply_right(f, change_move("c.1", MOVE_THAW), EVENT_THAWED);
    expect_state(f, "c.1", CONN_IN_DOUBT, EXPIRY_NEVER);
    apply_refused(f, probe("c.1", 1), BURSAR_E_CONFLICT);
    apply_right(f, change_put("c.1", "c.1", 1), EVENT_RECOVERED);
    assert_false(is_probed(f, "c.1"));
}

/* One that reached nobody may be sent once more. */
static void test_probe_unsent(void **state)
{
    struct fixture *f = *state;
    lose(f, "c.1");
    apply_right(f, probe("c.1", 1), EVENT_NONE);
    apply_right(f, change_failed("c.1", 1, MOVE_END, VERDICT_PROVIDER), EVENT_NONE);
    assert_false(is_probed(f, "c.1"));
    expect_state(f, "c.1", CONN_IN_DOUBT, NOW_S + 60);
    apply_right(f, probe("c.1", 1), EVENT_NONE);
}

/* Whatever is decided while the probe is under way: that it was lost is not forgotten. */
static void test_probe_lost_under_a_freeze(void **state)
{
    struct fixture *f = *state;
    lose(f, "c.1");
    apply_right(f, probe("c.1", 1), EVENT_NONE);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_FROZEN);
    apply_right(f, change_failed("c.1", 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_NONE);
    apply_right(f, change_move("c.1", MOVE_THAW), EVENT_THAWED);
    expect_state(f, "c.1", CONN_IN_DOUBT, EXPIRY_NEVER);
    assert_true(is_probed(f, "c.1"));
    apply_refused(f, probe("c.1", 1), BURSAR_E_CONFLICT);

    put(f, "c.2"); /* a usual refresh that is lost under a freeze has its probe before it */
    apply_right(f, change_intent("c.2", 1), EVENT_NONE);
    apply_right(f, change_move("c.2", MOVE_FREEZE), EVENT_FROZEN);
    apply_right(f, change_failed("c.2", 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_NONE);
    apply_right(f, change_move("c.2", MOVE_THAW), EVENT_THAWED);
    expect_state(f, "c.2", CONN_IN_DOUBT, NOW_S);
    apply_right(f, probe("c.2", 1), EVENT_NONE);
}

/* ---- what comes between ---------------------------------------------------------------------- */

static void test_delete_during_flight(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, change_move("c.1", MOVE_DELETE), EVENT_DELETED);
    assert_int_equal(intents(f), 0);
    apply_refused(f, reply_of("c.1", 1, "raw"), BURSAR_E_CONFLICT);
    apply_refused(f, change_refreshed("c.1", 1), BURSAR_E_NOT_FOUND);
    apply_refused(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), BURSAR_E_NOT_FOUND);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection"), 0);
}

static void test_put_during_flight(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    apply_right(f, change_put("c.1", "c.1", 1), EVENT_REFRESHED);
    assert_int_equal(intents(f), 0);
    apply_right(f, change_intent("c.1", 2), EVENT_NONE);
    apply_refused(f, reply_of("c.1", 1, "raw"), BURSAR_E_CONFLICT);
    apply_refused(f, change_refreshed("c.1", 1), BURSAR_E_CONFLICT);
    apply_refused(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), BURSAR_E_CONFLICT);
    assert_int_equal(intents(f), 1); /* the new flight is not ended by the old one's end */
}

/* A rotated token that comes in behind a decision is kept, and the decision stands. */
static void test_decision_during_flight(void **state)
{
    struct fixture *f = *state;
    static const enum conn_move moves[] = {MOVE_REVOKE, MOVE_FREEZE};
    static const enum conn_state states[] = {CONN_REVOKED, CONN_FROZEN};
    static const enum event_type events[] = {EVENT_REVOKED, EVENT_FROZEN};
    static const char *const names[] = {"c.1", "c.2"};
    for (size_t i = 0; i < 2; i++) {
        put(f, names[i]);
        apply_right(f, change_intent(names[i], 1), EVENT_NONE);
        apply_right(f, change_move(names[i], moves[i]), events[i]);
        apply_refused(f, probe(names[i], 1), BURSAR_E_CONFLICT);
        apply_right(f, reply_of(names[i], 1, "raw"), EVENT_NONE);
        apply_right(f, change_refreshed(names[i], 1), EVENT_REFRESHED);
        expect_state(f, names[i], states[i], EXPIRY_NEVER);
        apply_refused(f, change_intent(names[i], 2), BURSAR_E_CONFLICT);
        apply_right(f, change_failed(names[i], 2, MOVE_REFUSED, VERDICT_GRANT), EVENT_NONE);
        expect_state(f, names[i], states[i], EXPIRY_NEVER);
    }
}

/* A place spares a search and says nothing about the row: another connection may have come to be there. */
static void test_places(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "c.1", 0), EVENT_CONNECTED);
    apply_right(f, change_put("c.2", "c.2", 0), EVENT_CONNECTED);
    struct conn_row first = row_of(f, "c.1"), last = row_of(f, "c.2");
    assert_true(first.place != 0 && last.place != 0 && first.place != last.place);

    struct store_change change = change_intent("c.1", 1);
    change.place = first.place;
    apply_right(f, change, EVENT_NONE);
    change = change_refreshed("c.1", 1);
    change.place = last.place; /* where c.2 is */
    assert_int_equal(apply_one(f, &change), 0);
    assert_true(change.generation == 2 && change.place == first.place);
    change = change_refreshed("c.1", 2);
    change.place = INT64_C(1) << 40; /* where nothing is */
    apply_right(f, change, EVENT_REFRESHED);
    change = change_refreshed("c.1", 1);
    change.place = first.place;
    apply_refused(f, change, BURSAR_E_CONFLICT);
    change.owner = text_of("other");
    apply_refused(f, change, BURSAR_E_NOT_FOUND);

    apply_right(f, change_move("c.2", MOVE_DELETE), EVENT_DELETED);
    apply_right(f, change_put("c.3", "c.3", 0), EVENT_CONNECTED);
    struct conn_row other = row_of(f, "c.3");
    assert_true(other.place == last.place);
    change = change_refreshed("c.2", 1);
    change.place = last.place;
    apply_refused(f, change, BURSAR_E_NOT_FOUND);
    conn_row_free(&other);
    other = row_of(f, "c.3");
    assert_true(other.generation == 1);
    struct conn_row row = row_of(f, "c.1");
    assert_true(row.generation == 3);
    conn_row_free(&first);
    conn_row_free(&last);
    conn_row_free(&other);
    conn_row_free(&row);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refresh),
        TEST(test_known),
        TEST(test_unknown),
        TEST(test_failed),
        TEST(test_kept_intent),
        TEST(test_plan),
        TEST(test_probe_lost_under_a_freeze),
        TEST(test_refused_grant),
        TEST(test_probe_ends_well),
        TEST(test_probe_refused),
        TEST(test_probe_lost),
        TEST(test_probe_unsent),
        TEST(test_delete_during_flight),
        TEST(test_put_during_flight),
        TEST(test_decision_during_flight),
        TEST(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
