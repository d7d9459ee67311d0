/* Keys as a plain value, and the text that a keyring holds them in.
 * Thread: the set's owner; a set that was published (keyring.h) is read by all and changed by none.
 *
 * The text has a line a key: `key ID BASE64 active|new|old [OWNER]`. ID is 16 hexadecimal digits and BASE64
 * (RFC 4648 section 4) 32 bytes. OWNER, percent-encoded, says that the key is for this owner's secrets
 * alone. One key without an owner is active, and of each owner one at most. Lines that begin with `#`
 * are kept where they are not in the way: at the top. */
#ifndef VAULT_KEY_SET_H
#define VAULT_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/protocol.h>

#include "base/buf.h"
#include "base/text.h"

#define KEYRING_KEY_LEN 32
#define KEYRING_ID_LEN 8
#define KEYRING_ID_SIZE (KEYRING_ID_LEN * 2 + 1)
#define KEYRING_KEYS_MAX 4096
#define KEYRING_TEXT_MAX ((size_t)2 << 20)

enum key_role {
    KEY_ACTIVE, /* new secrets are sealed under it */
    KEY_NEW,    /* to be made active later */
    KEY_OLD,    /* was active: opens what is sealed under it */
    KEY_ROLE_END
};
const char *key_role_name(enum key_role role);

struct key {
    uint8_t id[KEYRING_ID_LEN];
    uint8_t bytes[KEYRING_KEY_LEN];
    uint8_t role;      /* an enum key_role */
    uint8_t owner_len; /* 0: of all who have none of their own */
    char owner[BURSAR_MAX_OWNER_BYTES];
};
struct text key_owner(const struct key *key);
void key_id_text(const uint8_t id[static KEYRING_ID_LEN], char out[static KEYRING_ID_SIZE]);
/* false for what is no id. */
bool key_id_of_text(struct text text, uint8_t out_id[static KEYRING_ID_LEN]);

/* In locked memory. Sorted by owner, those without one first, then by role. */
struct key_set {
    size_t count, cap;
    struct buf comments; /* lines */
    uint16_t *by_id;     /* places of the keys, sorted by their ids */
    struct key keys[];
};

/* An empty set with room for so many keys; NULL without memory. */
struct key_set *key_set_new(size_t cap);
void key_set_free(struct key_set *set);
/* A copy with room for more. */
struct key_set *key_set_copy(const struct key_set *set, size_t more);

/* 0, BURSAR_E_CONFLICT (the id is taken), or BURSAR_E_TOO_BIG. Copies. */
int key_set_add(struct key_set *set, const struct key *key);
/* A fresh key; its id is written where out_id is not NULL. */
int key_set_add_fresh(struct key_set *set, enum key_role role, struct text owner,
                      uint8_t out_id[KEYRING_ID_LEN]);
void key_set_remove(struct key_set *set, const uint8_t id[static KEYRING_ID_LEN]);
/* Gives a key another role. The one that was active in its place becomes old where this one becomes active. */
void key_set_turn(struct key_set *set, const uint8_t id[static KEYRING_ID_LEN], enum key_role role);

/* NULL where there is none. */
const struct key *key_set_find(const struct key_set *set, const uint8_t id[static KEYRING_ID_LEN]);
/* The first key of this owner; empty: of those without one. NULL where there is none. */
const struct key *key_set_of_owner(const struct key_set *set, struct text owner);
/* What an owner's secrets are sealed under: the active key of its own, else the one for all. */
const struct key *key_set_active(const struct key_set *set, struct text owner);

/* Reads a text, which is taken apart for it. name stands in messages. 0, BURSAR_E_CONFIG or
 * BURSAR_E_NOMEM with one line for people in error. */
int key_set_read(struct buf *content, const char *name, struct key_set **out_set,
                 struct buf *error);
/* Appends the text to a secret buffer. */
void key_set_write(const struct key_set *set, struct buf *out);

#endif
