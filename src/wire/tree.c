#include "wire/tree.h"

#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "wire/packer.h"

enum { ZONE_CHUNK_BYTES = 1024 };

struct tree {
    msgpack_zone zone;
    msgpack_object root;
};

/* ---- the walk -------------------------------------------------------------------------------- */

struct walk {
    const uint8_t *at, *end;
};

static bool read_be(struct walk *walk, size_t width, uint64_t *out_value)
{
    if ((size_t)(walk->end - walk->at) < width)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | *walk->at++;
    *out_value = value;
    return true;
}

static bool skip(struct walk *walk, uint64_t len)
{
    if ((uint64_t)(walk->end - walk->at) < len)
        return false;
    walk->at += len;
    return true;
}

/* What the types from 0xc0 to 0xdf have behind their first byte: `width` bytes of length or count
 * and `fixed` bytes of content, and for maps and arrays how many values a count stands for. */
static const struct {
    uint8_t width, fixed, values, is_valid;
} types[0x20] = {
    [0x00] = {0, 0, 0, 1}, [0x02] = {0, 0, 0, 1},  [0x03] = {0, 0, 0, 1}, /* nil, false, true */
    [0x04] = {1, 0, 0, 1}, [0x05] = {2, 0, 0, 1},  [0x06] = {4, 0, 0, 1}, /* bin */
    [0x07] = {1, 1, 0, 1}, [0x08] = {2, 1, 0, 1},  [0x09] = {4, 1, 0, 1}, /* ext */
    [0x0a] = {0, 4, 0, 1}, [0x0b] = {0, 8, 0, 1},                         /* float */
    [0x0c] = {0, 1, 0, 1}, [0x0d] = {0, 2, 0, 1},                         /* uint 8, 16 */
    [0x0e] = {0, 4, 0, 1}, [0x0f] = {0, 8, 0, 1},                         /* uint 32, 64 */
    [0x10] = {0, 1, 0, 1}, [0x11] = {0, 2, 0, 1},                         /* int 8, 16 */
    [0x12] = {0, 4, 0, 1}, [0x13] = {0, 8, 0, 1},                         /* int 32, 64 */
    [0x14] = {0, 2, 0, 1}, [0x15] = {0, 3, 0, 1},  [0x16] = {0, 5, 0, 1}, /* fixext 1, 2, 4 */
    [0x17] = {0, 9, 0, 1}, [0x18] = {0, 17, 0, 1},                        /* fixext 8, 16 */
    [0x19] = {1, 0, 0, 1}, [0x1a] = {2, 0, 0, 1},  [0x1b] = {4, 0, 0, 1}, /* str */
    [0x1c] = {2, 0, 1, 1}, [0x1d] = {4, 0, 1, 1},                         /* array */
    [0x1e] = {2, 0, 2, 1}, [0x1f] = {4, 0, 2, 1},                         /* map */
};

/* What stands behind a head: nothing more, or so many values. */
struct inside {
    bool is_container; /* an array or a map */
    uint64_t values;
};

/* Passes one head, and the content of what holds no values. */
static bool walk_head(struct walk *walk, struct inside *out)
{
    uint64_t first, length = 0;
    *out = (struct inside){false, 0};
    if (!read_be(walk, 1, &first))
        return false;
    if (first < 0x80 || first >= 0xe0) /* small integers */
        return true;
    if (first < 0xa0) { /* small maps and arrays */
        *out = (struct inside){true, (first & 15) * (first < 0x90 ? 2 : 1)};
        return true;
    }
    if (first < 0xc0)
        return skip(walk, first & 31);
    size_t type = (size_t)first - 0xc0;
    if (!types[type].is_valid || !read_be(walk, types[type].width, &length))
        return false;
    if (types[type].values > 0) {
        *out = (struct inside){true, length * types[type].values};
        return true;
    }
    return skip(walk, length + types[type].fixed);
}

/* One value with all inside it; each value takes a byte at least, so counts are covered. */
static bool is_bounded(struct text body)
{
    struct walk walk = {(const uint8_t *)body.data, (const uint8_t *)body.data + body.len};
    uint64_t left[BURSAR_MAX_NESTING + 1] = {1};
    size_t depth = 0;
    for (;;) {
        struct inside inside;
        while (left[depth] == 0) {
            if (depth-- == 0)
                return walk.at == walk.end;
        }
        left[depth]--;
        if (!walk_head(&walk, &inside) || inside.values > (uint64_t)(walk.end - walk.at))
            return false;
        if (inside.is_container) {
            if (depth == BURSAR_MAX_NESTING)
                return false;
            left[++depth] = inside.values;
        }
    }
}

/* ---- the tree -------------------------------------------------------------------------------- */

struct tree *tree_new(void)
{
    struct tree *tree = calloc(1, sizeof *tree);
    if (tree && !msgpack_zone_init(&tree->zone, ZONE_CHUNK_BYTES)) {
        free(tree);
        return NULL;
    }
    return tree;
}

