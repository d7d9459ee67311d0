/* Who asks, whether that may be asked, and whether it is too much.
 * Thread: the dispatcher's; admission_unread_*() as they say.
 *
 * ZAP has asked who may connect; each job is asked about again, by the principals as they are now. What a
 * principal has under way, asks for in a second and leaves unread is counted for each, so that one that floods or
 * never reads harms nobody else. */
#ifndef BROKER_ADMISSION_H
#define BROKER_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "broker/broker.h"
#include "broker/principals.h"
#include "broker/sockets.h"
#include "policy/budget.h"
#include "wire/job.h"

struct admission;

/* What one principal has under way. Lives as long as the admission. */
struct load {
    char *name;
    size_t in_flight;
    struct socket_unread *unread;
    struct budget *throttle; /* NULL: without a bound in a second */
};

/* Who sent one job; good until the principals are replaced. */
struct caller {
    const struct principal *principal; /* NULL: nobody, any more */
    const char *peer;                  /* as ZAP named it; borrows from the message */
    const struct principal_limits *limits;
    struct load *load;
};

/* Takes one hold of the principals. */
struct admission *admission_new(const struct broker *broker, struct principals *principals);
void admission_free(struct admission *admission);
/* Takes the hold of the new set; jobs that come from now on are asked about by it. */
void admission_replace(struct admission *admission, struct principals *principals);
/* The set, for a request to hold. */
struct principals *admission_principals(const struct admission *admission);

/* False where no principal is behind the user id; such callers share one load and its bounds. */
bool admission_caller(struct admission *admission, const char *user_id, struct caller *out_caller);
/* A job has come. 0, BURSAR_E_BAD_REQUEST or BURSAR_E_OVERLOADED, with the bound in error and when to come
 * again. */
int admission_count(const struct caller *caller, size_t body_len, struct buf *error,
                    int64_t *out_retry_after_ms);
/* True where so much of what this caller got is unread that it gets nothing more. */
bool admission_is_deaf(const struct caller *caller);

/* Whether the caller may ask that. 0; or BURSAR_E_FORBIDDEN and why. A job about somebody else's connection is
 * changed to one about a connection that nobody has (policy/access.h). */
int admission_check(const struct admission *admission, const struct caller *caller, struct job *job,
                    struct buf *error);
/* Whether who waits may still have what it asked for, by the principals as they are now. */
struct pending;
bool admission_holds(const struct admission *admission, const struct pending *pending);
/* Whether admission_check() has made it such a job. */
bool admission_is_unseen(const struct job *job);

#endif
