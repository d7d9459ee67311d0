#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/client.h>

#include "base/clock.h"
#include "client/sequence.h"
#include "fake.h"
#include "quickest.h"

/* ---- the rules, without sockets ------------------------------------------------------------- */

static void test_sequence(void **state)
{
    (void)state;
    struct sequence sequence = {0};
    assert_int_equal(sequence_live(&sequence, 5), SEQUENCE_NEW);
    assert_int_equal(sequence_live(&sequence, 5), SEQUENCE_SEEN);
    assert_int_equal(sequence_live(&sequence, 4), SEQUENCE_SEEN);
    assert_int_equal(sequence_live(&sequence, 6), SEQUENCE_NEW);
    assert_int_equal(sequence_live(&sequence, 8), SEQUENCE_GAP);
    assert_int_equal(sequence.looked, 6);
    assert_int_equal(sequence_alive(&sequence, 6), SEQUENCE_SEEN);
    assert_int_equal(sequence_alive(&sequence, 2), SEQUENCE_SEEN);
    assert_int_equal(sequence_alive(&sequence, 7), SEQUENCE_GAP);
    sequence_looked(&sequence, 9);
    sequence_looked(&sequence, 3);
    assert_int_equal(sequence.looked, 9);
    sequence = (struct sequence){0};
    assert_int_equal(sequence_alive(&sequence, 40), SEQUENCE_SEEN);
    assert_int_equal(sequence_live(&sequence, 41), SEQUENCE_NEW);
    sequence = (struct sequence){0};
    assert_int_equal(sequence_alive(&sequence, 0), SEQUENCE_SEEN);
    assert_int_equal(sequence_live(&sequence, 2), SEQUENCE_GAP);
}

static void test_wanted(void **state)
{
    (void)state;
    const char *const topics[] = {"reauth/", "refreshed/acme/", NULL};
    const char *const none[] = {NULL};
    assert_true(sequence_is_wanted(NULL, TEXT_LITERAL("x/y/z/w")));
    assert_true(sequence_is_wanted(none, TEXT_LITERAL("x/y/z/w")));
    assert_true(sequence_is_wanted(topics, TEXT_LITERAL("reauth/b/p/c")));
    assert_true(sequence_is_wanted(topics, TEXT_LITERAL("refreshed/acme/p/c")));
    assert_false(sequence_is_wanted(topics, TEXT_LITERAL("refreshed/acme2/p/c")));
    assert_false(sequence_is_wanted(topics, TEXT_LITERAL("reaut")));
}

enum { EVERYTHING = 2 }; /* the subscriptions of who wants it: `alive/`, and "" */

/* ---- with a fake daemon --------------------------------------------------------------------- */

static int setup(void **state)
{
    *state = fake_new();
    return 0;
}

static int teardown(void **state)
{
    fake_free(*state);
    return 0;
}

static struct bursar_events *subscribe(struct fake *fake, const char *const *topics, bool has_since,
                                       uint64_t since)
{
    struct bursar_client_options options = fake_options(fake);
    struct bursar_events *events = NULL;
    struct bursar_failure failure;
    if (bursar_events_open(&options, topics, has_since, since, &events, &failure) != 0)
        fail_msg("%s", failure.message);
    return events;
}

static struct bursar_event next(struct bursar_events *events)
{
    struct bursar_event event;
    struct bursar_failure failure;
    if (bursar_events_next(events, PATIENCE_MS, &event, &failure) != 0)
        fail_msg("%s", failure.message);
    return event;
}

static void assert_next(struct bursar_events *events, uint64_t seq)
{
    assert_int_equal(next(events).seq, seq);
}

static void assert_none(struct bursar_events *events, int timeout_ms)
{
    struct bursar_event event;
    struct bursar_failure failure;
    assert_int_equal(bursar_events_next(events, timeout_ms, &event, &failure),
                     BURSAR_E_DEADLINE_EXCEEDED);
}

