#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fixture.h"
#include "store/event.h"
#include "wire/tree.h"

#define T(s) TEXT_LITERAL(s)

static void test_topics(void **state)
{
    (void)state;
    static const struct {
        struct event event;
        const char *topic;
    } cases[] = {
        {{.type = EVENT_REAUTH,
          .owner = T("acme"),
          .provider = T("github"),
          .connection = T("github.01")},
         "reauth/acme/github/github.01"},
        {{.type = EVENT_IN_DOUBT,
          .owner = T("a/b c%ü"),
          .provider = T("p_1-2"),
          .connection = T("~")},
         "in_doubt/a%2Fb%20c%25%C3%BC/p_1-2/~"},
        {{.type = EVENT_INCIDENT, .provider = T("github")}, "incident/-/github/-"},
        {{.type = EVENT_ALIVE}, "alive/-/-/-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf topic = buf_make(200);
        event_topic(&cases[i].event, &topic);
        assert_true(text_is(buf_text(&topic), cases[i].topic));
        buf_free(&topic);
    }
}

static const struct node *read_body(struct tree *tree, const struct event *event, struct buf *body)
{
    buf_clear(body);
    event_body(event, body);
    assert_int_equal(buf_error(body), 0);
    assert_int_equal(tree_fill(tree, buf_text(body)), 0);
    return tree_root(tree);
}

static bool says(const struct node *map, const char *key, const char *value)
{
    return text_is(node_text(node_get(map, key)), value);
}

static void test_bodies(void **state)
{
    (void)state;
    struct tree *tree = tree_new();
    struct buf body = buf_make(1000);
    struct event event = {.seq = 7,
                          .at_ms = NOW_MS,
                          .type = EVENT_REAUTH,
                          .owner = T("acme"),
                          .provider = T("github"),
                          .account = T("a"),
                          .connection = T("c.1"),
                          .state = CONN_NEEDS_REAUTH,
                          .generation = 3,
                          .tags = T("\x91\xa1t"),
                          .reason = {T("invalid_grant"), "grant", 400, T("bad_token"), NULL}};
    const struct node *map = read_body(tree, &event, &body);
    assert_int_equal(node_count(map), 11);
    assert_true(node_uint(node_get(map, "seq")) == 7);
    assert_true(node_int(node_get(map, "at_ms")) == NOW_MS);
    assert_true(says(map, "type", "reauth") && says(map, "owner", "acme"));
    assert_true(says(map, "provider", "github") && says(map, "account", "a"));
    assert_true(says(map, "connection", "c.1") && says(map, "state", "NEEDS_REAUTH"));
    assert_true(node_uint(node_get(map, "generation")) == 3);
    assert_true(text_is(node_text(node_item(node_get(map, "tags"), 0)), "t"));
    const struct node *reason = node_get(map, "reason");
    assert_int_equal(node_count(reason), 4);
    assert_true(says(reason, "code", "invalid_grant") && says(reason, "class", "grant"));
    assert_true(node_uint(node_get(reason, "http_status")) == 400);
    assert_true(says(reason, "provider_error", "bad_token"));

    event.reason = (struct event_reason){T("lost_in_flight"), "provider", 0, {NULL, 0}, NULL};
    reason = node_get(read_body(tree, &event, &body), "reason");
    assert_int_equal(node_count(reason), 2);

    event = (struct event){.seq = 8,
                           .type = EVENT_INCIDENT,
                           .provider = T("github"),
                           .reason = {T("invalid_client"), "client", 401, {NULL, 0}, NULL},
                           .phase = "begin"};
    map = read_body(tree, &event, &body);
    assert_int_equal(node_count(map), 6);
    assert_true(says(map, "phase", "begin"));
    event = (struct event){.seq = 8, .type = EVENT_ALIVE};
    map = read_body(tree, &event, &body);
    assert_int_equal(node_count(map), 3);
    buf_free(&body);
    tree_free(tree);
}

/* ---- what a change makes of it --------------------------------------------------------------- */

/* Applies changes in one batch and gives the event with this number of it. */
static const struct node *event_of(struct fixture *f, struct tree *tree, struct store_change change,
                                   const char *topic)
{
    struct store_change *changes[] = {&change};
    struct store_batch batch = {.changes = changes, .count = 1};
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    assert_int_equal(change.result, 0);
    assert_int_equal(batch.event_count, 1);
    assert_true(text_is(batch.events[0].topic, topic));
    assert_int_equal(tree_fill(tree, batch.events[0].body), 0);
    assert_true(node_uint(node_get(tree_root(tree), "seq")) == change.event_seq);
    return tree_root(tree);
}

static void test_of_changes(void **state)
{
    struct fixture *f = *state;
    struct tree *tree = tree_new();
    struct store_change put = change_put("c.1", "an account", 0);
    put.owner = T("ac me");
    put.tags = T("\x91\xa1t");
    const struct node *map = event_of(f, tree, put, "connected/ac%20me/github/c.1");
    assert_true(says(map, "owner", "ac me") && says(map, "account", "an account"));
    assert_true(says(map, "state", "ACTIVE") && node_uint(node_get(map, "generation")) == 1);
    assert_true(text_is(node_text(node_item(node_get(map, "tags"), 0)), "t"));
    assert_true(node_int(node_get(map, "at_ms")) == NOW_MS);
    assert_null(node_get(map, "reason"));

    struct store_change failed = change_failed("c.1", 1, MOVE_REFUSED, VERDICT_GRANT);
    failed.owner = (struct text){NULL, 0};
    map = event_of(f, tree, failed, "reauth/ac%20me/github/c.1");
    assert_true(says(map, "state", "NEEDS_REAUTH") && node_uint(node_get(map, "generation")) == 1);
    const struct node *reason = node_get(map, "reason");
    assert_true(says(reason, "code", "the_reason") && says(reason, "class", "grant"));
    assert_true(node_uint(node_get(reason, "http_status")) == 418);
    assert_true(says(reason, "provider_error", "their_code"));

    struct store_change move = change_move("c.1", MOVE_DELETE);
    move.owner = (struct text){NULL, 0};
    map = event_of(f, tree, move, "deleted/ac%20me/github/c.1");
    assert_true(says(map, "account", "an account"));
    assert_true(text_is(node_text(node_item(node_get(map, "tags"), 0)), "t"));
    assert_null(node_get(map, "state"));
    tree_free(tree);
}

/* The log and the publisher have the same bytes, also of a large batch. */
static bool compare_body(void *context, uint64_t seq, struct text owner, struct text body)
{
    struct store_batch *batch = context;
    assert_true(text_is(owner, "acme"));
    assert_true(seq >= 1 && seq <= batch->event_count);
    assert_true(batch->events[seq - 1].seq == seq);
    assert_true(text_equal(batch->events[seq - 1].body, body));
    return true;
}

static void test_large_batch(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 300 };
    static struct store_change changes[COUNT];
    static char ids[COUNT][16];
    struct store_change *list[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ids[i][0] = 'c';
        ids[i][1] = (char)('a' + i / 20);
        ids[i][2] = (char)('a' + i % 20);
        changes[i] = change_put(ids[i], ids[i], 0);
        list[i] = &changes[i];
    }
    struct store_batch batch = {.changes = list, .count = COUNT};
    assert_int_equal(f->engine->apply(f->writer, &batch), 0);
    assert_int_equal(batch.event_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct text topic = batch.events[i].topic;
        assert_int_equal(changes[i].event_seq, i + 1);
        assert_memory_equal(topic.data + topic.len - 3, ids[i], 3);
    }
    assert_int_equal(f->engine->events(f->reader, 0, COUNT, compare_body, &batch), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_bodies),
        TEST(test_of_changes),
        TEST(test_large_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
