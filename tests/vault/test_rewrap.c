/* Keys that change: what was sealed goes from one to another, and readers never see half a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"
#include "vault/keyring.h"
#include "vault/seal.h"

#define T(s) TEXT_LITERAL(s)
#define WRAP_END 81 /* the head with the wrapped data key: format, key, nonce, data key and tag */

static const struct seal_place place = {T("acme"), T("p.1"), SEAL_SECRET, 7};

struct fixture {
    struct keyring *keyring;
    struct key_set *next; /* what is published by publish() */
    uint8_t first[KEYRING_ID_LEN];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    if (secret_arena_open(1 << 20) != 0)
        return -1;
    struct key_set *set = key_set_new(8);
    if (key_set_add_fresh(set, KEY_ACTIVE, T(""), fixture.first) != 0)
        return -1;
    fixture.keyring = keyring_new(set);
    fixture.next = NULL;
    *state = &fixture;
    return fixture.keyring ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    keyring_free(fixture->keyring);
    key_set_free(fixture->next);
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return used_bytes == 0 ? 0 : -1;
}

/* The keys as they are, to be changed and published. */
static struct key_set *change(struct fixture *fixture)
{
    struct keyring_hold hold;
    fixture->next = key_set_copy(keyring_hold(fixture->keyring, &hold), 4);
    keyring_let_go(fixture->keyring, &hold);
    return fixture->next;
}

static void publish(struct fixture *fixture)
{
    keyring_publish(fixture->keyring, fixture->next);
    fixture->next = NULL;
}

static void add(struct fixture *fixture, enum key_role role, struct text owner, uint8_t *out_id)
{
    assert_int_equal(key_set_add_fresh(change(fixture), role, owner, out_id), 0);
    publish(fixture);
}

static struct buf blob_of(struct fixture *fixture, const struct seal_place *where)
{
    struct buf blob = buf_make(1000);
    assert_int_equal(seal(fixture->keyring, where, T("text"), &blob), 0);
    return blob;
}

static void assert_under(const struct buf *blob, const uint8_t *id)
{
    assert_memory_equal(seal_key_id(buf_text(blob)), id, KEYRING_ID_LEN);
}

static int opens(struct fixture *fixture, const struct buf *blob)
{
    struct buf plain = buf_make_secret(100);
    int result = unseal(fixture->keyring, &place, buf_text(blob), &plain);
    if (result == 0)
        assert_true(text_is(buf_text(&plain), "text"));
    buf_free(&plain);
    return result;
}

static bool rewrap(struct fixture *fixture, struct text owner, struct buf *blob)
{
    bool is_changed;
    assert_int_equal(seal_rewrap(fixture->keyring, owner, blob->data, blob->len, &is_changed), 0);
    return is_changed;
}

static void test_another_key(void **state)
{
    struct fixture *fixture = *state;
    uint8_t second[KEYRING_ID_LEN];
    struct buf blob = blob_of(fixture, &place);
    uint8_t before[200];
    memcpy(before, blob.data, blob.len);
    assert_false(rewrap(fixture, T("acme"), &blob)); /* it is where it belongs */
    assert_memory_equal(before, blob.data, blob.len);
    add(fixture, KEY_ACTIVE, T(""), second);
    assert_false(seal_is_current(fixture->keyring, T("acme"), buf_text(&blob)));
    assert_true(rewrap(fixture, T("acme"), &blob));
    assert_true(seal_is_current(fixture->keyring, T("acme"), buf_text(&blob)));
    assert_under(&blob, second);
    assert_memory_equal(before + WRAP_END, blob.data + WRAP_END, blob.len - WRAP_END);
    assert_int_equal(opens(fixture, &blob), 0);
    key_set_remove(change(fixture), fixture->first);
    publish(fixture);
    assert_int_equal(opens(fixture, &blob), 0);
    memcpy(blob.data, before, blob.len); /* an older row is put back */
    assert_int_equal(opens(fixture, &blob), BURSAR_E_UNKNOWN_KEY);
    buf_free(&blob);
}

static void test_damaged_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct buf blob = blob_of(fixture, &place);
    bool is_changed = true;
    add(fixture, KEY_ACTIVE, T(""), NULL);
    for (size_t at = 0; at < WRAP_END; at++) {
        uint8_t copy[200];
        memcpy(copy, blob.data, blob.len);
        copy[at] ^= 1;
        uint8_t broken[200];
        memcpy(broken, copy, blob.len);
        int result = seal_rewrap(fixture->keyring, T("acme"), copy, blob.len, &is_changed);
        assert_int_equal(result, at >= 1 && at <= KEYRING_ID_LEN ? BURSAR_E_UNKNOWN_KEY
                                                                 : BURSAR_E_BAD_SEAL);
        assert_false(is_changed);
        assert_memory_equal(copy, broken, blob.len);
        seal_renew(fixture->keyring, copy, blob.len);
        assert_memory_equal(copy, broken, blob.len);
    }
    assert_int_equal(seal_rewrap(fixture->keyring, T("acme"), blob.data, 20, &is_changed),
                     BURSAR_E_BAD_SEAL);
    seal_renew(fixture->keyring, NULL, 0);
    buf_free(&blob);
}

