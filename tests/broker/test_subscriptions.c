/* Subscriptions are counted for each principal, and asked about anew when principals change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/subscriptions.h"

static const char peer_a[] = "uid:1:gid:1:pid:10", peer_a2[] = "uid:1:gid:1:pid:11",
                  peer_b[] = "uid:2:gid:2:pid:20";

/* Two principals, by uid 1 and 2, that hear of one owner each; a NULL owner: the principal is not there. */
static struct principals *set_of(const char *owner_a, const char *owner_b)
{
    const char *const owners[] = {owner_a, owner_b};
    struct principal items[2];
    size_t count = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct principal *one = &items[count];
        if (!owners[i])
            continue;
        principal_init(one);
        one->roles = ROLE_EVENTS;
        one->providers.is_all = true;
        assert_true(principal_set_text(&one->name, text_of(i == 0 ? "a" : "b")));
        assert_true(principal_add_id(&one->uids, &one->uid_count, i + 1));
        assert_true(principal_add_name(&one->owners, text_of(owners[i])));
        count++;
    }
    struct principals *set = principals_new(items, count, 0);
    for (size_t i = 0; i < count; i++)
        principal_fini(&items[i]);
    return set;
}

static const struct principal *named(const struct principals *set, const char *name)
{
    const struct principal *one = principals_find(set, text_of(name));
    assert_non_null(one);
    return one;
}

static const struct text of_acme = TEXT_LITERAL("reauth/acme/"), alive = TEXT_LITERAL("alive/");

static void test_counts(void **state)
{
    struct principals *set = set_of("acme", "bee");
    struct subscriptions *table = subscriptions_new();
    const struct principal *a = named(set, "a"), *b = named(set, "b");
    (void)state;
    assert_int_equal(subscriptions_count(table, a), 0);
    subscriptions_add(table, peer_a, a, of_acme);
    subscriptions_add(table, peer_a2, a, of_acme); /* two connections of one principal */
    subscriptions_add(table, peer_a, a, alive);
    subscriptions_add(table, peer_b, b, alive);
    assert_int_equal(subscriptions_count(table, a), 3);
    assert_int_equal(subscriptions_count(table, b), 1);
    subscriptions_remove(table, peer_b, of_acme); /* it has none of those */
    assert_int_equal(subscriptions_count(table, a), 3);
    subscriptions_remove(table, peer_a2, of_acme);
    assert_int_equal(subscriptions_count(table, a), 2);
    subscriptions_remove(table, NULL, of_acme); /* its connection broke */
    assert_int_equal(subscriptions_count(table, a), 1);
    subscriptions_remove(table, NULL, of_acme); /* nobody has it */
    subscriptions_remove(table, NULL, alive);
    assert_int_equal(subscriptions_count(table, a) + subscriptions_count(table, b), 1);
    subscriptions_clear(table);
    assert_int_equal(subscriptions_count(table, a) + subscriptions_count(table, b), 0);
    subscriptions_add(table, peer_a, a, (struct text){"", 0}); /* everything */
    assert_int_equal(subscriptions_count(table, a), 1);
    subscriptions_free(table);
    subscriptions_free(NULL);
    principals_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
