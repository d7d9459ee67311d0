#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/client.h>

#include "base/clock.h"
#include "fake_client.h"
#include "quickest.h"

static struct bursar_target target_of(const char *owner, const char *account)
{
    return (struct bursar_target){.owner = owner, .provider = "prov", .account = account};
}

/* A vend, whose error comes back and whose token must be the account. */
static int vend(struct bursar_client *client, const char *owner, const char *account,
                uint32_t deadline_ms, struct bursar_failure *failure)
{
    struct bursar_target target = target_of(owner, account);
    struct bursar_vend_options options = {.deadline_ms = deadline_ms};
    struct bursar_grant grant = {0};
    int error = bursar_vend(client, &target, &options, &grant, failure);
    if (error == 0 && strcmp(grant.token, account) != 0)
        error = BURSAR_E_INTERNAL; /* somebody else's reply */
    bursar_grant_free(&grant);
    return error;
}

/* ---- what is sent and what comes back ------------------------------------------------------- */

static void test_vend(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_target target = target_of("acme", "a1");
    struct bursar_vend_options options = {
        .kind = "oauth2", .min_ttl_s = 60, .include_refresh_token = true, .deadline_ms = 123400};
    struct bursar_grant grant;
    struct bursar_failure failure;
    assert_int_equal(bursar_vend(fixture->client, &target, &options, &grant, &failure), 0);
    assert_string_equal(grant.connection, "prov.0123");
    assert_string_equal(grant.provider, "prov");
    assert_string_equal(grant.account, "a1");
    assert_int_equal(grant.generation, 7);
    assert_int_equal(grant.expires_at, 1700000000);
    assert_true(grant.is_stale);
    assert_string_equal(grant.refresh_state, "backing_off");
    assert_string_equal(grant.refresh_error, "provider_unavailable");
    assert_string_equal(grant.kind, "oauth2");
    assert_string_equal(grant.token, "a1");
    assert_string_equal(bursar_grant_part(&grant, "refresh_token"), "rt-1");
    assert_string_equal(bursar_grant_part(&grant, "instance_url"), "https://x.example");
    assert_null(bursar_grant_part(&grant, "kind"));
    assert_int_equal(grant.part_count, 4);
    bursar_grant_free(&grant);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"vend\",\"deadline_ms\":123400,\"owner\":\"acme\","
                        "\"provider\":\"prov\",\"account\":\"a1\",\"kind\":\"oauth2\","
                        "\"min_ttl_s\":60,\"include\":[\"refresh_token\"]}");
}

/* Every job says what the client's are for. */
static void test_purpose(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_client_options options = fake_options(fixture->fake);
    char purpose[] = "nightly run";
    struct bursar_client *client = NULL;
    struct bursar_failure failure;
    options.purpose = purpose;
    assert_int_equal(bursar_client_open(&options, &client), 0);
    memset(purpose, 'x', sizeof purpose - 1); /* copied */
    assert_int_equal(vend(client, "acme", "a1", 77000, &failure), 0);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"vend\",\"deadline_ms\":77000,\"purpose\":\"nightly run\","
                        "\"owner\":\"acme\",\"provider\":\"prov\",\"account\":\"a1\"}");
    bursar_client_close(client);
}

static void test_other_ops(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_target target = {.owner = "acme", .connection = "prov.0123"};
    struct bursar_grant grant;
    assert_int_equal(bursar_refresh(fixture->client, &target, true, &grant, NULL), 0);
    bursar_grant_free(&grant);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"refresh\",\"deadline_ms\":50000,\"owner\":\"acme\","
                        "\"connection\":\"prov.0123\",\"force\":true}");
    struct bursar_invalidate_options options = {
        .generation = 3, .access_token = "abc", .vend = true};
    assert_int_equal(bursar_invalidate(fixture->client, &target, &options, &grant, NULL), 0);
    bursar_grant_free(&grant);
    assert_string_equal(
        fake_last_job(fixture->fake),
        "{\"op\":\"invalidate\",\"deadline_ms\":50000,\"owner\":\"acme\","
        "\"connection\":\"prov.0123\",\"generation\":3,\"access_token_sha256\":"
        "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"vend\":true}");
    target = (struct bursar_target){.ref = "warehouse"};
    assert_int_equal(bursar_vend(fixture->client, &target, NULL, &grant, NULL), BURSAR_OK);
    bursar_grant_free(&grant);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"vend\",\"deadline_ms\":50000,\"ref\":\"warehouse\"}");
}

