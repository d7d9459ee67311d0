#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "fixture.h"
#include "policy/expiry.h"
#include "store/sqlite/apply.h"

#define T(s) TEXT_LITERAL(s)

static void put(struct fixture *f, const char *connection)
{
    apply_right(f, change_put(connection, connection, 0), EVENT_CONNECTED);
}

/* ---- rows made and changed from outside ------------------------------------------------------ */

static void test_create(void **state)
{
    struct fixture *f = *state;
    struct store_change create = change_of(CHANGE_CREATE, "c.1");
    create.provider = T("github");
    create.account = T("a");
    create.metadata = T("\x81\xa1"
                        "m\x01");
    apply_right(f, create, EVENT_CREATED);
    struct conn_row row = row_of(f, "c.1");
    assert_int_equal(row.state, CONN_PENDING);
    assert_true(text_is(row.owner, "acme") && text_is(row.provider, "github"));
    assert_true(text_is(row.account, "a") && text_equal(row.metadata, create.metadata));
    assert_null(row.tags.data);
    assert_null(row.secret.data);
    assert_true(row.generation == 0 && row.created_at == NOW_S && row.updated_at == NOW_S);
    assert_true(row.expires_at == EXPIRY_NEVER && row.next_refresh_at == EXPIRY_NEVER);
    conn_row_free(&row);
    apply_refused(f, create, BURSAR_E_CONFLICT); /* the same id */
    create.connection = T("c.2");
    apply_refused(f, create, BURSAR_E_CONFLICT); /* the same account */
    create.owner = T("other");
    apply_right(f, create, EVENT_CREATED);
}

static void test_put(void **state)
{
    struct fixture *f = *state;
    struct store_change first = change_put("c.1", "a", 0);
    first.tags = T("\x91\xa1t");
    apply_right(f, first, EVENT_CONNECTED);
    struct conn_row row = row_of(f, "c.1");
    assert_int_equal(row.state, CONN_ACTIVE);
    assert_true(row.generation == 1 && row.can_refresh && row.failures == 0);
    assert_true(text_is(row.kind, "oauth2") && text_is(row.scopes, "read write"));
    assert_true(text_is(row.secret, "sealed secret") && text_is(row.grant, "sealed grant"));
    assert_true(row.issued_at == NOW_S && row.expires_at == NOW_S + 3600);
    assert_true(row.due_at == NOW_S + 3300 && row.next_refresh_at == NOW_S + 3300);
    assert_true(row.refresh_expires_at == EXPIRY_NEVER && text_equal(row.tags, first.tags));
    conn_row_free(&row);

    struct store_change second = change_put("c.1", "a", 1);
    second.secret.secret = T("second");
    second.secret.grant = (struct text){NULL, 0};
    second.secret.scopes = (struct text){NULL, 0};
    second.secret.can_refresh = false;
    second.secret.refresh_expires_at = NOW_S + 9;
    second.at_ms += 1000;
    apply_right(f, second, EVENT_REFRESHED);
    row = row_of(f, "c.1");
    assert_true(row.generation == 2 && text_is(row.secret, "second"));
    assert_null(row.grant.data);
    assert_true(text_is(row.scopes, "read write"));
    /* Nothing refreshes it: it is looked at when it ends. A put is no refresh. */
    assert_true(row.next_refresh_at == NOW_S + 3600 && row.due_at == NOW_S + 3300);
    assert_int_equal(row.last_refresh_at, 0);
    assert_true(row.refresh_expires_at == NOW_S + 9);
    assert_true(row.created_at == NOW_S && row.updated_at == NOW_S + 1);
    conn_row_free(&row);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection WHERE prior_secret ="
                                    " CAST('sealed secret' AS BLOB) AND"
                                    " prior_grant = CAST('sealed grant' AS BLOB)"),
                     1);
}

static void test_put_refused(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    apply_refused(f, change_put("c.1", "c.1", 0), BURSAR_E_CONFLICT); /* it is there */
    apply_refused(f, change_put("c.9", "c.1", 0), BURSAR_E_CONFLICT); /* under another id */
    apply_refused(f, change_put("c.1", "c.1", 2), BURSAR_E_CONFLICT); /* not the current one */
    apply_refused(f, change_put("c.2", "c.2", 1), BURSAR_E_CONFLICT); /* it is not there */
    struct store_change change = change_put("c.2", "c.2", 0);
    change.expect_generation = 5;
    apply_refused(f, change,
                  BURSAR_E_CONFLICT); /* a new one has no generation: and no row is made */
    change = change_put("c.1", "c.1", 1);
    change.owner = T("other");
    apply_refused(f, change, BURSAR_E_CONFLICT);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_FROZEN);
    apply_refused(f, change_put("c.1", "c.1", 1), BURSAR_E_FROZEN);
    apply_right(f, change_move("c.1", MOVE_REVOKE), EVENT_REVOKED);
    apply_refused(f, change_put("c.1", "c.1", 1), BURSAR_E_REVOKED);
}

