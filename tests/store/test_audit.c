/* The audit log: which changes have rows, what is found when somebody else edits it, how it is trimmed, who
 * was given what. */
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

#include "../vault/fresh_keyring.h"
#include "base/secret.h"
#include "fixture.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DAY_MS INT64_C(86400000)

static struct keyring *keyring, *strange;

static int group_set_up(void **state)
{
    (void)state;
    if (secret_arena_open(1 << 20) != 0)
        return -1;
    keyring = fresh_keyring();
    strange = fresh_keyring();
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    keyring_free(keyring);
    keyring_free(strange);
    secret_arena_close();
    return 0;
}

static int set_up(void **state)
{
    if (fixture_set_up(state) != 0)
        return -1;
    struct fixture *f = *state;
    return f->engine->audit_open(f->writer, keyring, NOW_MS);
}

/* ---- what is looked at --------------------------------------------------------------------------- */

struct problems {
    struct {
        uint64_t seq;
        enum audit_problem problem;
    } items[16];
    size_t count;
};

static void see_problem(void *context, uint64_t seq, enum audit_problem problem)
{
    struct problems *problems = context;
    assert_true(problems->count < COUNT(problems->items));
    problems->items[problems->count].seq = seq;
    problems->items[problems->count++].problem = problem;
}

/* In pages of three, as the daemon looks at it in pages. */
static struct problems check(struct fixture *f)
{
    struct problems problems = {.count = 0};
    struct store_audit_check check = {.after_seq = 0};
    for (int page = 0; page < 100 && !check.is_end; page++)
        assert_int_equal(
            f->engine->audit_check(f->reader, keyring, 3, see_problem, &problems, &check), 0);
    assert_true(check.is_end);
    return problems;
}

static void expect_sound(struct fixture *f)
{
    struct problems problems = check(f);
    if (problems.count > 0)
        fail_msg("row %llu: %s", (unsigned long long)problems.items[0].seq,
                 audit_problem_name(problems.items[0].problem));
}

static void expect_problem(struct fixture *f, size_t index, uint64_t seq,
                           enum audit_problem problem)
{
    struct problems problems = check(f);
    assert_true(index < problems.count);
    assert_int_equal(problems.items[index].seq, seq);
    assert_string_equal(audit_problem_name(problems.items[index].problem),
                        audit_problem_name(problem));
}

/* One line a row: SEQ KIND PRINCIPAL OP CONNECTION GENERATION OUTCOME DETAIL. */
static bool write_row(void *context, const struct audit_row *row,
                      const uint8_t link[static CHAIN_LINK_LEN])
{
    struct buf *out = context;
    const struct text texts[] = {row->principal, row->op, row->connection, row->outcome,
                                 row->detail};
    (void)link;
    buf_printf(out, "%llu %s", (unsigned long long)row->seq, audit_kind_name(row->kind));
    for (size_t i = 0; i < COUNT(texts); i++) {
        buf_append_string(out, " ");
        buf_append_text(out, texts[i].data ? texts[i] : T("-"));
        if (i == 2)
            buf_printf(out, " %llu", (unsigned long long)row->generation);
    }
    buf_append_string(out, "\n");
    return true;
}

static void expect_rows(struct fixture *f, uint64_t after_seq, const char *right)
{
    struct buf rows = buf_make(1 << 16);
    const struct store_audit_filter filter = {
        .after_seq = after_seq, .until_seq = INT64_MAX, .since_ms = INT64_MIN, .limit = 1000};
    assert_int_equal(f->engine->audit_rows(f->reader, &filter, write_row, &rows), 0);
    assert_string_equal(rows.data ? (char *)rows.data : "", right);
    buf_free(&rows);
}

/* ---- what is written ----------------------------------------------------------------------------- */

static const struct audit_origin origin = {
    .principal = T("ci"), .peer = T("uid:7"), .purpose = T("night run"), .op = "vend"};

static int add_given(struct fixture *f, const char *principal, const char *connection,
                     uint64_t generation, int64_t at_ms, uint64_t count, enum audit_kind kind)
{
    const struct audit_row row = {.kind = kind,
                                  .at_ms = at_ms,
                                  .last_ms = at_ms + 5,
                                  .count = count,
                                  .generation = generation,
                                  .principal = text_of(principal),
                                  .op = T("vend"),
                                  .owner = T("acme"),
                                  .connection = text_of(connection),
                                  .provider = T("github"),
                                  .account = text_of(connection),
                                  .outcome = T("ok")};
    struct store_change change = {
        .type = CHANGE_AUDIT, .at_ms = at_ms, .audit = &row, .audit_count = 1};
    return apply_one(f, &change);
}

