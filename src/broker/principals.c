#include "broker/principals.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "broker/memory.h"

struct by_id {
    uint32_t id;
    const struct principal *principal;
    UT_hash_handle hh;
};

struct by_key {
    const char *z85; /* of the principal */
    const struct principal *principal;
    UT_hash_handle hh;
};

struct principals {
    atomic_uint held;
    uid_t own_uid;
    struct principal *items;
    size_t count;
    struct by_id *uids, *gids;
    struct by_key *keys;
};

/* ---- peers --------------------------------------------------------------------------------------- */

static const char uid_word[] = "uid:", gid_word[] = ":gid:", key_word[] = "curve:";

void peer_of_process(uid_t uid, gid_t gid, pid_t pid, char out[static PEER_MAX])
{
    snprintf(out, PEER_MAX, "%s%lu%s%lu:pid:%ld", uid_word, (unsigned long)uid, gid_word,
             (unsigned long)gid, (long)pid);
}

void peer_of_key(const char *z85, char out[static PEER_MAX])
{
    snprintf(out, PEER_MAX, "%s%.*s", key_word, PRINCIPAL_KEY_LEN, z85);
}

/* The digits at text, and where they end; false where there are none or too many. */
static bool read_id(const char *text, uint32_t *out_id, const char **out_end)
{
    uint64_t id = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && id <= UINT32_MAX; at++)
        id = id * 10 + (uint64_t)(*at - '0');
    *out_id = (uint32_t)id;
    *out_end = at;
    return at > text && id <= UINT32_MAX;
}

/* ---- the set ------------------------------------------------------------------------------------- */

static void index_id(struct by_id **table, uint32_t id, const struct principal *principal)
{
    struct by_id *entry = NULL;
    HASH_FIND(hh, *table, &id, sizeof id, entry);
    if (entry) /* the first one has it: config and query see to it that there is no other */
        return;
    entry = memory_new(sizeof *entry);
    entry->id = id;
    entry->principal = principal;
    HASH_ADD(hh, *table, id, sizeof entry->id, entry);
}

static void index_key(struct principals *self, const char *z85, const struct principal *principal)
{
    struct by_key *entry = NULL;
    HASH_FIND(hh, self->keys, z85, PRINCIPAL_KEY_LEN, entry);
    if (entry)
        return;
    entry = memory_new(sizeof *entry);
    entry->z85 = z85;
    entry->principal = principal;
    HASH_ADD_KEYPTR(hh, self->keys, entry->z85, PRINCIPAL_KEY_LEN, entry);
}

static void index_all(struct principals *self)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct principal *one = &self->items[i];
        for (size_t j = 0; j < one->uid_count; j++)
            index_id(&self->uids, one->uids[j], one);
        for (size_t j = 0; j < one->gid_count; j++)
            index_id(&self->gids, one->gids[j], one);
        for (size_t j = 0; j < one->key_count; j++)
            index_key(self, one->keys[j].z85, one);
    }
}

static bool has_uid(const struct principals *self, uint32_t uid)
{
    for (size_t i = 0; i < self->count; i++) {
        for (size_t j = 0; j < self->items[i].uid_count; j++) {
            if (self->items[i].uids[j] == uid)
                return true;
        }
    }
    return false;
}

static void add_own(struct principals *self, uint32_t uid, bool is_alone)
{
    char name[32];
    struct principal *own = &self->items[self->count];
    principal_init(own);
    snprintf(name, sizeof name, "uid:%lu", (unsigned long)uid);
    own->roles = is_alone ? ROLE_ALL : ROLE_ADMIN;
    own->owners.is_all = own->providers.is_all = own->refs.is_all = is_alone;
    if (!principal_set_text(&own->name, text_of(name)) ||
        !principal_add_id(&own->uids, &own->uid_count, uid))
        abort();
    self->count++;
}

struct principals *principals_new(const struct principal *items, size_t count, uid_t own_uid)
{
    struct principals *self = memory_new(sizeof *self);
    atomic_init(&self->held, 1);
    self->own_uid = own_uid;
    self->items = memory_new((count + 2) * sizeof *self->items);
    for (size_t i = 0; i < count; i++) {
        if (!principal_copy(&items[i], &self->items[self->count++]))
            abort();
    }
    if (!has_uid(self, 0))
        add_own(self, 0, count == 0);
    if (!has_uid(self, own_uid))
        add_own(self, own_uid, count == 0);
    index_all(self);
    return self;
}

struct principals *principals_hold(struct principals *principals)
{
    atomic_fetch_add_explicit(&principals->held, 1, memory_order_relaxed);
    return principals;
}

static void free_ids(struct by_id **table)
{
    struct by_id *entry, *next;
    HASH_ITER(hh, *table, entry, next) {
        HASH_DEL(*table, entry);
        free(entry);
    }
}

void principals_release(struct principals *self)
{
    struct by_key *key, *next;
    if (!self || atomic_fetch_sub_explicit(&self->held, 1, memory_order_acq_rel) != 1)
        return;
    free_ids(&self->uids);
    free_ids(&self->gids);
    HASH_ITER(hh, self->keys, key, next) {
        HASH_DEL(self->keys, key);
        free(key);
    }
    for (size_t i = 0; i < self->count; i++)
        principal_fini(&self->items[i]);
    free(self->items);
    free(self);
}

static const struct principal *of_process(const struct principals *self, const char *ids)
{
    uint32_t uid, gid;
    const char *end;
    struct by_id *entry = NULL;
    if (!read_id(ids, &uid, &end))
        return NULL;
    HASH_FIND(hh, self->uids, &uid, sizeof uid, entry);
    if (entry)
        return entry->principal;
    if (strncmp(end, gid_word, sizeof gid_word - 1) != 0 ||
        !read_id(end + sizeof gid_word - 1, &gid, &end))
        return NULL;
    HASH_FIND(hh, self->gids, &gid, sizeof gid, entry);
    return entry ? entry->principal : NULL;
}

const struct principal *principals_of_peer(const struct principals *self, const char *peer)
{
    struct by_key *entry = NULL;
    if (!peer)
        return NULL;
    if (strncmp(peer, uid_word, sizeof uid_word - 1) == 0)
        return of_process(self, peer + sizeof uid_word - 1);
    if (strncmp(peer, key_word, sizeof key_word - 1) != 0 ||
        strlen(peer) != sizeof key_word - 1 + PRINCIPAL_KEY_LEN)
        return NULL;
    HASH_FIND(hh, self->keys, peer + sizeof key_word - 1, PRINCIPAL_KEY_LEN, entry);
    return entry ? entry->principal : NULL;
}

const struct principal *principals_find(const struct principals *self, struct text name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (text_is(name, self->items[i].name))
            return &self->items[i];
    }
    return NULL;
}

bool principals_have_others(const struct principals *self)
{
    for (const struct by_id *entry = self->uids; entry; entry = entry->hh.next) {
        if (entry->id != 0 && entry->id != self->own_uid)
            return true;
    }
    return self->gids != NULL;
}

size_t principals_count(const struct principals *self)
{
    return self->count;
}

const struct principal *principals_at(const struct principals *self, size_t index)
{
    return &self->items[index];
}

size_t principals_index(const struct principals *self, const struct principal *principal)
{
    return (size_t)(principal - self->items);
}
