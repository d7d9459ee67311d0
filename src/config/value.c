#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "config/url.h"

struct reading {
    const struct bursar_option *option;
    const struct value_rules *rules;
    struct spot spot;
    bool is_plain; /* written without quotes, or made of ${…} */
};

static bool wrong(const struct reading *reading, const char *message)
{
    problem_add(reading->spot, "%s", message);
    return false;
}

static bool out_of_memory(struct spot spot)
{
    spot.problems->is_out_of_memory = true;
    return false;
}

bool value_text(const struct yaml_node *node, const struct interpolate_vars *vars, struct spot spot,
                struct buf *out)
{
    if (node->type != YAML_SCALAR) {
        problem_add(spot, "must be text, not %s", yaml_type_name(node->type));
        return false;
    }
    if (memchr(node->text, 0, node->text_len))
        return false; /* the tree's own problem */
    return interpolate(yaml_text(node), vars, spot, out);
}

/* ---- scalars -------------------------------------------------------------------------------- */

static bool keep_text(const struct reading *reading, struct text text, struct setting *setting)
{
    setting->text = text_copy(text);
    return setting->text ? true : out_of_memory(reading->spot);
}

/* One line of printable text, or more lines where allowed. */
static bool is_clean(struct text text, bool may_have_lines)
{
    for (size_t i = 0; may_have_lines && i < text.len;) {
        struct text rest = {text.data + i, text.len - i};
        size_t n = 0;
        while (n < rest.len && rest.data[n] != '\n' && rest.data[n] != '\t')
            n++;
        if (!text_is_printable((struct text){rest.data, n}))
            return false;
        i += n + 1;
    }
    return may_have_lines || text_is_printable(text);
}

static bool read_string(const struct reading *reading, struct text text, struct setting *setting)
{
    if (!is_clean(text, true))
        return wrong(reading, "has control characters or is not UTF-8");
    return keep_text(reading, text, setting);
}

static bool read_secret(const struct reading *reading, struct text text, struct setting *setting)
{
    if (text.len == 0)
        return wrong(reading, "is an empty secret");
    if (memchr(text.data, 0, text.len))
        return wrong(reading, "has a NUL character");
    return secret_copy(text, &setting->secret) == 0 ? true : out_of_memory(reading->spot);
}

static bool read_url(const struct reading *reading, struct text text, struct setting *setting)
{
    const char *problem = url_problem(text, reading->rules->allow_http_loopback);
    if (problem)
        return wrong(reading, problem);
    return keep_text(reading, text, setting);
}

/* {placeholders} stand for something that a URL can have; one at the very start for a base URL. */
static void fill_template(struct text text, struct buf *out)
{
    for (size_t i = 0; i < text.len;) {
        const char *end = text.data[i] == '{' ? memchr(text.data + i, '}', text.len - i) : NULL;
        if (end) {
            buf_append_string(out, i == 0 ? "https://x" : "x");
            i = (size_t)(end - text.data) + 1;
        } else {
            buf_append_byte(out, (uint8_t)text.data[i++]);
        }
    }
}

static bool read_template(const struct reading *reading, struct text text, struct setting *setting)
{
    struct buf filled = buf_make(INTERPOLATE_MAX_BYTES);
    fill_template(text, &filled);
    const char *problem = buf_error(&filled) != 0
                              ? "is too long"
                              : url_problem(buf_text(&filled), reading->rules->allow_http_loopback);
    buf_free(&filled);
    if (problem)
        return wrong(reading, problem);
    return keep_text(reading, text, setting);
}

static bool check_text(const struct value_rules *rules, enum bursar_option_type type,
                       struct text text, struct spot spot)
{
    char problem[VALUE_PROBLEM_SIZE];
    bool is_checked = type == BURSAR_OPTION_PATH || type == BURSAR_OPTION_PATHS ||
                      type == BURSAR_OPTION_PREDICATES;
    if (!is_checked || !rules->check || rules->check(type, text, problem))
        return true;
    problem_add(spot, "%s", problem);
    return false;
}

static bool read_path(const struct reading *reading, struct text text, struct setting *setting)
{
    return check_text(reading->rules, BURSAR_OPTION_PATH, text, reading->spot) &&
           keep_text(reading, text, setting);
}

static bool is_number(struct text text, bool is_integer, double *out_number)
{
    if (text.len == 0 || text.len > 40)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == 0 ||
            !strchr(is_integer ? "-0123456789" : "+-.0123456789eE", text.data[i]))
            return false;
    }
    char copy[41] = {0};
    char *end = NULL;
    memcpy(copy, text.data, text.len);
    double number = strtod(copy, &end);
    if (*end != 0 || !isfinite(number))
        return false;
    *out_number = number;
    return true;
}

