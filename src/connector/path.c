#include "connector/path.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "wire/escape.h"

static const int64_t INDEX_MAX = ((int64_t)1 << 53) - 1; /* RFC 9535 section 2.1: I-JSON integers */

struct path {
    size_t query_count, step_count;
    size_t ends[PATH_QUERIES_MAX]; /* the step behind the last one of each query */
    struct path_step steps[PATH_STEPS_MAX];
    char names[]; /* of all steps; no longer than the text that they were read from */
};

struct reader {
    struct text text;
    size_t at;
    struct path *path;
    struct buf names;
    const char *problem;
};

/* Why something that stands where a segment may begin is not a singular query's. */
#define SELECTS_MANY " selects many; a singular query is wanted"

static bool fail(struct reader *reader, const char *problem)
{
    reader->problem = problem;
    return false;
}

static char peek(const struct reader *reader)
{
    return reader->at < reader->text.len ? reader->text.data[reader->at] : 0;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->text.len || peek(reader) != c)
        return false;
    reader->at++;
    return true;
}

static void skip_blank(struct reader *reader)
{
    while (reader->at < reader->text.len && memchr(" \t\n\r", peek(reader), 4))
        reader->at++;
}

static struct text rest(const struct reader *reader)
{
    return (struct text){reader->text.data + reader->at, reader->text.len - reader->at};
}

/* ---- strings ----------------------------------------------------------------------------------- */

/* Behind the backslash. Each kind of string escapes its own quote alone. */
static const char *read_escape(struct text text, char quote, struct buf *out, size_t *at)
{
    if (*at == text.len)
        return "the string does not end";
    char c = text.data[*at];
    if (c == quote || escape_letter(c)) {
        buf_append_byte(out, (uint8_t)(c == quote ? c : escape_letter(c)));
        ++*at;
        return NULL;
    }
    if (c != 'u')
        return "an escape that strings do not have";
    uint32_t point = 0;
    char utf8[4];
    size_t len = escape_read((struct text){text.data + *at + 1, text.len - *at - 1}, &point);
    if (len == 0)
        return "a \\u escape needs four hexadecimal digits";
    if (point == ESCAPE_HALF_PAIR)
        return "half a surrogate pair";
    buf_append(out, utf8, escape_utf8(point, utf8));
    *at += 1 + len;
    return NULL;
}

const char *path_string(struct text text, struct buf *out, size_t *out_len)
{
    const char *problem = NULL;
    char quote = text.len > 0 ? text.data[0] : 0;
    size_t at = 0;
    if (quote != '\'' && quote != '"')
        problem = "a quoted string is wanted";
    for (at = 1; !problem && at < text.len && text.data[at] != quote;) {
        size_t len = text_utf8_len((struct text){text.data + at, text.len - at});
        if (text.data[at] == '\\') {
            at++;
            problem = read_escape(text, quote, out, &at);
        } else if (len == 0) {
            problem = "not UTF-8";
        } else if ((unsigned char)text.data[at] < 0x20) {
            problem = "a control character stands in a string as an escape alone";
        } else {
            buf_append(out, text.data + at, len);
            at += len;
        }
    }
    if (!problem && at >= text.len)
        problem = "the string does not end";
    *out_len = problem ? (at < text.len ? at : text.len) : at + 1;
    return problem;
}

/* ---- steps ------------------------------------------------------------------------------------- */

/* A name's place; it becomes a pointer when the names have come to rest. */
static bool add_step(struct reader *reader, struct path_step step)
{
    if (reader->path->step_count == PATH_STEPS_MAX)
        return fail(reader, "too many steps");
    reader->path->steps[reader->path->step_count++] = step;
    return true;
}

static bool add_name(struct reader *reader, size_t start)
{
    struct path_step step = {.name = {"", reader->names.len - start}, .index = (int64_t)start};
    return add_step(reader, step);
}

