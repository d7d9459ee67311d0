/* The checked values of one provider's entry, by the names of an option table.
 * Thread: any once built: a built table does not change. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/connector.h>

#include "base/secret.h"
#include "base/text.h"

struct setting_item {
    char *name; /* NULL in a list */
    char *value;
};

/* One value. Which member holds it follows from the option's type. */
struct setting {
    char *name;                         /* "GROUP.COLUMN", "ROWS.0.COLUMN"; NULL: the option's */
    const struct bursar_option *option; /* borrows the table's row */
    bool is_given;                      /* written by the operator, not the default */
    char *text;                         /* STRING, URL, CHOICE, and numbers as they were written */
    struct secret secret;               /* SECRET */
    double number;                      /* INTEGER, NUMBER; BOOL as 0 or 1 */
    struct setting_item *items;         /* LIST, MAP */
    size_t item_count;                  /* of ROWS how many there are */
};

struct settings {
    struct setting *values;
    size_t count;
    uint16_t
        *slots; /* by name, once settings_index() made them; NULL: names are searched one by one */
    size_t slot_count; /* a power of two */
};

void settings_free(struct settings *settings);

/* Takes the content of setting (and empties it) in place of a value of the same name. false without
 * memory; setting has ended then too. Only while the table is built. */
bool settings_put(struct settings *settings, struct setting *setting);

/* The table is complete: names are found without looking at all others. A request asks for a hundred. Without
 * memory they are searched as before; putting another one ends it. */
void settings_index(struct settings *settings);

/* NULL where the option is absent and has no default, or is not in the table. */
const struct setting *settings_find(const struct settings *settings, const char *name);

/* Short forms; what is absent gives the absent text, the number given or false. Texts are borrowed. */
struct text settings_text(const struct settings *settings, const char *name); /* secrets too */
struct text setting_text(const struct setting *setting); /* the same of one; NULL: absent */
double settings_number(const struct settings *settings, const char *name, double absent);
bool settings_bool(const struct settings *settings, const char *name);
size_t settings_rows(const struct settings *settings, const char *name);
/* The value of column `column` in row `row` of ROWS `name`. */
struct text settings_cell(const struct settings *settings, const char *name, size_t row,
                          const char *column);
const char *setting_name(const struct setting *setting);

#endif
