#include <stdlib.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/worker_parts.h"
#include "connector/call.h"
#include "wire/pack.h"

enum { BODY_MAX = 1 << 20, COMMIT_WAIT_MS = 30000 };

/* A fingerprint of all parts, so that a changed one is seen and none has to be kept. */
static void mark_of(const struct call_outcome *seed, struct buf *out)
{
    uint8_t digest[SECRET_FINGERPRINT_LEN];
    secret_fingerprint(buf_text(&seed->values), digest);
    for (size_t i = 0; i < sizeof digest; i++)
        buf_printf(out, "%02x", digest[i]);
}

/* The job that would put this secret, as the wire has it; owner and provider are set afterwards. */
static void write_put(const struct call_outcome *seed, struct text mark, bool is_made,
                      struct buf *out)
{
    struct pack map = pack_map(out);
    pack_string(&map, "op", "credential.put");
    pack_string(&map, "owner", "-");
    pack_string(&map, "provider", "-");
    struct pack metadata = pack_map_in(&map, "metadata");
    pack_text(&metadata, "seed", mark);
    pack_close(&metadata);
    struct pack secret = pack_map_in(&map, "secret");
    for (size_t i = 0; i < seed->part_count; i++) {
        const struct call_part *part = &seed->parts[i];
        pack_text(&secret, part->name, call_part_value(seed, part));
    }
    if (is_made) { /* nothing but the settings is needed */
        struct pack grant = pack_map_in(&secret, "grant");
        pack_close(&grant);
    }
    pack_close(&secret);
    pack_close(&map);
}

static struct request *make_put(struct worker *self, const struct call_outcome *seed,
                                struct text mark)
{
    struct buf body = buf_make_secret(BODY_MAX);
    write_put(seed, mark, self->connector->mints, &body);
    struct request *request = NULL;
    if (buf_error(&body) == 0)
        request = request_new(buf_text(&body), true, TICKET_NONE, INT64_MAX);
    buf_free(&body);
    if (request) {
        request->job.owner = TEXT_LITERAL("");
        request->job.provider = text_of(self->connector->provider);
        request->job.account = TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
    }
    return request;
}

/* Whether what is stored comes from this seed. */
static bool is_seeded(struct worker *self, struct text mark)
{
    struct conn_row row;
    struct job job = {.owner = TEXT_LITERAL(""),
                      .provider = text_of(self->connector->provider),
                      .account = TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT)};
    if (worker_find(self, &job, &row) < 0)
        return false;
    if (row.state == CONN_FROZEN || row.state == CONN_REVOKED) { /* it takes none, and gives none */
        LOG(LOG_WARNING, "shared credential is set aside: its configured secret is not looked at",
            LOG_S("ref", self->connector->shared_id + 1),
            LOG_S("state", conn_state_name(row.state)));
        conn_row_free(&row);
        return true;
    }
    /* What is made anew from the settings begins again with the daemon: no other secret can be put. */
    bool is_dead = self->connector->mints && row.state == CONN_NEEDS_REAUTH;
    bool is_same = !is_dead && row.metadata.data &&
                   tree_fill(self->secret_tree, row.metadata) == 0 &&
                   text_equal(node_text(node_get(tree_root(self->secret_tree), "seed")), mark);
    conn_row_free(&row);
    return is_same;
}

static int put_seed(struct worker *self, const struct call_outcome *seed, struct text mark)
{
    struct request *request = make_put(self, seed, mark);
    int64_t until_ms = clock_boot_ms() + COMMIT_WAIT_MS;
    if (!request)
        return BURSAR_E_NOMEM;
    worker_put(self, request);
    while (self->writes > 0 && clock_boot_ms() < until_ms) {
        worker_wait(self, COMMIT_WAIT_MS);
        worker_take_messages(self);
    }
    if (!is_seeded(self, mark))
        return BURSAR_E_STORE_UNAVAILABLE;
    LOG(LOG_INFO, "shared credential begins with its configured secret",
        LOG_S("ref", self->connector->shared_id + 1));
    return 0;
}

int worker_seed(struct worker *self)
{
    struct call_outcome seed;
    struct buf mark = buf_make(1024);
    int result = call_seed(self->connector, clock_wall_s(), &seed);
    if (result == 0) {
        mark_of(&seed, &mark);
        if (!is_seeded(self, buf_text(&mark)))
            result = put_seed(self, &seed, buf_text(&mark));
        call_outcome_free(&seed);
    }
    if (result < 0)
        buf_printf(self->open_error, "auth.%s: %s", self->connector->shared_id + 1,
                   result == BURSAR_E_CONFIG ? "the settings name no secret, or more than one"
                                             : "its secret cannot be stored");
    buf_free(&mark);
    return result;
}
