/* The warm table: found only with the owner, bounded, never goes back to an older generation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "broker/warm_table.h"
#include "vault/seal.h"

static struct warm *make(const char *owner, const char *id, const char *account,
                         uint64_t generation)
{
    struct conn_row row = {.owner = text_of(owner),
                           .id = text_of(id),
                           .provider = text_of("acme"),
                           .account = text_of(account),
                           .kind = text_of("oauth2"),
                           .secret = text_of("sealed"),
                           .generation = generation};
    return warm_of_row(&row);
}

static const struct warm *by_id(struct warm_table *table, const char *owner, const char *id)
{
    const struct warm_item *item = warm_table_by_id(table, text_of(owner), text_of(id));
    return item ? item->entry : NULL;
}

static const struct warm *by_account(struct warm_table *table, const char *owner,
                                     const char *account)
{
    const struct warm_item *item =
        warm_table_by_account(table, text_of(owner), text_of("acme"), text_of(account));
    return item ? item->entry : NULL;
}

static void test_found_with_its_owner_alone(void **state)
{
    struct warm_table *table = warm_table_new(8);
    (void)state;
    warm_table_put(table, make("o1", "acme.1", "a", 3));
    assert_int_equal(by_id(table, "o1", "acme.1")->generation, 3);
    assert_ptr_equal(by_account(table, "o1", "a"), by_id(table, "o1", "acme.1"));
    assert_null(by_id(table, "o2", "acme.1"));
    assert_null(by_id(table, "o", "acme.1"));
    assert_null(by_id(table, "o1", "acme.2"));
    assert_null(by_account(table, "o2", "a"));
    assert_null(by_account(table, "o1", "b"));
    warm_table_free(table);
}

/* Owner and account are joined with NUL between them: parts cannot run into each other. */
static void test_keys_do_not_run_together(void **state)
{
    struct warm_table *table = warm_table_new(8);
    (void)state;
    warm_table_put(table, make("ab", "acme.1", "c", 1));
    assert_null(warm_table_by_account(table, text_of("a"), text_of("bacme"), text_of("c")));
    assert_null(warm_table_by_account(table, text_of("ab"), text_of("acm"), text_of("ec")));
    warm_table_free(table);
}

static void test_newer_generation_stays(void **state)
{
    struct warm_table *table = warm_table_new(8);
    (void)state;
    warm_table_put(table, make("o", "acme.1", "a", 5));
    warm_table_put(table, make("o", "acme.1", "a", 4));
    assert_int_equal(by_id(table, "o", "acme.1")->generation, 5);
    warm_table_put(table, make("o", "acme.1", "a", 6));
    assert_int_equal(by_account(table, "o", "a")->generation, 6);
    assert_int_equal(warm_table_count(table), 1);
    warm_table_free(table);
}

static void test_forget(void **state)
{
    struct warm_table *table = warm_table_new(8);
    (void)state;
    warm_table_put(table, make("o", "acme.1", "a", 1));
    warm_table_forget(table, text_of("acme.2"));
    assert_int_equal(warm_table_count(table), 1);
    warm_table_forget(table, text_of("acme.1"));
    assert_null(by_id(table, "o", "acme.1"));
    assert_null(by_account(table, "o", "a"));
    assert_int_equal(warm_table_count(table), 0);
    warm_table_free(table);
}

static void test_reconnected_under_another_id(void **state)
{
    struct warm_table *table = warm_table_new(8);
    (void)state;
    warm_table_put(table, make("o", "acme.1", "a", 7));
    warm_table_put(table, make("o", "acme.2", "a", 1));
    assert_null(by_id(table, "o", "acme.1"));
    assert_int_equal(by_account(table, "o", "a")->generation, 1);
    assert_int_equal(warm_table_count(table), 1);
    warm_table_free(table);
}

/* Two hundred bytes of a sealed secret: with a reply the head alone is kept, and both keys still find it. */
static void test_reply_stands_for_the_secret(void **state)
{
    struct warm_table *table = warm_table_new(8);
    char sealed[200] = "head";
    struct conn_row row = {.owner = text_of("o"),
                           .id = text_of("acme.1"),
                           .provider = text_of("acme"),
                           .account = text_of("a"),
                           .kind = text_of("oauth2"),
                           .secret = {sealed, sizeof sealed},
                           .generation = 3};
    struct kept_reply *reply = calloc(1, sizeof *reply);
    (void)state;
    warm_table_put(table, warm_of_row(&row));
    struct warm_item *item = warm_table_by_id(table, text_of("o"), text_of("acme.1"));
    assert_null(item->reply);
    assert_int_equal(item->entry->secret.len, sizeof sealed);
    warm_table_keep_reply(table, item, reply);
    assert_ptr_equal(warm_table_by_id(table, text_of("o"), text_of("acme.1")), item);
    assert_ptr_equal(by_account(table, "o", "a"), item->entry);
    assert_ptr_equal(item->reply, reply);
    assert_int_equal(item->entry->secret.len, SEAL_OVERHEAD);
    assert_memory_equal(item->entry->secret.data, sealed, SEAL_OVERHEAD);
    assert_int_equal(item->entry->generation, 3);
    row.generation = 4; /* a new secret has no reply yet */
    warm_table_put(table, warm_of_row(&row));
    item = warm_table_by_id(table, text_of("o"), text_of("acme.1"));
    assert_null(item->reply);
    assert_int_equal(item->entry->secret.len, sizeof sealed);
    warm_table_free(table);
}

/* An entry goes that was not asked for since it was last looked at; when all were, the oldest. */
static void test_least_recently_used_goes_first(void **state)
{
    struct warm_table *table = warm_table_new(3);
    char id[16], account[16];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "acme.%d", i);
        snprintf(account, sizeof account, "a%d", i);
        warm_table_put(table, make("o", id, account, 1));
    }
    assert_non_null(by_id(table, "o", "acme.0")); /* used: 1 is the oldest now */
    warm_table_put(table, make("o", "acme.3", "a3", 1));
    assert_null(by_id(table, "o", "acme.1"));
    assert_non_null(by_id(table, "o", "acme.0"));
    assert_non_null(by_account(table, "o", "a2"));
    assert_non_null(by_id(table, "o", "acme.3"));
    assert_int_equal(warm_table_count(table), 3);
    for (int i = 0; i < 4; i++) { /* all are used now, and one must go nevertheless */
        snprintf(id, sizeof id, "acme.%d", i);
        by_id(table, "o", id);
    }
    warm_table_put(table, make("o", "acme.4", "a4", 1));
    assert_int_equal(warm_table_count(table), 3);
    assert_non_null(by_id(table, "o", "acme.4"));
    warm_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_with_its_owner_alone),
        cmocka_unit_test(test_keys_do_not_run_together),
        cmocka_unit_test(test_newer_generation_stays),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_reconnected_under_another_id),
        cmocka_unit_test(test_reply_stands_for_the_secret),
        cmocka_unit_test(test_least_recently_used_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
