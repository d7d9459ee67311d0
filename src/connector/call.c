#include "connector/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/host.h"

enum {
    URL_MAX = 16384,
    BODY_MAX = 262144,
    HEADERS_MAX = 65536,
    VALUES_MAX = 1 << 20,
    URL_USUAL = 127, /* bytes that a request is begun with room for */
    HEADERS_USUAL = 511,
    BODY_USUAL = 511,
    VALUES_USUAL = 2047 /* and an outcome */
};

/* ---- named values -------------------------------------------------------------------------------- */

struct call_values call_values_make(void)
{
    return (struct call_values){.values = buf_make_secret(VALUES_MAX)};
}

void call_values_free(struct call_values *values)
{
    buf_free(&values->values);
    free(values->parts);
    values->parts = NULL;
    values->count = 0;
}

static struct text value_at(const struct buf *values, const struct call_part *part)
{
    if (part->len == 0)
        return TEXT_LITERAL("");
    return (struct text){(const char *)values->data + part->at, part->len};
}

bool call_values_set(struct call_values *values, const char *name, struct text value)
{
    struct call_part *to = NULL;
    for (size_t i = 0; i < values->count; i++) {
        if (strcmp(values->parts[i].name, name) == 0)
            to = &values->parts[i];
    }
    if (!to && (values->count == CALL_VALUES_MAX || strlen(name) >= sizeof to->name))
        return false;
    if (!to) {
        struct call_part *parts =
            reallocarray(values->parts, values->count + 1, sizeof *values->parts);
        if (!parts)
            return false;
        values->parts = parts;
        to = &parts[values->count++];
    }
    *to = (struct call_part){.at = values->values.len, .len = value.len};
    snprintf(to->name, sizeof to->name, "%s", name);
    buf_append_text(&values->values, value);
    return buf_error(&values->values) == 0;
}

struct text call_values_get(const struct call_values *values, const char *name)
{
    for (size_t i = 0; i < values->count; i++) {
        if (strcmp(values->parts[i].name, name) == 0)
            return value_at(&values->values, &values->parts[i]);
    }
    return (struct text){NULL, 0};
}

bool call_values_item(const struct call_values *values, size_t index, struct text *out_name,
                      struct text *out_value)
{
    if (index >= values->count)
        return false;
    *out_name = text_of(values->parts[index].name);
    *out_value = value_at(&values->values, &values->parts[index]);
    return true;
}

bool call_values_add(struct call_values *values, const struct call_outcome *outcome)
{
    bool is_ok = true;
    for (size_t i = 0; i < outcome->part_count; i++) {
        const struct call_part *part = &outcome->parts[i];
        if (part->part == BURSAR_OUT_CAPTURE)
            is_ok &= call_values_set(values, part->name, call_part_value(outcome, part));
    }
    return is_ok;
}

/* ---- outcomes ------------------------------------------------------------------------------------ */

static bool is_repeatable(enum bursar_emit part)
{
    return part == BURSAR_OUT_FIELD || part == BURSAR_OUT_CAPTURE || part == BURSAR_OUT_METADATA ||
           part == BURSAR_OUT_PROBLEM || part == BURSAR_OUT_SECOND;
}

static void emit_outcome(const struct bursar_call *call, enum bursar_emit part, const char *name,
                         const char *value, size_t value_len)
{
    struct host *host = call->host;
    struct call_outcome *outcome = host->outcome;
    struct call_part *to = NULL;
    if (part < BURSAR_OUT_ACCESS_TOKEN || (name && strlen(name) >= sizeof to->name)) {
        host->error = BURSAR_E_INTERNAL;
        return;
    }
    for (size_t i = 0; i < outcome->part_count; i++) {
        bool is_same_name = strcmp(outcome->parts[i].name, name ? name : "") == 0;
        if (outcome->parts[i].part == part && (!is_repeatable(part) || is_same_name))
            to = &outcome->parts[i];
    }
    if (!to && outcome->part_count == CALL_PARTS_MAX) {
        host->error = BURSAR_E_TOO_BIG;
        return;
    }
    if (!to)
        to = &outcome->parts[outcome->part_count++];
    to->part = part;
    to->at = outcome->values.len;
    to->len = value_len;
    memcpy(to->name, name ? name : "", name ? strlen(name) + 1 : 1);
    buf_append(&outcome->values, value, value_len);
}

struct text call_part_value(const struct call_outcome *outcome, const struct call_part *part)
{
    return value_at(&outcome->values, part);
}

static const struct call_part *part_of(const struct call_outcome *outcome, enum bursar_emit part)
{
    for (size_t i = 0; i < outcome->part_count; i++) {
        if (outcome->parts[i].part == part)
            return &outcome->parts[i];
    }
    return NULL;
}

