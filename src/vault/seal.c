#include "vault/seal.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/secret.h"

enum {
    VERSION = 1,
    NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    KEY_LEN = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,

    AT_KEY_ID = 1,
    AT_WRAP_NONCE = AT_KEY_ID + KEYRING_ID_LEN,
    AT_WRAP = AT_WRAP_NONCE + NONCE_LEN,
    AT_NONCE = AT_WRAP + KEY_LEN + TAG_LEN,
    AT_BODY = AT_NONCE + NONCE_LEN,

    PLACE_USUAL = 512
};
static_assert(AT_BODY + TAG_LEN == SEAL_OVERHEAD, "the header tells the overhead");
static_assert(KEY_LEN == KEYRING_KEY_LEN, "key-encryption keys are keys of the same cipher");

static size_t add_text(uint8_t *to, struct text text)
{
    assert(text.len <= UINT16_MAX);
    to[0] = (uint8_t)(text.len >> 8);
    to[1] = (uint8_t)text.len;
    if (text.len > 0)
        memcpy(to + 2, text.data, text.len);
    return text.len + 2;
}

/* The associated data of the body; owners and ids are bounded far below PLACE_USUAL. */
static size_t add_place(uint8_t to[static PLACE_USUAL], const struct seal_place *place)
{
    size_t len = 0;
    assert(place->connection.len + place->owner.len + 14 <= PLACE_USUAL);
    to[len++] = VERSION;
    to[len++] = (uint8_t)place->kind;
    for (int shift = 56; shift >= 0; shift -= 8)
        to[len++] = (uint8_t)(place->generation >> shift);
    len += add_text(to + len, place->connection);
    len += add_text(to + len, place->owner);
    return len;
}

/* The head of a blob but for the body's nonce, for a data key. The nonce is a new random one each time. */
static void wrap(const struct key *key, const uint8_t *data_key,
                 const uint8_t nonce[static NONCE_LEN], uint8_t *blob)
{
    blob[0] = VERSION;
    memcpy(blob + AT_KEY_ID, key->id, KEYRING_ID_LEN);
    memcpy(blob + AT_WRAP_NONCE, nonce, NONCE_LEN);
    crypto_aead_xchacha20poly1305_ietf_encrypt(blob + AT_WRAP, NULL, data_key, KEY_LEN, blob,
                                               AT_WRAP_NONCE, NULL, blob + AT_WRAP_NONCE,
                                               key->bytes);
}

static int unwrap(const struct key *key, const uint8_t *blob, uint8_t *out_data_key)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out_data_key, NULL, NULL, blob + AT_WRAP,
                                                      KEY_LEN + TAG_LEN, blob, AT_WRAP_NONCE,
                                                      blob + AT_WRAP_NONCE, key->bytes) == 0
               ? 0
               : BURSAR_E_BAD_SEAL;
}

/* What is random of one blob. */
struct fresh {
    uint8_t data_key[KEY_LEN], wrap_nonce[NONCE_LEN], nonce[NONCE_LEN];
};

static int seal_piece(const struct keyring *keyring, const struct seal_piece *piece,
                      const struct fresh *fresh)
{
    struct keyring_hold hold;
    uint8_t ad[PLACE_USUAL];
    size_t ad_len = add_place(ad, &piece->place);
    size_t blob_len = SEAL_OVERHEAD + piece->plain.len;
    uint8_t *blob = buf_reserve(piece->out_blob, blob_len);
    if (!blob)
        return buf_error(piece->out_blob);
    wrap(key_set_active(keyring_hold(keyring, &hold), piece->place.owner), fresh->data_key,
         fresh->wrap_nonce, blob);
    keyring_let_go(keyring, &hold);
    memcpy(blob + AT_NONCE, fresh->nonce, NONCE_LEN);
    crypto_aead_xchacha20poly1305_ietf_encrypt(blob + AT_BODY, NULL,
                                               (const uint8_t *)piece->plain.data, piece->plain.len,
                                               ad, ad_len, NULL, blob + AT_NONCE, fresh->data_key);
    buf_added(piece->out_blob, blob_len);
    return 0;
}

int seal_all(const struct keyring *keyring, const struct seal_piece *pieces, size_t count)
{
    size_t fresh_len = count * sizeof(struct fresh);
    struct fresh *fresh = count <= SEAL_PIECES_MAX ? secret_memory_new(fresh_len) : NULL;
    if (!fresh)
        return BURSAR_E_NOMEM;
    randombytes_buf(fresh, fresh_len);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = seal_piece(keyring, &pieces[i], &fresh[i]);
    secret_memory_free(fresh, fresh_len);
    return result;
}

int seal(const struct keyring *keyring, const struct seal_place *place, struct text plain,
         struct buf *out_blob)
{
    const struct seal_piece piece = {*place, plain, out_blob};
    return seal_all(keyring, &piece, 1);
}

static const uint8_t *check_head(struct text blob)
{
    const uint8_t *bytes = (const uint8_t *)blob.data;
    return blob.len >= SEAL_OVERHEAD && bytes[0] == VERSION ? bytes : NULL;
}

