#include <string.h>

#include "connector/decimal.h"
#include "connector/document_parts.h"
#include "wire/escape.h"

/* The bytes are read where they stand: what a string means is never longer than how it is written,
 * so it is put in the place of that. Numbers stay as they are written, however large. */
struct reader {
    struct document *document;
    char *at, *end;
};

static bool fail(struct reader *reader, const char *problem)
{
    return document_fail(reader->document, problem);
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4))
        reader->at++;
}

static bool take(struct reader *reader, char c)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static struct text rest(const struct reader *reader)
{
    return (struct text){reader->at, (size_t)(reader->end - reader->at)};
}

/* ---- strings ----------------------------------------------------------------------------------- */

/* Behind the backslash. Half a surrogate pair, as a cut off text may end with, makes the string unfit
 * but not the whole reply. */
static bool read_escape(struct reader *reader, char **to, bool *is_sound)
{
    uint32_t point = 0;
    char c = reader->at < reader->end ? *reader->at++ : 0;
    if (c == '"' || escape_letter(c)) {
        *(*to)++ = c == '"' ? c : escape_letter(c);
        return true;
    }
    size_t len = c == 'u' ? escape_read(rest(reader), &point) : 0;
    if (len == 0)
        return fail(reader, "an escape that JSON does not have");
    reader->at += len;
    if (point == ESCAPE_HALF_PAIR) {
        *is_sound = false;
        return true;
    }
    char utf8[4];
    size_t utf8_len = escape_utf8(point, utf8);
    memcpy(*to, utf8, utf8_len);
    *to += utf8_len;
    return true;
}

/* Whether eight bytes are all of those that stand for themselves. A byte's high bit is set in `odd` where it is
 * below 0x20, a quote or a backslash, or perhaps where a lower byte of them is. */
static bool are_plain(const char *eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t bytes;
    memcpy(&bytes, eight, sizeof bytes);
    uint64_t quotes = bytes ^ (ones * '"'), slashes = bytes ^ (ones * '\\');
    uint64_t odd = (bytes - ones * 0x20) | (quotes - ones) | (slashes - ones) | bytes;
    return (odd & (ones * 0x80)) == 0;
}

/* Bytes of what stands for itself, one a character: most strings are nothing else, and a token is long. */
static size_t plain_len(struct text text)
{
    size_t len = 0;
    while (text.len - len >= 8 && are_plain(text.data + len))
        len += 8;
    while (len < text.len && text.data[len] >= 0x20 && (unsigned char)text.data[len] < 0x80 &&
           text.data[len] != '"' && text.data[len] != '\\')
        len++;
    return len;
}

/* Gives an absent text for a string that is no Unicode. */
static bool read_string(struct reader *reader, struct text *out)
{
    if (!take(reader, '"'))
        return fail(reader, "a string is wanted");
    char *start = reader->at, *to = reader->at;
    bool is_sound = true;
    while (reader->at < reader->end && *reader->at != '"') {
        size_t plain = plain_len(rest(reader));
        if (plain > 0) {
            if (to != reader->at)
                memmove(to, reader->at, plain);
            to += plain;
            reader->at += plain;
            continue;
        }
        size_t len = text_utf8_len(rest(reader));
        if ((unsigned char)*reader->at < 0x20)
            return fail(reader, "a control character in a string");
        if (*reader->at == '\\') {
            reader->at++;
            if (!read_escape(reader, &to, &is_sound))
                return false;
            continue;
        }
        is_sound = is_sound && len > 0;
        len = len > 0 ? len : 1;
        memmove(to, reader->at, len);
        to += len;
        reader->at += len;
    }
    if (reader->at == reader->end)
        return fail(reader, "a string without its end");
    reader->at++;
    *out = is_sound ? (struct text){start, (size_t)(to - start)} : (struct text){NULL, 0};
    return true;
}

/* ---- values ------------------------------------------------------------------------------------ */

/* Where a value goes. */
struct place {
    uint32_t parent;
    struct text name;
    unsigned depth;
};

static bool add(struct reader *reader, const struct place *place, enum bursar_value_type type,
                struct text text, uint32_t *out_added)
{
    *out_added = document_add(reader->document, place->parent, type, place->name, text);
    return *out_added != DOCUMENT_NONE;
}

