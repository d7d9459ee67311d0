/* The warm table: sealed credentials that the dispatcher answers from memory.
 * Thread: the dispatcher's.
 *
 * A bounded number of entries. Which goes first is found by second chance: one that was asked for since it was
 * last looked at stays, so that asking writes nothing but a mark. An entry is found by its owner and
 * id, or by its owner, provider and account: never without the owner, so that a foreign id takes the
 * same way as an unknown one. */
#ifndef BROKER_WARM_TABLE_H
#define BROKER_WARM_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "broker/message.h"

#define WARM_ENTRIES_MAX 65536

struct warm_table;

/* What a vend of this connection answers behind its `id`: the rest of the packed reply, sealed under the key of
 * this process (vault/process_key.h). One block; free() ends it. */
struct kept_reply {
    uint32_t pairs; /* of the reply's map */
    size_t len;
    uint8_t sealed[];
};

/* One connection. */
struct warm_item {
    const struct warm *entry;       /* with a kept reply the sealed secret is cut to its head */
    const struct kept_reply *reply; /* NULL until it is vended from memory */
    uint32_t told;                  /* the dispatcher's: where the audit log last had its row */
};

struct warm_table *warm_table_new(size_t max_entries);
void warm_table_free(struct warm_table *table);

/* Takes the entry; it replaces the one of the same connection unless it is of an older generation. */
void warm_table_put(struct warm_table *table, struct warm *entry);
void warm_table_forget(struct warm_table *table, struct text id);
/* Borrowed until the next call that changes the table; NULL where there is none. */
struct warm_item *warm_table_by_id(struct warm_table *table, struct text owner, struct text id);
struct warm_item *warm_table_by_account(struct warm_table *table, struct text owner,
                                        struct text provider, struct text account);
/* Takes the reply, which stands for the item's sealed secret from now on. The item stays where it is. */
void warm_table_keep_reply(struct warm_table *table, struct warm_item *item,
                           struct kept_reply *reply);
/* Forgets all entries of which the function says so. */
typedef bool warm_is_stale_fn(void *context, const struct warm *entry);
void warm_table_forget_stale(struct warm_table *table, warm_is_stale_fn *is_stale, void *context);
size_t warm_table_count(const struct warm_table *table);

#endif
