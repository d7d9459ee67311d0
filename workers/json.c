#include "json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PIECES_MAX = 64 };

static const struct bursar_text absent = {NULL, 0};

/* Pieces that become one text; what is full is joined. */
struct pieces {
    const struct bursar_call *call;
    struct bursar_text items[PIECES_MAX];
    size_t count;
};

static struct bursar_text join(struct pieces *pieces)
{
    struct bursar_text text = pieces->call->join(pieces->call, pieces->items, pieces->count);
    pieces->items[0] = text;
    pieces->count = 1;
    return text;
}

static void add(struct pieces *pieces, struct bursar_text text)
{
    if (pieces->count == PIECES_MAX)
        join(pieces);
    if (text.len > 0)
        pieces->items[pieces->count++] = text;
}

/* ---- writing -------------------------------------------------------------------------------------- */

/* RFC 8259 section 7: two characters for what has them, for control characters six. */
static struct bursar_text escape_of(unsigned char c)
{
    static const char controls[32][7] = {
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
        "\\b",     "\\t",     "\\n",     "\\u000b", "\\f",     "\\r",     "\\u000e", "\\u000f",
        "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
        "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f"};
    if (c == '"')
        return (struct bursar_text){"\\\"", 2};
    if (c == '\\')
        return (struct bursar_text){"\\\\", 2};
    return c < 0x20 ? (struct bursar_text){controls[c], strlen(controls[c])} : absent;
}

struct bursar_text json_escape(const struct bursar_call *call, struct bursar_text text)
{
    struct pieces pieces = {.call = call};
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        struct bursar_text escape = escape_of((unsigned char)text.data[i]);
        if (!escape.data)
            continue;
        add(&pieces, (struct bursar_text){text.data + from, i - from});
        add(&pieces, escape);
        from = i + 1;
    }
    if (from == 0)
        return text;
    add(&pieces, (struct bursar_text){text.data + from, text.len - from});
    return join(&pieces);
}

struct bursar_text json_quote(const struct bursar_call *call, struct bursar_text text)
{
    const struct bursar_text parts[] = {{"\"", 1}, json_escape(call, text), {"\"", 1}};
    return call->join(call, parts, 3);
}

/* ---- reading -------------------------------------------------------------------------------------- */

/* The string that begins at `at`, between its quotes; absent where it has no end. */
static struct bursar_text string_at(struct bursar_text text, size_t at)
{
    for (size_t i = at + 1; i < text.len; i++) {
        if (text.data[i] == '\\')
            i++;
        else if (text.data[i] == '"')
            return (struct bursar_text){text.data + at + 1, i - at - 1};
    }
    return absent;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != 0 ? strchr(digits, c) : NULL;
    return found ? (int)((found - digits) % 16) : -1;
}

