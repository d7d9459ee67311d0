#include "sim/body.h"

#include <stdlib.h>
#include <string.h>

#include "connector/document.h"
#include "connector/path.h"
#include "connector/predicate.h"

enum { INDEX_MAX = 63, ERROR_MAX = 512 };

/* ---- paths -------------------------------------------------------------------------------------- */

static struct path *compile(struct text text)
{
    struct buf error = buf_make(ERROR_MAX);
    struct path *path = NULL;
    if (!text.data || path_compile(text, &path, &error) < 0)
        path = NULL;
    buf_free(&error);
    return path;
}

size_t sim_body_queries(struct text text)
{
    struct path *path = compile(text);
    size_t count = path ? path_query_count(path) : 0;
    path_free(path);
    return count;
}

static size_t steps_of(const struct path *path, size_t query, const struct path_step **out_steps)
{
    size_t count = path_query_count(path);
    return path_steps(path, query < count ? query : count - 1, out_steps);
}

static json_t *child_of(const json_t *at, const struct path_step *step)
{
    if (!step->name.data) {
        size_t size = json_array_size(at);
        size_t index = step->index < 0 ? size - (size_t)-step->index : (size_t)step->index;
        return json_array_get(at, index);
    }
    char *name = text_copy(step->name);
    json_t *child = name ? json_object_get(at, name) : NULL;
    free(name);
    return child;
}

/* Takes child. */
static bool set_child(json_t *at, const struct path_step *step, json_t *child)
{
    if (step->name.data && json_is_object(at)) {
        char *name = text_copy(step->name);
        bool is_ok = name && json_object_set_new(at, name, child) == 0;
        if (!name)
            json_decref(child);
        free(name);
        return is_ok;
    }
    size_t size = json_array_size(at);
    size_t index = step->index >= 0 ? (size_t)step->index : size > 0 ? size - 1 : 0;
    if (step->name.data || !json_is_array(at) || index > INDEX_MAX) {
        json_decref(child);
        return false;
    }
    while (json_array_size(at) <= index)
        json_array_append_new(at, json_null());
    return json_array_set_new(at, index, child) == 0;
}

static json_t *container_for(const struct path_step *step)
{
    return step->name.data ? json_object() : json_array();
}

static bool fits(const json_t *at, const struct path_step *step)
{
    return step->name.data ? json_is_object(at) : json_is_array(at);
}

/* Takes value. */
static bool put_at(json_t *at, const struct path_step *steps, size_t count, json_t *value,
                   bool is_over)
{
    bool is_ok = fits(at, &steps[0]);
    for (size_t i = 0; is_ok && i + 1 < count; i++) {
        json_t *child = child_of(at, &steps[i]);
        if (!child || json_is_null(child)) {
            is_ok = set_child(at, &steps[i], container_for(&steps[i + 1]));
            child = child_of(at, &steps[i]);
        }
        is_ok = is_ok && fits(child, &steps[i + 1]);
        at = child;
    }
    if (is_ok && (is_over || !child_of(at, &steps[count - 1])))
        return set_child(at, &steps[count - 1], value);
    json_decref(value);
    return false;
}

bool sim_body_put(json_t **root, struct text text, size_t query, json_t *value, bool is_over)
{
    const struct path_step *steps = NULL;
    struct path *path = compile(text);
    size_t count = path ? steps_of(path, query, &steps) : 0;
    bool is_ok = false;
    if (count == 0 || !value) {
        json_decref(value);
    } else {
        if (!*root)
            *root = container_for(&steps[0]);
        is_ok = put_at(*root, steps, count, value, is_over);
    }
    path_free(path);
    return is_ok;
}

json_t *sim_body_get(const json_t *root, struct text text, size_t query)
{
    const struct path_step *steps = NULL;
    struct path *path = compile(text);
    size_t count = path ? steps_of(path, query, &steps) : 0;
    const json_t *at = count > 0 ? root : NULL;
    for (size_t i = 0; at && i < count; i++)
        at = fits(at, &steps[i]) ? child_of(at, &steps[i]) : NULL;
    path_free(path);
    return (json_t *)(uintptr_t)at;
}