static bool read_word(struct reader *reader, const struct place *place)
{
    static const struct {
        struct text word;
        enum bursar_value_type type;
    } words[] = {{{"null", 4}, BURSAR_VALUE_NULL},
                 {{"true", 4}, BURSAR_VALUE_TRUE},
                 {{"false", 5}, BURSAR_VALUE_FALSE}};
    uint32_t added = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct text word = words[i].word;
        if (rest(reader).len < word.len || memcmp(reader->at, word.data, word.len) != 0)
            continue;
        reader->at += word.len;
        return add(reader, place, words[i].type, (struct text){NULL, 0}, &added);
    }
    size_t len = decimal_len(rest(reader));
    if (len == 0)
        return fail(reader, "a value is wanted");
    struct text number = {reader->at, len};
    reader->at += len;
    return add(reader, place, BURSAR_VALUE_NUMBER, number, &added);
}

static bool read_value(struct reader *reader, const struct place *place);

/* Behind the opening bracket; one item or member after the other. */
static bool read_inside(struct reader *reader, const struct place *place, bool is_map)
{
    struct place inside = {.depth = place->depth + 1};
    char close = is_map ? '}' : ']';
    if (place->depth == DOCUMENT_DEPTH_MAX)
        return fail(reader, "nested too deep");
    if (!add(reader, place, is_map ? BURSAR_VALUE_MAP : BURSAR_VALUE_LIST, (struct text){NULL, 0},
             &inside.parent))
        return false;
    if (take(reader, close))
        return true;
    do {
        if (is_map && (!read_string(reader, &inside.name) || !take(reader, ':')))
            return fail(reader, "a member is wanted, a name and a colon");
        if (!read_value(reader, &inside))
            return false;
    } while (take(reader, ','));
    return take(reader, close) || fail(reader, "a comma or the closing bracket is wanted");
}

static bool read_value(struct reader *reader, const struct place *place)
{
    uint32_t added = 0;
    struct text text;
    skip_space(reader);
    switch (reader->at < reader->end ? *reader->at : 0) {
    case '{': reader->at++; return read_inside(reader, place, true);
    case '[': reader->at++; return read_inside(reader, place, false);
    case '"':
        return read_string(reader, &text) && add(reader, place, BURSAR_VALUE_TEXT, text, &added);
    default: return read_word(reader, place);
    }
}

static bool read_root(struct reader *reader)
{
    return read_value(reader, &(struct place){.parent = DOCUMENT_NONE});
}

static bool read_end(struct reader *reader)
{
    skip_space(reader);
    return reader->at == reader->end || fail(reader, "something stands behind the value");
}

static struct reader reader_of(struct document *document, size_t at)
{
    return (struct reader){document, document->bytes + at, document->bytes + document->bytes_len};
}

bool document_read_json(struct document *document, size_t at)
{
    struct reader reader = reader_of(document, at);
    return read_root(&reader) && read_end(&reader);
}

/* ---- JSONP ------------------------------------------------------------------------------------- */

/* Bytes before the value: an empty comment, which some put there against content sniffing, a name
 * with points, and the parenthesis; 0 where that is not how it begins. */
static size_t jsonp_head(struct text text)
{
    size_t at = text.len >= 4 && memcmp(text.data, "/**/", 4) == 0 ? 4 : 0;
    while (at < text.len && memchr(" \t\r\n", text.data[at], 4))
        at++;
    size_t name = at;
    for (; at < text.len; at++) {
        char lower = (char)(text.data[at] | 0x20);
        bool is_digit = text.data[at] >= '0' && text.data[at] <= '9';
        bool is_first =
            (lower >= 'a' && lower <= 'z') || text.data[at] == '_' || text.data[at] == '$';
        if (!is_first && (at == name || (!is_digit && text.data[at] != '.')))
            break;
    }
    bool has_name = at > name;
    while (has_name && at < text.len && memchr(" \t\r\n", text.data[at], 4))
        at++;
    return has_name && at < text.len && text.data[at] == '(' ? at + 1 : 0;
}

bool document_is_jsonp(struct text text)
{
    return jsonp_head(text) > 0;
}

bool document_read_jsonp(struct document *document, size_t at)
{
    struct reader reader = reader_of(document, at);
    reader.at += jsonp_head(rest(&reader));
    if (!read_root(&reader))
        return false;
    if (!take(&reader, ')'))
        return fail(&reader, "`)` is wanted");
    take(&reader, ';');
    return read_end(&reader);
}
