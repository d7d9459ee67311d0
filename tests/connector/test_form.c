/* Forms: the rules and their words, and the secrets that are made of what was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/form.h"
#include "wire/doc.h"
#include "wire/json.h"

enum { MAX = 1 << 16 };

#define T(s) ((struct text){(s), sizeof(s) - 1})
#define FIELD(n, l, t, r, ...)                                                    \
    {                                                                             \
        .name = T(n), .label = T(l), .type = (t), .is_required = (r), __VA_ARGS__ \
    }

static const struct form plain = {.secret_kind = "api_key",
                                  .count = 2,
                                  .fields = {FIELD("api_key", "API key", FORM_PASSWORD, true),
                                             FIELD("host", "Host", FORM_TEXT, false)}};
static const struct form defaults = {
    .secret_kind = "api_key",
    .count = 3,
    .fields = {FIELD("api_key", "API key", FORM_PASSWORD, true),
               FIELD("region", "Region", FORM_TEXT, true, .default_text = T("eu")),
               FIELD("note", "Note", FORM_TEXT, true, .default_text = T("  "))}};
static const struct form grouped = {
    .secret_kind = "api_key",
    .count = 4,
    .fields = {FIELD("sid", "Account SID", FORM_TEXT, true),
               FIELD("auth_token", "Auth token", FORM_PASSWORD, true, .group = T("Auth token")),
               FIELD("key_sid", "API key SID", FORM_TEXT, true, .group = T("API key")),
               FIELD("key_secret", "API key secret", FORM_PASSWORD, true, .group = T("API key"))}};
static const struct form with_optional = {
    .secret_kind = "basic",
    .count = 4,
    .fields = {
        FIELD("token", "Token", FORM_PASSWORD, true, .group = T("Token")),
        FIELD("hint", "Hint", FORM_TEXT, false, .group = T("Token")),
        FIELD("scheme", "Scheme", FORM_TEXT, true, .group = T("Login"), .default_text = T("plain")),
        FIELD("login", "Login", FORM_TEXT, true, .group = T("Login"))}};
static const struct form urls = {.secret_kind = "bearer",
                                 .count = 2,
                                 .fields = {FIELD("token", "Token", FORM_PASSWORD, true),
                                            FIELD("site", "Site", FORM_URL, false)}};
static const struct form local_urls = {.secret_kind = "bearer",
                                       .count = 2,
                                       .allow_http = true,
                                       .fields = {FIELD("token", "Token", FORM_PASSWORD, true),
                                                  FIELD("site", "Site", FORM_URL, false)}};
static const struct form named = {.secret_kind = "api_key",
                                  .count = 2,
                                  .fields = {FIELD("username", "E-mail", FORM_TEXT, true),
                                             FIELD("password", "API token", FORM_PASSWORD, true)}};
static const struct form minting = {.secret_kind = "oauth2",
                                    .mints = true,
                                    .count = 2,
                                    .fields = {FIELD("app_id", "App", FORM_TEXT, true),
                                               FIELD("private_key", "Key", FORM_PASSWORD, true)}};
static const struct form minting_any = {
    .mints = true, .count = 1, .fields = {FIELD("token", "Key", FORM_PASSWORD, true)}};
static const struct form any = {
    .count = 3,
    .fields = {FIELD("token", "Token", FORM_PASSWORD, true, .group = T("Bearer")),
               FIELD("username", "User", FORM_TEXT, true, .group = T("Basic")),
               FIELD("password", "Password", FORM_PASSWORD, true, .group = T("Basic"))}};
static const struct form odd = {.count = 1, .fields = {FIELD("pin", "PIN", FORM_TEXT, true)}};

/* problem: what is said; else the secret as JSON. */
static const struct row {
    const struct form *form;
    const char *given, *problem, *secret;
} rows[] = {
    {&plain, "{\"api_key\":\"k\"}", NULL, "{\"kind\":\"api_key\",\"api_key\":\"k\",\"fields\":{}}"},
    {&plain, "{\"api_key\":\"k\",\"host\":\"h\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"k\",\"fields\":{\"host\":\"h\"}}"},
    {&plain, "{\"api_key\":\" k \"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\" k \",\"fields\":{}}"},
    {&plain, "{}", "API key is required", NULL},
    {&plain, "{\"api_key\":\"\"}", "API key is required", NULL},
    {&plain, "{\"api_key\":\" \\t\\r\\n\"}", "API key is required", NULL},
    {&plain, "{\"api_key\":\"\\u0000\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"\\u0000\",\"fields\":{}}"},
    {&plain, "{\"api_key\":null}", "API key is required", NULL},
    {&plain, "{\"api_key\":1}", "API key is required", NULL},
    {&plain, "{\"host\":\"h\"}", "API key is required", NULL},
    {&plain, "{\"api_key\":\"k\",\"host\":\"  \"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"k\",\"fields\":{}}"},

    {&defaults, "{\"api_key\":\"k\",\"note\":\"n\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"k\",\"fields\":{\"region\":\"eu\",\"note\":\"n\"}}"},
    {&defaults, "{\"api_key\":\"k\",\"region\":\" \",\"note\":\"n\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"k\",\"fields\":{\"region\":\"eu\",\"note\":\"n\"}}"},
    {&defaults, "{\"api_key\":\"k\",\"region\":\"us\",\"note\":\"n\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"k\",\"fields\":{\"region\":\"us\",\"note\":\"n\"}}"},
    {&defaults, "{\"api_key\":\"k\"}", "Note is required", NULL},

    {&grouped, "{}", "Account SID is required", NULL},
    {&grouped, "{\"sid\":\"s\"}", "Auth token (Auth token) is required", NULL},
    {&grouped, "{\"sid\":\"s\",\"auth_token\":\" \"}", "Auth token (Auth token) is required", NULL},
    {&grouped, "{\"sid\":\"s\",\"auth_token\":\"a\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"a\",\"fields\":{\"sid\":\"s\",\"auth_token\":\"a\"}}"},
    {&grouped, "{\"sid\":\"s\",\"key_sid\":\"i\"}", "API key secret (API key) is required", NULL},
    {&grouped, "{\"sid\":\"s\",\"key_secret\":\"x\"}", "API key SID (API key) is required", NULL},
    {&grouped, "{\"sid\":\"s\",\"key_sid\":\"i\",\"key_secret\":\"x\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"x\","
     "\"fields\":{\"sid\":\"s\",\"key_sid\":\"i\",\"key_secret\":\"x\"}}"},
    {&grouped, "{\"sid\":\"s\",\"auth_token\":\"a\",\"key_sid\":\"i\"}",
     "API key secret (API key) is required", NULL},
    {&grouped, "{\"auth_token\":\"a\"}", "Account SID is required", NULL},
    {&grouped, "{\"sid\":\"s\",\"auth_token\":\"a\",\"key_sid\":\"i\",\"key_secret\":\"x\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"a\",\"fields\":{\"sid\":\"s\",\"auth_token\":\"a\","
     "\"key_sid\":\"i\",\"key_secret\":\"x\"}}"},

    {&with_optional, "{\"hint\":\"h\"}", "Token (Token) is required", NULL},
    {&with_optional, "{\"token\":\"t\"}", NULL,
     "{\"kind\":\"basic\",\"password\":\"t\",\"fields\":{\"token\":\"t\"}}"},
    {&with_optional, "{}", "Token (Token) is required", NULL},
    {&with_optional, "{\"scheme\":\"s\"}", "Login (Login) is required", NULL},
    {&with_optional, "{\"login\":\"l\"}", NULL,
     "{\"kind\":\"basic\",\"fields\":{\"scheme\":\"plain\",\"login\":\"l\"}}"},

    {&urls, "{\"token\":\"t\",\"site\":\"https://a.example/x\"}", NULL,
     "{\"kind\":\"bearer\",\"token\":\"t\",\"fields\":{\"site\":\"https://a.example/x\"}}"},
    {&urls, "{\"token\":\"t\",\"site\":\"http://a.example/\"}",
     "Site must be https (http on loopback only with connectors.allow_http_loopback)", NULL},
    {&urls, "{\"token\":\"t\",\"site\":\"file:///etc/passwd\"}",
     "Site must be an absolute URL that begins with https://", NULL},
    {&urls, "{\"token\":\"t\",\"site\":\"a.example\"}",
     "Site must be an absolute URL that begins with https://", NULL},
    {&urls, "{\"token\":\"t\",\"site\":\"https://u:p@a.example/\"}",
     "Site must not have a user or password in the URL", NULL},
    {&local_urls, "{\"token\":\"t\",\"site\":\"http://127.0.0.1:1/\"}", NULL,
     "{\"kind\":\"bearer\",\"token\":\"t\",\"fields\":{\"site\":\"http://127.0.0.1:1/\"}}"},
    {&local_urls, "{\"token\":\"t\",\"site\":\"http://10.0.0.1/\"}",
     "Site must be https: http is for loopback addresses alone", NULL},

    {&named, "{\"username\":\"u\",\"password\":\"p\"}", NULL,
     "{\"kind\":\"api_key\",\"api_key\":\"p\",\"fields\":{\"username\":\"u\",\"password\":\"p\"}}"},
    {&minting, "{\"app_id\":\"1\",\"private_key\":\"pem\"}", NULL,
     "{\"kind\":\"oauth2\",\"grant\":{\"app_id\":\"1\",\"private_key\":\"pem\"}}"},
    {&minting_any, "{\"token\":\"t\"}", NULL, "{\"kind\":\"oauth2\",\"grant\":{\"token\":\"t\"}}"},
    {&any, "{\"token\":\"t\"}", NULL, "{\"kind\":\"bearer\",\"token\":\"t\",\"fields\":{}}"},
    {&any, "{\"username\":\"u\",\"password\":\"p\"}", NULL,
     "{\"kind\":\"basic\",\"username\":\"u\",\"password\":\"p\",\"fields\":{}}"},
    {&any, "{\"username\":\"u\"}", "Password (Basic) is required", NULL},
    {&odd, "{\"pin\":\"1\"}", NULL, "{\"kind\":\"api_key\",\"fields\":{\"pin\":\"1\"}}"},
};

