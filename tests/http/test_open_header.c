/* Which headers of a reply can have no secret in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

/* Each is found: they are in the order in which they are looked for, and stand once. */
static void test_order(void **state)
{
    size_t count;
    const struct text *names = http_open_headers(&count);
    char line[128];
    (void)state;
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && http_header_compare(&names[i - 1], &names[i]) >= 0)
            fail_msg("%s is behind %s", names[i].data, names[i - 1].data);
        int len = snprintf(line, sizeof line, "%s: a", names[i].data);
        assert_int_equal(strlen(names[i].data), names[i].len);
        assert_true(http_header_is_open((struct text){line, (size_t)len}));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
