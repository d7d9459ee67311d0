#include "sim/conform.h"

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "sim/conform_parts.h"

/* ---- one refresh each --------------------------------------------------------------------------- */

/* What a refresh of this play has to come to. */
enum expected {
    EXPECT_SECRET,
    EXPECT_LOST,   /* by the provider's rotation */
    EXPECT_STATUS, /* by the status, as the entry's words have it */
    EXPECT_THROTTLE,
};

static bool always(const struct conform *conform)
{
    (void)conform;
    return true;
}

static bool has_path(const struct conform *conform, const char *name)
{
    return sim_path(conform->sim->entry, name).data != NULL;
}

static bool has_scopes(const struct conform *conform)
{
    return has_path(conform, "scope_path");
}

static bool has_expiry(const struct conform *conform)
{
    return has_path(conform, "expires_path");
}

/* A number can be written in other ways than a date. */
static bool has_number(const struct conform *conform)
{
    return has_expiry(conform) && !text_is(sim_unit(conform->sim->entry), "iso8601");
}

static bool has_refresh_expiry(const struct conform *conform)
{
    return has_path(conform, "refresh_expires_path");
}

static bool has_second_path(const struct conform *conform)
{
    return sim_body_queries(sim_path(conform->sim->entry, "access_token_path")) > 1;
}

/* Whether the format holds what the entry's paths point at. */
static bool fits(const struct conform *conform, enum sim_format format)
{
    struct sim *sim = conform->sim;
    const struct sim_play play = {.format = format};
    const struct sim_grant grant = {.access_token = "a", .refresh_token = "r", .expires_at = 3600};
    struct sim_reply reply;
    if (!sim_success(sim, &play, &grant, true, 0, &reply))
        return false;
    sim_reply_free(&reply);
    return true;
}

static bool fits_form(const struct conform *conform)
{
    return fits(conform, SIM_FORM);
}

static bool fits_jsonp(const struct conform *conform)
{
    return fits(conform, SIM_JSONP);
}

static bool fits_xml(const struct conform *conform)
{
    return fits(conform, SIM_XML);
}

static bool can_keep(const struct conform *conform)
{
    return conform_has_grant(conform);
}