/* The packed form of a JSON text. */
static struct buf packed(const char *json)
{
    struct buf out = buf_make(MAX), error = buf_make(256);
    assert_int_equal(json_to_pack(text_of(json), &out, &error), 0);
    buf_free(&error);
    return out;
}

static void check_row(const struct row *row)
{
    struct buf given = packed(row->given), error = buf_make(1024), secret = buf_make(MAX);
    struct buf json = buf_make(MAX);
    struct tree *tree = tree_new();
    struct form_values values;
    assert_int_equal(tree_fill(tree, buf_text(&given)), 0);
    assert_int_equal(form_take(row->form, tree_root(tree), &values, &error), 0);
    int result = form_accept(row->form, &values, &error);
    if (row->problem) {
        assert_int_equal(result, BURSAR_E_INVALID_CREDENTIAL);
        assert_string_equal((const char *)error.data, row->problem);
    } else {
        struct tree *made = tree_new();
        if (result != 0)
            print_error("%s: %s\n", row->given, error.data);
        assert_int_equal(result, 0);
        assert_int_equal(error.len, 0);
        form_pack(row->form, &values, &secret);
        assert_int_equal(tree_fill(made, buf_text(&secret)), 0);
        json_from_node(tree_root(made), &json);
        assert_string_equal((const char *)json.data, row->secret);
        tree_free(made);
    }
    tree_free(tree);
    buf_free(&given);
    buf_free(&error);
    buf_free(&secret);
    buf_free(&json);
}

