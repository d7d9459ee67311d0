/* Who is told to be at the other end of a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/zap.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_process_of_address)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
