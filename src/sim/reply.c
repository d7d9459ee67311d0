#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sim/sim.h"

enum { BODY_MAX = 1 << 20, HEADERS_MAX = 8192, TEXT_MAX = 512, FORBIDDEN = 403 };

static const char page[] =
    "<!DOCTYPE html>\n<html><head><title>Please wait</title></head><body><p>This service is "
    "unavailable. Ask the administrator.</p></body></html>\n";

void sim_reply_free(struct sim_reply *reply)
{
    buf_free(&reply->headers);
    buf_free(&reply->body);
}

static void add_header(struct sim_reply *reply, const char *name, const char *value)
{
    buf_printf(&reply->headers, "%s: %s", name, value);
    buf_append_byte(&reply->headers, 0);
}

/* ---- what an entry leaves to its kind ----------------------------------------------------------- */

#define AWS_KEYS(name) "$.AssumeRoleResponse.AssumeRoleResult.Credentials." name

static const struct {
    const char *kind, *name, *path;
} fixed[] = {
    {"github_app", "access_token_path", "$.token"},
    {"github_app", "expires_path", "$.expires_at"},
    {"aws_sts", "access_token_path", AWS_KEYS("AccessKeyId")},
    {"aws_sts", "expires_path", AWS_KEYS("Expiration")},
    {"aws_sts", "error_path", "$.ErrorResponse.Error.Code"},
    {"aws_sts", "error_text_path", "$.ErrorResponse.Error.Message"},
    {NULL, NULL, NULL},
};

/* What stands in every good reply of a kind. */
static const struct {
    const char *kind, *path, *value;
} constants[] = {
    {"aws_sts", AWS_KEYS("SecretAccessKey"), "x-secret"},
    {"aws_sts", AWS_KEYS("SessionToken"), "x-session"},
    {"token_exchange", "$.issued_token_type", "urn:ietf:params:oauth:token-type:access_token"},
};

static enum sim_format format_of(const struct sim *sim, const struct sim_play *play)
{
    bool is_xml = strcmp(sim->entry->module->kind, "aws_sts") == 0;
    return is_xml ? SIM_XML : play->format;
}

struct text sim_path(const struct connector *entry, const char *name)
{
    struct text path = sim_setting(entry, name);
    for (size_t i = 0; !path.data && fixed[i].kind; i++) {
        if (strcmp(fixed[i].kind, entry->module->kind) == 0 && strcmp(fixed[i].name, name) == 0)
            path = text_of(fixed[i].path);
    }
    return path;
}

static struct text unit_of(const struct connector *entry, const char *setting)
{
    struct text unit = sim_setting(entry, setting);
    return unit.data ? unit : TEXT_LITERAL("s");
}

struct text sim_unit(const struct connector *entry)
{
    return unit_of(entry, "expires_unit");
}

/* ---- expiries ----------------------------------------------------------------------------------- */

static json_t *date_of(int64_t at)
{
    char text[40];
    time_t seconds = (time_t)at;
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc))
        return NULL;
    return json_string(text);
}

static json_t *number_of(int64_t number, enum sim_expiry how)
{
    char text[40];
    if (how == SIM_EXPIRY_FRACTION)
        return json_real((double)number + 0.5);
    snprintf(text, sizeof text, "%lld", (long long)number);
    return how == SIM_EXPIRY_TEXT ? json_string(text) : json_integer(number);
}

json_t *sim_expiry_value(struct text unit, enum sim_expiry how, int64_t now, int64_t life_s,
                         int64_t *out_expires_at)
{
    bool is_date = text_is(unit, "iso8601");
    bool is_epoch = text_is(unit, "epoch_s") || text_is(unit, "epoch_ms");
    bool is_ms = text_is(unit, "ms") || text_is(unit, "epoch_ms");
    *out_expires_at = 0;
    switch (how) {
    case SIM_EXPIRY_ABSENT: return NULL;
    case SIM_EXPIRY_NULL: return json_null();
    case SIM_EXPIRY_ZERO: return is_date ? json_string("") : json_integer(0);
    case SIM_EXPIRY_NEGATIVE: return is_date ? date_of(now - life_s) : json_integer(-life_s);
    case SIM_EXPIRY_ABSURD:
        return is_date ? json_string("9999-12-31T23:59:59Z") : json_integer(999999999999999999);
    case SIM_EXPIRY_WORD: return json_string("never");
    case SIM_EXPIRY_MEANT:
    case SIM_EXPIRY_TEXT:
    case SIM_EXPIRY_FRACTION: break;
    }
    *out_expires_at = now + life_s;
    if (is_date)
        return date_of(now + life_s);
    return number_of((is_epoch ? now + life_s : life_s) * (is_ms ? 1000 : 1), how);
}

