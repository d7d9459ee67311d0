#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "body.h"
#include "reading.h"
#include "wire/job.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SWEEP ", \"sweep\": \"s\""
#define NAMED "\"owner\": \"o\", \"connection\": \"c\""

#define BAD(json, message) expect_refusal(*state, json, BURSAR_E_BAD_REQUEST, message)

/* ---- ops ------------------------------------------------------------------------------------- */

/* Ops that need more keys than an owner and a provider, and what is said where they are not there. */
static const struct {
    enum job_op op;
    const char *more;
    const char *message;
} needs[] = {
    {OP_PUT, ", \"secret\": {}", "secret is required"},
    {OP_UPDATE, ", \"tags\": []", "metadata or tags is required"},
    {OP_CONNECT_BEGIN, ", \"redirect_uri\": \"https://a.example/\"", "redirect_uri is required"},
    {OP_CONNECT_COMPLETE, ", \"state\": \"p.x\", \"code\": \"c\"", "state is required"},
    {OP_CONNECTOR_VALIDATE, ", \"fields\": {}", "fields is required"},
    {OP_IS_OPERATOR, ", \"email\": \"a@b\", \"scope\": \"s\"", "email is required"},
    {OP_PRINCIPAL_GET, ", \"principal\": \"web\"", "principal is required"},
    {OP_PRINCIPAL_ADD, ", \"principal\": \"web\", \"definition\": {}", "principal is required"},
    {OP_PRINCIPAL_UPDATE, ", \"principal\": \"web\", \"definition\": {}", "principal is required"},
    {OP_PRINCIPAL_REMOVE, ", \"principal\": \"web\"", "principal is required"},
    {OP_AUDIT_VENDS, ", \"principal\": \"web\"", NULL}, /* or a connection */
    {OP_SWEEP_GET, ", \"sweep\": \"s\"", "sweep is required"},
    {OP_SWEEP_RECEIPTS, ", \"sweep\": \"s\"", "sweep is required"},
    {OP_SWEEP_CANCEL, ", \"sweep\": \"s\"", "sweep is required"},
    {OP_KEY_NEW, ", \"activate\": true", NULL},
    {OP_KEY_RETIRE, ", \"key\": \"k\"", "key is required"},
};

static const char *more_of(int op, const char **out_message)
{
    size_t i = 0;
    while (i < COUNT(needs) && (int)needs[i].op != op)
        i++;
    *out_message = i < COUNT(needs) ? needs[i].message : NULL;
    return i < COUNT(needs) ? needs[i].more : "";
}

static void test_ops(void **state)
{
    char json[500];
    const char *message;
    for (int op = OP_NONE + 1; op < OP_END; op++) {
        const char *more = more_of(op, &message);
        snprintf(json, sizeof json, "{\"op\": \"%s\", \"owner\": \"o\", \"provider\": \"p\"%s}",
                 job_rule((enum job_op)op)->name, more);
        struct job job = read_right(*state, json);
        assert_int_equal(job.op, op);
        assert_true(text_is(job.owner, "o") && text_is(job.provider, "p"));
    }
}

static void test_required_keys(void **state)
{
    char json[500];
    for (int op = OP_NONE + 1; op < OP_END; op++) {
        const char *message, *more = more_of(op, &message);
        const struct job_rule *rule = job_rule((enum job_op)op);
        snprintf(json, sizeof json, "{\"op\": \"%s\"%s}", rule->name, more);
        if (rule->names_connection || op == OP_KEY_SHRED)
            BAD(json, "owner is required");
        else if (rule->names_provider || op == OP_CONNECTOR_GET)
            BAD(json, "provider is required");
        else
            read_right(*state, json);
        snprintf(json, sizeof json, "{\"op\": \"%s\", \"owner\": \"o\"%s}", rule->name, more);
        if (rule->names_connection)
            BAD(json, "connection or provider is required");
        snprintf(json, sizeof json, "{\"op\": \"%s\", \"owner\": \"o\", \"account\": \"a\"%s}",
                 rule->name, more);
        if (rule->names_connection)
            BAD(json, "connection or provider is required");
        snprintf(json, sizeof json, "{\"op\": \"%s\", \"owner\": \"o\", \"provider\": \"p\"}",
                 rule->name);
        if (message)
            BAD(json, message);
    }
}

