/* Every kind by recorded exchanges: cases/KIND/NAME.yaml has an entry, what a connection gives, the
 * requests that have to come of it, the replies, and what is to be read in them.
 *
 *     entry: |            an entry as in a catalogue
 *     secret, grant, metadata, inputs, captures: {…}   of all cases; a case may have its own
 *     cases:
 *       NAME:
 *         purpose: refresh            refresh unless it says otherwise
 *         build: needs_reauth         where no request can be made
 *         steps:                      each a request and its reply
 *           - {method, url, headers: [lines], without: [names], body, tls, sigv4, jwt, reply}
 *         read: ok|error|malformed|pending
 *         parts: {…}                  all that is read, and nothing else
 *         fields, metadata_read: {…}
 *         verdict: ok|grant|client|provider|throttled|uncertain
 *
 * `*` stands for anything in a request. `now` is 1700000000 where it is not given; @RSA@ and @EC@ are
 * private keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <bursar/error.h>

#include "config/yaml.h"
#include "connector/call.h"
#include "connector/registry.h"
#include "wire/pack.h"

#include "jwt_check.h"
#include "keys.h"

enum { FILE_MAX = 262144, NOW = 1700000000 };

/* ---- files ---------------------------------------------------------------------------------------- */

static void replace_all(struct buf *text, const char *word, const char *by)
{
    struct buf made = buf_make(FILE_MAX);
    const char *at = (const char *)text->data, *found;
    while ((found = strstr(at, word)) != NULL) {
        buf_append(&made, at, (size_t)(found - at));
        buf_append_string(&made, by);
        at = found + strlen(word);
    }
    buf_append_string(&made, at);
    buf_free(text);
    *text = made;
}

static struct buf read_case_file(const char *path)
{
    struct buf text = buf_make(FILE_MAX);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read", path);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_append(&text, piece, n);
    fclose(file);
    replace_all(&text, "@RSA@", KEYS_RSA_YAML);
    replace_all(&text, "@EC@", KEYS_EC_YAML);
    assert_int_equal(buf_error(&text), 0);
    return text;
}

/* The key as PEM, without YAML's escapes. */
static char *pem_of(const char *yaml)
{
    char *pem = calloc(1, strlen(yaml) + 1), *to = pem;
    for (const char *at = yaml; *at; at++) {
        bool is_break = at[0] == '\\' && at[1] == 'n';
        *to++ = is_break ? '\n' : *at;
        at += is_break;
    }
    return pem;
}

/* ---- a case --------------------------------------------------------------------------------------- */

struct scene {
    const char *file, *name;
    const struct yaml_node *all, *own; /* the file's map, and the case's */
    struct connector connector;
    struct buf packed[3];
    struct tree *trees[3]; /* secret, grant, metadata */
    struct call_values inputs, captures;
    size_t problems;
};

#define PROBLEM(scene, ...)                                        \
    do {                                                           \
        print_message("# %s: %s: ", (scene)->file, (scene)->name); \
        print_message(__VA_ARGS__);                                \
        print_message("\n");                                       \
        (scene)->problems++;                                       \
    } while (0)

static const struct yaml_node *key_of(const struct scene *scene, const char *key)
{
    const struct yaml_node *own = yaml_get(scene->own, key);
    return own ? own : yaml_get(scene->all, key);
}

static const char *word_of(const struct yaml_node *map, const char *key, const char *otherwise)
{
    const struct yaml_node *node = yaml_get(map, key);
    return node && node->type == YAML_SCALAR ? node->text : otherwise;
}

static int64_t now_of(const struct scene *scene)
{
    const struct yaml_node *node = key_of(scene, "now");
    return node ? strtoll(node->text, NULL, 10) : NOW;
}

static void pack_pairs(struct pack *map, const struct yaml_node *node)
{
    for (size_t i = 0; node && i + 1 < node->item_count; i += 2) {
        const struct yaml_node *value = node->items[i + 1];
        if (value->type == YAML_MAP) {
            struct pack inner = pack_map_in(map, node->items[i]->text);
            pack_pairs(&inner, value);
            pack_close(&inner);
        } else {
            pack_text(map, node->items[i]->text, yaml_text(value));
        }
    }
}

