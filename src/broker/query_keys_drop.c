/* What drops keys: key.retire, key.reload, key.shred. */
#include <string.h>

#include <bursar/error.h>

#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/key_desk.h"

enum { TEXT_MAX = 1024 };

static const struct text none = {NULL, 0};

static void refuse_for_key(struct query *self, const struct key *key, uint64_t rows)
{
    char id[KEYRING_ID_SIZE];
    struct buf text = buf_make(TEXT_MAX);
    key_id_text(key->id, id);
    buf_printf(&text, "%llu rows name the key %s: rotate, and wait until all are wrapped anew",
               (unsigned long long)rows, id);
    key_desk_refuse(self, BURSAR_E_CONFLICT, buf_text(&text));
    buf_free(&text);
}

/* ---- key.retire, key.reload --------------------------------------------------- */

/* Its row is in the audit log. */
static void drop(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct key_set *set = desk->next;
    bool is_reload = desk->current->job.op == OP_KEY_RELOAD;
    desk->next = NULL;
    if (is_reload)
        keyring_publish(self->broker->keyring, set);
    else if (!key_desk_commit(self, set))
        return;
    LOG(LOG_WARNING, is_reload ? "the keyring was read again" : "a key was retired",
        LOG_T("key", is_reload ? TEXT_LITERAL("-") : desk->current->job.key),
        LOG_I("dropped", (int64_t)desk->dropped));
    if (is_reload)
        key_desk_rewrap(self);
    struct answer *answer = answer_new(desk->current->ticket);
    struct pack map = pack_map(&answer->body);
    pack_uint(&map, "dropped", desk->dropped);
    pack_uint(&map, "count", key_desk_set(self)->count);
    pack_close(&map);
    key_desk_give(self, answer);
}

/* No row names them, and nobody holds what is sealed under them. */
static void drop_them(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct buf detail = buf_make(TEXT_MAX);
    char id[KEYRING_ID_SIZE];
    if (desk->current->job.op == OP_KEY_RELOAD) {
        key_id_text(key_set_active(desk->next, none)->id, id);
        buf_printf(&detail, "active=%s dropped=%zu", id, desk->dropped);
        key_desk_tell(self, none, buf_text(&detail), drop);
    } else {
        const struct key *key = key_set_find(key_desk_set(self), desk->named);
        key_id_text(desk->named, id);
        buf_printf(&detail, "key=%s", id);
        key_desk_tell(self, key ? key_owner(key) : none, buf_text(&detail), drop);
    }
    buf_free(&detail);
}

/* Refuses where a row names one that is to go. */
static void counted(struct query *self)
{
    struct key_desk *desk = self->keys;
    const struct key_set *set = key_desk_set(self);
    for (size_t i = 0; i < set->count; i++) {
        if (desk->walk.counts[i] > 0 && !key_set_find(desk->next, set->keys[i].id)) {
            refuse_for_key(self, &set->keys[i], desk->walk.counts[i]);
            return;
        }
    }
    key_desk_barrier(self, drop_them);
}

static void count(struct query *self)
{
    key_walk_begin(&self->keys->walk, self, KEY_WALK_COUNT, none, counted);
}

void key_desk_retire(struct query *self)
{
    struct key_set *set = key_desk_open(self);
    const struct key *key = set ? key_desk_named(self, set) : NULL;
    if (!key) {
        key_set_free(set);
        return;
    }
    if (key->role == KEY_ACTIVE) {
        key_desk_refuse(self, BURSAR_E_CONFLICT,
                        key->owner_len > 0
                            ? TEXT_LITERAL("the key is active: rotate first, or key.shred for good")
                            : TEXT_LITERAL("the key is active: rotate first"));
        key_set_free(set);
        return;
    }
    memcpy(self->keys->named, key->id, sizeof self->keys->named);
    key_set_remove(set, self->keys->named);
    self->keys->next = set;
    self->keys->dropped = 1;
    key_desk_barrier(self, count);
}

/* How many keys that are in use are not in the other set; SIZE_MAX where one is another there. */
static size_t missing(const struct key_set *used, const struct key_set *found)
{
    size_t count = 0;
    for (size_t i = 0; i < used->count; i++) {
        const struct key *key = key_set_find(found, used->keys[i].id);
        if (key && !key_desk_is_same(key, &used->keys[i]))
            return SIZE_MAX;
        count += !key;
    }
    return count;
}

