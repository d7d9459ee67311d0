#include "connector/form.h"

#include <string.h>

#include <bursar/error.h>

#include "config/url.h"
#include "wire/doc.h"
#include "wire/pack.h"

/* ---- forms ---------------------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [FORM_PASSWORD] = "password", [FORM_TEXT] = "text", [FORM_URL] = "url"};

enum form_type form_type_of(struct text word)
{
    return text_is(word, "text") ? FORM_TEXT : text_is(word, "url") ? FORM_URL : FORM_PASSWORD;
}

const char *form_type_name(enum form_type type)
{
    return type_names[type];
}

/* What is asked for where neither the entry nor its kind says it. Those of no kind are for secrets of
 * any kind: each group makes another one. */
static const struct standard_field {
    const char *kind; /* NULL: of any */
    const char *name, *label;
    enum form_type type;
    bool is_required;
    const char *group;
} standard_fields[] = {
    {"api_key", "api_key", "API key", FORM_PASSWORD, true, NULL},
    {"api_key", "api_secret", "API secret", FORM_PASSWORD, false, NULL},
    {"basic", "username", "User name", FORM_TEXT, true, NULL},
    {"basic", "password", "Password", FORM_PASSWORD, true, NULL},
    {"bearer", "token", "Token", FORM_PASSWORD, true, NULL},
    {"header", "name", "Header name", FORM_TEXT, true, NULL},
    {"header", "value", "Header value", FORM_PASSWORD, true, NULL},
    {NULL, "token", "Token", FORM_PASSWORD, true, "Bearer token"},
    {NULL, "username", "User name", FORM_TEXT, true, "Basic authentication"},
    {NULL, "password", "Password", FORM_PASSWORD, true, "Basic authentication"},
    {NULL, "name", "Header name", FORM_TEXT, true, "Header"},
    {NULL, "value", "Header value", FORM_PASSWORD, true, "Header"},
};
enum { STANDARD_COUNT = sizeof standard_fields / sizeof standard_fields[0] };

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void add_standard(struct form *form)
{
    for (size_t i = 0; i < STANDARD_COUNT; i++) {
        const struct standard_field *from = &standard_fields[i];
        if (is_same(from->kind, form->secret_kind))
            form->fields[form->count++] = (struct form_field){.name = text_of(from->name),
                                                              .label = text_of(from->label),
                                                              .type = from->type,
                                                              .is_required = from->is_required,
                                                              .group = text_of(from->group)};
    }
}

static void add_module(struct form *form, const struct bursar_field *from)
{
    for (; from->name && form->count < FORM_FIELDS_MAX; from++)
        form->fields[form->count++] =
            (struct form_field){.name = text_of(from->name),
                                .label = text_of(from->label ? from->label : from->name),
                                .type = form_type_of(text_of(from->type)),
                                .is_required = from->required,
                                .help = text_of(from->help)};
}

static void add_rows(struct form *form, const struct settings *settings, size_t rows)
{
    for (size_t i = 0; i < rows && form->count < FORM_FIELDS_MAX; i++) {
        form->fields[form->count++] = (struct form_field){
            .name = settings_cell(settings, "form", i, "name"),
            .label = settings_cell(settings, "form", i, "label"),
            .type = form_type_of(settings_cell(settings, "form", i, "type")),
            .is_required = text_is(settings_cell(settings, "form", i, "required"), "true"),
            .placeholder = settings_cell(settings, "form", i, "placeholder"),
            .help = settings_cell(settings, "form", i, "help"),
            .default_text = settings_cell(settings, "form", i, "default"),
            .group = settings_cell(settings, "form", i, "group"),
        };
    }
}

void form_of(const struct connector *connector, struct form *out_form)
{
    const struct bursar_connector *module = connector->module;
    size_t rows = settings_rows(connector->settings, "form");
    *out_form = (struct form){.secret_kind = module->secret_kind,
                              .mints = (module->flags & BURSAR_CONNECTOR_MINTS) != 0,
                              .allow_http = connector->allow_http};
    if (rows > 0)
        add_rows(out_form, connector->settings, rows);
    else if (module->form)
        add_module(out_form, module->form);
    else if (!out_form->mints)
        add_standard(out_form);
}