/* A put over a row that waits for its first secret. */
static void test_put_into_pending(void **state)
{
    struct fixture *f = *state;
    struct store_change create = change_of(CHANGE_CREATE, "c.1");
    create.provider = T("github");
    create.account = T("a");
    apply_right(f, create, EVENT_CREATED);
    struct store_change change = change_put("c.1", "a", 0);
    apply_refused(f, change, BURSAR_E_CONFLICT);
    change.is_new = false;
    apply_right(f, change, EVENT_CONNECTED);
}

static void test_update(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    struct store_change update = change_of(CHANGE_UPDATE, "c.1");
    update.tags = T("\x91\xa1t");
    update.at_ms += 2000;
    apply_right(f, update, EVENT_NONE);
    update.tags = (struct text){NULL, 0};
    update.metadata = T("\x80");
    update.has_expect_generation = true;
    update.expect_generation = 1;
    apply_right(f, update, EVENT_NONE);
    struct conn_row row = row_of(f, "c.1");
    assert_true(text_equal(row.tags, T("\x91\xa1t")) && text_equal(row.metadata, T("\x80")));
    assert_true(row.updated_at == NOW_S + 2 && row.generation == 1);
    conn_row_free(&row);
    update.metadata = T("\x81\x01\x01");
    update.expect_generation = 2;
    apply_refused(f, update, BURSAR_E_CONFLICT);
    update.has_expect_generation = false;
    update.owner = T("other");
    apply_refused(f, update, BURSAR_E_NOT_FOUND);
    update.owner = (struct text){NULL, 0};
    apply_right(f, update, EVENT_NONE);
    update.connection = T("c.2");
    apply_refused(f, update, BURSAR_E_NOT_FOUND);
}

/* ---- moves ----------------------------------------------------------------------------------- */

static void expect_state(struct fixture *f, const char *connection, enum conn_state state,
                         int64_t next_refresh_at)
{
    struct conn_row row = row_of(f, connection);
    assert_int_equal(row.state, state);
    assert_int_equal(row.next_refresh_at, next_refresh_at);
    conn_row_free(&row);
}

static void test_moves(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    expect_state(f, "c.1", CONN_ACTIVE, NOW_S + 3300);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_FROZEN);
    expect_state(f, "c.1", CONN_FROZEN, EXPIRY_NEVER);
    apply_right(f, change_move("c.1", MOVE_FREEZE), EVENT_NONE);
    apply_right(f, change_move("c.1", MOVE_THAW), EVENT_THAWED);
    expect_state(f, "c.1", CONN_ACTIVE, NOW_S + 3300);
    apply_refused(f, change_move("c.1", MOVE_THAW), BURSAR_E_CONFLICT);
    apply_right(f, change_move("c.1", MOVE_REVOKE), EVENT_REVOKED);
    expect_state(f, "c.1", CONN_REVOKED, EXPIRY_NEVER);
    apply_right(f, change_move("c.1", MOVE_REVOKE), EVENT_NONE);
    apply_refused(f, change_move("c.1", MOVE_FREEZE), BURSAR_E_REVOKED);
    apply_right(f, change_move("c.1", MOVE_RESTORE), EVENT_RESTORED);
    expect_state(f, "c.1", CONN_ACTIVE, NOW_S + 3300);
    apply_refused(f, change_move("c.1", MOVE_RESTORE), BURSAR_E_CONFLICT);
    struct store_change move = change_move("c.1", MOVE_DELETE);
    move.owner = T("other");
    apply_refused(f, move, BURSAR_E_NOT_FOUND);
    apply_right(f, change_move("c.1", MOVE_DELETE), EVENT_DELETED);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection"), 0);
    apply_refused(f, change_move("c.1", MOVE_DELETE), BURSAR_E_NOT_FOUND);
    put(f, "c.1"); /* the account can be connected again */
}

