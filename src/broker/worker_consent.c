#include "broker/worker_consent.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "connector/sign.h"
#include "wire/pack.h"

enum { STATE_BYTES = 32, CONSENT_LIFE_S = 600, TEXT_MAX = 65536 };

static const struct text none = {NULL, 0};

/* ---- connect.begin -------------------------------------------------------------------------------- */

/* A consent that is being begun: its URL is built, then it is kept, then that is answered. */
struct beginning {
    struct worker *worker;
    struct request *request;
    struct buf url, verifier, scopes, metadata;
    char connection[ID_SIZE]; /* that is to be reconnected; empty: none */
    struct buf account;       /* of that one */
    char state[160];
    int64_t expires_at;
};

static void beginning_free(struct beginning *beginning)
{
    buf_free(&beginning->url);
    buf_free(&beginning->verifier);
    buf_free(&beginning->scopes);
    buf_free(&beginning->metadata);
    buf_free(&beginning->account);
    secret_wipe(beginning->state, sizeof beginning->state);
    free(beginning);
}

static bool is_allowed_redirect(const struct worker *self, struct text uri)
{
    const struct setting *allowed = settings_find(self->connector->settings, "redirect_uris");
    for (size_t i = 0; allowed && i < allowed->item_count; i++) {
        if (text_is(uri, allowed->items[i].value))
            return true;
    }
    return false;
}

static void begun(void *context, struct write_message *message)
{
    struct beginning *beginning = context;
    struct worker *self = beginning->worker;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
    } else {
        struct answer *answer = answer_new(request->ticket);
        struct pack map = pack_map(&answer->body);
        pack_text(&map, "authorize_url", buf_text(&beginning->url));
        pack_string(&map, "state", beginning->state);
        pack_int(&map, "expires_at", beginning->expires_at);
        pack_close(&map);
        dispatcher_send(self->broker->dispatcher, answer);
        request_free(request);
    }
    beginning_free(beginning);
}

/* RFC 7636: a verifier of 32 random bytes, and its challenge as the entry wants it. */
static void add_challenge(const struct worker *self, struct call_values *inputs,
                          struct buf *verifier)
{
    struct text pkce = settings_text(self->connector->settings, "pkce");
    uint8_t random[STATE_BYTES], digest[SIGN_DIGEST_MAX];
    struct buf challenge = buf_make(128);
    if (!pkce.data || text_is(pkce, "none"))
        return;
    id_random(random, sizeof random);
    base64url_append(verifier, (struct text){(const char *)random, sizeof random});
    secret_wipe(random, sizeof random);
    if (text_is(pkce, "plain")) {
        buf_append_text(&challenge, buf_text(verifier));
    } else {
        if (sign_digest(SIGN_SHA256, buf_text(verifier), digest) < 0)
            abort(); /* out of memory */
        base64url_append(&challenge, (struct text){(const char *)digest, CONSENT_DIGEST_BYTES});
    }
    call_values_set(inputs, "code_challenge", buf_text(&challenge));
    call_values_set(inputs, "code_challenge_method",
                    text_is(pkce, "plain") ? TEXT_LITERAL("plain") : TEXT_LITERAL("S256"));
    buf_free(&challenge);
}

/* The provider stands in the state, so that it leads to its worker: it is no secret. */
static void make_state(const struct worker *self, struct beginning *beginning)
{
    uint8_t random[STATE_BYTES];
    struct buf state = buf_make_secret(sizeof beginning->state);
    id_random(random, sizeof random);
    buf_append_string(&state, self->connector->provider);
    buf_append_byte(&state, '.');
    base64url_append(&state, (struct text){(const char *)random, sizeof random});
    if (buf_error(&state) == 0)
        memcpy(beginning->state, state.data, state.len);
    buf_free(&state);
}

static struct text given(const struct buf *buf)
{
    return buf->len > 0 ? buf_text(buf) : none;
}

