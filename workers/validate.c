#include "validate.h"

#include <string.h>

#include "apply.h"
#include "json.h"
#include "oauth2.h"

/* ---- the request ---------------------------------------------------------------------------------- */

static int emit_body(const struct bursar_call *call, struct bursar_text body)
{
    bool is_json = body.len > 0 && body.data[0] == '{';
    return oauth2_body(call, "validate.headers", body,
                       is_json ? "application/json" : "application/x-www-form-urlencoded");
}

int validate_build(const struct bursar_call *call)
{
    struct bursar_text url = call->setting(call, "validate.url");
    struct bursar_text body = call->setting(call, "validate.body");
    if (!url.data)
        return call->setting(call, "identity_url").data ? oauth2_build_identify(call)
                                                        : BURSAR_E_UNSUPPORTED_OP;
    int result = apply_path(call);
    url = call->expand(call, url, true);
    if (result < 0 || !url.data)
        return BURSAR_E_CONFIG;
    oauth2_emit(call, BURSAR_REQ_URL, NULL, url);
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, call->setting(call, "validate.method"));
    result = oauth2_headers(call, "validate.headers");
    if (result == 0 && body.data)
        result = emit_body(call, body);
    return result < 0 ? result : apply_secret(call, body.data ? BURSAR_REQ_BODY : BURSAR_REQ_FORM);
}

/* ---- the reply ------------------------------------------------------------------------------------ */

struct facts {
    int status;
    struct bursar_text error, subcode;
};

/* A code as a word has it; `*` at its end stands for anything more. */
static bool is_code(struct bursar_text word, struct bursar_text code)
{
    bool is_prefix = word.len > 0 && word.data[word.len - 1] == '*';
    size_t len = is_prefix ? word.len - 1 : word.len;
    return code.data && (is_prefix ? code.len >= len : code.len == len) &&
           memcmp(word.data, code.data, len) == 0;
}

/* `code`, `code/subcode` or `/subcode`. */
static bool is_error(struct bursar_text word, const struct facts *facts)
{
    const char *slash = memchr(word.data, '/', word.len);
    if (is_code(word, facts->error))
        return true;
    if (!slash)
        return false;
    size_t len = (size_t)(slash - word.data);
    return is_code((struct bursar_text){slash + 1, word.len - len - 1}, facts->subcode) &&
           (len == 0 || is_code((struct bursar_text){word.data, len}, facts->error));
}

/* The same behind `HTTP 403 `, or a status alone. */
static bool is_word(struct bursar_text word, const struct facts *facts)
{
    int status = 0;
    if (word.len < 8 || memcmp(word.data, "HTTP ", 5) != 0)
        return is_error(word, facts);
    for (size_t i = 5; i < 8; i++)
        status = status * 10 + (word.data[i] - '0');
    return status == facts->status &&
           (word.len <= 9 || is_error((struct bursar_text){word.data + 9, word.len - 9}, facts));
}

static bool is_listed(const struct bursar_call *call, const char *setting,
                      const struct facts *facts)
{
    struct bursar_text name, word;
    for (size_t i = 0; call->setting_item(call, setting, i, &name, &word); i++) {
        if (is_word(word, facts))
            return true;
    }
    return false;
}

static bool has_words(const struct bursar_call *call, const char *setting)
{
    struct bursar_text name, word;
    return call->setting_item(call, setting, 0, &name, &word);
}

static enum bursar_read judge(const struct bursar_call *call,
                              const struct bursar_response *response, const struct facts *facts)
{
    bool is_told, is_good = true;
    bool is_2xx = facts->status >= 200 && facts->status < 300;
    if (!call->setting(call, "token_url").data) /* else `success` speaks of token replies */
        is_good = oauth2_is_success(call, response, &is_told);
    if (is_listed(call, "validate.valid", facts))
        return BURSAR_READ_OK;
    if (is_listed(call, "validate.invalid", facts))
        return BURSAR_READ_ERROR;
    if (facts->status == 429 || is_listed(call, "throttle_errors", facts)) {
        oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL, oauth2_text("valid, but limited now"));
        return BURSAR_READ_OK;
    }
    if (is_2xx && is_good)
        return BURSAR_READ_OK;
    /* A reply that only says that it failed means the key, unless the entry names what would. */
    if (is_2xx || facts->status == 403)
        return has_words(call, "validate.invalid") ? BURSAR_READ_MALFORMED : BURSAR_READ_ERROR;
    return facts->status == 401 ? BURSAR_READ_ERROR : BURSAR_READ_MALFORMED;
}

enum bursar_read validate_read(const struct bursar_call *call,
                               const struct bursar_response *response)
{
    const struct facts facts = {response->status, oauth2_error(call, response),
                                oauth2_scalar(call, response, "error_subcode_path")};
    enum bursar_read read = judge(call, response, &facts);
    if (read == BURSAR_READ_ERROR) {
        oauth2_emit(call, BURSAR_OUT_ERROR, NULL,
                    facts.error.data ? facts.error : oauth2_text("invalid"));
        oauth2_emit(call, BURSAR_OUT_ERROR_SUBCODE, NULL, facts.subcode);
        oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL,
                    oauth2_scalar(call, response, "error_text_path"));
    }
    if (read != BURSAR_READ_OK)
        return read;
    oauth2_emit(call, BURSAR_OUT_USERNAME, NULL,
                oauth2_scalar(call, response, "validate.username_path"));
    if (!call->setting(call, "validate.url").data)
        oauth2_emit(call, BURSAR_OUT_ACCOUNT, NULL, oauth2_scalar(call, response, "identity_path"));
    oauth2_read_metadata(call, response, "validate.metadata");
    return read;
}
