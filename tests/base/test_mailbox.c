#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mailbox.h"

enum { SENDERS = 4, EACH = 100000, PATIENCE_MS = 20000 };

struct message {
    struct mail mail; /* first: a struct mail * is a struct message * */
    int sender;
    int number;
};

struct sender {
    struct mailbox *box;
    struct message *messages;
    int index;
    pthread_t thread;
};

static bool is_readable(const struct mailbox *box)
{
    struct pollfd fd = {.fd = mailbox_fd(box), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void test_one_thread(void **state)
{
    (void)state;
    struct mailbox box;
    struct message messages[3] = {{{NULL}, 0, 0}, {{NULL}, 0, 1}, {{NULL}, 0, 2}};
    assert_int_equal(mailbox_init(&box), 0);
    assert_false(is_readable(&box));
    assert_null(mailbox_take(&box));
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 3; i++) {
            mailbox_send(&box, &messages[i].mail);
            assert_true(is_readable(&box));
        }
        mailbox_wait(&box, -1);
        struct mail *mail = mailbox_take(&box);
        for (size_t i = 0; i < 3; i++, mail = mail->next)
            assert_ptr_equal(mail, &messages[i].mail);
        assert_null(mail);
        assert_false(is_readable(&box));
        assert_null(mailbox_take(&box));
    }
    mailbox_wait(&box, 0);
    int64_t begun_ms = clock_boot_ms();
    mailbox_wait(&box, 30); /* nothing comes */
    assert_in_range(clock_boot_ms() - begun_ms, 29, 10000);
    mailbox_fini(&box);
    assert_int_equal(box.event_fd, -1);
    mailbox_fini(&box);
}

/* Several at once come in their order, behind what was sent before, and wake whoever waits. */
static void test_several(void **state)
{
    (void)state;
    struct mailbox box;
    struct message messages[4] = {{{NULL}, 0, 0}, {{NULL}, 0, 1}, {{NULL}, 0, 2}, {{NULL}, 0, 3}};
    assert_int_equal(mailbox_init(&box), 0);
    for (size_t round = 0; round < 2; round++) {
        size_t first = round; /* of those that are sent together: the box is empty, or not */
        if (first > 0)
            mailbox_send(&box, &messages[0].mail);
        for (size_t i = first + 1; i < 4; i++)
            messages[i].mail.next = &messages[i - 1].mail;
        mailbox_send_all(&box, &messages[3].mail, &messages[first].mail);
        assert_true(is_readable(&box));
        struct mail *mail = mailbox_take(&box);
        for (size_t i = 0; i < 4; i++, mail = mail->next)
            assert_ptr_equal(mail, &messages[i].mail);
        assert_null(mail);
        assert_false(is_readable(&box));
    }
    mailbox_fini(&box);
}

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    for (int i = 0; i < EACH; i++) {
        sender->messages[i] = (struct message){{NULL}, sender->index, i};
        mailbox_send(sender->box, &sender->messages[i].mail);
    }
    return NULL;
}

/* Takes what is there; each sender's messages come in the order in which they were sent. */
static size_t receive(struct mailbox *box, int *expected)
{
    size_t count = 0;
    for (struct mail *mail = mailbox_take(box); mail; count++) {
        struct message *message = (struct message *)(void *)mail;
        mail = mail->next;
        if (message->number != expected[message->sender]++)
            fail_msg("sender %d: %d", message->sender, message->number);
    }
    return count;
}

/* The reader sleeps for ever when there is nothing: a wakeup that was lost would be seen. */
static void test_many_threads(void **state)
{
    (void)state;
    struct mailbox box;
    struct sender senders[SENDERS];
    int expected[SENDERS] = {0};
    size_t count = 0;
    assert_int_equal(mailbox_init(&box), 0);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&box, calloc(EACH, sizeof(struct message)), i, 0};
        assert_non_null(senders[i].messages);
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    while (count < (size_t)SENDERS * EACH) {
        struct pollfd fd = {.fd = mailbox_fd(&box), .events = POLLIN};
        if (poll(&fd, 1, PATIENCE_MS) != 1)
            fail_msg("nothing wakes after %zu messages", count);
        count += receive(&box, expected);
    }
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        assert_int_equal(expected[i], EACH);
        free(senders[i].messages);
    }
    assert_null(mailbox_take(&box));
    assert_false(is_readable(&box));
    mailbox_fini(&box);
}

/* ---- one message there, one back: every send finds the other side asleep or about to be ------- */

enum { TURNS = 30000 };

struct player {
    struct mailbox own;
    struct mailbox *other;
    struct message ball;
};

static void *play(void *argument)
{
    struct player *player = argument;
    for (int turn = 0; turn < TURNS;) {
        mailbox_wait(&player->own, PATIENCE_MS);
        struct mail *mail = mailbox_take(&player->own);
        if (!mail)
            continue;
        turn++;
        mailbox_send(player->other, mail);
    }
    return NULL;
}

static void test_ping_pong(void **state)
{
    (void)state;
    struct player a, b;
    pthread_t threads[2];
    assert_int_equal(mailbox_init(&a.own), 0);
    assert_int_equal(mailbox_init(&b.own), 0);
    a.other = &b.own;
    b.other = &a.own;
    a.ball = (struct message){0};
    mailbox_send(&a.own, &a.ball.mail);
    assert_int_equal(pthread_create(&threads[0], NULL, play, &a), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, play, &b), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_ptr_equal(mailbox_take(&a.own), &a.ball.mail);
    mailbox_fini(&a.own);
    mailbox_fini(&b.own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_ping_pong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
