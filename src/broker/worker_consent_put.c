#include "broker/worker_consent.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "connector/sign.h"
#include "policy/acts_as.h"
#include "vault/seal.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum { TEXT_MAX = 65536 };

static const struct text none = {NULL, 0};

/* ---- what is kept -------------------------------------------------------------------------------- */

void consent_digest(struct text state, uint8_t out[static CONSENT_DIGEST_BYTES])
{
    uint8_t digest[SIGN_DIGEST_MAX];
    if (sign_digest(SIGN_SHA256, state, digest) < 0)
        abort(); /* out of memory */
    memcpy(out, digest, CONSENT_DIGEST_BYTES);
}

/* Sealed as nobody's: whose it is stands inside. */
static struct seal_place place_of(struct text digest)
{
    return (struct seal_place){TEXT_LITERAL(""), digest, SEAL_CONSENT, 0};
}

void consent_keep(struct worker *self, const struct consent *consent, struct request *request,
                  write_done_fn *done, void *context)
{
    struct write_message *message = write_new(CHANGE_CONSENT, none);
    struct store_change *change = &message->change;
    change->at_ms = clock_wall_ms();
    change->consent = write_keep(message, consent->digest);
    change->provider = text_of(self->connector->provider);
    change->consent_expires_at = consent->expires_at;
    change->is_device = consent->is_device;
    message->request = request;
    change->owner = request->job.owner;
    change->account = request->job.account;
    struct seal_place place = place_of(change->consent);
    if (buf_error(consent->kept) != 0 ||
        seal(self->broker->keyring, &place, buf_text(consent->kept), &message->secret) < 0) {
        change->result = BURSAR_E_INTERNAL;
        message->done = done;
        done(context, message);
        return;
    }
    change->sealed = buf_text(&message->secret);
    worker_write(self, message, done, context);
}

static void dropped(void *context, struct write_message *message)
{
    (void)context;
    write_free(message);
}

void consent_drop(struct worker *self, struct text digest, struct text connection, const char *why,
                  write_done_fn *done, void *context)
{
    struct write_message *message = write_new(CHANGE_CONSENTED, connection);
    message->change.at_ms = clock_wall_ms();
    message->change.consent = write_keep(message, digest);
    message->change.provider = text_of(self->connector->provider);
    if (why)
        message->change.error = write_keep(message, text_of(why));
    worker_write(self, message, done ? done : dropped, context);
}

int consent_open(struct worker *self, struct text digest, struct text sealed, struct buf *plain)
{
    struct seal_place place = place_of(digest);
    *plain = buf_make_secret(CONSENT_KEPT_MAX);
    int result = unseal(self->broker->keyring, &place, sealed, plain);
    if (result == 0)
        result = tree_fill(self->made_tree, buf_text(plain));
    return result;
}

struct pack consent_pack(struct buf *kept, const struct job *job, struct text connection,
                         struct text metadata)
{
    *kept = buf_make_secret(CONSENT_KEPT_MAX);
    struct pack map = pack_map(kept);
    pack_text(&map, "owner", job->owner);
    pack_text(&map, "account", job->account);
    pack_text(&map, "connection", connection);
    if (metadata.data)
        pack_raw(&map, "metadata", metadata);
    return map;
}

int consent_find(struct worker *self, const struct job *job, struct conn_row *out_row)
{
    struct job by_id = {.owner = job->owner, .connection = job->reconnect};
    int result = worker_find(self, &by_id, out_row);
    if (result < 0 || text_is(out_row->provider, self->connector->provider))
        return result;
    conn_row_free(out_row);
    return BURSAR_E_NOT_FOUND;
}

int consent_target(struct worker *self, const struct job *job, struct text account,
                   struct conn_row *out_row)
{
    struct job by_key = {
        .owner = job->owner, .provider = text_of(self->connector->provider), .account = account};
    int result = job->reconnect.data ? consent_find(self, job, out_row)
                                     : worker_find(self, &by_key, out_row);
    if (result < 0 || (out_row->state != CONN_REVOKED && out_row->state != CONN_FROZEN))
        return result;
    result = out_row->state == CONN_REVOKED ? BURSAR_E_REVOKED : BURSAR_E_FROZEN;
    conn_row_free(out_row);
    return result;
}

struct text consent_scopes(const struct node *scopes, struct buf *out)
{
    for (size_t i = 0; i < node_count(scopes); i++) {
        if (i > 0)
            buf_append_byte(out, ' ');
        buf_append_text(out, node_text(node_item(scopes, i)));
    }
    return node_count(scopes) > 0 ? buf_text(out) : none;
}

bool consent_is_possible(struct worker *self, struct request *request)
{
    struct text word = settings_text(self->connector->settings, "acts_as");
    if (acts_as_allows(acts_as_of(word), ACTOR_PERSON))
        return true;
    worker_refuse(self, request, BURSAR_E_UNSUPPORTED_OP,
                  "this provider's secrets act as a service: nobody consents to them");
    return false;
}

/* ---- the put -------------------------------------------------------------------------------------- */

static void pack_part(struct pack *map, const char *name, const struct call_outcome *outcome,
                      enum bursar_emit part)
{
    struct text value = call_outcome_part(outcome, part);
    if (value.data)
        pack_text(map, name, value);
}

