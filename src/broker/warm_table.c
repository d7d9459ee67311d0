#include "broker/warm_table.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include <bursar/protocol.h>

#include "broker/memory.h"

enum {
    KEY_MAX = BURSAR_MAX_OWNER_BYTES + BURSAR_MAX_PROVIDER_BYTES + BURSAR_MAX_ACCOUNT_BYTES + 2
};

struct slot {
    struct warm *entry;
    struct slot *prev, *next; /* by use: the latest first */
    UT_hash_handle by_id;
    UT_hash_handle by_account;
    size_t account_key_len;
    char account_key[]; /* owner, NUL, provider, NUL, account */
};

struct warm_table {
    struct slot *by_id;
    struct slot *by_account;
    struct slot *used;
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
    DL_DELETE(table->used, slot);
    table->count--;
    free(slot->entry);
    free(slot);
}

void warm_table_free(struct warm_table *table)
{
    while (table && table->used)
        drop(table, table->used);
    free(table);
}

static struct slot *find_id(struct warm_table *table, struct text id)
{
    struct slot *slot = NULL;
    HASH_FIND(by_id, table->by_id, id.data, id.len, slot);
    return slot;
}

void warm_table_put(struct warm_table *table, struct warm *entry)
{
    char key[KEY_MAX];
    size_t key_len = make_key(key, entry->owner, entry->provider, entry->account);
    struct slot *slot = find_id(table, entry->id);
    if (key_len == 0 || (slot && slot->entry->generation > entry->generation)) {
        free(entry);
        return;
    }
    if (slot)
        drop(table, slot);
    HASH_FIND(by_account, table->by_account, key, key_len, slot);
    if (slot) /* the account was deleted and connected anew under another id */
        drop(table, slot);
    if (table->count == table->max_entries)
        drop(table, table->used->prev); /* a utlist's head knows its tail */
    slot = memory_new(sizeof *slot + key_len);
    slot->entry = entry;
    slot->account_key_len = key_len;
    memcpy(slot->account_key, key, key_len);
    HASH_ADD_KEYPTR(by_id, table->by_id, entry->id.data, entry->id.len, slot);
    HASH_ADD_KEYPTR(by_account, table->by_account, slot->account_key, key_len, slot);
    DL_PREPEND(table->used, slot);
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
    DL_FOREACH_SAFE(table->used, slot, next) {
        if (is_stale(context, slot->entry))
            drop(table, slot);
    }
}

static const struct warm *touch(struct warm_table *table, struct slot *slot)
{
    if (slot != table->used) {
        DL_DELETE(table->used, slot);
        DL_PREPEND(table->used, slot);
    }
    return slot->entry;
}

const struct warm *warm_table_by_id(struct warm_table *table, struct text owner, struct text id)
{
    struct slot *slot = find_id(table, id);
    return slot && text_equal(slot->entry->owner, owner) ? touch(table, slot) : NULL;
}

const struct warm *warm_table_by_account(struct warm_table *table, struct text owner,
                                         struct text provider, struct text account)
{
    char key[KEY_MAX];
    struct slot *slot = NULL;
    size_t key_len = make_key(key, owner, provider, account);
    if (key_len > 0)
        HASH_FIND(by_account, table->by_account, key, key_len, slot);
    return slot ? touch(table, slot) : NULL;
}

size_t warm_table_count(const struct warm_table *table)
{
    return table->count;
}
