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
#include "wire/tree.h"

enum job_op {
    OP_NONE,
    OP_VEND,
    OP_REFRESH,
    OP_INVALIDATE,
    OP_PUT,
    OP_CREATE,
    OP_GET,
    OP_LIST,
    OP_UPDATE,
    OP_REVOKE,
    OP_RESTORE,
    OP_FREEZE,
    OP_THAW,
    OP_EXPORT,
    OP_DELETE,
    OP_CONNECT_BEGIN,
    OP_CONNECT_COMPLETE,
    OP_CONNECT_DEVICE,
    OP_CONNECTOR_LIST,
    OP_CONNECTOR_GET,
    OP_CONNECTOR_VALIDATE,
    OP_IS_OPERATOR,
    OP_EVENTS_SINCE,
    OP_SWEEP_GET,
    OP_SWEEP_LIST,
    OP_SWEEP_RECEIPTS,
    OP_SWEEP_CANCEL,
    OP_PAUSE,
    OP_RESUME,
    OP_STATUS,
    OP_WHOAMI,
    OP_END
};

enum job_role {
    ROLE_NONE,
    ROLE_VEND,
    ROLE_REFRESH,
    ROLE_CONNECT,
    ROLE_MANAGE,
    ROLE_EVENTS,
    ROLE_EXPORT,
    ROLE_ADMIN
};

/* What holds for every job of an op. */
struct job_rule {
    const char *name;
    enum job_role role;
    bool names_connection; /* owner, and connection or provider with account */
    bool is_intake;        /* may come without anybody waiting for the answer */
    bool names_provider;   /* provider alone, perhaps with owner and account */
};

/* `select`: many connections at once, those for which all that is given holds. */
struct job_select {
    bool is_given;
    struct text provider, owner, tag, client;
};

/* Texts borrow from the body, nodes from the reader. */
struct job {
    enum job_op op;
    struct text id; /* MessagePack of the job's `id`; absent: none */
    uint32_t deadline_ms;
    struct text owner, connection, provider, account, ref;

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

    struct text redirect_uri;     /* connect.begin */
    struct text reconnect;        /* connect.begin, .device: the connection that is to stay */
    struct text code, error, iss; /* connect.complete, and its `state` */
    const struct node *callback;  /* connect.complete: what else came back */
    const struct node *fields;    /* connector.validate: a map of texts */
    struct text email, scope;     /* principal.is_operator */

    struct text state, cursor; /* connection.list */
    uint32_t limit;            /* and events.since; 0: not given */
    uint64_t seq;
};

struct job_reader;
struct job_reader *job_reader_new(void); /* NULL without memory */
void job_reader_free(struct job_reader *reader);

/* Decodes one body; the job is good until the reader reads again or ends, or the body goes. 0,
 * BURSAR_E_BAD_REQUEST, BURSAR_E_UNSUPPORTED_OP (job->id is set where the body has one), or
 * BURSAR_E_NOMEM; error gets one line for people. */
int job_read(struct job_reader *reader, struct text body, struct job *out_job, struct buf *error);

const struct job_rule *job_rule(enum job_op op);

#endif