/* A ratio of 0 is no ratio: its row has the smallest number that makes sense as its min, and people
 * are told what they can use. */
static bool is_in_bounds(const struct reading *reading, double number)
{
    double min = reading->option->min;
    double max = reading->option->max;
    if ((min == 0 && max == 0) || (number >= min && number <= max))
        return true;
    if (min > 0 && min <= 1e-6)
        problem_add(reading->spot, "must be more than 0 and at most %.15g", max);
    else
        problem_add(reading->spot, "must be between %.15g and %.15g", min, max);
    return false;
}

static bool read_number(const struct reading *reading, struct text text, struct setting *setting)
{
    bool is_integer = reading->option->type == BURSAR_OPTION_INTEGER;
    if (!reading->is_plain || !is_number(text, is_integer, &setting->number))
        return wrong(reading, is_integer ? "must be a whole number" : "must be a finite number");
    return is_in_bounds(reading, setting->number) && keep_text(reading, text, setting);
}

static bool read_bool(const struct reading *reading, struct text text, struct setting *setting)
{
    if (!reading->is_plain || (!text_is(text, "true") && !text_is(text, "false")))
        return wrong(reading, "must be true or false");
    setting->number = text_is(text, "true");
    return keep_text(reading, text, setting);
}

size_t value_choices(const char *choices, struct text out[static VALUE_MAX_CHOICES])
{
    size_t count = 0;
    for (const char *at = choices; at && count < VALUE_MAX_CHOICES;) {
        const char *end = strchrnul(at, '|');
        out[count++] = (struct text){at, (size_t)(end - at)};
        at = *end ? end + 1 : NULL;
    }
    return count;
}

static bool report_choice(const struct reading *reading, struct text text)
{
    struct text words[VALUE_MAX_CHOICES];
    char *copies[VALUE_MAX_CHOICES] = {0};
    size_t count = value_choices(reading->option->choices, words);
    struct buf message = buf_make(512);
    buf_append_string(&message, "must be one of");
    for (size_t i = 0; i < count; i++) {
        buf_append_string(&message, i == 0 ? " " : ", ");
        buf_append_text(&message, words[i]);
        copies[i] = text_copy(words[i]);
        if (!copies[i])
            count = 0;
    }
    problem_add_nearest(reading->spot, (const char *)message.data,
                        text_nearest(text, (const char *const *)copies, count));
    for (size_t i = 0; i < VALUE_MAX_CHOICES; i++)
        free(copies[i]);
    buf_free(&message);
    return false;
}

static bool read_choice(const struct reading *reading, struct text text, struct setting *setting)
{
    struct text words[VALUE_MAX_CHOICES];
    size_t count = value_choices(reading->option->choices, words);
    for (size_t i = 0; i < count; i++) {
        if (text_equal(text, words[i]))
            return keep_text(reading, text, setting);
    }
    return report_choice(reading, text);
}

typedef bool read_function(const struct reading *reading, struct text text,
                           struct setting *setting);

static read_function *const scalar_readers[] = {
    [BURSAR_OPTION_STRING] = read_string, [BURSAR_OPTION_SECRET] = read_secret,
    [BURSAR_OPTION_URL] = read_url,       [BURSAR_OPTION_INTEGER] = read_number,
    [BURSAR_OPTION_NUMBER] = read_number, [BURSAR_OPTION_BOOL] = read_bool,
    [BURSAR_OPTION_CHOICE] = read_choice, [BURSAR_OPTION_TEMPLATE] = read_template,
    [BURSAR_OPTION_PATH] = read_path,     [BURSAR_OPTION_ROWS] = NULL,
};

static bool read_scalar(const struct yaml_node *node, struct reading *reading,
                        struct setting *setting)
{
    struct buf text = buf_make_secret(INTERPOLATE_MAX_BYTES);
    bool is_ok = value_text(node, reading->rules->vars, reading->spot, &text);
    reading->is_plain = node->is_plain || interpolate_is_needed(yaml_text(node));
    if (is_ok)
        is_ok = scalar_readers[reading->option->type](reading, buf_text(&text), setting);
    buf_free(&text);
    return is_ok;
}

/* ---- lists and maps ------------------------------------------------------------------------- */

