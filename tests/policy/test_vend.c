#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bursar/error.h>

#include "policy/vend.h"

#define NOW INT64_C(1800000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A secret that is neither due nor ended. */
static const struct vend_view fresh = {.state = CONN_ACTIVE,
                                       .has_secret = true,
                                       .can_refresh = true,
                                       .expires_at = NOW + 3600,
                                       .due_at = NOW + 3300};

static struct vend_view with(enum conn_state state, int64_t expires_in, int64_t due_in)
{
    struct vend_view view = fresh;
    view.state = state;
    view.expires_at = NOW + expires_in;
    view.due_at = NOW + due_in;
    return view;
}

static void expect(struct vend_view view, int64_t min_ttl_s, enum vend_action action, bool is_stale,
                   int error)
{
    struct vend_decision decision = vend_decide(&view, NOW, min_ttl_s);
    assert_int_equal(decision.action, action);
    assert_int_equal(decision.is_stale, is_stale);
    assert_int_equal(decision.error, error);
}

/* Rule 1, the part that is decided here: where there is nothing, nothing is vended. */
static void test_nothing_there(void **state)
{
    (void)state;
    struct vend_view view = {.state = CONN_PENDING, .expires_at = EXPIRY_NEVER};
    expect(view, 0, VEND_REFUSE, false, BURSAR_E_NOT_CONNECTED);
    view.state = CONN_NONE;
    expect(view, 0, VEND_REFUSE, false, BURSAR_E_NOT_CONNECTED);
    view.state = CONN_ACTIVE;
    view.can_refresh = true;
    expect(view, 0, VEND_REFUSE, false, BURSAR_E_NEEDS_REAUTH);
}

/* Rule 2. */
static void test_not_due(void **state)
{
    (void)state;
    expect(fresh, 0, VEND_SERVE, false, 0);
    expect(with(CONN_ACTIVE, 3600, 1), 0, VEND_SERVE, false, 0);
    struct vend_view view = fresh;
    view.is_failing = true;
    expect(view, 0, VEND_SERVE, false, 0);
    view = fresh;
    view.expires_at = view.due_at = EXPIRY_NEVER;
    expect(view, 0, VEND_SERVE, false, 0);
    expect(view, INT64_MAX - 1, VEND_SERVE, false, 0);
}

/* Rule 3: in the advisory window. */
static void test_due_but_valid(void **state)
{
    (void)state;
    expect(with(CONN_ACTIVE, 300, 0), 0, VEND_SERVE_REFRESH, false, 0);
    expect(with(CONN_ACTIVE, 1, -299), 0, VEND_SERVE_REFRESH, false, 0);
    expect(with(CONN_ACTIVE, 300, 0), 299, VEND_SERVE_REFRESH, false, 0);
    struct vend_view key = with(CONN_ACTIVE, 300, 0);
    key.can_refresh = false;
    expect(key, 0, VEND_SERVE, false, 0);
}

/* Rule 4: what is asked for must be met, by a refresh if need be. */
static void test_not_valid_any_more(void **state)
{
    (void)state;
    expect(with(CONN_ACTIVE, 300, 0), 300, VEND_WAIT, false, 0);
    expect(with(CONN_ACTIVE, 3600, 3300), 3600, VEND_WAIT, false, 0);
    expect(with(CONN_ACTIVE, 3600, 3300), 3599, VEND_SERVE, false, 0);
    expect(with(CONN_ACTIVE, 0, -300), 0, VEND_WAIT, false, 0);
    expect(with(CONN_ACTIVE, -1, -300), 0, VEND_WAIT, false, 0);
    struct vend_view view = fresh;
    view.is_invalidated = true;
    expect(view, 0, VEND_WAIT, false, 0);
    view = with(CONN_ACTIVE, 0, -300);
    view.is_failing = true;
    expect(view, 0, VEND_WAIT, false, 0);
    view.can_refresh = false;
    expect(view, 0, VEND_REFUSE, false, BURSAR_E_NEEDS_REAUTH);
}

/* Rule 5. */
static void test_failing_but_valid(void **state)
{
    (void)state;
    struct vend_view view = with(CONN_ACTIVE, 1, -299);
    view.is_failing = true;
    expect(view, 0, VEND_SERVE_REFRESH, true, 0);
}

/* Rule 6. */
static void test_dead_or_in_doubt(void **state)
{
    (void)state;
    static const struct {
        enum conn_state state;
        int error;
    } cases[] = {{CONN_NEEDS_REAUTH, BURSAR_E_NEEDS_REAUTH}, {CONN_IN_DOUBT, BURSAR_E_IN_DOUBT}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum conn_state dead = cases[i].state;
        expect(with(dead, 3600, 3300), 0, VEND_SERVE, true, 0);
        expect(with(dead, 1, -299), 0, VEND_SERVE, true, 0); /* and nothing is sent */
        expect(with(dead, 300, 0), 300, VEND_REFUSE, false, cases[i].error);
        expect(with(dead, 0, -300), 0, VEND_REFUSE, false, cases[i].error);
        struct vend_view view = with(dead, 3600, 3300);
        view.is_invalidated = true;
        expect(view, 0, VEND_REFUSE, false, cases[i].error);
        view = with(dead, 3600, 3300);
        view.has_secret = false;
        expect(view, 0, VEND_REFUSE, false, cases[i].error);
    }
}

