/* The replies of OAuth 2.0, as an entry's data reads them. */
#include <stdio.h>
#include <string.h>

#include "oauth2.h"

enum { SCOPES_MAX = 4096, SCOPE_ITEMS_MAX = 256 };

static const struct bursar_text absent = {NULL, 0};

struct bursar_value oauth2_find(const struct bursar_call *call,
                                const struct bursar_response *response, const char *path)
{
    struct bursar_text text = call->setting(call, path);
    return text.data ? response->find(response, text)
                     : (struct bursar_value){.type = BURSAR_VALUE_ABSENT};
}

bool oauth2_is_scalar(const struct bursar_value *value)
{
    return (value->type == BURSAR_VALUE_TEXT || value->type == BURSAR_VALUE_NUMBER) &&
           value->text.len > 0;
}

struct bursar_text oauth2_scalar(const struct bursar_call *call,
                                 const struct bursar_response *response, const char *path)
{
    struct bursar_value value = oauth2_find(call, response, path);
    return oauth2_is_scalar(&value) ? value.text : absent;
}

/* Whether what the entry says of a good reply is true of this one; true where it says nothing. */
bool oauth2_is_success(const struct bursar_call *call, const struct bursar_response *response,
                       bool *out_is_told)
{
    struct bursar_text name, predicate;
    size_t i = 0;
    bool is_true = true;
    for (; call->setting_item(call, "success", i, &name, &predicate); i++)
        is_true = is_true && response->holds(response, predicate);
    *out_is_told = i > 0;
    return is_true;
}

/* The error's code: a text or number, or the code of an object; `false`, 0 and "" are none. */
struct bursar_text oauth2_error(const struct bursar_call *call,
                                const struct bursar_response *response)
{
    struct bursar_value value = oauth2_find(call, response, "error_path");
    if (value.type == BURSAR_VALUE_TRUE)
        return oauth2_text("true");
    if (value.type == BURSAR_VALUE_MAP) {
        const struct bursar_text inner[] = {call->setting(call, "error_path"),
                                            oauth2_text(".code")};
        bool is_single = !memchr(inner[0].data, '|', inner[0].len);
        struct bursar_value code = {.type = BURSAR_VALUE_ABSENT};
        if (is_single)
            code = response->find(response, call->join(call, inner, 2));
        return oauth2_is_scalar(&code) ? code.text : oauth2_text("error");
    }
    return oauth2_is_scalar(&value) && !oauth2_is(value.text, "0") ? value.text : absent;
}

bool oauth2_read_error(const struct bursar_call *call, const struct bursar_response *response)
{
    struct bursar_text error = oauth2_error(call, response);
    if (!error.data)
        return false;
    oauth2_emit(call, BURSAR_OUT_ERROR, NULL, error);
    oauth2_emit(call, BURSAR_OUT_ERROR_SUBCODE, NULL,
                oauth2_scalar(call, response, "error_subcode_path"));
    oauth2_emit(call, BURSAR_OUT_ERROR_TEXT, NULL,
                oauth2_scalar(call, response, "error_text_path"));
    return true;
}

/* ---- tokens --------------------------------------------------------------------------------------- */

/* Where a member of a reply stands: a later step may have a path of its own, "exchange.…". */
static struct bursar_text path_of(const struct bursar_call *call, const char *name)
{
    char own[96];
    struct bursar_text path = absent;
    if (call->step > 0) {
        snprintf(own, sizeof own, "exchange.%s", name);
        path = call->setting(call, own);
    }
    return path.data ? path : call->setting(call, name);
}

/* A member of the reply, or else what an earlier step had there under `captured`. */
static struct bursar_text member(const struct bursar_call *call,
                                 const struct bursar_response *response, const char *path,
                                 const char *captured)
{
    struct bursar_text text = path_of(call, path);
    struct bursar_value value = {.type = BURSAR_VALUE_ABSENT};
    if (text.data)
        value = response->find(response, text);
    if (oauth2_is_scalar(&value))
        return value.text;
    return captured ? call->captured(call, captured) : absent;
}

