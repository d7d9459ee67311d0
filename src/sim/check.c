#include "sim/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { VALUE_MAX = 8192, NAME_MAX_BYTES = 80, SEGMENTS = 3 };

static const char grant_device[] = "urn:ietf:params:oauth:grant-type:device_code";
static const char grant_exchange[] = "urn:ietf:params:oauth:grant-type:token-exchange";
static const struct text any = {NULL, 0};

struct sim_check sim_check_of(const struct connector *entry, const struct sim_seen *seen,
                              bool has_next_secret)
{
    struct sim_check check = {.entry = entry, .seen = seen};
    check.client_secret =
        sim_setting(entry, has_next_secret ? "client_secret_next" : "client_secret");
    sim_check_know(&check, "client_id", sim_setting(entry, "client_id"));
    sim_check_know(&check, "client_secret", check.client_secret);
    return check;
}

void sim_check_know(struct sim_check *check, const char *name, struct text value)
{
    size_t at = 0;
    while (at + 2 < sizeof check->known / sizeof check->known[0] && check->known[at].name)
        at++;
    if (value.data && !check->known[at].name)
        check->known[at] = (struct sim_known){name, value};
}

__attribute__((format(printf, 2, 3))) static bool fail(struct sim_check *check, const char *format,
                                                       ...)
{
    va_list list;
    va_start(list, format);
    if (check->problem[0] == 0)
        vsnprintf(check->problem, sizeof check->problem, format, list);
    va_end(list);
    return false;
}

/* ---- method and headers ------------------------------------------------------------------------- */

bool sim_check_method(struct sim_check *check, const char *const *settings, const char *otherwise)
{
    const char *method = check->seen->request->method;
    struct text wanted = {NULL, 0};
    for (; *settings && !wanted.data; settings++)
        wanted = sim_setting(check->entry, *settings);
    if (!wanted.data)
        wanted = text_of(otherwise);
    return text_is(wanted, method) ||
           fail(check, "the method is %s, not %.*s", method, (int)wanted.len, wanted.data);
}

static bool check_header(struct sim_check *check, struct text name, struct text template)
{
    char copy[NAME_MAX_BYTES];
    snprintf(copy, sizeof copy, "%.*s", (int)name.len, name.data);
    struct text value = sim_request_header(check->seen->request, copy);
    if (!value.data)
        return fail(check, "the header \"%s\" is missing", copy);
    return sim_matches(template, value, false, check->known) ||
           fail(check, "the header \"%s\" has another value", copy);
}

static bool check_headers(struct sim_check *check, const char *map)
{
    struct text agent = sim_setting(check->entry, "user_agent");
    struct text name;
    bool is_ok = true;
    if (agent.data)
        is_ok = check_header(check, TEXT_LITERAL("User-Agent"), agent);
    else if (sim_request_header(check->seen->request, "User-Agent").len == 0)
        is_ok = fail(check, "there is no User-Agent");
    for (size_t i = 0; is_ok && i < sim_items(check->entry, map); i++) {
        struct text template = sim_item(check->entry, map, i, &name);
        is_ok = check_header(check, name, template);
    }
    return is_ok;
}

/* ---- parameters --------------------------------------------------------------------------------- */

enum sim_place sim_check_place(const struct sim_check *check)
{
    if (strcmp(check->seen->request->method, "GET") == 0 ||
        sim_setting_is(check->entry, "body_format", "query"))
        return SIM_QUERY;
    return sim_setting_is(check->entry, "body_format", "json") ? SIM_BODY_JSON : SIM_BODY_FORM;
}

static const char *place_name(enum sim_place place)
{
    static const char *const names[] = {
        [SIM_QUERY] = "query of the URL", [SIM_BODY_FORM] = "form", [SIM_BODY_JSON] = "JSON body"};
    return names[place];
}

/* Where parameters stand, and which map of the entry says further ones. */
struct params {
    enum sim_place place;
    const char *map;
};

