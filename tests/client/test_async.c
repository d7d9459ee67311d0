#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <bursar/client.h>

#include "base/clock.h"
#include "fake.h"
#include "quickest.h"

struct fixture {
    struct fake *fake;
    struct bursar_async *async;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->fake = fake_new();
    struct bursar_client_options options = fake_options(fixture->fake);
    *state = fixture;
    return bursar_async_open(&options, &fixture->async);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    bursar_async_close(fixture->async);
    fake_free(fixture->fake);
    free(fixture);
    return 0;
}

/* What a test knows of one job. */
struct one {
    char account[24];
    unsigned times; /* that it was done; must become 1 */
    int error;
    bool is_mine; /* the token was the account */
    uint64_t job;
    struct bursar_async *async; /* submit another one from inside */
    struct one *next;
    struct bursar_failure failure;
    char *json;
};

static void done_one(void *data, const struct bursar_done *done);

static int submit(struct bursar_async *async, struct one *one, const char *owner,
                  uint32_t deadline_ms)
{
    const struct bursar_target target = {
        .owner = owner, .provider = "prov", .account = one->account};
    const struct bursar_vend_options options = {.deadline_ms = deadline_ms};
    return bursar_async_vend(async, &target, &options, done_one, one, &one->job);
}

static void done_one(void *data, const struct bursar_done *done)
{
    struct one *one = data;
    one->times++;
    one->error = done->error;
    one->failure = *done->failure;
    one->is_mine = done->job == one->job && done->grant->token &&
                   strcmp(done->grant->token, one->account) == 0;
    one->json = done->reply_json ? strdup(done->reply_json) : NULL;
    if (one->next)
        assert_int_equal(submit(one->async, one->next, "acme", 0), 0);
}

/* As a program's loop: waits for the descriptor, and handles what is there. */
static size_t process_until(struct bursar_async *async, size_t wanted)
{
    struct pollfd fd = {.fd = bursar_async_fd(async), .events = POLLIN};
    int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
    size_t count = 0;
    while (count < wanted && clock_boot_ms() < until_ms) {
        if (poll(&fd, 1, (int)(until_ms - clock_boot_ms())) > 0)
            count += bursar_async_process(async);
    }
    return count;
}

static struct one *ones_new(size_t count)
{
    struct one *ones = calloc(count, sizeof *ones);
    assert_non_null(ones);
    for (size_t i = 0; i < count; i++)
        snprintf(ones[i].account, sizeof ones[i].account, "a%zu", i);
    return ones;
}

static struct bursar_async *open_with(struct fixture *fixture, uint32_t max_jobs,
                                      uint32_t connect_timeout_ms)
{
    struct bursar_client_options options = fake_options(fixture->fake);
    struct bursar_async *async = NULL;
    options.max_jobs = max_jobs;
    options.connect_timeout_ms = connect_timeout_ms;
    assert_int_equal(bursar_async_open(&options, &async), 0);
    return async;
}

/* ---- what is sent and what comes back --------------------------------------------------------- */

static void test_ops(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_async *async = fixture->async;
    const struct bursar_target target = {.owner = "acme", .connection = "prov.0123"};
    const struct bursar_invalidate_options refused = {.generation = 3, .vend = true};
    const struct bursar_part parts[] = {{"token", "t"}};
    const struct bursar_put put = {.kind = "bearer", .parts = parts, .part_count = 1};
    struct one *ones = ones_new(4);
    static const char *const jobs[] = {
        "{\"op\":\"refresh\",\"deadline_ms\":50000,\"owner\":\"acme\",\"connection\":\"prov.0123\","
        "\"force\":true}",
        "{\"op\":\"invalidate\",\"deadline_ms\":50000,\"owner\":\"acme\","
        "\"connection\":\"prov.0123\",\"generation\":3,\"vend\":true}",
        "{\"op\":\"credential.put\",\"deadline_ms\":50000,\"owner\":\"acme\","
        "\"connection\":\"prov.0123\",\"secret\":{\"kind\":\"bearer\",\"token\":\"t\"}}",
        "{\"op\":\"whoami\",\"deadline_ms\":77000,\"x\":[1]}"};
    for (size_t i = 0; i < 4; i++) {
        int error =
            i == 0   ? bursar_async_refresh(async, &target, true, done_one, &ones[i], NULL)
            : i == 1 ? bursar_async_invalidate(async, &target, &refused, done_one, &ones[i], NULL)
            : i == 2 ? bursar_async_put(async, &target, &put, done_one, &ones[i], NULL)
                     : bursar_async_call(async, "whoami", "{\"x\": [1], \"deadline_ms\": 77000}",
                                         done_one, &ones[i], NULL);
        assert_int_equal(error, 0);
        assert_int_equal(process_until(async, 1), 1);
        assert_int_equal(ones[i].error, 0);
        assert_int_equal(ones[i].times, 1);
        assert_string_equal(fake_last_job(fixture->fake), jobs[i]);
    }
    assert_non_null(strstr(ones[3].json, "\"principal\":\"uid:7\""));
    free(ones[3].json);
    free(ones);
}

