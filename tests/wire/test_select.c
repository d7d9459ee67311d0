#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "reading.h"
#include "wire/job.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAMED "\"owner\": \"o\", \"connection\": \"c\""

#define BAD(json, message) expect_refusal(*state, json, BURSAR_E_BAD_REQUEST, message)

/* Many connections are named by `select` alone, and whatever is not understood of it refuses the job. */
static void test_selections(void **state)
{
    static const char *const names[] = {"connection.freeze", "connection.thaw",
                                        "connection.revoke"};
    char json[300];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(json, sizeof json,
                 "{\"op\": \"%s\", \"select\": {\"provider\": \"p\", \"owner\": \"o\","
                 " \"tag\": \"k=v\", \"client\": \"c\"}, \"dry_run\": true, \"rate_per_s\": 5}",
                 names[i]);
        struct job job = read_right(*state, json);
        assert_true(job.select.is_given && job.dry_run && job.rate_per_s == 5);
        assert_true(text_is(job.select.provider, "p") && text_is(job.select.owner, "o"));
        assert_true(text_is(job.select.tag, "k=v") && text_is(job.select.client, "c"));
        assert_null(job.owner.data);
        snprintf(json, sizeof json, "{\"op\": \"%s\", \"select\": null}", names[i]);
        BAD(json, "owner is required");
    }
#define SELECT "{\"op\": \"connection.revoke\", \"select\": "
    struct job job = read_right(*state, SELECT "{\"tag\": \"t\"}, \"at_provider\": true}");
    assert_true(job.at_provider && !job.select.owner.data && !job.select.client.data);
#define NO_MAP "select must be a map with provider, owner, tag or client"
    BAD(SELECT "{}}", NO_MAP);
    BAD(SELECT "[]}", NO_MAP);
    BAD(SELECT "\"o\"}", NO_MAP);
    BAD(SELECT "true}", NO_MAP);
#define ITS_KEYS \
    "select has provider, owner, tag, client, principal and vended_since, and no other key"
    BAD(SELECT "{\"tags\": \"t\"}}", ITS_KEYS);
    BAD(SELECT "{\"owner\": \"o\", \"state\": \"ACTIVE\"}}", ITS_KEYS);
    BAD(SELECT "{1: \"o\"}}", ITS_KEYS);
    BAD(SELECT "{\"owner\": \"o\", \"owner\": \"p\"}}", "select.owner stands twice");
    BAD(SELECT "{\"owner\": null}}", "select.owner must be a text");
    BAD(SELECT "{\"tag\": \"\"}}", "select.tag must have 1 to 2048 bytes");
    BAD(SELECT "{\"client\": \"a\nb\"}}", "select.client must be UTF-8 without control characters");
#define ALONE "select stands instead of owner, connection and provider"
    BAD(SELECT "{\"owner\": \"o\"}, \"owner\": \"o\"}", ALONE);
    BAD(SELECT "{\"owner\": \"o\"}, \"connection\": \"c\"}", ALONE);
    BAD(SELECT "{\"owner\": \"o\"}, \"provider\": \"p\"}", ALONE);
    BAD(SELECT "{\"owner\": \"o\"}, \"account\": \"a\"}", ALONE);
    BAD(SELECT "{\"owner\": \"o\"}, \"ref\": \"r\"}", ALONE);
    BAD("{\"op\": \"connection.thaw\", \"select\": {\"owner\": \"o\"}, \"at_provider\": true}",
        "at_provider is for connection.revoke");
    BAD("{\"op\": \"connection.freeze\", " NAMED ", \"dry_run\": true}",
        "dry_run goes with select");
    BAD("{\"op\": \"connection.freeze\", " NAMED ", \"rate_per_s\": 1}",
        "rate_per_s goes with select");
    job = read_right(*state, SELECT "{\"principal\": \"p\", \"vended_since\": 9}}");
    assert_true(text_is(job.select.principal, "p") && job.select.vended_since == 9);
    job = read_right(*state, SELECT "{\"vended_since\": 0, \"principal\": \"p\", \"tag\": \"t\"}}");
    assert_true(job.select.principal.data && job.select.vended_since == 0);
#define TOGETHER "select.principal and select.vended_since go together"
    BAD(SELECT "{\"principal\": \"p\"}}", TOGETHER);
    BAD(SELECT "{\"vended_since\": 9, \"owner\": \"o\"}}", TOGETHER);
    BAD(SELECT "{\"principal\": \"p\", \"vended_since\": -1}}",
        "select.vended_since must be a whole number from 0 to 1099511627776");
    BAD(SELECT "{\"principal\": \"p\", \"vended_since\": 1, \"vended_since\": 0}}",
        "select.vended_since stands twice");
    BAD("{\"op\": \"connection.delete\", \"select\": {\"owner\": \"o\"}}", "owner is required");
}