/* ---- success ------------------------------------------------------------------------------------ */

static void put_text(json_t **root, const struct sim_play *play, struct text path,
                     const char *value)
{
    if (path.data && value[0] != 0)
        sim_body_put(root, path, play->query, json_string(value), true);
}

static json_t *scopes_of(enum sim_scope how)
{
    switch (how) {
    case SIM_SCOPE_ABSENT: return NULL;
    case SIM_SCOPE_SPACES: return json_string(SIM_SCOPES_WIDE);
    case SIM_SCOPE_COMMAS: return json_string("read,write");
    case SIM_SCOPE_LIST: return json_pack("[s,s]", "read", "write");
    case SIM_SCOPE_NARROWER: return json_string(SIM_SCOPES_NARROW);
    }
    return NULL;
}

static bool is_part_of(struct text whole, struct text part)
{
    return whole.data && part.len > 0 && memmem(whole.data, whole.len, part.data, part.len);
}

static void put_captures(const struct sim *sim, json_t **root)
{
    static const char *const maps[] = {"captures", "metadata"};
    for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
        for (size_t i = 0; i < sim_items(sim->entry, maps[m]); i++) {
            struct text name;
            struct buf value = buf_make(TEXT_MAX);
            struct text path = sim_item(sim->entry, maps[m], i, &name);
            bool is_token = is_part_of(sim_path(sim->entry, "refresh_token_path"), path);
            sim_sample(sim->entry, name, &value);
            if (!is_token) /* a refresh token comes where one is meant to */
                sim_body_put(root, path, 0, json_stringn((char *)value.data, value.len), false);
            buf_free(&value);
        }
    }
}

static void put_expiries(const struct sim *sim, const struct sim_play *play, int64_t life_s,
                         int64_t now, json_t **root)
{
    int64_t meant;
    json_t *value = sim_expiry_value(sim_unit(sim->entry), play->expiry, now, life_s, &meant);
    if (value)
        sim_body_put(root, sim_path(sim->entry, "expires_path"), play->query, value, true);
    if (!play->has_refresh_expiry)
        return;
    value = sim_expiry_value(unit_of(sim->entry, "refresh_expires_unit"), SIM_EXPIRY_MEANT, now,
                             life_s * 2, &meant);
    if (value)
        sim_body_put(root, sim_path(sim->entry, "refresh_expires_path"), play->query, value, true);
}

/* The other grant of a consent, beside the first. */
static void put_second(const struct sim *sim, int64_t now, json_t **root)
{
    const struct sim_grant *second = &sim->grants[sim->second];
    const struct {
        const char *setting;
        json_t *value;
    } parts[] = {
        {"second_grant.access_token_path", json_string(second->access_token)},
        {"second_grant.refresh_token_path", json_string(second->refresh_token)},
        {"second_grant.token_type_path", json_string("user")},
        {"second_grant.expires_path", json_integer(second->expires_at - now)},
        {"second_grant.scope_path", json_string("read,write")},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (sim_path(sim->entry, parts[i].setting).data)
            sim_body_put(root, sim_path(sim->entry, parts[i].setting), 0, parts[i].value, true);
        else
            json_decref(parts[i].value);
    }
    for (size_t i = 0; i < sim_items(sim->entry, "second_grant.account"); i++)
        sim_body_put(root, sim_item(sim->entry, "second_grant.account", i, NULL), 0,
                     json_sprintf("account-%zu", i + 1), true);
}

