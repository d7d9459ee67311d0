#include "connector/document.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "connector/document_parts.h"

static const struct text NOTHING = {NULL, 0};

/* ---- which format ------------------------------------------------------------------------------ */

enum hint { HINT_NONE, HINT_JSON, HINT_FORM, HINT_HTML };

static bool ends_with(struct text text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && strncasecmp(text.data + text.len - len, end, len) == 0;
}

/* The type and subtype; parameters count for nothing. */
static enum hint hint_of(struct text content_type)
{
    static const struct {
        const char *end;
        enum hint hint;
    } rows[] = {{"/json", HINT_JSON},
                {"+json", HINT_JSON},
                {"/x-www-form-urlencoded", HINT_FORM},
                {"/html", HINT_HTML},
                {"/xhtml+xml", HINT_HTML}};
    const char *semicolon =
        content_type.len > 0 ? memchr(content_type.data, ';', content_type.len) : NULL;
    if (semicolon)
        content_type.len = (size_t)(semicolon - content_type.data);
    while (content_type.len > 0 && strchr(" \t", content_type.data[content_type.len - 1]))
        content_type.len--;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ends_with(content_type, rows[i].end))
            return rows[i].hint;
    }
    return HINT_NONE;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct text trim(struct text text)
{
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        text = (struct text){text.data + 3, text.len - 3};
    while (text.len > 0 && is_blank(text.data[0]))
        text = (struct text){text.data + 1, text.len - 1};
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

static bool begins(struct text text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && strncasecmp(text.data, with, len) == 0;
}

/* What stands behind an XML declaration and comments; absent where one of them has no end. */
static struct text behind_prolog(struct text text)
{
    while (begins(text, "<?") || begins(text, "<!--")) {
        const char *close = text.data[1] == '?' ? "?>" : "-->";
        const char *end = memmem(text.data, text.len, close, strlen(close));
        if (!end)
            return NOTHING;
        end += strlen(close);
        text = trim((struct text){end, text.len - (size_t)(end - text.data)});
    }
    return text;
}

static bool is_html(struct text text)
{
    static const char *const starts[] = {"<!doctype html", "<html"};
    text = behind_prolog(text);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t len = strlen(starts[i]);
        if (begins(text, starts[i]) &&
            (text.len == len || text.data[len] == '>' || is_blank(text.data[len])))
            return true;
    }
    return false;
}

static bool is_name_byte(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("_-.~%+[]*@$:", c));
}

/* A name and `=`. */
static bool is_pair(struct text text)
{
    size_t at = 0;
    while (at < text.len && is_name_byte(text.data[at]))
        at++;
    return at > 0 && at < text.len && text.data[at] == '=';
}

static enum document_format format_of(struct text text, enum hint hint)
{
    if (text.len == 0)
        return DOCUMENT_EMPTY;
    if (strchr("{[\"", text.data[0]) && text.data[0])
        return DOCUMENT_JSON;
    if (text.data[0] == '<')
        return is_html(text) ? DOCUMENT_HTML : DOCUMENT_XML;
    if (hint == HINT_FORM || is_pair(text))
        return DOCUMENT_FORM;
    if (document_is_jsonp(text))
        return DOCUMENT_JSONP;
    return hint == HINT_JSON ? DOCUMENT_JSON : DOCUMENT_FORM;
}

/* ---- forms ------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; a `%` without two digits stays, as everywhere (WHATWG URL section 1.3). */
static struct text decode(char *data, size_t len)
{
    size_t to = 0;
    for (size_t at = 0; at < len; at++) {
        int high = len - at > 2 ? hex_digit(data[at + 1]) : -1;
        int low = len - at > 2 ? hex_digit(data[at + 2]) : -1;
        if (data[at] == '%' && high >= 0 && low >= 0) {
            data[to++] = (char)(high << 4 | low);
            at += 2;
        } else {
            data[to++] = data[at] == '+' ? ' ' : data[at];
        }
    }
    for (size_t at = 0; at < to;) {
        size_t unit = text_utf8_len((struct text){data + at, to - at});
        if (unit == 0)
            return NOTHING;
        at += unit;
    }
    return (struct text){data, to};
}

static bool read_pair(struct document *document, char *data, size_t len)
{
    if (!is_pair((struct text){data, len}))
        return document_fail(document, "no name with `=`");
    char *equals = memchr(data, '=', len);
    for (char *at = equals; at < data + len; at++) {
        if ((unsigned char)*at <= 0x20 || *at == 0x7f)
            return document_fail(document, "a blank or control character in a form");
    }
    struct text name = decode(data, (size_t)(equals - data));
    struct text value = decode(equals + 1, len - (size_t)(equals + 1 - data));
    return document_add(document, 0, BURSAR_VALUE_TEXT, name, value) != DOCUMENT_NONE;
}

static bool read_form(struct document *document)
{
    char *at = document->bytes, *end = at + document->bytes_len;
    if (document_add(document, DOCUMENT_NONE, BURSAR_VALUE_MAP, NOTHING, NOTHING) == DOCUMENT_NONE)
        return false;
    while (at < end) {
        char *ampersand = memchr(at, '&', (size_t)(end - at));
        char *stop = ampersand ? ampersand : end;
        if (stop > at && !read_pair(document, at, (size_t)(stop - at)))
            return false;
        at = ampersand ? ampersand + 1 : end;
    }
    return true;
}