static void test_errors(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(4);
    assert_int_equal(submit(fixture->async, &ones[0], "broke", 0), 0);
    assert_int_equal(submit(fixture->async, &ones[1], "silent", 100), 0);
    assert_int_equal(bursar_async_call(fixture->async, "vend", "{\"owner\": \"broke\"}", done_one,
                                       &ones[2], NULL),
                     0);
    assert_int_equal(submit(fixture->async, &ones[3], "garbage", 100), 0);
    assert_int_equal(process_until(fixture->async, 4), 4);
    assert_int_equal(ones[0].error, BURSAR_E_NEEDS_REAUTH);
    assert_string_equal(ones[0].failure.message,
                        "the grant of acme at prov is dead: connect again");
    assert_string_equal(ones[0].failure.provider_error, "invalid_grant");
    assert_int_equal(ones[1].error, BURSAR_E_DEADLINE_EXCEEDED);
    assert_true(ones[1].failure.is_retryable);
    assert_int_equal(ones[2].error, BURSAR_E_NEEDS_REAUTH);
    assert_non_null(strstr(ones[2].json, "\"ok\":false"));
    assert_int_equal(ones[3].error, BURSAR_E_DEADLINE_EXCEEDED); /* nobody knows whose it was */
    assert_int_equal(bursar_async_call(fixture->async, "vend", "[]", done_one, &ones[2], NULL),
                     BURSAR_E_BAD_REQUEST);
    assert_int_equal(bursar_async_process(fixture->async), 0);
    free(ones[2].json);
    free(ones);
}

static char *big_request(size_t size)
{
    char *request = malloc(size + 32);
    strcpy(request, "{\"x\":\"");
    memset(request + 6, 'a', size);
    strcpy(request + 6 + size, "\"}");
    return request;
}

/* The daemon cannot say whose job was too big; its own submitter hears of it, and no other. */
static void test_too_big(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(4);
    char *big = big_request(70000);
    char *bigger = big_request(140000);
    char *biggest = big_request(17 << 20);
    assert_int_equal(submit(fixture->async, &ones[0], "slow", 0), 0);
    assert_int_equal(bursar_async_call(fixture->async, "x", big, done_one, &ones[1], NULL), 0);
    assert_int_equal(bursar_async_call(fixture->async, "x", bigger, done_one, &ones[2], NULL), 0);
    assert_int_equal(bursar_async_call(fixture->async, "x", biggest, done_one, &ones[3], NULL),
                     BURSAR_E_BAD_REQUEST);
    assert_int_equal(process_until(fixture->async, 3), 3);
    assert_int_equal(ones[0].error, 0);
    assert_true(ones[0].is_mine);
    for (size_t i = 1; i <= 2; i++) {
        assert_int_equal(ones[i].error, BURSAR_E_BAD_REQUEST);
        assert_int_equal(ones[i].times, 1);
        free(ones[i].json);
    }
    free(big);
    free(bigger);
    free(biggest);
    free(ones);
}

/* ---- many ------------------------------------------------------------------------------------- */

enum { MANY = 1000 };

static void test_many(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(submit(fixture->async, &ones[i], "acme", 0), 0);
    assert_int_equal(process_until(fixture->async, MANY), MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(ones[i].times, 1);
        assert_int_equal(ones[i].error, 0);
        assert_true(ones[i].is_mine);
    }
    free(ones);
}

/* Edge-triggered waiting loses nothing either; and jobs are submitted from inside of others. */
static void test_chain_with_edges(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(200);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    size_t count = 0;
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, bursar_async_fd(fixture->async), &event),
                     0);
    for (size_t i = 0; i < 199; i++) {
        ones[i].async = fixture->async;
        ones[i].next = &ones[i + 1];
    }
    assert_int_equal(submit(fixture->async, &ones[0], "acme", 0), 0);
    while (count < 200 && epoll_wait(epoll_fd, &event, 1, PATIENCE_MS) == 1)
        count += bursar_async_process(fixture->async);
    assert_int_equal(count, 200);
    for (size_t i = 0; i < 200; i++)
        assert_true(ones[i].times == 1 && ones[i].is_mine);
    close(epoll_fd);
    free(ones);
}

struct submitter {
    struct bursar_async *async;
    struct one *ones;
    atomic_uint cancelled;
};

enum { THREADS = 4, EACH = 100 };

