#include "sim/entry.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 8192, DEPTH_MAX = 32 };

struct text sim_setting(const struct connector *entry, const char *name)
{
    return settings_text(entry->settings, name);
}

bool sim_setting_is(const struct connector *entry, const char *name, const char *value)
{
    return text_is(sim_setting(entry, name), value);
}

size_t sim_items(const struct connector *entry, const char *name)
{
    const struct setting *setting = settings_find(entry->settings, name);
    return setting && setting->items ? setting->item_count : 0;
}

struct text sim_item(const struct connector *entry, const char *name, size_t index,
                     struct text *out_name)
{
    const struct setting_item *item = &settings_find(entry->settings, name)->items[index];
    if (out_name)
        *out_name = text_of(item->name);
    return text_of(item->value);
}

struct text sim_item_named(const struct connector *entry, const char *map, struct text name)
{
    for (size_t i = 0; i < sim_items(entry, map); i++) {
        struct text key;
        struct text value = sim_item(entry, map, i, &key);
        if (text_equal(key, name))
            return value;
    }
    return (struct text){NULL, 0};
}

struct text sim_parameter(const struct connector *entry, const char *name)
{
    struct text theirs = sim_item_named(entry, "parameter_names", text_of(name));
    return theirs.data ? theirs : text_of(name);
}

/* ---- words -------------------------------------------------------------------------------------- */

static bool is_status(struct text word)
{
    bool is_ok = word.len >= 8 && memcmp(word.data, "HTTP ", 5) == 0 &&
                 (word.len == 8 || word.data[8] == ' ');
    for (size_t i = 5; is_ok && i < 8; i++)
        is_ok = word.data[i] >= '0' && word.data[i] <= '9';
    return is_ok;
}

/* Whether a text means all that begin as it does; the mark of that goes. */
static bool cut_star(struct text *text)
{
    bool is_prefix = text->len > 1 && text->data[text->len - 1] == '*';
    text->len -= is_prefix;
    return is_prefix;
}

struct sim_word sim_word_of(struct text word, bool has_subcodes)
{
    struct sim_word made = {.code = word};
    if (is_status(word)) {
        for (size_t i = 5; i < 8; i++)
            made.status = made.status * 10 + (word.data[i] - '0');
        made.code =
            word.len > 9 ? (struct text){word.data + 9, word.len - 9} : (struct text){NULL, 0};
    }
    const char *slash = made.code.data ? memchr(made.code.data, '/', made.code.len) : NULL;
    if (slash && has_subcodes) {
        size_t len = (size_t)(slash - made.code.data);
        made.subcode = (struct text){slash + 1, made.code.len - len - 1};
        made.code.len = len;
        made.is_subcode_prefix = cut_star(&made.subcode);
    }
    made.is_prefix = cut_star(&made.code);
    return made;
}

/* ---- templates ---------------------------------------------------------------------------------- */

/* The placeholder that text begins with: its length with the braces, or 0. */
static size_t placeholder_at(struct text text, struct text *out_name)
{
    const char *end = text.len > 2 && text.data[0] == '{' && text.data[1] != '{'
                          ? memchr(text.data, '}', text.len)
                          : NULL;
    if (!end || end == text.data + 1)
        return 0;
    *out_name = (struct text){text.data + 1, (size_t)(end - text.data) - 1};
    return out_name->len + 2;
}

static struct text behind(struct text text, size_t len)
{
    return (struct text){text.data + len, text.len - len};
}

struct matching {
    bool is_url;
    const struct sim_known *known;
};

static bool matches(const struct matching *how, struct text template, struct text text,
                    bool is_start, unsigned depth);

static bool matches_known(const struct matching *how, const struct sim_known *known,
                          struct text rest, struct text text, unsigned depth)
{
    struct buf encoded = buf_make(VALUE_MAX);
    struct text value = known->value;
    if (how->is_url) {
        buf_append_percent(&encoded, value);
        value = buf_text(&encoded);
    }
    bool is_same = value.len <= text.len && memcmp(value.data, text.data, value.len) == 0 &&
                   matches(how, rest, behind(text, value.len), false, depth);
    buf_free(&encoded);
    return is_same;
}

