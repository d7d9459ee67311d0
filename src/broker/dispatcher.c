#include "broker/dispatcher.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/dispatcher_parts.h"
#include "broker/memory.h"
#include "broker/query.h"
#include "broker/reply.h"
#include "broker/route.h"
#include "broker/sockets.h"
#include "broker/worker.h"
#include "policy/vend.h"
#include "vault/seal.h"
#include "wire/pack.h"
#include "wire/principal.h"

/* A peer that sends a larger frame is cut off, so that what a thousand of them have begun to send fits into
 * memory; one over max_job_bytes is bad_request. */
enum { FRAME_MAX = 2 << 20 };
enum { JOBS_AT_ONCE = 256 }; /* before answers are looked at again */

/* ---- the way of a warm vend ---------------------------------------------------------------------- */

/* A freeze is on its way through this provider's connections: only its worker knows which. */
static bool is_held(const struct dispatcher *self, const struct warm *entry)
{
    return self->held_count > 0 &&
           self->held[broker_worker_index(self->broker, entry->provider)] > 0;
}

/* With its row in the audit log, or after it. */
static bool give_warm(struct dispatcher *self, struct incoming *in, const struct job *job,
                      struct warm_item *item)
{
    const struct warm *entry = item->entry;
    if (!auditor_may_give(&self->auditor)) {
        dispatcher_refuse(self, in, job, BURSAR_E_STORE_UNAVAILABLE);
        return true;
    }
    if (self->auditor.is_strict) {
        struct answer *answer = answer_new(TICKET_NONE);
        answer->entry = warm_copy(entry);
        answer->refresh_state = "idle";
        auditor_given(&self->auditor, &in->about, entry, AUDIT_VEND, item->told);
        if (dispatcher_answer_later(self, in, job, answer))
            return true;
        answer_free(answer);
        dispatcher_refuse(self, in, job, BURSAR_E_OVERLOADED);
        return true;
    }
    if (!item->reply) {
        struct kept_reply *kept = credential_keep(&self->writer, entry);
        if (!kept)
            return false; /* the worker finds the same and says so */
        warm_table_keep_reply(self->warm, item, kept);
    }
    struct buf reply = frame_pool_take(self->frames, DISPATCHER_REPLY_MAX);
    if (credential_give(&self->writer, job->id, item->entry, item->reply, &reply) < 0) {
        buf_free(&reply);
        warm_table_forget(self->warm, item->entry->id);
        return false;
    }
    item->told = auditor_given(&self->auditor, &in->about, item->entry, AUDIT_VEND, item->told);
    dispatcher_send_to(self, in, &reply);
    return true;
}

static struct warm_item *find_warm(struct dispatcher *self, const struct job *job)
{
    return job->connection.data
               ? warm_table_by_id(self->warm, job->owner, job->connection)
               : warm_table_by_account(self->warm, job->owner, job->provider, job->account);
}