static void sql(struct fixture *f, const char *text)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    char *error = NULL;
    if (sqlite3_exec(handle, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    assert_true(sqlite3_changes(handle) > 0);
    sqlite3_close(handle);
}

static void reopen(struct fixture *f, const struct keyring *with)
{
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(f->engine->audit_open(f->writer, with, NOW_MS), 0);
}

/* Edits the file while nobody has it open; the daemon starts again. */
static void edit(struct fixture *f, const char *text)
{
    fixture_close(f);
    sql(f, text);
    fixture_open(f);
    assert_int_equal(f->engine->audit_open(f->writer, keyring, NOW_MS), 0);
}

static void fill(struct fixture *f)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(add_given(f, "ci", "c1", 1, NOW_MS + i, 1, AUDIT_VEND), 0);
}

/* ---- tests --------------------------------------------------------------------------------------- */

static void test_changes_have_rows(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c1", "alice", 0), EVENT_CONNECTED);
    struct store_change change = change_refreshed("c1", 1);
    change.origin = &origin;
    apply_right(f, change_intent("c1", 1), EVENT_NONE);
    apply_right(f, change, EVENT_REFRESHED);
    apply_right(f, change_failed("c1", 2, MOVE_END, VERDICT_PROVIDER), EVENT_NONE);
    apply_refused(f, change_refreshed("c1", 7), BURSAR_E_CONFLICT);
    change = change_move("c1", MOVE_REVOKE);
    change.reason = T("transferred");
    apply_right(f, change, EVENT_REVOKED);
    struct store_change plan = change_of(CHANGE_PLAN, "c1");
    plan.expect_generation = 2;
    apply_one(f, &plan); /* the planner's own: no row */
    apply_right(f, change_move("c1", MOVE_DELETE), EVENT_DELETED);
    expect_rows(f, 0,
                "1 log - audit.begin - 0 ok -\n"
                "2 change - credential.put c1 1 ok -\n"
                "3 change ci refresh c1 2 ok for vend\n"
                "4 change - refresh c1 2 provider reason=the_reason\n"
                "5 change - connection.revoke c1 2 ok reason=transferred\n"
                "6 change - connection.delete c1 2 ok -\n");
    expect_sound(f);
    reopen(f, keyring); /* it goes on where it was, without a word */
    assert_int_equal(f->engine->audit_end(f->writer).seq, 6);
    expect_sound(f);
}

/* A change that cannot be committed leaves no row, and its number is given again. */
static void test_rolled_back(void **state)
{
    struct fixture *f = *state;
    struct store_change put = change_put("c1", "alice", 0);
    struct store_change *changes[] = {&put};
    struct store_batch batch = {.changes = changes, .count = 1};
    fill(f);
    sql(f, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END;"
           "INSERT INTO pause VALUES ('p', 1)");
    assert_int_equal(f->engine->apply(f->writer, &batch), BURSAR_E_STORE_UNAVAILABLE);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection"), 0);
    assert_int_equal(f->engine->audit_end(f->writer).seq, 6);
    sql(f, "DROP TRIGGER full; DELETE FROM pause");
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    assert_int_equal(f->engine->audit_end(f->writer).seq, 7);
    expect_sound(f);
}

