#include "broker/credential_writer.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/log.h"
#include "base/secret.h"
#include "vault/seal.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum {
    TEXT_MAX = 1024,
    PLAIN_MAX = 1 << 20,
    REPLY_MAX = BURSAR_MAX_JOB_BYTES * 2,
    REPLY_ROOM = 256 /* of a credential's reply, besides what is in it */
};

static const struct text none = {NULL, 0};

int credential_writer_init(struct credential_writer *writer, const struct keyring *keyring)
{
    *writer = (struct credential_writer){.keyring = keyring,
                                         .plain = buf_make_secret(PLAIN_MAX),
                                         .packed = buf_make_secret(REPLY_MAX)};
    if (process_key_new(process_key_cipher(), &writer->key) < 0)
        return BURSAR_E_NOMEM;
    return buf_reserve(&writer->plain, BURSAR_MAX_JOB_BYTES * 2) ? 0 : BURSAR_E_NOMEM;
}

void credential_writer_fini(struct credential_writer *writer)
{
    buf_free(&writer->plain);
    buf_free(&writer->packed);
    process_key_free(writer->key);
}

void credential_close(struct credential_writer *writer)
{
    secret_wipe(writer->plain.data, writer->plain.len);
    writer->plain.len = 0;
    if (writer->packed.cap > 0)
        buf_free(&writer->packed);
    writer->packed.error = 0;
}

/* So that the reply grows once, and leaves no copy of the secret behind. */
static void make_room(const struct reply_credential *credential, struct text id, struct buf *reply)
{
    const struct warm *entry = credential->entry;
    buf_reserve(reply, credential->secret.len + id.len + entry->id.len + entry->provider.len +
                           entry->account.len + credential->last_error.len + REPLY_ROOM);
}

static int open_secret(struct credential_writer *writer, const struct warm *entry)
{
    struct seal_place place = {entry->owner, entry->id, SEAL_SECRET, entry->generation};
    if (writer->plain.len > 0)
        return 0; /* for an earlier one of those who wait for the same */
    writer->plain.error = 0;
    int result = unseal(writer->keyring, &place, entry->secret, &writer->plain);
    if (result < 0)
        LOG(LOG_ERROR, "a stored secret does not open", LOG_T("connection", entry->id),
            LOG_I("generation", (int64_t)entry->generation),
            LOG_S("error", bursar_error_code(result)));
    return result;
}

/* A vend's reply; credential->secret is filled in here. 0, or why the entry does not open, with nothing
 * written. */
static int write_opened(struct credential_writer *writer, struct text id,
                        struct reply_credential *credential, struct buf *reply)
{
    int result = open_secret(writer, credential->entry);
    if (result < 0)
        return result;
    credential->secret = buf_text(&writer->plain);
    make_room(credential, id, reply);
    reply_credential(reply, id, credential);
    return 0;
}

struct kept_reply *credential_keep(struct credential_writer *writer, const struct warm *entry)
{
    struct reply_credential credential = {.entry = entry, .refresh_state = "idle"};
    struct buf reply = buf_make(REPLY_MAX);
    struct kept_reply *kept = NULL;
    int result = write_opened(writer, none, &credential, &reply);
    credential_close(writer);
    if (result == 0 && buf_error(&reply) == 0) {
        struct pack_pairs pairs = pack_pairs_of(buf_text(&reply));
        kept = malloc(sizeof *kept + pairs.packed.len + PROCESS_SEAL_OVERHEAD);
        if (kept) {
            kept->pairs = pairs.count;
            kept->len = pairs.packed.len + PROCESS_SEAL_OVERHEAD;
            process_key_seal(writer->key, entry->id, pairs.packed, kept->sealed);
        }
    }
    secret_wipe(reply.data, reply.len);
    buf_free(&reply);
    return kept;
}

int credential_give(struct credential_writer *writer, struct text id, const struct warm *entry,
                    const struct kept_reply *kept, struct buf *reply)
{
    struct text sealed = {(const char *)kept->sealed, kept->len};
    size_t plain_len = kept->len - PROCESS_SEAL_OVERHEAD;
    buf_reserve(reply, plain_len + id.len + REPLY_ROOM); /* it does not move with a secret in it */
    struct pack map = reply_open(reply, id);
    uint8_t *plain = pack_room(&map, kept->pairs, plain_len);
    int result = plain ? process_key_open(writer->key, entry->id, sealed, plain) : buf_error(reply);
    pack_close(&map);
    return result;
}

/* The same for each of many who wait for one answer: but for its id the reply is. Where it does not fit into locked
 * memory each is packed by itself. */
