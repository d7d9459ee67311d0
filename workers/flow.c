/* flow: a login of several requests, each of which may capture what the next ones send. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "oauth2.h"
#include "validate.h"

static const struct bursar_option step_columns[] = {
    {"method", BURSAR_OPTION_CHOICE, .choices = "GET|POST|PUT|PATCH|DELETE",
     .help = "of the request; absent: POST with a body, else GET"},
    {"url", BURSAR_OPTION_TEMPLATE, .required = true, .help = "where it goes"},
    {"headers", BURSAR_OPTION_MAP, .help = "of the request, with {placeholders}"},
    {"query", BURSAR_OPTION_MAP, .help = "parameters in the URL, with {placeholders}"},
    {"body", BURSAR_OPTION_MAP, .help = "parameters in the body, with {placeholders}"},
    {"body_format", BURSAR_OPTION_CHOICE, .choices = "form|json|text", .default_text = "form",
     .help = "what the body is made of"},
    {"body_text", BURSAR_OPTION_STRING, .help = "the body as it is, with {placeholders}"},
    {"capture", BURSAR_OPTION_PATHS, .help = "names to paths in the reply"},
    {"capture_headers", BURSAR_OPTION_MAP, .help = "names to headers of the reply"},
    {"capture_cookies", BURSAR_OPTION_MAP, .help = "names to cookies that the reply sets"},
    {"hmac_name", BURSAR_OPTION_STRING, .default_text = "hmac",
     .help = "the placeholder that the signature is used by"},
    {"hmac_key", BURSAR_OPTION_STRING, .help = "key of the signature, with {placeholders}"},
    {"hmac_data", BURSAR_OPTION_STRING, .help = "what is signed, with {placeholders}"},
    {"hmac_hash", BURSAR_OPTION_CHOICE, .choices = "sha1|sha256|sha512", .default_text = "sha256",
     .help = "hash of the signature"},
    {"hmac_encoding", BURSAR_OPTION_CHOICE, .choices = "hex|base64|base64url",
     .default_text = "hex", .help = "how the signature is written"},
    {0},
};

static const struct bursar_option options[] = {
    OAUTH2_MINT_ROTATION,
    OAUTH2_REPLY_OPTIONS,
    OAUTH2_REVOKE_OPTIONS,
    {"steps", BURSAR_OPTION_ROWS, .required = true, .columns = step_columns,
     .help = "the requests, one after the other"},
    {"access_token_from", BURSAR_OPTION_STRING,
     .help = "the capture that is the token; absent: access_token_path of the last reply"},
    {"keep", BURSAR_OPTION_LIST, .help = "captures that become fields of the secret"},
    {"user_agent", BURSAR_OPTION_STRING, .help = "User-Agent of requests to this provider"},
    {"client_id", BURSAR_OPTION_STRING, .help = "for placeholders"},
    {"client_secret", BURSAR_OPTION_SECRET, .help = "for placeholders"},
    {0},
};

static const struct bursar_field form[] = {
    {"username", "User name", "text", true, "of the account"},
    {"password", "Password", "password", true, "of the account"},
    {0},
};

enum { STEPS_MAX = 8, NAME_SIZE = 64 };

/* ---- a step --------------------------------------------------------------------------------------- */

static const char *column(const struct bursar_call *call, const char *name, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "steps.%u.%s", call->step, name);
    return out;
}

static struct bursar_text cell(const struct bursar_call *call, const char *name)
{
    char key[NAME_SIZE];
    return call->setting(call, column(call, name, key));
}