static void test_names_of_connections(void **state)
{
    struct job job = read_right(*state, "{\"op\": \"vend\", \"ref\": \"warehouse\"}");
    assert_true(text_is(job.ref, "warehouse"));
    job = read_right(*state, "{\"op\": \"vend\", \"owner\": \"o\", \"provider\": \"p\","
                             " \"account\": \"a\"}");
    assert_true(text_is(job.account, "a"));
#define REF "ref stands instead of owner, connection and provider"
    BAD("{\"op\": \"vend\", \"ref\": \"r\", \"owner\": \"o\"}", REF);
    BAD("{\"op\": \"vend\", \"ref\": \"r\", \"connection\": \"c\"}", REF);
    BAD("{\"op\": \"vend\", \"ref\": \"r\", \"provider\": \"p\"}", REF);
    BAD("{\"op\": \"vend\", \"ref\": \"r\", \"account\": \"a\"}", REF);
#define EITHER "connection stands instead of provider and account"
    BAD("{\"op\": \"vend\", " NAMED ", \"provider\": \"p\"}", EITHER);
    BAD("{\"op\": \"vend\", " NAMED ", \"account\": \"a\"}", EITHER);
    BAD("{\"op\": \"connection.create\", " NAMED "}", "connection is made by the broker");
}

static void test_op_itself(void **state)
{
    BAD("{}", "op is required");
    BAD("{\"op\": null}", "op must be a text");
    BAD("{\"op\": 7}", "op must be a text");
    BAD("{\"op\": \"bin:vend\"}", "op must be a text");
    BAD("{\"op\": \"a\nb\"}", "op must be the name of an operation");
    BAD("{\"op\": \"\xff\"}", "op must be the name of an operation");
    BAD("{\"op\": \"vend\", \"op\": \"status\", " NAMED "}", "op stands twice");
#define NO(json, message) expect_refusal(*state, json, BURSAR_E_UNSUPPORTED_OP, message)
    NO("{\"op\": \"vendd\"}", "no operation vendd; did you mean vend?");
    NO("{\"op\": \"refesh\"}", "no operation refesh; did you mean refresh?");
    NO("{\"op\": \"connection.lst\"}",
       "no operation connection.lst; did you mean connection.list?");
    NO("{\"op\": \"something else entirely\"}", "no operation something else entirely");
    NO("{\"op\": \"%s%n\"}", "no operation %s%n");
    char json[200];
    memset(json, 'x', sizeof json);
    memcpy(json, "{\"op\": \"", 8);
    memcpy(json + 8 + 64, "\"}", 3);
    struct job job;
    assert_int_equal(read_job(*state, json, &job), BURSAR_E_UNSUPPORTED_OP);
    memcpy(json + 8 + 64, "x\"}", 4);
    BAD(json, "op must be the name of an operation");
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum takes { TEXT, NUMBER, BOOL, MAP, LIST, SECRET, INCLUDE };

static const struct {
    const char *name;
    enum takes takes;
    uint64_t max;
} keys[] = {
    {"deadline_ms", NUMBER, 3600000},
    {"owner", TEXT, 128},
    {"connection", TEXT, 1024},
    {"provider", TEXT, 1024},
    {"account", TEXT, 256},
    {"ref", TEXT, 1024},
    {"min_ttl_s", NUMBER, 315360000},
    {"kind", TEXT, 64},
    {"include", INCLUDE, 0},
    {"force", BOOL, 0},
    {"async", BOOL, 0},
    {"generation", NUMBER, INT64_MAX},
    {"access_token_sha256", TEXT, 64},
    {"vend", BOOL, 0},
    {"secret", SECRET, 0},
    {"scopes", LIST, 256},
    {"expires_at", NUMBER, (uint64_t)1 << 40},
    {"expect_generation", NUMBER, INT64_MAX},
    {"metadata", MAP, 64},
    {"tags", LIST, 64},
    {"at_provider", BOOL, 0},
    {"dry_run", BOOL, 0},
    {"rate_per_s", NUMBER, 100000},
    {"sweep", TEXT, 64},
    {"hold", BOOL, 0},
    {"reason", TEXT, 64},
    {"redirect_uri", TEXT, 2048},
    {"reconnect", TEXT, 1024},
    {"code", TEXT, 8192},
    {"error", TEXT, 1024},
    {"iss", TEXT, 2048},
    {"callback", MAP, 64},
    {"fields", MAP, 64},
    {"email", TEXT, 320},
    {"scope", TEXT, 128},
    {"state", TEXT, 256},
    {"cursor", TEXT, 2048},
    {"limit", NUMBER, 10000},
    {"seq", NUMBER, INT64_MAX},
};

/* A value of each type, and what takes it. */
static const struct {
    const char *json;
    unsigned taken_by;
} values[] = {
    {"\"a\"", 1U << TEXT},
    {"\"bin:a\"", 0},
    {"5", 1U << NUMBER},
    {"-5", 0},
    {"5.0", 0},
    {"true", 1U << BOOL},
    {"false", 1U << BOOL},
    {"[]", 1U << LIST | 1U << INCLUDE},
    {"[\"refresh_token\"]", 1U << LIST | 1U << INCLUDE},
    {"[1]", 0},
    {"[\"\xff\"]", 0},
    {"[[]]", 0},
    {"{}", 1U << MAP | 1U << SECRET},
    {"{\"a\": \"b\", \"c\": 1, \"d\": -1, \"e\": 0.5, \"f\": true}", 1U << MAP | 1U << SECRET},
    {"{\"a\": []}", 1U << SECRET},
    {"{\"a\": null}", 1U << SECRET},
    {"{\"a\": \"\xff\"}", 1U << SECRET},
    {"{1: \"a\"}", 1U << SECRET},
    {"\"\"", 0},
    {"\"a\nb\"", 0},
    {"\"\xff\"", 0},
};

/* A wrong type is refused with the key's name, a right one is not (or not for its type). */
static void test_types(void **state)
{
    char json[300];
    for (size_t k = 0; k < COUNT(keys); k++) {
        for (size_t v = 0; v < COUNT(values); v++) {
            struct job job;
            snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": %s}", keys[k].name,
                     values[v].json);
            int result = read_job(*state, json, &job);
            bool is_taken = values[v].taken_by >> keys[k].takes & 1;
            if (strcmp(keys[k].name, "access_token_sha256") == 0)
                is_taken = false;
            if (result != (is_taken ? 0 : BURSAR_E_BAD_REQUEST))
                fail_msg("%s: %d", json, result);
            size_t len = strlen(keys[k].name);
            if (!is_taken)
                assert_true(reading_error.len > len &&
                            memcmp(reading_error.data, keys[k].name, len) == 0 &&
                            reading_error.data[len] == ' ');
        }
        snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": null}", keys[k].name);
        read_right(*state, json);
    }
}

