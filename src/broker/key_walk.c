#include "broker/key_walk.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "vault/seal.h"

enum {
    COUNT_ROWS = 256, /* of one step that only looks */
    STORE_RETRY_MS = 1000,
    FAILURES_TOLD = 32 /* of a walk, by a line of the log each */
};

static const struct text none = {NULL, 0};

static void restart(struct key_walk *walk)
{
    walk->cursor = (struct sealed_cursor){.table = SEALED_CONNECTION};
    walk->lost = walk->failed = walk->done = 0;
    memset(walk->counts, 0, walk->count_len * sizeof *walk->counts);
}

void key_walk_begin(struct key_walk *walk, struct query *query, enum key_walk_kind kind,
                    struct text owner, key_walk_fn *ended)
{
    struct keyring_hold hold;
    size_t writes = walk->writes;
    free(walk->counts);
    *walk = (struct key_walk){.is_on = true,
                              .query = query,
                              .kind = kind,
                              .owner = owner,
                              .ended = ended,
                              .writes = writes};
    walk->count_len = keyring_hold(query->broker->keyring, &hold)->count + 1;
    keyring_let_go(query->broker->keyring, &hold);
    walk->counts = memory_new(walk->count_len * sizeof *walk->counts);
    query->broker->store->sealed_count(query->reader, &walk->total);
    restart(walk);
}

void key_walk_fini(struct key_walk *walk)
{
    free(walk->counts);
    walk->counts = NULL;
}

/* ---- REWRAP ------------------------------------------------------------------------------------ */

static void tell_failure(struct key_walk *walk, const struct sealed_row *row, int result)
{
    static const char *const what[SEALED_END] = {"a stored secret", "a kept reply", "a consent"};
    char key[KEYRING_ID_SIZE] = "";
    for (size_t i = 0; i < SEALED_BLOBS && key[0] == 0; i++)
        seal_key_id_text(row->blobs[i], key);
    if (walk->failed++ < FAILURES_TOLD)
        LOG(LOG_ERROR, "a blob cannot be wrapped anew", LOG_S("what", what[row->table]),
            LOG_T("connection", row->table == SEALED_CONSENT ? none : row->id),
            LOG_I("generation", (int64_t)row->generation), LOG_S("key", key),
            LOG_S("error", bursar_error_code(result)));
}

static struct sealed_batch *batch_of(struct key_walk *walk)
{
    if (!walk->batch) {
        walk->batch = write_new(CHANGE_SEALED, none);
        walk->batch->own = memory_new(sizeof(struct sealed_batch));
        walk->batch->change.sealed_batch = walk->batch->own;
    }
    return walk->batch->change.sealed_batch;
}

static int rewrap_blob(struct key_walk *walk, const struct sealed_row *row, size_t i,
                       struct sealed_change *change)
{
    const struct keyring *keyring = walk->query->broker->keyring;
    bool is_changed;
    if (!row->blobs[i].data || seal_is_current(keyring, row->owner, row->blobs[i]))
        return 0;
    struct text after = write_keep(walk->batch, row->blobs[i]);
    int result =
        seal_rewrap(keyring, row->owner, (uint8_t *)(uintptr_t)after.data, after.len, &is_changed);
    if (result == 0 && is_changed)
        change->after[i] = after;
    return result;
}

static bool is_current(struct key_walk *walk, const struct sealed_row *row)
{
    for (size_t i = 0; i < SEALED_BLOBS; i++) {
        if (row->blobs[i].data &&
            !seal_is_current(walk->query->broker->keyring, row->owner, row->blobs[i]))
            return false;
    }
    return true;
}

/* One blob that does not open keeps no other of its row from being wrapped. */
static void rewrap_row(struct key_walk *walk, const struct sealed_row *row)
{
    if (is_current(walk, row))
        return;
    struct sealed_batch *batch = batch_of(walk);
    struct sealed_change *change = &batch->rows[batch->count];
    int failure = 0;
    bool is_changed = false;
    *change = (struct sealed_change){.table = row->table, .generation = row->generation};
    change->id = write_keep(walk->batch, row->id);
    for (size_t i = 0; i < SEALED_BLOBS; i++) {
        int result = rewrap_blob(walk, row, i, change);
        failure = result < 0 ? result : failure;
        change->before[i] = write_keep(walk->batch, row->blobs[i]);
        is_changed = is_changed || change->after[i].data;
    }
    batch->count += is_changed;
    if (failure < 0)
        tell_failure(walk, row, failure);
}

static void written(void *context, struct write_message *message)
{
    struct key_walk *walk = context;
    const struct sealed_batch *batch = message->change.sealed_batch;
    walk->writes--;
    if (message->change.result == 0) {
        walk->lost += batch->lost;
        walk->changed += batch->count - batch->lost;
        fault_point("rewrap-committed");
    } else {
        walk->lost += batch->count; /* the next round finds them again */
        walk->resume_at_ms = clock_boot_ms() + STORE_RETRY_MS;
    }
    write_free(message);
}

