#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bursar/error.h>

#include "fixture.h"

#define T(s) TEXT_LITERAL(s)

enum { LIFE_S = 600 };

/* A consent at GitHub that is under way. */
static void keep(struct fixture *f, struct text digest)
{
    struct store_change change = {.type = CHANGE_CONSENT,
                                  .at_ms = NOW_MS,
                                  .consent = digest,
                                  .provider = T("github"),
                                  .sealed = T("sealed"),
                                  .consent_expires_at = NOW_S + LIFE_S,
                                  .is_device = true};
    apply_right(f, change, EVENT_NONE);
}

static struct store_change taking(struct text digest)
{
    return (struct store_change){
        .type = CHANGE_CONSENTED, .at_ms = NOW_MS, .consent = digest, .provider = T("github")};
}

static struct store_change putting(const char *connection, uint64_t generation, struct text digest)
{
    struct store_change change = change_put(connection, connection, generation);
    change.consent = digest;
    change.provider = T("github");
    return change;
}

static int look(struct fixture *f, struct text provider, struct text digest, int64_t now)
{
    struct buf sealed = buf_make(64);
    int result = f->engine->consent(f->reader, provider, digest, now, &sealed);
    if (result == 0)
        assert_true(text_is(buf_text(&sealed), "sealed"));
    buf_free(&sealed);
    return result;
}

static void test_look(void **state)
{
    struct fixture *f = *state;
    keep(f, T("one"));
    assert_int_equal(look(f, T("github"), T("one"), NOW_S), 0);
    assert_int_equal(look(f, T("github"), T("one"), NOW_S), 0); /* it stays */
    assert_int_equal(look(f, T("gitlab"), T("one"), NOW_S), BURSAR_E_NOT_FOUND);
    assert_int_equal(look(f, T("github"), T("two"), NOW_S), BURSAR_E_NOT_FOUND);
    assert_int_equal(look(f, T("github"), T("one"), NOW_S + LIFE_S), BURSAR_E_NOT_FOUND);
}

static void test_take(void **state)
{
    struct fixture *f = *state;
    struct buf taken = buf_make(64);
    keep(f, T("one"));
    struct store_change change = taking(T("one"));
    change.taken = &taken;
    apply_right(f, change, EVENT_NONE);
    assert_true(text_is(buf_text(&taken), "sealed"));
    buf_free(&taken);
    apply_refused(f, taking(T("one")), BURSAR_E_NOT_FOUND);
}

/* The secret and the consent that brought it: both or neither. */
static void test_put(void **state)
{
    struct fixture *f = *state;
    keep(f, T("one"));
    apply_refused(f, putting("c.1", 0, T("two")), BURSAR_E_NOT_FOUND);
    struct store_change late = putting("c.1", 0, T("one"));
    late.at_ms += (int64_t)LIFE_S * 1000;
    apply_refused(f, late, BURSAR_E_NOT_FOUND);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connection"), 0);
    apply_right(f, putting("c.1", 0, T("one")), EVENT_CONNECTED);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM consent"), 0);
    keep(f, T("two"));
    apply_refused(f, putting("c.1", 7, T("two")),
                  BURSAR_E_CONFLICT); /* a refused put takes nothing */
    assert_int_equal(look(f, T("github"), T("two"), NOW_S), 0);
    apply_right(f, putting("c.1", 1, T("two")), EVENT_REFRESHED);
    apply_refused(f, putting("c.1", 2, T("two")), BURSAR_E_NOT_FOUND);
}

/* A refusal is noted where it was to connect, and changes nothing else of that. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    apply_right(f, change_put("c.1", "c.1", 0), EVENT_CONNECTED);
    keep(f, T("one"));
    struct conn_row before = row_of(f, "c.1");
    struct store_change change = taking(T("one"));
    change.connection = T("c.1");
    change.error = T("access_denied");
    change.at_ms += 5000;
    apply_right(f, change, EVENT_NONE);
    struct conn_row row = row_of(f, "c.1");
    assert_true(text_is(row.reason, "consent_refused") && text_is(row.last_error, "access_denied"));
    assert_true(row.state == CONN_ACTIVE && row.generation == 1 && row.failures == 0);
    assert_true(row.next_refresh_at == before.next_refresh_at && row.updated_at == NOW_S + 5);
    assert_true(row.last_refresh_at == before.last_refresh_at);
    conn_row_free(&before);
    conn_row_free(&row);
    apply_right(f, change_put("c.1", "c.1", 1), EVENT_REFRESHED);
    row = row_of(f, "c.1");
    assert_null(row.reason.data); /* the next secret ends it */
    conn_row_free(&row);
}

static void test_refused_first(void **state)
{
    struct fixture *f = *state;
    struct store_change create = change_of(CHANGE_CREATE, "c.1");
    create.provider = T("github");
    create.account = T("a");
    apply_right(f, create, EVENT_CREATED);
    keep(f, T("one"));
    struct store_change change = taking(T("one"));
    change.connection = T("c.1");
    change.error = T("expired_token");
    apply_right(f, change, EVENT_NONE);
    struct conn_row row = row_of(f, "c.1");
    assert_true(row.state == CONN_PENDING && text_is(row.last_error, "expired_token"));
    assert_true(row.last_refresh_at == NOW_S && row.last_outcome == VERDICT_GRANT);
    conn_row_free(&row);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_look),    TEST(test_take),          TEST(test_put),
        TEST(test_refused), TEST(test_refused_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