static void test_edited(void **state)
{
    static const struct {
        const char *sql;
        uint64_t seq;
        enum audit_problem problem;
    } cases[] = {
        {"UPDATE audit SET outcome = 'frozen' WHERE seq = 4", 4, AUDIT_ALTERED},
        {"UPDATE audit SET purpose = '' WHERE seq = 4", 4, AUDIT_ALTERED},
        {"UPDATE audit SET count = 2 WHERE seq = 4", 4, AUDIT_ALTERED},
        {"UPDATE audit SET connection = NULL WHERE seq = 4", 4, AUDIT_ALTERED},
        {"UPDATE audit SET owner = owner || connection, connection = '' WHERE seq = 4", 4,
         AUDIT_ALTERED},
        {"UPDATE audit SET link = zeroblob(32) WHERE seq = 4", 4, AUDIT_ALTERED},
        {"UPDATE audit SET link = x'00' WHERE seq = 4", 4, AUDIT_ALTERED},
        {"DELETE FROM audit WHERE seq = 4", 5, AUDIT_MISSING},
        {"DELETE FROM audit WHERE seq = 1", 2, AUDIT_MISSING},
        {"UPDATE audit SET seq = CASE seq WHEN 3 THEN -4 WHEN 4 THEN -3 END WHERE seq IN (3, 4);"
         "UPDATE audit SET seq = -seq WHERE seq < 0",
         3, AUDIT_ALTERED},
        {"DELETE FROM audit WHERE seq >= 5", 7, AUDIT_MISSING},
        {"DELETE FROM audit WHERE seq = 6", 7, AUDIT_BROKEN},
        {"INSERT INTO audit SELECT 7, at_ms, last_ms, count, kind, generation, principal, peer, op,"
         " purpose, owner, connection, provider, account, outcome, detail, link FROM audit"
         " WHERE seq = 6",
         7, AUDIT_ALTERED},
        {"UPDATE audit_ends SET seq = 5, link = (SELECT link FROM audit WHERE seq = 5);"
         "DELETE FROM audit WHERE seq = 6",
         6, AUDIT_BROKEN},
        {"UPDATE audit_ends SET key_id = x'0011223344556677'", 7, AUDIT_BROKEN},
        {"DELETE FROM audit_ends", 7, AUDIT_BROKEN},
        {"DELETE FROM audit", 7, AUDIT_MISSING},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        void *own = NULL;
        assert_int_equal(set_up(&own), 0);
        fill(own);
        expect_sound(own);
        edit(own, cases[i].sql);
        struct problems problems = check(own);
        bool is_found = false;
        for (size_t j = 0; j < problems.count; j++)
            is_found |=
                problems.items[j].seq == cases[i].seq &&
                (problems.items[j].problem == cases[i].problem || cases[i].problem == AUDIT_BROKEN);
        if (!is_found)
            fail_msg("%s: %zu problems, first %s at %llu", cases[i].sql, problems.count,
                     problems.count > 0 ? audit_problem_name(problems.items[0].problem) : "-",
                     problems.count > 0 ? (unsigned long long)problems.items[0].seq : 0);
        /* It goes on behind, and is not forgotten. */
        size_t before = problems.count;
        reopen(own, keyring);
        assert_int_equal(add_given(own, "ci", "c1", 1, NOW_MS, 1, AUDIT_VEND), 0);
        assert_int_equal(check(own).count, before);
        fixture_tear_down(&own);
    }
}

/* While the daemon has it open: what it holds in memory is what the next row is linked to. */
static void test_cut_off_under_way(void **state)
{
    struct fixture *f = *state;
    fill(f);
    sql(f, "DELETE FROM audit WHERE seq = 6");
    expect_problem(f, 0, 5, AUDIT_CUT_OFF);
    assert_int_equal(add_given(f, "ci", "c1", 1, NOW_MS, 1, AUDIT_VEND), 0);
    expect_problem(f, 0, 7, AUDIT_MISSING);
}

/* Without the keyring nobody continues it unseen. */
static void test_strange_key(void **state)
{
    struct fixture *f = *state;
    fill(f);
    reopen(f, strange);
    expect_rows(f, 6, "7 log - audit.break - 0 ok unknown_key sealed_seq=0 last_seq=6\n");
    assert_int_equal(check(f).count > 0, true);
    reopen(f, keyring); /* sealed by the strange one now */
    expect_rows(f, 7, "8 log - audit.break - 0 ok unknown_key sealed_seq=0 last_seq=7\n");
}

static uint64_t trim(struct fixture *f, int64_t before_ms)
{
    struct store_change change = {.type = CHANGE_AUDIT_TRIM, .at_ms = before_ms};
    assert_int_equal(apply_one(f, &change), 0);
    return change.generation;
}

