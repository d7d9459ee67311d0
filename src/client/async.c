#include <bursar/client.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/service.h"

enum { MAX_CAPACITY = 1 << 20 };

struct bursar_async {
    struct bursar_client *client; /* for its context and its options; it makes no calls */
    struct service *service;
    struct mailbox done;
    uint32_t capacity;

    pthread_mutex_t lock; /* guards what follows, for moments only */
    bool has_lock;
    struct service_job **jobs; /* by slot: not handed over to their functions yet */
    uint32_t *free_slots;
    uint32_t free_count;
    uint64_t serial;
};

/* ---- opening and closing -------------------------------------------------------------------- */

static int open_parts(struct bursar_async *async)
{
    async->jobs = calloc(async->capacity, sizeof(*async->jobs));
    async->free_slots = calloc(async->capacity, sizeof *async->free_slots);
    if (!async->jobs || !async->free_slots)
        return BURSAR_E_NOMEM;
    for (uint32_t i = 0; i < async->capacity; i++)
        async->free_slots[i] = async->capacity - 1 - i;
    async->free_count = async->capacity;
    int error = mailbox_init(&async->done);
    if (error != 0)
        return error;
    async->has_lock = pthread_mutex_init(&async->lock, NULL) == 0;
    if (!async->has_lock)
        return BURSAR_E_NOMEM;
    return service_start(async->client, async->capacity, &async->done, &async->service);
}

int bursar_async_open(const struct bursar_client_options *options, struct bursar_async **out_async)
{
    struct bursar_async *async = calloc(1, sizeof *async);
    if (!async)
        return BURSAR_E_NOMEM;
    async->done.event_fd = -1;
    int error = bursar_client_open(options, &async->client);
    if (error == 0) {
        uint32_t wanted = async->client->max_jobs;
        async->capacity = wanted < MAX_CAPACITY ? wanted : MAX_CAPACITY;
        error = open_parts(async);
    }
    if (error != 0) {
        bursar_async_close(async);
        return error;
    }
    *out_async = async;
    return BURSAR_OK;
}

void bursar_async_close(struct bursar_async *async)
{
    if (!async)
        return;
    if (async->service) {
        service_stop(async->service);
        async->service = NULL; /* what a job's function submits now is refused */
        bursar_async_process(async);
    }
    mailbox_fini(&async->done);
    if (async->has_lock)
        pthread_mutex_destroy(&async->lock);
    free(async->free_slots);
    free(async->jobs);
    bursar_client_close(async->client);
    free(async);
}

/* ---- what is done --------------------------------------------------------------------------- */

int bursar_async_fd(const struct bursar_async *async)
{
    return mailbox_fd(&async->done);
}

/* From here on the job cannot be cancelled. false where it was. */
static bool release(struct bursar_async *async, struct service_job *job)
{
    pthread_mutex_lock(&async->lock);
    async->jobs[job->slot] = NULL;
    async->free_slots[async->free_count++] = job->slot;
    bool is_wanted = !job->is_forgotten;
    pthread_mutex_unlock(&async->lock);
    return is_wanted;
}

static void hand_over(struct service_job *job)
{
    const struct bursar_done done = {.job = job->id,
                                     .error = job->error,
                                     .grant = &job->grant,
                                     .reply_json = job->reply_json,
                                     .failure = &job->failure};
    if (job->done)
        job->done(job->data, &done);
}

size_t bursar_async_process(struct bursar_async *async)
{
    size_t count = 0;
    struct mail *mail = mailbox_take(&async->done);
    while (mail) {
        struct mail *next = mail->next;
        struct service_job *job = (struct service_job *)mail;
        if (release(async, job)) {
            hand_over(job);
            count++;
        }
        service_job_free(job);
        mail = next;
    }
    return count;
}

bool bursar_async_cancel(struct bursar_async *async, uint64_t id)
{
    uint32_t slot = (uint32_t)(id % async->capacity);
    pthread_mutex_lock(&async->lock);
    struct service_job *job = async->jobs[slot];
    bool is_found = job && job->id == id && !job->is_forgotten;
    if (is_found)
        job->is_forgotten = true;
    pthread_mutex_unlock(&async->lock);
    if (is_found && async->service)
        service_cancel(async->service, id, slot);
    return is_found;
}

/* ---- submitting ----------------------------------------------------------------------------- */

/* A job being written. */
struct draft {
    struct bursar_async *async;
    uint64_t id; /* 0: none was free */
    uint32_t slot;
    uint32_t deadline_ms;
    struct buf body;
    struct pack map;
    bool is_repeatable, wants_json;
};

static void take_slot(struct draft *draft)
{
    struct bursar_async *async = draft->async;
    pthread_mutex_lock(&async->lock);
    if (async->free_count > 0 && async->service) {
        draft->slot = async->free_slots[--async->free_count];
        draft->id = ++async->serial * async->capacity + draft->slot;
    }
    pthread_mutex_unlock(&async->lock);
}

