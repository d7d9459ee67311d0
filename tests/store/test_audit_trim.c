/* Trimming the audit log where a clock was ahead for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../vault/fresh_keyring.h"
#include "base/secret.h"
#include "fixture.h"

#define DAY_MS INT64_C(86400000)

static struct keyring *keyring;

static int group_set_up(void **state)
{
    (void)state;
    if (secret_arena_open(1 << 20) != 0)
        return -1;
    keyring = fresh_keyring();
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    keyring_free(keyring);
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

static struct audit_row row_at(int64_t at_ms)
{
    return (struct audit_row){.kind = AUDIT_LOG,
                              .at_ms = at_ms,
                              .last_ms = at_ms,
                              .count = 1,
                              .op = TEXT_LITERAL("daemon.start"),
                              .outcome = TEXT_LITERAL("ok")};
}

static void add_rows(struct fixture *f, const struct audit_row *rows, size_t count)
{
    struct store_change change = {
        .type = CHANGE_AUDIT, .at_ms = NOW_MS, .audit = rows, .audit_count = count};
    assert_int_equal(apply_one(f, &change), 0);
}

static uint64_t trim(struct fixture *f, int64_t before_ms)
{
    struct store_change change = {.type = CHANGE_AUDIT_TRIM, .at_ms = before_ms};
    assert_int_equal(apply_one(f, &change), 0);
    return change.generation;
}

static void see_problem(void *context, uint64_t seq, enum audit_problem problem)
{
    (void)context;
    fail_msg("row %llu: %s", (unsigned long long)seq, audit_problem_name(problem));
}

static void expect_sound(struct fixture *f)
{
    struct store_audit_check check = {.after_seq = 0};
    for (int page = 0; page < 100 && !check.is_end; page++)
        assert_int_equal(f->engine->audit_check(f->reader, keyring, 100, see_problem, NULL, &check),
                         0);
    assert_true(check.is_end);
}

/* More rows of a clock that was ahead than go at a time: an old one behind all of them says how old they are. */
static void test_trim_ahead(void **state)
{
    enum { AHEAD = STORE_TRIM_ROWS + 500 };
    static struct audit_row rows[AHEAD];
    struct fixture *f = *state;
    const struct audit_row behind[] = {row_at(NOW_MS + 2 * DAY_MS)};
    for (size_t i = 0; i < AHEAD; i++)
        rows[i] = row_at(NOW_MS + 36500 * DAY_MS);
    add_rows(f, rows, AHEAD);
    add_rows(f, behind, 1);
    assert_int_equal(trim(f, NOW_MS + DAY_MS), 1); /* the first row there is */
    assert_int_equal(trim(f, NOW_MS + 3 * DAY_MS), STORE_TRIM_ROWS);
    expect_sound(f);
    assert_int_equal(trim(f, NOW_MS + 3 * DAY_MS),
                     AHEAD - STORE_TRIM_ROWS + 3); /* and those that say so */
    expect_sound(f);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(f->engine->audit_open(f->writer, keyring, NOW_MS), 0);
    expect_sound(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trim_ahead, set_up, fixture_tear_down)};
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
