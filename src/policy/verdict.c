#include "policy/verdict.h"

#include <assert.h>
#include <string.h>

#include <bursar/error.h>

/* What an error code of RFC 6749 section 5.2, or one commonly sent beside them, says. Codes from
 * other sections (RFC 8693 invalid_target, OpenID Connect login_required) are listed where token
 * endpoints are known to send them. */
static const struct {
    const char *code;
    enum verdict_class verdict;
} standard[] = {
    {"invalid_grant", VERDICT_GRANT},          {"interaction_required", VERDICT_GRANT},
    {"consent_required", VERDICT_GRANT},       {"login_required", VERDICT_GRANT},
    {"invalid_client", VERDICT_CLIENT},        {"unauthorized_client", VERDICT_CLIENT},
    {"invalid_request", VERDICT_CLIENT},       {"invalid_scope", VERDICT_CLIENT},
    {"invalid_target", VERDICT_CLIENT},        {"unsupported_grant_type", VERDICT_CLIENT},
    {"redirect_uri_mismatch", VERDICT_CLIENT}, {"temporarily_unavailable", VERDICT_PROVIDER},
    {"server_error", VERDICT_PROVIDER},        {"slow_down", VERDICT_THROTTLED},
};

/* `word`, or `begin*` for all that begin so. */
static bool is_like(struct text word, struct text text)
{
    if (!text.data)
        return false;
    if (word.len > 1 && word.data[word.len - 1] == '*')
        return text.len >= word.len - 1 && memcmp(text.data, word.data, word.len - 1) == 0;
    return text_equal(word, text);
}

/* How closely a word means a reply: 0 not at all. */
enum closeness { NOT_MEANT, MEANT_BY_STATUS, MEANT_BY_CODE, MEANT_BY_BOTH, MEANT_BY_SUBCODE };

static enum closeness of_code(struct text word, struct text error, struct text subcode)
{
    const char *slash = memchr(word.data, '/', word.len);
    if (is_like(word, error))
        return MEANT_BY_CODE;
    if (!slash)
        return NOT_MEANT;
    size_t code_len = (size_t)(slash - word.data);
    struct text code = {word.data, code_len};
    struct text rest = {slash + 1, word.len - code_len - 1};
    bool is_meant = is_like(rest, subcode) && (code_len == 0 || is_like(code, error));
    return is_meant ? MEANT_BY_SUBCODE : NOT_MEANT;
}

static enum closeness of_word(const char *word, int status, struct text error, struct text subcode)
{
    struct text rest = text_of(word);
    if (rest.len < 8 || memcmp(rest.data, "HTTP ", 5) != 0)
        return of_code(rest, error, subcode);
    int given = 0;
    for (size_t i = 5; i < 8; i++)
        given = given * 10 + (rest.data[i] - '0');
    if (given != status)
        return NOT_MEANT;
    if (rest.len <= 9)
        return MEANT_BY_STATUS;
    bool is_meant =
        of_code((struct text){rest.data + 9, rest.len - 9}, error, subcode) != NOT_MEANT;
    return is_meant ? MEANT_BY_BOTH : NOT_MEANT;
}

bool verdict_word_is(const char *word, int status, struct text error, struct text subcode)
{
    return of_word(word, status, error, subcode) != NOT_MEANT;
}

static enum closeness of_list(const struct verdict_input *input, const char *const *list)
{
    enum closeness closest = NOT_MEANT;
    for (; list && *list; list++) {
        enum closeness one = of_word(*list, input->status, input->error, input->subcode);
        closest = one > closest ? one : closest;
    }
    return closest;
}

/* The word that means the reply most closely decides; of two that are as close the milder one. */
static bool of_words(const struct verdict_input *input, const struct verdict_words *words,
                     enum verdict_class *out)
{
    const struct {
        const char *const *list;
        enum verdict_class verdict;
    } classes_of[] = {{words->throttle, VERDICT_THROTTLED},
                      {words->transient, VERDICT_PROVIDER},
                      {words->reauth, VERDICT_GRANT},
                      {words->client, VERDICT_CLIENT}};
    enum closeness closest = NOT_MEANT;
    for (size_t i = 0; i < sizeof classes_of / sizeof classes_of[0]; i++) {
        enum closeness one = of_list(input, classes_of[i].list);
        if (one > closest) {
            closest = one;
            *out = classes_of[i].verdict;
        }
    }
    return closest != NOT_MEANT;
}