void tree_free(struct tree *tree)
{
    if (!tree)
        return;
    msgpack_zone_destroy(&tree->zone);
    free(tree);
}

int tree_fill(struct tree *tree, struct text body)
{
    size_t used = 0;
    msgpack_zone_clear(&tree->zone);
    tree->root = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
    if (body.len == 0 || !is_bounded(body))
        return BURSAR_E_BAD_REQUEST;
    switch (msgpack_unpack(body.data, body.len, &used, &tree->zone, &tree->root)) {
    case MSGPACK_UNPACK_SUCCESS:
    case MSGPACK_UNPACK_EXTRA_BYTES: return used == body.len ? 0 : BURSAR_E_BAD_REQUEST;
    case MSGPACK_UNPACK_NOMEM_ERROR: return BURSAR_E_NOMEM;
    case MSGPACK_UNPACK_CONTINUE:
    case MSGPACK_UNPACK_PARSE_ERROR: break;
    }
    return BURSAR_E_BAD_REQUEST;
}

void tree_clear(struct tree *tree)
{
    msgpack_zone_clear(&tree->zone);
    tree->root = (msgpack_object){.type = MSGPACK_OBJECT_MAP};
}

/* A node is a msgpack object under a name that tells nobody else of msgpack. */
static const struct node *node_of(const msgpack_object *object)
{
    return (const struct node *)(const void *)object;
}

static const msgpack_object *object_of(const struct node *node)
{
    static const msgpack_object nil = {.type = MSGPACK_OBJECT_NIL};
    return node ? (const msgpack_object *)(const void *)node : &nil;
}

const struct node *tree_root(const struct tree *tree)
{
    return node_of(&tree->root);
}

enum node_type node_type(const struct node *node)
{
    static const enum node_type of[] = {
        [MSGPACK_OBJECT_NIL] = NODE_NIL,
        [MSGPACK_OBJECT_BOOLEAN] = NODE_BOOL,
        [MSGPACK_OBJECT_POSITIVE_INTEGER] = NODE_UINT,
        [MSGPACK_OBJECT_NEGATIVE_INTEGER] = NODE_NEGATIVE,
        [MSGPACK_OBJECT_FLOAT32] = NODE_DOUBLE,
        [MSGPACK_OBJECT_FLOAT64] = NODE_DOUBLE,
        [MSGPACK_OBJECT_STR] = NODE_TEXT,
        [MSGPACK_OBJECT_BIN] = NODE_BYTES,
        [MSGPACK_OBJECT_ARRAY] = NODE_ARRAY,
        [MSGPACK_OBJECT_MAP] = NODE_MAP,
        [MSGPACK_OBJECT_EXT] = NODE_OTHER,
    };
    return of[object_of(node)->type];
}

struct text node_text(const struct node *node)
{
    const msgpack_object *object = object_of(node);
    if (object->type == MSGPACK_OBJECT_STR)
        return (struct text){object->via.str.ptr, object->via.str.size};
    if (object->type == MSGPACK_OBJECT_BIN)
        return (struct text){object->via.bin.ptr, object->via.bin.size};
    return (struct text){NULL, 0};
}

uint64_t node_uint(const struct node *node)
{
    const msgpack_object *object = object_of(node);
    return object->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? object->via.u64 : 0;
}

int64_t node_int(const struct node *node)
{
    const msgpack_object *object = object_of(node);
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return object->via.i64;
    uint64_t value = node_uint(node);
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

double node_double(const struct node *node)
{
    const msgpack_object *object = object_of(node);
    switch (node_type(node)) {
    case NODE_DOUBLE: return object->via.f64;
    case NODE_UINT: return (double)object->via.u64;
    case NODE_NEGATIVE: return (double)object->via.i64;
    default: return 0;
    }
}

bool node_bool(const struct node *node)
{
    const msgpack_object *object = object_of(node);
    return object->type == MSGPACK_OBJECT_BOOLEAN && object->via.boolean;
}

size_t node_count(const struct node *node)
{
    const msgpack_object *object = object_of(node);
    if (object->type == MSGPACK_OBJECT_ARRAY)
        return object->via.array.size;
    return object->type == MSGPACK_OBJECT_MAP ? object->via.map.size : 0;
}

const struct node *node_item(const struct node *array, size_t index)
{
    return node_of(&object_of(array)->via.array.ptr[index]);
}

void node_pair(const struct node *map, size_t index, const struct node **out_key,
               const struct node **out_value)
{
    const msgpack_object_kv *pair = &object_of(map)->via.map.ptr[index];
    *out_key = node_of(&pair->key);
    *out_value = node_of(&pair->val);
}

const struct node *node_get(const struct node *map, const char *key)
{
    size_t count = node_type(map) == NODE_MAP ? node_count(map) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct node *name, *value;
        node_pair(map, i, &name, &value);
        if (node_type(name) == NODE_TEXT && text_is(node_text(name), key))
            return value;
    }
    return NULL;
}

void node_pack(const struct node *node, struct buf *out)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_object(&packer, *object_of(node));
}
