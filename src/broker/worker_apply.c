#include <string.h>

#include <bursar/error.h>

#include "broker/worker_parts.h"
#include "connector/call.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum { APPLY_MAX = 65536 };

/* One row, unless something that it is made of is not there. False where it cannot be made. */
static bool add_row(struct worker *self, const struct call *call, size_t row, struct pack *list)
{
    const struct settings *settings = self->connector->settings;
    struct buf value = buf_make_secret(APPLY_MAX);
    int result = call_expand(call, settings_cell(settings, "apply", row, "value"), false, &value);
    bool is_line = result == 0 && value.len > 0 && !memchr(value.data, '\n', value.len) &&
                   !memchr(value.data, '\r', value.len) && !memchr(value.data, 0, value.len);
    if (is_line) {
        struct pack map = pack_item_map(list);
        pack_text(&map, "in", settings_cell(settings, "apply", row, "in"));
        pack_text(&map, "name", settings_cell(settings, "apply", row, "name"));
        pack_text(&map, "value", buf_text(&value));
        pack_close(&map);
    }
    buf_free(&value);
    return result == 0 || result == BURSAR_E_NOT_FOUND;
}

static int fill(struct tree *tree, struct text packed)
{
    return tree_fill(tree, packed.len > 0 ? packed : TEXT_LITERAL("\x80")); /* an empty map */
}

int worker_add_apply(struct worker *self, struct text grant, struct text metadata,
                     struct buf *secret)
{
    size_t count = settings_rows(self->connector->settings, "apply");
    struct buf packed = buf_make_secret(APPLY_MAX), merged;
    bool is_ok = true;
    if (count == 0)
        return 0;
    int result = fill(self->made_tree, buf_text(secret));
    if (result == 0)
        result = fill(self->grant_tree, grant);
    if (result == 0)
        result = fill(self->metadata_tree, metadata);
    if (result < 0)
        return result;
    struct call call = worker_call(self, BURSAR_REFRESH, 0);
    call.secret = tree_root(self->made_tree);
    struct pack list = pack_array(&packed);
    for (size_t i = 0; i < count; i++)
        is_ok &= add_row(self, &call, i, &list);
    pack_close(&list);
    struct doc_change change = {.name = "apply", .value = buf_text(&packed), .is_packed = true};
    merged = buf_make_secret(secret->max);
    doc_merge(tree_root(self->made_tree), &change, 1, &merged);
    result = is_ok && buf_error(&packed) == 0 ? buf_error(&merged) : BURSAR_E_INTERNAL;
    buf_free(&packed);
    if (result < 0) {
        buf_free(&merged);
        return result;
    }
    buf_free(secret);
    *secret = merged;
    return 0;
}
