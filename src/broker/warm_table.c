#include "broker/warm_table.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include <bursar/protocol.h>

#include "broker/memory.h"
#include "vault/seal.h"

/* Each vend asks this table, and each entry that lies before the one asked for is a line that the processor has to
 * fetch. With 10, as it is usual, there are three of them; with 6 there is a bucket for each. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U

enum {
    KEY_MAX = BURSAR_MAX_OWNER_BYTES + BURSAR_MAX_PROVIDER_BYTES + BURSAR_MAX_ACCOUNT_BYTES + 2
};

struct slot {
    struct warm_item item;    /* first: an item is given out, its slot found again */
    bool is_used;             /* since it was last looked at for its place */
    struct slot *prev, *next; /* the next to be looked at is the last */
    UT_hash_handle by_id;
    UT_hash_handle by_account;
    size_t account_key_len;
    char account_key[]; /* owner, NUL, provider, NUL, account */
};

struct warm_table {
    struct slot *by_id;
    struct slot *by_account;
    struct slot *queue;
    size_t count, max_entries;
};

struct warm_table *warm_table_new(size_t max_entries)
{
    struct warm_table *table = memory_new(sizeof *table);
    table->max_entries = max_entries;
    return table;
}

static size_t make_key(char key[static KEY_MAX], struct text owner, struct text provider,
                       struct text account)
{
    const struct text parts[] = {owner, provider, account};
    size_t len = 0;
    for (size_t i = 0; i < 3; i++) {
        if (len + parts[i].len + 1 > KEY_MAX)
            return 0;
        if (i > 0)
            key[len++] = 0;
        memcpy(key + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    return len;
}

static void drop(struct warm_table *table, struct slot *slot)
{
    HASH_DELETE(by_id, table->by_id, slot);
    HASH_DELETE(by_account, table->by_account, slot);
    DL_DELETE(table->queue, slot);
    table->count--;
    free((void *)slot->item.entry);
    free((void *)slot->item.reply);
    free(slot);
}

void warm_table_free(struct warm_table *table)
{
    while (table && table->queue)
        drop(table, table->queue);
    free(table);
}

static struct slot *find_id(struct warm_table *table, struct text id)
{
    struct slot *slot = NULL;
    HASH_FIND(by_id, table->by_id, id.data, id.len, slot);
    return slot;
}

/* Drops the first from the queue's end that nobody asked for since it was there last. */
static void make_place(struct warm_table *table)
{
    for (;;) {
        struct slot *last = table->queue->prev; /* a utlist's head knows its tail */
        if (!last->is_used) {
            drop(table, last);
            return;
        }
        last->is_used = false; /* once around, and each is one that was not */
        DL_DELETE(table->queue, last);
        DL_PREPEND(table->queue, last);
    }
}

void warm_table_put(struct warm_table *table, struct warm *entry)
{
    char key[KEY_MAX];
    size_t key_len = make_key(key, entry->owner, entry->provider, entry->account);
    struct slot *slot = find_id(table, entry->id);
    if (key_len == 0 || (slot && slot->item.entry->generation > entry->generation)) {
        free(entry);
        return;
    }
    if (slot)
        drop(table, slot);
    HASH_FIND(by_account, table->by_account, key, key_len, slot);
    if (slot) /* the account was deleted and connected anew under another id */
        drop(table, slot);
    if (table->count == table->max_entries)
        make_place(table);
    slot = memory_new(sizeof *slot + key_len);
    slot->item.entry = entry;
    slot->account_key_len = key_len;
    memcpy(slot->account_key, key, key_len);
    HASH_ADD_KEYPTR(by_id, table->by_id, entry->id.data, entry->id.len, slot);
    HASH_ADD_KEYPTR(by_account, table->by_account, slot->account_key, key_len, slot);
    DL_PREPEND(table->queue, slot);
    table->count++;
}

void warm_table_forget(struct warm_table *table, struct text id)
{
    struct slot *slot = find_id(table, id);
    if (slot)
        drop(table, slot);
}

void warm_table_forget_stale(struct warm_table *table, warm_is_stale_fn *is_stale, void *context)
{
    struct slot *slot, *next;
    DL_FOREACH_SAFE(table->queue, slot, next) {
        if (is_stale(context, slot->item.entry))
            drop(table, slot);
    }
}

static struct warm_item *use(struct slot *slot)
{
    slot->is_used = true;
    return &slot->item;
}

struct warm_item *warm_table_by_id(struct warm_table *table, struct text owner, struct text id)
{
    struct slot *slot = find_id(table, id);
    return slot && text_equal(slot->item.entry->owner, owner) ? use(slot) : NULL;
}

struct warm_item *warm_table_by_account(struct warm_table *table, struct text owner,
                                        struct text provider, struct text account)
{
    char key[KEY_MAX];
    struct slot *slot = NULL;
    size_t key_len = make_key(key, owner, provider, account);
    if (key_len > 0)
        HASH_FIND(by_account, table->by_account, key, key_len, slot);
    return slot ? use(slot) : NULL;
}

void warm_table_keep_reply(struct warm_table *table, struct warm_item *item,
                           struct kept_reply *reply)
{
    struct slot *slot = (struct slot *)item;
    struct warm cut = *item->entry;
    if (cut.secret.len > SEAL_OVERHEAD)
        cut.secret.len = SEAL_OVERHEAD;
    struct warm *entry = warm_copy(&cut);
    HASH_DELETE(by_id, table->by_id, slot); /* its key is the entry's */
    free((void *)slot->item.entry);
    free((void *)slot->item.reply);
    item->entry = entry;
    item->reply = reply;
    HASH_ADD_KEYPTR(by_id, table->by_id, entry->id.data, entry->id.len, slot);
}

size_t warm_table_count(const struct warm_table *table)
{
    return table->count;
}
