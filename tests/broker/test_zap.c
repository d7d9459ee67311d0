/* Who is told to be at the other end of a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "broker/zap_question.h"

static void test_process_of_address(void **state)
{
    static const struct {
        const char *address;
        bool is_known;
        struct zap_process process;
    } cases[] = {
        {"localhost:0:0:17", true, {0, 0, 17}},
        {"localhost:1000:100:4242", true, {1000, 100, 4242}},
        {"localhost:4294967294:1:1", true, {4294967294U, 1, 1}},
        {"localhost:4294967295:1:1", false, {0}}, /* (uid_t)-1 is nobody */
        {"localhost:1:4294967295:1", false, {0}},
        {"localhost:-1:0:1", false, {0}},
        {"localhost:+1:0:1", false, {0}},
        {"localhost: 1:0:1", false, {0}},
        {"localhost::0:1", false, {0}},
        {"localhost:1:0:", false, {0}},
        {"localhost:1:0:1:2", false, {0}},
        {"localhost:1:0", false, {0}},
        {"localhost:", false, {0}},
        {"localhost:7", false, {0}},
        {"localhost", false, {0}},
        {"", false, {0}},
        {"127.0.0.1", false, {0}},
        {"localhostx:0:0:1", false, {0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zap_process process = {77, 78, 79};
        struct zap_process wanted = cases[i].is_known ? cases[i].process : process;
        bool is_known = zap_process_of(text_of(cases[i].address), &process);
        if (is_known != cases[i].is_known || process.uid != wanted.uid ||
            process.gid != wanted.gid || process.pid != wanted.pid)
            fail_msg("%s: %d %u", cases[i].address, is_known, (unsigned)process.uid);
    }
}

static struct zap_question question_of(const struct text *frames, size_t count)
{
    struct zap_question question = {.count = 0};
    for (size_t i = 0; i < count; i++)
        zap_question_add(&question, frames[i].data, frames[i].len);
    return question;
}

#define T(s) TEXT_LITERAL(s)
/* The example of ZeroMQ's RFC 32, four times. */
#define HELLO_WORLD "\x86\x4f\xd2\x6f\xb5\x59\xf7\x5b"
#define KEY HELLO_WORLD HELLO_WORLD HELLO_WORLD HELLO_WORLD

static void test_peers(void **state)
{
    static const char long_one[ZAP_FRAME_MAX + 1];
    const struct text process[] = {T("1.0"), T("1"),    T("bursar"), T("localhost:1:2:3"),
                                   T(""),    T("NULL"), T("more")};
    const struct text key[] = {T("1.0"), T("1"),     T("bursar"), T("127.0.0.1"),
                               T(""),    T("CURVE"), T(KEY),      T("more")};
    char peer[PEER_MAX] = "as it was";
    (void)state;
    struct zap_question question = question_of(process, 6);
    assert_true(zap_question_peer(&question, peer));
    assert_string_equal(peer, "uid:1:gid:2:pid:3");
    question = question_of(key, 7);
    assert_true(zap_question_peer(&question, peer));
    assert_string_equal(peer, "curve:HelloWorldHelloWorldHelloWorldHelloWorld");
    memcpy(peer, "as it was", sizeof "as it was");
    /* More or fewer frames than the mechanism has, and each frame wrong in its turn. */
    for (size_t count = 0; count <= 7; count++) {
        question = question_of(process, count);
        assert_true(count == 6 || !zap_question_peer(&question, peer));
    }
    for (size_t count = 0; count <= 8; count++) {
        question = question_of(key, count);
        assert_true(count == 7 || !zap_question_peer(&question, peer));
    }
    static const size_t telling[] = {ZAP_VERSION, ZAP_ADDRESS, ZAP_MECHANISM};
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        struct text wrong[6];
        memcpy(wrong, process, sizeof wrong);
        wrong[telling[i]] = T("PLAIN");
        question = question_of(wrong, 6);
        assert_false(zap_question_peer(&question, peer));
        wrong[telling[i]] = (struct text){long_one, sizeof long_one};
        question = question_of(wrong, 6);
        assert_false(zap_question_peer(&question, peer));
    }
    struct text short_key[7];
    memcpy(short_key, key, sizeof short_key);
    short_key[ZAP_KEY].len--;
    question = question_of(short_key, 7);
    assert_false(zap_question_peer(&question, peer));
    assert_string_equal(peer, "as it was");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_process_of_address),
                                       cmocka_unit_test(test_peers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