static void test_trim(void **state)
{
    struct fixture *f = *state;
    struct store_audit_ends ends;
    assert_int_equal(trim(f, NOW_MS - DAY_MS), 0);
    int days[] = {0, 36500, 2, 3,
                  4, 5}; /* a clock that was ahead for a while does not keep the log for ever */
    for (int i = 0; i < 6; i++)
        assert_int_equal(add_given(f, "ci", "c1", 1, NOW_MS + days[i] * DAY_MS, 1, AUDIT_VEND), 0);
    assert_int_equal(trim(f, NOW_MS + 3 * DAY_MS), 4); /* the first row there is, too */
    expect_sound(f);
    assert_int_equal(f->engine->audit_ends(f->reader, keyring, &ends), 0);
    assert_int_equal(ends.ends.anchor_seq, 4);
    assert_int_equal(ends.seal, AUDIT_SOUND);
    expect_rows(f, 7, "8 log - audit.trim - 0 ok through=4 rows=4\n");
    reopen(f, keyring);
    expect_sound(f);
    assert_int_equal(trim(f, INT64_MAX), 4); /* all of them: the row that says so stays */
    expect_sound(f);
    expect_rows(f, 0, "9 log - audit.trim - 0 ok through=8 rows=4\n");
    reopen(f, keyring);
    assert_int_equal(f->engine->audit_end(f->writer).seq, 9);
    edit(f, "DELETE FROM audit"); /* the anchor says that there was one more */
    expect_problem(f, 0, 10, AUDIT_MISSING);
}

static bool write_given(void *context, const struct store_given *given)
{
    struct buf *out = context;
    buf_append_text(out, given->principal);
    buf_append_string(out, " ");
    buf_append_text(out, given->connection);
    buf_printf(out, " %llu x%llu %lld-%lld%s\n", (unsigned long long)given->generation,
               (unsigned long long)given->count, (long long)(given->first_ms - NOW_MS),
               (long long)(given->last_ms - NOW_MS), given->has_export ? " export" : "");
    return true;
}

static void expect_given(struct fixture *f, struct store_given_filter filter, const char *right)
{
    struct buf list = buf_make(1 << 16);
    filter.limit = filter.limit > 0 ? filter.limit : 100;
    assert_int_equal(f->engine->given(f->reader, &filter, write_given, &list), 0);
    assert_string_equal(list.data ? (char *)list.data : "", right);
    buf_free(&list);
}

static bool count_one(void *context, struct text provider, enum conn_state state, struct text tags)
{
    (void)provider, (void)state, (void)tags;
    ++*(int *)context;
    return true;
}

static void test_given(void **state)
{
    struct fixture *f = *state;
    const int64_t sec = 1000;
    apply_right(f, change_put("c1", "one", 0), EVENT_CONNECTED);
    apply_right(f, change_put("c2", "two", 0), EVENT_CONNECTED);
    add_given(f, "ci", "c1", 1, NOW_MS, 3, AUDIT_VEND);
    add_given(f, "ci", "c1", 1, NOW_MS + 10, 4, AUDIT_VEND);
    apply_right(f, change_put("c1", "one", 1), EVENT_REFRESHED);
    add_given(f, "ci", "c1", 2, NOW_MS + 60 * sec, 1, AUDIT_EXPORT);
    add_given(f, "web", "c1", 2, NOW_MS + 60 * sec, 2, AUDIT_VEND);
    add_given(f, "ci", "c2", 1, NOW_MS, 1, AUDIT_VEND);
    add_given(f, "ci", "c3", 1, NOW_MS + 60 * sec, 1, AUDIT_REFUSED); /* not given */
    expect_given(f, (struct store_given_filter){.connection = T("c1"), .since_ms = INT64_MIN},
                 "ci c1 1 x7 0-15\nci c1 2 x1 60000-60005 export\nweb c1 2 x2 60000-60005\n");
    expect_given(f, (struct store_given_filter){.connection = T("c1"), .since_ms = NOW_MS + sec},
                 "ci c1 2 x1 60000-60005 export\nweb c1 2 x2 60000-60005\n");
    expect_given(f, (struct store_given_filter){.connection = T("c1"), .principal = T("web")},
                 "web c1 2 x2 60000-60005\n");
    expect_given(f, (struct store_given_filter){.connection = T("c1"), .owner = T("other")}, "");
    expect_given(f, (struct store_given_filter){.principal = T("ci"), .limit = 2},
                 "ci c1 1 x7 0-15\nci c1 2 x1 60000-60005 export\n");
    expect_given(
        f,
        (struct store_given_filter){.principal = T("ci"), .after = T("c1"), .after_generation = 2},
        "ci c2 1 x1 0-5\n");
    /* Times of selections are whole seconds. */
    assert_int_equal(f->engine->was_given(f->reader, T("ci"), T("c1"), NOW_S + 2), 1);
    assert_int_equal(f->engine->was_given(f->reader, T("ci"), T("c2"), NOW_S + 2), 0);
    assert_int_equal(f->engine->was_given(f->reader, T("ci"), T("c2"), NOW_S - 2), 1);
    assert_int_equal(f->engine->was_given(f->reader, T("web"), T("c2"), 0), 0);
    const struct {
        struct sweep_selection selection;
        int count;
    } tallies[] = {
        {{.principal = T("ci"), .vended_since = 0}, 2},
        {{.principal = T("ci"), .vended_since = NOW_S + 2}, 1},
        {{.principal = T("web"), .vended_since = 0}, 1},
        {{.principal = T("ci"), .owner = T("other")}, 0},
        {{.principal = T("ci"), .provider = T("xero")}, 0},
        {{.principal = T("nobody")}, 0},
    };
    for (size_t i = 0; i < COUNT(tallies); i++) {
        int count = 0;
        assert_int_equal(
            f->engine->tally_given(f->reader, &tallies[i].selection, count_one, &count), 0);
        assert_int_equal(count, tallies[i].count);
    }
    expect_sound(f);
}

