#include "broker/pending.h"

#include <stdlib.h>
#include <string.h>

#include "broker/memory.h"

enum { INDEX_BITS = 20, INDEX_MASK = (1 << INDEX_BITS) - 1, CHUNK = 256 };
enum { CHUNKS_MAX = PENDING_MAX / CHUNK };

/* Slots lie in chunks that never move, so that a pending can be pointed to. */
struct pending_table {
    struct pending *chunks[CHUNKS_MAX];
    size_t slot_count;
    size_t count;
    uint32_t free_list; /* index + 1 of the first free slot; 0: none */
    uint64_t serial;
    struct heap by_deadline;
};

static struct pending *slot_at(struct pending_table *table, size_t index)
{
    return &table->chunks[index / CHUNK][index % CHUNK];
}

struct pending_table *pending_new(void)
{
    return memory_new(sizeof(struct pending_table));
}

static void clear(struct pending *pending)
{
    for (size_t i = 0; i < pending->envelope_count; i++)
        zmq_msg_close(&pending->envelope[i]);
    free(pending->envelope); /* and all that lies behind it */
    pending->envelope = NULL;
    pending->envelope_count = 0;
    pending->ticket = 0;
}

void pending_free(struct pending_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->slot_count; i++)
        clear(slot_at(table, i));
    for (size_t i = 0; i * CHUNK < table->slot_count; i++)
        free(table->chunks[i]);
    heap_free(&table->by_deadline);
    free(table);
}

static size_t take_slot(struct pending_table *table)
{
    if (table->free_list > 0) {
        size_t index = table->free_list - 1;
        table->free_list = slot_at(table, index)->next_free;
        return index;
    }
    if (table->slot_count % CHUNK == 0)
        table->chunks[table->slot_count / CHUNK] = memory_new(CHUNK * sizeof(struct pending));
    return table->slot_count++;
}

struct pending *pending_add(struct pending_table *table, zmq_msg_t *envelope, size_t count,
                            const struct job *job, const struct audit_row *about,
                            int64_t deadline_ms)
{
    if (table->count == PENDING_MAX)
        return NULL;
    size_t index = take_slot(table), texts_len = audit_texts_len(about);
    /* One block, since thousands of them come and go together: the envelope, the texts, the id. */
    zmq_msg_t *kept = memory_new(count * sizeof *kept + texts_len + job->id.len + 1);
    char *texts = (char *)(kept + count), *id = texts + texts_len;
    struct pending *pending = slot_at(table, index);
    *pending = (struct pending){.ticket = ++table->serial << INDEX_BITS | index,
                                .envelope = kept,
                                .envelope_count = count,
                                .id = {job->id.data ? id : NULL, job->id.len},
                                .wants_secret =
                                    job->op == OP_VEND || (job->op == OP_INVALIDATE && job->vend),
                                .may_export = job->include_refresh_token,
                                .op = job->op,
                                .about = *about};
    audit_move_texts(&pending->about, texts);
    for (size_t i = 0; i < count; i++) {
        zmq_msg_init(&pending->envelope[i]);
        zmq_msg_move(&pending->envelope[i], &envelope[i]);
    }
    if (job->id.data)
        memcpy(id, job->id.data, job->id.len);
    heap_set(&table->by_deadline, &pending->deadline, deadline_ms);
    table->count++;
    return pending;
}

struct pending *pending_find(struct pending_table *table, uint64_t ticket)
{
    size_t index = ticket & INDEX_MASK;
    if (ticket == 0 || index >= table->slot_count)
        return NULL;
    struct pending *pending = slot_at(table, index);
    return pending->ticket == ticket ? pending : NULL;
}

void pending_each(struct pending_table *table, pending_fn *each, void *context)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        struct pending *pending = slot_at(table, i);
        if (pending->ticket != 0)
            each(context, pending);
    }
}

struct pending *pending_first(const struct pending_table *table)
{
    return (struct pending *)heap_top(&table->by_deadline);
}

void pending_remove(struct pending_table *table, struct pending *pending)
{
    size_t index = pending->ticket & INDEX_MASK;
    heap_remove(&table->by_deadline, &pending->deadline);
    clear(pending);
    pending->next_free = table->free_list;
    table->free_list = (uint32_t)index + 1;
    table->count--;
}

struct text pending_id(const struct pending *pending)
{
    return pending->id;
}

size_t pending_count(const struct pending_table *table)
{
    return table->count;
}
