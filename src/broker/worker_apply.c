#include <string.h>

#include <bursar/error.h>

#include "base/base64.h"
#include "broker/worker_parts.h"
#include "connector/call.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum { APPLY_MAX = 65536 };

static int expand(const struct call *call, size_t row, const char *column, struct buf *out)
{
    struct text text = settings_cell(call->connector->settings, "apply", row, column);
    *out = buf_make_secret(APPLY_MAX);
    return call_expand(call, text, false, out);
}

/* RFC 7617: a user and a password as the header that carries them. */
static void make_basic(struct buf *name, struct buf *value)
{
    struct buf pair = buf_make_secret(APPLY_MAX), header = buf_make_secret(APPLY_MAX);
    buf_append_text(&pair, buf_text(name));
    buf_append_byte(&pair, ':');
    buf_append_text(&pair, buf_text(value));
    buf_append_string(&header, "Basic ");
    base64_append(&header, buf_text(&pair));
    buf_clear(name);
    buf_append_string(name, "Authorization");
    buf_free(&pair);
    buf_free(value);
    *value = header;
}

static bool is_line(const struct buf *value)
{
    return value->len > 0 && !memchr(value->data, '\n', value->len) &&
           !memchr(value->data, '\r', value->len) && !memchr(value->data, 0, value->len);
}

/* One row, unless something that it is made of is not there. What belongs in a body or a path is for
 * whoever makes those. False where it cannot be made. */
static bool add_row(struct worker *self, const struct call *call, size_t row, struct pack *list)
{
    struct text in = settings_cell(self->connector->settings, "apply", row, "in");
    struct buf name = {0}, value = {0};
    bool is_basic = text_is(in, "basic");
    if (text_is(in, "body") || text_is(in, "path"))
        return true;
    int result = expand(call, row, "name", &name);
    if (result == 0)
        result = expand(call, row, "value", &value);
    if (result == 0 && is_basic)
        make_basic(&name, &value);
    if (result == 0 && is_line(&name) && is_line(&value)) {
        struct pack map = pack_item_map(list);
        pack_text(&map, "in", is_basic ? TEXT_LITERAL("header") : in);
        pack_text(&map, "name", buf_text(&name));
        pack_text(&map, "value", buf_text(&value));
        pack_close(&map);
    }
    buf_free(&name);
    buf_free(&value);
    return result == 0 || result == BURSAR_E_NOT_FOUND;
}

static int fill(struct tree *tree, struct text packed)
{
    if (packed.len > 0)
        return tree_fill(tree, packed);
    tree_clear(tree);
    return 0;
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
