#include "vault/key_set.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/secret.h"

enum { BASE64_LEN = sodium_base64_ENCODED_LEN(KEYRING_KEY_LEN, sodium_base64_VARIANT_ORIGINAL) };

static const char *const role_names[KEY_ROLE_END] = {
    [KEY_ACTIVE] = "active", [KEY_NEW] = "new", [KEY_OLD] = "old"};

const char *key_role_name(enum key_role role)
{
    return role_names[role];
}

struct text key_owner(const struct key *key)
{
    return (struct text){key->owner, key->owner_len};
}

void key_id_text(const uint8_t id[static KEYRING_ID_LEN], char out[static KEYRING_ID_SIZE])
{
    sodium_bin2hex(out, KEYRING_ID_SIZE, id, KEYRING_ID_LEN);
}

bool key_id_of_text(struct text text, uint8_t out_id[static KEYRING_ID_LEN])
{
    size_t len = 0;
    return text.len == KEYRING_ID_LEN * 2 &&
           sodium_hex2bin(out_id, KEYRING_ID_LEN, text.data, text.len, NULL, &len, NULL) == 0 &&
           len == KEYRING_ID_LEN;
}

/* ---- the set ----------------------------------------------------------------------------------- */

/* A multiple of what any member is aligned to: large blocks of guarded memory end where their pages do. */
static size_t bytes_of(size_t cap)
{
    size_t bytes = sizeof(struct key_set) + cap * (sizeof(struct key) + sizeof(uint16_t));
    return (bytes + 15) / 16 * 16;
}

struct key_set *key_set_new(size_t cap)
{
    struct key_set *set = secret_memory_new(bytes_of(cap));
    if (!set)
        return NULL;
    memset(set, 0, bytes_of(cap));
    set->cap = cap;
    set->comments = buf_make_secret(KEYRING_TEXT_MAX);
    set->by_id = (uint16_t *)(void *)&set->keys[cap];
    return set;
}

void key_set_free(struct key_set *set)
{
    if (!set)
        return;
    buf_free(&set->comments);
    secret_memory_free(set, bytes_of(set->cap));
}

struct key_set *key_set_copy(const struct key_set *set, size_t more)
{
    struct key_set *copy = key_set_new(set->count + more);
    if (!copy)
        return NULL;
    copy->count = set->count;
    memcpy(copy->keys, set->keys, set->count * sizeof set->keys[0]);
    memcpy(copy->by_id, set->by_id, set->count * sizeof set->by_id[0]);
    buf_append_text(&copy->comments, buf_text(&set->comments));
    if (buf_error(&copy->comments) == 0)
        return copy;
    key_set_free(copy);
    return NULL;
}

