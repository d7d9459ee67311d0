#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <bursar/error.h>

#include "policy/lifecycle.h"

static const char *const move_names[] = {"create", "put",     "refreshed", "refused", "lost",
                                         "revoke", "restore", "freeze",    "thaw",    "delete"};

/* Every move that is allowed, as the life cycle is told to people: from, move, to, event. Whatever
 * is not here is refused. `=` is the state it was in, `<` the one before it was set aside. */
static const struct {
    const char *from, *move, *to, *event;
} allowed[] = {
    {"NONE", "create", "PENDING", "created"},
    {"NONE", "put", "ACTIVE", "connected"},

    {"PENDING", "put", "ACTIVE", "connected"},
    {"PENDING", "revoke", "REVOKED", "revoked"},
    {"PENDING", "freeze", "FROZEN", "frozen"},
    {"PENDING", "delete", "NONE", "deleted"},

    {"ACTIVE", "put", "ACTIVE", "refreshed"},
    {"ACTIVE", "refreshed", "ACTIVE", "refreshed"},
    {"ACTIVE", "refused", "NEEDS_REAUTH", "reauth"},
    {"ACTIVE", "lost", "IN_DOUBT", "in_doubt"},
    {"ACTIVE", "revoke", "REVOKED", "revoked"},
    {"ACTIVE", "freeze", "FROZEN", "frozen"},
    {"ACTIVE", "delete", "NONE", "deleted"},

    {"IN_DOUBT", "put", "ACTIVE", "recovered"},
    {"IN_DOUBT", "refreshed", "ACTIVE", "recovered"},
    {"IN_DOUBT", "refused", "NEEDS_REAUTH", "reauth"},
    {"IN_DOUBT", "lost", "=", "none"},
    {"IN_DOUBT", "revoke", "REVOKED", "revoked"},
    {"IN_DOUBT", "freeze", "FROZEN", "frozen"},
    {"IN_DOUBT", "delete", "NONE", "deleted"},

    {"NEEDS_REAUTH", "put", "ACTIVE", "recovered"},
    {"NEEDS_REAUTH", "refreshed", "ACTIVE", "recovered"},
    {"NEEDS_REAUTH", "refused", "=", "none"}, /* one reauth, however many refusals follow */
    {"NEEDS_REAUTH", "revoke", "REVOKED", "revoked"},
    {"NEEDS_REAUTH", "freeze", "FROZEN", "frozen"},
    {"NEEDS_REAUTH", "delete", "NONE", "deleted"},

    {"REVOKED", "refreshed", "=", "refreshed"}, /* a token on its way is kept, revoked it stays */
    {"REVOKED", "revoke", "=", "none"},
    {"REVOKED", "restore", "<", "restored"},
    {"REVOKED", "delete", "NONE", "deleted"},

    {"FROZEN", "refreshed", "=", "refreshed"},
    {"FROZEN", "revoke", "REVOKED", "revoked"},
    {"FROZEN", "freeze", "=", "none"},
    {"FROZEN", "thaw", "<", "thawed"},
    {"FROZEN", "delete", "NONE", "deleted"},
};
enum { ALLOWED = sizeof allowed / sizeof allowed[0] };

static int find(enum conn_state from, enum conn_move move)
{
    for (int i = 0; i < ALLOWED; i++) {
        if (strcmp(allowed[i].from, conn_state_name(from)) == 0 &&
            strcmp(allowed[i].move, move_names[move]) == 0)
            return i;
    }
    return -1;
}

static void check(enum conn_state from, enum conn_state prior, enum conn_move move)
{
    struct lifecycle_step step = lifecycle_move(from, prior, move);
    int i = find(from, move);
    if (step.is_allowed != (i >= 0))
        fail_msg("%s %s", conn_state_name(from), move_names[move]);
    if (i < 0) {
        assert_int_equal(step.state, from);
        assert_int_equal(step.event, EVENT_NONE);
        assert_true(step.refusal < 0 && step.refusal > BURSAR_E_END);
        return;
    }
    const char *to = allowed[i].to;
    const char *expected = conn_state_name(*to == '=' ? from : *to == '<' ? prior : from);
    if (strcmp(conn_state_name(step.state), strchr("=<", *to) ? expected : to) != 0 ||
        strcmp(event_type_name(step.event), allowed[i].event) != 0)
        fail_msg("%s %s: %s, %s", conn_state_name(from), move_names[move],
                 conn_state_name(step.state), event_type_name(step.event));
    assert_int_equal(step.refusal, 0);
}