static const struct {
    const char *name;
    bool (*applies)(const struct conform *conform);
    enum expected expected;
    struct sim_play play;
} cases[] = {
    {"refresh", always, EXPECT_SECRET, {.fault = SIM_FINE}},
    {"values at the second of their paths", has_second_path, EXPECT_SECRET, {.query = 1}},
    {"no refresh token in the reply", can_keep, EXPECT_SECRET, {.refreshed = SIM_REFRESHED_ABSENT}},
    {"the same refresh token back", can_keep, EXPECT_SECRET, {.refreshed = SIM_REFRESHED_SAME}},
    {"an end written as a text", has_number, EXPECT_SECRET, {.expiry = SIM_EXPIRY_TEXT}},
    {"an end with a fraction", has_number, EXPECT_SECRET, {.expiry = SIM_EXPIRY_FRACTION}},
    {"no end in the reply", has_expiry, EXPECT_SECRET, {.expiry = SIM_EXPIRY_ABSENT}},
    {"an end that is null", has_expiry, EXPECT_SECRET, {.expiry = SIM_EXPIRY_NULL}},
    {"an end that is 0", has_expiry, EXPECT_SECRET, {.expiry = SIM_EXPIRY_ZERO}},
    {"an end in the past", has_expiry, EXPECT_SECRET, {.expiry = SIM_EXPIRY_NEGATIVE}},
    {"an absurd end", has_expiry, EXPECT_SECRET, {.expiry = SIM_EXPIRY_ABSURD}},
    {"an end that is a word", has_expiry, EXPECT_SECRET, {.expiry = SIM_EXPIRY_WORD}},
    {"an end of the refresh token",
     has_refresh_expiry,
     EXPECT_SECRET,
     {.has_refresh_expiry = true}},
    {"scopes with blanks", has_scopes, EXPECT_SECRET, {.scope = SIM_SCOPE_SPACES}},
    {"scopes with commas", has_scopes, EXPECT_SECRET, {.scope = SIM_SCOPE_COMMAS}},
    {"scopes as a list", has_scopes, EXPECT_SECRET, {.scope = SIM_SCOPE_LIST}},
    {"narrower scopes", has_scopes, EXPECT_SECRET, {.scope = SIM_SCOPE_NARROWER}},
    {"no token_type", always, EXPECT_SECRET, {.token_type = ""}},
    {"another token_type", always, EXPECT_SECRET, {.token_type = "User Access Token"}},
    {"a form-encoded reply", fits_form, EXPECT_SECRET, {.format = SIM_FORM}},
    {"a JSONP reply", fits_jsonp, EXPECT_SECRET, {.format = SIM_JSONP}},
    {"an XML reply", fits_xml, EXPECT_SECRET, {.format = SIM_XML}},
    {"a slow reply", always, EXPECT_SECRET, {.delay_ms = 5}},
    {"a page with HTTP 200", always, EXPECT_LOST, {.fault = SIM_HTML, .status = 200}},
    {"an empty reply", always, EXPECT_LOST, {.fault = SIM_EMPTY}},
    {"half a reply", always, EXPECT_LOST, {.fault = SIM_TRUNCATED}},
    {"the connection ends within the reply", always, EXPECT_LOST, {.fault = SIM_CUT_IN_BODY}},
    {"the connection ends before the reply", always, EXPECT_LOST, {.fault = SIM_LOST}},
    {"a reply that never comes", always, EXPECT_LOST, {.fault = SIM_HANG}},
    {"a page with HTTP 403", always, EXPECT_STATUS, {.fault = SIM_HTML, .status = 403}},
    {"a page with HTTP 404", always, EXPECT_STATUS, {.fault = SIM_HTML, .status = 404}},
    {"HTTP 302", always, EXPECT_STATUS, {.fault = SIM_HTML, .status = 302}},
    {"HTTP 500", always, EXPECT_STATUS, {.fault = SIM_EMPTY, .status = 500}},
    {"a page with HTTP 502", always, EXPECT_STATUS, {.fault = SIM_HTML, .status = 502}},
    {"HTTP 503 with Retry-After",
     always,
     EXPECT_STATUS,
     {.fault = SIM_EMPTY, .status = 503, .retry_after_s = 30}},
    {"HTTP 429 with Retry-After",
     always,
     EXPECT_THROTTLE,
     {.fault = SIM_ERROR, .status = 429, .error.code = {"slow_down", 9}, .retry_after_s = 30}},
    {"a page with HTTP 429", always, EXPECT_THROTTLE, {.fault = SIM_HTML, .status = 429}},
};

/* What a status alone says: the entry's words, or else what HTTP means by it. */
static enum verdict_class class_of_status(const struct conform *conform, int status,
                                          bool is_delayed)
{
    static const struct {
        const char *list;
        enum verdict_class verdict;
    } lists[] = {{"throttle_errors", VERDICT_THROTTLED},
                 {"transient_errors", VERDICT_PROVIDER},
                 {"reauth_errors", VERDICT_GRANT},
                 {"client_errors", VERDICT_CLIENT}};
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t i = 0; i < sim_items(conform->sim->entry, lists[l].list); i++) {
            struct sim_word word =
                sim_word_of(sim_item(conform->sim->entry, lists[l].list, i, NULL), true);
            if (word.status == status && !word.code.data)
                return lists[l].verdict;
        }
    }
    if (status == 404 || status == 302)
        return VERDICT_CLIENT;
    return is_delayed ? VERDICT_THROTTLED : VERDICT_PROVIDER;
}

