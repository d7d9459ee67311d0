#include "wire/tags.h"

#include <string.h>

bool tags_have(struct tree *tree, struct text packed, struct text tag)
{
    if (!packed.data || tree_fill(tree, packed) < 0)
        return false;
    const struct node *list = tree_root(tree);
    for (size_t i = 0; node_type(list) == NODE_ARRAY && i < node_count(list); i++) {
        struct text item = node_text(node_item(list, i));
        bool begins = item.data && item.len >= tag.len && memcmp(item.data, tag.data, tag.len) == 0;
        if (begins && (item.len == tag.len || item.data[tag.len] == '='))
            return true;
    }
    return false;
}
