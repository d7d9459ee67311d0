#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "sim/conform_parts.h"
#include "wire/pack.h"

enum { PACK_MAX = 1 << 16, STEPS_MAX = 4, SAMPLE_MAX = 1024, NAME_MAX_BYTES = 80, TRIES_MAX = 6 };

/* ---- the credential ----------------------------------------------------------------------------- */

static void pack_sample(const struct connector *entry, struct pack *map, struct text name)
{
    char key[NAME_MAX_BYTES];
    struct buf value = buf_make(SAMPLE_MAX);
    snprintf(key, sizeof key, "%.*s", (int)name.len, name.data);
    sim_sample(entry, name, &value);
    pack_text(map, key, buf_text(&value));
    buf_free(&value);
}

static void pack_names(const struct connector *entry, struct pack *map, const char *setting)
{
    struct text name;
    for (size_t i = 0; i < sim_items(entry, setting); i++) {
        sim_item(entry, setting, i, &name);
        pack_sample(entry, map, name);
    }
}

/* What a person would have filled in. */
static void pack_form(const struct connector *entry, struct pack *map)
{
    const struct bursar_field *field = entry->module->form;
    size_t rows = settings_rows(entry->settings, "form");
    for (size_t i = 0; i < rows; i++)
        pack_sample(entry, map, settings_cell(entry->settings, "form", i, "name"));
    for (; rows == 0 && field && field->name; field++) {
        if (!sim_setting(entry, field->name).data)
            pack_sample(entry, map, text_of(field->name));
    }
}

/* The secret as it is kept, with whatever templates of the entry may ask of it. */
static void pack_secret(const struct conform_run *run, struct buf *out)
{
    const struct connector *entry = run->conform->connector;
    struct pack map = pack_map(out);
    pack_string(&map, "kind", entry->module->secret_kind ? entry->module->secret_kind : "oauth2");
    pack_form(entry, &map);
    if (conform_can_refresh(run->conform) || call_can(entry, BURSAR_IDENTIFY))
        pack_string(&map, "access_token", run->conform->sim->grants[run->grant].access_token);
    struct pack fields = pack_map_in(&map, "fields");
    pack_names(entry, &fields, "captures");
    pack_names(entry, &fields, "callback_captures");
    pack_string(&fields, "redirect_uri", "https://app.example/callback");
    pack_string(&fields, "scopes", SIM_SCOPES_WIDE);
    pack_close(&fields);
    pack_close(&map);
}

static void pack_grant(const struct conform_run *run, struct buf *out)
{
    struct pack map = pack_map(out);
    pack_string(&map, "refresh_token", run->conform->sim->grants[run->grant].refresh_token);
    struct pack grant = pack_map_in(&map, "grant");
    pack_form(run->conform->connector, &grant);
    pack_close(&grant);
    pack_close(&map);
}

static void pack_metadata(const struct conform_run *run, struct buf *out)
{
    const struct connector *entry = run->conform->connector;
    struct pack map = pack_map(out);
    for (size_t i = 0; i < settings_rows(entry->settings, "variables"); i++) {
        if (!settings_cell(entry->settings, "variables", i, "default").data)
            pack_sample(entry, &map, settings_cell(entry->settings, "variables", i, "name"));
    }
    pack_close(&map);
}

static int fill(struct buf *pack, struct tree **tree)
{
    if (!*tree)
        *tree = tree_new();
    int result = *tree ? buf_error(pack) : BURSAR_E_NOMEM;
    return result == 0 ? tree_fill(*tree, buf_text(pack)) : result;
}

static int pack_all(struct conform_run *run)
{
    buf_clear(&run->secret_pack);
    buf_clear(&run->grant_pack);
    buf_clear(&run->metadata_pack);
    pack_secret(run, &run->secret_pack);
    pack_grant(run, &run->grant_pack);
    pack_metadata(run, &run->metadata_pack);
    int result = fill(&run->secret_pack, &run->secret);
    if (result == 0)
        result = fill(&run->grant_pack, &run->stored);
    return result == 0 ? fill(&run->metadata_pack, &run->metadata) : result;
}

