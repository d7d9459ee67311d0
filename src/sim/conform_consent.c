#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "sim/conform_parts.h"
#include "wire/pack.h"

enum { TEXT_MAX = 512 };

static const char redirect_uri[] = "https://app.example/callback";
static const char state[] = "state-1/+%=";
static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

static void input(struct conform_run *run, const char *name, const char *value)
{
    call_values_set(&run->inputs, name, text_of(value));
}

static bool has(const struct conform *conform, enum bursar_purpose purpose, const char *url)
{
    return call_can(conform->connector, purpose) && sim_setting(conform->sim->entry, url).data;
}

/* ---- the consent's URL -------------------------------------------------------------------------- */

static bool has_param(struct conform_run *run, const struct sim_seen *seen, const char *name,
                      const char *map, struct text wanted)
{
    struct text theirs = sim_parameter(run->conform->sim->entry, name);
    if (theirs.len == 0 || sim_item_named(run->conform->sim->entry, map, theirs).data ||
        sim_item_named(run->conform->sim->entry, map, text_of(name)).data)
        return true;
    struct text value = sim_seen_param(seen, SIM_QUERY, theirs);
    return text_equal(value, wanted) ||
           conform_fail(run, "the parameter \"%.*s\" is %s in the URL of the consent",
                        (int)theirs.len, theirs.data, value.data ? "wrong" : "missing");
}

/* No provider ever sees what is behind the mark. */
static struct text without_fragment(struct text url)
{
    const char *mark = memchr(url.data, '#', url.len);
    return (struct text){url.data, mark ? (size_t)(mark - url.data) : url.len};
}

static void check_seen(struct conform_run *run, const struct sim_seen *seen)
{
    const struct connector *entry = run->conform->sim->entry;
    static const char map[] = "authorize_params";
    if (seen->problem) {
        conform_fail(run, "%s", seen->problem);
        return;
    }
    bool is_ok = has_param(run, seen, "response_type", map, TEXT_LITERAL("code")) &&
                 has_param(run, seen, "client_id", map, sim_setting(entry, "client_id")) &&
                 has_param(run, seen, "redirect_uri", map, text_of(redirect_uri)) &&
                 has_param(run, seen, "state", map, text_of(state));
    if (is_ok && !sim_setting_is(entry, "pkce", "none"))
        has_param(run, seen, "code_challenge_method", map, TEXT_LITERAL("S256"));
}

static void check_url(struct conform_run *run, struct text url)
{
    const struct sim_request shown = {.method = "GET", .url = url};
    struct sim_seen seen = sim_seen_of(&shown);
    check_seen(run, &seen);
    sim_seen_free(&seen);
}