/* The longest text first: what stands behind decides. */
static bool matches_any(const struct matching *how, struct text rest, struct text text,
                        bool is_start, unsigned depth)
{
    size_t max = text.len;
    const char *stop = how->is_url && !is_start ? memchr(text.data, '/', text.len) : NULL;
    if (stop)
        max = (size_t)(stop - text.data);
    for (size_t len = max; len > 0; len--) {
        if (matches(how, rest, behind(text, len), false, depth))
            return true;
    }
    return false;
}

static bool matches(const struct matching *how, struct text template, struct text text,
                    bool is_start, unsigned depth)
{
    struct text name;
    while (template.len > 0) {
        size_t len = placeholder_at(template, &name);
        const struct sim_known *known = how->known;
        if (len > 0 && depth == DEPTH_MAX)
            return false;
        while (len > 0 && known && known->name && !text_is(name, known->name))
            known++;
        if (len > 0 && known && known->name)
            return matches_known(how, known, behind(template, len), text, depth + 1);
        if (len > 0)
            return matches_any(how, behind(template, len), text, is_start, depth + 1);
        if (text.len == 0 || template.data[0] != text.data[0])
            return false;
        bool is_escape = template.len > 1 && template.data[0] == '{' && template.data[1] == '{';
        template = behind(template, is_escape ? 2 : 1);
        text = behind(text, 1);
        is_start = false;
    }
    return text.len == 0;
}

bool sim_matches(struct text template, struct text text, bool is_url, const struct sim_known *known)
{
    struct matching how = {is_url, known};
    return template.data && text.data && matches(&how, template, text, is_url, 0);
}

bool sim_begins_with(struct text template, struct text name)
{
    struct text first;
    return template.data && placeholder_at(template, &first) > 0 && text_equal(first, name);
}

bool sim_is_base(const struct connector *entry, struct text name)
{
    for (size_t i = 0; i < entry->settings->count; i++) {
        const struct setting *setting = &entry->settings->values[i];
        if (setting->option->type == BURSAR_OPTION_TEMPLATE && setting->text &&
            sim_begins_with(text_of(setting->text), name))
            return true;
    }
    return false;
}

/* ---- samples ------------------------------------------------------------------------------------ */

/* Rows of `variables` that say a default or allowed hosts. */
static bool sample_of_variable(const struct connector *entry, struct text name, struct buf *out)
{
    char key[64];
    for (size_t i = 0; i < settings_rows(entry->settings, "variables"); i++) {
        if (!text_equal(settings_cell(entry->settings, "variables", i, "name"), name))
            continue;
        struct text value = settings_cell(entry->settings, "variables", i, "default");
        snprintf(key, sizeof key, "variables.%zu.allow", i);
        if (value.data) {
            buf_append_text(out, value);
            return true;
        }
        if (sim_items(entry, key) == 0)
            continue;
        value = sim_item(entry, key, 0, NULL);
        if (sim_is_base(entry, name))
            buf_append_string(out, "https://");
        bool is_any = value.len > 2 && value.data[0] == '*';
        buf_append_string(out, is_any ? "eu1" : "");
        buf_append_text(out, is_any ? (struct text){value.data + 1, value.len - 1} : value);
        return true;
    }
    return false;
}

void sim_sample(const struct connector *entry, struct text name, struct buf *out)
{
    if (sample_of_variable(entry, name, out))
        return;
    if (sim_is_base(entry, name))
        buf_append_string(out, "https://");
    buf_append_string(out, "x-");
    for (size_t i = 0; i < name.len; i++)
        buf_append_byte(out, (uint8_t)(name.data[i] == '_' ? '-' : name.data[i]));
    if (sim_is_base(entry, name))
        buf_append_string(out, ".example");
}