static void test_number_bounds(void **state)
{
    char json[300], message[200];
    for (size_t k = 0; k < COUNT(keys); k++) {
        if (keys[k].takes != NUMBER)
            continue;
        unsigned long long max = keys[k].max;
        snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": %llu}", keys[k].name, max);
        read_right(*state, json);
        snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": %llu}", keys[k].name, max + 1);
        snprintf(message, sizeof message, "%s must be a whole number from 0 to %llu", keys[k].name,
                 max);
        BAD(json, message);
    }
}

static void test_text_bounds(void **state)
{
    static char json[10000], value[9000], message[200];
    for (size_t k = 0; k < COUNT(keys); k++) {
        if (keys[k].takes != TEXT || strcmp(keys[k].name, "access_token_sha256") == 0)
            continue;
        memset(value, 'x', sizeof value);
        value[keys[k].max] = 0;
        snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": \"%s\"}", keys[k].name, value);
        read_right(*state, json);
        memcpy(value + keys[k].max, "x", 2);
        snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": \"%s\"}", keys[k].name, value);
        snprintf(message, sizeof message, "%s must have 1 to %llu bytes", keys[k].name,
                 (unsigned long long)keys[k].max);
        BAD(json, message);
    }
    BAD("{\"op\": \"status\", \"owner\": \"\"}", "owner must have 1 to 128 bytes");
    BAD("{\"op\": \"status\", \"owner\": \"a\x7f\"}",
        "owner must be UTF-8 without control characters");
}

