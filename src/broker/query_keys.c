/* key.*: one after the other, each in small steps between the other work of the thread.
 *
 * A key is in the keyring's file before anything is sealed under it. One that is dropped is first named by no
 * row and by no copy that another thread holds: the barrier below. */
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/dispatcher.h"
#include "broker/key_desk.h"
#include "broker/memory.h"
#include "broker/worker.h"

enum { TEXT_MAX = 1024 };

static const struct text none = {NULL, 0};

/* This thread alone changes them, so that they stay without being held. */
const struct key_set *key_desk_set(struct query *self)
{
    struct keyring_hold hold;
    const struct key_set *set = keyring_hold(self->broker->keyring, &hold);
    keyring_let_go(self->broker->keyring, &hold);
    return set;
}

/* ---- answers ----------------------------------------------------------------------------------- */

void key_desk_give(struct query *self, struct answer *answer)
{
    struct key_desk *desk = self->keys;
    if (answer->error == 0 && buf_error(&answer->body) != 0)
        answer->error = BURSAR_E_INTERNAL;
    request_free(desk->current);
    desk->current = NULL;
    key_set_free(desk->next);
    desk->next = NULL;
    dispatcher_send(self->broker->dispatcher, answer);
}

void key_desk_refuse(struct query *self, int error, struct text text)
{
    struct answer *answer = answer_new(self->keys->current->ticket);
    answer->error = error;
    buf_append_text(&answer->text, text);
    key_desk_give(self, answer);
}

/* What failed in this process crosses the wire as the daemon's own trouble; the text says it. */
int key_desk_error(int error)
{
    return error > BURSAR_E_NOMEM ? error : BURSAR_E_INTERNAL;
}

static void pack_facts(struct pack *map, const struct key *key)
{
    char id[KEYRING_ID_SIZE];
    key_id_text(key->id, id);
    pack_string(map, "key", id);
    pack_string(map, "role", key_role_name(key->role));
    if (key->owner_len > 0)
        pack_text(map, "owner", key_owner(key));
}

static void give_key(struct query *self, const uint8_t *id)
{
    struct answer *answer = answer_new(self->keys->current->ticket);
    struct pack map = pack_map(&answer->body);
    pack_facts(&map, key_set_find(key_desk_set(self), id));
    pack_close(&map);
    key_desk_give(self, answer);
}

/* ---- the keyring's text ------------------------------------------------------------------------ */

bool key_desk_is_same(const struct key *a, const struct key *b)
{
    return secret_equal((struct text){(const char *)a->bytes, sizeof a->bytes},
                        (struct text){(const char *)b->bytes, sizeof b->bytes}) &&
           text_equal(key_owner(a), key_owner(b));
}

/* Whatever is in use here must be there still. */
static int check_whole(const struct key_set *used, const struct key_set *found, struct buf *error)
{
    char id[KEYRING_ID_SIZE];
    for (size_t i = 0; i < used->count; i++) {
        const struct key *key = key_set_find(found, used->keys[i].id);
        if (key && key_desk_is_same(key, &used->keys[i]))
            continue;
        key_id_text(used->keys[i].id, id);
        buf_printf(error,
                   "the keyring was changed: it has the key %s no more, which is in use;"
                   " bring it back, or have the change taken up by key.reload",
                   id);
        return BURSAR_E_CONFLICT;
    }
    return 0;
}

/* The keys as they stand in the file, to be changed. NULL where they cannot be: refused. */
struct key_set *key_desk_open(struct query *self)
{
    struct keyring_source source = broker_keyring_source(self->broker->config);
    struct key_set *found = NULL, *copy = NULL;
    struct buf error = buf_make(TEXT_MAX);
    int result = 0;
    if (!keyring_source_file(&source)) {
        buf_append_string(&error,
                          "the keyring is no file that this daemon can write: change it where it"
                          " comes from (bursar key new --file), then key.reload, or start again");
        result = BURSAR_E_CONFLICT;
    }
    if (result == 0)
        result = keyring_source_read(&source, &found, &error);
    if (result == 0)
        result = check_whole(key_desk_set(self), found, &error);
    if (result == 0 && !(copy = key_set_copy(found, 1)))
        result = BURSAR_E_NOMEM;
    key_set_free(found);
    if (result < 0)
        key_desk_refuse(self, key_desk_error(result), buf_text(&error));
    buf_free(&error);
    return copy;
}

