#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/client.h>

#include "fake.h"

/* ---- a source of the test's own: credentials in a row ---------------------------------------- */

struct row {
    unsigned generation; /* what current() gives */
    unsigned invalidated[8];
    unsigned invalidate_count, current_count;
    int current_error, invalidate_error; /* from the second current() on; from the first */
    bool is_closed;
};

static int row_current(void *data, struct bursar_grant *out_grant,
                       struct bursar_failure *out_failure)
{
    struct row *row = data;
    char token[32];
    const struct bursar_part part = {"token", token};
    if (row->current_count++ > 0 && row->current_error != 0)
        return bursar_fail(out_failure, row->current_error, "the row is at its end");
    snprintf(token, sizeof token, "token-%u", row->generation);
    int error = bursar_grant_make("bearer", &part, 1, out_grant);
    if (error == 0)
        out_grant->generation = row->generation;
    return error;
}

static int row_invalidate(void *data, const struct bursar_grant *refused,
                          struct bursar_failure *out_failure)
{
    struct row *row = data;
    (void)out_failure;
    assert_true(row->invalidate_count < 8);
    row->invalidated[row->invalidate_count++] = (unsigned)refused->generation;
    if (refused->generation == row->generation)
        row->generation++;
    return row->invalidate_error;
}

static void row_close(void *data)
{
    ((struct row *)data)->is_closed = true;
}

static const struct bursar_source_ops row_ops = {row_current, row_invalidate, row_close};

static struct bursar_source *open_row(struct row *row)
{
    struct bursar_source *source = NULL;
    *row = (struct row){.generation = 1};
    assert_int_equal(bursar_source_open(&row_ops, row, &source), 0);
    return source;
}

/* ---- a request of the test's own: answers in a row ------------------------------------------- */

struct request {
    const int *statuses; /* what comes back; -1 ends them */
    int sent;
    char tokens[8][32];
    int cancel_after; /* cancelled once so many were asked; 0: never */
    atomic_int asked_cancel;
};

static int send_request(void *data, const struct bursar_grant *grant)
{
    struct request *request = data;
    assert_true(request->sent < 8);
    snprintf(request->tokens[request->sent], sizeof request->tokens[0], "%s", grant->token);
    assert_int_not_equal(request->statuses[request->sent], 0);
    return request->statuses[request->sent++];
}

static bool is_cancelled(void *data)
{
    struct request *request = data;
    int asked = atomic_fetch_add(&request->asked_cancel, 1) + 1;
    return request->cancel_after > 0 && asked >= request->cancel_after;
}

static void test_resent_once(void **state)
{
    static const int refused_once[] = {401, 200, 0};
    static const int refused_twice[] = {401, 401, 0};
    static const int fine[] = {204, 0};
    static const int forbidden[] = {403, 0};
    static const int transport[] = {-7, 0};
    static const int other_after[] = {401, 503, 0};
    static const struct {
        const int *statuses;
        int status, sent;
        unsigned invalidated;
    } cases[] = {{refused_once, 200, 2, 1}, {refused_twice, 401, 2, 1}, {fine, 204, 1, 0},
                 {forbidden, 403, 1, 0},    {transport, -7, 1, 0},      {other_after, 503, 2, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct row row;
        struct bursar_source *source = open_row(&row);
        struct request request = {.statuses = cases[i].statuses};
        struct bursar_sent sent;
        assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, NULL), 0);
        assert_int_equal(sent.status, cases[i].status);
        assert_int_equal(request.sent, cases[i].sent);
        assert_int_equal(sent.is_resent, cases[i].sent == 2);
        assert_int_equal(row.invalidate_count, cases[i].invalidated);
        assert_string_equal(request.tokens[0], "token-1");
        if (cases[i].sent == 2) {
            assert_int_equal(row.invalidated[0], 1);
            assert_string_equal(request.tokens[1], "token-2");
        }
        bursar_source_close(source);
        assert_true(row.is_closed);
    }
}

