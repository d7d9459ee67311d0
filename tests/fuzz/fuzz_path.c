/* Any bytes as a path and as a predicate: refused with a place in them, or compiled and evaluated. */
#include <stdbool.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/predicate.h"
#include "fuzz.h"

static const char body[] =
    "{\"a\":1,\"b\":{\"c\":\"d\",\"a\":[true,null]},\"_x\":[[0,1],[2,{\"a\":\"b\"}]],\"\":null,"
    "\"\\u00e9\":-1.5e3,\"a b\":\"c\",\"\\\"\":false}";

/* What is said of a wrong text: a place within it or right behind it. */
static void check_error(const struct buf *error, size_t size)
{
    unsigned long long at = 0;
    FUZZ_MUST(error->len > 0 && text_is_printable(buf_text(error)));
    if (size > PATH_BYTES_MAX)
        return;
    FUZZ_MUST(sscanf((const char *)error->data, "at byte %llu: ", &at) == 1);
    FUZZ_MUST(at >= 1 && at <= size + 1);
}

static void check_steps(const struct path *path)
{
    const struct path_step *steps;
    size_t total = 0;
    FUZZ_MUST(path_query_count(path) >= 1 && path_query_count(path) <= PATH_QUERIES_MAX);
    for (size_t i = 0; i < path_query_count(path); i++) {
        size_t count = path_steps(path, i, &steps);
        total += count;
        for (size_t j = 0; j < count; j++) {
            for (size_t at = 0; at < steps[j].name.len;) {
                struct text left = {steps[j].name.data + at, steps[j].name.len - at};
                FUZZ_MUST(text_utf8_len(left) > 0);
                at += text_utf8_len(left);
            }
        }
    }
    FUZZ_MUST(total <= PATH_STEPS_MAX);
}

/* What the whole text compiles to, it compiles to as a prefix of itself too. */
static void check_prefix(struct text text, bool is_path)
{
    struct buf error = buf_make(1024);
    struct path *path = NULL;
    size_t len = 0;
    int result = path_compile_prefix(text, &path, &len, &error);
    FUZZ_MUST(result == 0 || result == BURSAR_E_CONFIG);
    FUZZ_MUST(!is_path || (result == 0 && len == text.len));
    FUZZ_MUST(result != 0 || (len >= 1 && len <= text.len));
    path_free(path);
    buf_free(&error);
}

static void try_path(struct text text, const struct document *document)
{
    struct buf error = buf_make(1024);
    struct path *path = NULL;
    int result = path_compile(text, &path, &error);
    FUZZ_MUST(result == 0 || result == BURSAR_E_CONFIG);
    if (result == 0) {
        struct document_value value = document_find(document, path);
        FUZZ_MUST(value.type <= BURSAR_VALUE_MAP);
        check_steps(path);
        path_free(path);
    } else {
        check_error(&error, text.len);
    }
    check_prefix(text, result == 0);
    buf_free(&error);
}

static void try_predicate(struct text text, const struct document *document)
{
    struct buf error = buf_make(1024);
    struct predicate *predicate = NULL;
    int result = predicate_compile(text, &predicate, &error);
    FUZZ_MUST(result == 0 || result == BURSAR_E_CONFIG);
    if (result == 0) {
        FUZZ_MUST(predicate_holds(predicate, document) == predicate_holds(predicate, document));
        predicate_free(predicate);
    } else {
        check_error(&error, text.len);
    }
    buf_free(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {size > 0 ? (const char *)data : "", size};
    struct document *document = document_new(TEXT_LITERAL(body), text_of(NULL));
    FUZZ_MUST(document && document_format(document) == DOCUMENT_JSON);
    try_path(text, document);
    try_predicate(text, document);
    document_free(document);
    return 0;
}