/* to has room for SCOPES_MAX bytes or, of a list's item, for as many as are left. */
static size_t with_spaces(struct bursar_text scopes, char *to)
{
    if (!scopes.data || scopes.len > SCOPES_MAX)
        return 0;
    for (size_t i = 0; i < scopes.len; i++)
        to[i] = scopes.data[i] == ',' ? ' ' : scopes.data[i];
    return scopes.len;
}

/* RFC 6749 section 3.3 says one text with spaces; some send commas, some a list. */
static size_t join_scopes(const struct bursar_response *response, struct bursar_text path,
                          char joined[static SCOPES_MAX])
{
    size_t len = 0;
    struct bursar_value value = {.type = BURSAR_VALUE_ABSENT};
    if (path.data)
        value = response->find(response, path);
    size_t count = value.type == BURSAR_VALUE_LIST ? value.count : 0;
    if (value.type == BURSAR_VALUE_TEXT)
        return with_spaces(value.text, joined);
    for (size_t i = 0; i < count && i < SCOPE_ITEMS_MAX; i++) {
        struct bursar_value item = response->find_item(response, path, i);
        if (!oauth2_is_scalar(&item) || len + item.text.len + 1 > SCOPES_MAX)
            return 0;
        if (len > 0)
            joined[len++] = ' ';
        len += with_spaces(item.text, joined + len);
    }
    return len;
}

/* What a person has left of the scopes, where the callback is what says it. */
static size_t callback_scopes(const struct bursar_call *call, char joined[static SCOPES_MAX])
{
    const char *parameter = oauth2_string(call, call->setting(call, "callback_scope"));
    if (call->purpose != BURSAR_EXCHANGE || call->step > 0 || !parameter)
        return 0;
    return with_spaces(call->input(call, parameter), joined);
}

static void read_scopes(const struct bursar_call *call, const struct bursar_response *response,
                        enum bursar_emit part, const char *name)
{
    char joined[SCOPES_MAX];
    size_t len = join_scopes(response, path_of(call, "scope_path"), joined);
    if (len == 0)
        len = callback_scopes(call, joined);
    if (len > 0)
        call->emit(call, part, name, joined, len);
    else if (part == BURSAR_OUT_SCOPES)
        oauth2_emit(call, part, NULL, call->captured(call, "scope"));
}

/* As fields of the secret, or for the next step. */
static void read_captures(const struct bursar_call *call, const struct bursar_response *response,
                          enum bursar_emit part)
{
    struct bursar_text name, path;
    for (size_t i = 0; call->setting_item(call, "captures", i, &name, &path); i++) {
        const char *key = oauth2_string(call, name);
        struct bursar_value value = response->find(response, path);
        if (key)
            oauth2_emit(call, part, key,
                        oauth2_is_scalar(&value) ? value.text : call->captured(call, key));
    }
}

/* What came back to the redirect URI beside the code, as the entry names it. */
static void read_callback(const struct bursar_call *call)
{
    struct bursar_text name, parameter;
    if (call->purpose != BURSAR_EXCHANGE)
        return;
    for (size_t i = 0; call->setting_item(call, "callback_captures", i, &name, &parameter); i++) {
        const char *key = oauth2_string(call, parameter);
        if (key)
            oauth2_emit(call, BURSAR_OUT_FIELD, oauth2_string(call, name), call->input(call, key));
    }
}

/* Whose the second grant is: what its paths find, with a slash between. Absent where one finds
 * nothing. */
static struct bursar_text second_account(const struct bursar_call *call,
                                         const struct bursar_response *response)
{
    struct bursar_text account = absent, name, path;
    for (size_t i = 0; call->setting_item(call, "second_grant.account", i, &name, &path); i++) {
        struct bursar_value value = response->find(response, path);
        if (!oauth2_is_scalar(&value))
            return absent;
        const struct bursar_text parts[] = {account, {"/", 1}, value.text};
        account = i == 0 ? value.text : call->join(call, parts, 3);
    }
    return account;
}