static void test_refused_by_decision(void **state)
{
    (void)state;
    struct vend_view empty = {.state = CONN_REVOKED};
    expect(with(CONN_REVOKED, 3600, 3300), 0, VEND_REFUSE, false, BURSAR_E_REVOKED);
    expect(with(CONN_REVOKED, 0, -300), 0, VEND_REFUSE, false, BURSAR_E_REVOKED);
    expect(empty, 0, VEND_REFUSE, false, BURSAR_E_REVOKED);
    expect(with(CONN_FROZEN, 3600, 3300), 0, VEND_REFUSE, false, BURSAR_E_FROZEN);
    expect(with(CONN_FROZEN, 0, -300), 9, VEND_REFUSE, false, BURSAR_E_FROZEN);
}

/* Due is `now >= due_at`, in ACTIVE alone, where it can be done. */
static void test_due(void **state)
{
    (void)state;
    for (int i = CONN_NONE; i < CONN_STATE_END; i++) {
        struct vend_view view = with((enum conn_state)i, 300, 0);
        assert_int_equal(vend_is_due(&view, NOW), i == CONN_ACTIVE);
        assert_false(vend_is_due(&view, NOW - 1));
        view.is_invalidated = true;
        assert_int_equal(vend_is_due(&view, NOW - 1), i == CONN_ACTIVE);
    }
    struct vend_view view = with(CONN_ACTIVE, -5, -300);
    assert_true(vend_is_due(&view, NOW));
    view.can_refresh = false;
    assert_false(vend_is_due(&view, NOW));
    view.can_refresh = true;
    view.has_secret = false;
    assert_false(vend_is_due(&view, NOW));
    view = fresh;
    view.due_at = EXPIRY_NEVER;
    assert_false(vend_is_due(&view, INT64_MAX));
    view.is_invalidated = true;
    assert_true(vend_is_due(&view, NOW));
}

static void test_good(void **state)
{
    (void)state;
    struct vend_view view = with(CONN_ACTIVE, 100, 50);
    assert_true(vend_is_good(&view, NOW, 0));
    assert_true(vend_is_good(&view, NOW, 99));
    assert_false(vend_is_good(&view, NOW, 100));
    assert_false(vend_is_good(&view, NOW + 100, 0));
    view.is_invalidated = true;
    assert_false(vend_is_good(&view, NOW, 0));
    view.is_invalidated = false;
    view.has_secret = false;
    assert_false(vend_is_good(&view, NOW, 0));
}

static void test_refresh_state(void **state)
{
    (void)state;
    static const struct {
        enum conn_state state;
        int64_t due_in;
        bool is_failing, is_in_flight;
        const char *word;
    } cases[] = {
        {CONN_ACTIVE, 1, false, false, "idle"},
        {CONN_ACTIVE, 1, true, false, "idle"},
        {CONN_ACTIVE, 0, false, false, "due"},
        {CONN_ACTIVE, 0, true, false, "backing_off"},
        {CONN_ACTIVE, 0, true, true, "in_flight"},
        {CONN_ACTIVE, 1, false, true, "in_flight"},
        {CONN_PENDING, 1, false, false, "idle"},
        {CONN_NEEDS_REAUTH, 0, true, false, "needs_reauth"},
        {CONN_NEEDS_REAUTH, 0, true, true, "needs_reauth"},
        {CONN_IN_DOUBT, 0, true, true, "in_doubt"},
        {CONN_REVOKED, 0, true, true, "held"},
        {CONN_FROZEN, 0, false, false, "held"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct vend_view view = with(cases[i].state, 300, cases[i].due_in);
        view.is_failing = cases[i].is_failing;
        assert_string_equal(vend_refresh_state(&view, NOW, cases[i].is_in_flight), cases[i].word);
    }
}

/* The clock was set back behind its issue: when it ends is not known, so it is refreshed, and served
 * meanwhile. What has no end, or cannot be refreshed, stays as it is. */
static void test_issued_in_the_future(void **state)
{
    (void)state;
    struct vend_view view = fresh;
    view.issued_at = NOW + VEND_CLOCK_SLACK_S;
    expect(view, 0, VEND_SERVE, false, 0);
    view.issued_at++;
    expect(view, 0, VEND_SERVE_REFRESH, false, 0);
    view.can_refresh = false;
    expect(view, 0, VEND_SERVE, false, 0);
    view.can_refresh = true;
    view.expires_at = view.due_at = EXPIRY_NEVER;
    expect(view, 0, VEND_SERVE, false, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_issued_in_the_future),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_not_due),
        cmocka_unit_test(test_due_but_valid),
        cmocka_unit_test(test_not_valid_any_more),
        cmocka_unit_test(test_failing_but_valid),
        cmocka_unit_test(test_dead_or_in_doubt),
        cmocka_unit_test(test_refused_by_decision),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refresh_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