static void test_named_statuses(void **state)
{
    static const int statuses[] = {403, 419, 0};
    static const int refusals[] = {419, 403};
    const struct bursar_send_options options = {.refusals = refusals, .refusal_count = 2};
    struct row row;
    struct bursar_source *source = open_row(&row);
    struct request request = {.statuses = statuses};
    struct bursar_sent sent;
    (void)state;
    assert_int_equal(bursar_send(source, send_request, &request, &options, &sent, NULL), 0);
    assert_int_equal(sent.status, 419);
    assert_int_equal(request.sent, 2);
    assert_int_equal(row.invalidate_count, 1);
    bursar_source_close(source);
}

/* Three attempts for whatever else goes wrong: the refusal takes none of them, and is answered by a
 * second sending once in all of them. */
static void test_retry_budget(void **state)
{
    static const int statuses[] = {401, 503, 503, 401, 0};
    struct bursar_send_options options = {0};
    struct row row;
    struct bursar_source *source = open_row(&row);
    struct request request = {.statuses = statuses};
    struct bursar_sent sent = {0};
    int attempts = 0;
    (void)state;
    for (; attempts < 3 && (attempts == 0 || sent.status == 503); attempts++) {
        assert_int_equal(bursar_send(source, send_request, &request, &options, &sent, NULL), 0);
        options.is_resent = sent.is_resent;
    }
    assert_int_equal(attempts, 3);
    assert_int_equal(request.sent, 4);
    assert_int_equal(sent.status, 401);
    assert_int_equal(row.invalidate_count, 1);
    bursar_source_close(source);
}

static void test_cancelled(void **state)
{
    static const int statuses[] = {401, 200, 0};
    const struct bursar_send_options options = {.is_cancelled = is_cancelled};
    static const struct {
        int cancel_after;
        int sent, status;
        unsigned invalidated;
    } cases[] = {{1, 1, 401, 0}, {2, 1, 401, 1}, {0, 2, 200, 1}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct row row;
        struct bursar_source *source = open_row(&row);
        struct request request = {.statuses = statuses, .cancel_after = cases[i].cancel_after};
        struct bursar_sent sent;
        assert_int_equal(bursar_send(source, send_request, &request, &options, &sent, NULL), 0);
        assert_int_equal(request.sent, cases[i].sent);
        assert_int_equal(sent.status, cases[i].status);
        assert_int_equal(sent.is_resent, cases[i].sent == 2);
        assert_int_equal(row.invalidate_count, cases[i].invalidated);
        bursar_source_close(source);
    }
}

/* Where no other credential can be had, the refusal stays, and the reason is told. */
static void test_cannot_renew(void **state)
{
    static const int statuses[] = {401, 200, 0};
    struct row row;
    struct bursar_source *source = open_row(&row);
    struct request request = {.statuses = statuses};
    struct bursar_sent sent;
    struct bursar_failure failure;
    (void)state;
    row.current_error = BURSAR_E_NEEDS_REAUTH;
    assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, &failure),
                     BURSAR_E_NEEDS_REAUTH);
    assert_string_equal(failure.message, "the row is at its end");
    assert_int_equal(sent.status, 401);
    assert_false(sent.is_resent);
    assert_int_equal(request.sent, 1);
    assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, &failure),
                     BURSAR_E_NEEDS_REAUTH);
    assert_int_equal(sent.status, 0);
    assert_int_equal(request.sent, 1);
    bursar_source_close(source);
    source = open_row(&row);
    row.invalidate_error = BURSAR_E_IO;
    request = (struct request){.statuses = statuses};
    assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, &failure),
                     BURSAR_E_IO);
    assert_string_equal(failure.message, bursar_error_text(BURSAR_E_IO)); /* none was said */
    assert_int_equal(request.sent, 1);
    row.invalidate_error = 5;
    request = (struct request){.statuses = statuses};
    assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, &failure),
                     BURSAR_E_INTERNAL);
    bursar_source_close(source);
}