/* ---- values --------------------------------------------------------------------------------------- */

size_t form_find(const struct form *form, struct text name)
{
    size_t i = 0;
    while (i < form->count && !text_equal(form->fields[i].name, name))
        i++;
    return i;
}

static int refuse_field(const struct form *form, struct text name, struct buf *error)
{
    const char *before = "; it has ";
    buf_append_string(error, "fields: the form has no field ");
    buf_append_text(
        error, text_is_printable(name) && name.len <= 64 ? name : TEXT_LITERAL("of that name"));
    for (size_t i = 0; i < form->count; i++) {
        buf_append_string(error, before);
        buf_append_text(error, form->fields[i].name);
        before = ", ";
    }
    return BURSAR_E_BAD_REQUEST;
}

int form_take(const struct form *form, const struct node *map, struct form_values *out_values,
              struct buf *error)
{
    struct form_values values = {.values = {{NULL, 0}}};
    for (size_t i = 0; i < node_count(map); i++) {
        const struct node *key, *value;
        node_pair(map, i, &key, &value);
        size_t field = form_find(form, node_text(key));
        if (field == form->count)
            return refuse_field(form, node_text(key), error);
        if (node_type(value) == NODE_TEXT)
            values.values[field] = node_text(value);
    }
    *out_values = values;
    return 0;
}

/* ---- the rules ------------------------------------------------------------------------------------ */

static bool is_blank(struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r\n", text.data[i]) || text.data[i] == 0)
            return false;
    }
    return true;
}

static int refuse(const struct form_field *field, const char *what, struct buf *error)
{
    buf_append_text(error, field->label);
    if (field->group.data) {
        buf_append_string(error, " (");
        buf_append_text(error, field->group);
        buf_append_byte(error, ')');
    }
    buf_append_byte(error, ' ');
    buf_append_string(error, what);
    return BURSAR_E_INVALID_CREDENTIAL;
}

static int check_url(const struct form *form, const struct form_field *field, struct text value,
                     struct buf *error)
{
    const char *problem = url_problem(value, form->allow_http);
    return problem ? refuse(field, problem, error) : 0;
}

/* Whether somebody has begun to fill in the group: what only has its default was not touched. */
static bool is_touched(const struct form *form, const struct form_values *given, struct text group)
{
    for (size_t i = 0; i < form->count; i++) {
        if (text_equal(form->fields[i].group, group) && given->values[i].data)
            return true;
    }
    return false;
}

/* The first field that the group lacks, or form->count. */
static size_t missing_of(const struct form *form, const struct form_values *values,
                         struct text group)
{
    for (size_t i = 0; i < form->count; i++) {
        if (text_equal(form->fields[i].group, group) && form->fields[i].is_required &&
            !values->values[i].data)
            return i;
    }
    return form->count;
}

static int check_groups(const struct form *form, const struct form_values *given,
                        const struct form_values *values, struct buf *error)
{
    size_t first = form->count; /* of all that stand in a group */
    bool has_complete = false;
    for (size_t i = 0; i < form->count; i++) {
        struct text group = form->fields[i].group;
        if (!group.data)
            continue;
        if (first == form->count)
            first = i;
        if (!is_touched(form, given, group))
            continue;
        size_t missing = missing_of(form, values, group);
        if (missing < form->count)
            return refuse(&form->fields[missing], "is required", error);
        has_complete = true;
    }
    if (first == form->count || has_complete)
        return 0;
    size_t missing = missing_of(form, values, form->fields[first].group);
    return refuse(&form->fields[missing < form->count ? missing : first], "is required", error);
}