/* ---- a case ------------------------------------------------------------------------------------- */

bool conform_wants(const struct conform *conform, const char *name)
{
    return !conform->only || strcmp(conform->only, name) == 0;
}

struct sim_grant *conform_grant(struct conform_run *run)
{
    return &run->conform->sim->grants[run->grant];
}

int conform_begin(struct conform *conform, const char *name, struct conform_run *out_run)
{
    struct sim *sim = conform->sim;
    *out_run = (struct conform_run){.conform = conform,
                                    .name = name,
                                    .now = conform->now,
                                    .inputs = call_values_make(),
                                    .secret_pack = buf_make_secret(PACK_MAX),
                                    .grant_pack = buf_make_secret(PACK_MAX),
                                    .metadata_pack = buf_make(PACK_MAX)};
    sim_reset(sim);
    sim->usual = (struct sim_play){0};
    sim->has_next_secret = false;
    out_run->grant = sim_consent(sim, conform->now);
    if (out_run->grant == SIZE_MAX)
        return BURSAR_E_NOMEM;
    conform_pass(out_run, 0);
    return pack_all(out_run);
}

static void forget(struct conform_run *run)
{
    http_reply_free(&run->reply);
    if (run->has_outcome)
        call_outcome_free(&run->outcome);
    run->has_outcome = false;
    run->reply = (struct http_reply){.end = EXCHANGE_UNSENT};
    run->steps = 0;
}

void conform_end(struct conform_run *run)
{
    struct conform *conform = run->conform;
    bool has_failed = run->failure[0] != 0;
    forget(run);
    tree_free(run->secret);
    tree_free(run->stored);
    tree_free(run->metadata);
    buf_free(&run->secret_pack);
    buf_free(&run->grant_pack);
    buf_free(&run->metadata_pack);
    call_values_free(&run->inputs);
    conform->failed += has_failed;
    conform->passed += !has_failed;
    conform->tell(conform->context, run->name, has_failed ? run->failure : NULL);
}

bool conform_fail(struct conform_run *run, const char *format, ...)
{
    va_list list;
    size_t len;
    if (run->failure[0] != 0)
        return false;
    va_start(list, format);
    vsnprintf(run->failure, sizeof run->failure, format, list);
    va_end(list);
    len = strlen(run->failure);
    if (run->sent[0] != 0)
        snprintf(run->failure + len, sizeof run->failure - len, "; sent: %s", run->sent);
    return false;
}

bool conform_check(struct conform_run *run, bool is_right, const char *what)
{
    return is_right || conform_fail(run, "%s", what);
}

bool conform_can_refresh(const struct conform *conform)
{
    return call_can(conform->connector, BURSAR_REFRESH);
}

bool conform_has_grant(const struct conform *conform)
{
    return conform_can_refresh(conform) && !conform->connector->mints;
}

enum verdict_class conform_lost(const struct conform *conform)
{
    return rotation_is_strict(conform->sim->rotation) ? VERDICT_UNCERTAIN : VERDICT_PROVIDER;
}

void conform_pass(struct conform_run *run, double jitter)
{
    const struct sim_grant *grant = conform_grant(run);
    const struct due_input input = {.issued_at = grant->issued_at,
                                    .expires_at = grant->expires_at,
                                    .hinted_at = EXPIRY_NEVER,
                                    .jitter = jitter};
    int64_t due_at = connector_due_at(run->conform->connector, &input);
    run->now = due_at > run->now ? due_at : run->now;
}

/* ---- an exchange -------------------------------------------------------------------------------- */

static struct call call_of(const struct conform_run *run, enum bursar_purpose purpose,
                           unsigned step, const struct call_values *captures)
{
    return (struct call){.connector = run->conform->connector,
                         .purpose = purpose,
                         .now = run->now,
                         .step = step,
                         .secret = tree_root(run->secret),
                         .grant = tree_root(run->stored),
                         .metadata = tree_root(run->metadata),
                         .inputs = &run->inputs,
                         .captures = captures,
                         .has_next_secret = run->has_next_secret};
}