static void follows_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
}

/* What a form makes of a whole one is what a put takes. */
static void makes_what_a_put_takes(void **state)
{
    static const struct {
        const struct form *form;
        const char *given;
        bool has_grant;
    } whole[] = {{&plain, "{\"api_key\":\"k\",\"host\":\"h\"}", false},
                 {&named, "{\"username\":\"u\",\"password\":\"p\"}", false},
                 {&any, "{\"username\":\"u\",\"password\":\"p\"}", false},
                 {&minting, "{\"app_id\":\"1\",\"private_key\":\"pem\"}", true},
                 {&minting_any, "{\"token\":\"t\"}", true}};
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        struct buf given = packed(whole[i].given), error = buf_make(1024), secret = buf_make(MAX);
        struct tree *tree = tree_new(), *made = tree_new();
        struct form_values values;
        struct doc_put put = {.secret = {0}};
        assert_int_equal(tree_fill(tree, buf_text(&given)), 0);
        assert_int_equal(form_take(whole[i].form, tree_root(tree), &values, &error), 0);
        assert_int_equal(form_accept(whole[i].form, &values, &error), 0);
        form_pack(whole[i].form, &values, &secret);
        assert_int_equal(tree_fill(made, buf_text(&secret)), 0);
        assert_int_equal(doc_read_put(tree_root(made), &put, &error), 0);
        assert_int_equal(put.has_grant, whole[i].has_grant);
        doc_put_free(&put);
        tree_free(made);
        tree_free(tree);
        buf_free(&given);
        buf_free(&error);
        buf_free(&secret);
    }
}

static void names_the_fields_of_a_form(void **state)
{
    (void)state;
    struct buf given = packed("{\"apikey\":\"k\"}"), error = buf_make(1024);
    struct tree *tree = tree_new();
    struct form_values values;
    assert_int_equal(tree_fill(tree, buf_text(&given)), 0);
    assert_int_equal(form_take(&plain, tree_root(tree), &values, &error), BURSAR_E_BAD_REQUEST);
    assert_string_equal((const char *)error.data,
                        "fields: the form has no field apikey; it has api_key, host");
    tree_free(tree);
    buf_free(&given);
    buf_free(&error);
}

