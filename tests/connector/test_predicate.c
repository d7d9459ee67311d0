/* Predicates: what they hold of in each format, and what is said of wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/decimal.h"
#include "connector/predicate.h"

struct row {
    const char *predicate, *body;
    bool holds;
};

#define SLACK "{\"ok\":true,\"code\":0,\"msg\":\"success\",\"gone\":null,\"list\":[],\"map\":{}}"

static const struct row rows[] = {
    {"$.ok == true", SLACK, true},
    {"$.ok == false", SLACK, false},
    {"$.ok != false", SLACK, true},
    {"$.ok != true", SLACK, false},
    {"$.ok==true", SLACK, true},
    {"$.ok\t==\n true", SLACK, true},
    {"$.ok == 'true'", SLACK, false},
    {"$.ok == 1", SLACK, false},
    {"$.code == 0", SLACK, true},
    {"$.code == -0", SLACK, true},
    {"$.code == 0.0e9", SLACK, true},
    {"$.code == 1", SLACK, false},
    {"$.code == \"0\"", SLACK, false},
    {"$.code == false", SLACK, false},
    {"$.code == null", SLACK, false},
    {"$.msg == \"success\"", SLACK, true},
    {"$.msg == 'success'", SLACK, true},
    {"$['msg'] == 'succes\\u0073'", SLACK, true},
    {"$.msg == 'Success'", SLACK, false},
    {"$.msg == ''", SLACK, false},
    {"$.msg != 'fail'", SLACK, true},
    {"$.gone == null", SLACK, true},
    {"$.gone != null", SLACK, false},
    {"$.msg == null", SLACK, false},
    {"$.none == null", SLACK, false},
    {"$.none == 0", SLACK, false},
    {"$.none != 0", SLACK, true},
    {"$.none != null", SLACK, true},
    {"$.ok exists", SLACK, true},
    {"$.gone exists", SLACK, false},
    {"$.none exists", SLACK, false},
    {"$.list exists", SLACK, true},
    {"$.ok absent", SLACK, false},
    {"$.gone absent", SLACK, true},
    {"$.none absent", SLACK, true},
    {"$.none | $.ok == true", SLACK, true},
    {"$.none | $.other exists", SLACK, false},
    {"$.none | $.other absent", SLACK, true},
    {"$.list == ''", SLACK, false},
    {"$.map == null", SLACK, false},
    {"$.map != null", SLACK, true},
    {"$ exists", SLACK, true},
    {"$.x == 9007199254740993", "{\"x\":9007199254740993}", true},
    {"$.x == 9007199254740993", "{\"x\":9007199254740992}", false},
    {"$.x == 1e400", "{\"x\":10e399}", true},
    {"$.x == 1e400", "{\"x\":1e401}", false},
    {"$.x == 100", "{\"x\":1E+2}", true},
    {"$.x == -1.50", "{\"x\":-15e-1}", true},
    {"$.x == 1.5", "{\"x\":-1.5}", false},
    {"$.x == ''", "{\"x\":\"\"}", true},
    {"$.x == 0", "{\"x\":\"0\"}", false},
    {"$.x != 0", "{\"x\":\"0\"}", true},
    {"$.x == true", "{\"x\":\"true\"}", false},
    {"$.x == null", "{\"x\":\"null\"}", false},
    {"$.x == '\\ud83d\\ude00'", "{\"x\":\"😀\"}", true},
    {"$.x == 'a'", "{\"x\":\"a\\ud800\"}", false},
    {"$.x exists", "{\"x\":\"a\\ud800\"}", true},
    {"$.x == '| ['", "{\"x\":\"| [\"}", true},
    /* where all is text */
    {"$.ok == true", "ok=true&code=0", true},
    {"$.ok == 'true'", "ok=true&code=0", true},
    {"$.ok == false", "ok=true&code=0", false},
    {"$.code == 0", "ok=true&code=0", true},
    {"$.code == 0", "ok=true&code=0.00", true},
    {"$.code == 0", "ok=true&code=", false},
    {"$.code == 0", "ok=true&code=00", false},
    {"$.code == 0", "ok=true&code=zero", false},
    {"$.code != 0", "ok=true&code=1", true},
    {"$.error absent", "ok=true", true},
    {"$.r.code == 0", "<r><code> 0 </code></r>", true},
    {"$.r.state == 'ok'", "<r><state>ok</state></r>", true},
    {"$.r['@ok'] == true", "<r ok='true'/>", true},
    {"$.r == ''", "<r ok='true'/>", true},
    {"$.ret == 0", "cb({\"ret\":0});", true},
    {"$.ret == '0'", "cb({\"ret\":0});", false},
    /* where nothing is */
    {"$ exists", "<html><body>403</body></html>", false},
    {"$.ok absent", "<html><body>403</body></html>", true},
    {"$ exists", "", false},
    {"$.ok == true", "{\"ok\":true", false},
};