static void *submit_many(void *data)
{
    struct submitter *submitter = data;
    for (size_t i = 0; i < EACH; i++) {
        if (submit(submitter->async, &submitter->ones[i], "acme", 0) != 0)
            return data;
        if (i % 10 == 9 && bursar_async_cancel(submitter->async, submitter->ones[i].job))
            atomic_fetch_add(&submitter->cancelled, 1);
    }
    return NULL;
}

/* Several threads submit and cancel while one handles: each job is done once, or was cancelled. */
static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(THREADS * EACH);
    struct submitter submitters[THREADS];
    pthread_t threads[THREADS];
    size_t cancelled = 0;
    size_t done = 0;
    for (size_t i = 0; i < THREADS; i++) {
        submitters[i].async = fixture->async;
        submitters[i].ones = ones + i * EACH;
        atomic_init(&submitters[i].cancelled, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    done += process_until(fixture->async, THREADS * EACH / 2);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
        cancelled += atomic_load(&submitters[i].cancelled);
    }
    if (done < THREADS * EACH - cancelled)
        done += process_until(fixture->async, THREADS * EACH - cancelled - done);
    assert_int_equal(done + cancelled, THREADS * EACH);
    size_t times = 0;
    for (size_t i = 0; i < THREADS * EACH; i++) {
        assert_true(ones[i].times <= 1);
        times += ones[i].times;
    }
    assert_int_equal(times, done);
    free(ones);
}

/* ---- cancelling and closing ------------------------------------------------------------------- */

static void test_cancel(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_async *async = open_with(fixture, 2, 2000);
    struct one *ones = ones_new(4);
    assert_int_equal(submit(async, &ones[0], "slow", 0), 0);
    assert_int_equal(submit(async, &ones[1], "silent", 0), 0);
    assert_int_equal(submit(async, &ones[2], "acme", 0), BURSAR_E_OVERLOADED);
    fake_await_jobs(fixture->fake, "vend", 2);
    assert_true(bursar_async_cancel(async, ones[1].job));
    assert_false(bursar_async_cancel(async, ones[1].job));
    assert_int_equal(process_until(async, 1), 1);
    assert_true(ones[0].is_mine);
    assert_false(bursar_async_cancel(async, ones[0].job));
    assert_int_equal(submit(async, &ones[2], "acme", 0), 0); /* both places are free again */
    assert_int_equal(submit(async, &ones[3], "acme", 0), 0);
    assert_int_equal(process_until(async, 2), 2);
    assert_true(ones[2].is_mine && ones[3].is_mine);
    assert_int_equal(ones[1].times, 0);
    assert_false(bursar_async_cancel(async, 0));
    assert_false(bursar_async_cancel(async, UINT64_MAX));
    bursar_async_close(async);
    free(ones);
}

/* What is cancelled before there is a daemon is not sent to it when there is one. */
static void test_cancel_unsent(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(2);
    const struct bursar_target target = {.owner = "acme", .connection = "prov.0123"};
    const struct bursar_put put = {.kind = "bearer"};
    uint64_t job = 0;
    fake_stop(fixture->fake);
    assert_int_equal(bursar_async_put(fixture->async, &target, &put, done_one, &ones[0], &job), 0);
    assert_true(bursar_async_cancel(fixture->async, job));
    fake_start(fixture->fake);
    assert_int_equal(submit(fixture->async, &ones[1], "acme", 0), 0);
    assert_int_equal(process_until(fixture->async, 1), 1);
    assert_true(ones[1].is_mine);
    assert_int_equal(ones[0].times, 0);
    assert_int_equal(fake_count(fixture->fake, "credential.put"), 0);
    free(ones);
}

/* How long closing takes. */
static int64_t close_once(void *data)
{
    struct fixture *fixture = data;
    struct bursar_async *async = open_with(fixture, 0, 0);
    struct one *ones = ones_new(3);
    assert_int_equal(submit(async, &ones[0], "silent", 0), 0);
    assert_int_equal(submit(async, &ones[1], "silent", 0), 0);
    assert_int_equal(submit(async, &ones[2], "silent", 0), 0);
    assert_true(bursar_async_cancel(async, ones[1].job));
    int64_t before_ms = clock_boot_ms();
    bursar_async_close(async);
    int64_t took_ms = clock_boot_ms() - before_ms;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ones[i].times, i != 1);
        assert_int_equal(ones[i].error, i != 1 ? BURSAR_E_SHUTTING_DOWN : 0);
    }
    assert_string_equal(ones[0].failure.message, "the client was closed before an answer came");
    free(ones);
    return took_ms;
}

static void test_close(void **state)
{
    assert_true(quickest_ms(1999, close_once, *state) < 2000);
    bursar_async_close(NULL);
}

/* ---- the daemon comes and goes ----------------------------------------------------------------- */

