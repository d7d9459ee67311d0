#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/worker_consent.h"
#include "broker/worker_validate.h"
#include "connector/form.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum { PLAIN_MAX = 1 << 18, ERROR_MAX = 2048, METADATA_VALUE_MAX = 1024 };

struct validation {
    struct worker *worker;
    struct request *request;
};

/* ---- what the provider said ----------------------------------------------------------------------- */

enum validity worker_validity(const struct exchange_result *end)
{
    if (end->error < 0)
        return VALIDITY_UNKNOWN;
    if (end->outcome && end->outcome->read == BURSAR_READ_OK)
        return VALIDITY_GOOD;
    if (end->outcome && end->outcome->read == BURSAR_READ_ERROR)
        return VALIDITY_BAD;
    if (end->status == 429)
        return VALIDITY_LIMITED;
    if (end->outcome) /* the kind has read it, and cannot say */
        return VALIDITY_UNKNOWN;
    if (end->status >= 200 && end->status < 300)
        return VALIDITY_GOOD;
    return end->status == 401 || end->status == 403 ? VALIDITY_BAD : VALIDITY_UNKNOWN;
}

/* What a provider sends may be shown to people as it is: nothing that steers a terminal. */
static struct text showable(const struct exchange_result *end, enum bursar_emit part)
{
    struct text text = {NULL, 0};
    if (end->outcome)
        text = call_outcome_part(end->outcome, part);
    return text.len > 0 && text.len <= METADATA_VALUE_MAX && text_is_printable(text)
               ? text
               : (struct text){NULL, 0};
}

static struct text message_of(const struct exchange_result *end, enum validity validity)
{
    struct text said = showable(end, BURSAR_OUT_ERROR_TEXT);
    if (said.data)
        return said;
    if (validity == VALIDITY_LIMITED)
        return TEXT_LITERAL("valid, but limited now");
    if (validity == VALIDITY_BAD)
        return end->text ? text_of(end->text) : TEXT_LITERAL("the provider refuses it");
    return (struct text){NULL, 0};
}

static void pack_metadata(struct pack *map, const struct call_outcome *outcome)
{
    bool has_any = false;
    for (size_t i = 0; i < outcome->part_count; i++)
        has_any = has_any || outcome->parts[i].part == BURSAR_OUT_METADATA;
    if (!has_any)
        return;
    struct pack metadata = pack_map_in(map, "provider_metadata");
    for (size_t i = 0; i < outcome->part_count; i++) {
        struct text value = call_part_value(outcome, &outcome->parts[i]);
        if (outcome->parts[i].part == BURSAR_OUT_METADATA && value.len <= METADATA_VALUE_MAX &&
            text_is_printable(value))
            pack_text(&metadata, outcome->parts[i].name, value);
    }
    pack_close(&metadata);
}

static void answer(struct validation *validation, const struct exchange_result *end,
                   enum validity validity)
{
    struct answer *answer = answer_new(validation->request->ticket);
    struct pack map = pack_map(&answer->body);
    struct text message = message_of(end, validity);
    struct text username = showable(end, BURSAR_OUT_USERNAME);
    if (!username.data)
        username = showable(end, BURSAR_OUT_ACCOUNT);
    pack_bool(&map, "valid", validity != VALIDITY_BAD);
    if (message.data)
        pack_text(&map, "message", message);
    if (username.data)
        pack_text(&map, "provider_username", username);
    if (end->outcome && validity != VALIDITY_BAD)
        pack_metadata(&map, end->outcome);
    pack_close(&map);
    if (buf_error(&answer->body) != 0)
        answer->error = BURSAR_E_INTERNAL;
    dispatcher_send(validation->worker->broker->dispatcher, answer);
    request_free(validation->request);
}

static void refuse(struct validation *validation, const struct exchange_result *end)
{
    struct buf text = buf_make(ERROR_MAX);
    int error = BURSAR_E_PROVIDER_UNAVAILABLE;
    if (end->error == BURSAR_E_UNSUPPORTED_OP || end->error == BURSAR_E_INTERNAL ||
        end->error == BURSAR_E_NOMEM) {
        error = end->error == BURSAR_E_NOMEM ? BURSAR_E_INTERNAL : end->error;
        buf_append_string(&text, error == BURSAR_E_UNSUPPORTED_OP
                                     ? "this provider has no way to check a secret"
                                     : "the request could not be made");
    } else if (end->error == BURSAR_E_CONFIG) {
        error = BURSAR_E_BAD_REQUEST;
        buf_append_string(&text, "a field or metadata lacks what this provider's URL needs");
    } else {
        buf_printf(&text, "could not be checked: %s", end->text ? end->text : "no reply");
    }
    worker_refuse(validation->worker, validation->request, error, (const char *)text.data);
    buf_free(&text);
}

static void validated(void *context, const struct exchange_result *end)
{
    struct validation *validation = context;
    enum validity validity = worker_validity(end);
    if (validity == VALIDITY_UNKNOWN)
        refuse(validation, end);
    else
        answer(validation, end, validity);
    free(validation);
}

/* ---- what is asked -------------------------------------------------------------------------------- */

/* The secret that a put of these fields would store, as the two maps that are sealed. 0, or the
 * refusal with its words. */
static int read_fields(struct worker *self, const struct job *job, struct doc_put *out_doc,
                       struct buf *error)
{
    struct form form;
    struct form_values values;
    struct buf packed = buf_make_secret(PLAIN_MAX);
    form_of(self->connector, &form);
    if (form.count == 0) {
        buf_append_string(error, "nobody fills in a form for this provider");
        return BURSAR_E_UNSUPPORTED_OP;
    }
    int result = form_take(&form, job->fields, &values, error);
    if (result == 0)
        result = form_accept(&form, &values, error);
    if (result == 0) {
        form_pack(&form, &values, &packed);
        result = buf_error(&packed) == 0 ? tree_fill(self->made_tree, buf_text(&packed))
                                         : BURSAR_E_BAD_REQUEST;
    }
    if (result == 0)
        result = doc_read_put(tree_root(self->made_tree), out_doc, error);
    buf_free(&packed);
    return result;
}

static void start(struct worker *self, struct request *request, const struct doc_put *doc)
{
    struct validation *validation = memory_new(sizeof *validation);
    struct exchange *exchange = exchange_new(self, BURSAR_VALIDATE);
    struct buf metadata = buf_make(PLAIN_MAX);
    *validation = (struct validation){self, request};
    if (request->job.metadata)
        node_pack(request->job.metadata, &metadata);
    exchange_set_secret(exchange, buf_text(&doc->secret), buf_text(&doc->grant),
                        buf_text(&metadata));
    buf_free(&metadata);
    exchange_start(exchange, validated, validation);
}

void worker_validate(struct worker *self, struct request *request)
{
    struct doc_put doc = {.secret = {0}};
    struct buf error = buf_make(ERROR_MAX);
    int result = BURSAR_E_UNSUPPORTED_OP;
    if (self->connector && call_can(self->connector, BURSAR_VALIDATE))
        result = read_fields(self, &request->job, &doc, &error);
    else
        buf_append_string(&error, "this provider has no way to check a secret");
    if (result == 0)
        start(self, request, &doc);
    else
        worker_refuse(self, request, result, error.len > 0 ? (const char *)error.data : NULL);
    doc_put_free(&doc);
    buf_free(&error);
}
