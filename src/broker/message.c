#include "broker/message.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/log.h"
#include "broker/memory.h"

enum { TEXT_MAX = 4096, BODY_MAX = 64 << 20, BLOB_MAX = 4 << 20 };

struct message *message_new(enum message_type type)
{
    struct message *message = memory_new(sizeof *message);
    message->type = type;
    return message;
}

/* ---- who caused it ----------------------------------------------------------------------------- */

struct origin *origin_new(const struct audit_origin *audit)
{
    struct text from[] = {audit->principal, audit->peer, audit->purpose, audit->detail};
    struct origin *origin =
        memory_new(sizeof *origin + from[0].len + from[1].len + from[2].len + from[3].len);
    struct audit_origin *to = &origin->audit;
    struct text *const places[] = {&to->principal, &to->peer, &to->purpose, &to->detail};
    char *at = origin->bytes;
    to->op = audit->op;
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        if (from[i].data)
            memcpy(at, from[i].data, from[i].len);
        *places[i] = (struct text){from[i].data ? at : NULL, from[i].len};
        at += from[i].len;
    }
    return origin;
}

struct origin *origin_copy(const struct origin *origin)
{
    return origin ? origin_new(&origin->audit) : NULL;
}

struct sweep_message *sweep_message_new(struct text sweep, struct text provider, bool has_hold)
{
    struct sweep_message *made = memory_new(sizeof *made + provider.len + 1);
    made->message.type = MESSAGE_SWEEP;
    made->has_hold = has_hold;
    if (sweep.len < sizeof made->sweep && sweep.data)
        memcpy(made->sweep, sweep.data, sweep.len);
    if (provider.data) {
        char *copy = (char *)(made + 1);
        memcpy(copy, provider.data, provider.len);
        made->provider = (struct text){copy, provider.len};
    }
    return made;
}

/* ---- requests ---------------------------------------------------------------------------------- */

static struct request *request_with(struct text body, bool is_secret, uint64_t ticket,
                                    int64_t deadline_ms)
{
    struct request *request = memory_new(sizeof *request + (is_secret ? 0 : body.len));
    request->message.type = MESSAGE_REQUEST;
    request->ticket = ticket;
    request->deadline_ms = deadline_ms;
    request->secret = buf_make_secret(body.len);
    if (is_secret) {
        buf_append_text(&request->secret, body);
        request->body = buf_text(&request->secret);
    } else {
        request->body = (struct text){(char *)(request + 1), body.len};
        if (body.len > 0)
            memcpy(request + 1, body.data, body.len);
    }
    return request;
}

struct request *request_new(struct text body, bool is_secret, uint64_t ticket, int64_t deadline_ms)
{
    struct request *request = request_with(body, is_secret, ticket, deadline_ms);
    struct buf error = buf_make(TEXT_MAX);
    request->reader = job_reader_new();
    int result = request->reader ? buf_error(&request->secret) : BURSAR_E_NOMEM;
    if (result == 0)
        result = job_read(request->reader, request->body, &request->job, &error);
    buf_free(&error);
    if (result == 0)
        return request;
    request_free(request);
    return NULL;
}

struct request *request_of_job(const struct job *job, struct text body, bool is_secret,
                               uint64_t ticket, int64_t deadline_ms)
{
    struct job copy = *job;
    struct request *request = request_with(body, is_secret, ticket, deadline_ms);
    if (buf_error(&request->secret) == 0 && job_move(&copy, body, request->body)) {
        request->job = copy;
        return request;
    }
    request_free(request);
    return request_new(body, is_secret, ticket, deadline_ms);
}

void request_free(struct request *request)
{
    if (!request)
        return;
    if (request->counted)
        atomic_fetch_sub(request->counted, 1);
    job_reader_free(request->reader);
    principals_release(request->principals);
    free(request->origin);
    buf_free(&request->secret);
    free(request);
}

void request_free_all(struct request *first)
{
    for (struct request *next; first; first = next) {
        next = first->next;
        request_free(first);
    }
}

void request_queue_add(struct request_queue *queue, struct request *request)
{
    request->next = NULL;
    if (queue->first)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
}

struct request *request_queue_take(struct request_queue *queue)
{
    struct request *request = queue->first;
    if (request)
        queue->first = request->next;
    return request;
}

/* ---- principals -------------------------------------------------------------------------------- */

struct principals_message *principals_message_new(struct principals *principals)
{
    struct principals_message *message = memory_new(sizeof *message);
    message->message.type = MESSAGE_PRINCIPALS;
    message->principals = principals_hold(principals);
    return message;
}

void principals_message_free(struct principals_message *message)
{
    principals_release(message->principals);
    answer_free(message->answer);
    free(message);
}

void reload_message_free(struct reload_message *message)
{
    for (size_t i = 0; i < message->count; i++)
        principal_fini(&message->items[i]);
    free(message->items);
    free(message);
}

/* ---- warm entries ------------------------------------------------------------------------------ */