static void test_count_bounds(void **state)
{
    for (size_t k = 0; k < COUNT(keys); k++) {
        bool is_map = keys[k].takes == MAP;
        if (!is_map && keys[k].takes != LIST)
            continue;
        for (uint64_t count = keys[k].max - 1; count <= keys[k].max + 1; count++) {
            struct buf json = buf_make(10000);
            struct job job;
            buf_printf(&json, "{\"op\": \"status\", \"%s\": %c", keys[k].name, is_map ? '{' : '[');
            for (uint64_t i = 0; i < count; i++)
                buf_printf(&json, is_map ? "\"%llu\": true," : "\"%llu\",", (unsigned long long)i);
            buf_append_string(&json, is_map ? "}}" : "]}");
            assert_int_equal(read_job(*state, (char *)json.data, &job),
                             count <= keys[k].max ? 0 : BURSAR_E_BAD_REQUEST);
            buf_free(&json);
        }
    }
    BAD("{\"op\": \"status\", \"include\": [\"access_token\"]}",
        "include can name only `refresh_token`");
    BAD("{\"op\": \"status\", \"include\": [\"refresh_token\", \"id_token\"]}",
        "include can name only `refresh_token`");
}

static void test_keys_twice(void **state)
{
    char json[300], message[100];
    for (size_t k = 0; k < COUNT(keys); k++) {
        static const char *const one_of[] = {"\"a\"", "5", "true", "{}", "[]", "{}", "[]"};
        const char *value = one_of[keys[k].takes];
        snprintf(json, sizeof json, "{\"op\": \"status\", \"%s\": %s, \"x\": 1, \"%s\": %s}",
                 keys[k].name, value, keys[k].name, value);
        snprintf(message, sizeof message, "%s stands twice", keys[k].name);
        BAD(json, message);
    }
    BAD("{\"op\": \"status\", \"id\": 1, \"id\": 2}", "id stands twice");
    BAD("{\"op\": \"status\", \"op\": \"status\"}", "op stands twice");
}

static void test_unknown_keys(void **state)
{
    struct job job = read_right(*state, "{\"x\": 1, \"op\": \"status\", \"ownr\": [[{}]],"
                                        " \"x\": 2, \"\": null, \"OP\": \"vend\"}");
    assert_int_equal(job.op, OP_STATUS);
    BAD("{\"op\": \"status\", 5: 6}", "job must have texts as keys");
    BAD("{\"op\": \"status\", \"bin:owner\": \"a\"}", "job must have texts as keys");
}

static void test_every_value(void **state)
{
    struct job job = read_right(
        *state, "{\"op\": \"vend\", " NAMED ", \"deadline_ms\": 1, \"min_ttl_s\": 2,"
                " \"kind\": \"oauth2\", \"include\": [\"refresh_token\"], \"force\": true,"
                " \"async\": true, \"generation\": 3, \"vend\": true, \"secret\": {\"a\": 4},"
                " \"scopes\": [\"s\"], \"expires_at\": 5, \"expect_generation\": 6,"
                " \"metadata\": {\"m\": 7}, \"tags\": [\"t\"], \"at_provider\": true,"
                " \"state\": \"ACTIVE\", \"cursor\": \"z\", \"limit\": 8, \"seq\": 9}");
    assert_true(text_is(job.owner, "o") && text_is(job.connection, "c"));
    assert_int_equal(job.deadline_ms, 1);
    assert_int_equal(job.min_ttl_s, 2);
    assert_true(text_is(job.kind, "oauth2"));
    assert_true(job.include_refresh_token && job.force && job.is_async && job.vend);
    assert_true(job.has_generation && job.generation == 3);
    assert_true(node_uint(node_get(job.secret, "a")) == 4);
    assert_true(text_is(node_text(node_item(job.scopes, 0)), "s"));
    assert_true(job.has_expires_at && job.expires_at == 5);
    assert_true(job.has_expect_generation && job.expect_generation == 6);
    assert_true(node_uint(node_get(job.metadata, "m")) == 7);
    assert_true(text_is(node_text(node_item(job.tags, 0)), "t"));
    assert_true(job.at_provider);
    assert_true(text_is(job.state, "ACTIVE") && text_is(job.cursor, "z"));
    assert_true(job.limit == 8 && job.seq == 9);
}

static void test_large_numbers(void **state)
{
    struct job job =
        read_right(*state, "{\"op\": \"vend\", " NAMED ", \"seq\": 9223372036854775807,"
                           " \"generation\": 81985529216486895,"
                           " \"expect_generation\": 4294967296,"
                           " \"expires_at\": 1099511627776, \"limit\": 10000,"
                           " \"deadline_ms\": 3600000}");
    assert_true(job.seq == INT64_MAX && job.generation == 81985529216486895);
    assert_true(job.expect_generation == 1ULL << 32 && job.expires_at == 1LL << 40);
    assert_true(job.limit == 10000 && job.deadline_ms == 3600000);
}

