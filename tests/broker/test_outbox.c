/* Replies that are sent together: who is alone does not wait, and of many nobody waits for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zmq.h>

#include "broker/outbox.h"

enum { MANY = 200, WAIT_MS = 5000 };

struct fixture {
    void *context, *server, *client;
    char peer[16];
    size_t peer_len;
    struct outbox *outbox;
    int sent, received;
};

/* Over ipc or tcp what was sent is somewhere on its way; what goes by inproc is with the client when zmq_msg_send()
 * returns. */
static int set_up(void **state)
{
    struct fixture *f = *state = calloc(1, sizeof *f);
    int no_limit = 0, wait_ms = WAIT_MS;
    f->context = zmq_ctx_new();
    f->server = zmq_socket(f->context, ZMQ_ROUTER);
    f->client = zmq_socket(f->context, ZMQ_DEALER);
    zmq_setsockopt(f->server, ZMQ_SNDHWM, &no_limit, sizeof no_limit);
    zmq_setsockopt(f->server, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    zmq_setsockopt(f->client, ZMQ_RCVHWM, &no_limit, sizeof no_limit);
    assert_int_equal(zmq_bind(f->server, "inproc://outbox"), 0);
    assert_int_equal(zmq_connect(f->client, "inproc://outbox"), 0);
    assert_int_equal(zmq_send(f->client, "hello", 5, 0), 5);
    f->peer_len = (size_t)zmq_recv(f->server, f->peer, sizeof f->peer, 0);
    assert_int_equal(zmq_recv(f->server, NULL, 0, 0), 5);
    f->outbox = outbox_new(f->server);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int none = 0;
    outbox_free(f->outbox);
    zmq_setsockopt(f->server, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(f->client, ZMQ_LINGER, &none, sizeof none);
    zmq_close(f->server);
    zmq_close(f->client);
    zmq_ctx_term(f->context);
    free(f);
    return 0;
}

static void fill(zmq_msg_t *frame, const void *bytes, size_t len)
{
    assert_int_equal(zmq_msg_init_size(frame, len), 0);
    if (len > 0)
        memcpy(zmq_msg_data(frame), bytes, len);
}

/* The next reply, whose number is its body; to whoever has this routing id. */
static void add_to(struct fixture *f, const char *peer, size_t peer_len)
{
    zmq_msg_t envelope[2], body;
    fill(&envelope[0], peer, peer_len);
    fill(&envelope[1], NULL, 0);
    fill(&body, &f->sent, sizeof f->sent);
    f->sent++;
    outbox_add(f->outbox, envelope, 2, &body);
}

static void add(struct fixture *f, int count)
{
    while (count-- > 0)
        add_to(f, f->peer, f->peer_len);
}

/* How many replies the client has got since the last call, all in their order and whole. */
static int take(struct fixture *f)
{
    int number, count = 0;
    while (zmq_recv(f->client, NULL, 0, ZMQ_DONTWAIT) == 0) {
        assert_int_equal(zmq_recv(f->client, &number, sizeof number, 0), sizeof number);
        assert_int_equal(number, f->received++);
        count++;
    }
    return count;
}

static void test_alone_goes_at_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        add(f, 1);
        assert_int_equal(take(f), 1);
        outbox_flush(f->outbox);
    }
}

static void test_more_go_together(void **state)
{
    struct fixture *f = *state;
    int before[OUTBOX_REPLIES + 1] = {0}, times = 0;
    for (int i = 0; i < MANY; i++) {
        add(f, 1);
        int count = take(f);
        assert_in_range(count, 0, OUTBOX_REPLIES);
        if (count > 0 && times <= OUTBOX_REPLIES)
            before[times++] = count;
    }
    /* In a turn that nobody foresaw: 1, 2, 4, 8, 16, 16 … */
    for (int i = 1; i < 5; i++)
        assert_int_equal(before[i], before[i - 1] * 2);
    assert_int_equal(before[4], OUTBOX_REPLIES);
    assert_int_equal(before[5], OUTBOX_REPLIES);
    outbox_flush(f->outbox);
    take(f);
    assert_int_equal(f->received, MANY);
}

static void test_as_many_as_the_turn_before(void **state)
{
    struct fixture *f = *state;
    add(f, 5);
    outbox_flush(f->outbox);
    assert_int_equal(take(f), 5);
    add(f, 4);
    assert_int_equal(take(f), 0);
    add(f, 1);
    assert_int_equal(take(f), 5);
    outbox_flush(f->outbox);
    outbox_flush(f->outbox); /* a turn without any says nothing */
    add(f, 2);
    assert_int_equal(take(f), 0);
    outbox_flush(f->outbox);
    assert_int_equal(take(f), 2);
}

static void test_it_says_what_was_sent(void **state)
{
    struct fixture *f = *state;
    assert_false(outbox_has_sent(f->outbox));
    outbox_flush(f->outbox);
    assert_false(outbox_has_sent(f->outbox));
    add(f, 1);
    assert_true(outbox_has_sent(f->outbox));
    assert_false(outbox_has_sent(f->outbox));
    add(f, 1);
    assert_false(outbox_has_sent(f->outbox)); /* it waits for another one */
    outbox_flush(f->outbox);
    assert_true(outbox_has_sent(f->outbox));
}

/* The reply to one who is gone is dropped whole, and the others are as they were. */
static void test_a_peer_that_is_gone(void **state)
{
    struct fixture *f = *state;
    int must = 1;
    zmq_setsockopt(f->server, ZMQ_ROUTER_MANDATORY, &must, sizeof must);
    add(f, 4);
    outbox_flush(f->outbox);
    add(f, 1);
    add_to(f, "gone", 4);
    f->sent--; /* nobody gets that number */
    add(f, 2);
    outbox_flush(f->outbox);
    take(f);
    assert_int_equal(f->received, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alone_goes_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_go_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_as_many_as_the_turn_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_says_what_was_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_peer_that_is_gone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
