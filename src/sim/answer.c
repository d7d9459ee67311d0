#include <stdio.h>
#include <string.h>

#include "sim/sim_parts.h"

enum { DEVICE_LIFE_S = 900, INTERVAL_S = 5, BODY_MAX = 65536, HEADERS_MAX = 8192 };

struct answering {
    struct sim *sim;
    const struct sim_seen *seen;
    struct sim_check check;
    struct sim_play play;
    int64_t now;
    struct sim_reply reply;
};

static void refuse(struct answering *self, int status, const char *code)
{
    struct sim_play play = {.fault = SIM_ERROR, .status = status, .error.code = text_of(code)};
    sim_error(self->sim, &play, &self->reply);
}

/* The request itself was wrong. */
static void refuse_request(struct answering *self)
{
    struct sim *sim = self->sim;
    snprintf(sim->problem, sizeof sim->problem, "%s", self->check.problem);
    if (self->check.is_client_wrong)
        refuse(self, 401, "invalid_client");
    else
        refuse(self, 400, "invalid_request");
}

static void refuse_grant(struct answering *self)
{
    struct sim_play play = {.fault = SIM_DEAD};
    sim_error(self->sim, &play, &self->reply);
}

static struct sim_play next_play(struct sim *sim)
{
    sim->arrived++;
    return sim->play_at < sim->play_count ? sim->plays[sim->play_at++] : sim->usual;
}

static bool fails_before(enum sim_fault fault)
{
    return fault == SIM_ERROR || fault == SIM_DEAD || fault == SIM_HTML || fault == SIM_EMPTY ||
           fault == SIM_PENDING || fault == SIM_SLOW_DOWN;
}

static void fail_before(struct answering *self)
{
    struct sim_play play = self->play;
    if (play.fault == SIM_EMPTY && play.status == 0)
        play.status = 200;
    if (play.fault == SIM_PENDING || play.fault == SIM_SLOW_DOWN) {
        play.error.code =
            text_of(play.fault == SIM_PENDING ? "authorization_pending" : "slow_down");
        play.fault = SIM_ERROR;
    }
    sim_error(self->sim, &play, &self->reply);
}

/* The tokens were changed; what comes back of it is the play's. */
static void succeed(struct answering *self, size_t index, bool has_refresh_token)
{
    struct sim *sim = self->sim;
    struct sim_reply *reply = &self->reply;
    sim->grant = index;
    if (!sim_success(sim, &self->play, &sim->grants[index], has_refresh_token, self->now, reply)) {
        snprintf(sim->problem, sizeof sim->problem,
                 "the entry's own words for a good reply cannot be true together");
        refuse(self, 500, "server_error");
        return;
    }
    switch (self->play.fault) {
    case SIM_TRUNCATED: buf_truncate(&reply->body, reply->body.len / 2); break;
    case SIM_CUT_IN_BODY: reply->end = SIM_END_CUT; break;
    case SIM_LOST: reply->end = SIM_END_NONE; break;
    case SIM_HANG: reply->end = SIM_END_NEVER; break;
    default: break;
    }
    reply->delay_ms = self->play.delay_ms;
}

/* ---- a refresh ---------------------------------------------------------------------------------- */

/* Some refuse what comes before its time. */
static bool is_too_early(const struct sim *sim, const struct sim_grant *grant, int64_t now)
{
    return (sim->earliest_refresh_s >= 0 && now < grant->expires_at - sim->earliest_refresh_s) ||
           (sim->minimum_age_s > 0 && now < grant->issued_at + sim->minimum_age_s);
}

/* Whether a token that is not the newest may be used once more. A token that comes back after that
 * was stolen: the whole family ends. */
static bool may_replay(struct sim *sim, size_t index, unsigned generation, int64_t now)
{
    struct sim_grant *grant = &sim->grants[index];
    int64_t at = sim_used_at(sim, index, generation);
    bool is_in_grace = sim->rotation == ROTATION_REUSE_GRACE && at > 0 &&
                       (sim->reuse_grace_s == 0 || now - at <= sim->reuse_grace_s);
    if (is_in_grace)
        grant->replayed++;
    else
        grant->is_alive = false;
    return is_in_grace;
}

/* A use of a token that works: the next generation, or the same where nothing changes. */
static void give_new(struct answering *self, size_t index, bool rotates, bool is_newest)
{
    struct sim *sim = self->sim;
    bool keeps = !rotates || self->play.refreshed != SIM_REFRESHED_BY_RULE;
    if (!keeps && is_newest && !sim_spend(sim, index, self->now)) {
        refuse(self, 500, "server_error");
        return;
    }
    sim->grants[index].refreshed++;
    sim_issue(sim, index, self->now, !keeps);
    succeed(self, index, !keeps || self->play.refreshed == SIM_REFRESHED_SAME);
}