static int write_again(struct credential_writer *writer, struct text id,
                       struct reply_credential *credential, struct buf *reply)
{
    struct buf *packed = &writer->packed;
    int result = 0;
    if (packed->len == 0 && buf_error(packed) == 0)
        result = write_opened(writer, none, credential, packed);
    if (result < 0)
        return result;
    if (buf_error(packed) < 0)
        return write_opened(writer, id, credential, reply);
    struct pack_pairs pairs = pack_pairs_of(buf_text(packed));
    buf_reserve(reply, pairs.packed.len + id.len + REPLY_ROOM);
    struct pack map = reply_open(reply, id);
    uint8_t *room = pack_room(&map, pairs.count, pairs.packed.len);
    if (room)
        memcpy(room, pairs.packed.data, pairs.packed.len);
    pack_close(&map);
    return 0;
}

/* The secret with the refresh token in it, for those who may have it. */
static int add_refresh_token(struct credential_writer *writer, const struct answer *answer,
                             struct buf *out_secret)
{
    const struct warm *entry = answer->entry;
    struct seal_place place = {entry->owner, entry->id, SEAL_GRANT, entry->generation};
    struct buf grant = buf_make_secret(PLAIN_MAX);
    struct tree *secret_tree = tree_new(), *grant_tree = tree_new();
    int result = secret_tree && grant_tree ? open_secret(writer, entry) : BURSAR_E_NOMEM;
    if (result == 0)
        result = unseal(writer->keyring, &place, buf_text(&answer->grant), &grant);
    if (result == 0)
        result = tree_fill(grant_tree, buf_text(&grant));
    if (result == 0)
        result = tree_fill(secret_tree, buf_text(&writer->plain));
    if (result == 0) {
        struct doc_change change = {.name = "refresh_token",
                                    .value = doc_part(tree_root(grant_tree), "refresh_token")};
        doc_merge(tree_root(secret_tree), &change, change.value.data ? 1 : 0, out_secret);
    }
    tree_free(secret_tree);
    tree_free(grant_tree);
    buf_free(&grant);
    return result;
}

static int write_exported(struct credential_writer *writer, const struct answer *answer,
                          struct text id, struct reply_credential *credential, struct buf *reply)
{
    struct buf secret = buf_make_secret(PLAIN_MAX);
    int result = add_refresh_token(writer, answer, &secret);
    if (result == 0) {
        credential->secret = buf_text(&secret);
        make_room(credential, id, reply);
        reply_credential(reply, id, credential);
    }
    buf_free(&secret);
    return result;
}

/* Names the row, so that whoever asked can tell which one is to be put again. */
static void refuse_unopened(const struct warm *entry, int result, struct text id, struct buf *reply)
{
    struct buf text = buf_make(TEXT_MAX);
    buf_append_string(&text, "the stored secret of ");
    buf_append_text(&text, entry->id);
    buf_printf(&text, ", generation %llu, does not open: %s", (unsigned long long)entry->generation,
               bursar_error_code(result));
    reply_error(reply, id,
                &(struct reply_error){.error = BURSAR_E_INTERNAL, .text = buf_text(&text)});
    buf_free(&text);
}

static void write_credential(struct credential_writer *writer, const struct answer *answer,
                             const struct pending *pending, struct text id, struct buf *reply)
{
    struct reply_credential credential = {.entry = answer->entry,
                                          .is_stale = answer->is_stale,
                                          .refresh_state = answer->refresh_state,
                                          .last_error = buf_text(&answer->last_error)};
    int result = 0;
    if (!pending->wants_secret)
        reply_credential(reply, id, &credential);
    else if (pending->may_export && answer->grant.len > 0)
        result = write_exported(writer, answer, id, &credential, reply);
    else if (answer->ticket_count > 1)
        result = write_again(writer, id, &credential, reply);
    else
        result = write_opened(writer, id, &credential, reply);
    if (result < 0)
        refuse_unopened(answer->entry, result, id, reply);
}

void credential_write_answer(struct credential_writer *writer, const struct answer *answer,
                             const struct pending *pending, struct buf *reply)
{
    struct text id = pending_id(pending);
    if (answer->error < 0)
        reply_error(reply, id,
                    &(struct reply_error){answer->error, buf_text(&answer->text),
                                          answer->retry_after_ms,
                                          buf_text(&answer->provider_error)});
    else if (answer->entry)
        write_credential(writer, answer, pending, id, reply);
    else
        reply_pairs(reply, id, buf_text(&answer->body));
}