/* A group that nobody has begun is not there, defaults or not. */
static void drop_untouched(const struct form *form, const struct form_values *given,
                           struct form_values *values)
{
    for (size_t i = 0; i < form->count; i++) {
        struct text group = form->fields[i].group;
        if (group.data && !is_touched(form, given, group))
            values->values[i] = (struct text){NULL, 0};
    }
}

int form_accept(const struct form *form, struct form_values *values, struct buf *error)
{
    struct form_values given = *values, accepted;
    for (size_t i = 0; i < form->count; i++) {
        if (is_blank(given.values[i]))
            given.values[i] = (struct text){NULL, 0};
        struct text standard = form->fields[i].default_text;
        accepted.values[i] =
            given.values[i].data || is_blank(standard) ? given.values[i] : standard;
    }
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *field = &form->fields[i];
        if (!field->group.data && field->is_required && !accepted.values[i].data)
            return refuse(field, "is required", error);
    }
    int result = check_groups(form, &given, &accepted, error);
    drop_untouched(form, &given, &accepted);
    for (size_t i = 0; i < form->count && result == 0; i++) {
        if (form->fields[i].type == FORM_URL && accepted.values[i].data)
            result = check_url(form, &form->fields[i], accepted.values[i], error);
    }
    if (result == 0)
        *values = accepted;
    return result;
}

/* ---- the secret ----------------------------------------------------------------------------------- */

/* Parts of each kind that a person can give; all else is a further field. */
static const char *const kind_parts[][4] = {
    {"oauth2", "access_token", "refresh_token", "token_type"},
    {"api_key", "api_key", "api_secret"},
    {"basic", "password", "username"},
    {"bearer", "token"},
    {"header", "value", "name"},
};
enum { KIND_COUNT = sizeof kind_parts / sizeof kind_parts[0] };

static struct text value_of(const struct form *form, const struct form_values *values,
                            const char *name)
{
    size_t i = form_find(form, text_of(name));
    return i < form->count ? values->values[i] : (struct text){NULL, 0};
}

static size_t kind_index(const struct form *form, const struct form_values *values)
{
    if (form->mints && !form->secret_kind)
        return 0;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const char *const *kind = kind_parts[i];
        if (form->secret_kind ? strcmp(form->secret_kind, kind[0]) == 0
                              : value_of(form, values, kind[1]).data != NULL)
            return i;
    }
    return 1; /* what nothing else is, is a key */
}

static bool is_part(size_t kind, struct text name)
{
    for (size_t i = 1; i < 4 && kind_parts[kind][i]; i++) {
        if (text_is(name, kind_parts[kind][i]))
            return true;
    }
    return false;
}

static struct text first_password(const struct form *form, const struct form_values *values)
{
    for (size_t i = 0; i < form->count; i++) {
        if (form->fields[i].type == FORM_PASSWORD && values->values[i].data)
            return values->values[i];
    }
    return (struct text){NULL, 0};
}

static void pack_values(const struct form *form, const struct form_values *values, size_t kind,
                        bool wants_parts, struct pack *to)
{
    for (size_t i = 0; i < form->count; i++) {
        struct text name = form->fields[i].name;
        bool is_wanted = form->mints || is_part(kind, name) == wants_parts;
        if (!values->values[i].data || !is_wanted)
            continue;
        pack_item_text(to, name);
        pack_item_text(to, values->values[i]);
        to->count--; /* a pair is one */
    }
}

void form_pack(const struct form *form, const struct form_values *values, struct buf *out)
{
    size_t kind = kind_index(form, values);
    const char *main_part = kind_parts[kind][1];
    struct pack secret = pack_map(out);
    pack_string(&secret, "kind", kind_parts[kind][0]);
    if (!form->mints) {
        if (!value_of(form, values, main_part).data && first_password(form, values).data)
            pack_text(&secret, main_part, first_password(form, values));
        pack_values(form, values, kind, true, &secret);
    }
    struct pack rest = pack_map_in(&secret, form->mints ? "grant" : "fields");
    pack_values(form, values, kind, false, &rest);
    pack_close(&rest);
    pack_close(&secret);
}
