/* What a person is asked for to use a provider, and the rules for what they give.
 * Thread: any; pure functions.
 *
 * A form is the rows `form` of a provider's entry, or else those of its kind, or else what a secret of
 * its kind is made of. The rules: a blank is absent, and what is absent takes its default. A required
 * field without a group must be there. Groups are methods of which one is enough: one that was begun
 * must be complete, and one must be complete. */
#ifndef CONNECTOR_FORM_H
#define CONNECTOR_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"
#include "connector/connector.h"
#include "wire/tree.h"

#define FORM_FIELDS_MAX 32

enum form_type { FORM_PASSWORD, FORM_TEXT, FORM_URL };

/* A text without data is absent. */
struct form_field {
    struct text name, label;
    enum form_type type;
    bool is_required;
    struct text placeholder, help, default_text, group;
};

struct form {
    struct form_field fields[FORM_FIELDS_MAX];
    size_t count;            /* 0: nobody can fill in one; people consent to such a provider */
    const char *secret_kind; /* of what is made of it; NULL: what the fields are the parts of */
    bool mints;      /* the fields are what secrets are made from, and no secret themselves */
    bool allow_http; /* http:// on loopback */
};

/* Borrows from the connector. */
void form_of(const struct connector *connector, struct form *out_form);
/* The words of the wire; an unknown one is a password, so that it is not shown. */
enum form_type form_type_of(struct text word);
const char *form_type_name(enum form_type type);

/* What was filled in, by the fields' order; absent where nothing was. */
struct form_values {
    struct text values[FORM_FIELDS_MAX];
};

/* Takes the values out of a map of texts, which it borrows from. 0, or BURSAR_E_BAD_REQUEST for a
 * field that the form does not have. */
int form_take(const struct form *form, const struct node *map, struct form_values *out_values,
              struct buf *error);
/* Applies the rules: 0 with defaults in the place of blanks, or BURSAR_E_INVALID_CREDENTIAL with one
 * line for people: `<Label> is required`, `<Label> (<Group>) is required`. */
int form_accept(const struct form *form, struct form_values *values, struct buf *error);

/* The index of a field, or form->count. */
size_t form_find(const struct form *form, struct text name);

/* Appends accepted values as the `secret` of a credential.put, a packed map: what the kind of the
 * secret names becomes its parts, the rest its `fields`, or all of it `grant` where secrets are made
 * from it. A kind whose main part is no field of the form gets the first password. */
void form_pack(const struct form *form, const struct form_values *values, struct buf *out);

#endif
