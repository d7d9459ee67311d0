#include "cmd/cmd_form.h"

#include <stdio.h>
#include <string.h>

#include "cmd/cmd_input.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_text.h"
#include "wire/doc.h"
#include "wire/json.h"

enum { MAX_LINE = 65536, MAX_SECRET = 1 << 20 };

/* ---- the form ------------------------------------------------------------------------------------- */

static struct text text_in(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return (struct text){NULL, 0};
    return (struct text){json_string_value(value), json_string_length(value)};
}

static bool holds_text(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item && strcmp(item, text) == 0)
            return true;
    }
    return false;
}

static void read_field(const json_t *from, struct form *form)
{
    struct form_field field = {
        .name = text_in(from, "name"),
        .label = text_in(from, "label"),
        .type = form_type_of(text_in(from, "type")),
        .is_required = json_is_true(json_object_get(from, "required")),
        .placeholder = text_in(from, "placeholder"),
        .help = text_in(from, "help"),
        .default_text = text_in(from, "default"),
        .group = text_in(from, "group"),
    };
    if (!field.label.data)
        field.label = field.name;
    if (field.name.data && form->count < FORM_FIELDS_MAX)
        form->fields[form->count++] = field;
}

static void read_form(const json_t *connector, struct form *form)
{
    const json_t *schema = json_object_get(connector, "form_schema");
    struct text kind = text_in(connector, "auth_type");
    *form = (struct form){.secret_kind = doc_main_part(kind) ? kind.data : NULL,
                          .mints = holds_text(json_object_get(connector, "grants"), "minted"),
                          .allow_http = true}; /* whether it may is the daemon's to know */
    for (size_t i = 0; i < json_array_size(schema); i++)
        read_field(json_array_get(schema, i), form);
}

int cmd_form_get(const struct cmd_args *args, const char *provider, struct cmd_form *out_form)
{
    struct cmd_reply reply =
        cmd_ask_quietly(args, "connector.get", json_pack("{s:s}", "provider", provider));
    int status = reply.status;
    *out_form = (struct cmd_form){.connector = NULL};
    if (status == CMD_DONE) {
        out_form->connector = json_incref(json_object_get(reply.root, "connector"));
        read_form(out_form->connector, &out_form->form);
    }
    cmd_reply_free(&reply);
    return status;
}

void cmd_form_free(struct cmd_form *form)
{
    json_decref(form->connector);
    *form = (struct cmd_form){.connector = NULL};
}

/* ---- on a terminal -------------------------------------------------------------------------------- */

static void append_safe(struct buf *out, struct text text)
{
    buf_append_text(out, text_is_printable(text) ? text : TEXT_LITERAL("?"));
}

/* `API key (Keys, such as sk-…) [default]`. */
static void make_prompt(const struct form_field *field, struct buf *out)
{
    append_safe(out, field->label);
    if (field->group.data) {
        buf_append_string(out, " (");
        append_safe(out, field->group);
        buf_append_byte(out, ')');
    }
    if (field->placeholder.data) {
        buf_append_string(out, ", such as ");
        append_safe(out, field->placeholder);
    }
    if (field->default_text.data) {
        buf_append_string(out, " [");
        append_safe(out, field->default_text);
        buf_append_byte(out, ']');
    } else if (!field->is_required) {
        buf_append_string(out, " (or nothing)");
    }
}

static bool ask_field(const struct form_field *field, json_t *to, bool *out_is_given)
{
    struct buf prompt = buf_make(4096), line = buf_make_secret(MAX_LINE);
    if (field->help.data && text_is_printable(field->help))
        fprintf(stderr, "%.*s\n", (int)field->help.len, field->help.data);
    make_prompt(field, &prompt);
    bool is_ok = buf_error(&prompt) == 0 &&
                 cmd_input_line((const char *)prompt.data, field->type == FORM_PASSWORD, &line);
    struct text text = buf_text(&line);
    if (is_ok && text.len > 0) {
        is_ok = json_object_set_new(to, field->name.data, json_stringn(text.data, text.len)) == 0;
        *out_is_given = true;
    }
    buf_free(&prompt);
    buf_free(&line);
    return is_ok;
}

static void tell_groups(const struct form *form)
{
    size_t groups = 0;
    for (size_t i = 0; i < form->count; i++) {
        bool is_first = form->fields[i].group.data != NULL;
        for (size_t j = 0; is_first && j < i; j++)
            is_first = !text_equal(form->fields[j].group, form->fields[i].group);
        groups += is_first;
    }
    if (groups > 1)
        fprintf(stderr, "One of %zu ways is enough: leave blank what belongs to the others.\n",
                groups);
}

json_t *cmd_form_ask(const struct cmd_form *self)
{
    const struct form *form = &self->form;
    struct text chosen = {NULL, 0};
    json_t *fields = json_object();
    bool is_ok = true;
    tell_groups(form);
    for (size_t i = 0; i < form->count && is_ok; i++) {
        const struct form_field *field = &form->fields[i];
        bool is_given = false;
        if (field->group.data && chosen.data && !text_equal(field->group, chosen))
            continue;
        is_ok = ask_field(field, fields, &is_given);
        if (is_given && field->group.data)
            chosen = field->group;
    }
    if (is_ok)
        return fields;
    json_decref(fields);
    return NULL;
}

/* ---- the secret ----------------------------------------------------------------------------------- */

bool cmd_form_fits(const struct cmd_form *self, const json_t *document)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)(uintptr_t)document, key, value) {
        if (form_find(&self->form, text_of(key)) == self->form.count || !json_is_string(value))
            return false;
        count++;
    }
    return count > 0;
}

static void take_values(const struct form *form, const json_t *fields, struct form_values *out)
{
    *out = (struct form_values){.values = {{NULL, 0}}};
    for (size_t i = 0; i < form->count; i++) {
        const json_t *value = json_object_get(fields, form->fields[i].name.data);
        if (json_is_string(value))
            out->values[i] = (struct text){json_string_value(value), json_string_length(value)};
    }
}

/* A packed map as JSON; NULL without memory. */
static json_t *json_of_packed(const struct buf *packed)
{
    struct buf text = buf_make_secret(MAX_SECRET);
    struct tree *tree = tree_new();
    json_t *json = NULL;
    if (tree && buf_error(packed) == 0 && tree_fill(tree, buf_text(packed)) == 0) {
        json_from_node(tree_root(tree), &text);
        if (buf_error(&text) == 0)
            json = json_loadb((const char *)text.data, text.len, JSON_ALLOW_NUL, NULL);
    }
    tree_free(tree);
    buf_free(&text);
    return json;
}

json_t *cmd_form_secret(const struct cmd_form *self, const json_t *fields, struct buf *error)
{
    struct form_values values;
    struct buf packed = buf_make_secret(MAX_SECRET);
    json_t *secret = NULL;
    take_values(&self->form, fields, &values);
    if (form_accept(&self->form, &values, error) == 0) {
        form_pack(&self->form, &values, &packed);
        secret = json_of_packed(&packed);
        if (!secret)
            buf_append_string(error, "it is too long");
    }
    buf_free(&packed);
    return secret;
}
