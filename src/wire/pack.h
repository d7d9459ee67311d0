/* Writing MessagePack bodies.
 * Thread: the owner of the buffer.
 *
 * A map is opened, filled and closed; its count is written when it is closed. Failures stay in the
 * buffer and are asked for once at the end (buf_error). */
#ifndef WIRE_PACK_H
#define WIRE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

/* An open map or array: only the innermost open one may be written to. */
struct pack {
    struct buf *out;
    size_t head; /* where its count stands */
    uint32_t count;
};

struct pack pack_map(struct buf *out);
struct pack pack_array(struct buf *out);
void pack_close(struct pack *pack);

/* A further item of an array, or with pack_key() before it the value of a map's pair. */
void pack_key(struct pack *map, const char *key);
void pack_item_text(struct pack *array, struct text text);
void pack_item_uint(struct pack *array, uint64_t value);
struct pack pack_item_map(struct pack *array);
/* Bytes that are MessagePack already, one value. */
void pack_item_raw(struct pack *array, struct text packed);

/* Pairs of a map. An absent text writes nil. */
void pack_text(struct pack *map, const char *key, struct text value);
void pack_string(struct pack *map, const char *key, const char *value);
void pack_uint(struct pack *map, const char *key, uint64_t value);
void pack_int(struct pack *map, const char *key, int64_t value);
void pack_double(struct pack *map, const char *key, double value);
void pack_bool(struct pack *map, const char *key, bool value);
void pack_raw(struct pack *map, const char *key, struct text packed);
/* A list of the words between spaces. */
void pack_words(struct pack *map, const char *key, struct text words);
/* All pairs of a map that was made by this module. */
void pack_splice(struct pack *map, struct text packed_map);
/* What a map that was made by this module holds: borrowed; nothing of anything else. */
struct pack_pairs {
    uint32_t count;
    struct text packed;
};
struct pack_pairs pack_pairs_of(struct text packed_map);
/* Room for so many packed pairs of len bytes, to be filled by the caller at once; NULL on failure. */
uint8_t *pack_room(struct pack *map, uint32_t count, size_t len);
struct pack pack_map_in(struct pack *map, const char *key);
struct pack pack_array_in(struct pack *map, const char *key);

#endif