/* Builds what a person opens, or what a code is exchanged with. */
static bool build(struct conform_run *run, enum bursar_purpose purpose,
                  struct call_request *out_request)
{
    struct call call = {.connector = run->conform->connector,
                        .purpose = purpose,
                        .now = run->now,
                        .secret = tree_root(run->secret),
                        .grant = tree_root(run->stored),
                        .metadata = tree_root(run->metadata),
                        .inputs = &run->inputs};
    input(run, "redirect_uri", redirect_uri);
    input(run, "state", state);
    if (purpose == BURSAR_EXCHANGE)
        input(run, "code", conform_grant(run)->code);
    else if (!sim_setting_is(run->conform->connector, "pkce", "none")) {
        input(run, "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        input(run, "code_challenge_method", "S256");
    }
    run->built = call_build(&call, out_request);
    return run->built == 0 ||
           conform_fail(run, "no request could be made (%s)", bursar_error_text(run->built));
}

static void tell_authorize(struct conform_run *run)
{
    struct call_request request;
    if (!build(run, BURSAR_AUTHORIZE, &request))
        return;
    check_url(run, without_fragment(buf_text(&request.url)));
    call_request_free(&request);
}

/* ---- a code's exchange -------------------------------------------------------------------------- */

static void add_callback(struct conform_run *run)
{
    const struct connector *entry = run->conform->sim->entry;
    struct text name;
    char key[80];
    for (size_t i = 0; i < sim_items(entry, "callback_captures"); i++) {
        struct buf value = buf_make(TEXT_MAX);
        struct text parameter = sim_item(entry, "callback_captures", i, &name);
        snprintf(key, sizeof key, "%.*s", (int)parameter.len, parameter.data);
        sim_sample(entry, name, &value);
        call_values_set(&run->inputs, key, buf_text(&value));
        buf_free(&value);
    }
    input(run, "code", conform_grant(run)->code);
    input(run, "redirect_uri", redirect_uri);
    input(run, "state", state);
    if (!sim_setting_is(run->conform->connector, "pkce", "none"))
        input(run, "code_verifier", verifier);
}

static bool exchange(struct conform_run *run, const struct sim_play *play)
{
    sim_script(run->conform->sim, play);
    return conform_exchange(run, BURSAR_EXCHANGE, 0);
}

static void tell_exchange(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    add_callback(run);
    if (!exchange(run, &play) || !conform_expect_read(run, BURSAR_READ_OK))
        return;
    conform_check(run,
                  text_is(call_outcome_part(&run->outcome, BURSAR_OUT_ACCESS_TOKEN),
                          conform_grant(run)->access_token),
                  "the access token was read wrongly");
}

/* RFC 6749 section 4.1.2: a code is good for one use. */
static void tell_spent_code(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    add_callback(run);
    conform_grant(run)->is_code_used = true;
    if (exchange(run, &play) && run->has_outcome)
        conform_check(run, run->outcome.read != BURSAR_READ_OK,
                      "a refused code was read as a new secret");
}

/* ---- deviations --------------------------------------------------------------------------------- */

/* What a part of the second grant was read as. */
static struct text second_part(const struct conform_run *run, const char *name)
{
    for (size_t i = 0; run->has_outcome && i < run->outcome.part_count; i++) {
        const struct call_part *part = &run->outcome.parts[i];
        if (part->part == BURSAR_OUT_SECOND && strcmp(part->name, name) == 0)
            return call_part_value(&run->outcome, part);
    }
    return (struct text){NULL, 0};
}

static bool refresh_grant(struct conform_run *run, size_t grant)
{
    const struct sim_play play = {.fault = SIM_FINE};
    run->grant = grant;
    return conform_keep(run) && conform_refresh(run, &play) && conform_expect_secret(run, &play);
}

void conform_tell_second(struct conform_run *run)
{
    const struct sim_play play = {.has_second = true};
    struct sim *sim = run->conform->sim;
    size_t first = run->grant;
    if (!conform_check(run, sim_path(sim->entry, "second_grant.access_token_path").data != NULL,
                       "the entry has no second_grant"))
        return;
    add_callback(run);
    if (!exchange(run, &play) || !conform_expect_read(run, BURSAR_READ_OK))
        return;
    const struct sim_grant *second = &sim->grants[sim->second];
    struct text token = call_outcome_part(&run->outcome, BURSAR_OUT_ACCESS_TOKEN);
    bool is_read = text_is(token, conform_grant(run)->access_token) &&
                   text_is(second_part(run, "access_token"), second->access_token) &&
                   text_is(second_part(run, "refresh_token"), second->refresh_token) &&
                   second_part(run, "expires").len > 0 && second_part(run, "account").len > 0;
    if (conform_check(run, is_read, "the second grant was not read") &&
        refresh_grant(run, sim->second) && refresh_grant(run, first))
        refresh_grant(run, sim->second);
}

/* Whether the request of a purpose says where the consent leads back to: 1, 0, or -1 where there is
 * no request. */
static int says_redirect_uri(struct conform_run *run, enum bursar_purpose purpose)
{
    struct call_request request;
    if (!build(run, purpose, &request))
        return -1;
    const struct sim_request shown = {.method = request.method,
                                      .url = buf_text(&request.url),
                                      .headers = buf_text(&request.headers),
                                      .body = buf_text(&request.body)};
    struct sim_seen seen = sim_seen_of(&shown);
    struct text name = sim_parameter(run->conform->sim->entry, "redirect_uri");
    bool is_said = sim_seen_any(&seen, name).data != NULL;
    sim_seen_free(&seen);
    call_request_free(&request);
    return is_said;
}

/* What the connection itself says for the one placeholder of a setting. */
static bool set_metadata(struct conform_run *run, const char *setting, const char *value)
{
    char name[64] = "";
    struct text template = sim_setting(run->conform->connector, setting);
    bool is_placeholder = template.len > 2 && template.len < sizeof name &&
                          template.data[0] == '{' && template.data[template.len - 1] == '}';
    if (!is_placeholder)
        return conform_fail(run, "%s is not a connection's to say", setting);
    memcpy(name, template.data + 1, template.len - 2);
    buf_clear(&run->metadata_pack);
    struct pack map = pack_map(&run->metadata_pack);
    pack_string(&map, name, value);
    pack_close(&map);
    return tree_fill(run->metadata, buf_text(&run->metadata_pack)) == 0;
}

void conform_tell_no_redirect_uri(struct conform_run *run)
{
    if (!conform_check(run,
                       says_redirect_uri(run, BURSAR_AUTHORIZE) == 1 &&
                           says_redirect_uri(run, BURSAR_EXCHANGE) == 1,
                       "a connection that says nothing of it leaves redirect_uri out") ||
        !set_metadata(run, "send_redirect_uri", "none"))
        return;
    conform_check(run,
                  says_redirect_uri(run, BURSAR_AUTHORIZE) == 0 &&
                      says_redirect_uri(run, BURSAR_EXCHANGE) == 0,
                  "redirect_uri is said where the connection wants it left out");
}

void conform_tell_fragment(struct conform_run *run)
{
    struct call_request request;
    struct text wanted = sim_setting(run->conform->sim->entry, "authorize_fragment");
    if (!conform_check(run, wanted.data != NULL, "the entry has no authorize_fragment") ||
        !build(run, BURSAR_AUTHORIZE, &request))
        return;
    struct text url = buf_text(&request.url), seen = without_fragment(url);
    bool has_mark = seen.len < url.len;
    struct text behind = {url.data + seen.len + has_mark, url.len - seen.len - has_mark};
    if (conform_check(run, has_mark && text_equal(behind, wanted),
                      "the URL of the consent does not end in authorize_fragment"))
        check_url(run, seen);
    call_request_free(&request);
}

void conform_tell_callback_scope(struct conform_run *run)
{
    const struct sim_play play = {.scope = SIM_SCOPE_ABSENT};
    char parameter[64];
    struct text name = sim_setting(run->conform->sim->entry, "callback_scope");
    snprintf(parameter, sizeof parameter, "%.*s", (int)name.len, name.data ? name.data : "");
    add_callback(run);
    input(run, parameter, "read,activity:read");
    if (!conform_check(run, name.data != NULL, "the entry has no callback_scope") ||
        !exchange(run, &play) || !conform_expect_read(run, BURSAR_READ_OK))
        return;
    conform_check(
        run, text_is(call_outcome_part(&run->outcome, BURSAR_OUT_SCOPES), "read activity:read"),
        "what the callback says was granted is not kept");
}

/* ---- a second device ---------------------------------------------------------------------------- */

static bool poll_with(struct conform_run *run, enum sim_fault fault, enum bursar_read expected)
{
    const struct sim_play play = {.fault = fault, .status = fault == SIM_FINE ? 0 : 400};
    sim_script(run->conform->sim, &play);
    return conform_exchange(run, BURSAR_POLL, 0) && conform_expect_read(run, expected);
}

static void tell_device(struct conform_run *run)
{
    if (!conform_exchange(run, BURSAR_DEVICE, 0) || !conform_expect_read(run, BURSAR_READ_OK))
        return;
    run->grant = run->conform->sim->grant_count - 1;
    struct text code = call_outcome_part(&run->outcome, BURSAR_OUT_DEVICE_CODE);
    if (!conform_check(run, text_is(code, conform_grant(run)->device_code),
                       "the device code was read wrongly"))
        return;
    input(run, "device_code", conform_grant(run)->device_code);
    if (poll_with(run, SIM_PENDING, BURSAR_READ_PENDING) &&
        poll_with(run, SIM_SLOW_DOWN, BURSAR_READ_PENDING))
        poll_with(run, SIM_FINE, BURSAR_READ_OK);
}

/* ---- the rest ----------------------------------------------------------------------------------- */

static void tell_revoke(struct conform_run *run)
{
    if (!conform_exchange(run, BURSAR_REVOKE, 0))
        return;
    conform_check(run, !conform_grant(run)->is_alive, "the grant still lives");
}

static void tell_identify(struct conform_run *run)
{
    if (!conform_exchange(run, BURSAR_IDENTIFY, 0) || !conform_expect_read(run, BURSAR_READ_OK))
        return;
    conform_check(run, text_is(call_outcome_part(&run->outcome, BURSAR_OUT_ACCOUNT), "account-1"),
                  "the account was read wrongly");
}

static bool validate(struct conform_run *run, const struct sim_play *play,
                     enum bursar_read expected)
{
    sim_script(run->conform->sim, play);
    return conform_exchange(run, BURSAR_VALIDATE, 0) && conform_expect_read(run, expected);
}

static void tell_validate(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    if (!validate(run, &play, BURSAR_READ_OK) ||
        !sim_setting(run->conform->sim->entry, "validate.username_path").data)
        return;
    conform_check(run, text_is(call_outcome_part(&run->outcome, BURSAR_OUT_USERNAME), "somebody"),
                  "whose key it is was not read");
}

/* The first word of a list that is a status, or else this one. */
static int status_of(const struct connector *entry, const char *list, int otherwise)
{
    for (size_t i = 0; i < sim_items(entry, list); i++) {
        struct sim_word word = sim_word_of(sim_item(entry, list, i, NULL), false);
        if (word.status > 0 && !word.code.data)
            return word.status;
    }
    return otherwise;
}

static void tell_invalid(struct conform_run *run)
{
    const struct connector *entry = run->conform->sim->entry;
    const struct sim_play play = {.fault = SIM_ERROR,
                                  .status = status_of(entry, "validate.invalid", 401)};
    validate(run, &play, BURSAR_READ_ERROR);
}

static void tell_unchecked(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_HTML, .status = 502};
    validate(run, &play, BURSAR_READ_MALFORMED);
}