/* ---- where a form comes from ---------------------------------------------------------------------- */

static const struct bursar_field module_form[] = {
    {"app", "App", "text", true, "the app's number"}, {"key", "Key", "password", false, NULL}, {0}};

static void comes_from_the_module(void **state)
{
    const struct bursar_connector module = {.form = module_form, .secret_kind = "api_key"};
    const struct settings settings = {0};
    const struct connector connector = {.module = &module, .settings = &settings};
    struct form form;
    (void)state;
    form_of(&connector, &form);
    assert_int_equal(form.count, 2);
    assert_true(text_is(form.fields[0].label, "App"));
    assert_int_equal(form.fields[0].type, FORM_TEXT);
    assert_true(form.fields[0].is_required);
    assert_true(text_is(form.fields[0].help, "the app's number"));
    assert_int_equal(form.fields[1].type, FORM_PASSWORD);
    assert_false(form.fields[1].is_required);
}

static void comes_from_the_kind(void **state)
{
    static const struct {
        const char *kind;
        unsigned flags;
        size_t count;
        const char *first;
    } kinds[] = {{"api_key", 0, 2, "api_key"},
                 {"basic", 0, 2, "username"},
                 {"bearer", 0, 1, "token"},
                 {"header", 0, 2, "name"},
                 {NULL, 0, 5, "token"},
                 {"oauth2", 0, 0, NULL}, /* people consent */
                 {"api_key", BURSAR_CONNECTOR_MINTS, 0, NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct bursar_connector module = {.secret_kind = kinds[i].kind,
                                                .flags = kinds[i].flags};
        const struct settings settings = {0};
        const struct connector connector = {.module = &module, .settings = &settings};
        struct form form;
        form_of(&connector, &form);
        assert_int_equal(form.count, kinds[i].count);
        if (kinds[i].first)
            assert_true(text_is(form.fields[0].name, kinds[i].first));
    }
}

/* Settings as an entry's rows leave them. */
static const struct bursar_option text_option = {"x", BURSAR_OPTION_STRING, .help = ""};
static const struct bursar_option rows_option = {"form", BURSAR_OPTION_ROWS, .help = ""};

static void comes_from_the_entry(void **state)
{
    struct setting values[] = {
        {.name = (char[]){"form"}, .option = &rows_option, .item_count = 1},
        {.name = (char[]){"form.0.name"}, .option = &text_option, .text = (char[]){"api_key"}},
        {.name = (char[]){"form.0.label"}, .option = &text_option, .text = (char[]){"Secret key"}},
        {.name = (char[]){"form.0.type"}, .option = &text_option, .text = (char[]){"url"}},
        {.name = (char[]){"form.0.required"}, .option = &text_option, .text = (char[]){"false"}},
        {.name = (char[]){"form.0.placeholder"}, .option = &text_option, .text = (char[]){"sk-…"}},
        {.name = (char[]){"form.0.group"}, .option = &text_option, .text = (char[]){"Keys"}}};
    const struct settings settings = {.values = values, .count = sizeof values / sizeof values[0]};
    const struct bursar_connector module = {.form = module_form, .secret_kind = "api_key"};
    const struct connector connector = {.module = &module, .settings = &settings};
    struct form form;
    (void)state;
    form_of(&connector, &form);
    assert_int_equal(form.count, 1);
    assert_true(text_is(form.fields[0].label, "Secret key"));
    assert_int_equal(form.fields[0].type, FORM_URL);
    assert_false(form.fields[0].is_required);
    assert_true(text_is(form.fields[0].placeholder, "sk-…"));
    assert_true(text_is(form.fields[0].group, "Keys"));
    assert_null(form.fields[0].default_text.data);
}

static void has_three_types(void **state)
{
    (void)state;
    for (enum form_type type = FORM_PASSWORD; type <= FORM_URL; type++)
        assert_int_equal(form_type_of(text_of(form_type_name(type))), type);
    assert_int_equal(form_type_of(text_of("number")), FORM_PASSWORD);
    assert_int_equal(form_type_of(text_of(NULL)), FORM_PASSWORD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_rules),
        cmocka_unit_test(makes_what_a_put_takes),
        cmocka_unit_test(names_the_fields_of_a_form),
        cmocka_unit_test(comes_from_the_module),
        cmocka_unit_test(comes_from_the_kind),
        cmocka_unit_test(comes_from_the_entry),
        cmocka_unit_test(has_three_types),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