static bool item(const struct bursar_call *call, const char *name, size_t index,
                 struct bursar_text *out_name, struct bursar_text *out_value)
{
    char key[NAME_SIZE];
    return call->setting_item(call, column(call, name, key), index, out_name, out_value);
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* {now} and {now_ms}: what signatures are made over. */
static void set_times(const struct bursar_call *call)
{
    char number[32];
    int len = snprintf(number, sizeof number, "%" PRId64, call->now);
    call->emit(call, BURSAR_OUT_CAPTURE, "now", number, (size_t)len);
    len = snprintf(number, sizeof number, "%" PRId64 "000", call->now);
    call->emit(call, BURSAR_OUT_CAPTURE, "now_ms", number, (size_t)len);
}

static enum bursar_hash hash_of(struct bursar_text name)
{
    return oauth2_is(name, "sha1")     ? BURSAR_SHA1
           : oauth2_is(name, "sha512") ? BURSAR_SHA512
                                       : BURSAR_SHA256;
}

static enum bursar_encoding encoding_of(struct bursar_text name)
{
    return oauth2_is(name, "base64")      ? BURSAR_BASE64
           : oauth2_is(name, "base64url") ? BURSAR_BASE64URL
                                          : BURSAR_HEX;
}

/* The signature, as a value that placeholders of this request can name. */
static int set_hmac(const struct bursar_call *call)
{
    struct bursar_text key = cell(call, "hmac_key"), data = cell(call, "hmac_data");
    if (!key.data)
        return 0;
    key = call->expand(call, key, false);
    data = call->expand(call, data, false);
    if (!key.data || !data.data)
        return BURSAR_E_CONFIG;
    struct bursar_text digest = call->hmac(call, hash_of(cell(call, "hmac_hash")), key, data);
    oauth2_emit(call, BURSAR_OUT_CAPTURE, oauth2_string(call, cell(call, "hmac_name")),
                call->encode(call, encoding_of(cell(call, "hmac_encoding")), digest));
    return 0;
}

static int emit_map(const struct bursar_call *call, const char *map, enum bursar_emit part)
{
    struct bursar_text name, value;
    for (size_t i = 0; item(call, map, i, &name, &value); i++) {
        value = call->expand(call, value, false);
        if (!value.data)
            return BURSAR_E_CONFIG;
        oauth2_emit(call, part, oauth2_string(call, name), value);
    }
    return 0;
}

static int emit_body_text(const struct bursar_call *call, struct bursar_text body)
{
    char key[NAME_SIZE];
    struct bursar_text format = cell(call, "body_format");
    return oauth2_body(call, column(call, "headers", key), body,
                       oauth2_is(format, "json")   ? "application/json"
                       : oauth2_is(format, "text") ? "text/plain; charset=utf-8"
                                                   : "application/x-www-form-urlencoded");
}

static int build(const struct bursar_call *call)
{
    char key[NAME_SIZE];
    bool is_json = oauth2_is(cell(call, "body_format"), "json");
    struct bursar_text body = cell(call, "body_text");
    set_times(call);
    int result = set_hmac(call);
    struct bursar_text url = call->expand(call, cell(call, "url"), true);
    if (result < 0 || !url.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_URL, NULL, url);
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, cell(call, "method"));
    result = emit_map(call, "query", BURSAR_REQ_QUERY);
    if (result == 0)
        result = oauth2_headers(call, column(call, "headers", key));
    if (result == 0 && body.data)
        result = emit_body_text(call, body);
    else if (result == 0)
        result = emit_map(call, "body", is_json ? BURSAR_REQ_JSON : BURSAR_REQ_FORM);
    return result;
}

/* ---- replies -------------------------------------------------------------------------------------- */

/* Captures of the step, for the steps behind it; false where one is not there. */
static bool capture(const struct bursar_call *call, const struct bursar_response *response)
{
    struct bursar_text name, from, value;
    for (size_t i = 0; item(call, "capture", i, &name, &from); i++) {
        struct bursar_value found = response->find(response, from);
        if (!oauth2_is_scalar(&found))
            return false;
        oauth2_emit(call, BURSAR_OUT_CAPTURE, oauth2_string(call, name), found.text);
    }
    for (size_t i = 0; item(call, "capture_headers", i, &name, &from); i++) {
        value = response->header(response, oauth2_string(call, from));
        if (!value.data)
            return false;
        oauth2_emit(call, BURSAR_OUT_CAPTURE, oauth2_string(call, name), value);
    }
    for (size_t i = 0; item(call, "capture_cookies", i, &name, &from); i++) {
        value = response->cookie(response, oauth2_string(call, from));
        if (!value.data)
            return false;
        oauth2_emit(call, BURSAR_OUT_CAPTURE, oauth2_string(call, name), value);
    }
    return true;
}