struct text call_outcome_part(const struct call_outcome *outcome, enum bursar_emit part)
{
    const struct call_part *found = part_of(outcome, part);
    return found ? value_at(&outcome->values, found) : (struct text){NULL, 0};
}

const char *call_outcome_name(const struct call_outcome *outcome, enum bursar_emit part)
{
    const struct call_part *found = part_of(outcome, part);
    return found ? found->name : "";
}

/* Its parts are set as they come: there is room for many, and mostly six. */
void call_outcome_init(struct call_outcome *outcome)
{
    outcome->read = BURSAR_READ_MALFORMED;
    outcome->shape = REPLY_MALFORMED;
    outcome->values = buf_make_secret(VALUES_MAX);
    outcome->part_count = 0;
}

void call_outcome_free(struct call_outcome *outcome)
{
    buf_free(&outcome->values);
    outcome->part_count = 0;
}

/* ---- requests ------------------------------------------------------------------------------------ */

void call_request_free(struct call_request *request)
{
    buf_free(&request->url);
    buf_free(&request->headers);
    buf_free(&request->body);
    buf_free(&request->tls_certificate);
    buf_free(&request->tls_key);
    buf_free(&request->sigv4);
    buf_free(&request->sigv4_user);
}

static const struct bursar_exchange *exchange_of(const struct connector *connector,
                                                 enum bursar_purpose purpose)
{
    return &connector->module->exchanges[purpose];
}

bool call_can(const struct connector *connector, enum bursar_purpose purpose)
{
    return exchange_of(connector, purpose)->build != NULL;
}

int call_build(const struct call *about, struct call_request *out_request)
{
    const struct bursar_exchange *exchange = exchange_of(about->connector, about->purpose);
    if (!exchange->build)
        return BURSAR_E_UNSUPPORTED_OP;
    struct call_request request = {.url = buf_make_secret(URL_MAX),
                                   .headers = buf_make_secret(HEADERS_MAX),
                                   .body = buf_make_secret(BODY_MAX),
                                   .tls_certificate = buf_make(4096),
                                   .tls_key = buf_make(4096),
                                   .sigv4 = buf_make(256),
                                   .sigv4_user = buf_make_secret(4096)};
    struct host host;
    /* A usual one does not grow. Where there is no room the first append says so. */
    buf_make_room(&request.url, URL_USUAL);
    buf_make_room(&request.headers, HEADERS_USUAL);
    buf_make_room(&request.body, BODY_USUAL);
    host_init(&host, about);
    host.request = &request;
    host.json = buf_make_secret(BODY_MAX);
    host.fragment = buf_make(URL_MAX);
    struct bursar_call call = host_call(&host);
    int result = exchange->build(&call);
    if (result == 0)
        result = host.error != 0 ? host.error : host_finish_request(&host);
    if (host.is_secret_shut) /* whatever the module made of its absence */
        result = BURSAR_E_BAD_SEAL;
    host_fini(&host);
    if (result != 0) {
        call_request_free(&request);
        return result < 0 ? result : BURSAR_E_INTERNAL;
    }
    *out_request = request;
    return 0;
}

/* ---- replies ------------------------------------------------------------------------------------- */

static enum reply_shape shape_of(enum bursar_read read)
{
    switch (read) {
    case BURSAR_READ_OK: return REPLY_SECRET;
    case BURSAR_READ_ERROR: return REPLY_ERROR;
    default: return REPLY_MALFORMED;
    }
}

/* What a purpose has to give where the module says that all is well. */
static bool is_complete(enum bursar_purpose purpose, const struct call_outcome *outcome)
{
    switch (purpose) {
    case BURSAR_REFRESH:
    case BURSAR_EXCHANGE:
    case BURSAR_POLL: return call_outcome_part(outcome, BURSAR_OUT_ACCESS_TOKEN).len > 0;
    case BURSAR_DEVICE:
        return call_outcome_part(outcome, BURSAR_OUT_DEVICE_CODE).len > 0 &&
               call_outcome_part(outcome, BURSAR_OUT_USER_CODE).len > 0;
    case BURSAR_IDENTIFY: return call_outcome_part(outcome, BURSAR_OUT_ACCOUNT).len > 0;
    default: return true;
    }
}

