#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "broker/worker_parts.h"
#include "vault/process_key.h"
#include "vault/seal.h"
#include "wire/doc.h"

enum { PLAIN_MAX = 1 << 20, LENGTH_LEN = sizeof(uint32_t) };

/* ---- as the store has it --------------------------------------------------------------------------- */

static void fill(struct tree *tree, struct text packed, int *result)
{
    if (packed.len == 0 || *result < 0)
        tree_clear(tree);
    else
        *result = tree_fill(tree, packed);
}

static void fill_metadata(struct worker *self, const struct conn_row *row)
{
    if (!row->metadata.data || tree_fill(self->metadata_tree, row->metadata) < 0)
        tree_clear(self->metadata_tree);
}

static int open_part(struct worker *self, const struct conn_row *row, enum seal_kind kind,
                     struct text blob, struct buf *plain, struct tree *tree)
{
    struct seal_place place = {row->owner, row->id, kind, row->generation};
    *plain = buf_make_secret(PLAIN_MAX);
    int result = blob.data ? unseal(self->broker->keyring, &place, blob, plain) : 0;
    fill(tree, buf_text(plain), &result);
    return result;
}

bool worker_replaces(const struct worker *self, struct text part)
{
    static const char *const names[] = {"kind", "token_type", "api_secret", "scopes"};
    bool makes_apply = settings_rows(self->connector->settings, "apply") > 0;
    const char *main_part = doc_main_part(text_of(connector_secret_kind(self->connector)));
    bool is_replaced =
        (main_part && text_is(part, main_part)) || (makes_apply && text_is(part, "apply"));
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !is_replaced; i++)
        is_replaced = text_is(part, names[i]);
    return is_replaced;
}

/* Whether a refresh replaces each part that the secret has by its grant: it need not be open to be asked with. That a
 * reply lacks one of them all the same is seen when it is there. */
static bool may_stay_shut(const struct worker *self)
{
    const struct node *parts = node_get(tree_root(self->grant_tree), DOC_PARTS);
    size_t count = node_type(parts) == NODE_ARRAY ? node_count(parts) : 0;
    for (size_t i = 0; i < count; i++) {
        if (!worker_replaces(self, node_text(node_item(parts, i))))
            return false;
    }
    return count > 0;
}

static void leave_shut(struct worker *self, const struct conn_row *row, struct open_credential *out)
{
    tree_clear(self->secret_tree);
    out->worker = self;
    out->row = row;
}

int credential_open_secret(struct open_credential *credential)
{
    struct worker *self = credential->worker;
    const struct conn_row *row = credential->row;
    if (!row)
        return 0;
    buf_free(&credential->secret);
    int result =
        open_part(self, row, SEAL_SECRET, row->secret, &credential->secret, self->secret_tree);
    if (result == 0)
        credential->row = NULL;
    return result;
}

static int open_row(struct worker *self, const struct conn_row *row, bool may_shut,
                    struct open_credential *out)
{
    *out = (struct open_credential){.secret = buf_make_secret(PLAIN_MAX)};
    fill_metadata(self, row);
    int result = open_part(self, row, SEAL_GRANT, row->grant, &out->grant, self->grant_tree);
    if (result == 0)
        leave_shut(self, row, out);
    if (result == 0 && !(may_shut && may_stay_shut(self)))
        result = credential_open_secret(out);
    if (result < 0)
        worker_close_credential(out);
    return result;
}

int worker_open_credential(struct worker *self, const struct conn_row *row,
                           struct open_credential *out)
{
    return open_row(self, row, false, out);
}

void worker_close_credential(struct open_credential *credential)
{
    buf_free(&credential->secret);
    buf_free(&credential->grant);
    buf_free(&credential->kept);
}

struct call worker_call(struct worker *self, enum bursar_purpose purpose, int64_t now)
{
    return (struct call){.connector = self->connector,
                         .purpose = purpose,
                         .now = now,
                         .secret = tree_root(self->secret_tree),
                         .grant = tree_root(self->grant_tree),
                         .metadata = tree_root(self->metadata_tree),
                         .has_next_secret = self->has_next_secret};
}