static json_t *success_body(const struct sim *sim, const struct sim_play *play,
                            const struct sim_grant *grant, bool has_refresh_token, int64_t now)
{
    json_t *root = NULL;
    json_t *scopes = scopes_of(play->scope);
    for (size_t i = 0; i < sim_items(sim->entry, "success"); i++)
        sim_body_satisfy(&root, sim_item(sim->entry, "success", i, NULL));
    put_text(&root, play, sim_path(sim->entry, "access_token_path"), grant->access_token);
    if (has_refresh_token)
        put_text(&root, play, sim_path(sim->entry, "refresh_token_path"), grant->refresh_token);
    put_text(&root, play, sim_path(sim->entry, "token_type_path"),
             play->token_type ? play->token_type : "Bearer");
    if (scopes)
        sim_body_put(&root, sim_path(sim->entry, "scope_path"), play->query, scopes, true);
    put_expiries(sim, play, grant->expires_at - now, now, &root);
    if (play->has_second)
        put_second(sim, now, &root);
    put_captures(sim, &root);
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (strcmp(sim->entry->module->kind, constants[i].kind) == 0)
            sim_body_put(&root, text_of(constants[i].path), 0, json_string(constants[i].value),
                         false);
    }
    return root;
}

static const char *type_of(enum sim_format format)
{
    static const char *const types[] = {[SIM_JSON] = "application/json",
                                        [SIM_JSONP] = "text/html; charset=utf-8",
                                        [SIM_FORM] = "text/plain",
                                        [SIM_XML] = "text/xml"};
    return types[format];
}

/* A good reply must be one by the entry's own words; else they cannot be true together. */
static bool is_good(const struct sim *sim, struct text bytes)
{
    for (size_t i = 0; i < sim_items(sim->entry, "success"); i++) {
        if (!sim_body_holds(bytes, sim_item(sim->entry, "success", i, NULL)))
            return false;
    }
    return true;
}

bool sim_success(const struct sim *sim, const struct sim_play *play, const struct sim_grant *grant,
                 bool has_refresh_token, int64_t now, struct sim_reply *out_reply)
{
    json_t *root = success_body(sim, play, grant, has_refresh_token, now);
    struct sim_reply reply = {
        .status = 200, .headers = buf_make(HEADERS_MAX), .body = buf_make(BODY_MAX)};
    bool is_ok = root && sim_body_write(root, format_of(sim, play), &reply.body) &&
                 is_good(sim, buf_text(&reply.body));
    add_header(&reply, "Content-Type", type_of(format_of(sim, play)));
    json_decref(root);
    if (is_ok)
        *out_reply = reply;
    else
        sim_reply_free(&reply);
    return is_ok;
}

/* ---- errors ------------------------------------------------------------------------------------- */

/* Whether a success predicate compares the value at error_path with a quoted text. */
static bool is_code_text(const struct connector *entry)
{
    struct text path = sim_setting(entry, "error_path");
    for (size_t i = 0; path.data && i < sim_items(entry, "success"); i++) {
        struct text predicate = sim_item(entry, "success", i, NULL);
        if (predicate.len > path.len && memcmp(predicate.data, path.data, path.len) == 0 &&
            memchr(predicate.data, '"', predicate.len))
            return true;
    }
    return false;
}

/* Where no predicate of success is false yet, the first that can be is made so. */
static void spoil(const struct connector *entry, json_t **root, const json_t *code)
{
    size_t count = sim_items(entry, "success");
    for (size_t i = 0; i < count; i++) {
        struct buf bytes = buf_make(BODY_MAX);
        sim_body_write(*root, SIM_JSON, &bytes);
        bool is_true = sim_body_holds(buf_text(&bytes), sim_item(entry, "success", i, NULL));
        buf_free(&bytes);
        if (!is_true)
            return;
    }
    for (size_t i = 0; i < count; i++) {
        if (sim_body_break(root, sim_item(entry, "success", i, NULL),
                           json_copy((json_t *)(uintptr_t)code)))
            return;
    }
}