/* Writes the keys and begins to use them. Takes the set. false: refused. */
bool key_desk_commit(struct query *self, struct key_set *set)
{
    struct keyring_source source = broker_keyring_source(self->broker->config);
    struct buf error = buf_make(TEXT_MAX);
    int result = keyring_source_write(&source, set, &error);
    if (result < 0) {
        LOG(LOG_ERROR, "the keyring cannot be written", LOG_T("why", buf_text(&error)));
        buf_append_string(&error, "; nothing was changed");
        key_set_free(set);
        key_desk_refuse(self, BURSAR_E_INTERNAL, buf_text(&error));
    } else {
        keyring_publish(self->broker->keyring, set);
    }
    buf_free(&error);
    return result == 0;
}

/* ---- the barrier ------------------------------------------------------------------------------- */

/* Once all have passed, no thread holds what is sealed under a key that is not active but the rows of the store:
 * the store thread (which wraps whatever comes late) has written what came before, workers have wrapped what
 * their flights hold, the dispatcher has taken the answers of before and forgotten what it had in
 * memory, and the store thread has written what workers sent meanwhile. */
static void ask_store(struct query *self, write_done_fn *done)
{
    struct write_message *message = write_new(CHANGE_SEALED, none);
    message->own = memory_new(sizeof(struct sealed_batch));
    message->change.sealed_batch = message->own;
    query_write(self, message, done, self);
}

static void passed(void *context, struct write_message *message)
{
    struct query *self = context;
    bool is_written = message->change.result == 0;
    write_free(message);
    if (is_written)
        self->keys->then(self);
    else
        key_desk_refuse(self, BURSAR_E_STORE_UNAVAILABLE, none);
}

static void ask_others(struct query *self)
{
    const struct broker *broker = self->broker;
    self->keys->awaited = broker->worker_count;
    self->keys->is_at_dispatcher = false;
    for (size_t i = 0; i < broker->worker_count; i++)
        worker_send_keys(broker->workers[i], &self->inbox);
}

static void store_passed(void *context, struct write_message *message)
{
    struct query *self = context;
    bool is_written = message->change.result == 0;
    write_free(message);
    if (!is_written) {
        key_desk_refuse(self, BURSAR_E_STORE_UNAVAILABLE, none);
        return;
    }
    ask_others(self);
}

void query_keys_heard(struct query *self)
{
    struct key_desk *desk = self->keys;
    if (desk->is_at_dispatcher && desk->is_forgetting) {
        desk->is_forgetting = false;
        desk->then(self);
    } else if (desk->is_at_dispatcher) {
        ask_store(self, passed);
    } else if (--desk->awaited == 0) {
        desk->is_at_dispatcher = true;
        dispatcher_send_keys(self->broker->dispatcher, &self->inbox);
    }
}

void key_desk_barrier(struct query *self, key_walk_fn *then)
{
    self->keys->then = then;
    ask_store(self, store_passed);
}

void key_desk_forget(struct query *self, key_walk_fn *then)
{
    self->keys->then = then;
    self->keys->is_forgetting = true;
    ask_others(self);
}

/* ---- the audit log ----------------------------------------------------------------------------- */

void key_desk_tell(struct query *self, struct text owner, struct text detail, key_walk_fn *then)
{
    const struct audit_origin *origin = &self->keys->current->origin->audit;
    struct write_message *message = write_new(CHANGE_AUDIT, none);
    struct audit_row *row = memory_new(sizeof *row);
    int64_t now_ms = clock_wall_ms();
    *row = (struct audit_row){.at_ms = now_ms,
                              .last_ms = now_ms,
                              .count = 1,
                              .kind = AUDIT_CHANGE,
                              .principal = origin->principal,
                              .peer = origin->peer,
                              .op = text_of(origin->op),
                              .purpose = origin->purpose,
                              .owner = owner.len > 0 ? write_keep(message, owner) : none,
                              .outcome = TEXT_LITERAL("ok"),
                              .detail = write_keep(message, detail)};
    message->own = row;
    message->change.audit = row;
    message->change.audit_count = 1;
    self->keys->then = then;
    query_write(self, message, passed, self);
}

/* ---- wrapping anew ----------------------------------------------------------------------------- */

static void rewrapped(struct query *self)
{
    const struct key_walk *walk = &self->keys->rewrap;
    LOG(walk->failed > 0 ? LOG_WARNING : LOG_INFO, "all rows are under the active keys",
        LOG_I("rows", (int64_t)walk->done), LOG_I("changed", (int64_t)walk->changed),
        LOG_I("failed", (int64_t)walk->failed));
}