/* ---- predicates --------------------------------------------------------------------------------- */

enum relation { RELATION_NONE, RELATION_EQUAL, RELATION_UNEQUAL, RELATION_EXISTS, RELATION_ABSENT };

struct condition {
    struct text path;
    enum relation relation;
    json_t *value; /* of == and != */
};

static struct text skip_blank(struct text text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4))
        text = (struct text){text.data + 1, text.len - 1};
    return text;
}

static json_t *value_of(struct text text)
{
    if (text.len > 0 && (text.data[0] == '"' || text.data[0] == '\'')) {
        struct buf content = buf_make(text.len + 1);
        size_t len = 0;
        json_t *value = NULL;
        if (!path_string(text, &content, &len) && buf_error(&content) == 0)
            value = json_stringn(content.len > 0 ? (const char *)content.data : "", content.len);
        buf_free(&content);
        return value;
    }
    return json_loadb(text.data, text.len, JSON_DECODE_ANY, NULL);
}

static struct condition condition_of(struct text text)
{
    static const struct {
        const char *word;
        enum relation relation;
    } words[] = {{"==", RELATION_EQUAL},
                 {"!=", RELATION_UNEQUAL},
                 {"exists", RELATION_EXISTS},
                 {"absent", RELATION_ABSENT}};
    struct condition condition = {.relation = RELATION_NONE};
    struct buf error = buf_make(ERROR_MAX);
    struct path *path = NULL;
    size_t len = 0;
    if (path_compile_prefix(text, &path, &len, &error) == 0) {
        struct text rest = skip_blank((struct text){text.data + len, text.len - len});
        condition.path = (struct text){text.data, len};
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t word_len = strlen(words[i].word);
            if (rest.len < word_len || memcmp(rest.data, words[i].word, word_len) != 0)
                continue;
            condition.relation = words[i].relation;
            condition.value =
                value_of(skip_blank((struct text){rest.data + word_len, rest.len - word_len}));
        }
    }
    path_free(path);
    buf_free(&error);
    return condition;
}

/* Some value of the same type that is not this one. */
static json_t *other_than(const json_t *value)
{
    if (json_is_boolean(value))
        return json_boolean(json_is_false(value));
    if (json_is_integer(value))
        return json_integer(json_integer_value(value) + 1);
    return json_is_string(value) ? json_string("other") : json_integer(1);
}

static bool is_there(const json_t *root, struct text path)
{
    const json_t *value = sim_body_get(root, path, 0);
    return value && !json_is_null(value);
}

/* Takes something, which may be NULL. */
static bool make(json_t **root, struct text predicate, bool is_true, json_t *something)
{
    struct condition condition = condition_of(predicate);
    bool is_ok = condition.relation != RELATION_NONE;
    bool wants_equal = (condition.relation == RELATION_EQUAL) == is_true;
    bool wants_there = (condition.relation == RELATION_EXISTS) == is_true;
    if (condition.relation == RELATION_EQUAL || condition.relation == RELATION_UNEQUAL)
        is_ok = condition.value && sim_body_put(root, condition.path, 0,
                                                wants_equal ? json_incref(condition.value)
                                                            : other_than(condition.value),
                                                true);
    else if (is_ok && wants_there && !is_there(*root, condition.path))
        is_ok = sim_body_put(root, condition.path, 0,
                             something ? json_incref(something) : json_string("present"), true);
    else if (is_ok && !wants_there && is_there(*root, condition.path))
        is_ok = sim_body_put(root, condition.path, 0, json_null(), true);
    json_decref(condition.value);
    json_decref(something);
    return is_ok;
}

bool sim_body_satisfy(json_t **root, struct text predicate)
{
    return make(root, predicate, true, NULL);
}