/* Method, host and path: values stand in the query at most. */
static void note_request(struct conform_run *run, const struct call_request *request)
{
    struct text url = buf_text(&request->url);
    const char *mark = memchr(url.data, '?', url.len);
    snprintf(run->sent, sizeof run->sent, "%s %.*s", request->method,
             (int)(mark ? (size_t)(mark - url.data) : url.len), url.data);
}

static void judge(struct conform_run *run)
{
    const struct connector *connector = run->conform->connector;
    struct verdict_words words = connector_words(connector);
    const struct call_outcome *outcome = &run->outcome;
    struct verdict_input input = {.end = run->reply.end,
                                  .shape = run->has_outcome ? outcome->shape : REPLY_MALFORMED,
                                  .rotation = connector->rotation,
                                  .status = run->reply.status,
                                  .has_retry_after =
                                      http_reply_header(&run->reply, "Retry-After").len > 0};
    if (run->has_outcome) {
        input.error = call_outcome_part(outcome, BURSAR_OUT_ERROR);
        input.subcode = call_outcome_part(outcome, BURSAR_OUT_ERROR_SUBCODE);
    }
    run->verdict = verdict_of(&input, &words);
}

static void read_expiry(struct conform_run *run)
{
    const struct connector *connector = run->conform->connector;
    enum expiry_unit unit = connector->expires_unit;
    struct text given = call_outcome_part(&run->outcome, BURSAR_OUT_EXPIRES);
    expiry_unit_of(text_of(call_outcome_name(&run->outcome, BURSAR_OUT_EXPIRES)), &unit);
    if (!expiry_read(given, unit, run->now, &run->expires_at))
        run->expires_at =
            connector->default_ttl_s > 0 ? run->now + connector->default_ttl_s : EXPIRY_NEVER;
}

/* One request and its reply. Where the time that a silent provider is given was too short for the
 * request to arrive, it is sent again with more. */
static bool send_one(struct conform_run *run, const struct call *call, long timeout_ms)
{
    struct conform *conform = run->conform;
    struct sim *sim = conform->sim;
    for (unsigned i = 0;; i++) {
        struct call_request request;
        size_t before = sim->requests;
        conform->provider_now = run->now;
        run->built = call_build(call, &request);
        if (run->built < 0)
            return false;
        note_request(run, &request);
        sim->problem[0] = 0;
        http_reply_free(&run->reply);
        if (conform->send(conform->send_context, &request, timeout_ms, &run->reply) < 0)
            return conform_fail(run, "no memory");
        if (timeout_ms == 0 || sim->requests > before || i == TRIES_MAX)
            return true;
        timeout_ms *= 2;
    }
}

static bool read_one(struct conform_run *run, const struct call *call)
{
    struct call_reply reply = {run->reply.status, buf_text(&run->reply.headers),
                               buf_text(&run->reply.body)};
    const struct bursar_exchange *exchange = &call->connector->module->exchanges[call->purpose];
    if (run->has_outcome)
        call_outcome_free(&run->outcome);
    run->has_outcome = false;
    if (run->reply.end != EXCHANGE_REPLY || !exchange->read)
        return true;
    if (call_read(call, &reply, &run->outcome) < 0)
        return conform_fail(run, "no memory");
    run->has_outcome = true;
    return true;
}

bool conform_exchange(struct conform_run *run, enum bursar_purpose purpose, long timeout_ms)
{
    struct conform *conform = run->conform;
    struct call_values captures = call_values_make();
    bool goes_on = true, is_ok = true;
    forget(run);
    while (goes_on && is_ok) {
        struct call call = call_of(run, purpose, run->steps, &captures);
        is_ok = send_one(run, &call, timeout_ms) && read_one(run, &call);
        goes_on = is_ok && run->has_outcome && run->outcome.read == BURSAR_READ_NEXT &&
                  run->steps < STEPS_MAX && call_values_add(&captures, &run->outcome);
        run->steps++;
    }
    call_values_free(&captures);
    if (run->built < 0)
        return conform_fail(run, "no request could be made (%s)", bursar_error_text(run->built));
    if (!is_ok)
        return false;
    judge(run);
    if (run->has_outcome)
        read_expiry(run);
    return conform->sim->problem[0] == 0 ||
           conform_fail(run, "the provider refuses the request: %s", conform->sim->problem);
}

