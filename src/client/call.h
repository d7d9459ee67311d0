/* One job and its reply, as the public functions make them.
 * Thread: any; a call belongs to one thread.
 *
 *     struct call call;
 *     call_begin(&call, client, "vend", deadline_ms);
 *     pack_text(&call.map, …);
 *     error = call_run(&call, &reply, failure);
 *     call_end(&call);
 *     …
 *     reply_end(&reply); */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include <stdatomic.h>
#include <stdint.h>

#include <bursar/client.h>

#include "base/buf.h"
#include "client/curve.h"
#include "client/pool.h"
#include "client/reply.h"
#include "wire/pack.h"

struct bursar_client {
    void *context;
    struct curve *curve; /* NULL: without keys */
    struct pool pool;
    uint32_t deadline_ms;
    uint32_t max_jobs; /* of a struct bursar_async */
    char *purpose;     /* NULL: not said */
    _Atomic uint64_t last_id;
};

#define CALL_MAX_BODY_BYTES (16u << 20) /* the daemon has its own, lower limit */

struct call {
    struct bursar_client *client;
    struct buf body; /* locked memory: a put carries a secret */
    struct pack map; /* the job, open for more keys */
    uint64_t id;
    uint32_t deadline_ms;
    bool is_repeatable; /* may be sent again where the connection broke: it changes nothing */
};

/* Opens the job in call, which must not move. deadline_ms 0: the client's. */
void call_begin(struct call *call, struct bursar_client *client, const char *op,
                uint32_t deadline_ms);
/* The keys that every job of the client has, into an open map. */
void call_head(struct pack *map, const struct bursar_client *client, const char *op, uint64_t id,
               uint32_t deadline_ms);
/* Sends the job and waits for its reply. 0 for a reply with `ok`; else the error, with out_failure
 * filled. A reply that says an error is given too: reply_end() in any case. */
int call_run(struct call *call, struct reply *out_reply, struct bursar_failure *out_failure);
void call_end(struct call *call);

#endif