static void test_put(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_target target = target_of("acme", "a1");
    const struct bursar_part parts[] = {{"access_token", "at"}, {"refresh_token", "rt"}};
    const struct bursar_part fields[] = {{"realm", "1"}};
    const char *const scopes[] = {"read", "write", NULL};
    struct bursar_put put = {.kind = "oauth2",
                             .parts = parts,
                             .part_count = 2,
                             .fields = fields,
                             .field_count = 1,
                             .scopes = scopes,
                             .expires_at = 1800000000,
                             .refresh_token_expires_at = 1900000000,
                             .expect_generation = 4};
    struct bursar_grant grant;
    assert_int_equal(bursar_put(fixture->client, &target, &put, &grant, NULL), 0);
    assert_int_equal(grant.generation, 7);
    bursar_grant_free(&grant);
    assert_string_equal(
        fake_last_job(fixture->fake),
        "{\"op\":\"credential.put\",\"deadline_ms\":50000,\"owner\":\"acme\",\"provider\":\"prov\","
        "\"account\":\"a1\",\"secret\":{\"kind\":\"oauth2\",\"access_token\":\"at\","
        "\"refresh_token\":\"rt\",\"refresh_token_expires_at\":1900000000,"
        "\"fields\":{\"realm\":\"1\"}},\"expires_at\":1800000000,\"expect_generation\":4,"
        "\"scopes\":[\"read\",\"write\"]}");
}

static void test_call(void **state)
{
    struct fake_client *fixture = *state;
    char *reply = NULL;
    struct bursar_failure failure;
    assert_int_equal(
        bursar_call(fixture->client, "status",
                    "{\"x\": [1, {\"y\": null}], \"op\": \"no\", \"deadline_ms\": 77000,"
                    " \"account\": \"\\u00e9\"}",
                    &reply, &failure),
        0);
    assert_non_null(strstr(reply, "\"ok\":true"));
    assert_non_null(strstr(reply, "\"account\":\"é\""));
    bursar_text_free(reply);
    assert_string_equal(fake_last_job(fixture->fake),
                        "{\"op\":\"status\",\"deadline_ms\":77000,\"x\":[1,{\"y\":null}],"
                        "\"account\":\"é\"}");
    assert_int_equal(
        bursar_call(fixture->client, "vend", "{\"owner\": \"broke\"}", &reply, &failure),
        BURSAR_E_NEEDS_REAUTH);
    assert_non_null(strstr(reply, "\"code\":\"needs_reauth\""));
    bursar_text_free(reply);
    assert_int_equal(bursar_call(fixture->client, "vend", "{\"owner\": \"tiny\"}", &reply, NULL),
                     0);
    assert_non_null(strstr(reply, ",\"ok\":true}"));
    bursar_text_free(reply);
    static const char *const wrong[] = {"{\"secret\": \"hunter2\"", "[\"hunter2\"]", "hunter2", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(bursar_call(fixture->client, "vend", wrong[i], &reply, &failure),
                         BURSAR_E_BAD_REQUEST);
        assert_null(reply);
        assert_null(strstr(failure.message, "hunter2"));
        assert_true(strlen(failure.message) > 10);
    }
}

/* ---- errors --------------------------------------------------------------------------------- */

static void test_error(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_failure failure;
    assert_int_equal(vend(fixture->client, "broke", "a", 0, &failure), BURSAR_E_NEEDS_REAUTH);
    assert_int_equal(failure.error, BURSAR_E_NEEDS_REAUTH);
    assert_false(failure.is_retryable);
    assert_int_equal(failure.retry_after_ms, 1500);
    assert_string_equal(failure.message, "the grant of acme at prov is dead: connect again");
    assert_string_equal(failure.provider_error, "invalid_grant");
    assert_int_equal(vend(fixture->client, "anonymous", "a", 0, &failure), BURSAR_E_BAD_REQUEST);
    assert_int_equal(vend(fixture->client, "broke", "a", 0, NULL), BURSAR_E_NEEDS_REAUTH);
}

static void test_bad_replies(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_failure failure;
    assert_int_equal(vend(fixture->client, "garbage", "a", 0, &failure), BURSAR_E_BAD_REPLY);
    assert_int_equal(vend(fixture->client, "stranger", "a", 0, &failure), BURSAR_E_BAD_REPLY);
    assert_int_equal(vend(fixture->client, "acme", "a", 0, &failure), 0);
}