static void fill_tree(struct scene *scene, size_t index, const char *key)
{
    scene->packed[index] = buf_make_secret(FILE_MAX);
    struct pack map = pack_map(&scene->packed[index]);
    pack_pairs(&map, key_of(scene, key));
    pack_close(&map);
    scene->trees[index] = tree_new();
    assert_int_equal(tree_fill(scene->trees[index], buf_text(&scene->packed[index])), 0);
}

static void fill_values(const struct scene *scene, const char *key, struct call_values *values)
{
    const struct yaml_node *node = key_of(scene, key);
    *values = call_values_make();
    for (size_t i = 0; node && i + 1 < node->item_count; i += 2)
        assert_true(call_values_set(values, node->items[i]->text, yaml_text(node->items[i + 1])));
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* Whether a text is what a pattern says, where `*` stands for anything. */
static bool is_like(struct text text, const char *pattern)
{
    size_t at = 0, star_at = 0;
    const char *star = NULL;
    while (at < text.len) {
        if (*pattern == '*') {
            star = pattern++;
            star_at = at;
        } else if (*pattern == text.data[at] && *pattern != 0) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star + 1;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

static void compare(struct scene *scene, const char *what, struct text got, const char *expected)
{
    if (!is_like(got, expected))
        PROBLEM(scene, "%s is `%.*s`, not `%s`", what, (int)got.len, got.data, expected);
}

static const char *header_like(const struct call_request *request, const char *pattern)
{
    const char *at = request->headers.len > 0 ? (const char *)request->headers.data : "";
    for (const char *end = at + request->headers.len; at < end; at += strlen(at) + 1) {
        if (is_like(text_of(at), pattern))
            return at;
    }
    return NULL;
}

static void check_headers(struct scene *scene, const struct yaml_node *step,
                          const struct call_request *request)
{
    const struct yaml_node *lines = yaml_get(step, "headers");
    const struct yaml_node *without = yaml_get(step, "without");
    for (size_t i = 0; lines && i < lines->item_count; i++) {
        if (!header_like(request, lines->items[i]->text))
            PROBLEM(scene, "no header `%s`", lines->items[i]->text);
    }
    for (size_t i = 0; without && i < without->item_count; i++) {
        char pattern[128];
        snprintf(pattern, sizeof pattern, "%s: *", without->items[i]->text);
        if (header_like(request, pattern))
            PROBLEM(scene, "a header `%s`", without->items[i]->text);
    }
}

/* The JWT of a request: a parameter of its form, or the bearer token. */
static struct text find_jwt(const struct call_request *request, const char *parameter)
{
    char start[64];
    const char *found;
    if (strcmp(parameter, "bearer") == 0) {
        found = header_like(request, "Authorization: Bearer *");
        return text_of(found ? found + strlen("Authorization: Bearer ") : NULL);
    }
    snprintf(start, sizeof start, "%s=", parameter);
    found = request->body.len > 0 ? strstr((const char *)request->body.data, start) : NULL;
    if (!found)
        return (struct text){NULL, 0};
    return (struct text){found + strlen(start), strcspn(found + strlen(start), "&")};
}

static void check_jwt(struct scene *scene, const struct yaml_node *expected,
                      const struct call_request *request)
{
    struct text jwt = find_jwt(request, word_of(expected, "in", "assertion"));
    struct buf header = buf_make(8192), claims = buf_make(8192);
    bool is_ec = strcmp(word_of(expected, "key", "rsa"), "ec") == 0;
    char *pem = pem_of(is_ec ? KEYS_EC_YAML : KEYS_RSA_YAML);
    if (!jwt.data || !jwt_check(jwt, pem, &header, &claims))
        PROBLEM(scene, "the signature is not right");
    compare(scene, "the header", buf_text(&header), word_of(expected, "header", "*"));
    compare(scene, "the claims", buf_text(&claims), word_of(expected, "claims", "*"));
    buf_free(&header);
    buf_free(&claims);
    free(pem);
}

static void check_request(struct scene *scene, const struct yaml_node *step,
                          const struct call_request *request)
{
    compare(scene, "method", text_of(request->method), word_of(step, "method", "POST"));
    compare(scene, "url", buf_text(&request->url), word_of(step, "url", "*"));
    compare(scene, "body", buf_text(&request->body), word_of(step, "body", ""));
    compare(scene, "sigv4", buf_text(&request->sigv4), word_of(step, "sigv4", ""));
    compare(scene, "sigv4_user", buf_text(&request->sigv4_user), word_of(step, "sigv4_user", ""));
    compare(scene, "tls", buf_text(&request->tls_certificate), word_of(step, "tls", ""));
    check_headers(scene, step, request);
    if (yaml_get(step, "jwt"))
        check_jwt(scene, yaml_get(step, "jwt"), request);
}

/* ---- replies -------------------------------------------------------------------------------------- */

static const struct {
    enum bursar_emit part;
    const char *name;
} part_names[] = {
    {BURSAR_OUT_ACCESS_TOKEN, "access_token"},
    {BURSAR_OUT_TOKEN_TYPE, "token_type"},
    {BURSAR_OUT_REFRESH_TOKEN, "refresh_token"},
    {BURSAR_OUT_SCOPES, "scopes"},
    {BURSAR_OUT_EXPIRES, "expires"},
    {BURSAR_OUT_REFRESH_EXPIRES, "refresh_expires"},
    {BURSAR_OUT_API_SECRET, "api_secret"},
    {BURSAR_OUT_ERROR, "error"},
    {BURSAR_OUT_ERROR_SUBCODE, "error_subcode"},
    {BURSAR_OUT_ERROR_TEXT, "error_text"},
    {BURSAR_OUT_ACCOUNT, "account"},
    {BURSAR_OUT_USERNAME, "username"},
    {BURSAR_OUT_DEVICE_CODE, "device_code"},
    {BURSAR_OUT_USER_CODE, "user_code"},
    {BURSAR_OUT_VERIFICATION_URI, "verification_uri"},
    {BURSAR_OUT_VERIFICATION_URI_COMPLETE, "verification_uri_complete"},
    {BURSAR_OUT_INTERVAL, "interval"},
};

static const char *part_name(enum bursar_emit part)
{
    for (size_t i = 0; i < sizeof part_names / sizeof part_names[0]; i++) {
        if (part_names[i].part == part)
            return part_names[i].name;
    }
    return "?";
}

static const struct yaml_node *expected_part(const struct scene *scene,
                                             const struct call_part *part)
{
    if (part->part == BURSAR_OUT_FIELD)
        return yaml_get(yaml_get(scene->own, "fields"), part->name);
    if (part->part == BURSAR_OUT_METADATA)
        return yaml_get(yaml_get(scene->own, "metadata_read"), part->name);
    return yaml_get(yaml_get(scene->own, "parts"), part_name(part->part));
}

static size_t pairs_of(const struct scene *scene, const char *key)
{
    const struct yaml_node *map = yaml_get(scene->own, key);
    return map ? map->item_count / 2 : 0;
}

/* All that was read is expected, and all that is expected was read. */
static void check_parts(struct scene *scene, const struct call_outcome *outcome)
{
    size_t seen = 0;
    for (size_t i = 0; i < outcome->part_count; i++) {
        const struct call_part *part = &outcome->parts[i];
        const struct yaml_node *expected = expected_part(scene, part);
        struct text got = call_part_value(outcome, part);
        if (part->part == BURSAR_OUT_CAPTURE)
            continue;
        if (!expected) {
            PROBLEM(scene, "%s %s is read: `%.*s`", part_name(part->part), part->name, (int)got.len,
                    got.data);
            continue;
        }
        seen++;
        if (!text_equal(got, yaml_text(expected)))
            PROBLEM(scene, "%s %s is `%.*s`, not `%s`", part_name(part->part), part->name,
                    (int)got.len, got.data, expected->text);
    }
    size_t wanted =
        pairs_of(scene, "parts") + pairs_of(scene, "fields") + pairs_of(scene, "metadata_read");
    if (seen < wanted)
        PROBLEM(scene, "%zu of %zu parts are read", seen, wanted);
}

static const char *const reads[] = {[BURSAR_READ_OK] = "ok",
                                    [BURSAR_READ_ERROR] = "error",
                                    [BURSAR_READ_MALFORMED] = "malformed",
                                    [BURSAR_READ_NEXT] = "next",
                                    [BURSAR_READ_PENDING] = "pending"};
static const char *const verdicts[] = {[VERDICT_OK] = "ok",
                                       [VERDICT_GRANT] = "grant",
                                       [VERDICT_CLIENT] = "client",
                                       [VERDICT_PROVIDER] = "provider",
                                       [VERDICT_THROTTLED] = "throttled",
                                       [VERDICT_UNCERTAIN] = "uncertain"};

static void check_outcome(struct scene *scene, const struct call_outcome *outcome, int status)
{
    struct verdict_words words = connector_words(&scene->connector);
    const struct verdict_input input = {
        .end = EXCHANGE_REPLY,
        .shape = outcome->shape,
        .rotation = scene->connector.rotation,
        .status = status,
        .error = call_outcome_part(outcome, BURSAR_OUT_ERROR),
        .subcode = call_outcome_part(outcome, BURSAR_OUT_ERROR_SUBCODE),
    };
    compare(scene, "what is read", text_of(reads[outcome->read]),
            word_of(scene->own, "read", "ok"));
    if (yaml_get(scene->own, "verdict"))
        compare(scene, "the verdict", text_of(verdicts[verdict_of(&input, &words)]),
                word_of(scene->own, "verdict", ""));
    const char *ends = word_of(scene->own, "expires_at", NULL);
    int64_t expires_at = 0;
    enum expiry_unit unit = scene->connector.expires_unit;
    expiry_unit_of(text_of(call_outcome_name(outcome, BURSAR_OUT_EXPIRES)), &unit);
    expiry_read(call_outcome_part(outcome, BURSAR_OUT_EXPIRES), unit, now_of(scene), &expires_at);
    if (ends && expires_at != strtoll(ends, NULL, 10))
        PROBLEM(scene, "ends at %lld, not %s", (long long)expires_at, ends);
    check_parts(scene, outcome);
}

static struct buf header_lines(const struct yaml_node *reply)
{
    struct buf lines = buf_make(8192);
    const struct yaml_node *list = yaml_get(reply, "headers");
    for (size_t i = 0; list && i < list->item_count; i++) {
        buf_append_string(&lines, list->items[i]->text);
        buf_append_byte(&lines, 0);
    }
    return lines;
}

/* ---- the run -------------------------------------------------------------------------------------- */

static enum bursar_purpose purpose_of(const struct scene *scene)
{
    static const char *const names[] = {
        [BURSAR_REFRESH] = "refresh",   [BURSAR_AUTHORIZE] = "authorize",
        [BURSAR_EXCHANGE] = "exchange", [BURSAR_DEVICE] = "device",
        [BURSAR_POLL] = "poll",         [BURSAR_REVOKE] = "revoke",
        [BURSAR_VALIDATE] = "validate", [BURSAR_IDENTIFY] = "identify"};
    const struct yaml_node *node = key_of(scene, "purpose");
    for (size_t i = 0; node && i < BURSAR_PURPOSE_COUNT; i++) {
        if (strcmp(node->text, names[i]) == 0)
            return (enum bursar_purpose)i;
    }
    assert_null(node);
    return BURSAR_REFRESH;
}

/* One request and its reply; true where another one follows. */
static bool run_step(struct scene *scene, const struct yaml_node *step, struct call *call)
{
    struct call_request request;
    struct call_outcome outcome;
    const struct yaml_node *expected = yaml_get(scene->own, "build");
    int result = call_build(call, &request);
    const char *got = result == 0 ? "ok" : bursar_error_code(result);
    if (strcmp(got, expected && !step ? expected->text : "ok") != 0)
        PROBLEM(scene, "the request: %s", got);
    if (result < 0)
        return false;
    if (step)
        check_request(scene, step, &request);
    call_request_free(&request);
    const struct yaml_node *reply = step ? yaml_get(step, "reply") : NULL;
    if (!reply)
        return false;
    struct buf lines = header_lines(reply);
    int status = atoi(word_of(reply, "status", "200"));
    const struct call_reply given = {status, buf_text(&lines), text_of(word_of(reply, "body", ""))};
    assert_int_equal(call_read(call, &given, &outcome), 0);
    bool goes_on = outcome.read == BURSAR_READ_NEXT && call->step < 16;
    if (goes_on)
        assert_true(call_values_add(&scene->captures, &outcome));
    else
        check_outcome(scene, &outcome, status);
    call_outcome_free(&outcome);
    buf_free(&lines);
    return goes_on;
}

static void run_steps(struct scene *scene)
{
    const struct yaml_node *steps = yaml_get(scene->own, "steps");
    size_t count = steps ? steps->item_count : 0, done = 0;
    struct call call = {.connector = &scene->connector,
                        .purpose = purpose_of(scene),
                        .now = now_of(scene),
                        .secret = tree_root(scene->trees[0]),
                        .grant = tree_root(scene->trees[1]),
                        .metadata = tree_root(scene->trees[2]),
                        .inputs = &scene->inputs,
                        .captures = &scene->captures};
    while (run_step(scene, done < count ? steps->items[done] : NULL, &call)) {
        call.step++;
        done++;
    }
    if (count > 0 && done + 1 < count)
        PROBLEM(scene, "ends at step %zu of %zu", done + 1, count);
}

static void run_case(struct scene *scene)
{
    fill_tree(scene, 0, "secret");
    fill_tree(scene, 1, "grant");
    fill_tree(scene, 2, "metadata");
    fill_values(scene, "inputs", &scene->inputs);
    fill_values(scene, "captures", &scene->captures);
    run_steps(scene);
    call_values_free(&scene->inputs);
    call_values_free(&scene->captures);
    for (size_t i = 0; i < 3; i++) {
        tree_free(scene->trees[i]);
        buf_free(&scene->packed[i]);
    }
}

/* The entry of a case file, as an operator's own file of a catalogue. */
static bool load_entry(const struct registry *registry, const char *file, struct text text,
                       struct config_provider *out)
{
    char folder[] = "/tmp/bursar-test-XXXXXX", path[64];
    struct buf errors = buf_make(65536);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/entry.yaml", folder);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fwrite(text.data, 1, text.len, to);
    fclose(to);
    int result = config_load_entry(path, registry_kinds(registry), "", false, out, &errors);
    if (result < 0)
        print_message("# %s: %.*s\n", file, (int)errors.len, (const char *)errors.data);
    unlink(path);
    rmdir(folder);
    buf_free(&errors);
    return result == 0;
}

static size_t run_file(const struct registry *registry, const char *path, const char *file)
{
    struct problems problems = {0};
    struct yaml *yaml = NULL;
    struct config_provider entry;
    struct buf text = read_case_file(path);
    struct scene scene = {.file = file};
    problems_begin_file(&problems, file);
    if (yaml_read_text(file, buf_text(&text), &problems, &yaml) != 0 || problems.count > 0) {
        struct buf lines = buf_make(65536);
        problems_print(&problems, &lines);
        fail_msg("%s: %.*s", file, (int)lines.len, (const char *)lines.data);
    }
    const struct yaml_node *cases = yaml_get(yaml->root, "cases");
    assert_true(cases && cases->item_count > 0);
    if (!load_entry(registry, file, yaml_text(yaml_get(yaml->root, "entry")), &entry))
        return 1;
    assert_int_equal(connector_make(&entry, registry, false, &scene.connector), 0);
    scene.all = yaml->root;
    for (size_t i = 0; i + 1 < cases->item_count; i += 2) {
        scene.name = cases->items[i]->text;
        scene.own = cases->items[i + 1];
        run_case(&scene);
    }
    connector_fini(&scene.connector);
    config_provider_free(&entry);
    yaml_free(yaml);
    problems_free(&problems);
    buf_free(&text);
    return scene.problems;
}

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static size_t run_folder(const struct registry *registry, const char *folder, const char *kind,
                         size_t *out_files)
{
    char path[8192], file[512];
    struct dirent **names = NULL;
    size_t problems = 0;
    snprintf(path, sizeof path, "%s/%s", folder, kind);
    int count = scandir(path, &names, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, kind, names[i]->d_name);
        snprintf(file, sizeof file, "%s/%s", kind, names[i]->d_name);
        problems += run_file(registry, path, file);
        free(names[i]);
        (*out_files)++;
    }
    free(names);
    return problems;
}

static void test_cases(void **state)
{
    (void)state;
    char folder[4096];
    const char *top = getenv("abs_top_srcdir");
    struct registry *registry = registry_new();
    size_t problems = 0, kinds = 0;
    snprintf(folder, sizeof folder, "%s/tests/connector/cases", top ? top : ".");
    for (size_t i = 0; i < registry_count(registry); i++) {
        size_t files = 0;
        problems += run_folder(registry, folder, registry_item(registry, i)->kind, &files);
        kinds += files > 0;
        if (files == 0)
            print_message("# no cases of %s\n", registry_item(registry, i)->kind);
    }
    /* `oauth2` is another name of oauth2_client_credentials. */
    assert_int_equal(kinds, registry_count(registry) - 1);
    registry_free(registry);
    if (problems > 0)
        fail_msg("%zu problems", problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