/* A grant beside the first in the reply to a code, with an end and a refresh of its own. Where the first
 * is missing its paths may have found the second: then there is one alone. */
static void read_second(const struct bursar_call *call, const struct bursar_response *response,
                        struct bursar_text first)
{
    static const char *const parts[][2] = {{"refresh_token", "second_grant.refresh_token_path"},
                                           {"token_type", "second_grant.token_type_path"},
                                           {"expires", "second_grant.expires_path"}};
    char joined[SCOPES_MAX];
    struct bursar_text token = oauth2_scalar(call, response, "second_grant.access_token_path");
    struct bursar_text account = second_account(call, response);
    bool is_first = token.len == first.len && token.data && first.data &&
                    memcmp(token.data, first.data, token.len) == 0;
    if (call->purpose != BURSAR_EXCHANGE || !token.data || !account.data || is_first)
        return;
    oauth2_emit(call, BURSAR_OUT_SECOND, "access_token", token);
    oauth2_emit(call, BURSAR_OUT_SECOND, "account", account);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        oauth2_emit(call, BURSAR_OUT_SECOND, parts[i][0],
                    oauth2_scalar(call, response, parts[i][1]));
    size_t len = join_scopes(response, call->setting(call, "second_grant.scope_path"), joined);
    if (len > 0)
        call->emit(call, BURSAR_OUT_SECOND, "scopes", joined, len);
}

/* Whether the reply has a token, and an error of it where it says one. */
static enum bursar_read judge(const struct bursar_call *call,
                              const struct bursar_response *response,
                              struct bursar_value *out_token)
{
    bool is_told;
    bool is_good = oauth2_is_success(call, response, &is_told);
    struct bursar_text path = path_of(call, "access_token_path");
    if ((!is_told || !is_good) && oauth2_read_error(call, response))
        return BURSAR_READ_ERROR;
    *out_token = path.data ? response->find(response, path)
                           : (struct bursar_value){.type = BURSAR_VALUE_ABSENT};
    if (!is_good && out_token->type == BURSAR_VALUE_ABSENT)
        return BURSAR_READ_MALFORMED;
    if (!is_good) { /* it says that it failed, and not why */
        oauth2_emit(call, BURSAR_OUT_ERROR, NULL, oauth2_text("unsuccessful"));
        return BURSAR_READ_ERROR;
    }
    bool is_token = out_token->type == BURSAR_VALUE_TEXT && out_token->text.len > 0;
    return is_token ? BURSAR_READ_OK : BURSAR_READ_MALFORMED;
}

enum bursar_read oauth2_read_token(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    struct bursar_value token;
    enum bursar_read read = judge(call, response, &token);
    struct bursar_text unit =
        call->step > 0 ? call->setting(call, "exchange.expires_unit") : absent;
    if (read != BURSAR_READ_OK)
        return read;
    oauth2_emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, token.text);
    oauth2_emit(call, BURSAR_OUT_TOKEN_TYPE, NULL, member(call, response, "token_type_path", NULL));
    oauth2_emit(call, BURSAR_OUT_REFRESH_TOKEN, NULL,
                member(call, response, "refresh_token_path", "refresh_token"));
    oauth2_emit(call, BURSAR_OUT_EXPIRES, oauth2_string(call, unit),
                member(call, response, "expires_path", NULL));
    oauth2_emit(call, BURSAR_OUT_REFRESH_EXPIRES, NULL,
                member(call, response, "refresh_expires_path", NULL));
    oauth2_emit(call, BURSAR_OUT_REFRESH_AT, NULL, member(call, response, "refresh_at_path", NULL));
    read_scopes(call, response, BURSAR_OUT_SCOPES, NULL);
    read_captures(call, response, BURSAR_OUT_FIELD);
    read_callback(call);
    read_second(call, response, token.text);
    return BURSAR_READ_OK;
}

