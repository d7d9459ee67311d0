#include "broker/audit_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "broker/memory.h"

enum { CHUNK_BYTES = 64 << 10, SLOTS_LEAST = 1024, ROWS_LEAST = 256 };

struct audit_chunk {
    struct audit_chunk *next;
    size_t used, size;
    char bytes[];
};

void audit_batch_free(struct audit_batch *batch)
{
    for (struct audit_chunk *chunk = batch->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(batch->rows);
    free(batch->slots);
    *batch = (struct audit_batch){0};
}

void audit_batch_clear(struct audit_batch *batch)
{
    batch->count = batch->done = 0;
    batch->is_settling = false;
    if (batch->slots)
        memset(batch->slots, 0, batch->slot_count * sizeof *batch->slots);
    for (struct audit_chunk *chunk = batch->chunks; chunk; chunk = chunk->next)
        chunk->used = 0;
    batch->filling = batch->chunks;
}

/* ---- the same thing twice ------------------------------------------------------------------------ */

/* Eight bytes at a time, from a seed that callers do not know: who chooses the texts does not choose where
 * they fall. */
static uint64_t hash_text(uint64_t hash, struct text text)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word;
    for (size_t i = 0; i < text.len; i += sizeof word) {
        size_t len = text.len - i < sizeof word ? text.len - i : sizeof word;
        word = 0;
        memcpy(&word, text.data + i, len);
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
    }
    return (hash ^ text.len) * odd;
}

static uint64_t hash_of(const struct audit_batch *batch, const struct audit_row *row)
{
    uint64_t hash = batch->seed ^ row->generation << 3 ^ (uint64_t)row->kind;
    for (size_t i = 0; i < AUDIT_TEXTS; i++)
        hash = hash_text(hash, audit_text_of(row, i));
    return hash ^ hash >> 29;
}

static bool is_same(const struct audit_row *one, const struct audit_row *other)
{
    if (one->kind != other->kind || one->generation != other->generation)
        return false;
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        struct text left = audit_text_of(one, i), right = audit_text_of(other, i);
        if ((left.data == NULL) != (right.data == NULL) || !text_equal(left, right))
            return false;
    }
    return true;
}

/* The slot where the row stands or would stand, with its hash there; there is always a free one. */
static struct audit_slot *find_slot(const struct audit_batch *batch, const struct audit_row *row)
{
    uint64_t hash = hash_of(batch, row);
    size_t mask = batch->slot_count - 1, at = (size_t)hash & mask;
    struct audit_slot *slot = &batch->slots[at];
    uint32_t part = (uint32_t)(hash >> 32);
    while (slot->row != 0 && (slot->hash != part || !is_same(&batch->rows[slot->row - 1], row))) {
        at = (at + 1) & mask;
        slot = &batch->slots[at];
    }
    slot->hash = part;
    return slot;
}

/* All slots are free. */
static void fill_slots(struct audit_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        find_slot(batch, &batch->rows[i])->row = (uint32_t)i + 1;
}

static void widen(struct audit_batch *batch)
{
    if (batch->count == batch->cap) {
        batch->cap = batch->cap > 0 ? batch->cap * 2 : ROWS_LEAST;
        batch->rows = memory_resize(batch->rows, batch->cap * sizeof *batch->rows);
    }
    if (batch->count * 2 < batch->slot_count)
        return;
    free(batch->slots);
    if (batch->slot_count == 0)
        id_random(&batch->seed, sizeof batch->seed);
    batch->slot_count = batch->slot_count > 0 ? batch->slot_count * 2 : SLOTS_LEAST;
    batch->slots = memory_new(batch->slot_count * sizeof *batch->slots);
    fill_slots(batch);
}

static char *room_for(struct audit_batch *batch, size_t len)
{
    struct audit_chunk **at = batch->filling ? &batch->filling : &batch->chunks;
    while (*at && (*at)->size - (*at)->used < len)
        at = &(*at)->next;
    if (!*at) {
        size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
        *at = memory_new(sizeof **at + size);
        (*at)->size = size;
    }
    struct audit_chunk *chunk = batch->filling = *at;
    chunk->used += len;
    return chunk->bytes + chunk->used - len;
}

static void count_to(struct audit_row *known, const struct audit_row *row)
{
    known->count += row->count;
    if (row->last_ms > known->last_ms) /* the clock may have been set back */
        known->last_ms = row->last_ms;
}

uint32_t audit_batch_add(struct audit_batch *batch, const struct audit_row *row, uint32_t hint)
{
    if (hint < batch->count && is_same(&batch->rows[hint], row)) {
        count_to(&batch->rows[hint], row);
        return hint;
    }
    widen(batch);
    struct audit_slot *slot = find_slot(batch, row);
    if (slot->row != 0) {
        count_to(&batch->rows[slot->row - 1], row);
        return slot->row - 1;
    }
    struct audit_row *added = &batch->rows[batch->count++];
    *added = *row;
    audit_move_texts(added, room_for(batch, audit_texts_len(row)));
    slot->row = (uint32_t)batch->count;
    return slot->row - 1;
}

void audit_batch_drop_done(struct audit_batch *batch)
{
    if (batch->done == 0)
        return;
    batch->count -= batch->done;
    memmove(batch->rows, batch->rows + batch->done, batch->count * sizeof *batch->rows);
    batch->done = 0;
    memset(batch->slots, 0, batch->slot_count * sizeof *batch->slots);
    fill_slots(batch);
}

/* ---- what waits ---------------------------------------------------------------------------------- */

void audit_batch_hold(struct audit_batch *batch, struct mail *mail)
{
    mail->next = NULL;
    if (!batch->held)
        batch->last_held = &batch->held;
    *batch->last_held = mail;
    batch->last_held = &mail->next;
}

struct mail *audit_batch_take_held(struct audit_batch *batch)
{
    struct mail *held = batch->held;
    batch->held = NULL;
    return held;
}
