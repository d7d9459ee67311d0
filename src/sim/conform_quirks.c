#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "sim/conform_parts.h"

enum { DAY_S = 86400, GRACE_S = 30, NEAR_END_S = 30 };

/* ---- small pieces ------------------------------------------------------------------------------- */

static const struct connector *entry_of(const struct conform_run *run)
{
    return run->conform->connector;
}

static bool refresh_well(struct conform_run *run, const struct sim_play *play)
{
    return conform_refresh(run, play) && conform_expect_secret(run, play);
}

static bool refuse(struct conform_run *run, int status, struct sim_word word,
                   enum verdict_class expected)
{
    const struct sim_play play = {.fault = SIM_ERROR, .status = status, .error = word};
    return conform_refresh(run, &play) && conform_expect(run, expected);
}

static struct sim_word word_of(const char *code)
{
    return (struct sim_word){.code = text_of(code)};
}

/* The first word of a list that is a code alone. */
static bool code_of(struct conform_run *run, const char *list, struct sim_word *out_word)
{
    const struct connector *truth = run->conform->sim->entry;
    for (size_t i = 0; i < sim_items(truth, list); i++) {
        *out_word = sim_word_of(sim_item(truth, list, i, NULL), true);
        if (out_word->status == 0 && out_word->code.len > 0 && !out_word->subcode.data)
            return true;
    }
    return conform_fail(run, "the entry's %s has no such code", list);
}

static bool has_setting(struct conform_run *run, const char *name)
{
    bool is_there = sim_setting(entry_of(run), name).data || sim_items(entry_of(run), name) > 0;
    return is_there || conform_fail(run, "the entry has no %s", name);
}

/* ---- failures ----------------------------------------------------------------------------------- */

static void error_in_200(struct conform_run *run)
{
    struct sim_word word = word_of("invalid_grant");
    if (sim_items(entry_of(run), "reauth_errors") > 0 && !code_of(run, "reauth_errors", &word))
        return;
    refuse(run, 200, word, VERDICT_GRANT);
}

/* A code that nobody lists is still a failure, and none that spends the token. */
static void envelope_code(struct conform_run *run)
{
    struct sim_word word;
    if (!has_setting(run, "success") || !refuse(run, 200, word_of("9999"), VERDICT_PROVIDER))
        return;
    if (sim_items(entry_of(run), "reauth_errors") > 0 && code_of(run, "reauth_errors", &word))
        refuse(run, 200, word, VERDICT_GRANT);
}

static void error_member_variants(struct conform_run *run)
{
    size_t count = sim_body_queries(sim_path(entry_of(run), "error_path"));
    struct sim_play play = {.fault = SIM_ERROR, .status = 400, .error = word_of("invalid_grant")};
    conform_check(run, count > 1, "error_path has one place alone");
    for (play.error_query = 0; play.error_query < count; play.error_query++) {
        if (!conform_refresh(run, &play) || !conform_expect(run, VERDICT_GRANT))
            return;
    }
}

/* One code for several things: the number beside it tells. */
static void subcode(struct conform_run *run)
{
    static const struct {
        const char *list;
        enum verdict_class verdict;
    } lists[] = {{"reauth_errors", VERDICT_GRANT},
                 {"client_errors", VERDICT_CLIENT},
                 {"transient_errors", VERDICT_PROVIDER}};
    const struct connector *truth = run->conform->sim->entry;
    size_t count = 0;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t i = 0; i < sim_items(truth, lists[l].list); i++) {
            struct sim_word word = sim_word_of(sim_item(truth, lists[l].list, i, NULL), true);
            if (!word.subcode.data)
                continue;
            count++;
            if (!refuse(run, 400, word, lists[l].verdict))
                return;
            run->conform->sim->play_count = run->conform->sim->play_at = 0;
        }
    }
    conform_check(run, count > 0, "the entry lists no subcode");
}