/* How long it is waited for a daemon that is not there. */
static int64_t find_nobody(void *data)
{
    struct bursar_client *client = NULL;
    struct bursar_failure failure;
    int64_t before_ms = clock_boot_ms();
    assert_int_equal(bursar_client_open(data, &client), 0);
    assert_int_equal(vend(client, "acme", "a", 30000, &failure), BURSAR_E_NO_DAEMON);
    int64_t took_ms = clock_boot_ms() - before_ms;
    assert_true(failure.is_retryable);
    bursar_client_close(client);
    return took_ms;
}

static void test_no_daemon(void **state)
{
    (void)state;
    struct bursar_client_options options = {.jobs_endpoint = "ipc:///tmp/bursar-test-nobody",
                                            .connect_timeout_ms = 150};
    struct bursar_client *client = NULL;
    struct bursar_failure failure;
    assert_in_range(quickest_ms(1500, find_nobody, &options), 150, 1500);
    options.jobs_endpoint = "nonsense";
    assert_int_equal(bursar_client_open(&options, &client), BURSAR_E_BAD_REQUEST);
    options.jobs_endpoint = "nonsense://x";
    assert_int_equal(bursar_client_open(&options, &client), 0);
    assert_int_equal(vend(client, "acme", "a", 0, &failure), BURSAR_E_BAD_REQUEST);
    bursar_client_close(client);
}

static void test_refused(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_failure failure;
    int64_t before_ms = clock_boot_ms();
    fake_refuse(fixture->fake, true);
    assert_int_equal(vend(fixture->client, "acme", "a", 0, &failure), BURSAR_E_FORBIDDEN);
    assert_in_range(clock_boot_ms() - before_ms, 0, 15000); /* before it would give up */
    assert_false(failure.is_retryable);
    fake_refuse(fixture->fake, false);
    assert_int_equal(vend(fixture->client, "acme", "a", 0, &failure), 0);
}

static int64_t run_out_of_time(void *data)
{
    struct fake_client *fixture = data;
    struct bursar_failure failure;
    int64_t before_ms = clock_boot_ms();
    assert_int_equal(vend(fixture->client, "silent", "a", 100, &failure),
                     BURSAR_E_DEADLINE_EXCEEDED);
    assert_true(failure.is_retryable);
    return clock_boot_ms() - before_ms;
}

static void test_deadline(void **state)
{
    struct fake_client *fixture = *state;
    assert_in_range(quickest_ms(2500, run_out_of_time, fixture), 100, 2500);
    assert_int_equal(vend(fixture->client, "acme", "b", 0, NULL), 0);
}

struct slow_call {
    struct bursar_client *client;
    const char *owner, *account;
    int error;
    uint32_t deadline_ms;
    int64_t took_ms;
    struct bursar_failure failure;
};

static void *run_call(void *data)
{
    struct slow_call *call = data;
    int64_t before_ms = clock_boot_ms();
    call->error = vend(call->client, call->owner, call->account, call->deadline_ms, &call->failure);
    call->took_ms = clock_boot_ms() - before_ms;
    return NULL;
}

/* The daemon goes away under a call: it is told when nobody can be reached, and not at the deadline. */
static void test_daemon_dies(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_client_options options = fake_options(fixture->fake);
    options.connect_timeout_ms = 8000;
    struct slow_call call = {.owner = "silent", .account = "a", .deadline_ms = 40000};
    pthread_t thread;
    assert_int_equal(bursar_client_open(&options, &call.client), 0);
    assert_int_equal(vend(call.client, "acme", "a", 0, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_call, &call), 0);
    fake_await_jobs(fixture->fake, "vend", 2);
    fake_stop(fixture->fake);
    pthread_join(thread, NULL);
    assert_int_equal(call.error, BURSAR_E_NO_DAEMON);
    assert_in_range(call.took_ms, 0, 30000);
    fake_start(fixture->fake);
    assert_int_equal(vend(fixture->client, "acme", "a", 0, NULL), 0);
    bursar_client_close(call.client);
}

/* ---- many at once --------------------------------------------------------------------------- */

enum { SLOW_CALLS = 8, FAST_THREADS = 8, FAST_CALLS = 50 };

static void *run_fast(void *data)
{
    struct slow_call *call = data;
    char account[32];
    for (int i = 0; i < FAST_CALLS && call->error == 0; i++) {
        int64_t before_ms = clock_boot_ms();
        snprintf(account, sizeof account, "%s-%d", call->account, i);
        call->error = vend(call->client, call->owner, account, call->deadline_ms, NULL);
        int64_t took_ms = clock_boot_ms() - before_ms;
        call->took_ms = took_ms > call->took_ms ? took_ms : call->took_ms;
    }
    return NULL;
}