/* ---- documents --------------------------------------------------------------------------------- */

static bool read_copy(struct document *document, struct text text)
{
    if (!document_reserve(document, text.len))
        return false;
    memcpy(document->bytes, text.data, text.len);
    switch (document->format) {
    case DOCUMENT_JSON: return document_read_json(document, 0);
    case DOCUMENT_JSONP: return document_read_jsonp(document, 0);
    default: return read_form(document);
    }
}

static void drop_content(struct document *document)
{
    secret_memory_free(document->bytes, document->bytes_len);
    free(document->nodes);
    free(document->order);
    document->bytes = NULL;
    document->nodes = NULL;
    document->order = NULL;
    document->bytes_len = 0;
    document->node_count = document->node_cap = 0;
}

static void read_body(struct document *document, struct text text, enum hint hint)
{
    bool has_content = document->format != DOCUMENT_EMPTY && document->format != DOCUMENT_HTML;
    if (!has_content)
        return;
    bool is_ok = document->format == DOCUMENT_XML ? document_read_xml(document, text)
                                                  : read_copy(document, text);
    if (is_ok && document_lay_out(document))
        return;
    drop_content(document);
    bool is_page = document->format == DOCUMENT_XML && hint == HINT_HTML;
    document->format = is_page ? DOCUMENT_HTML : DOCUMENT_MALFORMED;
    if (is_page)
        document->problem = NULL;
}

struct document *document_new(struct text body, struct text content_type)
{
    struct document *document = calloc(1, sizeof *document);
    if (!document)
        return NULL;
    if (body.len > DOCUMENT_BYTES_MAX) {
        document_fail(document, "too large");
        return document;
    }
    struct text text = trim(body);
    enum hint hint = hint_of(content_type);
    document->format = format_of(text, hint);
    read_body(document, text, hint);
    if (document->is_without_memory) {
        document_free(document);
        return NULL;
    }
    return document;
}

void document_free(struct document *document)
{
    if (!document)
        return;
    drop_content(document);
    free(document);
}

enum document_format document_format(const struct document *document)
{
    return document->format;
}

const char *document_problem(const struct document *document)
{
    return document->problem;
}

bool document_is_typed(const struct document *document)
{
    return document->format == DOCUMENT_JSON || document->format == DOCUMENT_JSONP;
}

/* ---- questions --------------------------------------------------------------------------------- */

static struct document_value value_of(const struct document_node *node)
{
    if (!node)
        return (struct document_value){.type = BURSAR_VALUE_ABSENT};
    return (struct document_value){node->type, node->text, node->count, node};
}

static const struct document_node *child_of(const struct document *document,
                                            const struct document_node *node, size_t index)
{
    return &document->nodes[document->order[node->slot + index]];
}

static const struct document_node *member_of(const struct document *document,
                                             const struct document_node *node, struct text name)
{
    for (size_t i = node->count; i-- > 0;) { /* the last of one name counts */
        const struct document_node *child = child_of(document, node, i);
        if (text_equal(child->name, name) && node->type != BURSAR_VALUE_LIST)
            return child;
    }
    return NULL;
}

static const struct document_node *item_of(const struct document *document,
                                           const struct document_node *node, int64_t index)
{
    /* What repeats in XML may come once, and is a list all the same. */
    if (document->format == DOCUMENT_XML && node->type != BURSAR_VALUE_LIST)
        return node != document->nodes && (index == 0 || index == -1) ? node : NULL;
    if (index < 0)
        index += node->count;
    bool is_there = node->type == BURSAR_VALUE_LIST && index >= 0 && index < node->count;
    return is_there ? child_of(document, node, (size_t)index) : NULL;
}

static const struct document_node *walk(const struct document *document,
                                        const struct path_step *steps, size_t count)
{
    const struct document_node *node = document->nodes;
    for (size_t i = 0; node && i < count; i++)
        node = steps[i].name.data ? member_of(document, node, steps[i].name)
                                  : item_of(document, node, steps[i].index);
    return node;
}

struct document_value document_find(const struct document *document, const struct path *path)
{
    const struct document_node *null = NULL;
    for (size_t i = 0; i < path_query_count(path); i++) {
        const struct path_step *steps;
        size_t count = path_steps(path, i, &steps);
        const struct document_node *node = walk(document, steps, count);
        if (node && node->type != BURSAR_VALUE_NULL)
            return value_of(node);
        null = node ? node : null;
    }
    return value_of(null);
}

struct document_value document_item(const struct document *document,
                                    const struct document_value *list, size_t index)
{
    bool is_possible = list->node && index < DOCUMENT_NODES_MAX;
    return value_of(is_possible ? item_of(document, list->node, (int64_t)index) : NULL);
}

struct document_value document_member(const struct document *document,
                                      const struct document_value *map, size_t index,
                                      struct text *out_name)
{
    bool is_there = map->node && map->type != BURSAR_VALUE_LIST && index < map->count;
    const struct document_node *node = is_there ? child_of(document, map->node, index) : NULL;
    *out_name = node ? node->name : NOTHING;
    return value_of(node);
}