static void refresh(struct answering *self, struct text token)
{
    struct sim *sim = self->sim;
    bool is_access = sim_setting_is(sim->entry, "refresh_with", "access_token");
    size_t index = 0;
    unsigned generation = 0;
    if (fails_before(self->play.fault)) {
        fail_before(self);
        return;
    }
    if (!sim_read_token(sim, token, is_access ? "at" : "rt", &index, &generation)) {
        refuse_grant(self);
        return;
    }
    struct sim_grant *grant = &sim->grants[index];
    bool rotates = sim->rotation != ROTATION_NONE && !is_access;
    bool is_newest = text_is(token, is_access ? grant->access_token : grant->refresh_token);
    bool is_cached = self->play.is_cached && self->now < grant->expires_at && grant->refreshed > 0;
    if (is_cached) {
        succeed(self, index, true);
    } else if (grant->is_alive && is_newest && is_too_early(sim, grant, self->now)) {
        snprintf(sim->problem, sizeof sim->problem, "the refresh comes too early");
        refuse(self, 400, "too_early");
    } else if (!grant->is_alive ||
               (rotates && !is_newest && !may_replay(sim, index, generation, self->now))) {
        grant->refused++;
        refuse_grant(self);
    } else {
        give_new(self, index, rotates, is_newest);
    }
}

/* ---- the other token requests ------------------------------------------------------------------- */

static void exchange_code(struct answering *self, struct text code)
{
    struct sim *sim = self->sim;
    size_t index = 0;
    unsigned generation = 0;
    bool is_known = sim_read_token(sim, code, "code", &index, &generation);
    if (fails_before(self->play.fault)) {
        fail_before(self);
    } else if (!is_known || sim->grants[index].is_code_used) {
        refuse_grant(self);
    } else {
        sim->grants[index].is_code_used = true;
        sim->grants[index].awaits_second = sim_setting(sim->entry, "exchange.url").data != NULL;
        if (self->play.has_second && (sim->second = sim_consent(sim, self->now)) == SIZE_MAX) {
            refuse(self, 500, "server_error");
            return;
        }
        succeed(self, index, self->play.refreshed != SIM_REFRESHED_ABSENT);
    }
}

static void poll_device(struct answering *self, struct text code)
{
    size_t index = 0;
    unsigned generation = 0;
    if (fails_before(self->play.fault))
        fail_before(self);
    else if (sim_read_token(self->sim, code, "device", &index, &generation))
        succeed(self, index, true);
    else
        refuse_grant(self);
}

static void mint(struct answering *self)
{
    if (fails_before(self->play.fault)) {
        fail_before(self);
        return;
    }
    if (self->sim->grant_count == 0 && sim_consent(self->sim, self->now) == SIZE_MAX) {
        refuse(self, 500, "server_error");
        return;
    }
    self->sim->grants[0].refreshed++;
    sim_issue(self->sim, 0, self->now, false);
    succeed(self, 0, false);
}

/* ---- endpoints ---------------------------------------------------------------------------------- */

static void answer_json(struct answering *self, json_t *root)
{
    struct sim_reply reply = {
        .status = 200, .headers = buf_make(HEADERS_MAX), .body = buf_make(BODY_MAX)};
    buf_append_string(&reply.headers, "Content-Type: application/json");
    buf_append_byte(&reply.headers, 0);
    sim_body_write(root, SIM_JSON, &reply.body);
    json_decref(root);
    self->reply = reply;
}

static const struct sim_grant *last_grant(struct sim *sim)
{
    return sim->grant_count > 0 ? &sim->grants[sim->grant_count - 1] : NULL;
}

static bool is_mint(const struct connector *entry)
{
    return entry->mints && !sim_setting_is(entry, "refresh_with", "access_token");
}

static bool at_device(struct answering *self)
{
    if (!sim_check_device(&self->check))
        return false;
    size_t index = sim_consent(self->sim, self->now);
    if (index == SIZE_MAX)
        refuse(self, 500, "server_error");
    else
        answer_json(self, json_pack("{s:s,s:s,s:s,s:i,s:i}", "device_code",
                                    self->sim->grants[index].device_code, "user_code", "WDJB-MJHT",
                                    "verification_uri", "https://provider.example/device",
                                    "expires_in", (int)DEVICE_LIFE_S, "interval", (int)INTERVAL_S));
    return true;
}

