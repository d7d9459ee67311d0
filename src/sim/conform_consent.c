#include <stdio.h>
#include <string.h>

#include "sim/conform_parts.h"

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

static void check_url(struct conform_run *run, const struct sim_seen *seen)
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

static void tell_authorize(struct conform_run *run)
{
    struct call_request request;
    struct call call = {.connector = run->conform->connector,
                        .purpose = BURSAR_AUTHORIZE,
                        .now = run->now,
                        .secret = tree_root(run->secret),
                        .grant = tree_root(run->stored),
                        .metadata = tree_root(run->metadata),
                        .inputs = &run->inputs};
    input(run, "redirect_uri", redirect_uri);
    input(run, "state", state);
    if (!sim_setting_is(run->conform->connector, "pkce", "none")) {
        input(run, "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        input(run, "code_challenge_method", "S256");
    }
    run->built = call_build(&call, &request);
    if (run->built < 0) {
        conform_fail(run, "no URL could be made");
        return;
    }
    const struct sim_request shown = {.method = "GET", .url = buf_text(&request.url)};
    struct sim_seen seen = sim_seen_of(&shown);
    check_url(run, &seen);
    sim_seen_free(&seen);
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
