/* From an event's body to a struct bursar_event that owns its texts.
 * Thread: its owner. */
#ifndef CLIENT_EVENT_H
#define CLIENT_EVENT_H

#include <bursar/client.h>

#include "base/buf.h"
#include "wire/tree.h"

/* An event with what its texts point into. */
struct event_copy {
    struct bursar_event event;
    char *json;
    struct buf texts; /* one behind the other, each with its NUL */
};

/* false without memory or for a body that is no event. event_copy_free() in any case. */
bool event_copy_read(const struct node *body, struct event_copy *out_copy);
void event_copy_free(struct event_copy *copy);

/* Appends the topic that an event of the log was sent with. */
void event_append_topic(const struct node *body, struct buf *out);

#endif
