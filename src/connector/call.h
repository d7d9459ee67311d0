/* The broker's side of a call to a connector module: values go in, values come out.
 * Thread: the owner of the values. */
#ifndef CONNECTOR_CALL_H
#define CONNECTOR_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "connector/connector.h"
#include "policy/verdict.h"
#include "wire/doc.h"

/* The parsed parts of a credential; borrowed. grant is NULL where there is none. */
struct call_credential {
    const struct node *secret, *grant;
};

/* A request as a module made it. */
struct call_request {
    char method[16];
    struct buf url, body; /* secret */
    struct buf headers;   /* secret: `Name: value`, each ended by NUL */
    bool has_body;
};
void call_request_free(struct call_request *request);

/* A reply as it is given to a module. headers are as in call_request. */
struct call_reply {
    int status;
    struct text headers, body;
};
struct text call_reply_header(const struct call_reply *reply, const char *name);

/* What a module read. */
#define CALL_PARTS_MAX 48
struct call_part {
    enum bursar_emit part;
    char name[64];
    size_t at, len; /* in values */
};
struct call_outcome {
    enum reply_shape shape;
    struct buf values; /* secret */
    struct call_part parts[CALL_PARTS_MAX];
    size_t part_count;
};
void call_outcome_free(struct call_outcome *outcome);
/* Absent where the module gave none. Borrowed until the outcome ends. */
struct text call_outcome_part(const struct call_outcome *outcome, enum bursar_emit part);

/* 0, or what the module or the limits say; nothing is given out then. */
int call_build_refresh(const struct connector *connector, const struct call_credential *credential,
                       int64_t now, struct call_request *out_request);
int call_build_revoke(const struct connector *connector, const struct call_credential *credential,
                      int64_t now, struct call_request *out_request);
/* What a shared credential begins with, as parts of a put: 0, BURSAR_E_CONFIG, BURSAR_E_NOMEM. */
int call_seed(const struct connector *connector, int64_t now, struct call_outcome *out_outcome);
/* 0, BURSAR_E_NOMEM, or BURSAR_E_UNSUPPORTED_OP where the kind reads none. A reply that is too large for the limits is read as malformed. */
int call_read_refresh(const struct connector *connector, const struct call_credential *credential,
                      int64_t now, const struct call_reply *reply,
                      struct call_outcome *out_outcome);

#endif