/* What was set aside comes back as what it was, whatever that is. */
static void test_prior_states(void **state)
{
    struct fixture *f = *state;
    put(f, "dead");
    put(f, "doubt");
    struct store_change create = change_of(CHANGE_CREATE, "pending");
    create.provider = T("github");
    create.account = T("p");
    apply_right(f, create, EVENT_CREATED);
    apply_right(f, change_failed("dead", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    apply_right(f, change_failed("doubt", 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_IN_DOUBT);
    static const struct {
        const char *connection;
        enum conn_state state;
        int64_t next_refresh_at;
    } cases[] = {{"dead", CONN_NEEDS_REAUTH, EXPIRY_NEVER},
                 {"doubt", CONN_IN_DOUBT, NOW_S},
                 {"pending", CONN_PENDING, EXPIRY_NEVER}};
    for (size_t i = 0; i < 3; i++) {
        const char *connection = cases[i].connection;
        for (int round = 0; round < 2; round++) {
            apply_right(f, change_move(connection, MOVE_FREEZE), EVENT_FROZEN);
            apply_right(f, change_move(connection, MOVE_THAW), EVENT_THAWED);
            expect_state(f, connection, cases[i].state, cases[i].next_refresh_at);
            apply_right(f, change_move(connection, MOVE_REVOKE), EVENT_REVOKED);
            apply_right(f, change_move(connection, MOVE_RESTORE), EVENT_RESTORED);
            expect_state(f, connection, cases[i].state, cases[i].next_refresh_at);
        }
    }
    apply_right(f, change_move("dead", MOVE_FREEZE), EVENT_FROZEN);
    apply_right(f, change_move("dead", MOVE_REVOKE), EVENT_REVOKED);
    struct conn_row row = row_of(f, "dead");
    assert_int_equal(row.prior_state, CONN_NEEDS_REAUTH);
    conn_row_free(&row);
}

static void test_invalidate(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    struct store_change change = change_of(CHANGE_INVALIDATE, "c.1");
    change.expect_generation = 1;
    apply_right(f, change, EVENT_NONE);
    apply_right(f, change, EVENT_NONE);
    struct conn_row row = row_of(f, "c.1");
    assert_true(conn_row_view(&row).is_invalidated && row.invalid_generation == 1);
    assert_true(row.next_refresh_at == NOW_S);
    conn_row_free(&row);
    apply_right(f, change_refreshed("c.1", 1), EVENT_REFRESHED);
    row = row_of(f, "c.1");
    assert_false(conn_row_view(&row).is_invalidated);
    assert_true(row.next_refresh_at == NOW_S + 3300);
    conn_row_free(&row);
    apply_refused(f, change, BURSAR_E_CONFLICT); /* an older one */
    change.expect_generation = 3;
    apply_refused(f, change, BURSAR_E_CONFLICT);
    change.expect_generation = 2;
    change.owner = T("other");
    apply_refused(f, change, BURSAR_E_NOT_FOUND);
    change.owner = T("acme");
    apply_right(f, change_failed("c.1", 2, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    apply_right(f, change, EVENT_NONE); /* kept, and nothing is planned for it */
    expect_state(f, "c.1", CONN_NEEDS_REAUTH, EXPIRY_NEVER);
}

/* Set aside and brought back it is as invalid as before, and due at once. */
static void test_invalidate_and_restore(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    struct store_change change = change_of(CHANGE_INVALIDATE, "c.1");
    change.expect_generation = 1;
    apply_right(f, change, EVENT_NONE);
    apply_right(f, change_move("c.1", MOVE_REVOKE), EVENT_REVOKED);
    apply_right(f, change_move("c.1", MOVE_RESTORE), EVENT_RESTORED);
    struct conn_row row = row_of(f, "c.1");
    assert_int_equal(row.next_refresh_at, NOW_S);
    conn_row_free(&row);
    apply_right(f, change_refreshed("c.1", 1), EVENT_REFRESHED);
    row = row_of(f, "c.1");
    assert_int_equal(row.next_refresh_at, row.due_at);
    conn_row_free(&row);
}

/* Where nothing can refresh a secret, a caller's refusal is the end of it, said once. */
static void test_invalidate_for_good(void **state)
{
    struct fixture *f = *state;
    struct store_change key = change_put("key", "key", 0);
    key.secret.can_refresh = false;
    key.secret.expires_at = key.secret.due_at = EXPIRY_NEVER;
    apply_right(f, key, EVENT_CONNECTED);
    expect_state(f, "key", CONN_ACTIVE, EXPIRY_NEVER);
    struct store_change change = change_of(CHANGE_INVALIDATE, "key");
    change.expect_generation = 1;
    change.move = MOVE_REFUSED;
    change.outcome = VERDICT_GRANT;
    change.reason = T("invalidated");
    change.remind_at = NOW_S + 86400;
    apply_right(f, change, EVENT_REAUTH);
    apply_right(f, change, EVENT_NONE);
    expect_state(f, "key", CONN_NEEDS_REAUTH, EXPIRY_NEVER);
    struct conn_row row = row_of(f, "key");
    assert_true(text_is(row.reason, "invalidated"));
    conn_row_free(&row);
}

/* What a flight learns while its row is set aside is not forgotten: the row comes back to it. */
static void test_verdict_under_a_revocation(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *id;
        enum conn_move verdict;
        enum conn_state back;
    } cases[] = {{"lost", MOVE_LOST, CONN_IN_DOUBT}, {"dead", MOVE_REFUSED, CONN_NEEDS_REAUTH}};
    for (size_t i = 0; i < 2; i++) {
        struct store_change first = change_put(cases[i].id, cases[i].id, 0);
        apply_right(f, first, EVENT_CONNECTED);
        apply_right(f, change_intent(cases[i].id, 1), EVENT_NONE);
        apply_right(f, change_move(cases[i].id, MOVE_REVOKE), EVENT_REVOKED);
        apply_right(f, change_failed(cases[i].id, 1, cases[i].verdict, VERDICT_UNCERTAIN),
                    EVENT_NONE);
        struct conn_row row = row_of(f, cases[i].id);
        assert_int_equal(row.state, CONN_REVOKED);
        conn_row_free(&row);
        apply_right(f, change_move(cases[i].id, MOVE_RESTORE), EVENT_RESTORED);
        row = row_of(f, cases[i].id);
        assert_int_equal(row.state, cases[i].back);
        conn_row_free(&row);
    }
}

/* A reminder is the reauth event once more, of a row that still waits for its owner. */
static void test_remind(void **state)
{
    struct fixture *f = *state;
    put(f, "c.1");
    struct store_change dead = change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT);
    dead.remind_at = NOW_S + 100;
    apply_right(f, dead, EVENT_REAUTH);
    assert_int_equal(fixture_sql(f, "SELECT remind_at FROM connection"), NOW_S + 100);
    struct store_change change = change_of(CHANGE_REMIND, "c.1");
    change.expect_generation = 2;
    change.outcome = VERDICT_GRANT;
    change.reason = T("invalid_grant");
    change.remind_at = NOW_S + 200;
    apply_refused(f, change, BURSAR_E_CONFLICT);
    change.expect_generation = 1;
    apply_right(f, change, EVENT_REAUTH);
    assert_int_equal(fixture_sql(f, "SELECT remind_at FROM connection"), NOW_S + 200);
    apply_right(f, change_put("c.1", "a", 1), EVENT_RECOVERED);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection WHERE remind_at NOT NULL"), 0);
    change.expect_generation = 2;
    apply_refused(f, change, BURSAR_E_CONFLICT);
}

/* Each state that a connection can come to and leave, in an order that chance gives: the counts that are kept
 * are those of the rows, as fixture_check() says, which looks behind every other test, too. */
static void test_counts_follow(void **state)
{
    static const enum conn_move moves[] = {MOVE_REVOKE, MOVE_RESTORE, MOVE_FREEZE, MOVE_THAW,
                                           MOVE_DELETE};
    struct fixture *f = *state;
    uint64_t generations[16] = {0};
    bool was_there[CONN_STATE_END] = {false};
    uint32_t chance = 1;
    struct store_counts counts;
    for (size_t round = 0; round < 3000; round++) {
        char id[8];
        chance = chance * 1664525 + 1013904223;
        size_t row = chance >> 28, what = (chance >> 16) % 9;
        snprintf(id, sizeof id, "c.%zu", row);
        struct store_change change = change_put(id, id, generations[row]);
        if (what < 5)
            change = change_move(id, moves[what]);
        else if (what == 5)
            change = change_refreshed(id, generations[row]);
        else if (what == 6)
            change = change_failed(id, generations[row], round % 2 ? MOVE_REFUSED : MOVE_LOST,
                                   VERDICT_GRANT);
        else if (what == 7 && generations[row] == 0) {
            change = change_of(CHANGE_CREATE, id);
            change.provider = T("github");
            change.account = text_of(id);
        }
        if (apply_one(f, &change) == 0)
            generations[row] = what == 4 ? 0 : change.generation;
        if (round % 100 == 0)
            fixture_check(f);
        assert_int_equal(f->engine->counts(f->reader, &counts), 0);
        for (size_t i = 0; i < CONN_STATE_END; i++)
            was_there[i] = was_there[i] || counts.by_state[i] > 0;
    }
    for (size_t i = CONN_PENDING; i < CONN_STATE_END; i++)
        assert_true(was_there[i]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create),
        TEST(test_put),
        TEST(test_put_refused),
        TEST(test_put_into_pending),
        TEST(test_update),
        TEST(test_moves),
        TEST(test_prior_states),
        TEST(test_invalidate),
        TEST(test_invalidate_and_restore),
        TEST(test_invalidate_for_good),
        TEST(test_verdict_under_a_revocation),
        TEST(test_remind),
        TEST(test_counts_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
