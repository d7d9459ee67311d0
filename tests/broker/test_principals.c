/* Who is behind a peer, and who is let in while nobody is configured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "broker/principals.h"

static const char key_a[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

static struct principal made(const char *name, const uint32_t *uids, size_t uid_count,
                             const uint32_t *gids, size_t gid_count, const char *key)
{
    struct principal one;
    principal_init(&one);
    assert_true(principal_set_text(&one.name, text_of(name)));
    for (size_t i = 0; i < uid_count; i++)
        assert_true(principal_add_id(&one.uids, &one.uid_count, uids[i]));
    for (size_t i = 0; i < gid_count; i++)
        assert_true(principal_add_id(&one.gids, &one.gid_count, gids[i]));
    if (key)
        assert_true(principal_add_key(&one, text_of(key)));
    return one;
}

static const char *name_of(const struct principals *set, const char *peer)
{
    const struct principal *one = principals_of_peer(set, peer);
    return one ? one->name : "nobody";
}

static void test_nobody_configured(void **state)
{
    struct principals *set = principals_new(NULL, 0, 500);
    (void)state;
    assert_int_equal(principals_count(set), 2);
    assert_string_equal(name_of(set, "uid:0:gid:0:pid:1"), "uid:0");
    assert_string_equal(name_of(set, "uid:500:gid:7:pid:1"), "uid:500");
    assert_string_equal(name_of(set, "uid:501:gid:500:pid:1"), "nobody");
    const struct principal *root = principals_of_peer(set, "uid:0:gid:0:pid:1");
    assert_int_equal(root->roles, ROLE_ALL);
    assert_true(root->owners.is_all && root->providers.is_all && root->refs.is_all);
    assert_false(principals_have_others(set));
    principals_release(set);
    set = principals_new(NULL, 0, 0); /* run by root */
    assert_int_equal(principals_count(set), 1);
    principals_release(set);
}

static void test_peers(void **state)
{
    struct principal items[] = {made("user", (uint32_t[]){1000, 1001}, 2, NULL, 0, NULL),
                                made("group", NULL, 0, (uint32_t[]){20}, 1, NULL),
                                made("remote", NULL, 0, NULL, 0, key_a)};
    struct principals *set = principals_new(items, 3, 500);
    char peer[PEER_MAX];
    (void)state;
    assert_string_equal(name_of(set, "uid:1000:gid:20:pid:5"), "user"); /* a uid comes first */
    assert_string_equal(name_of(set, "uid:1001:gid:1:pid:5"), "user");
    assert_string_equal(name_of(set, "uid:7:gid:20:pid:5"), "group");
    assert_string_equal(name_of(set, "uid:7:gid:1000:pid:5"), "nobody");
    peer_of_process(1000, 1, 77, peer);
    assert_string_equal(peer, "uid:1000:gid:1:pid:77");
    assert_string_equal(name_of(set, peer), "user");
    peer_of_key(key_a, peer);
    assert_string_equal(name_of(set, peer), "remote");
    peer[strlen(peer) - 1] = 'x';
    assert_string_equal(name_of(set, peer), "nobody");
    static const char *const strangers[] = {"",
                                            "uid:",
                                            "uid:99999999999:gid:20:pid:1",
                                            "gid:20",
                                            "1000",
                                            "curve:",
                                            "uid:7:gid",
                                            "uid:-1000:gid:20",
                                            "curve:rq:rM>}U?@",
                                            "curve"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        assert_string_equal(name_of(set, strangers[i]), "nobody");
    assert_null(principals_of_peer(set, NULL));
    assert_true(principals_have_others(set));
    principals_release(set);
    for (size_t i = 0; i < 3; i++)
        principal_fini(&items[i]);
}

/* With somebody configured, root and the daemon's user look after principals, and no more. */
static void test_own_users(void **state)
{
    struct principal items[] = {made("remote", NULL, 0, NULL, 0, key_a),
                                made("root", (uint32_t[]){0}, 1, NULL, 0, NULL)};
    struct principals *set = principals_new(items, 1, 500);
    (void)state;
    const struct principal *root = principals_of_peer(set, "uid:0:gid:0:pid:1");
    assert_int_equal(root->roles, ROLE_ADMIN);
    assert_false(root->owners.is_all || root->providers.is_all || root->refs.is_all);
    assert_int_equal(principals_of_peer(set, "uid:500:gid:0:pid:1")->roles, ROLE_ADMIN);
    assert_false(principals_have_others(set)); /* nobody new on ipc */
    principals_release(set);
    set = principals_new(items, 2, 500);
    root = principals_of_peer(set, "uid:0:gid:0:pid:1");
    assert_string_equal(root->name, "root");
    assert_int_equal(root->roles, 0); /* as it is listed */
    assert_int_equal(principals_count(set), 3);
    assert_ptr_equal(principals_at(set, principals_index(set, root)), root);
    assert_ptr_equal(principals_find(set, TEXT_LITERAL("root")), root);
    assert_null(principals_find(set, TEXT_LITERAL("uid:0")));
    principals_release(principals_hold(set));
    principals_release(set);
    principals_release(NULL);
    for (size_t i = 0; i < 2; i++)
        principal_fini(&items[i]);
}

static void test_shared(void **state)
{
    struct principal a = made("a", (uint32_t[]){1}, 1, (uint32_t[]){2}, 1, key_a);
    struct principal b = made("b", (uint32_t[]){2}, 1, (uint32_t[]){1}, 1, NULL);
    struct principal c = made("c", NULL, 0, (uint32_t[]){3, 2}, 2, NULL);
    struct principal d = made("d", NULL, 0, NULL, 0, key_a);
    struct principal copy;
    (void)state;
    assert_null(principal_shared(&a, &b)); /* a uid is no gid */
    assert_string_equal(principal_shared(&a, &c), "gid");
    assert_string_equal(principal_shared(&a, &d), "CURVE key");
    assert_true(principal_copy(&a, &copy));
    assert_string_equal(principal_shared(&a, &copy), "uid");
    principal_fini(&a);
    assert_string_equal(copy.name, "a");
    assert_string_equal(copy.keys[0].z85, key_a);
    principal_fini(&b);
    principal_fini(&c);
    principal_fini(&d);
    principal_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_configured), cmocka_unit_test(test_peers),
        cmocka_unit_test(test_own_users), cmocka_unit_test(test_shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