bool conform_refresh(struct conform_run *run, const struct sim_play *play)
{
    long timeout_ms = play->fault == SIM_HANG ? 25 : 0;
    sim_script(run->conform->sim, play);
    return conform_exchange(run, BURSAR_REFRESH, timeout_ms);
}

/* ---- what is expected --------------------------------------------------------------------------- */

static const char *name_of(enum verdict_class verdict)
{
    static const char *const names[] = {
        [VERDICT_OK] = "a new secret",         [VERDICT_GRANT] = "a dead grant",
        [VERDICT_CLIENT] = "a refused client", [VERDICT_PROVIDER] = "an outage",
        [VERDICT_THROTTLED] = "a throttle",    [VERDICT_UNCERTAIN] = "an uncertain end"};
    return names[verdict];
}

static void describe(const struct conform_run *run, char *to, size_t size)
{
    struct text code = run->has_outcome ? call_outcome_part(&run->outcome, BURSAR_OUT_ERROR)
                                        : (struct text){NULL, 0};
    struct text subcode = run->has_outcome
                              ? call_outcome_part(&run->outcome, BURSAR_OUT_ERROR_SUBCODE)
                              : (struct text){NULL, 0};
    if (run->reply.end != EXCHANGE_REPLY)
        snprintf(to, size, "no reply: %s", run->reply.error);
    else
        snprintf(to, size, "HTTP %d%s%.*s%s%.*s", run->reply.status, code.data ? ", error " : "",
                 (int)code.len, code.data ? code.data : "", subcode.data ? "/" : "",
                 (int)subcode.len, subcode.data ? subcode.data : "");
}

bool conform_expect(struct conform_run *run, enum verdict_class expected)
{
    char got[256];
    describe(run, got, sizeof got);
    return run->verdict == expected || conform_fail(run, "expected: %s; got: %s (%s)",
                                                    name_of(expected), name_of(run->verdict), got);
}

bool conform_expect_read(struct conform_run *run, enum bursar_read expected)
{
    static const char *const names[] = {[BURSAR_READ_OK] = "all is well",
                                        [BURSAR_READ_ERROR] = "an error",
                                        [BURSAR_READ_MALFORMED] = "nothing that can be read",
                                        [BURSAR_READ_NEXT] = "a further step",
                                        [BURSAR_READ_PENDING] = "not yet"};
    char got[256];
    describe(run, got, sizeof got);
    if (!run->has_outcome)
        return conform_fail(run, "expected: %s; got: %s", names[expected], got);
    return run->outcome.read == expected ||
           conform_fail(run, "expected: %s; got: %s (%s)", names[expected],
                        names[run->outcome.read], got);
}

static struct text part(const struct conform_run *run, enum bursar_emit which)
{
    return call_outcome_part(&run->outcome, which);
}

static bool expect_refresh_token(struct conform_run *run, const struct sim_play *play)
{
    const struct sim *sim = run->conform->sim;
    const struct sim_grant *grant = conform_grant(run);
    struct text got = part(run, BURSAR_OUT_REFRESH_TOKEN);
    bool is_changed = conform_has_grant(run->conform) && sim->rotation != ROTATION_NONE &&
                      play->refreshed == SIM_REFRESHED_BY_RULE;
    if (is_changed)
        return conform_check(run, text_is(got, grant->refresh_token),
                             "the new refresh token was not read");
    return conform_check(run, !got.data || text_is(got, grant->refresh_token),
                         "a refresh token was read that is none");
}