static void test_owners(void **state)
{
    struct fixture *fixture = *state;
    struct seal_place other = {T("acmf"), T("p.2"), SEAL_SECRET, 1};
    uint8_t own[KEYRING_ID_LEN], own_too[KEYRING_ID_LEN], second[KEYRING_ID_LEN];
    struct buf early = blob_of(fixture, &place);
    add(fixture, KEY_ACTIVE, T("acme"), own);
    struct buf late = blob_of(fixture, &place), others = blob_of(fixture, &other);
    assert_under(&late, own);
    assert_under(&others, fixture->first);
    assert_true(rewrap(fixture, T("acme"), &early));
    assert_under(&early, own);
    add(fixture, KEY_ACTIVE, T(""), second); /* which is no matter of this owner's */
    assert_false(rewrap(fixture, T("acme"), &early));
    assert_true(rewrap(fixture, T("acmf"), &others));
    assert_under(&others, second);
    add(fixture, KEY_ACTIVE, T("acme"), own_too);
    seal_renew(fixture->keyring, early.data, early.len);
    assert_under(&early, own_too);
    assert_int_equal(opens(fixture, &early), 0);
    assert_false(seal_is_ending(fixture->keyring, T("acme"))); /* one of two is active */
    /* Before they are destroyed none of its keys is active: nothing leaves them, what is new goes elsewhere. */
    key_set_turn(change(fixture), own_too, KEY_OLD);
    publish(fixture);
    assert_true(seal_is_ending(fixture->keyring, T("acme")));
    assert_false(seal_is_ending(fixture->keyring, T("acmf"))); /* it has none of its own */
    assert_false(seal_is_ending(fixture->keyring, T("")));
    assert_true(seal_has_key(fixture->keyring, buf_text(&early)));
    assert_false(rewrap(fixture, T("acme"), &early));
    seal_renew(fixture->keyring, late.data, late.len);
    assert_under(&late, own);
    struct buf fresh = blob_of(fixture, &place);
    assert_under(&fresh, second);
    struct key_set *set = change(fixture);
    key_set_remove(set, own);
    key_set_remove(set, own_too);
    assert_null(key_set_of_owner(set, T("acme")));
    publish(fixture);
    assert_false(seal_is_ending(fixture->keyring, T("acme")));
    assert_false(seal_has_key(fixture->keyring, buf_text(&early)));
    assert_true(seal_has_key(fixture->keyring, buf_text(&fresh)));
    assert_false(seal_has_key(fixture->keyring, T("no blob")));
    assert_int_equal(opens(fixture, &early), BURSAR_E_UNKNOWN_KEY);
    assert_int_equal(opens(fixture, &late), BURSAR_E_UNKNOWN_KEY);
    assert_int_equal(opens(fixture, &fresh), 0);
    buf_free(&early);
    buf_free(&late);
    buf_free(&others);
    buf_free(&fresh);
}

/* A key that is made active takes the place of the one of its owner, and of no other. */
static void test_turns(void **state)
{
    struct fixture *fixture = *state;
    uint8_t a[KEYRING_ID_LEN], b[KEYRING_ID_LEN];
    add(fixture, KEY_NEW, T(""), a);
    add(fixture, KEY_ACTIVE, T("o"), b);
    struct key_set *set = change(fixture);
    assert_memory_equal(key_set_active(set, T(""))->id, fixture->first, KEYRING_ID_LEN);
    key_set_turn(set, a, KEY_ACTIVE);
    assert_memory_equal(key_set_active(set, T(""))->id, a, KEYRING_ID_LEN);
    assert_int_equal(key_set_find(set, fixture->first)->role, KEY_OLD);
    assert_memory_equal(key_set_active(set, T("o"))->id, b, KEYRING_ID_LEN);
    assert_memory_equal(key_set_active(set, T("p"))->id, a, KEYRING_ID_LEN);
    assert_int_equal(key_set_add(set, key_set_find(set, a)), BURSAR_E_CONFLICT);
    assert_int_equal(set->count, 3);
}

/* ---- threads ----------------------------------------------------------------------------------- */

struct reading {
    struct fixture *fixture;
    const struct buf *blob;
    atomic_bool *is_over;
    atomic_uint *count;
    int result;
};

static void *read_on(void *context)
{
    struct reading *reading = context;
    while (!atomic_load(reading->is_over) && reading->result == 0) {
        struct buf blob = buf_make(1000), plain = buf_make_secret(100);
        reading->result =
            unseal(reading->fixture->keyring, &place, buf_text(reading->blob), &plain);
        if (reading->result == 0)
            reading->result = seal(reading->fixture->keyring, &place, T("text"), &blob);
        if (reading->result == 0)
            seal_renew(reading->fixture->keyring, blob.data, blob.len);
        atomic_fetch_add(reading->count, 1);
        buf_free(&plain);
        buf_free(&blob);
    }
    return NULL;
}

/* Two readers, and a key more or less as fast as it goes: no reader finds a set that is gone. */
static void test_readers(void **state)
{
    enum { READERS = 2, CHANGES = 400 };
    struct fixture *fixture = *state;
    struct buf blob = blob_of(fixture, &place);
    atomic_bool is_over = false;
    atomic_uint count = 0;
    struct reading readings[READERS];
    pthread_t threads[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readings[i] = (struct reading){fixture, &blob, &is_over, &count, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    unsigned seen = 0;
    for (size_t i = 0; i < CHANGES || seen < CHANGES; i++) {
        uint8_t id[KEYRING_ID_LEN];
        add(fixture, KEY_ACTIVE, T(""), id);
        struct key_set *set = change(fixture);
        key_set_turn(set, fixture->first, KEY_ACTIVE);
        key_set_remove(set, id);
        publish(fixture);
        seen = atomic_load(&count);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readings[i].result, 0);
    }
    buf_free(&blob);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_another_key), TEST(test_damaged_is_left_alone),
        TEST(test_owners),      TEST(test_turns),
        TEST(test_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