/* How long it is waited for a daemon that is not there. */
static int64_t find_nobody(void *data)
{
    struct fixture *fixture = data;
    struct one *ones = ones_new(2);
    struct bursar_async *async = open_with(fixture, 0, 150);
    int64_t before_ms = clock_boot_ms();
    assert_int_equal(submit(async, &ones[0], "acme", 0), 0);
    assert_int_equal(submit(async, &ones[1], "acme", 30000), 0); /* its own deadline is far away */
    assert_int_equal(process_until(async, 2), 2);
    int64_t took_ms = clock_boot_ms() - before_ms;
    assert_int_equal(ones[0].error, BURSAR_E_NO_DAEMON);
    assert_int_equal(ones[1].error, BURSAR_E_NO_DAEMON);
    assert_true(ones[0].failure.is_retryable);
    bursar_async_close(async);
    free(ones);
    return took_ms;
}

static void test_no_daemon(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_client_options options = {.jobs_endpoint = "nonsense"};
    struct bursar_async *async = NULL;
    struct one *ones = ones_new(1);
    assert_int_equal(bursar_async_open(&options, &async), BURSAR_E_BAD_REQUEST);
    options.jobs_endpoint = "nonsense://x";
    assert_int_equal(bursar_async_open(&options, &async), 0);
    assert_int_equal(submit(async, &ones[0], "acme", 0), 0);
    assert_int_equal(process_until(async, 1), 1);
    assert_int_equal(ones[0].error, BURSAR_E_BAD_REQUEST);
    bursar_async_close(async);
    free(ones);
    fake_stop(fixture->fake);
    assert_in_range(quickest_ms(1500, find_nobody, fixture), 150, 1500);
}

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(2);
    fake_refuse(fixture->fake, true);
    assert_int_equal(submit(fixture->async, &ones[0], "acme", 0), 0);
    assert_int_equal(process_until(fixture->async, 1), 1);
    assert_int_equal(ones[0].error, BURSAR_E_FORBIDDEN);
    fake_refuse(fixture->fake, false);
    assert_int_equal(submit(fixture->async, &ones[1], "acme", 0), 0);
    assert_int_equal(process_until(fixture->async, 1), 1);
    assert_true(ones[1].is_mine);
    free(ones);
}

/* Vends that were under way are asked again; what could have been done is not. */
static void test_restart(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(22);
    const struct bursar_target silent = {.owner = "silent", .connection = "prov.0123"};
    assert_int_equal(bursar_async_refresh(fixture->async, &silent, true, done_one, &ones[20], NULL),
                     0);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(submit(fixture->async, &ones[i], "slow", 0), 0);
    fake_await_jobs(fixture->fake, "vend", 20);
    fake_stop(fixture->fake);
    fake_start(fixture->fake);
    assert_int_equal(process_until(fixture->async, 21), 21);
    for (size_t i = 0; i < 20; i++)
        assert_true(ones[i].times == 1 && ones[i].is_mine);
    assert_int_equal(ones[20].error, BURSAR_E_NO_DAEMON);
    assert_int_equal(fake_count(fixture->fake, "refresh"), 1);
    assert_int_equal(fake_count(fixture->fake, "vend"), 40);
    fake_stop(fixture->fake); /* with nothing under way */
    fake_start(fixture->fake);
    assert_int_equal(submit(fixture->async, &ones[21], "acme", 0), 0);
    assert_int_equal(process_until(fixture->async, 1), 1);
    assert_true(ones[21].is_mine);
    free(ones);
}

/* The second time it is lost, it is told so. */
static void test_lost_twice(void **state)
{
    struct fixture *fixture = *state;
    struct one *ones = ones_new(1);
    assert_int_equal(submit(fixture->async, &ones[0], "silent", 0), 0);
    for (unsigned i = 1; i <= 2; i++) {
        fake_await_jobs(fixture->fake, "vend", i);
        fake_stop(fixture->fake);
        fake_start(fixture->fake);
    }
    assert_int_equal(process_until(fixture->async, 1), 1);
    assert_int_equal(ones[0].error, BURSAR_E_NO_DAEMON);
    free(ones);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_ops),
        WITH_FIXTURE(test_errors),
        WITH_FIXTURE(test_too_big),
        WITH_FIXTURE(test_many),
        WITH_FIXTURE(test_chain_with_edges),
        WITH_FIXTURE(test_threads),
        WITH_FIXTURE(test_cancel),
        WITH_FIXTURE(test_cancel_unsent),
        WITH_FIXTURE(test_close),
        WITH_FIXTURE(test_no_daemon),
        WITH_FIXTURE(test_refused),
        WITH_FIXTURE(test_restart),
        WITH_FIXTURE(test_lost_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