static struct predicate *compile(const char *text)
{
    struct predicate *predicate = NULL;
    struct buf error = buf_make(1024);
    if (predicate_compile(text_of(text), &predicate, &error) != 0)
        fail_msg("%s: %.*s", text, (int)error.len, (const char *)error.data);
    buf_free(&error);
    return predicate;
}

static void test_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct predicate *predicate = compile(rows[i].predicate);
        struct document *document = document_new(text_of(rows[i].body), text_of(NULL));
        assert_non_null(document);
        if (predicate_holds(predicate, document) != rows[i].holds)
            fail_msg("%s of %s", rows[i].predicate, rows[i].body);
        document_free(document);
        predicate_free(predicate);
    }
    predicate_free(NULL);
}

static const struct {
    const char *text;
    size_t at;
    const char *says;
} wrong[] = {
    {"", 1, "begins with `$`"},
    {"ok == true", 1, "begins with `$`"},
    {"$.* == 1", 3, "selects many"},
    {"$.ok", 5, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok ", 6, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok = true", 6, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok > 1", 6, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok is true", 6, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok exist", 6, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok EXISTS", 6, "`==`, `!=`, `exists` or `absent`"},
    {"$.ok exists ", 12, "behind the predicate"},
    {"$.ok exists true", 12, "behind the predicate"},
    {"$.ok existsx", 12, "behind the predicate"},
    {"$.ok ==", 8, "a number, true"},
    {"$.ok == ", 9, "a number, true"},
    {"$.ok == yes", 9, "a number, true"},
    {"$.ok == True", 9, "a number, true"},
    {"$.ok == $.b", 9, "a number, true"},
    {"$.ok == [1]", 9, "a number, true"},
    {"$.ok == +1", 9, "a number, true"},
    {"$.ok == .5", 9, "a number, true"},
    {"$.ok == 01", 9, "a number, true"},
    {"$.ok == 1.", 9, "a number, true"},
    {"$.ok == 1 ", 10, "behind the predicate"},
    {"$.ok == true && $.a == 1", 13, "behind the predicate"},
    {"$.ok == truex", 13, "behind the predicate"},
    {"$.ok == 'a' b", 12, "behind the predicate"},
    {"$.ok == 'a", 11, "does not end"},
    {"$.ok == 'a\\q'", 12, "an escape that"},
    {"$.ok == '\\ud800'", 11, "surrogate"},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct predicate *predicate = NULL;
        struct buf error = buf_make(1024);
        char place[32];
        int result = predicate_compile(text_of(wrong[i].text), &predicate, &error);
        snprintf(place, sizeof place, "at byte %zu: ", wrong[i].at);
        if (result != BURSAR_E_CONFIG || predicate)
            fail_msg("%s is taken", wrong[i].text);
        const char *said = (const char *)error.data;
        if (strncmp(said, place, strlen(place)) != 0 || !strstr(said, wrong[i].says))
            fail_msg("%s: \"%s\", wanted %s… %s", wrong[i].text, said, place, wrong[i].says);
        buf_free(&error);
    }
}

static void test_too_long(void **state)
{
    struct buf text = buf_make(1 << 16);
    struct buf error = buf_make(1024);
    struct predicate *predicate = NULL;
    (void)state;
    buf_append_string(&text, "$.a == '");
    for (size_t i = 0; i < PATH_BYTES_MAX; i++)
        buf_append_byte(&text, 'x');
    buf_append_byte(&text, '\'');
    assert_int_equal(predicate_compile(buf_text(&text), &predicate, &error), BURSAR_E_CONFIG);
    assert_null(predicate);
    buf_free(&error);
    buf_free(&text);
}

static const struct {
    const char *a, *b;
    bool is_equal;
} numbers[] = {
    {"0", "-0", true},
    {"0", "0e99999999999999999999", true},
    {"10", "1e1", true},
    {"0.001", "1e-3", true},
    {"0.0010", "100e-5", true},
    {"12.34", "1234e-2", true},
    {"1234", "12.34e2", true},
    {"100.5", "1005e-1", true},
    {"1.0", "1", true},
    {"1.01", "1.1", false},
    {"10.1", "1.01", false},
    {"10", "100", false},
    {"1", "-1", false},
    {"0.1", "0.01", false},
    {"123456789012345678901234567890", "123456789012345678901234567891", false},
    {"123456789012345678901234567890", "12345678901234567890123456789e1", true},
    {"1e5", "1e-5", false},
    {"1e5", "1E+05", true},
};

static void test_decimals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct text a = text_of(numbers[i].a), b = text_of(numbers[i].b);
        assert_true(decimal_is(a) && decimal_is(b));
        if (decimal_equal(a, b) != numbers[i].is_equal ||
            decimal_equal(b, a) != numbers[i].is_equal)
            fail_msg("%s and %s", numbers[i].a, numbers[i].b);
        assert_true(decimal_equal(a, a) && decimal_equal(b, b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