static bool read_item(const struct yaml_node *node, const struct reading *reading, struct spot spot,
                      struct setting_item *item)
{
    struct buf text = buf_make_secret(INTERPOLATE_MAX_BYTES);
    bool is_ok = value_text(node, reading->rules->vars, spot, &text);
    if (is_ok && !is_clean(buf_text(&text), false)) {
        problem_add(spot, "has control characters or is not UTF-8");
        is_ok = false;
    }
    if (is_ok) {
        item->value = text_copy(buf_text(&text));
        if (!item->value)
            is_ok = out_of_memory(spot);
    }
    buf_free(&text);
    return is_ok && check_text(reading->rules, reading->option->type, text_of(item->value), spot);
}

static bool read_list(const struct yaml_node *node, const struct reading *reading,
                      struct setting *setting)
{
    bool is_ok = true;
    for (size_t i = 0; i < node->item_count; i++) {
        struct key_path path = {reading->spot.path, {NULL, 0}, i};
        struct spot spot = {reading->spot.problems, node->items[i]->mark, &path};
        is_ok &= read_item(node->items[i], reading, spot, &setting->items[setting->item_count++]);
    }
    return is_ok;
}

static bool read_map(const struct yaml_node *node, const struct reading *reading,
                     struct setting *setting)
{
    bool is_ok = true;
    for (size_t i = 0; i < node->item_count; i += 2) {
        struct key_path path = {reading->spot.path, yaml_text(node->items[i]), 0};
        struct spot spot = {reading->spot.problems, node->items[i + 1]->mark, &path};
        struct setting_item *item = &setting->items[setting->item_count++];
        if (path.name.len == 0 || !text_is_printable(path.name)) {
            problem_add(spot, "the name has control characters or is empty");
            is_ok = false;
        }
        item->name = text_copy(path.name);
        is_ok &= item->name ? true : out_of_memory(spot);
        is_ok &= read_item(node->items[i + 1], reading, spot, item);
    }
    return is_ok;
}

static bool read_collection(const struct yaml_node *node, const struct reading *reading,
                            struct setting *setting)
{
    bool is_list = reading->option->type == BURSAR_OPTION_LIST ||
                   reading->option->type == BURSAR_OPTION_PREDICATES;
    if (node->type != (is_list ? YAML_LIST : YAML_MAP)) {
        problem_add(reading->spot, "must be %s, not %s",
                    yaml_type_name(is_list ? YAML_LIST : YAML_MAP), yaml_type_name(node->type));
        return false;
    }
    setting->items = calloc(node->item_count + 1, sizeof *setting->items);
    if (!setting->items)
        return out_of_memory(reading->spot);
    return is_list ? read_list(node, reading, setting) : read_map(node, reading, setting);
}

/* ---- all ------------------------------------------------------------------------------------ */

static bool read_any(const struct yaml_node *node, struct reading *reading,
                     struct setting *out_setting)
{
    struct settings one = {.values = NULL};
    struct setting setting = {.option = reading->option, .is_given = true};
    bool is_ok = scalar_readers[reading->option->type] ? read_scalar(node, reading, &setting)
                                                       : read_collection(node, reading, &setting);
    if (is_ok) {
        *out_setting = setting;
        return true;
    }
    settings_put(&one, &setting); /* one way to end a setting */
    settings_free(&one);
    return false;
}

bool value_read(const struct yaml_node *node, const struct bursar_option *option,
                const struct value_rules *rules, struct spot spot, struct setting *out_setting)
{
    struct reading reading = {option, rules, spot, false};
    if (node->type == YAML_NULL) {
        problem_add(spot, "has no value");
        return false;
    }
    return read_any(node, &reading, out_setting);
}

bool value_default(const struct bursar_option *option, const struct value_rules *rules,
                   struct spot spot, struct setting *out_setting)
{
    struct yaml *yaml = NULL;
    struct yaml_node scalar = {.type = YAML_SCALAR, .is_plain = true, .mark = spot.mark};
    struct reading reading = {option, rules, spot, true};
    if (scalar_readers[option->type]) {
        char *copy = strdup(option->default_text);
        scalar.text = copy;
        scalar.text_len = copy ? strlen(copy) : 0;
        bool is_ok = copy ? read_any(&scalar, &reading, out_setting) : out_of_memory(spot);
        free(copy);
        if (is_ok)
            out_setting->is_given = false;
        return is_ok;
    }
    int error = yaml_read_text(spot.mark.file, text_of(option->default_text), spot.problems, &yaml);
    bool is_ok = error == 0 && yaml->root && read_any(yaml->root, &reading, out_setting);
    if (error == BURSAR_E_NOMEM)
        out_of_memory(spot);
    if (is_ok)
        out_setting->is_given = false;
    yaml_free(yaml);
    return is_ok;
}