static bool is_name_first(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Behind the point. */
static bool read_shorthand(struct reader *reader)
{
    size_t start = reader->names.len;
    char first = peek(reader);
    if (first == '.')
        return fail(reader, "`..`" SELECTS_MANY);
    if (first == '*')
        return fail(reader, "`*`" SELECTS_MANY);
    if (!is_name_first(first))
        return fail(reader, "a name is wanted, which begins with a letter or `_`; others stand in "
                            "brackets and quotes");
    while (is_name_first(peek(reader)) || is_digit(peek(reader))) {
        size_t len = text_utf8_len(rest(reader));
        if (len == 0)
            return fail(reader, "not UTF-8");
        buf_append(&reader->names, rest(reader).data, len);
        reader->at += len;
    }
    return add_name(reader, start);
}

static bool read_quoted(struct reader *reader)
{
    size_t start = reader->names.len, len = 0;
    const char *problem = path_string(rest(reader), &reader->names, &len);
    reader->at += len;
    return problem ? fail(reader, problem) : add_name(reader, start);
}

static bool read_index(struct reader *reader)
{
    size_t start = reader->at;
    int64_t value = 0;
    bool is_negative = take(reader, '-');
    if (!is_digit(peek(reader)))
        return fail(reader, "an index is a whole number");
    bool is_zero = peek(reader) == '0';
    for (; is_digit(peek(reader)); reader->at++) {
        value = value * 10 + (peek(reader) - '0');
        if (value > INDEX_MAX)
            return fail(reader, "an index beyond 2^53-1");
    }
    if (is_zero && (is_negative || value > 0 || reader->at - start > 1)) {
        reader->at = start;
        return fail(reader, "an index has neither a leading zero nor is it -0");
    }
    return add_step(reader, (struct path_step){.index = is_negative ? -value : value});
}

/* Behind the bracket. */
static bool read_bracket(struct reader *reader)
{
    skip_blank(reader);
    switch (peek(reader)) {
    case '*': return fail(reader, "`*`" SELECTS_MANY);
    case '?': return fail(reader, "a filter" SELECTS_MANY);
    case ':': return fail(reader, "a slice" SELECTS_MANY);
    case '\'':
    case '"':
        if (!read_quoted(reader))
            return false;
        break;
    default:
        if (peek(reader) != '-' && !is_digit(peek(reader)))
            return fail(reader, "an index or a name in quotes is wanted");
        if (!read_index(reader))
            return false;
    }
    skip_blank(reader);
    switch (peek(reader)) {
    case ',': return fail(reader, "a list of selectors" SELECTS_MANY);
    case ':': return fail(reader, "a slice" SELECTS_MANY);
    default: return take(reader, ']') || fail(reader, "`]` is wanted");
    }
}

/* ---- queries ----------------------------------------------------------------------------------- */

/* Stops behind the last step, before any blanks. */
static bool read_query(struct reader *reader)
{
    struct path *path = reader->path;
    if (path->query_count == PATH_QUERIES_MAX)
        return fail(reader, "too many queries");
    if (!take(reader, '$'))
        return fail(reader, "a query begins with `$`");
    for (;;) {
        size_t behind = reader->at;
        skip_blank(reader);
        bool is_name = take(reader, '.');
        if (!is_name && !take(reader, '[')) {
            reader->at = behind;
            path->ends[path->query_count++] = path->step_count;
            return true;
        }
        if (is_name ? !read_shorthand(reader) : !read_bracket(reader))
            return false;
    }
}

static bool read_queries(struct reader *reader)
{
    while (read_query(reader)) {
        size_t behind = reader->at;
        skip_blank(reader);
        if (!take(reader, '|')) {
            reader->at = behind;
            return true;
        }
        skip_blank(reader);
    }
    return false;
}

static void settle_names(struct reader *reader)
{
    struct path *path = reader->path;
    if (reader->names.len > 0)
        memcpy(path->names, reader->names.data, reader->names.len);
    for (size_t i = 0; i < path->step_count; i++) {
        struct path_step *step = &path->steps[i];
        if (!step->name.data)
            continue;
        step->name.data = path->names + step->index;
        step->index = 0;
    }
}

static void check_end(struct reader *reader)
{
    size_t at = reader->at;
    if (at == reader->text.len)
        return;
    skip_blank(reader);
    bool is_blank = reader->at == reader->text.len;
    reader->at = at;
    fail(reader, is_blank ? "a blank at the end"
                          : "`.`, `[` or the end is wanted; names with other characters stand in "
                            "brackets and quotes");
}

/* out_len is NULL where the text must end with the path. */
static int compile(struct text text, struct path **out_path, size_t *out_len, struct buf *error)
{
    if (text.len > PATH_BYTES_MAX) {
        buf_printf(error, "longer than %d bytes", PATH_BYTES_MAX);
        return BURSAR_E_CONFIG;
    }
    struct reader reader = {.text = text, .names = buf_make(text.len + 1)};
    reader.path = calloc(1, sizeof *reader.path + text.len + 1);
    if (!reader.path)
        return BURSAR_E_NOMEM;
    if (read_queries(&reader) && !out_len)
        check_end(&reader);
    int result = reader.problem ? BURSAR_E_CONFIG : buf_error(&reader.names);
    if (reader.problem)
        buf_printf(error, "at byte %zu: %s", reader.at + 1, reader.problem);
    if (result == 0) {
        settle_names(&reader);
        *out_path = reader.path;
        if (out_len)
            *out_len = reader.at;
    } else {
        free(reader.path);
    }
    buf_free(&reader.names);
    return result;
}

int path_compile(struct text text, struct path **out_path, struct buf *error)
{
    return compile(text, out_path, NULL, error);
}

int path_compile_prefix(struct text text, struct path **out_path, size_t *out_len,
                        struct buf *error)
{
    return compile(text, out_path, out_len, error);
}

void path_free(struct path *path)
{
    free(path);
}

size_t path_query_count(const struct path *path)
{
    return path->query_count;
}

size_t path_steps(const struct path *path, size_t query, const struct path_step **out_steps)
{
    size_t first = query > 0 ? path->ends[query - 1] : 0;
    *out_steps = &path->steps[first];
    return path->ends[query] - first;
}
