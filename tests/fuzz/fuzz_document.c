/* Any bytes as a provider's reply. The first byte chooses a Content-Type; the rest is the body. What
 * another reader of JSON takes must be taken here, and the other way round. */
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "connector/decimal.h"
#include "connector/document.h"
#include "fuzz.h"

static const char *const content_types[] = {NULL,
                                            "application/json",
                                            "application/x-www-form-urlencoded; charset=utf-8",
                                            "text/html",
                                            "text/xml",
                                            "; ",
                                            "application/javascript"};

static void check_text(struct text text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = text_utf8_len((struct text){text.data + at, text.len - at});
        FUZZ_MUST(len > 0);
        at += len;
    }
}

static void check_value(const struct document_value *value, size_t *nodes)
{
    bool may_have_text = value->type == BURSAR_VALUE_TEXT || value->type == BURSAR_VALUE_NUMBER;
    FUZZ_MUST(value->type > BURSAR_VALUE_ABSENT && value->type <= BURSAR_VALUE_MAP);
    FUZZ_MUST(may_have_text || !value->text.data);
    FUZZ_MUST(value->type != BURSAR_VALUE_NUMBER || decimal_is(value->text));
    FUZZ_MUST(++*nodes <= (size_t)DOCUMENT_NODES_MAX * 2);
    check_text(value->text);
}

/* All that can be reached, each once. */
static void visit(const struct document *document, const struct document_value *value,
                  size_t *nodes, unsigned depth)
{
    bool is_list = value->type == BURSAR_VALUE_LIST;
    check_value(value, nodes);
    FUZZ_MUST(depth <= 2 * DOCUMENT_DEPTH_MAX + 2);
    for (size_t i = 0; i < value->count; i++) {
        struct text name = {NULL, 0};
        struct document_value child = is_list ? document_item(document, value, i)
                                              : document_member(document, value, i, &name);
        check_text(name);
        visit(document, &child, nodes, depth + 1);
    }
}

static bool has(struct text text, const char *what)
{
    return memmem(text.data, text.len, what, strlen(what)) != NULL;
}

/* Escapes, bytes and sizes that one reader takes and the other does not, on purpose. */
static bool is_beyond_jansson(struct text text, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    for (size_t at = 0; at < text.len;) {
        size_t len = text_utf8_len((struct text){text.data + at, text.len - at});
        if (len == 0)
            return true;
        at += len;
    }
    return has(text, "\\ud") || has(text, "\\uD") || code == json_error_numeric_overflow ||
           code == json_error_null_byte_in_key || code == json_error_null_character;
}

static void compare_with_jansson(const struct document *document, struct text text)
{
    json_error_t error = {.position = 0};
    if (memchr(text.data, 0, text.len)) /* Jansson passes over one that stands behind a number */
        return;
    json_t *root = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const char *problem = document_problem(document);
    bool is_bound = problem && (strcmp(problem, "nested too deep") == 0 ||
                                strcmp(problem, "too many values") == 0);
    bool is_json = document_format(document) == DOCUMENT_JSON;
    char first = text.data[0];
    if (root && (first == '{' || first == '[' || first == '"'))
        FUZZ_MUST(is_json || is_bound);
    if (is_json && (unsigned char)first != 0xef && !is_beyond_jansson(text, &error))
        FUZZ_MUST(root != NULL);
    json_decref(root);
}

static const char *const paths[] = {"$.a", "$.a.b[0] | $[-1] | $.a['@b']", "$['']",
                                    "$.access_token | $.a.a[1]"};

static void ask(const struct document *document)
{
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct buf error = buf_make(1024);
        struct path *path = NULL;
        FUZZ_MUST(path_compile(text_of(paths[i]), &path, &error) == 0);
        struct document_value value = document_find(document, path);
        size_t nodes = 0;
        if (value.type != BURSAR_VALUE_ABSENT)
            visit(document, &value, &nodes, 0);
        path_free(path);
        buf_free(&error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t type_count = sizeof content_types / sizeof content_types[0];
    struct text body = {(const char *)data + 1, size - 1};
    struct document *document = document_new(body, text_of(content_types[data[0] % type_count]));
    FUZZ_MUST(document);
    bool is_malformed = document_format(document) == DOCUMENT_MALFORMED;
    FUZZ_MUST(is_malformed == (document_problem(document) != NULL));
    struct buf error = buf_make(64);
    struct path *path = NULL;
    FUZZ_MUST(path_compile(TEXT_LITERAL("$"), &path, &error) == 0);
    struct document_value root = document_find(document, path);
    size_t nodes = 0;
    if (root.type != BURSAR_VALUE_ABSENT)
        visit(document, &root, &nodes, 0);
    ask(document);
    compare_with_jansson(document, body);
    document_free(document);
    path_free(path);
    buf_free(&error);
    return 0;
}
