#include "wire/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "base/secret.h"
#include "wire/escape.h"
#include "wire/pack.h"
#include "wire/packer.h"

enum { MAX_NUMBER = 64 };

/* ---- reading -------------------------------------------------------------------------------- */

struct reader {
    const char *start, *at, *end;
    struct buf *out;
    struct buf scratch; /* a string without its escapes */
    const char *problem;
};

static bool fail(struct reader *reader, const char *problem)
{
    if (!reader->problem)
        reader->problem = problem;
    return false;
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

static bool read_unicode_escape(struct reader *reader)
{
    uint32_t point = 0;
    char utf8[4];
    size_t len = escape_read((struct text){reader->at, (size_t)(reader->end - reader->at)}, &point);
    if (len == 0)
        return fail(reader, "a \\u escape needs four hexadecimal digits");
    if (point == ESCAPE_HALF_PAIR)
        return fail(reader, "half a surrogate pair");
    reader->at += len;
    buf_append(&reader->scratch, utf8, escape_utf8(point, utf8));
    return true;
}

static bool read_escape(struct reader *reader)
{
    if (reader->at == reader->end)
        return fail(reader, "a string without its end");
    char c = *reader->at++;
    if (c == 'u')
        return read_unicode_escape(reader);
    char meant = c == '"' ? c : escape_letter(c);
    if (!meant)
        return fail(reader, "an escape that JSON does not have");
    buf_append_byte(&reader->scratch, (uint8_t)meant);
    return true;
}

/* Behind the opening quote; the content comes into scratch. */
static bool read_string(struct reader *reader)
{
    buf_clear(&reader->scratch);
    while (reader->at < reader->end && *reader->at != '"') {
        size_t left = (size_t)(reader->end - reader->at);
        size_t n = text_utf8_len((struct text){reader->at, left});
        if (n == 0 || (unsigned char)*reader->at < 0x20)
            return fail(reader, "a string with a byte that cannot be in one");
        if (*reader->at == '\\') {
            reader->at++;
            if (!read_escape(reader))
                return false;
            continue;
        }
        buf_append(&reader->scratch, reader->at, n);
        reader->at += n;
    }
    if (reader->at == reader->end)
        return fail(reader, "a string without its end");
    reader->at++;
    return true;
}

static bool put_string(struct reader *reader)
{
    struct text text = buf_text(&reader->scratch);
    msgpack_packer packer = packer_of(reader->out);
    if (buf_error(&reader->scratch) != 0)
        return fail(reader, "a string that is too long");
    msgpack_pack_str_with_body(&packer, text.data, text.len);
    return true;
}

/* Length of the number at text (RFC 8259 section 6), 0 where there is none. */
static size_t number_len(struct text text, bool *out_is_whole)
{
    size_t i = text.len > 0 && text.data[0] == '-';
    size_t digits = i;
    *out_is_whole = true;
    while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9')
        i++;
    if (i == digits || (text.data[digits] == '0' && i > digits + 1))
        return 0;
    if (i < text.len && text.data[i] == '.') {
        *out_is_whole = false;
        digits = ++i;
        while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9')
            i++;
        if (i == digits)
            return 0;
    }
    if (i < text.len && (text.data[i] | 0x20) == 'e') {
        *out_is_whole = false;
        i++;
        i += i < text.len && (text.data[i] == '+' || text.data[i] == '-');
        digits = i;
        while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9')
            i++;
        if (i == digits)
            return 0;
    }
    return i;
}

static bool put_whole(struct reader *reader, struct text number)
{
    msgpack_packer packer = packer_of(reader->out);
    bool is_negative = number.data[0] == '-';
    uint64_t value = 0;
    struct text digits = {number.data + is_negative, number.len - is_negative};
    if (!text_to_uint(digits, is_negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX, &value))
        return fail(reader, "a whole number beyond 64 bits");
    if (!is_negative)
        msgpack_pack_uint64(&packer, value);
    else
        msgpack_pack_int64(&packer, value > INT64_MAX ? INT64_MIN : -(int64_t)value);
    return true;
}

/* strtod() follows the program's locale, which may write a comma. */
static double to_double(const char *number)
{
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t before = plain ? uselocale(plain) : (locale_t)0;
    double value = strtod(number, NULL);
    if (plain) {
        uselocale(before);
        freelocale(plain);
    }
    return value;
}

static bool read_number(struct reader *reader)
{
    bool is_whole = true;
    char copy[MAX_NUMBER + 1] = {0};
    struct text rest = {reader->at, (size_t)(reader->end - reader->at)};
    size_t len = number_len(rest, &is_whole);
    if (len == 0 || len > MAX_NUMBER)
        return fail(reader, len == 0 ? "not a JSON value" : "a number that is too long");
    reader->at += len;
    if (is_whole)
        return put_whole(reader, (struct text){rest.data, len});
    memcpy(copy, rest.data, len);
    double value = to_double(copy);
    if (!isfinite(value))
        return fail(reader, "a number that is too large");
    msgpack_packer packer = packer_of(reader->out);
    msgpack_pack_double(&packer, value);
    return true;
}

static bool read_word(struct reader *reader)
{
    static const struct {
        const char *word;
        uint8_t packed;
    } words[] = {{"null", 0xc0}, {"false", 0xc2}, {"true", 0xc3}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, words[i].word, len) != 0)
            continue;
        reader->at += len;
        buf_append_byte(reader->out, words[i].packed);
        return true;
    }
    return read_number(reader);
}