/* Whether refreshes of this provider say where the consent led back to. */
static bool wants_redirect_uri(const struct worker *self)
{
    const struct setting *params = settings_find(self->connector->settings, "refresh_params");
    for (size_t i = 0; params && i < params->item_count; i++) {
        if (strstr(params->items[i].value, "{redirect_uri}"))
            return true;
    }
    return false;
}

static void pack_secret(struct worker *self, struct pack *job, const struct consent_grant *grant,
                        int64_t now)
{
    const struct node *kept = grant->kept;
    const struct call_outcome *outcome = grant->outcome;
    struct text scopes = call_outcome_part(outcome, BURSAR_OUT_SCOPES);
    struct text redirect_uri = node_text(node_get(kept, "redirect_uri"));
    int64_t ends_at = worker_refresh_expires_at(self->connector, outcome, now);
    struct pack secret = pack_map_in(job, "secret");
    const char *kind = self->connector->module->secret_kind;
    pack_string(&secret, "kind", kind ? kind : "oauth2");
    pack_part(&secret, doc_main_part(text_of(kind ? kind : "oauth2")), outcome,
              BURSAR_OUT_ACCESS_TOKEN);
    pack_part(&secret, "api_secret", outcome, BURSAR_OUT_API_SECRET);
    pack_part(&secret, "token_type", outcome, BURSAR_OUT_TOKEN_TYPE);
    pack_part(&secret, "refresh_token", outcome, BURSAR_OUT_REFRESH_TOKEN);
    if (ends_at != EXPIRY_NEVER && call_outcome_part(outcome, BURSAR_OUT_REFRESH_TOKEN).data)
        pack_int(&secret, "refresh_token_expires_at", ends_at);
    if (!scopes.data && !grant->is_other) /* RFC 6749 section 5.1: then it is what was asked for */
        scopes = node_text(node_get(kept, "scopes"));
    if (scopes.data)
        pack_words(&secret, "scopes", scopes);
    struct pack fields = pack_map_in(&secret, "fields");
    if (redirect_uri.data && wants_redirect_uri(self))
        pack_text(&fields, "redirect_uri", redirect_uri);
    for (size_t i = 0; i < outcome->part_count; i++) {
        if (outcome->parts[i].part == BURSAR_OUT_FIELD)
            pack_text(&fields, outcome->parts[i].name,
                      call_part_value(outcome, &outcome->parts[i]));
    }
    pack_close(&fields);
    pack_close(&secret);
}

/* Which connection it is for. False where nobody has said whose it is: then it may not take the place of
 * what may be another's. */
static bool pack_target(struct worker *self, struct pack *job, const struct consent_grant *grant)
{
    struct text connection = node_text(node_get(grant->kept, "connection"));
    struct text account = grant->account;
    if (connection.data && !grant->is_other) {
        pack_text(job, "connection", connection);
        return true;
    }
    if (!account.data)
        account = grant->is_other ? none : node_text(node_get(grant->kept, "account"));
    pack_string(job, "provider", self->connector->provider);
    pack_text(job, "account", account.data ? account : TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT));
    return account.data || !settings_text(self->connector->settings, "identity_url").data;
}

/* The job that would put this secret, as the wire has it. */
static void pack_put(struct worker *self, const struct consent_grant *grant, struct buf *out)
{
    int64_t now = clock_wall_s();
    int64_t expires_at = worker_expires_at(self->connector, grant->outcome, now);
    const struct node *metadata =
        grant->metadata ? grant->metadata : node_get(grant->kept, "metadata");
    struct pack job = pack_map(out);
    pack_string(&job, "op", "credential.put");
    pack_text(&job, "owner", node_text(node_get(grant->kept, "owner")));
    if (!pack_target(self, &job, grant))
        pack_int(&job, "expect_generation", 0);
    if (node_type(metadata) == NODE_MAP) {
        pack_key(&job, "metadata");
        node_pack(metadata, out);
    }
    if (expires_at != EXPIRY_NEVER)
        pack_int(&job, "expires_at", expires_at);
    pack_secret(self, &job, grant, now);
    pack_close(&job);
}

static struct request *make_put(struct worker *self, const struct consent_grant *grant,
                                const struct request *request)
{
    struct buf body = buf_make_secret(TEXT_MAX * 4);
    struct request *put = NULL;
    pack_put(self, grant, &body);
    if (buf_error(&body) == 0)
        put = request_new(buf_text(&body), true, request ? request->ticket : TICKET_NONE,
                          request ? request->deadline_ms : 0);
    buf_free(&body);
    if (put) {
        put->wants_record = true;
        put->hinted_at = worker_hinted_at(self->connector, grant->outcome, clock_wall_s());
        put->has_hint = put->hinted_at != EXPIRY_NEVER;
        put->consent = grant->consent;
        put->ended = grant->ended;
        put->context = grant->context;
        put->origin = origin_copy(request ? request->origin : NULL);
    }
    return put;
}

void consent_put(struct worker *self, const struct consent_grant *grant, struct request *request)
{
    struct request *put = make_put(self, grant, request);
    if (put) {
        request_free(request);
        fault_point("consent-put");
        worker_put(self, put);
        return;
    }
    if (request)
        worker_refuse(self, request, BURSAR_E_INTERNAL, "what the provider gave cannot be kept");
    else
        LOG(LOG_ERROR, "what the provider gave cannot be kept",
            LOG_S("provider", self->connector->provider));
    if (grant->ended)
        grant->ended(grant->context, BURSAR_E_INTERNAL);
}