/* ---- fixed ones ------------------------------------------------------------------------------ */

static void test_fixed(void **state)
{
    static const int statuses[] = {401, 200, 0};
    const struct bursar_part parts[] = {{"username", "u"}, {"password", "p"}};
    struct bursar_source *source = NULL;
    struct bursar_grant grant;
    struct bursar_grant made;
    struct request request = {.statuses = statuses};
    struct bursar_sent sent;
    struct bursar_failure failure;
    (void)state;
    assert_int_equal(bursar_source_of_token(NULL, "abc", &source), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bursar_source_current(source, &grant, NULL), 0);
        assert_string_equal(grant.kind, "bearer");
        assert_string_equal(grant.token, "abc");
        bursar_grant_free(&grant);
    }
    assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, &failure),
                     BURSAR_E_UNSUPPORTED_OP);
    assert_int_equal(sent.status, 401);
    assert_int_equal(request.sent, 1);
    assert_null(strstr(failure.message, "abc"));
    bursar_source_close(source);
    assert_int_equal(bursar_source_of_token("oauth2", "xyz", &source), 0);
    assert_int_equal(bursar_source_current(source, &grant, NULL), 0);
    assert_string_equal(bursar_grant_part(&grant, "access_token"), "xyz");
    bursar_grant_free(&grant);
    bursar_source_close(source);
    assert_int_equal(bursar_grant_make("basic", parts, 2, &made), 0);
    assert_int_equal(bursar_source_of_grant(&made, &source), 0);
    bursar_grant_free(&made);
    assert_int_equal(bursar_source_current(source, &grant, NULL), 0);
    assert_string_equal(grant.token, "p");
    assert_string_equal(bursar_grant_part(&grant, "username"), "u");
    bursar_grant_free(&grant);
    bursar_source_close(source);
    bursar_source_close(NULL);
}

static void test_bad_arguments(void **state)
{
    const struct bursar_source_ops half = {.current = row_current};
    const struct bursar_part parts[] = {{"username", "u"}, {NULL, "x"}};
    struct bursar_source *source = NULL;
    struct bursar_grant grant;
    (void)state;
    assert_int_equal(bursar_source_open(NULL, NULL, &source), BURSAR_E_BAD_REQUEST);
    assert_int_equal(bursar_source_open(&half, NULL, &source), BURSAR_E_BAD_REQUEST);
    assert_int_equal(bursar_source_of_token("gold", "x", &source), BURSAR_E_BAD_REQUEST);
    assert_int_equal(bursar_source_of_token(NULL, NULL, &source), BURSAR_E_BAD_REQUEST);
    assert_null(source);
    assert_int_equal(bursar_grant_make("basic", parts, 1, &grant), BURSAR_E_BAD_REQUEST);
    assert_int_equal(bursar_grant_make("basic", parts, 2, &grant), BURSAR_E_BAD_REQUEST);
    assert_int_equal(bursar_grant_make(NULL, NULL, 0, &grant), BURSAR_E_BAD_REQUEST);
}

/* ---- the daemon's ----------------------------------------------------------------------------- */