/* ---- the journal --------------------------------------------------------------------------------- */

/* Each a row of so many vends, told to the journal, or as rows of the log. */
static int add_many(struct fixture *f, enum audit_how how, uint64_t count)
{
    static const char *const names[] = {"c1", "c2"};
    struct audit_row rows[COUNT(names)];
    for (size_t i = 0; i < COUNT(names); i++)
        rows[i] = (struct audit_row){.kind = AUDIT_VEND,
                                     .at_ms = NOW_MS,
                                     .last_ms = NOW_MS,
                                     .count = count,
                                     .principal = T("ci"),
                                     .connection = text_of(names[i]),
                                     .outcome = T("ok")};
    struct store_change change = {.type = CHANGE_AUDIT,
                                  .at_ms = NOW_MS,
                                  .audit = rows,
                                  .audit_count = COUNT(rows),
                                  .audit_how = how};
    return apply_one(f, &change);
}

static void write_gathered(void *context, const struct audit_row *row)
{
    struct buf *out = context;
    buf_append_text(out, row->connection);
    buf_printf(out, " x%llu ", (unsigned long long)row->count);
}

static void write_mark(void *context, uint64_t settled)
{
    buf_printf(context, "but %llu ", (unsigned long long)settled);
}

static void expect_gathered(struct fixture *f, const char *right)
{
    struct buf list = buf_make(1 << 16);
    assert_int_equal(f->engine->audit_gathered(f->writer, write_gathered, write_mark, &list), 0);
    assert_string_equal(list.data ? (char *)list.data : "", right);
    buf_free(&list);
}

static void test_journal(void **state)
{
    struct fixture *f = *state;
    expect_gathered(f, "");
    assert_int_equal(add_many(f, AUDIT_GATHER, 3), 0);
    assert_int_equal(add_many(f, AUDIT_GATHER, 4), 0);
    expect_rows(f, 1, ""); /* they are no rows yet … */
    expect_sound(f);
    apply_right(f, change_put("c1", "alice", 0), EVENT_CONNECTED); /* … and in nobody's way */
    reopen(f, keyring);
    expect_gathered(f, "c1 x3 c2 x3 c1 x4 c2 x4 ");
    assert_int_equal(f->engine->audit_end(f->writer).seq, 2);
    sql(f, "CREATE TRIGGER full BEFORE DELETE ON audit_journal BEGIN SELECT RAISE(ABORT, 'full');"
           "END; INSERT INTO pause VALUES ('p', 1)");
    struct store_change change = {.type = CHANGE_AUDIT, .audit_how = AUDIT_SETTLE};
    struct store_change *changes[] = {&change};
    struct store_batch batch = {.changes = changes, .count = 1};
    assert_int_equal(f->engine->apply(f->writer, &batch), BURSAR_E_STORE_UNAVAILABLE);
    expect_gathered(f, "c1 x3 c2 x3 c1 x4 c2 x4 ");
    sql(f, "DROP TRIGGER full; DELETE FROM pause");
    struct audit_row row = {.kind = AUDIT_VEND,
                            .at_ms = NOW_MS,
                            .last_ms = NOW_MS,
                            .count = 7,
                            .principal = T("ci"),
                            .connection = T("c1"),
                            .outcome = T("ok")};
    struct store_change part = {.type = CHANGE_AUDIT, .audit_how = AUDIT_SETTLE};
    part.audit = &row;
    part.audit_count = part.audit_left = 1;
    assert_int_equal(apply_one(f, &part), 0); /* one of them is a row, which is sealed */
    reopen(f, keyring);
    expect_gathered(f, "c1 x3 c2 x3 c1 x4 c2 x4 but 1 ");
    assert_int_equal(f->engine->audit_end(f->writer).seq, 3);
    expect_sound(f);
    assert_int_equal(add_many(f, AUDIT_SETTLE, 7), 0);
    expect_gathered(f, "");
    expect_rows(f, 2, "3 vend ci - c1 0 ok -\n4 vend ci - c1 0 ok -\n5 vend ci - c2 0 ok -\n");
    reopen(f, keyring);
    expect_gathered(f, "");
    assert_int_equal(add_many(f, AUDIT_GATHER, 1), 0); /* it begins anew */
    reopen(f, keyring);
    expect_gathered(f, "c1 x1 c2 x1 ");
    assert_int_equal(f->engine->audit_end(f->writer).seq, 5);
    expect_sound(f);
}

