/* The keys of the jobs, beside those that every job has.
 * Thread: the map's owner. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include <stdbool.h>

#include <bursar/client.h>

#include "wire/pack.h"
#include "wire/tree.h"

/* options may be NULL, as in the public functions. */
void ask_target(struct pack *map, const struct bursar_target *target);
void ask_vend(struct pack *map, const struct bursar_target *target,
              const struct bursar_vend_options *options);
void ask_refresh(struct pack *map, const struct bursar_target *target, bool is_forced);
void ask_invalidate(struct pack *map, const struct bursar_target *target,
                    const struct bursar_invalidate_options *options);
void ask_put(struct pack *map, const struct bursar_target *target, const struct bursar_put *put);

/* A request of the caller's own. */
struct ask_request {
    struct buf body; /* what the tree points into */
    struct tree *tree;
    uint32_t deadline_ms; /* 0: not said */
};
/* Reads a JSON object (NULL: an empty one). 0, BURSAR_E_BAD_REQUEST or BURSAR_E_NOMEM, and
 * out_failure says what is wrong; ask_request_end() in any case. */
int ask_request_read(struct ask_request *out_request, const char *json,
                     struct bursar_failure *out_failure);
/* Its members, but for those that the library sets itself. */
void ask_request_pack(const struct ask_request *request, struct pack *map);
void ask_request_end(struct ask_request *request);

#endif
