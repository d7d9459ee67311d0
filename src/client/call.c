#include "client/call.h"

#include "base/clock.h"
#include "client/failure.h"

enum { CONNECTION_BROKE = 1 }; /* beside the errors: there was a daemon, and no reply */

void call_head(struct pack *map, const struct bursar_client *client, const char *op, uint64_t id,
               uint32_t deadline_ms)
{
    pack_string(map, "op", op);
    pack_uint(map, "id", id);
    pack_uint(map, "deadline_ms", deadline_ms);
    if (client->purpose)
        pack_string(map, "purpose", client->purpose);
}

void call_begin(struct call *call, struct bursar_client *client, const char *op,
                uint32_t deadline_ms)
{
    call->client = client;
    call->is_repeatable = false;
    call->body = buf_make_secret(CALL_MAX_BODY_BYTES);
    call->map = pack_map(&call->body);
    call->id = atomic_fetch_add(&client->last_id, 1) + 1;
    call->deadline_ms = deadline_ms > 0 ? deadline_ms : client->deadline_ms;
    call_head(&call->map, client, op, call->id, call->deadline_ms);
}

void call_end(struct call *call)
{
    buf_free(&call->body);
}

/* The reply must be to this job. */
static int take_reply(const struct call *call, struct link *link, struct reply *out_reply)
{
    int error = reply_take(out_reply, link);
    if (error == 0 && reply_id(out_reply) != call->id && reply_id(out_reply) != 0)
        error = BURSAR_E_BAD_REPLY;
    if (error != 0)
        reply_end(out_reply);
    return error == BURSAR_E_DEADLINE_EXCEEDED ? BURSAR_E_BAD_REPLY : error;
}

static int exchange_once(struct call *call, int64_t until_ms, struct reply *out_reply)
{
    struct link link;
    struct pool *pool = &call->client->pool;
    int error = pool_take(pool, until_ms, &link);
    if (error != 0)
        return error;
    error = reply_ask(&link, buf_text(&call->body));
    if (error == 0)
        error = link_wait(&link, until_ms);
    bool is_broken = error == BURSAR_E_NO_DAEMON;
    if (error == 0)
        error = take_reply(call, &link, out_reply);
    pool_give(pool, &link, error == 0);
    return is_broken ? CONNECTION_BROKE : error;
}

/* A daemon that starts again breaks connections that it will take anew a moment later. */
static int exchange(struct call *call, struct reply *out_reply)
{
    int64_t until_ms = clock_boot_ms() + call->deadline_ms + REPLY_GRACE_MS;
    int error = exchange_once(call, until_ms, out_reply);
    if (error == CONNECTION_BROKE && call->is_repeatable)
        error = exchange_once(call, until_ms, out_reply);
    return error == CONNECTION_BROKE ? BURSAR_E_NO_DAEMON : error;
}

int call_run(struct call *call, struct reply *out_reply, struct bursar_failure *out_failure)
{
    *out_reply = (struct reply){0};
    pack_close(&call->map);
    int error = buf_error(&call->body);
    if (error == BURSAR_E_TOO_BIG)
        return failure_say(out_failure, BURSAR_E_BAD_REQUEST, "the job is larger than 16 MiB");
    if (error == 0)
        error = exchange(call, out_reply);
    if (error != 0)
        return failure_of_link(out_failure, error, curve_is_for(call->client->pool.endpoint));
    return reply_error(out_reply, out_failure);
}