int unseal(const struct keyring *keyring, const struct seal_place *place, struct text blob,
           struct buf *out_plain)
{
    uint8_t ad[PLACE_USUAL];
    uint8_t data_key[KEY_LEN]; /* on the stack: the way of a warm vend takes no memory */
    const uint8_t *bytes = check_head(blob);
    if (!bytes)
        return BURSAR_E_BAD_SEAL;
    size_t plain_len = blob.len - SEAL_OVERHEAD;
    uint8_t *plain = buf_reserve(out_plain, plain_len);
    if (!plain)
        return buf_error(out_plain);
    size_t ad_len = add_place(ad, place);
    struct keyring_hold hold;
    const struct key *key = key_set_find(keyring_hold(keyring, &hold), bytes + AT_KEY_ID);
    int result = key ? unwrap(key, bytes, data_key) : BURSAR_E_UNKNOWN_KEY;
    keyring_let_go(keyring, &hold);
    if (result == 0 && crypto_aead_xchacha20poly1305_ietf_decrypt(
                           plain, NULL, NULL, bytes + AT_BODY, plain_len + TAG_LEN, ad, ad_len,
                           bytes + AT_NONCE, data_key) != 0)
        result = BURSAR_E_BAD_SEAL;
    secret_wipe(data_key, sizeof data_key);
    if (result == 0)
        buf_added(out_plain, plain_len);
    return result;
}

const uint8_t *seal_key_id(struct text blob)
{
    const uint8_t *bytes = check_head(blob);
    return bytes ? bytes + AT_KEY_ID : NULL;
}

bool seal_key_id_text(struct text blob, char text[static KEYRING_ID_SIZE])
{
    const uint8_t *id = seal_key_id(blob);
    if (id)
        key_id_text(id, text);
    return id != NULL;
}

/* ---- another key ------------------------------------------------------------------------------- */

/* Where a blob of this owner belongs. What is under a key of an owner never goes to the key for all: where that
 * owner has no active one, its keys are about to be destroyed. */
static const struct key *target_of(const struct key_set *set, struct text owner,
                                   const struct key *from)
{
    if (from->owner_len == 0)
        return key_set_active(set, owner);
    const struct key *first = key_set_of_owner(set, key_owner(from));
    return first->role == KEY_ACTIVE ? first : from;
}

bool seal_has_key(const struct keyring *keyring, struct text blob)
{
    struct keyring_hold hold;
    const uint8_t *id = seal_key_id(blob);
    const struct key_set *set = keyring_hold(keyring, &hold);
    bool has_key = id && key_set_find(set, id);
    keyring_let_go(keyring, &hold);
    return has_key;
}

bool seal_is_ending(const struct keyring *keyring, struct text owner)
{
    struct keyring_hold hold;
    const struct key *own = key_set_of_owner(keyring_hold(keyring, &hold), owner);
    bool is_ending = own && owner.len > 0 && own->role != KEY_ACTIVE;
    keyring_let_go(keyring, &hold);
    return is_ending;
}

bool seal_is_current(const struct keyring *keyring, struct text owner, struct text blob)
{
    struct keyring_hold hold;
    const uint8_t *id = seal_key_id(blob);
    const struct key_set *set = keyring_hold(keyring, &hold);
    const struct key *from = id ? key_set_find(set, id) : NULL;
    bool is_current = from && target_of(set, owner, from) == from;
    keyring_let_go(keyring, &hold);
    return is_current;
}

static int move_to(const struct key *from, const struct key *to, uint8_t *blob)
{
    uint8_t data_key[KEY_LEN], nonce[NONCE_LEN];
    int result = unwrap(from, blob, data_key);
    randombytes_buf(nonce, sizeof nonce);
    if (result == 0)
        wrap(to, data_key, nonce, blob);
    secret_wipe(data_key, sizeof data_key);
    return result;
}

int seal_rewrap(const struct keyring *keyring, struct text owner, uint8_t *blob, size_t len,
                bool *out_changed)
{
    struct keyring_hold hold;
    const uint8_t *id = seal_key_id((struct text){(char *)blob, len});
    *out_changed = false;
    if (!id)
        return BURSAR_E_BAD_SEAL;
    const struct key_set *set = keyring_hold(keyring, &hold);
    const struct key *from = key_set_find(set, id);
    const struct key *to = from ? target_of(set, owner, from) : NULL;
    int result = from ? 0 : BURSAR_E_UNKNOWN_KEY;
    if (from != to) {
        result = move_to(from, to, blob);
        *out_changed = result == 0;
    }
    keyring_let_go(keyring, &hold);
    return result;
}

void seal_renew(const struct keyring *keyring, uint8_t *blob, size_t len)
{
    struct keyring_hold hold;
    const uint8_t *id = seal_key_id((struct text){(char *)blob, len});
    if (!id)
        return;
    const struct key_set *set = keyring_hold(keyring, &hold);
    const struct key *from = key_set_find(set, id);
    const struct key *to = from ? target_of(set, key_owner(from), from) : NULL;
    if (from != to)
        move_to(from, to, blob);
    keyring_let_go(keyring, &hold);
}