static bool read_value(struct reader *reader, unsigned depth);

static bool read_key(struct reader *reader)
{
    if (!take(reader, '"') || !read_string(reader))
        return fail(reader, "a key must be a string");
    if (reader->scratch.len > 0 && memchr(reader->scratch.data, 0, reader->scratch.len))
        return fail(reader, "a key with a NUL in it");
    return put_string(reader) && (take(reader, ':') || fail(reader, "a key without its colon"));
}

/* Behind the opening bracket. */
static bool read_collection(struct reader *reader, bool is_map, unsigned depth)
{
    char end = is_map ? '}' : ']';
    if (depth == BURSAR_MAX_NESTING)
        return fail(reader, "nested too deep");
    struct pack pack = is_map ? pack_map(reader->out) : pack_array(reader->out);
    if (!take(reader, end)) {
        do {
            if ((is_map && !read_key(reader)) || !read_value(reader, depth + 1))
                return false;
            pack.count++;
        } while (take(reader, ','));
        if (!take(reader, end))
            return fail(reader, is_map ? "an object without its }" : "an array without its ]");
    }
    pack_close(&pack);
    return true;
}

static bool read_value(struct reader *reader, unsigned depth)
{
    if (buf_error(reader->out) != 0)
        return fail(reader, "too long");
    if (take(reader, '{'))
        return read_collection(reader, true, depth);
    if (take(reader, '['))
        return read_collection(reader, false, depth);
    if (take(reader, '"'))
        return read_string(reader) && put_string(reader);
    return reader->at < reader->end ? read_word(reader) : fail(reader, "a value is missing");
}

int json_to_pack(struct text json, struct buf *out, struct buf *error)
{
    struct reader reader = {.start = json.data, .at = json.data, .end = json.data + json.len};
    reader.out = out;
    reader.scratch = out->is_secret ? buf_make_secret(json.len) : buf_make(json.len);
    bool is_ok = read_value(&reader, 0);
    skip_space(&reader);
    if (is_ok && reader.at < reader.end)
        is_ok = fail(&reader, "something behind the value");
    int failure = is_ok ? 0 : BURSAR_E_BAD_REQUEST;
    if (buf_error(&reader.scratch) == BURSAR_E_NOMEM)
        failure = BURSAR_E_NOMEM;
    if (buf_error(out) != 0)
        failure = buf_error(out);
    if (!is_ok)
        buf_printf(error, "not JSON as it must be, at byte %zu: %s",
                   (size_t)(reader.at - reader.start) + 1, reader.problem);
    else if (failure != 0)
        buf_append_string(error, bursar_error_text(failure));
    buf_free(&reader.scratch);
    return failure;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void append_double(double value, struct buf *out)
{
    char text[32];
    if (!isfinite(value)) {
        buf_append_string(out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*g", digits, value);
        for (char *at = text; *at; at++) {
            if (!strchr("0123456789+-e", *at))
                *at = '.'; /* the locale's decimal point */
        }
        if (to_double(text) == value)
            break;
    }
    buf_append_string(out, text);
}

static void append_hex(struct text bytes, struct buf *out)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(out, "%02x", (unsigned)(uint8_t)bytes.data[i]);
    buf_append_byte(out, '"');
}

static void append_array(const struct node *array, struct buf *out)
{
    buf_append_byte(out, '[');
    for (size_t i = 0; i < node_count(array); i++) {
        if (i > 0)
            buf_append_byte(out, ',');
        json_from_node(node_item(array, i), out);
    }
    buf_append_byte(out, ']');
}

static void append_map(const struct node *map, struct buf *out)
{
    buf_append_byte(out, '{');
    for (size_t i = 0; i < node_count(map); i++) {
        const struct node *key = NULL;
        const struct node *value = NULL;
        node_pair(map, i, &key, &value);
        if (i > 0)
            buf_append_byte(out, ',');
        buf_append_json(out, node_type(key) == NODE_TEXT ? node_text(key) : TEXT_LITERAL(""));
        buf_append_byte(out, ':');
        json_from_node(value, out);
    }
    buf_append_byte(out, '}');
}

void json_from_node(const struct node *node, struct buf *out)
{
    switch (node_type(node)) {
    case NODE_BOOL: buf_append_string(out, node_bool(node) ? "true" : "false"); break;
    case NODE_UINT: buf_printf(out, "%llu", (unsigned long long)node_uint(node)); break;
    case NODE_NEGATIVE: buf_printf(out, "%lld", (long long)node_int(node)); break;
    case NODE_DOUBLE: append_double(node_double(node), out); break;
    case NODE_TEXT: buf_append_json(out, node_text(node)); break;
    case NODE_BYTES: append_hex(node_text(node), out); break;
    case NODE_ARRAY: append_array(node, out); break;
    case NODE_MAP: append_map(node, out); break;
    case NODE_NIL:
    case NODE_OTHER: buf_append_string(out, "null"); break;
    }
}
