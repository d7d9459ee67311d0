#include "vault/keyring.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

/* Readers count themselves on one of two sides, and a change waits for each in turn while new readers go to
 * the other: so it never waits for readers that come later. */
struct turnstile {
    _Atomic(const struct key_set *) set;
    atomic_uint side;
    atomic_size_t readers[2];
};

struct keyring {
    struct turnstile *turnstile; /* apart: readers have a keyring that is const */
    struct key_set *set;
};

struct keyring *keyring_new(struct key_set *set)
{
    struct keyring *keyring = calloc(1, sizeof *keyring);
    struct turnstile *turnstile = calloc(1, sizeof *turnstile);
    if (!set || !keyring || !turnstile) {
        free(keyring);
        free(turnstile);
        key_set_free(set);
        return NULL;
    }
    atomic_init(&turnstile->set, set);
    *keyring = (struct keyring){turnstile, set};
    return keyring;
}

void keyring_free(struct keyring *keyring)
{
    if (!keyring)
        return;
    key_set_free(keyring->set);
    free(keyring->turnstile);
    free(keyring);
}

const struct key_set *keyring_hold(const struct keyring *keyring, struct keyring_hold *out_hold)
{
    struct turnstile *turnstile = keyring->turnstile;
    out_hold->side = atomic_load(&turnstile->side) & 1u;
    atomic_fetch_add(&turnstile->readers[out_hold->side], 1);
    out_hold->set = atomic_load(&turnstile->set); /* after it was counted: see keyring_publish() */
    return out_hold->set;
}

void keyring_let_go(const struct keyring *keyring, const struct keyring_hold *hold)
{
    atomic_fetch_sub(&keyring->turnstile->readers[hold->side], 1);
}

void keyring_publish(struct keyring *keyring, struct key_set *set)
{
    struct turnstile *turnstile = keyring->turnstile;
    struct key_set *before = keyring->set;
    atomic_store(&turnstile->set, set);
    keyring->set = set;
    /* Whoever is counted after a count of zero was seen finds the new set. */
    for (int i = 0; i < 2; i++) {
        unsigned side = atomic_fetch_add(&turnstile->side, 1) & 1u;
        while (atomic_load(&turnstile->readers[side]) > 0)
            sched_yield();
    }
    key_set_free(before);
}

int keyring_open(const struct keyring_source *source, struct keyring **out_keyring,
                 struct buf *error)
{
    struct key_set *set = NULL;
    struct keyring *keyring = NULL;
    int result = keyring_source_read(source, &set, error);
    if (result == 0 && !(keyring = keyring_new(set)))
        result = BURSAR_E_NOMEM;
    if (result < 0 && error->len == 0)
        buf_printf(error, "keyring: %s", bursar_error_text(result));
    if (result == 0)
        *out_keyring = keyring;
    return result;
}

static int source_of_file(const char *path, char **out_where)
{
    return asprintf(out_where, "file:%s", path) < 0 ? BURSAR_E_NOMEM : 0;
}

int keyring_load_file(const char *path, struct keyring **out_keyring, struct buf *error)
{
    char *where;
    if (source_of_file(path, &where) < 0)
        return BURSAR_E_NOMEM;
    int result = keyring_open(&(struct keyring_source){.where = where}, out_keyring, error);
    free(where);
    return result;
}

int keyring_create_file(const char *path)
{
    if (sodium_init() < 0)
        return BURSAR_E_IO;
    struct buf content = buf_make_secret(KEYRING_TEXT_MAX);
    struct key_set *set = key_set_new(1);
    int result = set ? key_set_add_fresh(set, KEY_ACTIVE, TEXT_LITERAL(""), NULL) : BURSAR_E_NOMEM;
    if (result == 0) {
        buf_append_string(
            &set->comments,
            "# bursar keyring: who reads this file reads every stored credential.\n"
            "# Without it nothing can be read: keep a copy apart from the database.\n");
        key_set_write(set, &content);
        result = buf_error(&content);
    }
    if (result == 0)
        result = keyring_file_create(path, &content);
    key_set_free(set);
    buf_free(&content);
    return result;
}

int keyring_add_key(const struct keyring_source *source, enum key_role role,
                    uint8_t out_id[KEYRING_ID_LEN], struct buf *error)
{
    struct key_set *before = NULL, *after = NULL;
    int result = keyring_source_read(source, &before, error);
    if (result < 0)
        return result;
    after = key_set_copy(before, 1);
    result = after ? key_set_add_fresh(after, role, TEXT_LITERAL(""), out_id) : BURSAR_E_NOMEM;
    if (result < 0)
        buf_printf(error, "%s: %s", source->where,
                   result == BURSAR_E_TOO_BIG ? "too many keys" : bursar_error_text(result));
    if (result == 0)
        result = keyring_source_write(source, after, error);
    key_set_free(before);
    key_set_free(after);
    return result;
}

size_t keyring_count(const struct keyring *keyring)
{
    struct keyring_hold hold;
    size_t count = keyring_hold(keyring, &hold)->count;
    keyring_let_go(keyring, &hold);
    return count;
}

void keyring_id_text(const struct keyring *keyring, size_t index, char text[static KEYRING_ID_SIZE])
{
    struct keyring_hold hold;
    const struct key_set *set = keyring_hold(keyring, &hold);
    text[0] = 0;
    if (index < set->count)
        key_id_text(set->keys[index].id, text);
    keyring_let_go(keyring, &hold);
}
