#include "connector/predicate.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "connector/decimal.h"

enum relation { RELATION_EQUAL, RELATION_UNEQUAL, RELATION_EXISTS, RELATION_ABSENT };

struct predicate {
    struct path *path;
    enum relation relation;
    enum bursar_value_type type; /* of the value it is compared with */
    char *text;                  /* that value's; of a word the word itself */
    size_t text_len;
};

/* ---- reading ----------------------------------------------------------------------------------- */

struct reader {
    struct text text;
    size_t at;
    struct predicate *predicate;
    const char *problem;
    bool is_without_memory;
};

static const struct {
    const char *word;
    enum relation relation;
    bool has_value;
} relations[] = {{"==", RELATION_EQUAL, true},
                 {"!=", RELATION_UNEQUAL, true},
                 {"exists", RELATION_EXISTS, false},
                 {"absent", RELATION_ABSENT, false}};

static bool fail(struct reader *reader, const char *problem)
{
    reader->problem = problem;
    return false;
}

static struct text rest(const struct reader *reader)
{
    return (struct text){reader->text.data + reader->at, reader->text.len - reader->at};
}

static void skip_blank(struct reader *reader)
{
    while (reader->at < reader->text.len && memchr(" \t\n\r", reader->text.data[reader->at], 4))
        reader->at++;
}

/* What is wanted behind the path; *out_has_value says whether a value follows. */
static bool read_relation(struct reader *reader, bool *out_has_value)
{
    skip_blank(reader);
    for (size_t i = 0; i < sizeof relations / sizeof relations[0]; i++) {
        size_t len = strlen(relations[i].word);
        if (rest(reader).len < len || memcmp(rest(reader).data, relations[i].word, len) != 0)
            continue;
        reader->predicate->relation = relations[i].relation;
        reader->at += len;
        *out_has_value = relations[i].has_value;
        return true;
    }
    return fail(reader, "`==`, `!=`, `exists` or `absent` is wanted");
}

static bool keep(struct reader *reader, enum bursar_value_type type, struct text text)
{
    reader->predicate->type = type;
    reader->predicate->text = text_copy(text);
    reader->predicate->text_len = text.len;
    reader->is_without_memory = !reader->predicate->text;
    return !reader->is_without_memory;
}

static bool read_quoted(struct reader *reader)
{
    struct buf content = buf_make(reader->text.len + 1);
    size_t len = 0;
    const char *problem = path_string(rest(reader), &content, &len);
    reader->at += len;
    bool is_ok = !problem && buf_error(&content) == 0;
    if (problem)
        fail(reader, problem);
    else if (!is_ok)
        reader->is_without_memory = true;
    struct text text = content.len > 0 ? buf_text(&content) : TEXT_LITERAL("");
    is_ok = is_ok && keep(reader, BURSAR_VALUE_TEXT, text);
    buf_free(&content);
    return is_ok;
}

static bool read_value(struct reader *reader)
{
    static const struct {
        const char *word;
        enum bursar_value_type type;
    } words[] = {
        {"true", BURSAR_VALUE_TRUE}, {"false", BURSAR_VALUE_FALSE}, {"null", BURSAR_VALUE_NULL}};
    skip_blank(reader);
    struct text text = rest(reader);
    if (text.len > 0 && (text.data[0] == '"' || text.data[0] == '\''))
        return read_quoted(reader);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i].word);
        if (text.len < len || memcmp(text.data, words[i].word, len) != 0)
            continue;
        reader->at += len;
        return keep(reader, words[i].type, (struct text){text.data, len});
    }
    text.len = decimal_len(text);
    if (text.len == 0)
        return fail(reader, "a number, true, false, null or a text in quotes is wanted");
    reader->at += text.len;
    return keep(reader, BURSAR_VALUE_NUMBER, text);
}

static bool read_behind_path(struct reader *reader)
{
    bool has_value = false;
    if (!read_relation(reader, &has_value) || (has_value && !read_value(reader)))
        return false;
    return reader->at == reader->text.len || fail(reader, "something stands behind the predicate");
}

int predicate_compile(struct text text, struct predicate **out_predicate, struct buf *error)
{
    if (text.len > PATH_BYTES_MAX) {
        buf_printf(error, "longer than %d bytes", PATH_BYTES_MAX);
        return BURSAR_E_CONFIG;
    }
    struct reader reader = {.text = text, .predicate = calloc(1, sizeof *reader.predicate)};
    if (!reader.predicate)
        return BURSAR_E_NOMEM;
    int result = path_compile_prefix(text, &reader.predicate->path, &reader.at, error);
    if (result == 0 && !read_behind_path(&reader))
        result = reader.is_without_memory ? BURSAR_E_NOMEM : BURSAR_E_CONFIG;
    if (reader.problem)
        buf_printf(error, "at byte %zu: %s", reader.at + 1, reader.problem);
    if (result == 0)
        *out_predicate = reader.predicate;
    else
        predicate_free(reader.predicate);
    return result;
}

void predicate_free(struct predicate *predicate)
{
    if (!predicate)
        return;
    path_free(predicate->path);
    free(predicate->text);
    free(predicate);
}

/* ---- holding ----------------------------------------------------------------------------------- */

static bool is_equal(const struct predicate *predicate, const struct document_value *value,
                     bool is_typed)
{
    struct text text = {predicate->text, predicate->text_len};
    if (value->type == BURSAR_VALUE_TEXT && !is_typed && value->text.data)
        return text_equal(value->text, text) ||
               (predicate->type == BURSAR_VALUE_NUMBER && decimal_is(value->text) &&
                decimal_equal(value->text, text));
    if (value->type != predicate->type)
        return false;
    switch (value->type) {
    case BURSAR_VALUE_TEXT: return text_equal(value->text, text);
    case BURSAR_VALUE_NUMBER: return decimal_equal(value->text, text);
    default: return true; /* true, false, null: no predicate has another type */
    }
}

bool predicate_holds(const struct predicate *predicate, const struct document *document)
{
    struct document_value value = document_find(document, predicate->path);
    bool is_typed = document_is_typed(document);
    bool is_there = value.type != BURSAR_VALUE_ABSENT && value.type != BURSAR_VALUE_NULL;
    switch (predicate->relation) {
    case RELATION_EQUAL: return is_equal(predicate, &value, is_typed);
    case RELATION_UNEQUAL: return !is_equal(predicate, &value, is_typed);
    case RELATION_EXISTS: return is_there;
    case RELATION_ABSENT: return !is_there;
    }
    return false;
}