void key_desk_rewrap(struct query *self)
{
    self->keys->has_rewrapped = true;
    key_walk_begin(&self->keys->rewrap, self, KEY_WALK_REWRAP, none, rewrapped);
}

/* ---- key.list ---------------------------------------------------------------------------------- */

static void pack_rewrap(struct query *self, struct pack *map)
{
    char id[KEYRING_ID_SIZE];
    const struct key_walk *walk = &self->keys->rewrap;
    if (!self->keys->has_rewrapped)
        return;
    struct pack rewrap = pack_map_in(map, "rewrap");
    key_id_text(key_desk_set(self)->keys[0].id, id);
    pack_bool(&rewrap, "running", walk->is_on);
    pack_string(&rewrap, "to_key", id);
    pack_uint(&rewrap, "total", walk->total > walk->done ? walk->total : walk->done);
    pack_uint(&rewrap, "done", walk->done);
    pack_uint(&rewrap, "changed", walk->changed);
    pack_uint(&rewrap, "failed", walk->failed);
    pack_close(&rewrap);
}

static void listed(struct query *self)
{
    const struct key_walk *walk = &self->keys->walk;
    const struct key_set *set = key_desk_set(self);
    struct keyring_source source = broker_keyring_source(self->broker->config);
    struct answer *answer = answer_new(self->keys->current->ticket);
    struct pack map = pack_map(&answer->body), keys = pack_array_in(&map, "keys");
    for (size_t i = 0; i < set->count; i++) {
        struct pack one = pack_item_map(&keys);
        pack_facts(&one, &set->keys[i]);
        pack_uint(&one, "rows", walk->counts[i]);
        pack_close(&one);
    }
    pack_close(&keys);
    pack_uint(&map, "unknown_rows", walk->counts[set->count]);
    pack_bool(&map, "writable", keyring_source_file(&source) != NULL);
    pack_rewrap(self, &map);
    pack_close(&map);
    key_desk_give(self, answer);
}

static void list(struct query *self)
{
    key_walk_begin(&self->keys->walk, self, KEY_WALK_COUNT, none, listed);
}

/* ---- key.new, key.rotate ----------------------------------------------------------------------- */

static bool has_active(const struct key_set *set, struct text owner)
{
    const struct key *key = key_set_of_owner(set, owner);
    return key && key->role == KEY_ACTIVE;
}

static struct text owner_of(const struct job *job)
{
    return job->owner.data ? job->owner : TEXT_LITERAL("");
}

/* Its row is in the audit log. */
static void change(struct query *self)
{
    struct key_desk *desk = self->keys;
    struct key_set *set = desk->next;
    char id[KEYRING_ID_SIZE];
    desk->next = NULL;
    if (!key_desk_commit(self, set))
        return;
    const struct key *key = key_set_find(key_desk_set(self), desk->named);
    key_id_text(key->id, id);
    LOG(LOG_INFO, desk->current->job.key.data ? "a key is active" : "a key was made",
        LOG_S("key", id), LOG_S("role", key_role_name(key->role)), LOG_T("owner", key_owner(key)));
    if (key->role == KEY_ACTIVE)
        key_desk_rewrap(self);
    give_key(self, desk->named);
}

/* Takes the set, in which a key is new or has another role; answers with that key. */
static void tell_change(struct query *self, struct key_set *set, const uint8_t *id)
{
    struct key_desk *desk = self->keys;
    const struct key *key = key_set_find(set, id);
    struct buf detail = buf_make(TEXT_MAX);
    char id_text[KEYRING_ID_SIZE];
    desk->next = set;
    memcpy(desk->named, key->id, sizeof desk->named);
    key_id_text(key->id, id_text);
    buf_printf(&detail, "key=%s role=%s", id_text, key_role_name(key->role));
    key_desk_tell(self, key_owner(key), buf_text(&detail), change);
    buf_free(&detail);
}

/* Takes the set; adds a key to it and answers with that. */
static void add(struct query *self, struct key_set *set, enum key_role role, struct text owner)
{
    uint8_t id[KEYRING_ID_LEN];
    int result = key_set_add_fresh(set, role, owner, id);
    if (result < 0) {
        key_set_free(set);
        key_desk_refuse(self, result == BURSAR_E_NOMEM ? BURSAR_E_INTERNAL : BURSAR_E_CONFLICT,
                        TEXT_LITERAL("the keyring has as many keys as it can: retire some"));
        return;
    }
    tell_change(self, set, id);
}