/* The sandbox lets the daemon start no program. */
static int read_again(const struct config *config, struct key_set **out_set, struct buf *error)
{
    static const char command[] = "command:";
    struct keyring_source source = broker_keyring_source(config);
    if (config->sandbox != CONFIG_SANDBOX_ENFORCE ||
        strncmp(source.where, command, sizeof command - 1) != 0)
        return keyring_source_read(&source, out_set, error);
    buf_append_string(error, "the sandbox lets the daemon run no command again: restart it");
    return BURSAR_E_CONFLICT;
}

void key_desk_reload(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct buf error = buf_make(TEXT_MAX);
    int result = read_again(self->broker->config, &desk->next, &error);
    if (result == 0 && !key_set_find(desk->next, key_set_active(key_desk_set(self), none)->id)) {
        /* The audit log is sealed under it until something else is active. */
        buf_append_string(&error,
                          "the active key is not there: keep it until another one is active");
        result = BURSAR_E_CONFLICT;
    }
    if (result == 0 && (desk->dropped = missing(key_desk_set(self), desk->next)) == SIZE_MAX) {
        buf_append_string(&error, "a key that is in use is another one there");
        result = BURSAR_E_CONFLICT;
    }
    if (result < 0)
        key_desk_refuse(self, key_desk_error(result), buf_text(&error));
    else if (desk->dropped > 0)
        key_desk_barrier(self, count);
    else
        drop_them(self);
    buf_free(&error);
}

/* ---- key.shred --------------------------------------------------------------------------------- */

static void destroyed(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct text owner = desk->current->job.owner;
    uint64_t rows = desk->walk.changed;
    struct answer *answer = answer_new(desk->current->ticket);
    struct pack map = pack_map(&answer->body);
    pack_text(&map, "owner", owner);
    pack_uint(&map, "dropped", desk->dropped);
    pack_uint(&map, "connections", rows);
    pack_close(&map);
    key_desk_give(self, answer);
}

/* Its rows need new secrets: now the keys go. A worker that had read a row before it was ended may have told the
 * dispatcher of it behind its end; and what is vended from memory is not under the owner's key there. */
static void destroy(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct key_set *set = desk->next;
    desk->next = NULL;
    if (!key_desk_commit(self, set))
        return;
    LOG(LOG_WARNING, "an owner's keys were destroyed", LOG_T("owner", desk->current->job.owner),
        LOG_I("keys", (int64_t)desk->dropped), LOG_I("connections", (int64_t)desk->walk.changed));
    key_desk_forget(self, destroyed);
}

static void end_rows(struct query *self)
{
    key_walk_begin(&self->keys->walk, self, KEY_WALK_END, self->keys->current->job.owner, destroy);
}

/* All that the owner has is under its keys: from now on none is active, and what comes is sealed under the
 * key for all. */
static void shred_gathered(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct text owner = desk->current->job.owner;
    struct key_set *set = key_set_copy(key_desk_set(self), 0);
    const struct key *key;
    if (!set) {
        key_desk_refuse(self, BURSAR_E_INTERNAL, none);
        return;
    }
    key = key_set_of_owner(set, owner);
    if (key->role == KEY_ACTIVE)
        key_set_turn(set, key->id, KEY_OLD);
    keyring_publish(self->broker->keyring, set);
    key_desk_barrier(self, end_rows);
}

static void tell_shred(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct buf detail = buf_make(TEXT_MAX);
    buf_printf(&detail, "dropped=%zu", desk->dropped);
    key_desk_tell(self, desk->current->job.owner, buf_text(&detail), shred_gathered);
    buf_free(&detail);
}

static void gather(struct query *self)
{
    key_walk_begin(&self->keys->walk, self, KEY_WALK_REWRAP, self->keys->current->job.owner,
                   tell_shred);
}

void key_desk_shred(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct text owner = desk->current->job.owner;
    struct key_set *set = key_desk_open(self);
    const struct key *key;
    if (!set)
        return;
    for (desk->dropped = 0; (key = key_set_of_owner(set, owner)); desk->dropped++)
        key_set_remove(set, key->id);
    desk->next = set;
    if (desk->dropped == 0)
        key_desk_refuse(self, BURSAR_E_NOT_FOUND, TEXT_LITERAL("this owner has no key of its own"));
    else
        key_desk_barrier(self, gather);
}