static void tell_limited(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_HTML, .status = 429};
    validate(run, &play, BURSAR_READ_OK);
}

static const struct {
    const char *name;
    enum bursar_purpose purpose;
    const char *url;
    void (*tell)(struct conform_run *run);
} stories[] = {
    {"the URL of the consent", BURSAR_AUTHORIZE, "authorize_url", tell_authorize},
    {"the exchange of a code", BURSAR_EXCHANGE, "token_url", tell_exchange},
    {"a code that was used", BURSAR_EXCHANGE, "token_url", tell_spent_code},
    {"consent on a second device", BURSAR_DEVICE, "device_url", tell_device},
    {"a revocation", BURSAR_REVOKE, "revoke_url", tell_revoke},
    {"whose token it is", BURSAR_IDENTIFY, "identity_url", tell_identify},
    {"a good key", BURSAR_VALIDATE, "validate.url", tell_validate},
    {"a key that is refused", BURSAR_VALIDATE, "validate.url", tell_invalid},
    {"a key that cannot be checked now", BURSAR_VALIDATE, "validate.url", tell_unchecked},
    {"a key at its limit", BURSAR_VALIDATE, "validate.url", tell_limited},
};

int conform_consent(struct conform *conform)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof stories / sizeof stories[0]; i++) {
        struct conform_run run;
        if (!conform_wants(conform, stories[i].name) ||
            !has(conform, stories[i].purpose, stories[i].url))
            continue;
        result = conform_begin(conform, stories[i].name, &run);
        if (result == 0)
            stories[i].tell(&run);
        conform_end(&run);
    }
    return result;
}