static void test_defaults(void **state)
{
    struct job job = read_right(*state, "{\"op\": \"vend\", " NAMED ", \"force\": false}");
    assert_int_equal(job.deadline_ms, 30000);
    assert_null(job.id.data);
    assert_null(job.account.data);
    assert_false(job.force || job.is_async || job.vend || job.include_refresh_token);
    assert_false(job.has_generation || job.has_expires_at || job.has_expect_generation);
    assert_null(job.secret);
    assert_true(job.limit == 0 && job.min_ttl_s == 0);
    job = read_right(*state, "{\"op\": \"vend\", " NAMED ", \"generation\": 0}");
    assert_true(job.has_generation);
}

static void test_audit(void **state)
{
#define VENDS "{\"op\": \"audit.vends\""
    struct job job = read_right(*state, VENDS ", " NAMED ", \"since\": 7}");
    assert_true(text_is(job.connection, "c") && job.since == 7 && !job.principal.data);
    BAD(VENDS "}", "connection or principal is required");
    BAD(VENDS ", \"owner\": \"o\"}", "connection or principal is required");
    BAD(VENDS ", \"connection\": \"c\"}", "owner is required");
    BAD(VENDS ", \"owner\": \"o\", \"account\": \"a\"}", "provider is required");
    BAD(VENDS ", " NAMED ", \"provider\": \"p\"}",
        "connection stands instead of provider and account");
    BAD(VENDS ", \"principal\": \"p\", \"since\": -1}",
        "since must be a whole number from 0 to 1099511627776");
    job = read_right(*state, "{\"op\": \"vend\", " NAMED ", \"purpose\": \"nightly run\"}");
    assert_true(text_is(job.purpose, "nightly run"));
    BAD("{\"op\": \"vend\", " NAMED ", \"purpose\": \"\"}", "purpose must have 1 to 256 bytes");
    BAD("{\"op\": \"vend\", " NAMED ", \"purpose\": \"a\nb\"}",
        "purpose must be UTF-8 without control characters");
}

static void test_invalidate(void **state)
{
    struct job job = read_right(*state, "{\"op\": \"invalidate\", " NAMED
                                        ", \"access_token_sha256\": \"" SHA "\"}");
    assert_true(text_is(job.access_token_sha256, SHA));
    BAD("{\"op\": \"invalidate\", " NAMED ", \"generation\": 1, \"access_token_sha256\": \"" SHA
        "\"}",
        "generation and access_token_sha256 exclude each other");
#define HEX "access_token_sha256 must be 64 lower-case hexadecimal digits"
    BAD("{\"op\": \"invalidate\", " NAMED ", \"access_token_sha256\": \"ab\"}", HEX);
    char json[300];
    for (size_t i = 0; i < 64; i++) {
        for (const char *wrong = "AFg/:`"; *wrong; wrong++) {
            snprintf(json, sizeof json,
                     "{\"op\": \"invalidate\", " NAMED ", \"access_token_sha256\": \"" SHA "\"}");
            strstr(json, SHA)[i] = *wrong;
            BAD(json, HEX);
        }
    }
}

/* ---- id -------------------------------------------------------------------------------------- */

static void test_ids(void **state)
{
    static const char *const scalars[] = {
        "\"text\"", "\"\"", "\"bin:\x01\"", "0",     "18446744073709551615",
        "-5",       "0.5",  "true",         "false", "null"};
    char json[300];
    for (size_t i = 0; i < COUNT(scalars); i++) {
        snprintf(json, sizeof json, "{\"op\": \"status\", \"id\": %s}", scalars[i]);
        struct job job = read_right(*state, json);
        struct buf expected = body_of(scalars[i]);
        assert_true(text_equal(job.id, buf_text(&expected)));
        /* Also where the job is refused, so that the caller knows which one it was. */
        snprintf(json, sizeof json, "{\"owner\": 5, \"op\": \"status\", \"id\": %s}", scalars[i]);
        assert_int_equal(read_job(*state, json, &job), BURSAR_E_BAD_REQUEST);
        assert_true(text_equal(job.id, buf_text(&expected)));
        snprintf(json, sizeof json, "{\"op\": \"none\", \"id\": %s}", scalars[i]);
        assert_int_equal(read_job(*state, json, &job), BURSAR_E_UNSUPPORTED_OP);
        assert_true(text_equal(job.id, buf_text(&expected)));
        buf_free(&expected);
    }
    struct job job = read_right(*state, "{\"op\": \"status\"}");
    assert_null(job.id.data); /* and not that of the job before */
    BAD("{\"op\": \"status\", \"id\": []}", "id must be a scalar");
    BAD("{\"op\": \"status\", \"id\": {}}", "id must be a scalar");
    BAD("{\"op\": \"status\", \"id\": \"\xff\"}", "id must be UTF-8 without control characters");
}

