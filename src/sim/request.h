/* A request as it reached the provider, taken apart.
 * Thread: its owner. */
#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"

/* As it came. All of it is borrowed. */
struct sim_request {
    const char *method;
    struct text url;     /* path and query, or the whole */
    struct text headers; /* `Name: value`, each ended by NUL */
    struct text body;
};
/* Absent where there is none; letter case does not count. */
struct text sim_request_header(const struct sim_request *request, const char *name);

enum sim_place { SIM_QUERY, SIM_BODY_FORM, SIM_BODY_JSON };

struct sim_param {
    enum sim_place place;
    size_t name_at, name_len, value_at, value_len; /* in texts */
};

#define SIM_PARAMS_MAX 96
struct sim_seen {
    const struct sim_request *request; /* borrowed */
    struct buf url;   /* the whole, without the query: the host as the Host header has it */
    struct text path; /* borrows from the request */
    struct buf texts; /* secret */
    struct sim_param params[SIM_PARAMS_MAX];
    size_t param_count;
    const char *problem; /* what is wrong with the request as such; NULL: nothing */
};
struct sim_seen sim_seen_of(const struct sim_request *request);
void sim_seen_free(struct sim_seen *seen);

/* The value of a parameter in that place; absent where there is none. */
struct text sim_seen_param(const struct sim_seen *seen, enum sim_place place, struct text name);
/* The same wherever it stands. */
struct text sim_seen_any(const struct sim_seen *seen, struct text name);
struct text sim_seen_value(const struct sim_seen *seen, size_t index, struct text *out_name);
/* Whether a text stands in the request at all, plainly, percent-encoded or in a Basic header. */
bool sim_seen_has(const struct sim_seen *seen, struct text text);
/* User and password of a Basic header, as they came or form-decoded. False where there is none. */
bool sim_seen_basic(const struct sim_seen *seen, bool is_form, struct buf *out_user,
                    struct buf *out_password);

#endif