static void test_live(void **state)
{
    struct fake *fake = *state;
    fake_event(fake, "connected", "before", false); /* long ago: in the log alone */
    struct bursar_events *events = subscribe(fake, NULL, false, 0);
    fake_await_subscriptions(fake, EVERYTHING);
    uint64_t first = fake_event(fake, "refreshed", "acme", true);
    fake_event(fake, "reauth", "acme", true);
    struct bursar_event event = next(events);
    assert_int_equal(event.seq, first);
    assert_string_equal(event.type, "refreshed");
    assert_null(event.reason_code);
    event = next(events);
    assert_int_equal(event.seq, first + 1);
    assert_int_equal(event.at_ms, 1700000000000 + (int64_t)event.seq);
    assert_string_equal(event.type, "reauth");
    assert_string_equal(event.owner, "acme");
    assert_string_equal(event.provider, "prov");
    assert_string_equal(event.account, "default");
    assert_string_equal(event.connection, "prov.0123");
    assert_string_equal(event.state, "ACTIVE");
    assert_int_equal(event.generation, 7);
    assert_string_equal(event.reason_code, "grant_refused");
    assert_string_equal(event.reason_class, "grant");
    assert_string_equal(event.provider_error, "invalid_grant");
    assert_int_equal(event.http_status, 400);
    assert_non_null(strstr(event.json, "\"type\":\"reauth\""));
    assert_none(events, 50);
    assert_int_equal(fake_count(fake, "events.since"), 0); /* nothing was missed */
    bursar_events_close(events);
}

/* Events that are in the log and were never sent come before the one that shows the gap. */
static void test_gap(void **state)
{
    struct fake *fake = *state;
    struct bursar_events *events = subscribe(fake, NULL, false, 0);
    fake_await_subscriptions(fake, EVERYTHING);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 1);
    for (int i = 0; i < 1200; i++) /* more than two pages */
        fake_event(fake, "refreshed", "acme", false);
    fake_event(fake, "refreshed", "acme", true);
    for (uint64_t seq = 2; seq <= 1202; seq++)
        assert_next(events, seq);
    fake_send_again(fake, 700);
    fake_send_again(fake, 1202);
    assert_none(events, 100);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 1203);
    bursar_events_close(events);
}

/* Nothing more comes, but the daemon is alive and says how far its log is. */
static void test_gap_shown_by_alive(void **state)
{
    struct fake *fake = *state;
    struct bursar_events *events = subscribe(fake, NULL, false, 0);
    fake_await_subscriptions(fake, EVERYTHING);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 1);
    fake_event(fake, "reauth", "acme", false);
    fake_event(fake, "recovered", "acme", false);
    fake_alive(fake);
    assert_next(events, 2);
    assert_next(events, 3);
    assert_none(events, 50);
    bursar_events_close(events);
}

static void test_since(void **state)
{
    struct fake *fake = *state;
    for (int i = 0; i < 10; i++)
        fake_event(fake, "refreshed", "acme", true);
    struct bursar_events *events = subscribe(fake, NULL, true, 6);
    for (uint64_t seq = 7; seq <= 10; seq++)
        assert_next(events, seq);
    assert_none(events, 50);
    fake_await_subscriptions(fake, EVERYTHING);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 11);
    bursar_events_close(events);
    events = subscribe(fake, NULL, true, 0);
    for (uint64_t seq = 1; seq <= 11; seq++)
        assert_next(events, seq);
    bursar_events_close(events);
}

/* Other topics leave gaps that are none; what is missed of the wanted ones still comes. */
static void test_topics(void **state)
{
    struct fake *fake = *state;
    const char *const topics[] = {"reauth/", "refreshed/acme/", NULL};
    fake_event(fake, "reauth", "old", false);
    struct bursar_events *events = subscribe(fake, topics, true, 0);
    fake_await_subscriptions(fake, 3);
    assert_next(events, 1);
    fake_event(fake, "refreshed", "other", true);
    fake_event(fake, "refreshed", "acme", true);
    fake_event(fake, "refreshed", "other", true);
    fake_event(fake, "reauth", "other", false);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 3);
    assert_next(events, 5);
    assert_next(events, 6);
    assert_none(events, 50);
    bursar_events_close(events);
}