static void test_every_cell(void **state)
{
    (void)state;
    assert_int_equal(sizeof move_names / sizeof move_names[0], MOVE_END);
    for (int from = CONN_NONE; from < CONN_STATE_END; from++) {
        for (int move = 0; move < MOVE_END; move++) {
            for (int prior = CONN_PENDING; prior <= CONN_NEEDS_REAUTH; prior++)
                check((enum conn_state)from, (enum conn_state)prior, (enum conn_move)move);
        }
    }
}

/* Every change of state has an event, and what changes nothing has none. */
static void test_one_event_a_move(void **state)
{
    (void)state;
    for (int from = CONN_NONE; from < CONN_STATE_END; from++) {
        for (int move = 0; move < MOVE_END; move++) {
            struct lifecycle_step step =
                lifecycle_move((enum conn_state)from, CONN_PENDING, (enum conn_move)move);
            if ((int)step.state != from)
                assert_int_not_equal(step.event, EVENT_NONE);
            bool is_new_secret = move == MOVE_PUT || move == MOVE_REFRESHED;
            if ((int)step.state == from && !(step.is_allowed && is_new_secret))
                assert_int_equal(step.event, EVENT_NONE);
        }
    }
}

/* What somebody hears whose move is refused. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        enum conn_state from;
        enum conn_move move;
        int refusal;
    } cases[] = {
        {CONN_REVOKED, MOVE_PUT, BURSAR_E_REVOKED},
        {CONN_FROZEN, MOVE_PUT, BURSAR_E_FROZEN},
        {CONN_REVOKED, MOVE_FREEZE, BURSAR_E_REVOKED},
        {CONN_NONE, MOVE_REFRESHED, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_REFUSED, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_LOST, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_REVOKE, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_RESTORE, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_FREEZE, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_THAW, BURSAR_E_NOT_FOUND},
        {CONN_NONE, MOVE_DELETE, BURSAR_E_NOT_FOUND},
    };
    for (int from = CONN_NONE; from < CONN_STATE_END; from++) {
        for (int move = 0; move < MOVE_END; move++) {
            int expected = BURSAR_E_CONFLICT;
            for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                if ((int)cases[i].from == from && (int)cases[i].move == move)
                    expected = cases[i].refusal;
            }
            struct lifecycle_step step =
                lifecycle_move((enum conn_state)from, CONN_ACTIVE, (enum conn_move)move);
            if (step.refusal != (step.is_allowed ? 0 : expected))
                fail_msg("%s %s", conn_state_name((enum conn_state)from), move_names[move]);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const states[] = {"NONE",         "PENDING", "ACTIVE", "IN_DOUBT",
                                         "NEEDS_REAUTH", "REVOKED", "FROZEN"};
    static const char *const events[] = {
        "none",    "created",  "connected", "refreshed", "reauth",  "recovered", "in_doubt",
        "revoked", "restored", "frozen",    "thawed",    "deleted", "incident",  "alive"};
    for (int i = 0; i < CONN_STATE_END; i++) {
        assert_string_equal(conn_state_name((enum conn_state)i), states[i]);
        assert_int_equal(conn_state_of(states[i]), i);
    }
    for (int i = 0; i < EVENT_TYPE_END; i++) {
        assert_string_equal(event_type_name((enum event_type)i), events[i]);
        assert_int_equal(event_type_of(events[i]), i);
    }
    assert_null(conn_state_name(CONN_STATE_END));
    assert_null(event_type_name(EVENT_TYPE_END));
    assert_int_equal(conn_state_of("active"), CONN_NONE);
    assert_int_equal(conn_state_of(""), CONN_NONE);
    assert_int_equal(event_type_of("Reauth"), EVENT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_one_event_a_move),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
