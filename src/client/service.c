#include "client/service.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#include <zmq.h>

#include "base/clock.h"
#include "base/secret.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/grant.h"

enum { MAX_BATCH = 1000 }; /* replies read before the clock is looked at again */

/* What comes into the box of orders: a job, or one of these. */
enum order_type { ORDER_CANCEL, ORDER_STOP };

struct order {
    struct mail mail;
    enum order_type type;
    uint64_t id;
    uint32_t slot;
};

struct service {
    struct bursar_client *client;
    struct mailbox jobs, orders;
    struct mailbox *done;
    pthread_t thread;
    struct order stop;

    /* The thread's. */
    struct service_job **waiting; /* by slot */
    uint32_t capacity;
    struct service_job *unsent_first, *unsent_last;
    struct heap timers;
    struct link link; /* without a socket: closed */
    struct reply reply;
    bool is_stopping;
};

struct service_job *service_job_new(size_t body_len)
{
    struct service_job *job = calloc(1, sizeof *job + body_len);
    if (job)
        job->body_len = body_len;
    return job;
}

void service_job_free(struct service_job *job)
{
    if (!job)
        return;
    bursar_grant_free(&job->grant);
    bursar_text_free(job->reply_json);
    secret_wipe(job->body, job->body_len);
    free(job);
}

/* ---- jobs under way ------------------------------------------------------------------------- */

static void unsent_add(struct service *service, struct service_job *job)
{
    job->before = service->unsent_last;
    job->after = NULL;
    if (service->unsent_last)
        service->unsent_last->after = job;
    else
        service->unsent_first = job;
    service->unsent_last = job;
    job->is_sent = false;
}

static void unsent_remove(struct service *service, struct service_job *job)
{
    if (job->before)
        job->before->after = job->after;
    else
        service->unsent_first = job->after;
    if (job->after)
        job->after->before = job->before;
    else
        service->unsent_last = job->before;
    job->is_sent = true;
}

/* Gives the job back. Its failure was filled by whoever knows better than the error's own text. */
static void finish(struct service *service, struct service_job *job, int error)
{
    if (!job->is_sent)
        unsent_remove(service, job);
    heap_remove(&service->timers, &job->timer);
    service->waiting[job->slot] = NULL;
    job->error = error;
    if (error != 0 && job->failure.error == 0)
        failure_of_link(&job->failure, error, curve_is_for(service->client->pool.endpoint));
    mailbox_send(service->done, &job->mail);
}

static void finish_unsent(struct service *service, int error)
{
    while (service->unsent_first)
        finish(service, service->unsent_first, error);
}

static void finish_all(struct service *service, int error, const char *message)
{
    for (uint32_t i = 0; i < service->capacity; i++) {
        struct service_job *job = service->waiting[i];
        if (!job)
            continue;
        failure_say(&job->failure, error, message);
        finish(service, job, error);
    }
}

static void take_job(struct service *service, struct service_job *job)
{
    service->waiting[job->slot] = job;
    unsent_add(service, job);
    if (heap_set(&service->timers, &job->timer, job->until_ms) != 0)
        finish(service, job, BURSAR_E_NOMEM);
}

/* The job may be done, and its slot another one's. */
static void take_cancel(struct service *service, const struct order *order)
{
    struct service_job *job = service->waiting[order->slot];
    if (job && job->id == order->id)
        finish(service, job, BURSAR_E_SHUTTING_DOWN);
}

/* Jobs first: a cancelled one was submitted before. What is sent behind the first look is seen at
 * the next, for its box is readable. */
static void take_orders(struct service *service)
{
    struct mail *orders = mailbox_take(&service->orders);
    struct mail *jobs = mailbox_take(&service->jobs);
    while (jobs) {
        struct mail *next = jobs->next;
        take_job(service, (struct service_job *)jobs);
        jobs = next;
    }
    while (orders) {
        struct mail *next = orders->next;
        struct order *order = (struct order *)orders;
        if (order->type == ORDER_STOP) {
            service->is_stopping = true;
        } else {
            take_cancel(service, order);
            free(order);
        }
        orders = next;
    }
}

