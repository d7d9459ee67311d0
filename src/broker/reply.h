/* Replies as doc/protocol.md says.
 * Thread: the buffer's owner. */
#ifndef BROKER_REPLY_H
#define BROKER_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "broker/message.h"
#include "wire/pack.h"

/* id is the packed `id` of the job, or absent. */
struct reply_error {
    int error;
    struct text text;           /* empty: the error's own */
    int64_t retry_after_ms;     /* 0: not said */
    struct text provider_error; /* empty: none */
};
void reply_error(struct buf *out, struct text id, const struct reply_error *error);

/* Opens a reply's map with its `id`, to be filled and closed. */
struct pack reply_open(struct buf *out, struct text id);

/* `ok` and the pairs of a packed map (absent: none). */
void reply_pairs(struct buf *out, struct text id, struct text pairs);

/* What a vend, refresh or invalidate answers. secret is the packed secret map, absent where the op
 * gives none. */
struct reply_credential {
    const struct warm *entry;
    struct text secret;
    bool is_stale;
    const char *refresh_state;
    struct text last_error; /* empty: none */
};
void reply_credential(struct buf *out, struct text id, const struct reply_credential *credential);

#endif