int call_read(const struct call *about, const struct call_reply *reply,
              struct call_outcome *out_outcome)
{
    const struct bursar_exchange *exchange = exchange_of(about->connector, about->purpose);
    if (!exchange->read)
        return BURSAR_E_UNSUPPORTED_OP; /* the provider's kind was changed meanwhile */
    struct call_outcome outcome;
    struct host host;
    call_outcome_init(&outcome);
    buf_make_room(&outcome.values, reply->body.len < VALUES_USUAL ? reply->body.len : VALUES_USUAL);
    host_init(&host, about);
    host.outcome = &outcome;
    host.reply = reply;
    struct bursar_call call = host_call(&host);
    call.emit = emit_outcome;
    struct bursar_response response = host_response(&host);
    outcome.read = exchange->read(&call, &response);
    host_fini(&host);
    if (buf_error(&outcome.values) == BURSAR_E_NOMEM || host.is_secret_shut) {
        call_outcome_free(&outcome);
        return host.is_secret_shut ? BURSAR_E_BAD_SEAL : BURSAR_E_NOMEM;
    }
    bool is_sound = host.error == 0 && buf_error(&outcome.values) == 0 &&
                    outcome.read <= BURSAR_READ_PENDING &&
                    (outcome.read != BURSAR_READ_OK || is_complete(about->purpose, &outcome));
    if (!is_sound)
        outcome.read = BURSAR_READ_MALFORMED;
    out_outcome->read = outcome.read;
    out_outcome->shape = shape_of(outcome.read);
    out_outcome->values = outcome.values;
    out_outcome->part_count = outcome.part_count;
    memcpy(out_outcome->parts, outcome.parts, outcome.part_count * sizeof outcome.parts[0]);
    return 0;
}

/* A kind that makes its secrets begins with all of its settings: another one of them is another seed. */
static int seed_of_settings(const struct connector *connector, struct call_outcome *outcome)
{
    const struct settings *settings = connector->settings;
    const char *kind = connector->module->secret_kind ? connector->module->secret_kind : "oauth2";
    struct call_part *part = &outcome->parts[outcome->part_count++];
    *part = (struct call_part){.part = BURSAR_OUT_FIELD, .name = "kind", .len = strlen(kind)};
    buf_append_string(&outcome->values, kind);
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->values[i];
        buf_append_byte(&outcome->values, 0);
        buf_append_string(&outcome->values, setting_name(setting));
        buf_append_byte(&outcome->values, 0);
        buf_append_text(&outcome->values, settings_text(settings, setting_name(setting)));
        for (size_t j = 0; setting->items && j < setting->item_count; j++) {
            buf_append_byte(&outcome->values, 0);
            buf_append_text(&outcome->values, text_of(setting->items[j].name));
            buf_append_byte(&outcome->values, 0);
            buf_append_string(&outcome->values, setting->items[j].value);
        }
    }
    return 0;
}

static int seed_of_module(const struct bursar_connector *module, const struct bursar_call *call)
{
    return module->seed ? module->seed(call) : BURSAR_E_CONFIG;
}

int call_seed(const struct connector *connector, int64_t now, struct call_outcome *out_outcome)
{
    const struct call about = {.connector = connector, .now = now};
    struct call_outcome outcome = {.values = buf_make_secret(VALUES_MAX)};
    struct host host;
    host_init(&host, &about);
    host.outcome = &outcome;
    struct bursar_call call = host_call(&host);
    call.emit = emit_outcome;
    bool is_made = !connector->module->seed && connector->mints;
    int result =
        is_made ? seed_of_settings(connector, &outcome) : seed_of_module(connector->module, &call);
    if (result == 0)
        result = host.error != 0 ? host.error : buf_error(&outcome.values);
    host_fini(&host);
    if (result < 0) {
        call_outcome_free(&outcome);
        return result;
    }
    *out_outcome = outcome;
    return 0;
}

int call_expand(const struct call *call, struct text text, bool is_url, struct buf *out)
{
    struct host host;
    host_init(&host, call);
    int result = host_expand(&host, text, is_url, out);
    host_fini(&host);
    return result;
}

void call_check(const struct bursar_connector *module, const struct settings *settings,
                struct buf *out)
{
    const struct connector connector = {.module = module, .settings = settings};
    const struct call about = {.connector = &connector};
    struct call_outcome outcome = {.values = buf_make_secret(VALUES_MAX)};
    struct host host;
    host_init(&host, &about);
    host.outcome = &outcome;
    struct bursar_call call = host_call(&host);
    call.emit = emit_outcome;
    if (module->check)
        module->check(&call);
    host_fini(&host);
    for (size_t i = 0; i < outcome.part_count; i++) {
        const struct call_part *part = &outcome.parts[i];
        if (part->part != BURSAR_OUT_PROBLEM)
            continue;
        buf_append_string(out, part->name);
        buf_append_string(out, ": ");
        buf_append_text(out, call_part_value(&outcome, part));
        buf_append_byte(out, 0);
    }
    call_outcome_free(&outcome);
}