static void expire(struct service *service, int64_t now_ms)
{
    struct heap_node *top = heap_top(&service->timers);
    while (top && top->at <= now_ms) {
        size_t offset = offsetof(struct service_job, timer);
        finish(service, (struct service_job *)(void *)((char *)top - offset),
               BURSAR_E_DEADLINE_EXCEEDED);
        top = heap_top(&service->timers);
    }
}

/* ---- replies -------------------------------------------------------------------------------- */

/* A reply without an id answers a job that the daemon could not read, which of ours can only be one
 * that is too big. Where several are, each gets such a reply, and those are the biggest. */
static struct service_job *too_big(const struct service *service)
{
    struct service_job *biggest = NULL;
    for (uint32_t i = 0; i < service->capacity; i++) {
        struct service_job *job = service->waiting[i];
        if (job && job->is_sent && job->body_len > BURSAR_MAX_JOB_BYTES &&
            (!biggest || job->body_len > biggest->body_len))
            biggest = job;
    }
    return biggest;
}

static struct service_job *job_of_reply(const struct service *service)
{
    uint64_t id = reply_id(&service->reply);
    if (id == 0)
        return too_big(service);
    struct service_job *job = service->waiting[id % service->capacity];
    return job && job->id == id && job->is_sent ? job : NULL;
}

static void conclude(struct service *service, struct service_job *job)
{
    const struct reply *reply = &service->reply;
    int error = reply_error(reply, &job->failure);
    if (job->wants_json) {
        job->reply_json = reply_json(reply);
        if (!job->reply_json)
            error = failure_plain(&job->failure, BURSAR_E_NOMEM);
    } else if (error == 0 && !grant_read(reply->root, &job->grant)) {
        bursar_grant_free(&job->grant);
        error = BURSAR_E_NOMEM;
    }
    finish(service, job, error);
}

/* true where there may be more. */
static bool take_reply(struct service *service)
{
    int error = reply_take(&service->reply, &service->link);
    if (error == 0) {
        struct service_job *job = job_of_reply(service);
        if (job) /* else it was cancelled, or its deadline has passed */
            conclude(service, job);
    }
    reply_clear(&service->reply);
    return error == 0 || error == BURSAR_E_BAD_REPLY || error == BURSAR_E_NOMEM;
}

/* ---- the link ------------------------------------------------------------------------------- */

static void send_unsent(struct service *service)
{
    while (service->unsent_first) {
        struct service_job *job = service->unsent_first;
        int error = reply_ask(&service->link, (struct text){job->body, job->body_len});
        if (error == BURSAR_E_NO_DAEMON)
            return; /* full: goes on when the socket takes more */
        unsent_remove(service, job);
        if (error != 0)
            finish(service, job, error);
    }
}

/* Nobody answers this job any more. What does no harm is asked again, once. */
static void lose_job(struct service *service, struct service_job *job)
{
    if (!job->is_repeatable || job->was_repeated) {
        finish(service, job, BURSAR_E_NO_DAEMON);
        return;
    }
    job->was_repeated = true;
    unsent_add(service, job);
}

/* The connection broke, and with it what was sent on it. A daemon that starts again is there a
 * moment later, so it is looked for anew. */
static void lose(struct service *service)
{
    int64_t connect_until_ms = clock_boot_ms() + service->client->pool.connect_timeout_ms;
    link_close(&service->link);
    for (uint32_t i = 0; i < service->capacity; i++) {
        struct service_job *job = service->waiting[i];
        if (!job)
            continue;
        job->connect_until_ms = connect_until_ms;
        if (job->is_sent)
            lose_job(service, job);
    }
}

/* Jobs give up in the order in which they came, for each looks for the daemon equally long. */
static void give_up(struct service *service, int64_t now_ms)
{
    while (service->unsent_first && service->unsent_first->connect_until_ms <= now_ms)
        finish(service, service->unsent_first, BURSAR_E_NO_DAEMON);
    if (!service->unsent_first)
        link_close(&service->link);
}

static void open_link(struct service *service)
{
    struct pool *pool = &service->client->pool;
    int error = link_open(pool->context, ZMQ_DEALER, pool->endpoint, pool->curve, &service->link);
    if (error != 0)
        finish_unsent(service, error);
}