/* How long they all take. */
static int64_t vend_many(void *data)
{
    struct fake_client *fixture = data;
    struct slow_call slow[SLOW_CALLS];
    struct slow_call fast[FAST_THREADS];
    pthread_t slow_threads[SLOW_CALLS];
    pthread_t fast_threads[FAST_THREADS];
    char accounts[SLOW_CALLS + FAST_THREADS][16];
    int64_t before_ms = clock_boot_ms();
    for (int i = 0; i < SLOW_CALLS; i++) {
        snprintf(accounts[i], sizeof accounts[i], "slow%d", i);
        slow[i] = (struct slow_call){fixture->client, "slow", accounts[i], 0, 40000, 0, {0}};
        assert_int_equal(pthread_create(&slow_threads[i], NULL, run_call, &slow[i]), 0);
    }
    for (int i = 0; i < FAST_THREADS; i++) {
        char *account = accounts[SLOW_CALLS + i];
        snprintf(account, sizeof accounts[0], "fast%d", i);
        fast[i] = (struct slow_call){fixture->client, "acme", account, 0, 40000, 0, {0}};
        assert_int_equal(pthread_create(&fast_threads[i], NULL, run_fast, &fast[i]), 0);
    }
    for (int i = 0; i < FAST_THREADS; i++) {
        pthread_join(fast_threads[i], NULL);
        assert_int_equal(fast[i].error, 0);
    }
    for (int i = 0; i < SLOW_CALLS; i++) {
        pthread_join(slow_threads[i], NULL);
        assert_int_equal(slow[i].error, 0);
        assert_true(slow[i].took_ms >= 400);
    }
    return clock_boot_ms() - before_ms;
}

/* Slow vends keep nobody waiting, and every reply goes to who asked. */
static void test_many(void **state)
{
    /* one after the other they would take 3.2 s and more */
    assert_true(quickest_ms(2499, vend_many, *state) < 2500);
}

/* With one socket the second call waits for it, to its own deadline. */
static void test_pool_is_bounded(void **state)
{
    struct fake_client *fixture = *state;
    struct bursar_client_options options = fake_options(fixture->fake);
    struct bursar_client *client = NULL;
    struct bursar_failure failure;
    pthread_t thread;
    options.max_sockets = 1;
    assert_int_equal(bursar_client_open(&options, &client), 0);
    struct slow_call slow = {
        .client = client, .owner = "silent", .account = "a", .deadline_ms = 8000};
    assert_int_equal(pthread_create(&thread, NULL, run_call, &slow), 0);
    fake_await_jobs(fixture->fake, "vend", 1);
    assert_int_equal(vend(client, "acme", "b", 100, &failure), BURSAR_E_OVERLOADED);
    pthread_join(thread, NULL);
    assert_int_equal(slow.error, BURSAR_E_DEADLINE_EXCEEDED);
    assert_int_equal(vend(client, "acme", "c", 0, &failure), 0);
    bursar_client_close(client);
}

static void test_restart(void **state)
{
    struct fake_client *fixture = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vend(fixture->client, "acme", "a", 0, NULL), 0);
        fake_stop(fixture->fake);
        fake_start(fixture->fake);
    }
    assert_int_equal(vend(fixture->client, "acme", "a", 0, NULL), 0);
}

static void test_keypair(void **state)
{
    (void)state;
    char keys[4][BURSAR_CURVE_KEY_SIZE];
    assert_int_equal(bursar_curve_keypair(keys[0], keys[1]), 0);
    assert_int_equal(bursar_curve_keypair(keys[2], keys[3]), 0);
    assert_int_equal(strlen(keys[0]), 40);
    assert_int_equal(strlen(keys[1]), 40);
    assert_string_not_equal(keys[1], keys[3]);
}

int main(void)
{
#define WITH_FIXTURE(test) \
    cmocka_unit_test_setup_teardown(test, fake_client_open, fake_client_close)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_vend),          WITH_FIXTURE(test_other_ops),
        WITH_FIXTURE(test_put),           WITH_FIXTURE(test_call),
        WITH_FIXTURE(test_error),         WITH_FIXTURE(test_bad_replies),
        cmocka_unit_test(test_no_daemon), WITH_FIXTURE(test_refused),
        WITH_FIXTURE(test_deadline),      WITH_FIXTURE(test_daemon_dies),
        WITH_FIXTURE(test_many),          WITH_FIXTURE(test_pool_is_bounded),
        WITH_FIXTURE(test_restart),       cmocka_unit_test(test_keypair),
        WITH_FIXTURE(test_purpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