static void test_long_id(void **state)
{
    static char json[2000];
    for (int len = 1015; len < 1030; len++) {
        struct job job;
        snprintf(json, sizeof json, "{\"op\": \"status\", \"id\": \"%0*d\"}", len, 0);
        bool fits = len + 3 <= 1024; /* a text of that length has a head of three bytes */
        assert_int_equal(read_job(*state, json, &job), fits ? 0 : BURSAR_E_BAD_REQUEST);
        assert_int_equal(job.id.len, fits ? len + 3 : 0);
        if (!fits)
            assert_true(text_is(buf_text(&reading_error), "id must have at most 1024 bytes"));
    }
    read_right(*state, "{\"op\": \"status\", \"id\": 1}"); /* nothing of it stays */
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void test_bodies(void **state)
{
    static const struct text bodies[] = {
        {NULL, 0},
        T(""),
        T("\xc1"),
        T("\x81"),
        T("\x80\x80"),
        T("\xdf\xff\xff\xff\xff"),
        T("{\"op\": \"status\"}"),
    };
    struct job job;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        buf_clear(&reading_error);
        assert_int_equal(job_read(*state, bodies[i], &job, &reading_error), BURSAR_E_BAD_REQUEST);
        assert_true(
            text_is(buf_text(&reading_error), "body is not one MessagePack map within the limits"));
        assert_int_equal(job.op, OP_NONE);
        assert_null(job.id.data);
    }
    BAD("[]", "body must be a map");
    BAD("\"vend\"", "body must be a map");
    BAD("null", "body must be a map");
}

/* Random changes of right jobs end in an answer; what is taken is within its bounds. */
static void test_mutated_jobs(void **state)
{
    static const char *const right[] = {
        "{\"op\": \"vend\", " NAMED ", \"id\": 7, \"min_ttl_s\": 60, \"include\": []}",
        "{\"op\": \"credential.put\", \"owner\": \"o\", \"provider\": \"p\", \"account\": \"a\","
        " \"secret\": {\"kind\": \"oauth2\"}, \"scopes\": [\"a\"], \"expires_at\": 5}",
        "{\"op\": \"connection.update\", " NAMED ", \"metadata\": {\"a\": 1}, \"tags\": [\"t\"]}",
    };
    uint32_t random = 1;
    size_t taken = 0;
    for (int i = 0; i < 60000; i++) {
        struct job job;
        struct buf one = body_of(right[i % 3]);
        for (uint32_t k = 0; k <= random >> 30; k++) {
            random = random * 1664525 + 1013904223;
            one.data[(random >> 8) % one.len] = (uint8_t)(random >> 24);
        }
        buf_clear(&reading_error);
        int result = job_read(*state, buf_text(&one), &job, &reading_error);
        assert_true(result == 0 || result == BURSAR_E_BAD_REQUEST ||
                    result == BURSAR_E_UNSUPPORTED_OP);
        assert_int_equal(result == 0, reading_error.len == 0);
        assert_true(text_is_printable(buf_text(&reading_error)));
        if (result == 0) {
            taken++;
            assert_true(job.owner.len > 0 && job.owner.len <= BURSAR_MAX_OWNER_BYTES);
            assert_true(job.connection.data || job.provider.data);
        }
        buf_free(&one);
    }
    assert_in_range(taken, 1000, 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_required_keys),
        cmocka_unit_test(test_names_of_connections),
        cmocka_unit_test(test_op_itself),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_number_bounds),
        cmocka_unit_test(test_text_bounds),
        cmocka_unit_test(test_count_bounds),
        cmocka_unit_test(test_keys_twice),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_every_value),
        cmocka_unit_test(test_large_numbers),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_invalidate),
        cmocka_unit_test(test_audit),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_long_id),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_mutated_jobs),
    };
    return cmocka_run_group_tests(tests, reading_set_up, reading_tear_down);
}