static bool of_standard(struct text error, enum verdict_class *out)
{
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
        if (text_is(error, standard[i].code)) {
            *out = standard[i].verdict;
            return true;
        }
    }
    return false;
}

static enum verdict_class of_status(int status, bool has_retry_after)
{
    switch (status) {
    case 402:
    case 404:
    case 405:
    case 410:
    case 415: return VERDICT_CLIENT;
    default:
        if (status >= 300 && status < 400)
            return VERDICT_CLIENT;
        return has_retry_after ? VERDICT_THROTTLED : VERDICT_PROVIDER;
    }
}

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

/* A reply that is whole as HTTP. A 2xx that nobody can read may have spent the token. */
static enum verdict_class of_reply(const struct verdict_input *input,
                                   const struct verdict_words *words)
{
    enum verdict_class verdict;
    if (is_success(input->status) && input->shape == REPLY_SECRET)
        return VERDICT_OK;
    if (is_success(input->status) && input->shape == REPLY_MALFORMED)
        return rotation_is_strict(input->rotation) ? VERDICT_UNCERTAIN : VERDICT_PROVIDER;
    /* A provider that asks to wait says nothing about the grant, whatever else is in the reply. */
    if (input->status == 429 || input->status == 420)
        return VERDICT_THROTTLED;
    /* The connector's own words may speak of a 5xx too; the standard ones never do. */
    if (of_words(input, words, &verdict))
        return verdict;
    if (input->status >= 500)
        return of_status(input->status, input->has_retry_after);
    if (input->error.data && of_standard(input->error, &verdict))
        return verdict;
    return is_success(input->status) ? VERDICT_PROVIDER
                                     : of_status(input->status, input->has_retry_after);
}

enum verdict_class verdict_of(const struct verdict_input *input, const struct verdict_words *words)
{
    switch (input->end) {
    case EXCHANGE_REPLY: return of_reply(input, words);
    case EXCHANGE_LOST:
        return rotation_is_strict(input->rotation) ? VERDICT_UNCERTAIN : VERDICT_PROVIDER;
    case EXCHANGE_UNSENT: break;
    }
    return VERDICT_PROVIDER;
}

bool verdict_may_mean_secret(int status, struct text error)
{
    static const char *const others[] = {"invalid_request", "invalid_scope", "invalid_target",
                                         "unsupported_grant_type", "redirect_uri_mismatch"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (text_is(error, others[i]))
            return false;
    }
    return error.len > 0 || status == 401 || status == 403;
}

bool rotation_is_strict(enum rotation_rule rotation)
{
    return rotation == ROTATION_STRICT || rotation == ROTATION_UNKNOWN;
}

bool rotation_rule_of(struct text word, enum rotation_rule *out_rule)
{
    static const char *const words[] = {[ROTATION_NONE] = "none",
                                        [ROTATION_REUSE_GRACE] = "reuse_grace",
                                        [ROTATION_STRICT] = "strict",
                                        [ROTATION_UNKNOWN] = "unknown"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is(word, words[i])) {
            *out_rule = (enum rotation_rule)i;
            return true;
        }
    }
    return false;
}

static const struct {
    const char *name;
    int error;
} classes[] = {
    [VERDICT_OK] = {"ok", 0},
    [VERDICT_GRANT] = {"grant", BURSAR_E_NEEDS_REAUTH},
    [VERDICT_CLIENT] = {"client", BURSAR_E_CLIENT_REJECTED},
    [VERDICT_PROVIDER] = {"provider", BURSAR_E_PROVIDER_UNAVAILABLE},
    [VERDICT_THROTTLED] = {"provider", BURSAR_E_RATE_LIMITED},
    [VERDICT_UNCERTAIN] = {"provider", BURSAR_E_IN_DOUBT},
};
static_assert(sizeof classes / sizeof classes[0] == VERDICT_END, "one row a class");

const char *verdict_class_name(enum verdict_class verdict)
{
    return classes[verdict].name;
}

int verdict_error(enum verdict_class verdict)
{
    return classes[verdict].error;
}

enum recovery recovery_of(bool has_reply, enum rotation_rule rotation, bool is_in_grace)
{
    if (has_reply)
        return RECOVERY_READ_REPLY;
    if (rotation == ROTATION_REUSE_GRACE && !is_in_grace)
        return RECOVERY_PROBE;
    return rotation_is_strict(rotation) ? RECOVERY_PROBE : RECOVERY_SEND_AGAIN;
}