bool sim_body_break(json_t **root, struct text predicate, json_t *something)
{
    return make(root, predicate, false, something);
}

bool sim_body_holds(struct text bytes, struct text text)
{
    struct buf error = buf_make(ERROR_MAX);
    struct predicate *predicate = NULL;
    struct document *document = document_new(bytes, (struct text){NULL, 0});
    bool is_true = document && predicate_compile(text, &predicate, &error) == 0 &&
                   predicate_holds(predicate, document);
    predicate_free(predicate);
    document_free(document);
    buf_free(&error);
    return is_true;
}

json_t *sim_body_code(struct text word, bool is_text)
{
    size_t at = word.len > 1 && word.data[0] == '-' ? 1 : 0;
    bool is_number = word.len > at && word.len < 16 && (word.data[at] != '0' || word.len == at + 1);
    for (size_t i = at; i < word.len; i++)
        is_number = is_number && word.data[i] >= '0' && word.data[i] <= '9';
    return is_number && !is_text ? json_loadb(word.data, word.len, JSON_DECODE_ANY, NULL)
                                 : json_stringn(word.data, word.len);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static int append_piece(const char *data, size_t len, void *out)
{
    buf_append(out, data, len);
    return 0;
}

static void append_dump(const json_t *value, struct buf *out)
{
    json_dump_callback(value, append_piece, out, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void append_xml_text(struct text text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&': buf_append_string(out, "&amp;"); break;
        case '<': buf_append_string(out, "&lt;"); break;
        case '>': buf_append_string(out, "&gt;"); break;
        default: buf_append_byte(out, (uint8_t)text.data[i]);
        }
    }
}

/* A scalar as it stands in a format that knows texts alone. */
static void append_plain(const json_t *value, void (*append)(struct text, struct buf *),
                         struct buf *out)
{
    struct buf dump = buf_make(4096);
    if (json_is_string(value)) {
        append((struct text){json_string_value(value), json_string_length(value)}, out);
        return;
    }
    append_dump(value, &dump);
    if (!json_is_null(value))
        append(buf_text(&dump), out);
    buf_free(&dump);
}

static void write_element(const char *name, const json_t *value, struct buf *out)
{
    const char *key;
    const json_t *item;
    size_t index;
    if (json_is_array(value)) {
        json_array_foreach(value, index, item)
            write_element(name, item, out);
        return;
    }
    buf_printf(out, "<%s>", name);
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
            write_element(key, item, out);
    } else {
        append_plain(value, append_xml_text, out);
    }
    buf_printf(out, "</%s>", name);
}

static bool write_xml(const json_t *root, struct buf *out)
{
    const char *key;
    const json_t *item;
    if (json_object_size(root) != 1)
        return false;
    json_object_foreach((json_t *)(uintptr_t)root, key, item) {
        if (!json_is_object(item))
            return false;
        write_element(key, item, out);
    }
    return true;
}

static void append_form_text(struct text text, struct buf *out)
{
    buf_append_form(out, text);
}

static bool write_form(const json_t *root, struct buf *out)
{
    const char *key;
    const json_t *item;
    size_t count = 0;
    json_object_foreach((json_t *)(uintptr_t)root, key, item) {
        if (json_is_object(item) || json_is_array(item))
            return false;
        if (json_is_null(item))
            continue;
        if (count++ > 0)
            buf_append_byte(out, '&');
        append_form_text(text_of(key), out);
        buf_append_byte(out, '=');
        append_plain(item, append_form_text, out);
    }
    return json_is_object(root) && count > 1; /* `a=b` alone could be anything */
}

bool sim_body_write(const json_t *root, enum sim_format format, struct buf *out)
{
    switch (format) {
    case SIM_FORM: return write_form(root, out);
    case SIM_XML: return write_xml(root, out);
    case SIM_JSONP:
        buf_append_string(out, "callback( ");
        append_dump(root, out);
        buf_append_string(out, " );");
        return true;
    case SIM_JSON: append_dump(root, out); return true;
    }
    return false;
}
