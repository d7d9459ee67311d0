/* A job as it comes from a client: one MessagePack map, decoded once by tables.
 * Thread: the owner of the reader.
 *
 * doc/protocol.md is the contract. Keys that nobody knows are ignored; a known key of the wrong type
 * or out of bounds is BURSAR_E_BAD_REQUEST with a message that names it. */
#ifndef WIRE_JOB_H
#define WIRE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "wire/op.h"
#include "wire/tree.h"

/* `select`: many connections at once, those for which all that is given holds. */
struct job_select {
    bool is_given;
    struct text provider, owner, tag, client;
    struct text principal; /* whose secret was given to it */
    int64_t vended_since;  /* then or later, seconds since 1970 */
    bool has_vended_since; /* with principal alone, and never without */
};

/* Texts borrow from the body, nodes from the reader. */
struct job {
    enum job_op op;
    struct text id; /* MessagePack of the job's `id`; absent: none */
    uint32_t deadline_ms;
    struct text owner, connection, provider, account, ref;
    struct text purpose; /* what the caller wants it for, for the audit log; absent: not said */

    int64_t min_ttl_s; /* vend */
    struct text kind;
    bool include_refresh_token;

    bool force, is_async; /* refresh */

    bool has_generation; /* invalidate */
    uint64_t generation;
    struct text access_token_sha256;
    bool vend;

    const struct node *secret; /* credential.put */
    const struct node *scopes;
    bool hold; /* a first secret: FROZEN from the start */
    bool has_expires_at;
    int64_t expires_at;
    bool has_expect_generation; /* also connection.update */
    uint64_t expect_generation;

    const struct node *metadata, *tags; /* connection.create, .update */
    bool at_provider;                   /* connection.revoke, .delete */

    struct text reason; /* connection.revoke: `transferred`; connection.freeze: `hand_over` */

    struct job_select select; /* connection.freeze, .thaw, .revoke, in place of a name */
    bool dry_run;             /* with it */
    uint32_t rate_per_s;      /* with it; 0: not given */
    struct text sweep;        /* sweep.* */
    bool wait;                /* sweep.get: until it has ended */

    struct text redirect_uri;      /* connect.begin */
    struct text reconnect;         /* connect.begin, .device: the connection that is to stay */
    struct text code, error, iss;  /* connect.complete, and its `state` */
    const struct node *callback;   /* connect.complete: what else came back */
    const struct node *fields;     /* connector.validate: a map of texts */
    struct text email, scope;      /* principal.is_operator */
    struct text principal;         /* principal.get, .add, .update, .remove; audit.since, .vends */
    const struct node *definition; /* principal.add, .update */
    struct text key;               /* key.rotate, .retire */
    bool activate;                 /* key.new */

    struct text state, cursor; /* connection.list */
    uint32_t limit;            /* and events.since, audit.*; 0: not given */
    uint64_t seq;
    int64_t since; /* audit.since, .vends: seconds since 1970; 0: from the beginning */
};

struct job_reader;
struct job_reader *job_reader_new(void); /* NULL without memory */
void job_reader_free(struct job_reader *reader);

/* Decodes one body; the job is good until the reader reads again or ends, or the body goes. 0,
 * BURSAR_E_BAD_REQUEST, BURSAR_E_UNSUPPORTED_OP (job->id is set where the body has one), or
 * BURSAR_E_NOMEM; error gets one line for people. */
int job_read(struct job_reader *reader, struct text body, struct job *out_job, struct buf *error);

/* Lets a job borrow from a copy of its body in place of the body, and from no reader; its `id` is gone. false, and
 * nothing has changed, where it has nodes, which are the reader's. */
bool job_move(struct job *job, struct text from, struct text to);

#endif
