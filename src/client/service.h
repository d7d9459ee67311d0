/* The thread behind a struct bursar_async: one link to the daemon, many jobs on it.
 * Thread: service_start(), service_stop() the owner; service_submit(), service_cancel() any.
 *
 * A job is a message: the service has it from service_submit() until it sends it into the box of
 * done ones, exactly once. A link that breaks is closed; what was sent on it is sent again on the
 * next one where that does no harm, and else done with BURSAR_E_NO_DAEMON. */
#ifndef CLIENT_SERVICE_H
#define CLIENT_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <bursar/client.h>

#include "base/heap.h"
#include "base/mailbox.h"

struct service_job {
    struct mail mail; /* first: in the box of orders, then in the box of done ones */

    /* The submitter's. */
    bursar_done_fn *done;
    void *data;
    bool is_forgotten; /* cancelled; guarded by the submitter's lock */

    /* Set before it is submitted. */
    uint64_t id;   /* as in its body */
    uint32_t slot; /* below the service's capacity; no other job under way has it */
    int64_t until_ms;
    int64_t connect_until_ms;
    bool is_repeatable; /* may be sent again: it changes nothing */
    bool wants_json;

    /* The service's. */
    struct heap_node timer;
    struct service_job *before, *after; /* among those that are not sent yet */
    bool is_sent, was_repeated;

    /* What came of it. */
    int error;
    struct bursar_failure failure;
    struct bursar_grant grant;
    char *reply_json;

    size_t body_len;
    char body[]; /* wiped by service_job_free() */
};

/* With room for a body, all else zero; NULL without memory. */
struct service_job *service_job_new(size_t body_len);
void service_job_free(struct service_job *job);

struct service;

/* Borrows client and done. 0, BURSAR_E_NOMEM or BURSAR_E_IO. */
int service_start(struct bursar_client *client, uint32_t capacity, struct mailbox *done,
                  struct service **out_service);
/* Ends it; when this returns all jobs are in the box. NULL is fine. */
void service_stop(struct service *service);

/* Takes the job. */
void service_submit(struct service *service, struct service_job *job);
/* Lets a job end early, with any error, where it is still under way. */
void service_cancel(struct service *service, uint64_t id, uint32_t slot);

#endif
