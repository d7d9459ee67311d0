#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include <bursar/error.h>

#include "fixture.h"
#include "policy/expiry.h"

#define T(s) TEXT_LITERAL(s)

enum { LISTED_MAX = 200 };

static const struct text none = {NULL, 0};

/* Ids of rows in the order in which they came. */
struct listed {
    char ids[LISTED_MAX][40];
    char keys[LISTED_MAX][120];
    int64_t planned_at[LISTED_MAX];
    size_t count, limit;
};

static bool add_row(void *context, const struct conn_row *row)
{
    struct listed *listed = context;
    assert_true(listed->count < LISTED_MAX);
    snprintf(listed->ids[listed->count], sizeof listed->ids[0], "%s", row->id.data);
    snprintf(listed->keys[listed->count], sizeof listed->keys[0], "%s/%s/%s", row->owner.data,
             row->provider.data, row->account.data);
    listed->planned_at[listed->count] = row->next_refresh_at;
    return ++listed->count != listed->limit;
}

static void put_for(struct fixture *f, const char *id, const char *owner, const char *provider,
                    const char *account, int64_t due_at)
{
    struct store_change change = change_put(id, account, 0);
    change.owner = text_of(owner);
    change.provider = text_of(provider);
    change.secret.due_at = due_at;
    apply_right(f, change, EVENT_CONNECTED);
}

/* ---- one row --------------------------------------------------------------------------------- */

