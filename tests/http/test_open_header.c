/* Which headers of a reply can have no secret in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/open_header.h"

static void test_open(void **state)
{
    static const char *const lines[] = {
        "HTTP/1.1 200 OK",     "HTTP/2 429",          "Content-Type: a/b",     "content-length:5",
        "X-XSS-PROTECTION: 0", "Accept-Ranges: none", "Date: a, b 00:00:00 c", "Vary:"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!http_header_is_open(text_of(lines[i])))
            fail_msg("%s", lines[i]);
    }
}

/* Also what is no header at all: a line that goes on from the one before, a name with a blank behind it. */
static void test_closed(void **state)
{
    static const char *const lines[] = {"",
                                        "HTTP",
                                        "Set-Cookie: a=b",
                                        "Location: https://a/?code=b",
                                        "ETag: \"a\"",
                                        "X-Subject-Token: a",
                                        "WWW-Authenticate: Bearer",
                                        "Date",
                                        "Date : a",
                                        " Date: a",
                                        "Dat: a",
                                        "Dates: a",
                                        ": a"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (http_header_is_open(text_of(lines[i])))
            fail_msg("%s", lines[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