static void test_keys_of_keys(void **state)
{
    struct job job = read_right(*state, "{\"op\": \"key.rotate\", \"key\": \"00112233445566aa\"}");
    assert_true(text_is(job.key, "00112233445566aa"));
    assert_true(read_right(*state, "{\"op\": \"key.new\", \"activate\": true}").activate);
    assert_false(read_right(*state, "{\"op\": \"key.new\", \"owner\": \"o\"}").activate);
    BAD("{\"op\": \"key.rotate\", \"key\": \"00112233445566aa\", \"owner\": \"o\"}",
        "key and owner exclude each other");
    BAD("{\"op\": \"key.retire\", \"key\": \"00112233445566aab\"}", "key must have 1 to 16 bytes");
    BAD("{\"op\": \"key.new\", \"activate\": 1}", "activate must be true or false");
}

/* ---- another copy of the body ---------------------------------------------------------------- */

/* Whether a text of the job lies in the copy and says the same. */
static void expect_in(struct text copy, struct text text, const char *what)
{
    assert_true(text.data >= copy.data && text.data + text.len <= copy.data + copy.len);
    assert_true(text_is(text, what));
}

/* What a job borrows follows the copy: the first body and the reader may go. */
static void test_moved(void **state)
{
    struct job_reader *reader = job_reader_new();
    struct job job = read_right(
        reader, "{\"op\": \"vend\", \"id\": \"7\", \"owner\": \"o1\", \"provider\": \"acme\","
                " \"purpose\": \"a report\", \"min_ttl_s\": 60}");
    char bytes[256];
    struct text copy = {bytes, reading_body.len};
    assert_true(reading_body.len <= sizeof bytes);
    memcpy(bytes, reading_body.data, reading_body.len);
    job.account = TEXT_LITERAL("default"); /* of nobody's body: it stays */
    assert_true(job_move(&job, buf_text(&reading_body), copy));
    job_reader_free(reader);
    buf_free(&reading_body);
    expect_in(copy, job.owner, "o1");
    expect_in(copy, job.provider, "acme");
    expect_in(copy, job.purpose, "a report");
    assert_true(text_is(job.account, "default"));
    assert_null(job.id.data);
    assert_null(job.connection.data);
    assert_int_equal(job.op, OP_VEND);
    assert_int_equal(job.min_ttl_s, 60);

    job = read_right(*state, "{\"op\": \"connection.revoke\", \"select\": {\"provider\": \"acme\","
                             " \"owner\": \"o2\", \"tag\": \"t\", \"client\": \"c\","
                             " \"principal\": \"p\", \"vended_since\": 5}}");
    memcpy(bytes, reading_body.data, reading_body.len);
    copy.len = reading_body.len;
    assert_true(job_move(&job, buf_text(&reading_body), copy));
    expect_in(copy, job.select.provider, "acme");
    expect_in(copy, job.select.owner, "o2");
    expect_in(copy, job.select.tag, "t");
    expect_in(copy, job.select.client, "c");
    expect_in(copy, job.select.principal, "p");
}

/* What only the reader knows cannot be moved: nothing is. */
static void test_not_moved(void **state)
{
    static const char *const with_nodes[] = {
        "{\"op\": \"credential.put\", \"owner\": \"o\", \"provider\": \"p\", \"secret\": {}}",
        "{\"op\": \"connect.begin\", \"owner\": \"o\", \"provider\": \"p\", \"redirect_uri\": \"u\","
        " \"scopes\": [\"a\"]}",
        "{\"op\": \"connection.update\", " NAMED ", \"metadata\": {\"a\": 1}}",
        "{\"op\": \"connection.update\", " NAMED ", \"tags\": []}",
        "{\"op\": \"connect.complete\", \"state\": \"s\", \"callback\": {\"a\": \"b\"}}",
        "{\"op\": \"connector.validate\", \"provider\": \"p\", \"fields\": {}}",
        "{\"op\": \"principal.add\", \"principal\": \"p\", \"definition\": {}}",
    };
    char bytes[256] = {0};
    for (size_t i = 0; i < COUNT(with_nodes); i++) {
        struct job job = read_right(*state, with_nodes[i]), before = job;
        assert_false(
            job_move(&job, buf_text(&reading_body), (struct text){bytes, reading_body.len}));
        assert_memory_equal(&job, &before, sizeof job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selections), cmocka_unit_test(test_keys_of_keys),
        cmocka_unit_test(test_moved), cmocka_unit_test(test_not_moved)};
    return cmocka_run_group_tests(tests, reading_set_up, reading_tear_down);
}