enum bursar_read oauth2_read_first(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    struct bursar_value token;
    if (call->step > 0 || !call->setting(call, "exchange.url").data)
        return oauth2_read_token(call, response);
    enum bursar_read read = judge(call, response, &token);
    if (read != BURSAR_READ_OK)
        return read;
    oauth2_emit(call, BURSAR_OUT_CAPTURE, "access_token", token.text);
    oauth2_emit(call, BURSAR_OUT_CAPTURE, "refresh_token",
                member(call, response, "refresh_token_path", NULL));
    read_scopes(call, response, BURSAR_OUT_CAPTURE, "scope");
    read_captures(call, response, BURSAR_OUT_CAPTURE);
    return BURSAR_READ_NEXT;
}

/* ---- devices and accounts ------------------------------------------------------------------------- */

/* Where a member of the reply stands under the provider's own name for it. */
static struct bursar_value find_named(const struct bursar_call *call,
                                      const struct bursar_response *response, const char *name,
                                      const char *path)
{
    struct bursar_text theirs = oauth2_name(call, name);
    const struct bursar_text own[] = {{"$['", 3}, theirs, {"']", 2}};
    struct bursar_value value = {.type = BURSAR_VALUE_ABSENT};
    if (!oauth2_is(theirs, name) && !memchr(theirs.data, '\'', theirs.len))
        value = response->find(response, call->join(call, own, 3));
    return oauth2_is_scalar(&value) ? value : response->find(response, oauth2_text(path));
}

enum bursar_read oauth2_read_device(const struct bursar_call *call,
                                    const struct bursar_response *response)
{
    static const struct {
        enum bursar_emit part;
        const char *name, *path;
    } parts[] = {
        {BURSAR_OUT_DEVICE_CODE, "device_code", "$.device_code"},
        {BURSAR_OUT_USER_CODE, "user_code", "$.user_code"},
        {BURSAR_OUT_VERIFICATION_URI, "verification_uri",
         "$.verification_uri | $.verification_url"},
        {BURSAR_OUT_VERIFICATION_URI_COMPLETE, "verification_uri_complete",
         "$.verification_uri_complete | $.verification_url_complete"},
        {BURSAR_OUT_EXPIRES, "expires_in", "$.expires_in"},
        {BURSAR_OUT_INTERVAL, "interval", "$.interval"},
    };
    if (oauth2_read_error(call, response))
        return BURSAR_READ_ERROR;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct bursar_value value = find_named(call, response, parts[i].name, parts[i].path);
        if (oauth2_is_scalar(&value))
            oauth2_emit(call, parts[i].part, parts[i].part == BURSAR_OUT_EXPIRES ? "s" : NULL,
                        value.text);
    }
    return BURSAR_READ_OK;
}

/* RFC 8628 section 3.5. */
enum bursar_read oauth2_read_poll(const struct bursar_call *call,
                                  const struct bursar_response *response)
{
    struct bursar_text error = oauth2_error(call, response);
    bool is_slow = oauth2_is(error, "slow_down");
    if (!is_slow && !oauth2_is(error, "authorization_pending"))
        return oauth2_read_token(call, response);
    if (is_slow)
        oauth2_emit(call, BURSAR_OUT_ERROR, NULL, error);
    return BURSAR_READ_PENDING;
}

void oauth2_read_metadata(const struct bursar_call *call, const struct bursar_response *response,
                          const char *setting)
{
    struct bursar_text name, path;
    for (size_t i = 0; call->setting_item(call, setting, i, &name, &path); i++) {
        struct bursar_value value = response->find(response, path);
        if (oauth2_is_scalar(&value))
            oauth2_emit(call, BURSAR_OUT_METADATA, oauth2_string(call, name), value.text);
    }
}

enum bursar_read oauth2_read_identify(const struct bursar_call *call,
                                      const struct bursar_response *response)
{
    if (response->status >= 400) {
        oauth2_read_error(call, response);
        return BURSAR_READ_ERROR;
    }
    struct bursar_text account = oauth2_scalar(call, response, "identity_path");
    oauth2_emit(call, BURSAR_OUT_ACCOUNT, NULL, account);
    oauth2_read_metadata(call, response, "identity_metadata");
    return account.data ? BURSAR_READ_OK : BURSAR_READ_MALFORMED;
}
