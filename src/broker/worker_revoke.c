#include "broker/worker_revoke.h"

#include <stdlib.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/memory.h"
#include "broker/worker_exchange.h"
#include "policy/retry.h"

enum { SAYS_MAX = 512 };

struct errand {
    char connection[ID_SIZE];
    revocation_done_fn *done;
    void *context;
};

static bool is_passing(const struct exchange_result *end)
{
    if (end->error != 0)
        return end->error == BURSAR_E_PROVIDER_UNAVAILABLE;
    return end->status == 429 || end->status >= 500;
}

/* RFC 7009 section 2.2: 200 whether the token was known or not. */
static void ended(void *context, const struct exchange_result *end)
{
    struct errand *errand = context;
    struct buf says = buf_make(SAYS_MAX);
    if (end->error == BURSAR_E_UNSUPPORTED_OP)
        buf_append_string(&says, "unsupported: no revocation endpoint, or no token");
    else if (end->error < 0)
        buf_printf(&says, "unknown: %s", end->text);
    else if (end->status >= 200 && end->status < 300)
        buf_append_string(&says, "revoked");
    else
        buf_printf(&says, "refused: HTTP %d", end->status);
    LOG(LOG_INFO, "revoked at the provider", LOG_S("connection", errand->connection),
        LOG_T("result", buf_text(&says)));
    struct revocation revocation = {.says = buf_text(&says),
                                    .is_passing = is_passing(end),
                                    .is_ending = end->error == BURSAR_E_SHUTTING_DOWN,
                                    .was_sent = end->error == 0 ||
                                                end->error == BURSAR_E_PROVIDER_UNAVAILABLE};
    if (end->reply)
        revocation.retry_after_ms =
            retry_after_ms(http_reply_header(end->reply, "Retry-After"), clock_wall_s());
    errand->done(errand->context, &revocation);
    buf_free(&says);
    free(errand);
}

void worker_revoke(struct worker *self, const struct conn_row *row, revocation_done_fn *done,
                   void *context)
{
    struct open_credential credential;
    struct exchange_result failed = {.error = BURSAR_E_UNSUPPORTED_OP, .text = ""};
    struct errand *errand = memory_new(sizeof *errand);
    errand->done = done;
    errand->context = context;
    for (size_t i = 0; i < row->id.len && i + 1 < sizeof errand->connection; i++)
        errand->connection[i] = row->id.data[i];
    if (!self->connector || !row->secret.data) {
        ended(errand, &failed);
        return;
    }
    failed.error = worker_open_credential(self, row, &credential);
    failed.text = "the stored secret does not open";
    if (failed.error < 0) {
        ended(errand, &failed);
        return;
    }
    struct exchange *exchange = exchange_new(self, BURSAR_REVOKE);
    exchange_set_secret(exchange, buf_text(&credential.secret), buf_text(&credential.grant),
                        row->metadata);
    worker_close_credential(&credential);
    exchange_start(exchange, ended, errand);
}
