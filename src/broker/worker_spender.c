#include "broker/worker_spender.h"

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "vault/seal.h"
#include "wire/doc.h"

enum { BLOB_MAX = 4 << 20, PLAIN_MAX = 1 << 20 };

enum spender_sign worker_spender_of_flight(const struct flight *flight)
{
    struct spender_refusal refusal = {.rotation = flight->worker->connector->rotation,
                                      .verdict = flight->outcome.verdict,
                                      .is_after_loss = flight->row.state == CONN_IN_DOUBT,
                                      .has_nothing = flight->has_nothing || flight->is_local,
                                      .refresh_expires_at = flight->row.refresh_expires_at,
                                      .now = clock_wall_s()};
    return spender_of_refusal(&refusal);
}

/* Whether the token is the one of the generation before; false in *out_is_known where that cannot be
 * told. */
static bool is_prior(struct worker *self, const struct conn_row *row, struct text sha256,
                     bool *out_is_known)
{
    char hex[65] = "";
    struct buf sealed = buf_make(BLOB_MAX), plain = buf_make_secret(PLAIN_MAX);
    struct seal_place place = {row->owner, row->id, SEAL_SECRET, row->generation - 1};
    int result = self->broker->store->prior(self->reader, row->id, row->generation, &sealed);
    bool is_none = result == BURSAR_E_NOT_FOUND; /* this generation is the first */
    if (result == 0)
        result = unseal(self->broker->keyring, &place, buf_text(&sealed), &plain);
    if (result == 0)
        result = tree_fill(self->secret_tree, buf_text(&plain));
    if (result == 0) {
        const struct node *secret = tree_root(self->secret_tree);
        const char *part = doc_main_part(node_text(node_get(secret, "kind")));
        secret_sha256_hex(part ? doc_part(secret, part) : TEXT_LITERAL(""), hex);
    }
    *out_is_known = result == 0 || is_none;
    buf_free(&sealed);
    buf_free(&plain);
    return text_is(sha256, hex);
}

static void noted(void *context, struct write_message *message)
{
    (void)context;
    write_free(message);
}

void worker_note_token(struct worker *self, const struct conn_row *row, struct text sha256)
{
    bool is_known;
    bool is_one_before = is_prior(self, row, sha256, &is_known);
    enum spender_sign sign = spender_of_token(false, is_one_before, is_known);
    if (sign == SPENDER_NONE || row->suspect != SPENDER_NONE || row->generation == 0)
        return;
    LOG(LOG_WARNING, "a caller has a token that was not given out here: who else refreshes it?",
        LOG_T("connection", row->id));
    struct write_message *message = write_new(CHANGE_SUSPECT, row->id);
    message->change.at_ms = clock_wall_ms();
    message->change.expect_generation = row->generation;
    message->change.suspect = sign;
    worker_write(self, message, noted, self);
}