/* A standard parameter; an absent value stands for any text. */
static bool check_param(struct sim_check *check, const struct params *params, const char *name,
                        struct text wanted)
{
    struct text theirs = sim_parameter(check->entry, name);
    bool is_left_to_map = sim_item_named(check->entry, params->map, theirs).data != NULL;
    if (theirs.len == 0 || is_left_to_map)
        return true;
    struct text value = sim_seen_param(check->seen, params->place, theirs);
    if (value.len == 0)
        return fail(check, "the parameter \"%.*s\" is missing in the %s", (int)theirs.len,
                    theirs.data, place_name(params->place));
    return !wanted.data || text_equal(value, wanted) ||
           fail(check, "the parameter \"%.*s\" has another value", (int)theirs.len, theirs.data);
}

static bool check_map(struct sim_check *check, const struct params *params)
{
    for (size_t i = 0; i < sim_items(check->entry, params->map); i++) {
        struct text name;
        struct text template = sim_item(check->entry, params->map, i, &name);
        struct text value = sim_seen_param(check->seen, params->place, name);
        bool is_right = template.len == 0
                            ? !value.data
                            : value.data && sim_matches(template, value, false, check->known);
        if (!is_right)
            return fail(check, "the parameter \"%.*s\" of %s %s in the %s", (int)name.len,
                        name.data, params->map, value.data ? "has another value" : "is missing",
                        place_name(params->place));
    }
    return true;
}

/* ---- the client --------------------------------------------------------------------------------- */

static bool is_jwt(struct text text)
{
    size_t dots = 0, run = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '.' && run == 0)
            return false;
        dots += text.data[i] == '.';
        run = text.data[i] == '.' ? 0 : run + 1;
    }
    return dots + 1 == SEGMENTS && run > 0;
}

static bool check_basic(struct sim_check *check)
{
    struct buf user = buf_make_secret(VALUE_MAX), password = buf_make_secret(VALUE_MAX);
    bool is_form = !sim_setting_is(check->entry, "basic_encoding", "raw");
    bool is_there = sim_seen_basic(check->seen, is_form, &user, &password);
    bool is_right = is_there &&
                    text_equal(buf_text(&user), sim_setting(check->entry, "client_id")) &&
                    text_equal(buf_text(&password), check->client_secret);
    buf_free(&user);
    buf_free(&password);
    return is_right ||
           fail(check, "the client is %s in a Basic header", is_there ? "wrongly written" : "not");
}

static bool check_assertion(struct sim_check *check, const struct params *params)
{
    struct text assertion =
        sim_seen_param(check->seen, params->place, sim_parameter(check->entry, "client_assertion"));
    return check_param(check, params, "client_assertion_type",
                       TEXT_LITERAL("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")) &&
           (is_jwt(assertion) || fail(check, "client_assertion is no signed JWT"));
}

static bool check_apply(struct sim_check *check);

static bool shows_client(struct sim_check *check, const struct params *params, struct text how)
{
    struct text id = sim_setting(check->entry, "client_id");
    struct text secret = check->client_secret;
    if (text_is(how, "access_token"))
        return check_apply(check);
    if (text_is(how, "private_key_jwt"))
        return check_assertion(check, params);
    if (text_is(how, "client_secret_basic") && id.data && secret.data)
        return check_basic(check);
    if (id.data && !check_param(check, params, "client_id", id))
        return false;
    if (text_is(how, "client_secret_post"))
        return !secret.data || check_param(check, params, "client_secret", secret);
    return !secret.data || !sim_seen_has(check->seen, secret) ||
           fail(check, "the client's secret is sent");
}

static bool check_client(struct sim_check *check, const struct params *params, const char *setting)
{
    struct text how = setting ? sim_setting(check->entry, setting) : any;
    if (!how.data)
        how = sim_setting(check->entry, "client_auth");
    if (!how.data)
        return true; /* a kind without clients */
    check->is_client_wrong = !shows_client(check, params, how);
    return !check->is_client_wrong;
}

/* ---- how a token is used ------------------------------------------------------------------------ */

static struct text cell(const struct sim_check *check, size_t row, const char *column)
{
    return settings_cell(check->entry->settings, "apply", row, column);
}

static bool check_basic_row(struct sim_check *check, size_t row)
{
    struct buf user = buf_make_secret(VALUE_MAX), password = buf_make_secret(VALUE_MAX);
    bool is_right = sim_seen_basic(check->seen, false, &user, &password) &&
                    sim_matches(cell(check, row, "name"), buf_text(&user), false, check->known);
    buf_free(&user);
    buf_free(&password);
    return is_right || fail(check, "the Basic header is not as `apply` has it");
}