/* The daemon goes, its log grows, it comes back: each event once, in order. */
static void test_reconnect(void **state)
{
    struct fake *fake = *state;
    struct bursar_events *events = subscribe(fake, NULL, false, 0);
    fake_await_subscriptions(fake, EVERYTHING);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 1);
    for (int round = 0; round < 3; round++) {
        uint64_t last = (uint64_t)round * 4 + 1;
        fake_stop(fake);
        fake_event(fake, "reauth", "acme", false);
        fake_event(fake, "recovered", "acme", false);
        assert_none(events, 30);
        fake_start(fake);
        assert_next(events, last + 1);
        assert_next(events, last + 2);
        fake_event(fake, "refreshed", "acme", false);
        fake_event(fake, "refreshed", "acme", true);
        fake_await_subscriptions(fake, EVERYTHING);
        fake_alive(fake); /* the one before may have come too early for the subscription */
        assert_next(events, last + 3);
        assert_next(events, last + 4);
        assert_none(events, 30);
    }
    bursar_events_close(events);
}

/* While the log cannot be read the error is told, and nothing is lost or given twice. */
static void test_log_unavailable(void **state)
{
    struct fake *fake = *state;
    struct bursar_event event;
    struct bursar_failure failure;
    struct bursar_events *events = subscribe(fake, NULL, false, 0);
    fake_await_subscriptions(fake, EVERYTHING);
    fake_event(fake, "refreshed", "acme", true);
    assert_next(events, 1);
    fake_lose_log(fake, true);
    fake_event(fake, "refreshed", "acme", false);
    fake_event(fake, "refreshed", "acme", true);
    int result = bursar_events_next(events, PATIENCE_MS, &event, &failure);
    assert_int_equal(result, BURSAR_E_STORE_UNAVAILABLE);
    /* It is asked again only a second later, by which a busy machine may be late already. */
    for (int i = 0; i < 8 && result == BURSAR_E_STORE_UNAVAILABLE; i++)
        result = bursar_events_next(events, 0, &event, &failure);
    assert_int_equal(result, BURSAR_E_DEADLINE_EXCEEDED);
    fake_lose_log(fake, false);
    assert_next(events, 2);
    assert_next(events, 3);
    bursar_events_close(events);
}

/* With poll(2), as a program with a loop of its own would. */
static void test_fd(void **state)
{
    struct fake *fake = *state;
    struct bursar_events *events = subscribe(fake, NULL, false, 0);
    uint64_t expected = 1;
    int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
    fake_await_subscriptions(fake, EVERYTHING);
    for (int i = 0; i < 50; i++)
        fake_event(fake, "refreshed", "acme", i % 10 != 3);
    while (expected <= 50 && clock_boot_ms() < until_ms) {
        struct bursar_event event;
        struct pollfd item = {bursar_events_fd(events), POLLIN, 0};
        while (bursar_events_next(events, 0, &event, NULL) == 0)
            assert_int_equal(event.seq, expected++);
        if (expected <= 50)
            poll(&item, 1, PATIENCE_MS);
    }
    assert_int_equal(expected, 51);
    bursar_events_close(events);
}

static void test_no_daemon(void **state)
{
    struct fake *fake = *state;
    struct bursar_client_options options = fake_options(fake);
    struct bursar_events *events = NULL;
    struct bursar_failure failure;
    fake_refuse(fake, true);
    assert_int_equal(bursar_events_open(&options, NULL, false, 0, &events, &failure),
                     BURSAR_E_FORBIDDEN);
    options.events_endpoint = "ipc:///tmp/bursar-test-nobody";
    options.connect_timeout_ms = 100;
    assert_int_equal(bursar_events_open(&options, NULL, false, 0, &events, &failure),
                     BURSAR_E_NO_DAEMON);
    assert_null(events);
}

int main(void)
{
#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_wanted),
        WITH_FAKE(test_live),
        WITH_FAKE(test_gap),
        WITH_FAKE(test_gap_shown_by_alive),
        WITH_FAKE(test_since),
        WITH_FAKE(test_topics),
        WITH_FAKE(test_reconnect),
        WITH_FAKE(test_log_unavailable),
        WITH_FAKE(test_fd),
        WITH_FAKE(test_no_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