static bool expect_expiry(struct conform_run *run, const struct sim_play *play)
{
    const struct sim *sim = run->conform->sim;
    int64_t meant = 0;
    int64_t life_s = conform_grant(run)->expires_at - run->now;
    json_t *value = sim_expiry_value(sim_unit(sim->entry), play->expiry, run->now, life_s, &meant);
    int64_t default_ttl_s = run->conform->connector->default_ttl_s;
    bool is_told = value && sim_path(sim->entry, "expires_path").data;
    json_decref(value);
    if (!is_told || meant == 0)
        meant = default_ttl_s > 0 ? run->now + default_ttl_s : EXPIRY_NEVER;
    if (run->expires_at == meant)
        return true;
    if (run->expires_at == EXPIRY_NEVER || meant == EXPIRY_NEVER)
        return conform_fail(run, "the secret %s end, and was read as if it %s",
                            meant == EXPIRY_NEVER ? "does not" : "does",
                            meant == EXPIRY_NEVER ? "did" : "did not");
    return conform_fail(run, "the secret ends in %lld s, and was read as ending in %lld s",
                        (long long)(meant - run->now), (long long)(run->expires_at - run->now));
}

static bool expect_refresh_expiry(struct conform_run *run)
{
    const struct connector *connector = run->conform->connector;
    enum expiry_unit unit = connector->refresh_expires_unit;
    int64_t meant = run->now + 2 * (conform_grant(run)->expires_at - run->now), got = 0;
    expiry_unit_of(text_of(call_outcome_name(&run->outcome, BURSAR_OUT_REFRESH_EXPIRES)), &unit);
    expiry_read(part(run, BURSAR_OUT_REFRESH_EXPIRES), unit, run->now, &got);
    return got == meant || conform_fail(run, "the end of the refresh token was not read");
}

static bool expect_scopes(struct conform_run *run, const struct sim_play *play)
{
    struct text got = part(run, BURSAR_OUT_SCOPES);
    if (!sim_path(run->conform->sim->entry, "scope_path").data)
        return true;
    if (play->scope == SIM_SCOPE_ABSENT)
        return conform_check(run, !got.data, "scopes were read where there are none");
    return conform_check(
        run, text_is(got, play->scope == SIM_SCOPE_NARROWER ? SIM_SCOPES_NARROW : SIM_SCOPES_WIDE),
        "the scopes were not read");
}

/* What a path finds in the reply as it was sent. */
static json_t *find(const json_t *root, struct text path)
{
    json_t *value = NULL;
    for (size_t i = 0; i < sim_body_queries(path) && (!value || json_is_null(value)); i++)
        value = sim_body_get(root, path, i);
    return value;
}

static bool has_field(const struct conform_run *run, struct text name, struct text value)
{
    for (size_t i = 0; i < run->outcome.part_count; i++) {
        const struct call_part *at = &run->outcome.parts[i];
        if (at->part == BURSAR_OUT_FIELD && text_is(name, at->name))
            return text_equal(call_part_value(&run->outcome, at), value);
    }
    return false;
}

static bool expect_captures(struct conform_run *run)
{
    const struct connector *truth = run->conform->sim->entry;
    struct text body = buf_text(&run->reply.body), name;
    json_t *root = json_loadb(body.data, body.len, JSON_DECODE_ANY, NULL);
    bool is_ok = true;
    for (size_t i = 0; root && is_ok && i < sim_items(truth, "captures"); i++) {
        struct text path = sim_item(truth, "captures", i, &name);
        const json_t *value = find(root, path);
        if (json_is_string(value) &&
            !has_field(run, name,
                       (struct text){json_string_value(value), json_string_length(value)}))
            is_ok =
                conform_fail(run, "the capture \"%.*s\" was not kept", (int)name.len, name.data);
    }
    json_decref(root);
    return is_ok;
}

bool conform_expect_secret(struct conform_run *run, const struct sim_play *play)
{
    const struct sim_grant *grant = conform_grant(run);
    if (!conform_expect(run, VERDICT_OK))
        return false;
    return conform_check(run, text_is(part(run, BURSAR_OUT_ACCESS_TOKEN), grant->access_token),
                         "the access token was read wrongly") &&
           expect_refresh_token(run, play) && expect_expiry(run, play) &&
           (!play->has_refresh_expiry || expect_refresh_expiry(run)) && expect_scopes(run, play) &&
           expect_captures(run);
}

bool conform_keep(struct conform_run *run)
{
    conform_pass(run, 0);
    return pack_all(run) == 0 || conform_fail(run, "no memory");
}
