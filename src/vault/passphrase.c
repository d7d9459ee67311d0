#include "vault/passphrase.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "base/secret.h"

enum {
    KEY_LEN = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    SALT_LEN = crypto_pwhash_argon2id_SALTBYTES,
    OPS = crypto_pwhash_argon2id_OPSLIMIT_MODERATE,
    KIB = crypto_pwhash_argon2id_MEMLIMIT_MODERATE / 1024,
    OPS_MAX = 64, /* what a file may ask for */
    KIB_MIN = crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024,
    KIB_MAX = 1 << 20,
    HEAD_MAX = 200
};

static const char magic[] = "bursar-keyring argon2id ";

struct head {
    uint64_t ops, kib;
    uint8_t salt[SALT_LEN], nonce[NONCE_LEN];
    struct text line; /* as it stands */
};

bool passphrase_is_sealed(struct text text)
{
    return text.len >= sizeof magic - 1 && memcmp(text.data, magic, sizeof magic - 1) == 0;
}

static int make_key(struct text passphrase, const struct head *head, uint8_t *key)
{
    return crypto_pwhash(key, KEY_LEN, passphrase.data, passphrase.len, head->salt, head->ops,
                         (size_t)head->kib * 1024, crypto_pwhash_ALG_ARGON2ID13) == 0
               ? 0
               : BURSAR_E_NOMEM;
}

int passphrase_seal(struct text passphrase, struct text plain, struct buf *out)
{
    struct head head = {.ops = OPS, .kib = KIB};
    struct buf line = buf_make(HEAD_MAX), body = buf_make(plain.len + TAG_LEN);
    if (sodium_init() < 0)
        return BURSAR_E_NOMEM;
    randombytes_buf(head.salt, sizeof head.salt);
    randombytes_buf(head.nonce, sizeof head.nonce);
    buf_printf(&line, "%s%llu %llu ", magic, (unsigned long long)head.ops,
               (unsigned long long)head.kib);
    base64_append(&line, (struct text){(char *)head.salt, sizeof head.salt});
    buf_append_byte(&line, ' ');
    base64_append(&line, (struct text){(char *)head.nonce, sizeof head.nonce});
    uint8_t *key = secret_memory_new(KEY_LEN), *to = buf_reserve(&body, plain.len + TAG_LEN);
    int result =
        key && to && buf_error(&line) == 0 ? make_key(passphrase, &head, key) : BURSAR_E_NOMEM;
    if (result == 0) {
        crypto_aead_xchacha20poly1305_ietf_encrypt(to, NULL, (const uint8_t *)plain.data, plain.len,
                                                   line.data, line.len, NULL, head.nonce, key);
        buf_added(&body, plain.len + TAG_LEN);
        buf_append_text(out, buf_text(&line));
        buf_append_byte(out, '\n');
        base64_append(out, buf_text(&body));
        buf_append_byte(out, '\n');
        result = buf_error(out);
    }
    secret_memory_free(key, KEY_LEN);
    buf_free(&line);
    buf_free(&body);
    return result;
}

static bool take_word(struct text *rest, char end, struct text *out_word)
{
    const char *at = memchr(rest->data, end, rest->len);
    if (!at)
        return false;
    *out_word = (struct text){rest->data, (size_t)(at - rest->data)};
    *rest = (struct text){at + 1, rest->len - out_word->len - 1};
    return true;
}

static bool take_number(struct text word, uint64_t min, uint64_t max, uint64_t *out)
{
    return text_to_uint(word, max, out) && *out >= min;
}

static bool take_bytes(struct text word, uint8_t *out, size_t len)
{
    size_t got = 0;
    return sodium_base642bin(out, len, word.data, word.len, NULL, &got, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == len;
}

/* What stands behind the first line is left in rest. */
static bool read_head(struct text *rest, struct head *head)
{
    struct text words[4], line, in;
    if (!passphrase_is_sealed(*rest) || !take_word(rest, '\n', &line) || line.len > HEAD_MAX)
        return false;
    head->line = line;
    in = (struct text){line.data + sizeof magic - 1, line.len - (sizeof magic - 1)};
    for (size_t i = 0; i < 3; i++) {
        if (!take_word(&in, ' ', &words[i]))
            return false;
    }
    words[3] = in;
    return take_number(words[0], 1, OPS_MAX, &head->ops) &&
           take_number(words[1], KIB_MIN, KIB_MAX, &head->kib) &&
           take_bytes(words[2], head->salt, sizeof head->salt) &&
           take_bytes(words[3], head->nonce, sizeof head->nonce);
}

int passphrase_open(struct text passphrase, struct text sealed, struct buf *out_plain)
{
    struct head head;
    size_t len = 0;
    if (sodium_init() < 0 || !read_head(&sealed, &head))
        return BURSAR_E_CONFIG;
    struct buf body = buf_make(sealed.len);
    uint8_t *to = buf_reserve(&body, sealed.len), *key = secret_memory_new(KEY_LEN);
    int result = to && key ? 0 : BURSAR_E_NOMEM;
    if (result == 0 && (sodium_base642bin(to, sealed.len, sealed.data, sealed.len, "\r\n", &len,
                                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
                        len < TAG_LEN))
        result = BURSAR_E_CONFIG;
    uint8_t *plain = result == 0 ? buf_reserve(out_plain, len - TAG_LEN) : NULL;
    if (result == 0)
        result = plain ? make_key(passphrase, &head, key) : buf_error(out_plain);
    if (result == 0 && crypto_aead_xchacha20poly1305_ietf_decrypt(
                           plain, NULL, NULL, to, len, (const uint8_t *)head.line.data,
                           head.line.len, head.nonce, key) != 0)
        result = BURSAR_E_BAD_SEAL;
    if (result == 0)
        buf_added(out_plain, len - TAG_LEN);
    secret_memory_free(key, KEY_LEN);
    buf_free(&body);
    return result;
}