/* Four hex digits; -1 where they are none. */
static int code_at(struct bursar_text text, size_t at)
{
    int code = 0;
    for (size_t i = at; i < at + 4; i++) {
        int digit = i < text.len ? hex_digit(text.data[i]) : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static size_t utf8(int code, char out[static 4])
{
    unsigned u = (unsigned)code;
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (char)(0xc0 | u >> 6);
        out[1] = (char)(0x80 | (u & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | u >> 12);
    out[1] = (char)(0x80 | (u >> 6 & 0x3f));
    out[2] = (char)(0x80 | (u & 0x3f));
    return 3;
}

/* One escape behind its backslash; how many bytes it took, 0 where it is none. Half of a surrogate
 * pair is none here: key files have no such texts. */
static size_t unescape(struct bursar_text text, size_t at, char out[static 4], size_t *out_len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = text.data[at] != 0 ? strchr(from, text.data[at]) : NULL;
    int code = text.data[at] == 'u' ? code_at(text, at + 1) : -1;
    if (found) {
        out[0] = to[found - from];
        *out_len = 1;
        return 1;
    }
    if (code < 0 || (code >= 0xd800 && code < 0xe000))
        return 0;
    *out_len = utf8(code, out);
    return 5;
}

/* Copies a piece, which a local buffer holds only for now. */
static struct bursar_text keep(const struct bursar_call *call, const char *data, size_t len)
{
    const struct bursar_text part = {data, len};
    return call->join(call, &part, 1);
}

static struct bursar_text meaning_of(const struct bursar_call *call, struct bursar_text text)
{
    struct pieces pieces = {.call = call};
    size_t from = 0;
    for (size_t i = 0; i + 1 < text.len; i++) {
        char made[4];
        size_t made_len = 0;
        if (text.data[i] != '\\')
            continue;
        size_t taken = unescape(text, i + 1, made, &made_len);
        if (taken == 0)
            return absent;
        add(&pieces, (struct bursar_text){text.data + from, i - from});
        add(&pieces, made[0] == '\n' ? (struct bursar_text){"\n", 1} : keep(call, made, made_len));
        i += taken;
        from = i + 1;
    }
    add(&pieces, (struct bursar_text){text.data + from, text.len - from});
    return join(&pieces);
}

static size_t skip_blanks(struct bursar_text text, size_t at)
{
    while (at < text.len && text.data[at] != 0 && strchr(" \t\r\n", text.data[at]))
        at++;
    return at;
}

struct bursar_text json_member(const struct bursar_call *call, struct bursar_text object,
                               const char *name)
{
    int depth = 0;
    bool is_name = false; /* whether the next string is a member's name */
    for (size_t i = 0; i < object.len; i++) {
        char c = object.data[i];
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']')
            depth--;
        if (c == '{' || c == ',' || c == '[')
            is_name = depth == 1 && c != '[';
        if (c != '"')
            continue;
        struct bursar_text string = string_at(object, i);
        if (!string.data)
            return absent;
        i += string.len + 1;
        if (!is_name)
            continue;
        is_name = false;
        size_t at = skip_blanks(object, i + 1);
        if (at >= object.len || object.data[at] != ':')
            return absent;
        at = skip_blanks(object, at + 1);
        if (string.len != strlen(name) || memcmp(string.data, name, string.len) != 0)
            continue;
        string = at < object.len && object.data[at] == '"' ? string_at(object, at) : absent;
        return string.data ? meaning_of(call, string) : absent;
    }
    return absent;
}

/* ---- templates ------------------------------------------------------------------------------------ */

/* Bytes of the placeholder or of the escaped brace at `at`; 0 where neither stands there. */
static size_t special_at(struct bursar_text text, size_t at)
{
    if (text.data[at] != '{')
        return 0;
    if (at + 1 < text.len && text.data[at + 1] == '{')
        return 2;
    const char *end = memchr(text.data + at, '}', text.len - at);
    return end ? (size_t)(end - text.data) - at + 1 : 0;
}

static struct bursar_text encode(const struct bursar_call *call, enum json_place place,
                                 struct bursar_text value)
{
    switch (place) {
    case JSON_PLACE_JSON: return json_escape(call, value);
    case JSON_PLACE_FORM: return call->encode(call, BURSAR_PERCENT, value);
    default: return value;
    }
}

struct bursar_text json_fill(const struct bursar_call *call, struct bursar_text text,
                             enum json_place place)
{
    struct pieces pieces = {.call = call};
    size_t from = 0;
    if (place == JSON_PLACE_TEXT)
        return call->expand(call, text, false);
    for (size_t i = 0; i < text.len;) {
        size_t len = special_at(text, i);
        if (len == 0) {
            i++;
            continue;
        }
        struct bursar_text special = {text.data + i, len};
        struct bursar_text value = call->expand(call, special, false);
        if (!value.data)
            return absent;
        add(&pieces, (struct bursar_text){text.data + from, i - from});
        /* What is no name stays as it is. */
        bool is_same = value.len == len && memcmp(value.data, special.data, len) == 0;
        add(&pieces, is_same || len == 2 ? value : encode(call, place, value));
        i += len;
        from = i;
    }
    add(&pieces, (struct bursar_text){text.data + from, text.len - from});
    return join(&pieces);
}

enum json_place json_place_of(struct bursar_text content_type)
{
    static const char json[] = "application/json", form[] = "application/x-www-form-urlencoded";
    if (content_type.len >= sizeof json - 1 &&
        strncasecmp(content_type.data, json, sizeof json - 1) == 0)
        return JSON_PLACE_JSON;
    if (content_type.len >= sizeof form - 1 &&
        strncasecmp(content_type.data, form, sizeof form - 1) == 0)
        return JSON_PLACE_FORM;
    return JSON_PLACE_TEXT;
}