/* What a name stands for once the last reply is there: of that reply, or of an earlier one. */
static struct bursar_text captured(const struct bursar_call *call,
                                   const struct bursar_response *response,
                                   struct bursar_text wanted)
{
    struct bursar_text name, from, value;
    const char *key = oauth2_string(call, wanted);
    for (size_t i = 0; item(call, "capture", i, &name, &from); i++) {
        value = response->find(response, from).text;
        if (key && oauth2_is(name, key) && value.data)
            return value;
    }
    for (size_t i = 0; item(call, "capture_headers", i, &name, &from); i++) {
        value = response->header(response, oauth2_string(call, from));
        if (key && oauth2_is(name, key) && value.data)
            return value;
    }
    for (size_t i = 0; item(call, "capture_cookies", i, &name, &from); i++) {
        value = response->cookie(response, oauth2_string(call, from));
        if (key && oauth2_is(name, key) && value.data)
            return value;
    }
    return key ? call->captured(call, key) : (struct bursar_text){NULL, 0};
}

static void keep_fields(const struct bursar_call *call, const struct bursar_response *response)
{
    struct bursar_text none, name;
    for (size_t i = 0; call->setting_item(call, "keep", i, &none, &name); i++)
        oauth2_emit(call, BURSAR_OUT_FIELD, oauth2_string(call, name),
                    captured(call, response, name));
}

/* The last reply where the token is a capture: the rest of it is read as usual. */
static enum bursar_read read_captured(const struct bursar_call *call,
                                      const struct bursar_response *response,
                                      struct bursar_text from)
{
    struct bursar_text token = captured(call, response, from);
    if (token.len == 0)
        return BURSAR_READ_MALFORMED;
    oauth2_emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, token);
    oauth2_emit(call, BURSAR_OUT_EXPIRES, NULL, oauth2_scalar(call, response, "expires_path"));
    return BURSAR_READ_OK;
}

static enum bursar_read read_last(const struct bursar_call *call,
                                  const struct bursar_response *response)
{
    struct bursar_text from = call->setting(call, "access_token_from");
    enum bursar_read read =
        from.data ? read_captured(call, response, from) : oauth2_read_token(call, response);
    if (read == BURSAR_READ_OK)
        keep_fields(call, response);
    return read;
}

static enum bursar_read read_step(const struct bursar_call *call,
                                  const struct bursar_response *response)
{
    bool is_last = call->step + 1 >= call->setting_rows(call, "steps");
    if (response->status >= 400) {
        if (!oauth2_read_error(call, response))
            return BURSAR_READ_MALFORMED;
        return BURSAR_READ_ERROR;
    }
    if (is_last)
        return read_last(call, response);
    if (capture(call, response))
        return BURSAR_READ_NEXT;
    return oauth2_read_error(call, response) ? BURSAR_READ_ERROR : BURSAR_READ_MALFORMED;
}

static void check(const struct bursar_call *call)
{
    static const char none[] = "needs at least one step", many[] = "has more than 8 steps";
    static const char half[] = "needs hmac_data beside it", both[] = "stands beside body";
    size_t count = call->setting_rows(call, "steps");
    if (count == 0)
        call->emit(call, BURSAR_OUT_PROBLEM, "steps", none, sizeof none - 1);
    if (count > STEPS_MAX)
        call->emit(call, BURSAR_OUT_PROBLEM, "steps", many, sizeof many - 1);
    for (size_t i = 0; i < count && i < STEPS_MAX; i++) {
        struct bursar_call step = *call;
        struct bursar_text name, value;
        char key[NAME_SIZE];
        step.step = (unsigned)i;
        if (cell(&step, "hmac_key").data && !cell(&step, "hmac_data").data)
            call->emit(call, BURSAR_OUT_PROBLEM, column(&step, "hmac_key", key), half,
                       sizeof half - 1);
        if (cell(&step, "body_text").data && item(&step, "body", 0, &name, &value))
            call->emit(call, BURSAR_OUT_PROBLEM, column(&step, "body_text", key), both,
                       sizeof both - 1);
    }
}

const struct bursar_connector bursar_connector_flow = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "flow",
    .summary = "a login of several requests",
    .flags = BURSAR_CONNECTOR_MINTS,
    .secret_kind = "oauth2",
    .options = options,
    .form = form,
    .check = check,
    .exchanges = {[BURSAR_REFRESH] = {build, read_step},
                  [BURSAR_REVOKE] = {oauth2_build_revoke, NULL},
                  [BURSAR_VALIDATE] = {validate_build, validate_read}},
};