static void give_slot_back(struct draft *draft)
{
    struct bursar_async *async = draft->async;
    if (draft->id == 0)
        return;
    pthread_mutex_lock(&async->lock);
    async->free_slots[async->free_count++] = draft->slot;
    pthread_mutex_unlock(&async->lock);
}

static void draft_begin(struct draft *draft, struct bursar_async *async, const char *op,
                        uint32_t deadline_ms)
{
    *draft = (struct draft){.async = async};
    draft->deadline_ms = deadline_ms > 0 ? deadline_ms : async->client->deadline_ms;
    draft->body = buf_make_secret(CALL_MAX_BODY_BYTES);
    draft->map = pack_map(&draft->body);
    take_slot(draft);
    call_head(&draft->map, async->client, op, draft->id, draft->deadline_ms);
}

/* The message that the service gets; the body leaves locked memory here, as it would for libzmq. */
static int make_job(struct draft *draft, bursar_done_fn *done, void *data,
                    struct service_job **out_job)
{
    struct text body = buf_text(&draft->body);
    struct service_job *job = service_job_new(body.len);
    int64_t now_ms = clock_boot_ms();
    if (!job)
        return BURSAR_E_NOMEM;
    memcpy(job->body, body.data, body.len);
    job->done = done;
    job->data = data;
    job->id = draft->id;
    job->slot = draft->slot;
    job->until_ms = now_ms + draft->deadline_ms + REPLY_GRACE_MS;
    job->connect_until_ms = now_ms + draft->async->client->pool.connect_timeout_ms;
    job->is_repeatable = draft->is_repeatable;
    job->wants_json = draft->wants_json;
    *out_job = job;
    return 0;
}

/* The number is given first: the job may be done before this returns. */
static int draft_submit(struct draft *draft, bursar_done_fn *done, void *data, uint64_t *out_job)
{
    struct service_job *job = NULL;
    pack_close(&draft->map);
    int error = buf_error(&draft->body);
    if (error == BURSAR_E_TOO_BIG)
        error = BURSAR_E_BAD_REQUEST;
    if (error == 0 && draft->id == 0)
        error = draft->async->service ? BURSAR_E_OVERLOADED : BURSAR_E_SHUTTING_DOWN;
    if (error == 0)
        error = make_job(draft, done, data, &job);
    buf_free(&draft->body);
    if (error != 0) {
        give_slot_back(draft);
        return error;
    }
    if (out_job)
        *out_job = job->id;
    pthread_mutex_lock(&draft->async->lock);
    draft->async->jobs[job->slot] = job;
    pthread_mutex_unlock(&draft->async->lock);
    service_submit(draft->async->service, job);
    return BURSAR_OK;
}

int bursar_async_vend(struct bursar_async *async, const struct bursar_target *target,
                      const struct bursar_vend_options *options, bursar_done_fn *done, void *data,
                      uint64_t *out_job)
{
    struct draft draft;
    draft_begin(&draft, async, "vend", options ? options->deadline_ms : 0);
    draft.is_repeatable = true;
    ask_vend(&draft.map, target, options);
    return draft_submit(&draft, done, data, out_job);
}

int bursar_async_refresh(struct bursar_async *async, const struct bursar_target *target,
                         bool is_forced, bursar_done_fn *done, void *data, uint64_t *out_job)
{
    struct draft draft;
    draft_begin(&draft, async, "refresh", 0);
    ask_refresh(&draft.map, target, is_forced);
    return draft_submit(&draft, done, data, out_job);
}

int bursar_async_invalidate(struct bursar_async *async, const struct bursar_target *target,
                            const struct bursar_invalidate_options *options, bursar_done_fn *done,
                            void *data, uint64_t *out_job)
{
    struct draft draft;
    draft_begin(&draft, async, "invalidate", options ? options->deadline_ms : 0);
    ask_invalidate(&draft.map, target, options);
    return draft_submit(&draft, done, data, out_job);
}

int bursar_async_put(struct bursar_async *async, const struct bursar_target *target,
                     const struct bursar_put *put, bursar_done_fn *done, void *data,
                     uint64_t *out_job)
{
    struct draft draft;
    draft_begin(&draft, async, "credential.put", 0);
    ask_put(&draft.map, target, put);
    return draft_submit(&draft, done, data, out_job);
}

int bursar_async_call(struct bursar_async *async, const char *op, const char *request_json,
                      bursar_done_fn *done, void *data, uint64_t *out_job)
{
    struct draft draft;
    struct ask_request request;
    int error = ask_request_read(&request, request_json, NULL);
    if (error == 0) {
        draft_begin(&draft, async, op, request.deadline_ms);
        draft.wants_json = true;
        ask_request_pack(&request, &draft.map);
        error = draft_submit(&draft, done, data, out_job);
    }
    ask_request_end(&request);
    return error;
}