static void send_batch(struct key_walk *walk)
{
    struct write_message *message = walk->batch;
    walk->batch = NULL;
    if (message && message->change.sealed_batch->count == 0) {
        write_free(message);
        return;
    }
    if (message) {
        walk->writes++;
        query_write(walk->query, message, written, walk);
    }
}

/* ---- COUNT ------------------------------------------------------------------------------------- */

/* Once for each key, however many blobs of the row are under it. */
static void count_row(struct key_walk *walk, const struct sealed_row *row)
{
    struct keyring_hold hold;
    size_t seen[SEALED_BLOBS], seen_count = 0;
    const struct keyring *keyring = walk->query->broker->keyring;
    const struct key_set *set = keyring_hold(keyring, &hold);
    for (size_t i = 0; i < SEALED_BLOBS; i++) {
        const uint8_t *id = seal_key_id(row->blobs[i]);
        const struct key *key = id ? key_set_find(set, id) : NULL;
        size_t at = key ? (size_t)(key - set->keys) : walk->count_len - 1, k = 0;
        if (!row->blobs[i].data)
            continue;
        while (k < seen_count && seen[k] != at)
            k++;
        if (k < seen_count || at >= walk->count_len)
            continue;
        seen[seen_count++] = at;
        walk->counts[at]++;
    }
    keyring_let_go(keyring, &hold);
}

/* ---- END --------------------------------------------------------------------------------------- */

static void ended_row(void *context, struct write_message *message)
{
    struct key_walk *walk = context;
    int result = message->change.result;
    walk->writes--;
    if (result == 0) {
        walk->changed++;
    } else if (result != BURSAR_E_NOT_FOUND) {
        walk->lost++; /* another generation, or the store: looked at again */
        if (result == BURSAR_E_STORE_UNAVAILABLE)
            walk->resume_at_ms = clock_boot_ms() + STORE_RETRY_MS;
    }
    struct answer *forget = answer_new(TICKET_NONE);
    memccpy(forget->forget, message->connection, 0, sizeof forget->forget - 1);
    dispatcher_send(walk->query->broker->dispatcher, forget);
    write_free(message);
}

/* Whatever its secret is under: what a refresh has brought meanwhile is of a grant that is to go, too. */
static void end_row(struct key_walk *walk, const struct sealed_row *row)
{
    if (row->table != SEALED_CONNECTION)
        return;
    struct write_message *message = write_new(CHANGE_SHRED, row->id);
    message->change.expect_generation = row->generation;
    message->change.move = row->state == CONN_NEEDS_REAUTH ? MOVE_END : MOVE_REFUSED;
    message->change.outcome = VERDICT_GRANT;
    message->change.reason = TEXT_LITERAL("key_destroyed");
    message->change.error = TEXT_LITERAL("the key of this owner was destroyed");
    message->change.next_refresh_at = EXPIRY_NEVER;
    message->change.remind_at = clock_wall_s() + walk->query->broker->config->events_reminder_s;
    walk->writes++;
    query_write(walk->query, message, ended_row, walk);
}

/* ---- the walk ---------------------------------------------------------------------------------- */

static void take_row(void *context, const struct sealed_row *row)
{
    struct key_walk *walk = context;
    walk->done++;
    if (walk->kind == KEY_WALK_REWRAP)
        rewrap_row(walk, row);
    else if (walk->kind == KEY_WALK_COUNT)
        count_row(walk, row);
    else
        end_row(walk, row);
}

static void end_round(struct key_walk *walk)
{
    if (walk->lost > 0) {
        restart(walk);
        return;
    }
    walk->is_on = false;
    walk->ended(walk->query);
}

int key_walk_step(struct key_walk *walk)
{
    const struct store_engine *store = walk->query ? walk->query->broker->store : NULL;
    if (!walk->is_on || walk->writes > 0)
        return -1;
    int64_t wait_ms = walk->resume_at_ms > 0 ? walk->resume_at_ms - clock_boot_ms() : 0;
    if (wait_ms > 0)
        return (int)wait_ms;
    walk->resume_at_ms = 0;
    if (walk->cursor.table == SEALED_END) {
        end_round(walk);
        return 0;
    }
    size_t limit = walk->kind == KEY_WALK_COUNT ? COUNT_ROWS : SEALED_BATCH_MAX;
    if (store->sealed(walk->query->reader, walk->owner, &walk->cursor, limit, take_row, walk) < 0) {
        walk->resume_at_ms = clock_boot_ms() + STORE_RETRY_MS;
        walk->lost++; /* what this step has seen is looked at again */
    }
    send_batch(walk);
    return walk->writes > 0 ? -1 : 0;
}