/* What came, then how the link fares: a reply that came before the connection broke is one. */
static void tend_link(struct service *service)
{
    for (int i = 0; i < MAX_BATCH && take_reply(service); i++)
        continue;
    enum link_state state = link_update(&service->link);
    int error = link_error(&service->link);
    switch (state) {
    case LINK_READY:
        if (service->link.times_ready > 1) /* it broke in between */
            lose(service);
        else
            send_unsent(service);
        break;
    case LINK_CONNECTING: give_up(service, clock_boot_ms()); break;
    case LINK_LOST: lose(service); break;
    case LINK_REFUSED:
    case LINK_FOREIGN:
        lose(service);
        finish_unsent(service, error);
        break;
    }
}

/* ---- the thread ----------------------------------------------------------------------------- */

static long wait_ms(const struct service *service)
{
    const struct heap_node *top = heap_top(&service->timers);
    int64_t until_ms = top ? top->at : INT64_MAX;
    bool is_connecting = service->link.socket && service->link.state == LINK_CONNECTING;
    if (is_connecting && service->unsent_first &&
        service->unsent_first->connect_until_ms < until_ms)
        until_ms = service->unsent_first->connect_until_ms;
    if (until_ms == INT64_MAX)
        return -1;
    int64_t left_ms = until_ms - clock_boot_ms();
    return left_ms <= 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (long)left_ms;
}

static void wait(struct service *service)
{
    bool is_full = service->unsent_first && service->link.state == LINK_READY;
    zmq_pollitem_t items[] = {
        {NULL, mailbox_fd(&service->jobs), ZMQ_POLLIN, 0},
        {NULL, mailbox_fd(&service->orders), ZMQ_POLLIN, 0},
        {service->link.socket, 0, (short)(is_full ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN), 0},
        {service->link.monitor, 0, ZMQ_POLLIN, 0},
    };
    zmq_poll(items, service->link.socket ? 4 : 2, wait_ms(service));
}

static void *run(void *data)
{
    struct service *service = data;
    while (!service->is_stopping) {
        wait(service);
        take_orders(service);
        if (service->link.socket)
            tend_link(service);
        if (service->unsent_first && !service->link.socket)
            open_link(service);
        expire(service, clock_boot_ms());
    }
    finish_all(service, BURSAR_E_SHUTTING_DOWN, "the client was closed before an answer came");
    link_close(&service->link);
    return NULL;
}

/* Signals are the program's own business. */
static int start_thread(struct service *service)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return BURSAR_E_IO;
    int error = pthread_create(&service->thread, NULL, run, service);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0 ? 0 : BURSAR_E_NOMEM;
}

static void free_service(struct service *service)
{
    mailbox_fini(&service->jobs);
    mailbox_fini(&service->orders);
    heap_free(&service->timers);
    reply_end(&service->reply);
    free(service->waiting);
    free(service);
}

int service_start(struct bursar_client *client, uint32_t capacity, struct mailbox *done,
                  struct service **out_service)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        return BURSAR_E_NOMEM;
    service->client = client;
    service->done = done;
    service->capacity = capacity;
    service->stop.type = ORDER_STOP;
    service->waiting = calloc(capacity, sizeof(*service->waiting));
    int error = mailbox_init(&service->jobs);
    int orders_error = mailbox_init(&service->orders);
    if (error == 0)
        error = orders_error;
    if (error == 0)
        error = service->waiting ? start_thread(service) : BURSAR_E_NOMEM;
    if (error != 0) {
        free_service(service);
        return error;
    }
    *out_service = service;
    return 0;
}

void service_stop(struct service *service)
{
    if (!service)
        return;
    mailbox_send(&service->orders, &service->stop.mail);
    pthread_join(service->thread, NULL);
    free_service(service);
}

void service_submit(struct service *service, struct service_job *job)
{
    mailbox_send(&service->jobs, &job->mail);
}

void service_cancel(struct service *service, uint64_t id, uint32_t slot)
{
    struct order *order = calloc(1, sizeof *order);
    if (!order)
        return; /* then it ends by its reply, or at its deadline */
    *order = (struct order){.type = ORDER_CANCEL, .id = id, .slot = slot};
    mailbox_send(&service->orders, &order->mail);
}