static void make(struct query *self)
{
    const struct job *job = &self->keys->current->job;
    struct text owner = owner_of(job);
    struct key_set *set = key_desk_open(self);
    if (set)
        add(self, set, job->activate || !has_active(set, owner) ? KEY_ACTIVE : KEY_NEW, owner);
}

/* The key that the job names; NULL: refused. */
const struct key *key_desk_named(struct query *self, const struct key_set *set)
{
    uint8_t id[KEYRING_ID_LEN];
    const struct job *job = &self->keys->current->job;
    const struct key *key = key_id_of_text(job->key, id) ? key_set_find(set, id) : NULL;
    if (!key)
        key_desk_refuse(self, BURSAR_E_NOT_FOUND, TEXT_LITERAL("no key has this id"));
    return key;
}

/* Takes the set. */
static void turn(struct query *self, struct key_set *set, const struct key *key)
{
    uint8_t id[KEYRING_ID_LEN];
    memcpy(id, key->id, sizeof id);
    key_set_turn(set, id, KEY_ACTIVE);
    tell_change(self, set, id);
}

static void rotate(struct query *self)
{
    const struct job *job = &self->keys->current->job;
    struct key_set *set = key_desk_open(self);
    if (!set)
        return;
    if (job->key.data) {
        const struct key *key = key_desk_named(self, set);
        if (key)
            turn(self, set, key);
        else
            key_set_free(set);
    } else if (!has_active(set, owner_of(job))) {
        key_set_free(set);
        key_desk_refuse(self, BURSAR_E_NOT_FOUND,
                        TEXT_LITERAL("this owner has no key of its own: key.new makes one"));
    } else {
        add(self, set, KEY_ACTIVE, owner_of(job));
    }
}

/* ---- the desk ---------------------------------------------------------------------------------- */

void query_keys_start(struct query *self)
{
    self->keys = memory_new(sizeof *self->keys);
    /* Where there are keys that are not active, an earlier process may have ended before all was wrapped. */
    if (self->reader && keyring_count(self->broker->keyring) > 1)
        key_desk_rewrap(self);
}

void query_keys_end(struct query *self)
{
    struct key_desk *desk = self->keys;
    request_free_all(desk->waiting.first);
    request_free(desk->current);
    key_set_free(desk->next);
    key_walk_fini(&desk->rewrap);
    key_walk_fini(&desk->walk);
    free(desk);
    self->keys = NULL;
}

void query_keys_take(struct query *self, struct request *request)
{
    request_queue_add(&self->keys->waiting, request);
}

static void begin_next(struct query *self)
{
    static key_walk_fn *const functions[OP_END] = {[OP_KEY_LIST] = list,
                                                   [OP_KEY_NEW] = make,
                                                   [OP_KEY_ROTATE] = rotate,
                                                   [OP_KEY_RETIRE] = key_desk_retire,
                                                   [OP_KEY_SHRED] = key_desk_shred,
                                                   [OP_KEY_RELOAD] = key_desk_reload};
    struct key_desk *desk = self->keys;
    desk->current = request_queue_take(&desk->waiting);
    functions[desk->current->job.op](self);
}

int query_keys_step(struct query *self)
{
    struct key_desk *desk = self->keys;
    if (!desk->current && desk->waiting.first)
        begin_next(self);
    int rewrap_ms = key_walk_step(&desk->rewrap), walk_ms = key_walk_step(&desk->walk);
    if (!desk->current && desk->waiting.first)
        return 0;
    if (rewrap_ms < 0 || walk_ms < 0)
        return rewrap_ms > walk_ms ? rewrap_ms : walk_ms;
    return rewrap_ms < walk_ms ? rewrap_ms : walk_ms;
}

void query_keys_pack(struct query *self, struct pack *map)
{
    const struct key_set *set = key_desk_set(self);
    char id[KEYRING_ID_SIZE];
    struct pack ids = pack_array_in(map, "key_ids");
    for (size_t i = 0; i < set->count && set->keys[i].owner_len == 0; i++) {
        key_id_text(set->keys[i].id, id);
        pack_item_text(&ids, text_of(id));
    }
    pack_close(&ids);
    pack_rewrap(self, map);
}
