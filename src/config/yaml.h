/* One YAML file as a tree of nodes that know their place; all of libfyaml is behind this.
 * Thread: its owner; a finished tree is not changed and may be read by any.
 *
 * A file is bounded in size, depth and nodes. An alias shares the node of its anchor and counts as
 * often as it is used, so a small file cannot unfold into a large one; an alias inside what it
 * names, a repeated key, a tag, a merge key and a second document are errors. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/problem.h"

#define YAML_MAX_BYTES ((size_t)4 << 20)
#define YAML_MAX_DEPTH 32u
#define YAML_MAX_NODES 100000u
#define YAML_MAX_ANCHORS 256u

enum yaml_type {
    YAML_NULL, /* nothing, `~` or `null` */
    YAML_SCALAR,
    YAML_LIST,
    YAML_MAP,
};

struct yaml_node {
    enum yaml_type type;
    bool is_plain; /* a scalar without quotes */
    struct mark mark;
    char *text; /* of a scalar; NUL-terminated, wiped at the end */
    size_t text_len;
    struct yaml_node **items; /* of a list the items; of a map key, value, key, value … */
    size_t item_count;        /* of a map twice its pairs */

    /* of use to yaml.c alone */
    size_t item_cap;
    size_t weight; /* nodes below and this, aliases unfolded */
    unsigned height;
    bool is_open;
    struct yaml_node *older;
};

struct yaml {
    struct yaml_node *root; /* NULL for an empty file */
    struct yaml_node *newest;
    size_t node_count;
};

/* Reads a regular file that not everybody may write. 0 and a tree; else BURSAR_E_CONFIG (what is
 * wrong was added to problems) or BURSAR_E_NOMEM. A tree with smaller errors (a repeated key) is
 * given too, its problems added: the caller looks at problems->count in the end. Borrows path until
 * the tree and the problems have ended. */
int yaml_read_file(const char *path, struct problems *problems, struct yaml **out_yaml);
/* The same from memory; name stands in messages and is borrowed as path above. */
int yaml_read_text(const char *name, struct text text, struct problems *problems,
                   struct yaml **out_yaml);
void yaml_free(struct yaml *yaml);

struct text yaml_text(const struct yaml_node *node);
/* Value of a key of a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* "a map", "a list", "text", "nothing": for messages. */
const char *yaml_type_name(enum yaml_type type);

#endif