static int run_case(struct conform *conform, size_t index)
{
    const struct sim_play *play = &cases[index].play;
    struct conform_run run;
    int result = conform_begin(conform, cases[index].name, &run);
    if (result == 0 && conform_refresh(&run, play)) {
        switch (cases[index].expected) {
        case EXPECT_SECRET: conform_expect_secret(&run, play); break;
        case EXPECT_LOST: conform_expect(&run, conform_lost(conform)); break;
        case EXPECT_THROTTLE: conform_expect(&run, VERDICT_THROTTLED); break;
        case EXPECT_STATUS:
            conform_expect(&run, class_of_status(conform, play->status, play->retry_after_s > 0));
            break;
        }
    }
    conform_end(&run);
    return result;
}

/* ---- stories of several refreshes --------------------------------------------------------------- */

/* A second refresh with what the first one gave. */
static void tell_chain(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    for (unsigned i = 0; i < 3; i++) {
        if (!conform_refresh(run, &play) || !conform_expect_secret(run, &play) ||
            !conform_keep(run))
            return;
    }
}

void conform_tell_lost(struct conform_run *run)
{
    const struct sim_play lost = {.fault = SIM_LOST}, play = {.fault = SIM_FINE};
    bool is_lost = conform_lost(run->conform) == VERDICT_UNCERTAIN;
    if (!conform_refresh(run, &lost) || !conform_expect(run, conform_lost(run->conform)) ||
        !conform_refresh(run, &play))
        return;
    if (is_lost)
        conform_expect(run, VERDICT_GRANT);
    else
        conform_expect_secret(run, &play);
}

static void tell_dead(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    conform_grant(run)->is_alive = false;
    if (conform_refresh(run, &play))
        conform_expect(run, VERDICT_GRANT);
}

void conform_tell_mistake(struct conform_run *run)
{
    const struct sim_play wrong = {.fault = SIM_DEAD}, play = {.fault = SIM_FINE};
    if (conform_refresh(run, &wrong) && conform_expect(run, VERDICT_GRANT) &&
        conform_refresh(run, &play))
        conform_expect_secret(run, &play);
}

void conform_tell_early(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE};
    run->now = run->conform->now;
    conform_pass(run, -1);
    if (conform_refresh(run, &play))
        conform_expect_secret(run, &play);
}

void conform_tell_cached(struct conform_run *run)
{
    const struct sim_play play = {.fault = SIM_FINE}, again = {.is_cached = true};
    if (!conform_refresh(run, &play) || !conform_expect_secret(run, &play))
        return;
    run->now += 60;
    if (conform_refresh(run, &again))
        conform_expect_secret(run, &again);
}

static bool has_limits(const struct conform *conform)
{
    return conform_can_refresh(conform) &&
           (conform->sim->earliest_refresh_s >= 0 || conform->sim->minimum_age_s > 0);
}

static const struct {
    const char *name;
    bool (*applies)(const struct conform *conform);
    conform_tell *tell;
} stories[] = {
    {"refreshes one after the other", conform_can_refresh, tell_chain},
    {"the old token after a lost reply", conform_has_grant, conform_tell_lost},
    {"a dead grant", conform_has_grant, tell_dead},
    {"a grant called dead by mistake", conform_has_grant, conform_tell_mistake},
    {"a refresh as early as it may be", has_limits, conform_tell_early},
    {"the same token as long as it lives", conform_has_grant, conform_tell_cached},
};

int conform_story(struct conform *conform, const char *name, conform_tell *tell)
{
    struct conform_run run;
    int result = conform_begin(conform, name, &run);
    if (result == 0)
        tell(&run);
    conform_end(&run);
    return result;
}

int conform_run(struct conform *conform)
{
    int result = 0;
    bool can_refresh = conform_can_refresh(conform);
    for (size_t i = 0; can_refresh && result == 0 && i < sizeof cases / sizeof cases[0]; i++) {
        if (conform_wants(conform, cases[i].name) && cases[i].applies(conform))
            result = run_case(conform, i);
    }
    for (size_t i = 0; result == 0 && i < sizeof stories / sizeof stories[0]; i++) {
        if (conform_wants(conform, stories[i].name) && stories[i].applies(conform))
            result = conform_story(conform, stories[i].name, stories[i].tell);
    }
    if (result == 0 && can_refresh)
        result = conform_words(conform);
    return result == 0 ? conform_consent(conform) : result;
}
