#include "wire/pack.h"

#include <assert.h>
#include <string.h>

#include "wire/packer.h"

enum { HEAD_LEN = 5, MAP32 = 0xdf, ARRAY32 = 0xdd, FIXSTR = 0xa0, FIXSTR_MAX = 31 };

/* The count is not known yet: the 32-bit form has room for every one. */
static struct pack open_with(struct buf *out, uint8_t type)
{
    const uint8_t head[HEAD_LEN] = {type};
    struct pack pack = {out, out->len, 0};
    buf_append(out, head, sizeof head);
    return pack;
}

struct pack pack_map(struct buf *out)
{
    return open_with(out, MAP32);
}

struct pack pack_array(struct buf *out)
{
    return open_with(out, ARRAY32);
}

void pack_close(struct pack *pack)
{
    if (buf_error(pack->out) != 0)
        return;
    uint8_t *count = pack->out->data + pack->head + 1;
    for (int i = 0; i < 4; i++)
        count[i] = (uint8_t)(pack->count >> (24 - 8 * i));
}

/* Keys and most values are so short that the head has their length: written in one go that is two thirds of what it
 * takes by the packer. */
static void add_short(struct buf *out, struct text text)
{
    uint8_t *to = buf_reserve(out, 1 + text.len);
    if (!to)
        return;
    to[0] = (uint8_t)(FIXSTR | text.len);
    memcpy(to + 1, text.data, text.len);
    buf_added(out, 1 + text.len);
}

static void add_text(struct buf *out, struct text text)
{
    if (text.data && text.len <= FIXSTR_MAX) {
        add_short(out, text);
        return;
    }
    msgpack_packer packer = packer_of(out);
    if (text.data)
        msgpack_pack_str_with_body(&packer, text.data, text.len);
    else
        msgpack_pack_nil(&packer);
}

void pack_key(struct pack *map, const char *key)
{
    add_text(map->out, text_of(key));
    map->count++;
}

void pack_item_text(struct pack *array, struct text text)
{
    add_text(array->out, text);
    array->count++;
}

void pack_item_uint(struct pack *array, uint64_t value)
{
    msgpack_packer packer = packer_of(array->out);
    msgpack_pack_uint64(&packer, value);
    array->count++;
}

struct pack pack_item_map(struct pack *array)
{
    array->count++;
    return pack_map(array->out);
}

void pack_item_raw(struct pack *array, struct text packed)
{
    array->count++;
    buf_append_text(array->out, packed);
}

void pack_text(struct pack *map, const char *key, struct text value)
{
    pack_key(map, key);
    add_text(map->out, value);
}

void pack_string(struct pack *map, const char *key, const char *value)
{
    pack_text(map, key, text_of(value));
}

void pack_uint(struct pack *map, const char *key, uint64_t value)
{
    pack_key(map, key);
    msgpack_packer packer = packer_of(map->out);
    msgpack_pack_uint64(&packer, value);
}

void pack_int(struct pack *map, const char *key, int64_t value)
{
    pack_key(map, key);
    msgpack_packer packer = packer_of(map->out);
    msgpack_pack_int64(&packer, value);
}

void pack_double(struct pack *map, const char *key, double value)
{
    pack_key(map, key);
    msgpack_packer packer = packer_of(map->out);
    msgpack_pack_double(&packer, value);
}

void pack_bool(struct pack *map, const char *key, bool value)
{
    pack_key(map, key);
    msgpack_packer packer = packer_of(map->out);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void pack_raw(struct pack *map, const char *key, struct text packed)
{
    pack_key(map, key);
    buf_append_text(map->out, packed);
}

struct pack_pairs pack_pairs_of(struct text packed_map)
{
    const uint8_t *head = (const uint8_t *)packed_map.data;
    if (packed_map.len < HEAD_LEN || head[0] != MAP32)
        return (struct pack_pairs){0};
    return (struct pack_pairs){.count = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 |
                                        (uint32_t)head[3] << 8 | head[4],
                               .packed = {packed_map.data + HEAD_LEN, packed_map.len - HEAD_LEN}};
}

void pack_splice(struct pack *map, struct text packed_map)
{
    struct pack_pairs pairs = pack_pairs_of(packed_map);
    map->count += pairs.count;
    buf_append_text(map->out, pairs.packed);
}

uint8_t *pack_room(struct pack *map, uint32_t count, size_t len)
{
    uint8_t *room = buf_reserve(map->out, len);
    if (!room)
        return NULL;
    map->count += count;
    buf_added(map->out, len);
    return room;
}

struct pack pack_map_in(struct pack *map, const char *key)
{
    pack_key(map, key);
    return pack_map(map->out);
}

struct pack pack_array_in(struct pack *map, const char *key)
{
    pack_key(map, key);
    return pack_array(map->out);
}

void pack_words(struct pack *map, const char *key, struct text words)
{
    struct pack list = pack_array_in(map, key);
    for (size_t i = 0; i < words.len;) {
        const char *end = memchr(words.data + i, ' ', words.len - i);
        size_t len = end ? (size_t)(end - words.data) - i : words.len - i;
        if (len > 0)
            pack_item_text(&list, (struct text){words.data + i, len});
        i += len + 1;
    }
    pack_close(&list);
}