static const struct node *secret_when_asked(void *context)
{
    struct open_credential *credential = context;
    return credential_open_secret(credential) == 0 ? tree_root(credential->worker->secret_tree)
                                                   : NULL;
}

struct call worker_call_of(struct worker *self, struct open_credential *credential, int64_t now)
{
    struct call call = worker_call(self, BURSAR_REFRESH, now);
    if (credential->row) {
        call.secret = NULL;
        call.open_secret = secret_when_asked;
        call.secret_context = credential;
    }
    return call;
}

/* ---- kept, while the provider is asked ---------------------------------------------------------------- */

/* The length of the secret, the secret, the grant. */
void flight_keep_credential(struct flight *flight, const struct open_credential *credential)
{
    struct worker *self = flight->worker;
    uint32_t secret_len = (uint32_t)credential->secret.len;
    struct buf plain = buf_make_secret(2 * PLAIN_MAX + LENGTH_LEN);
    flight_forget_credential(flight);
    if (!self->kept_key && process_key_new(process_key_cipher(), &self->kept_key) < 0)
        return;
    buf_make_room(&plain, LENGTH_LEN + credential->secret.len + credential->grant.len);
    buf_append(&plain, &secret_len, LENGTH_LEN);
    buf_append_text(&plain, buf_text(&credential->secret));
    buf_append_text(&plain, buf_text(&credential->grant));
    size_t sealed_len = plain.len + PROCESS_SEAL_OVERHEAD;
    uint8_t *sealed = buf_error(&plain) == 0 ? malloc(sealed_len) : NULL;
    if (sealed) {
        process_key_seal(self->kept_key, flight->row.id, buf_text(&plain), sealed);
        flight->kept = (struct text){(const char *)sealed, sealed_len};
    }
    buf_free(&plain);
}

void flight_forget_credential(struct flight *flight)
{
    free((void *)(uintptr_t)flight->kept.data);
    flight->kept = (struct text){NULL, 0};
}

/* Where a key of the keyring has gone, what it sealed has gone too, wherever it is kept. */
static bool has_keys(const struct flight *flight)
{
    const struct keyring *keyring = flight->worker->broker->keyring;
    const struct conn_row *row = &flight->row;
    return (!row->secret.data || seal_has_key(keyring, row->secret)) &&
           (!row->grant.data || seal_has_key(keyring, row->grant));
}

static int open_kept(struct flight *flight, struct open_credential *out)
{
    struct worker *self = flight->worker;
    size_t len = flight->kept.len - PROCESS_SEAL_OVERHEAD;
    uint32_t secret_len;
    *out = (struct open_credential){.kept = buf_make_secret(2 * PLAIN_MAX + LENGTH_LEN)};
    uint8_t *plain = buf_reserve(&out->kept, len);
    int result = plain ? process_key_open(self->kept_key, flight->row.id, flight->kept, plain)
                       : buf_error(&out->kept);
    if (result == 0) {
        buf_added(&out->kept, len);
        memcpy(&secret_len, plain, LENGTH_LEN);
        const char *secret = (const char *)plain + LENGTH_LEN;
        fill(self->secret_tree, (struct text){secret, secret_len}, &result);
        fill(self->grant_tree, (struct text){secret + secret_len, len - LENGTH_LEN - secret_len},
             &result);
        fill_metadata(self, &flight->row);
    }
    if (result == 0 && secret_len == 0 && flight->row.secret.data)
        leave_shut(self, &flight->row, out);
    if (result < 0)
        worker_close_credential(out);
    return result;
}

int flight_open_credential(struct flight *flight, struct open_credential *out)
{
    bool is_kept = flight->kept.data && has_keys(flight);
    if (is_kept && open_kept(flight, out) == 0)
        return 0;
    return open_row(flight->worker, &flight->row, true, out);
}
