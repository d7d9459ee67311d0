/* The operations a job can ask for, and what holds for each.
 * Thread: any; pure functions. */
#ifndef WIRE_OP_H
#define WIRE_OP_H

#include <stdbool.h>

#include "base/text.h"
#include "policy/principal.h"

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
    OP_PRINCIPAL_LIST,
    OP_PRINCIPAL_GET,
    OP_PRINCIPAL_ADD,
    OP_PRINCIPAL_UPDATE,
    OP_PRINCIPAL_REMOVE,
    OP_EVENTS_SINCE,
    OP_SWEEP_GET,
    OP_SWEEP_LIST,
    OP_SWEEP_RECEIPTS,
    OP_SWEEP_CANCEL,
    OP_PAUSE,
    OP_RESUME,
    OP_KEY_LIST,
    OP_KEY_NEW,
    OP_KEY_ROTATE,
    OP_KEY_RETIRE,
    OP_KEY_SHRED,
    OP_KEY_RELOAD,
    OP_AUDIT_SINCE,
    OP_AUDIT_VENDS,
    OP_AUDIT_VERIFY,
    OP_AUDIT_HEAD,
    OP_STATUS,
    OP_WHOAMI,
    OP_END
};

/* What holds for every job of an op. */
struct job_rule {
    const char *name;
    unsigned roles;        /* one of these is needed (policy/principal.h); 0: none */
    bool names_connection; /* owner, and connection or provider with account */
    bool is_intake;        /* may come without anybody waiting for the answer */
    bool names_provider;   /* provider alone, perhaps with owner and account */
    bool makes_one;        /* what it names need not be there yet */
    bool is_about_all;     /* of what it does not name: everybody's */
    bool ignores_owner;    /* of these it is always about all: to name one narrows nothing */
    bool ignores_provider;
    bool is_query;   /* of no one connection and no one provider: the query thread answers it */
    bool is_audited; /* makes a change that no change in the store tells the audit log of */
};

const struct job_rule *job_rule(enum job_op op);

/* The operation of a name; OP_NONE where there is none. */
enum job_op job_op_of(struct text name);
/* The name of an operation that is near enough to be meant, or NULL. */
const char *job_op_near(struct text name);

#endif
