/* An event's topic and body as doc/protocol.md says.
 * Thread: the buffers' owner. */
#ifndef STORE_EVENT_H
#define STORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "policy/lifecycle.h"

/* Why: of reauth, in_doubt and incident. code absent: no reason is written. */
struct event_reason {
    struct text code;
    const char *class_name;
    int http_status; /* 0: none */
    struct text provider_error;
    const char *suspect; /* NULL: nothing */
};

struct event {
    uint64_t seq;
    int64_t at_ms;
    enum event_type type;
    struct text owner, provider, account, connection;
    enum conn_state state; /* CONN_NONE: not written */
    uint64_t generation;
    struct text tags; /* MessagePack; absent: none */
    struct event_reason reason;
    const char *phase, *incident; /* of an incident: begin or end, and what it is about */
    bool is_reminder;             /* of a reauth that was said before */
};

/* `<type>/<owner>/<provider>/<connection>`, each part percent-encoded; an absent part is `-`. */
void event_topic(const struct event *event, struct buf *out);
void event_body(const struct event *event, struct buf *out);

#endif
