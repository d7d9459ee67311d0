/* Replies' memory: it comes back from another thread, bounded, and nothing is left behind. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mailbox.h"
#include "broker/frame_pool.h"

enum { MAX = 1 << 20, ROUNDS = 50000 };

static struct frame *begin(struct frame_pool *pool, const char *text)
{
    struct buf buf = frame_pool_take(pool, MAX);
    buf_append_string(&buf, text);
    return frame_pool_begin(pool, &buf);
}

static void test_memory_comes_back(void **state)
{
    (void)state;
    struct frame_pool *pool = frame_pool_new();
    struct frame *frame = begin(pool, "a reply");
    const void *data = frame->data;
    assert_int_equal(frame->len, strlen("a reply"));
    assert_true(frame->cap >= FRAME_POOL_BYTES);
    frame_pool_end(frame);
    struct buf again = frame_pool_take(pool, MAX);
    assert_ptr_equal(again.data, data);
    assert_int_equal(again.len, 0);
    assert_int_equal(again.max, MAX);
    struct buf other = frame_pool_take(pool, MAX);
    assert_ptr_not_equal(other.data, data);
    buf_free(&other);
    buf_free(&again); /* as one that is not sent after all */
    frame_pool_release(pool);
}

/* A buffer from elsewhere, and one that has grown, are frames like any other, and end as such. */
static void test_other_memory(void **state)
{
    (void)state;
    struct frame_pool *pool = frame_pool_new();
    struct buf own = buf_make(MAX), grown = frame_pool_take(pool, MAX);
    buf_append_string(&own, "short");
    for (size_t i = 0; i < FRAME_POOL_LARGEST; i++)
        buf_append_byte(&grown, 'x');
    frame_pool_end(frame_pool_begin(pool, &own));
    frame_pool_end(frame_pool_begin(pool, &grown));
    struct buf buf = frame_pool_take(pool, MAX);
    assert_int_equal(buf.cap, FRAME_POOL_BYTES); /* a new one: neither was kept */
    for (size_t i = 0; i < FRAME_POOL_BYTES; i++)
        buf_append_byte(&buf, 'y');
    assert_int_equal(buf_error(&buf), 0); /* it grows as a buffer does */
    buf_free(&buf);
    frame_pool_release(pool);
}

static void test_no_more_than_so_many(void **state)
{
    (void)state;
    static struct frame *frames[FRAME_POOL_KEPT + 10];
    const size_t count = sizeof frames / sizeof frames[0];
    struct frame_pool *pool = frame_pool_new();
    for (size_t i = 0; i < count; i++)
        frames[i] = begin(pool, "x");
    const void *last_kept = frames[FRAME_POOL_KEPT - 1]->data;
    for (size_t i = 0; i < count; i++)
        frame_pool_end(frames[i]);
    struct buf buf = frame_pool_take(pool, MAX);
    assert_ptr_equal(buf.data, last_kept); /* the ten after it were freed */
    buf_free(&buf);
    frame_pool_release(pool);
}

/* ZeroMQ may have frames when the dispatcher has ended. */
static void test_outlives_its_owner(void **state)
{
    (void)state;
    struct frame_pool *pool = frame_pool_new();
    struct frame *frame = begin(pool, "late");
    frame_pool_release(pool);
    assert_memory_equal(frame->data, "late", 4);
    frame_pool_end(frame); /* a sanitizer sees what is left */
}

/* ---- two threads ----------------------------------------------------------------------------------- */

struct letter {
    struct mail mail;
    struct frame *frame;
};

static void *end_frames(void *context)
{
    struct mailbox *box = context;
    size_t ended = 0, wrong = 0;
    while (ended < ROUNDS) {
        mailbox_wait(box, -1);
        for (struct mail *mail = mailbox_take(box), *next; mail; mail = next, ended++) {
            struct letter *letter = (struct letter *)mail;
            next = mail->next;
            wrong += letter->frame->len != 5 || memcmp(letter->frame->data, "frame", 5) != 0;
            memset(letter->frame->data, 0, letter->frame->len);
            frame_pool_end(letter->frame);
            free(letter);
        }
    }
    return (void *)wrong;
}

static void test_two_threads(void **state)
{
    (void)state;
    struct mailbox box;
    pthread_t thread;
    void *wrong = NULL;
    struct frame_pool *pool = frame_pool_new();
    assert_int_equal(mailbox_init(&box), 0);
    assert_int_equal(pthread_create(&thread, NULL, end_frames, &box), 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct letter *letter = calloc(1, sizeof *letter);
        assert_non_null(letter);
        letter->frame = begin(pool, "frame");
        mailbox_send(&box, &letter->mail);
    }
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong); /* every frame came as it was sent */
    mailbox_fini(&box);
    frame_pool_release(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_comes_back),    cmocka_unit_test(test_other_memory),
        cmocka_unit_test(test_no_more_than_so_many), cmocka_unit_test(test_outlives_its_owner),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