struct warm *warm_copy(const struct warm *original)
{
    const struct text from[] = {original->owner,   original->id,   original->provider,
                                original->account, original->kind, original->secret};
    size_t total = sizeof(struct warm);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        total += from[i].len + 1;
    struct warm *warm = memory_new(total);
    struct text *to[] = {&warm->owner,   &warm->id,   &warm->provider,
                         &warm->account, &warm->kind, &warm->secret};
    char *at = (char *)(warm + 1);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        if (from[i].data)
            memcpy(at, from[i].data, from[i].len);
        *to[i] = (struct text){from[i].data ? at : NULL, from[i].len};
        at += from[i].len + 1;
    }
    warm->generation = original->generation;
    warm->expires_at = original->expires_at;
    warm->due_at = original->due_at;
    warm->issued_at = original->issued_at;
    return warm;
}

struct warm *warm_of_row(const struct conn_row *row)
{
    const struct warm warm = {.owner = row->owner,
                              .id = row->id,
                              .provider = row->provider,
                              .account = row->account,
                              .kind = row->kind,
                              .secret = row->secret,
                              .generation = row->generation,
                              .expires_at = row->expires_at,
                              .due_at = row->due_at,
                              .issued_at = row->issued_at == EXPIRY_NEVER ? 0 : row->issued_at};
    return warm_copy(&warm);
}

/* ---- answers ----------------------------------------------------------------------------------- */

struct answer *answer_new(uint64_t ticket)
{
    struct answer *answer = memory_new(sizeof *answer);
    answer->message.type = MESSAGE_ANSWER;
    answer->text = buf_make(TEXT_MAX);
    answer->provider_error = buf_make(TEXT_MAX);
    answer->last_error = buf_make(TEXT_MAX);
    answer->body = buf_make(BODY_MAX);
    answer->grant = buf_make(BLOB_MAX);
    answer_add_ticket(answer, ticket);
    return answer;
}

void answer_add_ticket(struct answer *answer, uint64_t ticket)
{
    if (ticket == TICKET_NONE)
        return;
    size_t count = answer->ticket_count;
    if ((count & (count - 1)) == 0) /* full at each power of two */
        answer->tickets =
            memory_resize(answer->tickets, (count > 0 ? count * 2 : 1) * sizeof *answer->tickets);
    answer->tickets[answer->ticket_count++] = ticket;
}

void answer_free(struct answer *answer)
{
    if (!answer)
        return;
    buf_free(&answer->text);
    buf_free(&answer->provider_error);
    buf_free(&answer->last_error);
    buf_free(&answer->body);
    buf_free(&answer->grant);
    free(answer->entry);
    free(answer->given);
    free(answer->tickets);
    free(answer);
}

/* ---- changes ----------------------------------------------------------------------------------- */

/* One piece of text; its own block, so that no later one moves it. */
struct kept_text {
    struct kept_text *next;
    char bytes[];
};

struct write_message *write_new(enum change_type type, struct text connection)
{
    struct write_message *message = memory_new(sizeof *message);
    message->message.type = MESSAGE_WRITE;
    message->change.type = type;
    message->secret = buf_make(BLOB_MAX);
    message->grant = buf_make(BLOB_MAX);
    if (connection.len < sizeof message->connection && connection.data)
        memcpy(message->connection, connection.data, connection.len);
    message->change.connection = text_of(message->connection);
    message->change.move = MOVE_END;
    return message;
}

void write_free(struct write_message *message)
{
    if (!message)
        return;
    request_free(message->request);
    for (struct kept_text *kept = message->kept, *next; kept; kept = next) {
        next = kept->next;
        free(kept);
    }
    buf_free(&message->secret);
    buf_free(&message->grant);
    free(message->own);
    free(message);
}

struct text write_keep(struct write_message *message, struct text text)
{
    if (!text.data)
        return text;
    struct kept_text *kept = memory_new(sizeof *kept + text.len + 1);
    memcpy(kept->bytes, text.data, text.len);
    kept->next = message->kept;
    message->kept = kept;
    return (struct text){kept->bytes, text.len};
}

/* ---- events ------------------------------------------------------------------------------------ */

struct events_message *events_of_batch(const struct store_batch *batch)
{
    struct events_message *message = memory_new(sizeof *message);
    message->message.type = MESSAGE_EVENTS;
    message->bytes = buf_make(SIZE_MAX / 2);
    message->count = batch->event_count;
    message->events = memory_new(batch->event_count * sizeof *message->events + 1);
    for (size_t i = 0; i < batch->event_count; i++) {
        message->events[i] = batch->events[i];
        buf_append_text(&message->bytes, batch->events[i].topic);
        buf_append_text(&message->bytes, batch->events[i].body);
        message->last_seq = batch->events[i].seq;
    }
    const char *at = (const char *)message->bytes.data;
    for (size_t i = 0; i < message->count; i++) {
        message->events[i].topic.data = at;
        message->events[i].body.data = at + message->events[i].topic.len;
        at += message->events[i].topic.len + message->events[i].body.len;
    }
    return message;
}

void events_free(struct events_message *message)
{
    buf_free(&message->bytes);
    free(message->events);
    free(message);
}