static bool check_row(struct sim_check *check, size_t row)
{
    struct text in = cell(check, row, "in");
    if (text_is(in, "header"))
        return check_header(check, cell(check, row, "name"), cell(check, row, "value"));
    if (text_is(in, "basic"))
        return check_basic_row(check, row);
    if (text_is(in, "query")) {
        struct text value = sim_seen_param(check->seen, SIM_QUERY, cell(check, row, "name"));
        return sim_matches(cell(check, row, "value"), value, false, check->known) ||
               fail(check, "the query has no token as `apply` has it");
    }
    return true;
}

static bool check_apply(struct sim_check *check)
{
    size_t rows = settings_rows(check->entry->settings, "apply");
    bool is_ok = true;
    if (rows == 0)
        return check_header(check, TEXT_LITERAL("Authorization"),
                            TEXT_LITERAL("Bearer {access_token}"));
    for (size_t i = 0; is_ok && i < rows; i++)
        is_ok = check_row(check, i);
    return is_ok;
}

/* ---- requests of each purpose ------------------------------------------------------------------- */

static bool check_whole(struct sim_check *check)
{
    return !check->seen->problem || fail(check, "%s", check->seen->problem);
}

bool sim_check_refresh(struct sim_check *check, struct text token)
{
    static const char *const methods[] = {"refresh_method", "token_method", NULL};
    struct params params = {sim_check_place(check), "refresh_params"};
    return check_whole(check) && sim_check_method(check, methods, "POST") &&
           check_headers(check, "headers") &&
           check_param(check, &params, "grant_type",
                       sim_setting(check->entry, "refresh_grant_type")) &&
           check_param(check, &params, "refresh_token", token) && check_map(check, &params) &&
           check_client(check, &params, "refresh_auth");
}

/* Assertions of jwt_bearer and github_app stand in a parameter or in a header. */
static bool check_minted(struct sim_check *check, const struct params *params)
{
    const char *kind = check->entry->module->kind;
    struct text header = sim_request_header(check->seen->request, "Authorization");
    struct text bearer = header.len > 7 ? (struct text){header.data + 7, header.len - 7} : any;
    if (strcmp(kind, "jwt_bearer") == 0)
        return is_jwt(sim_seen_any(check->seen, TEXT_LITERAL("assertion"))) ||
               fail(check, "the parameter \"assertion\" is no signed JWT");
    if (strcmp(kind, "github_app") == 0)
        return is_jwt(bearer) || fail(check, "the Bearer header is no signed JWT");
    if (strcmp(kind, "token_exchange") == 0)
        return check_param(check, params, "grant_type", text_of(grant_exchange)) &&
               check_param(check, params, "subject_token", any) &&
               check_param(check, params, "subject_token_type", any);
    if (strcmp(kind, "oauth2_client_credentials") == 0 || strcmp(kind, "oauth2") == 0)
        return check_param(check, params, "grant_type", sim_setting(check->entry, "grant_type"));
    return true;
}

bool sim_check_mint(struct sim_check *check)
{
    static const char *const methods[] = {"token_method", "method", NULL};
    bool has_body = sim_items(check->entry, "body") > 0;
    struct params params = {sim_check_place(check), has_body ? "body" : "token_params"};
    const char *kind = check->entry->module->kind;
    bool is_plain = strcmp(kind, "aws_sts") == 0 || strcmp(kind, "flow") == 0;
    if (is_plain)
        return check_whole(check);
    return check_whole(check) && sim_check_method(check, methods, "POST") &&
           check_headers(check, "headers") && check_minted(check, &params) &&
           check_map(check, &params) &&
           (strncmp(kind, "oauth2", 6) != 0 || check_client(check, &params, NULL));
}