/* What somebody does to it while no daemon runs is told at the next start, and in the log ever after. */
static void test_journal_edited(void **state)
{
    static const struct {
        const char *sql, *problem;
    } cases[] = {
        {"DELETE FROM audit_journal WHERE nr = 2", "cut_off"},
        {"DELETE FROM audit_journal", "cut_off"},
        {"DELETE FROM audit_journal WHERE nr = 1", "altered"},
        {"INSERT INTO audit_journal SELECT 3, entry, link FROM audit_journal WHERE nr = 2",
         "unsealed"},
        {"UPDATE audit_journal SET entry = zeroblob(20) WHERE nr = 2", "altered"},
        {"UPDATE audit_journal SET link = zeroblob(32) WHERE nr = 1", "altered"},
        {"UPDATE audit_journal SET nr = 3 WHERE nr = 2", "unsealed"},
        {"DELETE FROM audit_journal; UPDATE audit_ends SET journal_nr = 0, journal = NULL",
         "bad_seal"},
        {"UPDATE audit_ends SET journal = NULL", "no_seal"},
        {"DELETE FROM audit_journal WHERE nr = 2;"
         "UPDATE audit_ends SET journal_nr = 1, journal = (SELECT link FROM audit_journal)",
         "bad_seal"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        void *own = NULL;
        assert_int_equal(set_up(&own), 0);
        assert_int_equal(add_many(own, AUDIT_GATHER, 3), 0);
        assert_int_equal(add_many(own, AUDIT_GATHER, 4), 0);
        edit(own, cases[i].sql);
        struct buf rows = buf_make(1 << 16);
        const struct store_audit_filter filter = {
            .after_seq = 1, .until_seq = INT64_MAX, .since_ms = INT64_MIN, .limit = 10};
        struct fixture *f = own;
        assert_int_equal(f->engine->audit_rows(f->reader, &filter, write_row, &rows), 0);
        buf_append_byte(&rows, 0);
        if (buf_error(&rows) < 0 || !strstr((char *)rows.data, "audit.break") ||
            !strstr((char *)rows.data, cases[i].problem))
            fail_msg("%s: not %s: %s", cases[i].sql, cases[i].problem, (char *)rows.data);
        buf_free(&rows);
        expect_problem(f, 0, 2, AUDIT_BROKEN);
        assert_int_equal(add_many(f, AUDIT_SETTLE, 7), 0);
        reopen(f, keyring); /* once */
        assert_int_equal(f->engine->audit_end(f->writer).seq, 4);
        fixture_tear_down(&own);
    }
}

/* Without audit_open() nothing is written, and nothing is in the way. */
static void test_without(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    fixture_open(f);
    apply_right(f, change_put("c1", "alice", 0), EVENT_CONNECTED);
    assert_int_equal(add_given(f, "ci", "c1", 1, NOW_MS, 1, AUDIT_VEND), 0);
    assert_int_equal(trim(f, INT64_MAX), 0);
    expect_rows(f, 0, "1 log - audit.begin - 0 ok -\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {TEST(test_changes_have_rows),
                                       TEST(test_rolled_back),
                                       cmocka_unit_test(test_edited),
                                       TEST(test_cut_off_under_way),
                                       TEST(test_strange_key),
                                       TEST(test_trim),
                                       TEST(test_given),
                                       TEST(test_journal),
                                       cmocka_unit_test(test_journal_edited),
                                       TEST(test_without)};
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
