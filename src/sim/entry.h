/* A provider's entry as the provider itself would read it: names, words, templates.
 * Thread: any; pure. */
#ifndef SIM_ENTRY_H
#define SIM_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"
#include "connector/connector.h"

/* Absent where the entry has no such setting. */
struct text sim_setting(const struct connector *entry, const char *name);
bool sim_setting_is(const struct connector *entry, const char *name, const char *value);
/* How many items a list or map setting has, and item `index` of it. */
size_t sim_items(const struct connector *entry, const char *name);
struct text sim_item(const struct connector *entry, const char *name, size_t index,
                     struct text *out_name);
/* The value of a map setting's item; absent where there is none. */
struct text sim_item_named(const struct connector *entry, const char *map, struct text name);
/* What the provider calls a standard parameter; empty where it wants none such. */
struct text sim_parameter(const struct connector *entry, const char *name);

/* One word of the …_errors lists. */
struct sim_word {
    int status; /* 0: any */
    struct text code, subcode;
    bool is_prefix, is_subcode_prefix;
};
struct sim_word sim_word_of(struct text word, bool has_subcodes);

/* Values of {placeholders} that are known; a name that is not stands for any text. */
struct sim_known {
    const char *name;
    struct text value;
};
/* Whether a text is what a template gives. With is_url values stand percent-encoded, an unknown one is
 * no more than a segment of the path, and one at the beginning a whole base. known ends with a row
 * whose name is NULL. */
bool sim_matches(struct text template, struct text text, bool is_url,
                 const struct sim_known *known);
/* Whether a URL template begins with the placeholder of this name. */
bool sim_begins_with(struct text template, struct text name);
/* Whether any URL of the entry does. */
bool sim_is_base(const struct connector *entry, struct text name);

/* The value that a reply gives for a capture, a variable or a part of a secret of this name. */
void sim_sample(const struct connector *entry, struct text name, struct buf *out);

#endif