static bool at_token(struct answering *self)
{
    const struct sim_seen *seen = self->seen;
    const struct connector *entry = self->sim->entry;
    struct text device = sim_seen_any(seen, sim_parameter(entry, "device_code"));
    struct text token = sim_seen_any(seen, sim_parameter(entry, "refresh_token"));
    struct text code = sim_seen_any(seen, sim_parameter(entry, "code"));
    struct text grant_type = sim_seen_any(seen, sim_parameter(entry, "grant_type"));
    struct text url = sim_setting(entry, "token_url");
    bool is_code =
        code.data && (!token.data || text_equal(grant_type, sim_setting(entry, "code_grant_type")));
    if (!token.data && !device.data && !is_code && url.data &&
        text_equal(url, sim_setting(entry, "device_url")))
        return at_device(self);
    self->play = next_play(self->sim);
    if (is_mint(entry)) {
        if (!sim_check_mint(&self->check))
            return false;
        mint(self);
    } else if (device.data) {
        if (!sim_check_poll(&self->check, device))
            return false;
        poll_device(self, device);
    } else if (is_code) {
        if (!sim_check_exchange(&self->check, code))
            return false;
        exchange_code(self, code);
    } else {
        if (!sim_check_refresh(&self->check, token))
            return false;
        refresh(self, token);
    }
    return true;
}

static void finish_exchange(struct answering *self)
{
    size_t index = self->sim->grant_count - 1;
    self->sim->grants[index].awaits_second = false;
    sim_issue(self->sim, index, self->now, false);
    succeed(self, index, true);
}

/* The second step of an exchange: a longer token for the first. */
static bool at_second(struct answering *self)
{
    const struct sim_grant *grant = last_grant(self->sim);
    self->play = next_play(self->sim);
    if (!grant)
        refuse_grant(self);
    else if (!sim_check_second(&self->check, text_of(grant->access_token)))
        return false;
    else
        finish_exchange(self);
    return true;
}

/* RFC 7009 section 2.2: an unknown token is done too. */
static bool at_revoke(struct answering *self)
{
    const struct sim_grant *grant = last_grant(self->sim);
    struct text refresh_token = text_of(grant ? grant->refresh_token : NULL);
    struct text access_token = text_of(grant ? grant->access_token : NULL);
    sim_check_know(&self->check, "access_token", access_token);
    sim_check_know(&self->check, "refresh_token", refresh_token);
    if (!sim_check_revoke(&self->check, refresh_token, access_token))
        return false;
    if (grant)
        self->sim->grants[self->sim->grant_count - 1].is_alive = false;
    answer_json(self, json_object());
    return true;
}

static bool at_identity(struct answering *self)
{
    const struct sim_grant *grant = last_grant(self->sim);
    json_t *root = NULL;
    sim_check_know(&self->check, "access_token", text_of(grant ? grant->access_token : NULL));
    if (!sim_check_identity(&self->check))
        return false;
    sim_body_put(&root, sim_path(self->sim->entry, "identity_path"), 0, json_string("account-1"),
                 true);
    answer_json(self, root ? root : json_object());
    return true;
}

static void put_validated(const struct connector *entry, json_t **root)
{
    struct text path = settings_text(entry->settings, "validate.username_path");
    for (size_t i = 0; i < sim_items(entry, "success"); i++)
        sim_body_satisfy(root, sim_item(entry, "success", i, NULL));
    if (path.data)
        sim_body_put(root, path, 0, json_string("somebody"), false);
}

static bool at_validate(struct answering *self)
{
    json_t *root = NULL;
    self->play = next_play(self->sim);
    if (!sim_check_validate(&self->check))
        return false;
    if (fails_before(self->play.fault)) {
        fail_before(self);
        return true;
    }
    put_validated(self->sim->entry, &root);
    answer_json(self, root ? root : json_object());
    return true;
}

struct sim_reply sim_answer(struct sim *sim, const struct sim_request *request, int64_t now)
{
    static bool (*const at[])(struct answering * self) = {
        [SIM_DOOR_SECOND] = at_second,     [SIM_DOOR_REVOKE] = at_revoke,
        [SIM_DOOR_STS] = at_token,         [SIM_DOOR_REFRESH] = at_token,
        [SIM_DOOR_TOKEN] = at_token,       [SIM_DOOR_DEVICE] = at_device,
        [SIM_DOOR_IDENTITY] = at_identity, [SIM_DOOR_VALIDATE] = at_validate};
    struct sim_seen seen = sim_seen_of(request);
    struct answering self = {.sim = sim,
                             .seen = &seen,
                             .check = sim_check_of(sim->entry, &seen, sim->has_next_secret),
                             .now = now};
    const struct sim_grant *grant = last_grant(sim);
    enum sim_door door = sim_door_of(sim->entry, &self.check, grant && grant->awaits_second);
    sim->requests++;
    if (door == SIM_DOOR_COUNT) {
        snprintf(sim->problem, sizeof sim->problem, "no endpoint of the entry is at this URL");
        refuse(&self, 404, "not_found");
    } else if (sim_door_is_wrong(sim->entry, &self.check, door)) {
        snprintf(sim->problem, sizeof sim->problem, "the refresh went to token_url");
        refuse(&self, 404, "not_found");
    } else if (!at[door](&self)) {
        refuse_request(&self);
    }
    sim_seen_free(&seen);
    return self.reply;
}