static bool answer_warm(struct dispatcher *self, struct incoming *in, const struct job *job)
{
    struct warm_item *item = find_warm(self, job);
    const struct warm *entry = item ? item->entry : NULL;
    if (!entry || job->include_refresh_token || is_held(self, entry) ||
        (job->kind.data && !text_equal(job->kind, entry->kind)))
        return false;
    struct vend_view view = {.state = CONN_ACTIVE,
                             .has_secret = true,
                             .can_refresh = true,
                             .expires_at = entry->expires_at,
                             .due_at = entry->due_at,
                             .issued_at = entry->issued_at};
    return vend_decide(&view, clock_wall_s(), job->min_ttl_s).action == VEND_SERVE &&
           give_warm(self, in, job, item);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static void answer_whoami(struct dispatcher *self, struct incoming *in, const struct job *job)
{
    struct buf pairs = buf_make(1 << 20), reply = buf_make(DISPATCHER_REPLY_MAX);
    struct pack map = pack_map(&pairs);
    pack_string(&map, "principal", in->caller.principal->name);
    pack_string(&map, "peer", in->caller.peer);
    principal_pack(&map, in->caller.principal);
    pack_close(&map);
    reply_pairs(&reply, job->id, buf_text(&pairs));
    dispatcher_send_to(self, in, &reply);
    buf_free(&pairs);
}

/* A change of what may be vended takes the entry out on its way. */
static void forget_on_the_way(struct dispatcher *self, const struct job *job)
{
    if (route_is_sweep(job))
        return;
    if (job->op != OP_REVOKE && job->op != OP_FREEZE && job->op != OP_DELETE &&
        job->op != OP_INVALIDATE)
        return;
    const struct warm_item *item = find_warm(self, job);
    if (item)
        warm_table_forget(self->warm, item->entry->id);
}

/* What must not stay in memory once the request has ended. */
static bool is_secret_op(enum job_op op)
{
    return op == OP_PUT || op == OP_CONNECT_COMPLETE || op == OP_CONNECTOR_VALIDATE;
}

/* Hands a job to the thread that will answer it. Nobody waits for one from the intake. */
static void hand_over(struct dispatcher *self, struct incoming *in, bool is_waited_for,
                      struct text body, struct job *job, struct worker *worker)
{
    int64_t deadline_ms = clock_boot_ms() + job->deadline_ms;
    struct pending *pending = NULL;
    if (is_waited_for) {
        /* The body stays where it is until the copy is made. */
        pending = dispatcher_add_pending(self, in, job);
        if (!pending) {
            dispatcher_refuse(self, in, job, BURSAR_E_OVERLOADED);
            return;
        }
    }
    struct request *request = request_of_job(job, body, is_secret_op(job->op),
                                             pending ? pending->ticket : TICKET_NONE, deadline_ms);
    if (!request) {
        LOG(LOG_ERROR, "out of memory: ending");
        abort();
    }
    request->may_export = job->include_refresh_token;
    request->principals = principals_hold(admission_principals(self->admission));
    request->principal = in->caller.principal;
    snprintf(request->peer, sizeof request->peer, "%s", in->caller.peer);
    request->origin =
        origin_new(&(struct audit_origin){in->about.principal, in->about.peer, job->purpose,
                                          job_rule(job->op)->name, (struct text){NULL, 0}});
    if (admission_is_unseen(job))
        request->job.owner = job->owner;
    /* What it stands for lives as long as the configuration; in other ops it is an unknown key, and
     * the job's texts are still those of the message. */
    if (job->ref.data && job_rule(job->op)->names_connection) {
        request->job.owner = job->owner;
        request->job.provider = job->provider;
        request->job.account = job->account;
    }
    bool asks_log = route_is_audit(job) || (route_is_sweep(job) && job->select.principal.data);
    if (asks_log && auditor_is_behind(&self->auditor)) {
        auditor_hold_reader(&self->auditor, &request->message.mail); /* so that all is in it */
    } else if (route_is_query(job)) {
        query_send(self->broker->query, request);
    } else if (!worker_send(worker, request)) {
        request_free(request);
        if (pending)
            dispatcher_refuse_pending(self, pending, BURSAR_E_OVERLOADED);
        else
            auditor_refused(&self->auditor, &in->about, BURSAR_E_OVERLOADED);
        if (!pending)
            LOG(LOG_WARNING, "intake job dropped", LOG_S("code", "overloaded"));
    }
}

/* Of a job that is refused unread, so that its sender knows which one that was. */
static void read_id(struct dispatcher *self, struct text body, struct job *job)
{
    struct buf unsaid = buf_make(1024);
    if (body.len <= self->broker->config->max_job_bytes)
        job_read(self->reader, body, job, &unsaid);
    buf_free(&unsaid);
}

static void take_job(struct dispatcher *self, struct incoming *in)
{
    zmq_msg_t *last = &in->frames[in->count - 1];
    struct text body = {zmq_msg_data(last), zmq_msg_size(last)};
    struct worker *worker = NULL;
    struct job job = {0};
    int64_t retry_after_ms = 0;
    buf_clear(&self->error);
    int result = admission_count(&in->caller, body.len, &self->error, &retry_after_ms);
    if (result < 0) {
        read_id(self, body, &job);
    } else if (body.len > self->broker->config->max_job_bytes) {
        buf_printf(&self->error, "body has more than %u bytes",
                   (unsigned)self->broker->config->max_job_bytes);
        result = BURSAR_E_BAD_REQUEST;
    } else {
        result = job_read(self->reader, body, &job, &self->error);
    }
    auditor_take_job(&in->about, &job);
    if (result == 0 && self->is_draining)
        result = BURSAR_E_SHUTTING_DOWN;
    if (result == 0)
        result = admission_check(self->admission, &in->caller, &job, &self->error);
    if (result == 0 && job_rule(job.op)->names_connection && !route_is_sweep(&job)) {
        if (job.provider.data && !job.account.data)
            job.account = TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
        if (job.op == OP_VEND && !job.ref.data && answer_warm(self, in, &job))
            return;
        worker = route_job(self->broker, in->caller.principal, &job, &self->error, &result);
        if (worker)
            result = 0;
        if (worker && job.op == OP_VEND && job.ref.data && answer_warm(self, in, &job))
            return;
    }
    if (result == 0 && (job_rule(job.op)->names_provider || job.op == OP_CONNECT_COMPLETE)) {
        worker = route_job(self->broker, in->caller.principal, &job, &self->error, &result);
        if (worker)
            result = 0;
    }
    if (result < 0)
        dispatcher_refuse_for(self, in, &job,
                              &(struct reply_error){.error = result,
                                                    .text = buf_text(&self->error),
                                                    .retry_after_ms = retry_after_ms});
    else if (job.op == OP_WHOAMI)
        answer_whoami(self, in, &job);
    else {
        forget_on_the_way(self, &job);
        hand_over(self, in, true, body, &job, worker);
    }
}

/* Nobody waits for an answer: what is wrong is said in the log. */
static void take_intake(struct dispatcher *self, struct incoming *in)
{
    zmq_msg_t *last = &in->frames[in->count - 1];
    struct text body = {zmq_msg_data(last), zmq_msg_size(last)};
    struct worker *worker = NULL;
    struct job job = {0};
    int64_t retry_after_ms;
    buf_clear(&self->error);
    int result = admission_count(&in->caller, body.len, &self->error, &retry_after_ms);
    if (result == 0)
        result = in->count == 1 && body.len <= self->broker->config->max_job_bytes
                     ? job_read(self->reader, body, &job, &self->error)
                     : BURSAR_E_BAD_REQUEST;
    auditor_take_job(&in->about, &job);
    if (result == 0 && !job_rule(job.op)->is_intake)
        result = BURSAR_E_UNSUPPORTED_OP;
    if (result == 0 && self->is_draining)
        result = BURSAR_E_SHUTTING_DOWN;
    if (result == 0)
        result = admission_check(self->admission, &in->caller, &job, &self->error);
    if (result == 0) {
        if (job.provider.data && !job.account.data)
            job.account = TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
        worker = route_job(self->broker, in->caller.principal, &job, &self->error, &result);
    }
    if (!worker) {
        auditor_refused(&self->auditor, &in->about, result);
        LOG(LOG_DEBUG, "intake job dropped", LOG_S("code", bursar_error_code(result)),
            LOG_T("why", buf_text(&self->error)));
        return;
    }
    forget_on_the_way(self, &job);
    hand_over(self, in, false, body, &job, worker);
}

/* Who sent it; false where no principal is behind it. */
static bool find_caller(struct dispatcher *self, struct incoming *in)
{
    const char *user_id = incoming_user_id(in);
    bool is_known = admission_caller(self->admission, user_id, &in->caller);
    in->about =
        (struct audit_row){.principal = text_of(is_known ? in->caller.principal->name : NULL),
                           .peer = text_of(user_id)};
    return is_known;
}

/* ---- sockets --------------------------------------------------------------------------------------- */

/* Of a peer whose principal was removed since it connected. It is told so as long as it listens and does not
 * ask too often. */
static void refuse_peer(struct dispatcher *self, struct incoming *in)
{
    zmq_msg_t *last = &in->frames[in->count - 1];
    struct job job = {0};
    int64_t retry_after_ms;
    if (admission_is_deaf(&in->caller) ||
        admission_count(&in->caller, 0, &self->error, &retry_after_ms) < 0)
        return;
    read_id(self, (struct text){zmq_msg_data(last), zmq_msg_size(last)}, &job);
    auditor_take_job(&in->about, &job);
    dispatcher_refuse(self, in, &job, BURSAR_E_FORBIDDEN);
}

/* Answers go to a peer by its routing id. One that chooses its own could choose that of another principal's
 * peer, whose connection has broken, and get its answers. */
static void refuse_name(struct dispatcher *self, struct incoming *in)
{
    zmq_msg_t *last = &in->frames[in->count - 1];
    struct job job = {0};
    read_id(self, (struct text){zmq_msg_data(last), zmq_msg_size(last)}, &job);
    dispatcher_refuse_for(
        self, in, &job,
        &(struct reply_error){.error = BURSAR_E_BAD_REQUEST,
                              .text = TEXT_LITERAL("a client must not choose its routing id")});
}

static bool take_from_jobs(struct dispatcher *self)
{
    struct incoming in;
    if (!incoming_receive(self->jobs, &in))
        return false;
    if (in.is_dropped || in.count < 2)
        LOG(LOG_WARNING, "message dropped", LOG_I("frames", (int64_t)in.count));
    else if (!find_caller(self, &in))
        refuse_peer(self, &in);
    else if (incoming_names_itself(&in))
        refuse_name(self, &in);
    else if (!admission_is_deaf(&in.caller))
        take_job(self, &in);
    incoming_release(&in);
    return true;
}

static bool take_from_intake(struct dispatcher *self)
{
    struct incoming in;
    if (!incoming_receive(self->intake, &in))
        return false;
    if (!in.is_dropped && find_caller(self, &in))
        take_intake(self, &in);
    else if (!in.is_dropped)
        auditor_refused(&self->auditor, &in.about, BURSAR_E_FORBIDDEN);
    incoming_release(&in);
    return true;
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static int wait_ms(const struct dispatcher *self)
{
    const struct pending *first = pending_first(self->pending);
    int64_t until = first ? first->deadline.at : INT64_MAX;
    int64_t audit_at_ms = auditor_turn_at(&self->auditor);
    if (audit_at_ms < until)
        until = audit_at_ms;
    if (self->is_draining && self->end_at_ms < until)
        until = self->end_at_ms;
    if (until == INT64_MAX)
        return -1;
    int64_t wait = until - clock_boot_ms();
    return wait <= 0 ? 0 : wait < INT_MAX ? (int)wait : INT_MAX;
}

static bool is_finished(const struct dispatcher *self)
{
    return self->is_draining &&
           ((self->drained == self->broker->worker_count && pending_count(self->pending) == 0) ||
            clock_boot_ms() >= self->end_at_ms);
}

static int open_sockets(struct dispatcher *self)
{
    const struct config *config = self->broker->config;
    int64_t frame_max = (int64_t)config->max_job_bytes * 2;
    if (frame_max < FRAME_MAX)
        frame_max = FRAME_MAX;
    self->jobs = socket_new(self->broker->zmq, ZMQ_ROUTER, self->open_error);
    self->intake = socket_new(self->broker->zmq, ZMQ_PULL, self->open_error);
    if (!self->jobs || !self->intake)
        return BURSAR_E_IO;
    zmq_setsockopt(self->jobs, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    zmq_setsockopt(self->intake, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    int result = socket_bind(self->jobs, config, &config->jobs, self->open_error);
    if (result == 0)
        result = socket_bind(self->intake, config, &config->intake, self->open_error);
    self->outbox = outbox_new(self->jobs);
    if (result == 0)
        dispatcher_open_to_others(self);
    return result;
}

/* ---- the loop -------------------------------------------------------------------------------------
 *
 * A socket's descriptor tells once that something has come, and any call on the socket may use that up. So a socket
 * is read until it has nothing, each time that it tells; and the jobs socket, to which answers are sent, once more
 * behind those. zmq_poll() would ask each socket twice, with a system call each time. */

static int fd_of(void *socket)
{
    int fd = -1;
    size_t len = sizeof fd;
    zmq_getsockopt(socket, ZMQ_FD, &fd, &len);
    return fd;
}

/* Until there is nothing, or others must have their turn: then true. */
static bool take_all(struct dispatcher *self, bool take(struct dispatcher *self))
{
    for (int i = 0; i < JOBS_AT_ONCE; i++) {
        if (!take(self))
            return false;
    }
    return true;
}

static void *run(void *context)
{
    struct dispatcher *self = context;
    int result = open_sockets(self);
    struct pollfd fds[] = {{result == 0 ? fd_of(self->jobs) : -1, POLLIN, 0},
                           {result == 0 ? fd_of(self->intake) : -1, POLLIN, 0},
                           {mailbox_fd(&self->inbox), POLLIN, 0}};
    bool has_jobs = true, has_intake = true;
    thread_ready(&self->thread, result);
    while (result == 0 && !is_finished(self)) {
        if (poll(fds, 3, has_jobs || has_intake ? 0 : wait_ms(self)) < 0)
            continue; /* no signal comes to this thread, but a debugger may */
        if (has_jobs || fds[0].revents) {
            has_jobs = take_all(self, take_from_jobs);
            outbox_has_sent(self->outbox); /* before the socket was read to its end */
        }
        if (has_intake || fds[1].revents)
            has_intake = take_all(self, take_from_intake);
        if (fds[2].revents)
            dispatcher_take_messages(self);
        dispatcher_expire(self, clock_boot_ms(), BURSAR_E_DEADLINE_EXCEEDED);
        auditor_turn(&self->auditor, clock_boot_ms(), false);
        outbox_flush(self->outbox);
        if (outbox_has_sent(self->outbox) && take_from_jobs(self))
            has_jobs = true;
    }
    dispatcher_expire(self, 0, BURSAR_E_SHUTTING_DOWN);
    dispatcher_finish_audit(self);
    outbox_free(self->outbox);
    socket_close(self->jobs);
    socket_close(self->intake);
    return NULL;
}

int dispatcher_new(struct broker *broker, struct dispatcher **out_dispatcher)
{
    struct dispatcher *self = memory_new(sizeof *self);
    self->broker = broker;
    self->error = buf_make(4096);
    self->reader = job_reader_new();
    self->warm = warm_table_new(WARM_ENTRIES_MAX);
    self->pending = pending_new();
    self->frames = frame_pool_new();
    self->admission = admission_new(broker, principals_hold(broker->principals));
    self->held = memory_new((broker->connectors->count + 1) * sizeof *self->held);
    auditor_init(&self->auditor, broker, &self->inbox);
    int result = mailbox_init(&self->inbox);
    if (result == 0)
        result = credential_writer_init(&self->writer, broker->keyring);
    if (result == 0 && !self->reader)
        result = BURSAR_E_NOMEM;
    if (result < 0) {
        dispatcher_free(self);
        return result;
    }
    *out_dispatcher = self;
    return 0;
}

int dispatcher_start(struct dispatcher *self, struct buf *error)
{
    self->open_error = error;
    int result = thread_start(&self->thread, "dispatcher", run, self);
    self->is_started = result == 0;
    return result;
}

void dispatcher_stop(struct dispatcher *self)
{
    if (!self || !self->is_started)
        return;
    mailbox_send(&self->inbox, &message_new(MESSAGE_DRAIN)->mail);
    thread_join(&self->thread);
    self->is_started = false;
}

void dispatcher_free(struct dispatcher *self)
{
    if (!self)
        return;
    for (struct mail *mail = mailbox_take(&self->inbox), *next; mail; mail = next) {
        next = mail->next;
        if (((struct message *)mail)->type == MESSAGE_ANSWER)
            answer_free((struct answer *)mail);
        else if (((struct message *)mail)->type == MESSAGE_WRITE)
            write_free((struct write_message *)mail);
        else if (((struct message *)mail)->type == MESSAGE_PRINCIPALS)
            principals_message_free((struct principals_message *)mail);
        else
            free(mail);
    }
    mailbox_fini(&self->inbox);
    pending_free(self->pending);
    frame_pool_release(self->frames);
    admission_free(self->admission);
    warm_table_free(self->warm);
    free(self->held);
    job_reader_free(self->reader);
    buf_free(&self->error);
    credential_writer_fini(&self->writer);
    auditor_fini(&self->auditor);
    free(self);
}

void dispatcher_send(struct dispatcher *self, struct answer *answer)
{
    mailbox_send(&self->inbox, &answer->message.mail);
}

void dispatcher_send_principals(struct dispatcher *self, struct principals_message *message)
{
    mailbox_send(&self->inbox, &message->message.mail);
}

void dispatcher_hold(struct dispatcher *self, struct text provider, int change)
{
    struct hold_message *hold = memory_new(sizeof *hold);
    hold->message.type = MESSAGE_HOLD;
    hold->worker = broker_worker_index(self->broker, provider);
    hold->change = change;
    mailbox_send(&self->inbox, &hold->message.mail);
}

void dispatcher_send_keys(struct dispatcher *self, struct mailbox *reply_to)
{
    struct keys_message *keys = memory_new(sizeof *keys);
    keys->message.type = MESSAGE_KEYS;
    keys->reply_to = reply_to;
    mailbox_send(&self->inbox, &keys->message.mail);
}

void dispatcher_send_drained(struct dispatcher *self)
{
    mailbox_send(&self->inbox, &message_new(MESSAGE_DRAINED)->mail);
}