/* A prefix stands for all that begin so, this one among them. */
static void put_subcode(json_t **root, struct text path, const struct sim_word *word)
{
    struct buf whole = buf_make(TEXT_MAX);
    buf_append_text(&whole, word->subcode);
    if (word->is_subcode_prefix)
        buf_append_string(&whole, "7");
    sim_body_put(root, path, 0, sim_body_code(buf_text(&whole), false), true);
    buf_free(&whole);
}

static json_t *error_body(const struct sim *sim, const struct sim_play *play)
{
    json_t *root = NULL;
    struct text subcode_path = sim_path(sim->entry, "error_subcode_path");
    struct text text_path = sim_path(sim->entry, "error_text_path");
    struct text code = play->error.code;
    struct buf whole = buf_make(TEXT_MAX);
    if (code.len == 0)
        code = TEXT_LITERAL("unlisted_code");
    buf_append_text(&whole, code);
    if (play->error.is_prefix)
        buf_append_string(&whole, "7");
    struct text path = sim_path(sim->entry, "error_path");
    json_t *value = sim_body_code(buf_text(&whole), is_code_text(sim->entry));
    sim_body_put(&root, path.data ? path : TEXT_LITERAL("$.error"), play->error_query,
                 json_incref(value), true);
    if (play->error.subcode.data && subcode_path.data)
        put_subcode(&root, subcode_path, &play->error);
    if (text_path.data)
        sim_body_put(&root, text_path, 0, json_string("what went wrong, for people"), false);
    buf_free(&whole);
    if (!root)
        root = json_object();
    spoil(sim->entry, &root, value);
    json_decref(value);
    return root;
}

static void add_retry_after(const struct sim_play *play, struct sim_reply *reply)
{
    char text[16];
    snprintf(text, sizeof text, "%d", play->retry_after_s);
    if (play->retry_after_s > 0)
        add_header(reply, "Retry-After", text);
}

static bool is_listed(const struct connector *entry, int status)
{
    static const char *const lists[] = {"reauth_errors", "transient_errors", "throttle_errors",
                                        "client_errors"};
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t i = 0; i < sim_items(entry, lists[l]); i++) {
            struct sim_word word = sim_word_of(sim_item(entry, lists[l], i, NULL), true);
            if (word.status == status && !word.code.data)
                return true;
        }
    }
    return false;
}

int sim_error_status(const struct connector *entry, const struct sim_word *word)
{
    static const int statuses[] = {400, 403, 401, 422};
    if (word->status > 0)
        return word->status;
    if (sim_items(entry, "success") > 0 && !is_listed(entry, 200))
        return 200;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (!is_listed(entry, statuses[i]))
            return statuses[i];
    }
    return statuses[0];
}

struct sim_word sim_dead_word(const struct connector *entry)
{
    bool has_subcodes = sim_path(entry, "error_subcode_path").data != NULL;
    if (sim_items(entry, "reauth_errors") > 0)
        return sim_word_of(sim_item(entry, "reauth_errors", 0, NULL), has_subcodes);
    return (struct sim_word){.code = TEXT_LITERAL("invalid_grant")};
}

static void write_page(struct sim_reply *reply, int status)
{
    reply->status = status;
    add_header(reply, "Content-Type", "text/html; charset=utf-8");
    buf_append_string(&reply->body, page);
}

void sim_error(const struct sim *sim, const struct sim_play *play, struct sim_reply *out_reply)
{
    struct sim_reply reply = {.headers = buf_make(HEADERS_MAX), .body = buf_make(BODY_MAX)};
    struct sim_play shown = *play;
    if (play->fault == SIM_DEAD)
        shown.error = sim_dead_word(sim->entry);
    if (play->fault == SIM_HTML) {
        write_page(&reply, play->status > 0 ? play->status : FORBIDDEN);
    } else {
        reply.status = play->status > 0 ? play->status : sim_error_status(sim->entry, &shown.error);
        json_t *root =
            play->fault == SIM_EMPTY || play->has_no_body ? NULL : error_body(sim, &shown);
        add_header(&reply, "Content-Type", "application/json;charset=UTF-8");
        if (root)
            sim_body_write(root, format_of(sim, &(struct sim_play){.format = SIM_JSON}),
                           &reply.body);
        json_decref(root);
    }
    add_retry_after(play, &reply);
    *out_reply = reply;
}