/* The place among the ids where this one stands or would stand. */
static size_t id_place(const struct key_set *set, const uint8_t *id)
{
    size_t from = 0, to = set->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (memcmp(set->keys[set->by_id[middle]].id, id, KEYRING_ID_LEN) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The first key of the owner with this role or a later one, or where it would stand. */
static size_t owner_place(const struct key_set *set, struct text owner, unsigned role)
{
    size_t from = 0, to = set->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct key *key = &set->keys[middle];
        int order = text_compare(key_owner(key), owner);
        if (order < 0 || (order == 0 && key->role < role))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

const struct key *key_set_find(const struct key_set *set, const uint8_t id[static KEYRING_ID_LEN])
{
    size_t place = id_place(set, id);
    if (place == set->count)
        return NULL;
    const struct key *key = &set->keys[set->by_id[place]];
    return memcmp(key->id, id, KEYRING_ID_LEN) == 0 ? key : NULL;
}

const struct key *key_set_of_owner(const struct key_set *set, struct text owner)
{
    size_t place = owner_place(set, owner, 0);
    if (place == set->count || !text_equal(key_owner(&set->keys[place]), owner))
        return NULL;
    return &set->keys[place];
}

const struct key *key_set_active(const struct key_set *set, struct text owner)
{
    const struct key *own = owner.len > 0 ? key_set_of_owner(set, owner) : NULL;
    return own && own->role == KEY_ACTIVE ? own : &set->keys[0];
}

int key_set_add(struct key_set *set, const struct key *key)
{
    if (key_set_find(set, key->id))
        return BURSAR_E_CONFLICT;
    if (set->count == set->cap || set->count == KEYRING_KEYS_MAX)
        return BURSAR_E_TOO_BIG;
    /* behind those of the same role: the order of the text stays */
    size_t at = owner_place(set, key_owner(key), key->role + 1u);
    size_t by_id = id_place(set, key->id);
    memmove(&set->keys[at + 1], &set->keys[at], (set->count - at) * sizeof *key);
    set->keys[at] = *key;
    for (size_t i = 0; i < set->count; i++)
        set->by_id[i] = (uint16_t)(set->by_id[i] + (set->by_id[i] >= at));
    memmove(&set->by_id[by_id + 1], &set->by_id[by_id],
            (set->count - by_id) * sizeof set->by_id[0]);
    set->by_id[by_id] = (uint16_t)at;
    set->count++;
    return 0;
}

int key_set_add_fresh(struct key_set *set, enum key_role role, struct text owner,
                      uint8_t out_id[KEYRING_ID_LEN])
{
    struct key *key = secret_memory_new(sizeof *key);
    if (!key)
        return BURSAR_E_NOMEM;
    memset(key, 0, sizeof *key);
    randombytes_buf(key->id, sizeof key->id);
    randombytes_buf(key->bytes, sizeof key->bytes);
    key->role = (uint8_t)(role == KEY_ACTIVE ? KEY_NEW : role);
    key->owner_len = (uint8_t)owner.len;
    if (owner.len > 0)
        memcpy(key->owner, owner.data, owner.len);
    int result = owner.len > sizeof key->owner ? BURSAR_E_TOO_BIG : key_set_add(set, key);
    if (result == 0 && role == KEY_ACTIVE)
        key_set_turn(set, key->id, KEY_ACTIVE);
    if (result == 0 && out_id)
        memcpy(out_id, key->id, KEYRING_ID_LEN);
    secret_memory_free(key, sizeof *key);
    return result;
}

void key_set_remove(struct key_set *set, const uint8_t id[static KEYRING_ID_LEN])
{
    const struct key *key = key_set_find(set, id);
    if (!key)
        return;
    size_t at = (size_t)(key - set->keys), by_id = id_place(set, id);
    set->count--;
    memmove(&set->by_id[by_id], &set->by_id[by_id + 1],
            (set->count - by_id) * sizeof set->by_id[0]);
    for (size_t i = 0; i < set->count; i++)
        set->by_id[i] = (uint16_t)(set->by_id[i] - (set->by_id[i] > at));
    memmove(&set->keys[at], &set->keys[at + 1], (set->count - at) * sizeof *key);
    secret_wipe(&set->keys[set->count], sizeof *key);
}

static void set_role(struct key_set *set, const struct key *key, enum key_role role)
{
    struct key moved = *key;
    key_set_remove(set, moved.id);
    moved.role = (uint8_t)role;
    key_set_add(set, &moved); /* there is room: it was there */
    secret_wipe(&moved, sizeof moved);
}

void key_set_turn(struct key_set *set, const uint8_t id[static KEYRING_ID_LEN], enum key_role role)
{
    const struct key *key = key_set_find(set, id);
    if (!key || key->role == role)
        return;
    if (role == KEY_ACTIVE) {
        const struct key *first = key_set_of_owner(set, key_owner(key));
        if (first->role == KEY_ACTIVE)
            set_role(set, first, KEY_OLD);
        key = key_set_find(set, id);
    }
    set_role(set, key, role);
}

/* ---- the text ---------------------------------------------------------------------------------- */

static int fail(struct buf *error, const char *name, const char *what)
{
    buf_printf(error, "%s: %s", name, what);
    return BURSAR_E_CONFIG;
}

static int fail_line(struct buf *error, const char *name, int line, const char *what)
{
    buf_printf(error, "%s:%d: %s", name, line, what);
    return BURSAR_E_CONFIG;
}

static int hex_of(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Undoes buf_append_percent(). */
static bool parse_owner(const char *word, struct key *key)
{
    size_t len = 0;
    for (; *word; word++) {
        char c = *word;
        if (c == '%') {
            int high = hex_of(word[1]), low = high >= 0 ? hex_of(word[2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            word += 2;
        }
        if (len == sizeof key->owner)
            return false;
        key->owner[len++] = c;
    }
    key->owner_len = (uint8_t)len;
    return len > 0 && text_is_printable(key_owner(key));
}

static bool parse_role(const char *word, struct key *key)
{
    for (unsigned i = 0; i < KEY_ROLE_END; i++) {
        if (strcmp(word, role_names[i]) == 0) {
            key->role = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool parse_key(char *line, struct key *key)
{
    char *save = NULL;
    const char *word = strtok_r(line, " \t", &save);
    const char *id = strtok_r(NULL, " \t", &save);
    const char *base64 = strtok_r(NULL, " \t", &save);
    const char *role = strtok_r(NULL, " \t", &save);
    const char *owner = role ? strtok_r(NULL, " \t", &save) : NULL;
    size_t len = 0;
    memset(key, 0, sizeof *key);
    if (!word || strcmp(word, "key") != 0 || !id || !base64 || !role ||
        (owner && strtok_r(NULL, " \t", &save)))
        return false;
    if (!key_id_of_text(text_of(id), key->id) || !parse_role(role, key))
        return false;
    if (sodium_base642bin(key->bytes, sizeof key->bytes, base64, strlen(base64), NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len != sizeof key->bytes)
        return false;
    return !owner || parse_owner(owner, key);
}

static int add_line(struct key_set *set, struct key *key, char *text, const char *name, int line,
                    struct buf *error)
{
    const char *begin = text + strspn(text, " \t");
    if (*begin == 0 || *begin == '#') {
        if (*begin == '#') {
            buf_append_string(&set->comments, text);
            buf_append_byte(&set->comments, '\n');
        }
        return 0;
    }
    if (set->count == KEYRING_KEYS_MAX)
        return fail_line(error, name, line, "too many keys");
    if (!parse_key(text + (begin - text), key))
        return fail_line(error, name, line, "expected `key ID BASE64 active|new|old [OWNER]`");
    if (key_set_find(set, key->id))
        return fail_line(error, name, line, "a key with this id stands above");
    const struct key *first = key_set_of_owner(set, key_owner(key));
    if (key->role == KEY_ACTIVE && first && first->role == KEY_ACTIVE)
        return fail_line(error, name, line, "a second active key");
    return key_set_add(set, key);
}

static int read_lines(struct key_set *set, char *content, const char *name, struct buf *error)
{
    char *next = NULL;
    int line = 0, result = 0;
    struct key *key = secret_memory_new(sizeof *key);
    if (!key)
        return BURSAR_E_NOMEM;
    for (char *text = content; result == 0 && text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = 0;
        result = add_line(set, key, text, name, ++line, error);
    }
    secret_memory_free(key, sizeof *key);
    if (result == 0 &&
        (set->count == 0 || set->keys[0].owner_len > 0 || set->keys[0].role != KEY_ACTIVE))
        result = fail(error, name, "has no active key");
    return result == 0 ? buf_error(&set->comments) : result;
}

static size_t count_lines(const char *content)
{
    size_t count = 1;
    for (const char *at = content; (at = strchr(at, '\n')); at++)
        count++;
    return count < KEYRING_KEYS_MAX ? count : KEYRING_KEYS_MAX;
}

int key_set_read(struct buf *content, const char *name, struct key_set **out_set, struct buf *error)
{
    buf_append(content, "", 0); /* so that there is memory, and a NUL in it */
    if (buf_error(content) == 0 && strlen((char *)content->data) != content->len)
        return fail(error, name, "is not a text file");
    struct key_set *set =
        buf_error(content) == 0 ? key_set_new(count_lines((char *)content->data)) : NULL;
    int result = set ? read_lines(set, (char *)content->data, name, error) : BURSAR_E_NOMEM;
    if (result == BURSAR_E_NOMEM)
        buf_printf(error, "%s: %s", name, bursar_error_text(result));
    if (result == 0)
        *out_set = set;
    else
        key_set_free(set);
    return result;
}

void key_set_write(const struct key_set *set, struct buf *out)
{
    char *base64 = secret_memory_new(BASE64_LEN), id[KEYRING_ID_SIZE];
    if (!base64)
        out->error = BURSAR_E_NOMEM;
    buf_append_text(out, buf_text(&set->comments));
    for (size_t i = 0; i < set->count && base64; i++) {
        const struct key *key = &set->keys[i];
        key_id_text(key->id, id);
        sodium_bin2base64(base64, BASE64_LEN, key->bytes, sizeof key->bytes,
                          sodium_base64_VARIANT_ORIGINAL);
        buf_append_string(out, "key ");
        buf_append_string(out, id);
        buf_append_byte(out, ' ');
        buf_append_string(out, base64);
        buf_append_byte(out, ' ');
        buf_append_string(out, role_names[key->role]);
        if (key->owner_len > 0) {
            buf_append_byte(out, ' ');
            buf_append_percent(out, key_owner(key));
        }
        buf_append_byte(out, '\n');
    }
    secret_memory_free(base64, BASE64_LEN);
}
