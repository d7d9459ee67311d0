/* The library on tcp: with its key to who has the right one, and an answer in every other case. */
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
#include "fake.h"
#include "quickest.h"

enum { SOON_MS = 15000 }; /* below the connect timeout: an answer, and not its end */

struct fixture {
    struct fake *fake;
    struct bursar_client_options options;
    char public_key[BURSAR_CURVE_KEY_SIZE], secret_key[BURSAR_CURVE_KEY_SIZE];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->fake = fake_new_on_tcp();
    assert_int_equal(bursar_curve_keypair(fixture->public_key, fixture->secret_key), 0);
    fixture->options = fake_options(fixture->fake);
    fixture->options.secret_key = fixture->secret_key;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_free(fixture->fake);
    free(fixture);
    return 0;
}

static int whoami(const struct bursar_client_options *options, struct bursar_failure *failure)
{
    struct bursar_client *client = NULL;
    struct bursar_principal principal = {0};
    int error = bursar_client_open(options, &client);
    assert_int_equal(error, 0);
    error = bursar_whoami(client, &principal, failure);
    bursar_principal_free(&principal);
    bursar_client_close(client);
    return error;
}

static void note_error(void *data, const struct bursar_done *done)
{
    *(int *)data = done->error;
}

/* The same without waiting. */
static int whoami_async(const struct bursar_client_options *options)
{
    struct bursar_async *async = NULL;
    int error = 1;
    assert_int_equal(bursar_async_open(options, &async), 0);
    assert_int_equal(bursar_async_call(async, "whoami", NULL, note_error, &error, NULL), 0);
    struct pollfd item = {.fd = bursar_async_fd(async), .events = POLLIN};
    while (error == 1) {
        assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
        bursar_async_process(async);
    }
    bursar_async_close(async);
    return error;
}

static void test_all_sockets(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_failure failure;
    assert_int_equal(whoami(&fixture->options, &failure), 0);
    assert_string_equal(fake_last_key(fixture->fake), fixture->public_key);
    assert_int_equal(whoami_async(&fixture->options), 0);
    struct bursar_events *events = NULL;
    assert_int_equal(bursar_events_open(&fixture->options, NULL, false, 0, &events, &failure), 0);
    fake_await_subscriptions(fixture->fake, 2);
    fake_event(fixture->fake, "connected", "acme", true);
    struct bursar_event event;
    assert_int_equal(bursar_events_next(events, PATIENCE_MS, &event, &failure), 0);
    assert_string_equal(event.owner, "acme");
    bursar_events_close(events);
}

/* The options may go once they were given. */
static void test_keys_are_copied(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_client *client = NULL;
    struct bursar_principal principal;
    char server[BURSAR_CURVE_KEY_SIZE], own[BURSAR_CURVE_KEY_SIZE];
    memcpy(server, fixture->options.server_public_key, sizeof server);
    memcpy(own, fixture->secret_key, sizeof own);
    fixture->options.server_public_key = server;
    fixture->options.secret_key = own;
    assert_int_equal(bursar_client_open(&fixture->options, &client), 0);
    memset(server, 0, sizeof server);
    memset(own, 0, sizeof own);
    assert_int_equal(bursar_whoami(client, &principal, NULL), 0);
    bursar_principal_free(&principal);
    bursar_client_close(client);
}

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_failure failure;
    struct bursar_events *events = NULL;
    fake_refuse(fixture->fake, true);
    assert_int_equal(whoami(&fixture->options, &failure), BURSAR_E_FORBIDDEN);
    assert_int_equal(whoami_async(&fixture->options), BURSAR_E_FORBIDDEN);
    assert_int_equal(bursar_events_open(&fixture->options, NULL, false, 0, &events, &failure),
                     BURSAR_E_FORBIDDEN);
}

static void test_wrong_server_key(void **state)
{
    struct fixture *fixture = *state;
    struct bursar_failure failure;
    struct bursar_events *events = NULL;
    int64_t until_ms = clock_boot_ms() + SOON_MS;
    fixture->options.server_public_key = fixture->public_key; /* any other */
    assert_int_equal(whoami(&fixture->options, &failure), BURSAR_E_BAD_REPLY);
    assert_non_null(strstr(failure.message, "server key"));
    assert_int_equal(whoami_async(&fixture->options), BURSAR_E_BAD_REPLY);
    assert_int_equal(bursar_events_open(&fixture->options, NULL, false, 0, &events, &failure),
                     BURSAR_E_BAD_REPLY);
    assert_non_null(strstr(failure.message, "server key"));
    assert_true(clock_boot_ms() < until_ms);
}

static void test_options(void **state)
{
    static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    static const struct {
        const char *endpoint, *server, *own;
        int error;
    } rows[] = {
        {"tcp://127.0.0.1:1", NULL, NULL, BURSAR_E_BAD_REQUEST},
        {"tcp://127.0.0.1:1", key, NULL, BURSAR_E_BAD_REQUEST},
        {"tcp://127.0.0.1:1", NULL, key, BURSAR_E_BAD_REQUEST},
        {"tcp://127.0.0.1:1", key, "short", BURSAR_E_BAD_REQUEST},
        {"tcp://127.0.0.1:1", "", key, BURSAR_E_BAD_REQUEST},
        {"tcp://127.0.0.1:1", key, key, 0},
        {"ipc:///tmp/bursar-test-nobody", key, NULL, BURSAR_E_BAD_REQUEST},
        {"ipc:///tmp/bursar-test-nobody", key, key, 0},
        {"ipc:///tmp/bursar-test-nobody", NULL, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bursar_client *client = NULL;
        struct bursar_client_options options = {.jobs_endpoint = rows[i].endpoint,
                                                .server_public_key = rows[i].server,
                                                .secret_key = rows[i].own};
        if (bursar_client_open(&options, &client) != rows[i].error)
            fail_msg("row %zu", i);
        bursar_client_close(client);
    }
}

/* Events on tcp without keys, while the jobs are on ipc. */
static void test_events_alone(void **state)
{
    struct fixture *fixture = *state;
    struct fake *local = fake_new();
    struct bursar_events *events = NULL;
    struct bursar_failure failure;
    struct bursar_client_options options = fake_options(local);
    options.events_endpoint = fixture->options.events_endpoint;
    assert_int_equal(bursar_events_open(&options, NULL, false, 0, &events, &failure),
                     BURSAR_E_BAD_REQUEST);
    options.server_public_key = fixture->options.server_public_key;
    options.secret_key = fixture->secret_key;
    assert_int_equal(bursar_events_open(&options, NULL, false, 0, &events, &failure), 0);
    assert_int_equal(whoami(&options, &failure), 0);
    assert_string_equal(fake_last_key(local), ""); /* ipc needs none */
    bursar_events_close(events);
    fake_free(local);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_are_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_server_key, setup, teardown),
        cmocka_unit_test(test_options),
        cmocka_unit_test_setup_teardown(test_events_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