/* What the callback will need, sealed; begun() answers when it is on the disk. */
static void keep(struct beginning *beginning, const struct call_values *captures)
{
    struct worker *self = beginning->worker;
    const struct job *job = &beginning->request->job;
    uint8_t digest[CONSENT_DIGEST_BYTES];
    struct buf kept;
    struct text id = beginning->connection[0] != 0 ? text_of(beginning->connection) : none;
    struct pack map = consent_pack(&kept, job, id, given(&beginning->metadata));
    pack_text(&map, "reconnected", given(&beginning->account));
    pack_text(&map, "redirect_uri", job->redirect_uri);
    pack_text(&map, "verifier", given(&beginning->verifier));
    pack_text(&map, "scopes", given(&beginning->scopes));
    struct pack captured = pack_map_in(&map, "captures");
    for (size_t i = 0; i < captures->count; i++) {
        const char *name = captures->parts[i].name;
        pack_text(&captured, name, call_values_get(captures, name));
    }
    pack_close(&captured);
    pack_close(&map);
    consent_digest(text_of(beginning->state), digest);
    struct consent consent = {.digest = {(const char *)digest, sizeof digest},
                              .expires_at = beginning->expires_at,
                              .kept = &kept};
    consent_keep(self, &consent, beginning->request, begun, beginning);
    buf_free(&kept);
}

static void url_built(void *context, const struct exchange_result *end)
{
    struct beginning *beginning = context;
    int error = end->url.data ? 0 : exchange_error(end);
    if (end->url.data)
        buf_append_text(&beginning->url, end->url);
    if (end->url.data && buf_error(&beginning->url) == 0) {
        keep(beginning, end->captures);
        return;
    }
    if (error == 0)
        error = BURSAR_E_PROVIDER_UNAVAILABLE;
    worker_refuse(beginning->worker, beginning->request,
                  error == BURSAR_E_CONFIG ? BURSAR_E_BAD_REQUEST : error,
                  error == BURSAR_E_CONFIG
                      ? "metadata lacks a variable that this provider needs, or has no value for "
                        "it that can be used"
                      : end->text);
    beginning_free(beginning);
}

/* Takes the request. */
static void begin(struct worker *self, struct request *request, const struct conn_row *row)
{
    const struct job *job = &request->job;
    struct beginning *beginning = memory_new(sizeof *beginning);
    struct exchange *exchange = exchange_new(self, BURSAR_AUTHORIZE);
    struct call_values *inputs = exchange_inputs(exchange);
    *beginning = (struct beginning){.worker = self,
                                    .request = request,
                                    .url = buf_make_secret(TEXT_MAX),
                                    .verifier = buf_make_secret(256),
                                    .scopes = buf_make(TEXT_MAX),
                                    .metadata = buf_make(TEXT_MAX),
                                    .account = buf_make(TEXT_MAX),
                                    .expires_at = clock_wall_s() + CONSENT_LIFE_S};
    if (job->metadata)
        node_pack(job->metadata, &beginning->metadata);
    else if (row)
        buf_append_text(&beginning->metadata, row->metadata);
    if (row && row->id.len < sizeof beginning->connection) {
        memcpy(beginning->connection, row->id.data, row->id.len);
        buf_append_text(&beginning->account, row->account);
    }
    make_state(self, beginning);
    call_values_set(inputs, "redirect_uri", job->redirect_uri);
    call_values_set(inputs, "state", text_of(beginning->state));
    if (consent_scopes(job->scopes, &beginning->scopes).data)
        call_values_set(inputs, "scopes", buf_text(&beginning->scopes));
    add_challenge(self, inputs, &beginning->verifier);
    exchange_set_secret(exchange, none, none, buf_text(&beginning->metadata));
    exchange_start(exchange, url_built, beginning);
}

void worker_begin_consent(struct worker *self, struct request *request)
{
    struct conn_row row;
    const struct job *job = &request->job;
    if (!self->connector || !call_can(self->connector, BURSAR_AUTHORIZE)) {
        worker_refuse(self, request, BURSAR_E_UNSUPPORTED_OP,
                      "nobody consents to this provider in a browser");
        return;
    }
    if (!consent_is_possible(self, request))
        return;
    if (!is_allowed_redirect(self, job->redirect_uri)) {
        worker_refuse(self, request, BURSAR_E_BAD_REQUEST,
                      "redirect_uri is not one of this provider's redirect_uris");
        return;
    }
    if (!job->reconnect.data && !job->account.data) {
        begin(self, request, NULL);
        return;
    }
    int result = consent_target(self, job, job->account, &row);
    if (result < 0 && result != BURSAR_E_NOT_CONNECTED) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    begin(self, request, result == 0 && job->reconnect.data ? &row : NULL);
    if (result == 0)
        conn_row_free(&row);
}