static void test_find(void **state)
{
    struct fixture *f = *state;
    struct conn_row row;
    put_for(f, "c.1", "acme", "github", "a", NOW_S);
    put_for(f, "c.2", "other", "github", "a", NOW_S);
    const struct {
        struct text owner, connection, provider, account;
        const char *id; /* NULL: not found */
    } cases[] = {
        {T("acme"), T("c.1"), none, none, "c.1"},
        {T("acme"), T("c.2"), none, none, NULL}, /* it is somebody else's */
        {T("other"), T("c.2"), none, none, "c.2"},
        {T("acme"), T("c.3"), none, none, NULL},
        {T("acm"), T("c.1"), none, none, NULL},
        {T("ACME"), T("c.1"), none, none, NULL},
        {none, T("c.1"), none, none, "c.1"}, /* the broker itself */
        {none, T("c.3"), none, none, NULL},
        {T("acme"), none, T("github"), T("a"), "c.1"},
        {T("other"), none, T("github"), T("a"), "c.2"},
        {T("acme"), none, T("github"), T("A"), NULL},
        {T("acme"), none, T("xero"), T("a"), NULL},
        {T("acme"), none, T("github"), T("%"), NULL},
        {none, none, T("github"), T("a"), NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int result = f->engine->find(f->reader, cases[i].owner, cases[i].connection,
                                     cases[i].provider, cases[i].account, &row);
        if (result != (cases[i].id ? 0 : BURSAR_E_NOT_FOUND))
            fail_msg("case %zu: %s", i, bursar_error_code(result));
        if (cases[i].id) {
            assert_true(text_is(row.id, cases[i].id));
            conn_row_free(&row);
            assert_null(row.block);
            conn_row_free(&row);
        }
    }
}

/* Every column comes back as it was written. */
static void test_whole_row(void **state)
{
    struct fixture *f = *state;
    struct store_change change = change_put("c.1", "a/ü 'x'", 0);
    char blob[3000];
    for (size_t i = 0; i < sizeof blob; i++)
        blob[i] = (char)(i * 7);
    change.secret.secret = (struct text){blob, sizeof blob};
    change.secret.grant = (struct text){blob, 0};
    change.secret.scopes = T("");
    change.metadata = (struct text){blob, 1};
    change.secret.expires_at = EXPIRY_NEVER;
    change.secret.due_at = EXPIRY_NEVER;
    change.secret.refresh_expires_at = INT64_C(1) << 40;
    apply_right(f, change, EVENT_CONNECTED);
    struct conn_row row = row_of(f, "c.1");
    assert_true(text_equal(row.account, T("a/ü 'x'")));
    assert_true(text_equal(row.secret, (struct text){blob, sizeof blob}));
    assert_true(text_equal(row.grant, T("")));
    assert_true(text_equal(row.scopes, T("")));
    assert_true(text_equal(row.metadata, T("\0")));
    assert_null(row.tags.data);
    assert_true(row.expires_at == EXPIRY_NEVER && row.due_at == EXPIRY_NEVER);
    assert_true(row.next_refresh_at == EXPIRY_NEVER);
    assert_true(row.refresh_expires_at == INT64_C(1) << 40);
    struct vend_view view = conn_row_view(&row);
    assert_true(view.state == CONN_ACTIVE && view.has_secret && view.can_refresh);
    assert_true(view.expires_at == EXPIRY_NEVER && view.due_at == EXPIRY_NEVER);
    assert_false(view.is_invalidated || view.is_failing);
    conn_row_free(&row);
}

/* A copy lives on when the row has ended, and is the same. */
static void test_copy(void **state)
{
    struct fixture *f = *state;
    struct store_change put = change_put("c.1", "an account", 0);
    struct conn_row copy;
    put.tags = T("\x90");
    put.metadata = T("\x80");
    apply_right(f, put, EVENT_CONNECTED);
    apply_right(f, change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    struct conn_row row = row_of(f, "c.1");
    assert_int_equal(conn_row_copy(&row, &copy), 0);
    memset(row.block, 'x', strlen(row.block)); /* whoever still looks there sees it */
    conn_row_free(&row);
    assert_true(text_is(copy.id, "c.1") && text_is(copy.owner, "acme"));
    assert_true(text_is(copy.provider, "github") && text_is(copy.account, "an account"));
    assert_true(text_is(copy.last_error, "what went wrong") && text_is(copy.reason, "the_reason"));
    assert_true(text_is(copy.kind, "oauth2") && text_is(copy.scopes, "read write"));
    assert_true(text_equal(copy.metadata, T("\x80")) && text_equal(copy.tags, T("\x90")));
    assert_true(text_is(copy.secret, "sealed secret") && text_is(copy.grant, "sealed grant"));
    assert_true(copy.state == CONN_NEEDS_REAUTH && copy.generation == 1);
    row = row_of(f, "c.1");
    row.metadata = row.scopes = none;
    struct conn_row second;
    assert_int_equal(conn_row_copy(&row, &second), 0);
    assert_null(second.metadata.data);
    assert_null(second.scopes.data);
    conn_row_free(&row);
    conn_row_free(&second);
    conn_row_free(&copy);
}

/* A row that cannot be true is not given out as one that is. */
static void test_damaged_row(void **state)
{
    struct fixture *f = *state;
    struct conn_row row;
    struct store_change move = change_move("c.1", MOVE_REVOKE);
    put_for(f, "c.1", "acme", "github", "a", NOW_S);
    static const char *const damages[] = {"state = 7", "prior_state = -1", "last_outcome = 99",
                                          "account = printf('%0300d', 1)"};
    for (size_t i = 0; i < 4; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "UPDATE connection SET %s", damages[i]);
        fixture_sql(f, sql);
        assert_int_equal(f->engine->find(f->reader, T("acme"), T("c.1"), none, none, &row),
                         BURSAR_E_INTERNAL);
        struct store_change *changes[] = {&move};
        struct store_batch batch = {.changes = changes, .count = 1};
        if (i < 2) { /* refused by itself: the others of a batch are none the worse */
            assert_int_equal(f->engine->apply(f->writer, &batch), 0);
            assert_int_equal(move.result, BURSAR_E_INTERNAL);
        }
        fixture_sql(f, "UPDATE connection SET state = 2, prior_state = 2, last_outcome = 0,"
                       " account = 'a'");
    }
}

/* ---- what is due ----------------------------------------------------------------------------- */

static bool add_id(void *context, struct text id)
{
    struct listed *listed = context;
    assert_true(listed->count < LISTED_MAX);
    snprintf(listed->ids[listed->count], sizeof listed->ids[0], "%.*s", (int)id.len, id.data);
    return ++listed->count != listed->limit;
}

static struct listed due(struct fixture *f, int64_t now, size_t limit, int64_t *out_next_at)
{
    static struct listed listed;
    listed.count = listed.limit = 0;
    assert_int_equal(
        f->engine->due(f->reader, T("github"), now, limit, add_id, &listed, out_next_at), 0);
    for (size_t i = 0; i < listed.count; i++) {
        struct conn_row row;
        assert_int_equal(f->engine->find(f->reader, none, text_of(listed.ids[i]), none, none, &row),
                         0);
        listed.planned_at[i] = row.next_refresh_at;
        snprintf(listed.keys[i], sizeof listed.keys[i], "%s", row.owner.data);
        conn_row_free(&row);
    }
    return listed;
}

/* An owner with forty rows that are due longest keeps nobody waiting: each owner's oldest first. */
static void test_due_is_fair(void **state)
{
    struct fixture *f = *state;
    static const char *const turns[] = {"many", "few", "one", "many", "few", "many", "many"};
    int64_t next_at;
    for (int i = 0; i < 40; i++) {
        char id[20];
        snprintf(id, sizeof id, "m.%d", i);
        put_for(f, id, "many", "github", id, NOW_S - 1000 + i);
    }
    put_for(f, "f.1", "few", "github", "a", NOW_S - 10);
    put_for(f, "f.2", "few", "github", "b", NOW_S - 5);
    put_for(f, "o.1", "one", "github", "a", NOW_S - 1);
    put_for(f, "o.2", "one", "github", "b", NOW_S + 1);
    struct listed listed = due(f, NOW_S, 7, &next_at);
    assert_int_equal(listed.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(listed.keys[i], turns[i]);
    assert_string_equal(listed.ids[0], "m.0");
    assert_string_equal(listed.ids[3], "m.1");
    assert_string_equal(listed.ids[1], "f.1");
    assert_true(next_at == NOW_S + 1);
    listed = due(f, NOW_S, 100, &next_at);
    assert_int_equal(listed.count, 43);
}

/* What is due until a time, and what ends, is counted by the provider. */
static void test_forecast(void **state)
{
    struct fixture *f = *state;
    struct store_forecast forecast;
    for (int i = 0; i < 10; i++) {
        char id[20];
        snprintf(id, sizeof id, "c.%d", i);
        struct store_change put = change_put(id, id, 0);
        put.secret.due_at = NOW_S + i;
        put.secret.refresh_expires_at = i % 2 == 0 ? NOW_S + 100 + i : EXPIRY_NEVER;
        apply_right(f, put, EVENT_CONNECTED);
    }
    assert_int_equal(f->engine->forecast(f->reader, T("github"), NOW_S + 3, NOW_S + 104, &forecast),
                     0);
    assert_int_equal(forecast.due, 4);
    assert_int_equal(forecast.ending, 3);
    apply_right(f, change_failed("c.0", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    assert_int_equal(f->engine->forecast(f->reader, T("github"), NOW_S + 3, NOW_S + 104, &forecast),
                     0);
    assert_int_equal(forecast.due, 3);
    assert_int_equal(forecast.ending, 2); /* what is dead already does not die */
    assert_int_equal(f->engine->forecast(f->reader, T("xero"), NOW_S + 3, NOW_S + 104, &forecast),
                     0);
    assert_int_equal(forecast.due + forecast.ending, 0);
}

static void test_due(void **state)
{
    struct fixture *f = *state;
    int64_t next_at = 0;
    struct listed listed = due(f, NOW_S, 10, &next_at);
    assert_int_equal(listed.count, 0);
    assert_true(next_at == EXPIRY_NEVER);
    for (int i = 0; i < 50; i++) { /* made in another order than that of their time or name */
        char id[20];
        snprintf(id, sizeof id, "c.%d", i);
        put_for(f, id, "acme", "github", id, NOW_S + i * 37 % 50);
    }
    put_for(f, "x.1", "acme", "xero", "a", NOW_S - 1000);
    listed = due(f, NOW_S + 19, 100, &next_at);
    assert_int_equal(listed.count, 20);
    for (size_t i = 0; i < 20; i++)
        assert_true(listed.planned_at[i] == NOW_S + (int64_t)i);
    assert_true(next_at == NOW_S + 20);
    listed = due(f, NOW_S + 19, 5, &next_at);
    assert_int_equal(listed.count, 5);
    assert_true(listed.planned_at[4] == NOW_S + 4);
    assert_true(next_at == NOW_S + 20);
    listed = due(f, NOW_S - 1, 5, &next_at);
    assert_int_equal(listed.count, 0);
    assert_true(next_at == NOW_S);
    listed = due(f, NOW_S + 49, 100, &next_at);
    assert_int_equal(listed.count, 50);
    assert_true(next_at == EXPIRY_NEVER);
}

/* Only what is ACTIVE and can be refreshed, or in doubt and not probed, takes a place. */
static void test_dead_rows_are_not_planned(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"active", "dead", "revoked", "frozen", "doubt", "probed"};
    for (size_t i = 0; i < 6; i++)
        put_for(f, ids[i], "acme", "github", ids[i], NOW_S);
    struct store_change key = change_put("key", "key", 0);
    key.secret.can_refresh = false;
    key.secret.due_at = NOW_S;
    key.secret.expires_at = EXPIRY_NEVER;
    apply_right(f, key, EVENT_CONNECTED);
    struct store_change create = change_of(CHANGE_CREATE, "pending");
    create.provider = T("github");
    create.account = T("pending");
    apply_right(f, create, EVENT_CREATED);
    apply_right(f, change_failed("dead", 1, MOVE_REFUSED, VERDICT_GRANT), EVENT_REAUTH);
    apply_right(f, change_move("revoked", MOVE_REVOKE), EVENT_REVOKED);
    apply_right(f, change_move("frozen", MOVE_FREEZE), EVENT_FROZEN);
    apply_right(f, change_failed("doubt", 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_IN_DOUBT);
    apply_right(f, change_failed("probed", 1, MOVE_LOST, VERDICT_UNCERTAIN), EVENT_IN_DOUBT);
    struct store_change probe = change_intent("probed", 1);
    probe.is_probe = true;
    apply_right(f, probe, EVENT_NONE);
    int64_t next_at;
    struct listed listed = due(f, INT64_MAX - 1, 100, &next_at);
    assert_int_equal(listed.count, 2);
    assert_string_equal(listed.ids[0], "active");
    assert_string_equal(listed.ids[1], "doubt");
    assert_true(next_at == EXPIRY_NEVER);
}

static bool plan_says(struct fixture *f, const char *sql, const char *words)
{
    sqlite3 *handle;
    sqlite3_stmt *statement;
    bool is_said = false;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(statement, 3);
        is_said = is_said || strstr(line, words);
        assert_null(strstr(line, "TEMP B-TREE"));
    }
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return is_said;
}

/* The plan comes from an index that holds nothing but planned rows: no scan, no sort. */
static void test_indexes(void **state)
{
    struct fixture *f = *state;
    assert_true(plan_says(f,
                          "EXPLAIN QUERY PLAN SELECT rowid, next_refresh_at, owner FROM connection"
                          " WHERE provider = 'p' AND next_refresh_at <= 5 ORDER BY next_refresh_at",
                          "USING COVERING INDEX connection_planned"
                          " (provider=? AND next_refresh_at<?)"));
    assert_true(plan_says(f,
                          "EXPLAIN QUERY PLAN SELECT count(*) FROM connection WHERE provider = 'p'"
                          " AND state = 2 AND refresh_expires_at <= 5",
                          "INDEX connection_grant_end (provider=? AND refresh_expires_at<?)"));
    assert_true(plan_says(f,
                          "EXPLAIN QUERY PLAN SELECT * FROM connection WHERE owner = 'o' AND"
                          " (provider, account) > ('', '') ORDER BY provider, account LIMIT 9",
                          "USING INDEX connection_key (owner=?"));
    assert_int_equal(fixture_sql(f, "SELECT sql LIKE '%WHERE next_refresh_at IS NOT NULL' FROM"
                                    " sqlite_schema WHERE name = 'connection_planned'"),
                     1);
    /* Each refresh puts an intent in and takes it out: it has its key's index and no other. */
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                                    " AND tbl_name = 'intent'"),
                     1);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const char *const owners[] = {"a", "acme", "b"};
static const char *const providers[] = {"github", "xero"};

/* Every page of a filter, each begun behind the last row of the one before. */
static struct listed list_in_pages(struct fixture *f, struct store_list_filter filter)
{
    static struct listed all;
    all.count = all.limit = 0;
    char owner[40], provider[40], account[40];
    for (size_t before = SIZE_MAX; before != all.count;) {
        before = all.count;
        assert_int_equal(f->engine->list(f->reader, &filter, add_row, &all), 0);
        assert_true(all.count <= before + filter.limit);
        if (all.count == before)
            break;
        assert_int_equal(
            sscanf(all.keys[all.count - 1], "%39[^/]/%39[^/]/%39s", owner, provider, account), 3);
        filter.after_owner = text_of(owner);
        filter.after_provider = text_of(provider);
        filter.after_account = text_of(account);
    }
    return all;
}

static void fill(struct fixture *f)
{
    for (int i = 0; i < 60; i++) {
        char id[20], account[20];
        snprintf(id, sizeof id, "c.%d", i);
        snprintf(account, sizeof account, "n%d", i * 7 % 60);
        const char *owner = owners[i % 3];
        put_for(f, id, owner, providers[i / 3 % 2], account, NOW_S);
        struct store_change move = change_move(id, MOVE_REVOKE);
        move.owner = text_of(owner);
        if (i % 5 == 0)
            apply_right(f, move, EVENT_REVOKED);
    }
}

static bool is_selected(int i, int owner, int provider, enum conn_state state)
{
    return (owner < 0 || i % 3 == owner) && (provider < 0 || i / 3 % 2 == provider) &&
           (state == CONN_NONE || state == (i % 5 == 0 ? CONN_REVOKED : CONN_ACTIVE));
}

static void test_lists(void **state)
{
    struct fixture *f = *state;
    static const enum conn_state states[] = {CONN_NONE, CONN_ACTIVE, CONN_REVOKED, CONN_FROZEN};
    fill(f);
    for (int c = 0; c < 4 * 3 * 4 * 3; c++) {
        int owner = c % 4 - 1, provider = c / 4 % 3 - 1;
        enum conn_state wanted = states[c / 12 % 4];
        struct store_list_filter filter = {.owner = text_of(owner < 0 ? NULL : owners[owner]),
                                           .provider =
                                               text_of(provider < 0 ? NULL : providers[provider]),
                                           .state = wanted,
                                           .limit = (uint32_t[]){1, 7, 100}[c / 48]};
        struct listed all = list_in_pages(f, filter);
        size_t expected = 0;
        for (int i = 0; i < 60; i++)
            expected += is_selected(i, owner, provider, wanted);
        assert_int_equal(all.count, expected);
        for (size_t i = 0; i < all.count; i++) {
            assert_true(is_selected(atoi(all.ids[i] + 2), owner, provider, wanted));
            /* No part of a key here begins with a character below `/`. */
            assert_true(i == 0 || strcmp(all.keys[i - 1], all.keys[i]) < 0);
        }
    }
}

static void test_list_ends(void **state)
{
    struct fixture *f = *state;
    fill(f);
    static struct listed listed;
    struct store_list_filter filter = {.limit = 50};
    listed.count = 0;
    listed.limit = 3; /* the function says that it has enough */
    assert_int_equal(f->engine->list(f->reader, &filter, add_row, &listed), 0);
    assert_int_equal(listed.count, 3);
    listed.limit = 0;
    filter.limit = 0;
    assert_int_equal(f->engine->list(f->reader, &filter, add_row, &listed), 0);
    assert_int_equal(listed.count, 3);
    /* A place behind another owner's rows, or before all of them. */
    filter = (struct store_list_filter){.owner = T("acme"), .limit = 100, .after_owner = T("b")};
    assert_int_equal(f->engine->list(f->reader, &filter, add_row, &listed), 0);
    assert_int_equal(listed.count, 3);
    filter.after_owner = T("a");
    assert_int_equal(f->engine->list(f->reader, &filter, add_row, &listed), 0);
    assert_int_equal(listed.count, 23);
}

/* ---- intents, the log, figures --------------------------------------------------------------- */

static void test_intents(void **state)
{
    struct fixture *f = *state;
    struct intent_row *rows = NULL;
    size_t count = 99;
    assert_int_equal(f->engine->intents(f->reader, T("github"), &rows, &count), 0);
    assert_int_equal(count, 0);
    free(rows);
    for (int i = 0; i < 40; i++) {
        char id[20];
        snprintf(id, sizeof id, "c.%02d", i);
        put_for(f, id, "acme", i % 4 == 0 ? "xero" : "github", id, NOW_S);
        apply_right(f, change_intent(id, 1), EVENT_NONE);
        struct store_change reply = change_of(CHANGE_REPLY, id);
        reply.expect_generation = 1;
        reply.reply = text_of(id);
        if (i % 3 == 0)
            apply_right(f, reply, EVENT_NONE);
    }
    assert_int_equal(f->engine->intents(f->reader, T("github"), &rows, &count), 0);
    assert_int_equal(count, 30);
    uint64_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        int number = atoi(rows[i].connection + 2);
        assert_true(number % 4 != 0 && rows[i].generation == 1);
        assert_int_equal(rows[i].has_reply, number % 3 == 0);
        seen |= 1ULL << number;
    }
    assert_int_equal(__builtin_popcountll(seen), 30);
    free(rows);
}

static void test_replies(void **state)
{
    struct fixture *f = *state;
    struct buf sealed = buf_make(100);
    put_for(f, "c.1", "acme", "github", "a", NOW_S);
    assert_int_equal(f->engine->reply(f->reader, T("c.1"), 1, &sealed), BURSAR_E_NOT_FOUND);
    apply_right(f, change_intent("c.1", 1), EVENT_NONE);
    assert_int_equal(f->engine->reply(f->reader, T("c.1"), 1, &sealed), BURSAR_E_NOT_FOUND);
    struct store_change reply = change_of(CHANGE_REPLY, "c.1");
    reply.expect_generation = 1;
    reply.reply = T("raw\0reply");
    apply_right(f, reply, EVENT_NONE);
    assert_int_equal(f->engine->reply(f->reader, T("c.1"), 2, &sealed), BURSAR_E_NOT_FOUND);
    assert_int_equal(f->engine->reply(f->reader, T("c.2"), 1, &sealed), BURSAR_E_NOT_FOUND);
    assert_int_equal(sealed.len, 0);
    assert_int_equal(f->engine->reply(f->reader, T("c.1"), 1, &sealed), 0);
    assert_true(text_equal(buf_text(&sealed), T("raw\0reply")));
    struct buf small = buf_make(3);
    assert_int_equal(f->engine->reply(f->reader, T("c.1"), 1, &small), BURSAR_E_TOO_BIG);
    buf_free(&sealed);
    buf_free(&small);
}

struct seen {
    uint64_t seqs[100];
    char owners[100][10];
    size_t count, limit;
};

static bool add_event(void *context, uint64_t seq, struct text owner, struct text body)
{
    struct seen *seen = context;
    assert_true(body.len > 0);
    seen->seqs[seen->count] = seq;
    snprintf(seen->owners[seen->count], sizeof seen->owners[0], "%.*s", (int)owner.len, owner.data);
    return ++seen->count != seen->limit;
}

static void test_events(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0};
    assert_int_equal(f->engine->events(f->reader, 0, 10, add_event, &seen), 0);
    assert_int_equal(seen.count, 0);
    for (int i = 0; i < 20; i++) {
        char id[20];
        snprintf(id, sizeof id, "c.%d", i);
        put_for(f, id, i % 2 ? "acme" : "other", "github", id, NOW_S);
    }
    assert_int_equal(f->engine->events(f->reader, 0, 100, add_event, &seen), 0);
    assert_int_equal(seen.count, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(seen.seqs[i], i + 1);
        assert_string_equal(seen.owners[i], i % 2 ? "acme" : "other");
    }
    seen.count = 0;
    assert_int_equal(f->engine->events(f->reader, 15, 3, add_event, &seen), 0);
    assert_true(seen.count == 3 && seen.seqs[0] == 16 && seen.seqs[2] == 18);
    seen.count = 0;
    seen.limit = 2;
    assert_int_equal(f->engine->events(f->reader, 0, 100, add_event, &seen), 0);
    assert_int_equal(seen.count, 2);
    seen.count = seen.limit = 0;
    assert_int_equal(f->engine->events(f->reader, 20, 100, add_event, &seen), 0);
    assert_int_equal(seen.count, 0);
}

static void test_counts(void **state)
{
    struct fixture *f = *state;
    struct store_counts counts;
    assert_int_equal(f->engine->counts(f->reader, &counts), 0);
    assert_true(counts.last_seq == 0 && counts.by_state[CONN_ACTIVE] == 0);
    fill(f);
    assert_int_equal(f->engine->counts(f->reader, &counts), 0);
    assert_int_equal(counts.by_state[CONN_ACTIVE], 48);
    assert_int_equal(counts.by_state[CONN_REVOKED], 12);
    assert_int_equal(counts.by_state[CONN_PENDING], 0);
    assert_int_equal(counts.last_seq, 72);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find),      TEST(test_whole_row),
        TEST(test_copy),      TEST(test_damaged_row),
        TEST(test_due),       TEST(test_due_is_fair),
        TEST(test_forecast),  TEST(test_dead_rows_are_not_planned),
        TEST(test_indexes),   TEST(test_lists),
        TEST(test_list_ends), TEST(test_intents),
        TEST(test_replies),   TEST(test_events),
        TEST(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
