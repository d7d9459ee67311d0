#include "broker/refs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/protocol.h>

#include "broker/memory.h"

struct asked {
    atomic_uint_fast64_t count;
    atomic_int_fast64_t at;
};

struct unknown {
    char name[BURSAR_MAX_PROVIDER_BYTES + 1];
    uint64_t count;
};

struct refs {
    struct asked *asked;  /* by the connector's index */
    pthread_mutex_t lock; /* of the rest */
    struct unknown unknown[REFS_UNKNOWN_MAX];
    size_t unknown_count;
    uint64_t other_count;
};

struct refs *refs_new(size_t connectors)
{
    struct refs *refs = memory_new(sizeof *refs);
    refs->asked = memory_new((connectors + 1) * sizeof *refs->asked);
    pthread_mutex_init(&refs->lock, NULL);
    return refs;
}

void refs_free(struct refs *refs)
{
    if (!refs)
        return;
    pthread_mutex_destroy(&refs->lock);
    free(refs->asked);
    free(refs);
}

void refs_note(struct refs *refs, size_t index, int64_t now)
{
    atomic_store_explicit(&refs->asked[index].at, now, memory_order_relaxed);
    atomic_fetch_add_explicit(&refs->asked[index].count, 1, memory_order_relaxed);
}

/* NULL where there is no room for another name. */
static struct unknown *place_of(struct refs *refs, struct text name)
{
    for (size_t i = 0; i < refs->unknown_count; i++) {
        if (text_is(name, refs->unknown[i].name))
            return &refs->unknown[i];
    }
    if (refs->unknown_count == REFS_UNKNOWN_MAX)
        return NULL;
    struct unknown *place = &refs->unknown[refs->unknown_count++];
    memcpy(place->name, name.data, name.len);
    place->name[name.len] = 0;
    return place;
}

void refs_note_unknown(struct refs *refs, struct text name)
{
    pthread_mutex_lock(&refs->lock);
    struct unknown *place = text_is_provider_id(name) ? place_of(refs, name) : NULL;
    if (place)
        place->count++;
    else
        refs->other_count++;
    pthread_mutex_unlock(&refs->lock);
}

void refs_pack(const struct refs *refs, size_t index, struct pack *map)
{
    struct asked *asked = &refs->asked[index];
    uint64_t count = atomic_load_explicit(&asked->count, memory_order_relaxed);
    pack_uint(map, "asked", count);
    if (count > 0)
        pack_int(map, "asked_at", atomic_load_explicit(&asked->at, memory_order_relaxed));
}

void refs_pack_unknown(struct refs *refs, struct pack *map)
{
    pthread_mutex_lock(&refs->lock);
    if (refs->unknown_count > 0 || refs->other_count > 0) {
        struct pack names = pack_map_in(map, "unknown_refs");
        for (size_t i = 0; i < refs->unknown_count; i++)
            pack_uint(&names, refs->unknown[i].name, refs->unknown[i].count);
        if (refs->other_count > 0)
            pack_uint(&names, "", refs->other_count);
        pack_close(&names);
    }
    pthread_mutex_unlock(&refs->lock);
}
