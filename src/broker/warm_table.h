/* The warm table: sealed credentials that the dispatcher answers from memory.
 * Thread: the dispatcher's.
 *
 * A bounded number of entries, the least recently used goes first. An entry is found by its owner and
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

struct warm_table *warm_table_new(size_t max_entries);
void warm_table_free(struct warm_table *table);

/* Takes the entry; it replaces the one of the same connection unless it is of an older generation. */
void warm_table_put(struct warm_table *table, struct warm *entry);
void warm_table_forget(struct warm_table *table, struct text id);
/* Borrowed until the next call that changes the table; NULL where there is none. */
const struct warm *warm_table_by_id(struct warm_table *table, struct text owner, struct text id);
const struct warm *warm_table_by_account(struct warm_table *table, struct text owner,
                                         struct text provider, struct text account);
/* Forgets all entries of which the function says so. */
typedef bool warm_is_stale_fn(void *context, const struct warm *entry);
void warm_table_forget_stale(struct warm_table *table, warm_is_stale_fn *is_stale, void *context);
size_t warm_table_count(const struct warm_table *table);

#endif
