/* The broker's side of a call to a connector module: values go in, values come out.
 * Thread: the owner of the values.
 *
 *     call.c      a call from its beginning to its end
 *     host.c      what a module may ask of a call
 *     request.c   what it gives out for a request
 *     template.c  {placeholders} */
#ifndef CONNECTOR_CALL_H
#define CONNECTOR_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "connector/connector.h"
#include "policy/verdict.h"
#include "wire/doc.h"

/* A request as a module made it. */
struct call_request {
    char method[16];
    struct buf url, body;                /* secret */
    struct buf headers;                  /* secret: `Name: value`, each ended by NUL */
    struct buf tls_certificate, tls_key; /* files, NUL-ended; empty: none */
    struct buf sigv4, sigv4_user;        /* "aws:amz:REGION:SERVICE" and secret "KEY:SECRET" */
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
#define CALL_PARTS_MAX 64
struct call_part {
    enum bursar_emit part;
    char name[64];
    size_t at, len; /* in values */
};
struct call_outcome {
    enum bursar_read read;
    enum reply_shape
        shape;         /* of `read`, for verdicts: what is no secret and no error is malformed */
    struct buf values; /* secret */
    struct call_part parts[CALL_PARTS_MAX];
    size_t part_count;
};
/* Nothing was read yet: malformed, without parts. */
void call_outcome_init(struct call_outcome *outcome);
void call_outcome_free(struct call_outcome *outcome);
/* Absent where the module gave none. Borrowed until the outcome ends. */
struct text call_outcome_part(const struct call_outcome *outcome, enum bursar_emit part);
struct text call_part_value(const struct call_outcome *outcome, const struct call_part *part);
/* The name that came with a part that names its unit; "" where there is none. */
const char *call_outcome_name(const struct call_outcome *outcome, enum bursar_emit part);

/* Named values that go along with a call: its inputs, and what its steps captured. */
#define CALL_VALUES_MAX 32
struct call_values {
    struct buf values;       /* secret */
    struct call_part *parts; /* of `count`; most calls have none */
    size_t count;
};
struct call_values call_values_make(void);
void call_values_free(struct call_values *values);
/* False where there is no room, or no memory. */
bool call_values_set(struct call_values *values, const char *name, struct text value);
struct text call_values_get(const struct call_values *values, const char *name);
bool call_values_item(const struct call_values *values, size_t index, struct text *out_name,
                      struct text *out_value);
/* What an outcome captured. */
bool call_values_add(struct call_values *values, const struct call_outcome *outcome);

/* What a call is about. All of it is borrowed; what is NULL is not there. */
struct call {
    const struct connector *connector;
    enum bursar_purpose purpose;
    int64_t now; /* seconds since 1970 UTC */
    unsigned step;
    const struct node *secret, *grant, *metadata;
    /* In place of secret: gives it when a part of it is asked for; NULL where it does not open, and then the call
     * fails. */
    const struct node *(*open_secret)(void *context);
    void *secret_context;
    const struct call_values *inputs, *captures;
    bool has_next_secret; /* client_secret_next takes the place of client_secret */
    char *out_unknown; /* gets the name of a {placeholder} that has no value; NULL: nobody asks */
};
#define CALL_UNKNOWN_SIZE 80

bool call_can(const struct connector *connector, enum bursar_purpose purpose);
/* 0, or what the module or the limits say, or BURSAR_E_BAD_SEAL; nothing is given out then. */
int call_build(const struct call *call, struct call_request *out_request);
/* 0, BURSAR_E_NOMEM, BURSAR_E_BAD_SEAL, or BURSAR_E_UNSUPPORTED_OP where the kind reads none. A reply that is too large
 * for the limits is read as malformed. */
int call_read(const struct call *call, const struct call_reply *reply,
              struct call_outcome *out_outcome);
/* What a shared credential begins with, as parts of a put: 0, BURSAR_E_CONFIG, BURSAR_E_NOMEM. */
int call_seed(const struct connector *connector, int64_t now, struct call_outcome *out_outcome);
/* A text of the settings with its {placeholders} filled in. BURSAR_E_NOT_FOUND where one is unknown. */
int call_expand(const struct call *call, struct text text, bool is_url, struct buf *out);
/* Asks the kind's own check; for config_kinds. */
void call_check(const struct bursar_connector *module, const struct settings *settings,
                struct buf *out);

#endif