static void throttle_text(struct conform_run *run)
{
    struct sim_word word;
    if (code_of(run, "throttle_errors", &word) && refuse(run, 200, word, VERDICT_THROTTLED))
        refuse(run, 400, word, VERDICT_THROTTLED);
}

/* One code for a dead token and for a bad request: the text beside it tells. */
static void dead_by_text(struct conform_run *run)
{
    const struct connector *truth = run->conform->sim->entry;
    size_t count = 0;
    for (size_t i = 0; i < sim_items(truth, "reauth_errors"); i++) {
        struct sim_word word = sim_word_of(sim_item(truth, "reauth_errors", i, NULL), true);
        if (!word.is_subcode_prefix)
            continue;
        count++;
        if (!refuse(run, 400, word, VERDICT_GRANT))
            return;
        run->conform->sim->play_count = run->conform->sim->play_at = 0;
        word.subcode = TEXT_LITERAL("Missing required parameter");
        if (!refuse(run, 400, word, VERDICT_CLIENT))
            return;
        run->conform->sim->play_count = run->conform->sim->play_at = 0;
    }
    conform_check(run, count > 0, "the entry tells no dead token by its text");
}

/* A mistake of the provider costs nobody a new consent: the second look finds the grant alive. */
static void wrong_invalid_grant(struct conform_run *run)
{
    if (conform_check(run, entry_of(run)->confirms_refusals, "a refusal is not confirmed"))
        conform_tell_mistake(run);
}

static void status_403(struct conform_run *run)
{
    refuse(run, 403, word_of("invalid_grant"), VERDICT_GRANT);
}

static void access_denied_is_client(struct conform_run *run)
{
    refuse(run, 401, word_of("access_denied"), VERDICT_CLIENT);
}

/* ---- rotation ----------------------------------------------------------------------------------- */

static void single_use(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    if (refresh_well(run, &play) && conform_keep(run))
        refresh_well(run, &play);
}

/* The stolen token ends the thief's grant and ours. */
static void family_revoked(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    if (!refresh_well(run, &play))
        return;
    run->now += 2 * GRACE_S;
    if (!conform_refresh(run, &play) || !conform_expect(run, VERDICT_GRANT) || !conform_keep(run))
        return;
    if (conform_refresh(run, &play))
        conform_expect(run, VERDICT_GRANT);
}

static void keeps_refresh_token(struct conform_run *run)
{
    const struct sim_play play = {.refreshed = SIM_REFRESHED_ABSENT};
    for (unsigned i = 0; i < 2; i++) {
        if (!refresh_well(run, &play) ||
            !conform_check(run, !call_outcome_part(&run->outcome, BURSAR_OUT_REFRESH_TOKEN).data,
                           "a refresh token was read where there is none"))
            return;
    }
}

static void same_token_back(struct conform_run *run)
{
    const struct sim_play play = {.refreshed = SIM_REFRESHED_SAME};
    if (refresh_well(run, &play))
        refresh_well(run, &play);
}

static void access_token_exchange(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    if (conform_check(run, sim_setting_is(entry_of(run), "refresh_with", "access_token"),
                      "the entry does not refresh with the access token") &&
        refresh_well(run, &play) && conform_keep(run))
        refresh_well(run, &play);
}

/* ---- replies ------------------------------------------------------------------------------------ */

#define PLAYED(name, ...)                           \
    static void name(struct conform_run *run)       \
    {                                               \
        const struct sim_play play = {__VA_ARGS__}; \
        refresh_well(run, &play);                   \
    }