bool sim_check_exchange(struct sim_check *check, struct text code)
{
    static const char *const methods[] = {"token_method", NULL};
    struct params params = {sim_check_place(check), "token_params"};
    bool has_verifier = !sim_setting_is(check->entry, "pkce", "none");
    return check_whole(check) && sim_check_method(check, methods, "POST") &&
           check_headers(check, "headers") &&
           check_param(check, &params, "grant_type",
                       sim_setting(check->entry, "code_grant_type")) &&
           check_param(check, &params, "code", code) &&
           (!has_verifier || check_param(check, &params, "code_verifier", any)) &&
           check_map(check, &params) && check_client(check, &params, NULL);
}

bool sim_check_second(struct sim_check *check, struct text token)
{
    static const char *const methods[] = {"exchange.method", NULL};
    bool is_get = strcmp(check->seen->request->method, "GET") == 0;
    struct params params = {is_get ? SIM_QUERY : SIM_BODY_FORM, "exchange.params"};
    sim_check_know(check, "access_token", token);
    return check_whole(check) && sim_check_method(check, methods, "GET") &&
           check_map(check, &params);
}

bool sim_check_device(struct sim_check *check)
{
    static const char *const methods[] = {NULL};
    bool is_json = sim_setting_is(check->entry, "body_format", "json");
    struct params params = {is_json ? SIM_BODY_JSON : SIM_BODY_FORM, "device_params"};
    return check_whole(check) && sim_check_method(check, methods, "POST") &&
           check_param(check, &params, "client_id", sim_setting(check->entry, "client_id")) &&
           check_map(check, &params);
}

bool sim_check_poll(struct sim_check *check, struct text code)
{
    static const char *const methods[] = {"token_method", NULL};
    struct params params = {sim_check_place(check), ""};
    return check_whole(check) && sim_check_method(check, methods, "POST") &&
           check_headers(check, "headers") &&
           check_param(check, &params, "grant_type", text_of(grant_device)) &&
           check_param(check, &params, "device_code", code) && check_client(check, &params, NULL);
}

/* Parameters of a request whose format nobody says. */
static bool check_anywhere(struct sim_check *check, const char *map)
{
    for (size_t i = 0; i < sim_items(check->entry, map); i++) {
        struct text name;
        struct text template = sim_item(check->entry, map, i, &name);
        if (template.len > 0 &&
            !sim_matches(template, sim_seen_any(check->seen, name), false, check->known))
            return fail(check, "the parameter \"%.*s\" of %s is missing or wrong", (int)name.len,
                        name.data, map);
    }
    return true;
}

bool sim_check_revoke(struct sim_check *check, struct text token, struct text other_token)
{
    static const char *const methods[] = {"revoke_method", NULL};
    if (!check_whole(check) || !sim_check_method(check, methods, "POST") ||
        !check_anywhere(check, "revoke_params"))
        return false;
    return sim_seen_has(check->seen, token) || sim_seen_has(check->seen, other_token) ||
           fail(check, "no token of the grant is in the request");
}

bool sim_check_identity(struct sim_check *check)
{
    static const char *const methods[] = {"identity_method", NULL};
    return check_whole(check) && sim_check_method(check, methods, "GET") && check_apply(check);
}

/* What a person would have filled in, as sim_sample() fills it in. */
static bool has_part(const struct sim_check *check, struct text name)
{
    struct buf value = buf_make(VALUE_MAX);
    sim_sample(check->entry, name, &value);
    bool is_there = name.data && sim_seen_has(check->seen, buf_text(&value));
    buf_free(&value);
    return is_there;
}

static bool has_key(const struct sim_check *check)
{
    const struct bursar_field *field = check->entry->module->form;
    for (size_t i = 0; i < settings_rows(check->entry->settings, "form"); i++) {
        if (has_part(check, settings_cell(check->entry->settings, "form", i, "name")))
            return true;
    }
    for (; field && field->name; field++) {
        if (has_part(check, text_of(field->name)))
            return true;
    }
    return has_part(check, TEXT_LITERAL("api_key")) || has_part(check, TEXT_LITERAL("token"));
}

bool sim_check_validate(struct sim_check *check)
{
    static const char *const methods[] = {"validate.method", NULL};
    if (!check_whole(check) || !sim_check_method(check, methods, "GET") ||
        !check_headers(check, "validate.headers"))
        return false;
    return has_key(check) || fail(check, "no part of the key is in the request");
}
