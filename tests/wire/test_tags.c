#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/tags.h"

static void test_tags(void **state)
{
    (void)state;
    static const struct text packed = TEXT_LITERAL("\x93\xa8team=red\xa6urgent\xa5"
                                                   "a=b=c");
    static const struct {
        const char *tag;
        bool has;
    } cases[] = {{"team=red", true}, {"team", true},      {"team=", false}, {"tea", false},
                 {"red", false},     {"urgent", true},    {"urgen", false}, {"urgent=", false},
                 {"a", true},        {"a=b", true},       {"a=b=c", true},  {"a=b=", false},
                 {"A", false},       {"team=red ", false}};
    struct tree *tree = tree_new();
    assert_non_null(tree);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (tags_have(tree, packed, text_of(cases[i].tag)) != cases[i].has)
            fail_msg("%s", cases[i].tag);
    }
    assert_false(tags_have(tree, (struct text){NULL, 0}, text_of("a")));
    assert_false(tags_have(tree, TEXT_LITERAL("\x90"), text_of("a")));
    assert_false(tags_have(tree, TEXT_LITERAL("\x93"), text_of("a"))); /* cut off */
    assert_false(tags_have(tree,
                           TEXT_LITERAL("\x81\xa1"
                                        "a\xa1"
                                        "b"),
                           text_of("a"))); /* no list */
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