static void test_of_client(void **state)
{
    static const int statuses[] = {401, 200, 0};
    struct fake *fake = fake_new();
    struct bursar_client_options options = fake_options(fake);
    char owner[] = "acme";
    const struct bursar_target target = {.owner = owner, .provider = "prov", .account = "a1"};
    const struct bursar_vend_options vend = {.kind = "oauth2", .deadline_ms = 123400};
    struct bursar_client *client = NULL;
    struct bursar_source *source = NULL;
    struct request request = {.statuses = statuses};
    struct bursar_sent sent;
    (void)state;
    assert_int_equal(bursar_client_open(&options, &client), 0);
    assert_int_equal(bursar_source_of_client(client, &target, &vend, &source), 0);
    owner[0] = 'X'; /* it was copied */
    assert_int_equal(bursar_send(source, send_request, &request, NULL, &sent, NULL), 0);
    assert_int_equal(sent.status, 200);
    assert_int_equal(fake_count(fake, "vend"), 2); /* resolved for each use */
    assert_int_equal(fake_count(fake, "invalidate"), 1);
    assert_string_equal(fake_last_job(fake),
                        "{\"op\":\"vend\",\"deadline_ms\":123400,\"owner\":\"acme\","
                        "\"provider\":\"prov\",\"account\":\"a1\",\"kind\":\"oauth2\"}");
    struct bursar_grant grant;
    assert_int_equal(bursar_source_current(source, &grant, NULL), 0);
    assert_int_equal(bursar_source_invalidate(source, &grant, NULL), 0);
    assert_string_equal(fake_last_job(fake),
                        "{\"op\":\"invalidate\",\"deadline_ms\":123400,\"owner\":\"acme\","
                        "\"connection\":\"prov.0123\",\"generation\":7}");
    grant.generation = 0;
    free(grant.connection);
    grant.connection = NULL;
    assert_int_equal(bursar_source_invalidate(source, &grant, NULL), 0);
    assert_non_null(strstr(fake_last_job(fake), "\"access_token_sha256\":"));
    assert_non_null(strstr(fake_last_job(fake), "\"account\":\"a1\""));
    bursar_grant_free(&grant);
    assert_int_equal(bursar_source_invalidate(source, &grant, NULL), BURSAR_E_BAD_REQUEST);
    bursar_source_close(source);
    bursar_client_close(client);
    fake_free(fake);
}

/* The connection was deleted meanwhile: nothing is left to invalidate, which is no error. */
static void test_gone(void **state)
{
    struct fake *fake = fake_new();
    struct bursar_client_options options = fake_options(fake);
    const struct bursar_target target = {.owner = "code:not_found", .provider = "prov"};
    const struct bursar_target by_id = {.owner = "code:not_found", .connection = "prov.0123"};
    struct bursar_grant refused = {.connection = (char[]){"prov.0123"}, .generation = 3};
    struct bursar_client *client = NULL;
    struct bursar_source *source = NULL;
    (void)state;
    assert_int_equal(bursar_client_open(&options, &client), 0);
    assert_int_equal(bursar_source_of_client(client, &target, NULL, &source), 0);
    assert_int_equal(bursar_source_invalidate(source, &refused, NULL), 0);
    bursar_source_close(source);
    assert_int_equal(bursar_source_of_client(client, &by_id, NULL, &source), 0);
    assert_int_equal(bursar_source_invalidate(source, &refused, NULL), BURSAR_E_NOT_FOUND);
    bursar_source_close(source);
    bursar_client_close(client);
    fake_free(fake);
}

enum { THREADS = 8, ROUNDS = 20 };

static void *use_source(void *data)
{
    struct bursar_source *source = data;
    static const int statuses[] = {401, 200, 0};
    for (int i = 0; i < ROUNDS; i++) {
        struct request request = {.statuses = statuses};
        struct bursar_sent sent;
        if (bursar_send(source, send_request, &request, NULL, &sent, NULL) != 0 ||
            sent.status != 200 || strcmp(request.tokens[1], "a1") != 0)
            return data;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct fake *fake = fake_new();
    struct bursar_client_options options = fake_options(fake);
    const struct bursar_target target = {.owner = "acme", .provider = "prov", .account = "a1"};
    struct bursar_client *client = NULL;
    struct bursar_source *source = NULL;
    pthread_t threads[THREADS];
    (void)state;
    assert_int_equal(bursar_client_open(&options, &client), 0);
    assert_int_equal(bursar_source_of_client(client, &target, NULL, &source), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_source, source), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(fake_count(fake, "invalidate"), THREADS * ROUNDS);
    bursar_source_close(source);
    bursar_client_close(client);
    fake_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resent_once),   cmocka_unit_test(test_named_statuses),
        cmocka_unit_test(test_retry_budget),  cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_cannot_renew),  cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_of_client),
        cmocka_unit_test(test_gone),          cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