PLAYED(refreshed, .fault = SIM_FINE)
PLAYED(several_tokens, .query = 1)
PLAYED(no_expiry, .expiry = SIM_EXPIRY_ABSENT)
PLAYED(null_expiry, .expiry = SIM_EXPIRY_NULL)
PLAYED(expires_zero, .expiry = SIM_EXPIRY_ZERO)
PLAYED(string_expiry, .expiry = SIM_EXPIRY_TEXT)
PLAYED(two_expiries, .has_refresh_expiry = true)
PLAYED(token_type_odd, .token_type = "User Access Token")
PLAYED(token_type_missing, .token_type = "")
PLAYED(scope_array, .scope = SIM_SCOPE_LIST)
PLAYED(scope_narrower, .scope = SIM_SCOPE_NARROWER)
PLAYED(jsonp_reply, .format = SIM_JSONP)
PLAYED(form_reply, .format = SIM_FORM)

static void reply_capture(struct conform_run *run)
{
    const struct connector *entry = entry_of(run);
    size_t count = sim_items(entry, "captures") + sim_items(entry, "callback_captures") +
                   sim_items(entry, "identity_metadata");
    for (size_t i = 0; i < settings_rows(entry->settings, "variables"); i++)
        count += text_is(settings_cell(entry->settings, "variables", i, "from"), "callback");
    if (conform_check(run, count > 0, "nothing of the callback or of a reply is kept"))
        refreshed(run);
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void get_method(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    if (refresh_well(run, &play))
        conform_check(run, strncmp(run->sent, "GET ", 4) == 0, "the request is no GET");
}

static void refresh_url(struct conform_run *run)
{
    if (has_setting(run, "refresh_url"))
        refreshed(run);
}

static void parameter_names(struct conform_run *run)
{
    if (has_setting(run, "parameter_names"))
        refreshed(run);
}

static void user_agent(struct conform_run *run)
{
    if (has_setting(run, "user_agent"))
        refreshed(run);
}

static void client_lifetime(struct conform_run *run)
{
    bool is_asked =
        sim_item_named(entry_of(run), "refresh_params", TEXT_LITERAL("expires_in")).data != NULL;
    if (conform_check(run, is_asked, "a refresh does not say how long tokens shall live"))
        refreshed(run);
}

static void code_parameter(struct conform_run *run)
{
    conform_check(run, !sim_setting_is(entry_of(run), "code_parameter", "code"),
                  "the callback's code has the usual name");
}

/* The first secret is over: the client is refused with it, and taken with the next. */
static void client_secret_rollover(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    struct sim *sim = run->conform->sim;
    if (!has_setting(run, "client_secret_life_days") || !has_setting(run, "client_secret_next"))
        return;
    sim->has_next_secret = true;
    if (!conform_check(run, !conform_refresh(run, &play) && run->verdict == VERDICT_CLIENT,
                       "a secret that is over is taken"))
        return;
    run->failure[0] = 0; /* what was refused had to be */
    run->has_next_secret = true;
    refresh_well(run, &play);
}

static void client_credentials_shared(struct conform_run *run)
{
    if (conform_check(run, entry_of(run)->mints, "the entry's secrets are not made anew"))
        single_use(run);
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void absolute_end(struct conform_run *run)
{
    if (conform_check(run, entry_of(run)->grant_ttl_s > 0, "the grant has no end"))
        refreshed(run);
}

/* ---- all ---------------------------------------------------------------------------------------- */

/* What the provider does whatever the entry says of it. */
enum forced { FORCE_NOTHING, FORCE_NONE, FORCE_GRACE, FORCE_STRICT, FORCE_AGE, FORCE_LATE };

static const struct {
    const char *name;
    conform_tell *tell;
    enum forced forced;
} quirks[] = {
    {"absolute_end", absolute_end, FORCE_NOTHING},
    {"access_denied_is_client", access_denied_is_client, FORCE_NOTHING},
    {"access_token_exchange", access_token_exchange, FORCE_NOTHING},
    {"authorize_fragment", conform_tell_fragment, FORCE_NOTHING},
    {"cached_reply", conform_tell_cached, FORCE_NOTHING},
    {"callback_scope", conform_tell_callback_scope, FORCE_NOTHING},
    {"client_credentials_shared", client_credentials_shared, FORCE_NOTHING},
    {"client_lifetime", client_lifetime, FORCE_NOTHING},
    {"client_secret_rollover", client_secret_rollover, FORCE_NOTHING},
    {"code_parameter", code_parameter, FORCE_NOTHING},
    {"dead_by_text", dead_by_text, FORCE_NOTHING},
    {"earliest_refresh", conform_tell_early, FORCE_LATE},
    {"envelope_code", envelope_code, FORCE_NOTHING},
    {"error_in_200", error_in_200, FORCE_NOTHING},
    {"error_member_variants", error_member_variants, FORCE_NOTHING},
    {"expires_zero", expires_zero, FORCE_NOTHING},
    {"family_revoked", family_revoked, FORCE_GRACE},
    {"form_reply", form_reply, FORCE_NOTHING},
    {"get_method", get_method, FORCE_NOTHING},
    {"jsonp_reply", jsonp_reply, FORCE_NOTHING},
    {"keeps_refresh_token", keeps_refresh_token, FORCE_NOTHING},
    {"minimum_age", conform_tell_early, FORCE_AGE},
    {"never_rotates", conform_tell_lost, FORCE_NONE},
    {"no_expiry", no_expiry, FORCE_NOTHING},
    {"no_refresh_token_in_reply", keeps_refresh_token, FORCE_NOTHING},
    {"null_expiry", null_expiry, FORCE_NOTHING},
    {"parameter_names", parameter_names, FORCE_NOTHING},
    {"redirect_uri_left_out", conform_tell_no_redirect_uri, FORCE_NOTHING},
    {"refresh_url", refresh_url, FORCE_NOTHING},
    {"reply_capture", reply_capture, FORCE_NOTHING},
    {"reuse_grace", conform_tell_lost, FORCE_GRACE},
    {"rotation_strict", conform_tell_lost, FORCE_STRICT},
    {"same_token_back", same_token_back, FORCE_NOTHING},
    {"scope_array", scope_array, FORCE_NOTHING},
    {"scope_narrower", scope_narrower, FORCE_NOTHING},
    {"second_grant", conform_tell_second, FORCE_NOTHING},
    {"several_tokens", several_tokens, FORCE_NOTHING},
    {"single_use", single_use, FORCE_STRICT},
    {"status_403", status_403, FORCE_NOTHING},
    {"string_expiry", string_expiry, FORCE_NOTHING},
    {"subcode", subcode, FORCE_NOTHING},
    {"throttle_text", throttle_text, FORCE_NOTHING},
    {"token_type_missing", token_type_missing, FORCE_NOTHING},
    {"token_type_odd", token_type_odd, FORCE_NOTHING},
    {"two_expiries", two_expiries, FORCE_NOTHING},
    {"uncertain_reply", conform_tell_lost, FORCE_STRICT},
    {"user_agent", user_agent, FORCE_NOTHING},
    {"wrong_invalid_grant", wrong_invalid_grant, FORCE_NOTHING},
};

static void force(struct sim *sim, enum forced forced)
{
    switch (forced) {
    case FORCE_NOTHING: break;
    case FORCE_NONE: sim->rotation = ROTATION_NONE; break;
    case FORCE_STRICT: sim->rotation = ROTATION_STRICT; break;
    case FORCE_GRACE:
        sim->rotation = ROTATION_REUSE_GRACE;
        sim->reuse_grace_s = GRACE_S;
        break;
    case FORCE_AGE:
        sim->minimum_age_s = DAY_S;
        sim->life_s = DAY_S + 60;
        break;
    case FORCE_LATE: sim->earliest_refresh_s = NEAR_END_S; break;
    }
}

int conform_quirk(struct conform *conform, const char *name)
{
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++) {
        if (strcmp(quirks[i].name, name) != 0)
            continue;
        force(conform->sim, quirks[i].forced);
        return conform_story(conform, name, quirks[i].tell);
    }
    return BURSAR_E_NOT_FOUND;
}
