/* principal.*: who may speak, changed while the broker runs.
 *
 * A principal stands in the configuration or in the store, never in both. Each change makes a new set of both,
 * which goes from the publisher over ZAP to the dispatcher; whoever asked for it has the answer when all of
 * them decide by it. The next change is looked at when the set of the one before is made: so that nobody comes
 * to be recognised as two. */
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/memory.h"
#include "broker/publisher.h"
#include "broker/query_parts.h"
#include "broker/store_thread.h"
#include "wire/principal.h"

enum {
    DEFINITION_MAX = 1 << 20,
    AGAIN_MS = 50, /* before the store is read once more, twice as long each time … */
    AGAIN_MAX_MS = 2000
};

struct principal_desk {
    struct request_queue waiting; /* for their turn */
    bool is_writing;              /* a change is with the store */
    bool is_due;                  /* a new set is to be made */
    int64_t due_at_ms;            /* boot time */
    int again_ms;          /* what is waited for behind the next failure; 0: there was none */
    struct answer *answer; /* for who asked for the change of which it is; NULL: nobody */
};

/* ---- what the store keeps ------------------------------------------------------------------------ */

struct principal_list {
    struct principal *items;
    size_t count;
};

static void list_free(struct principal_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        principal_fini(&list->items[i]);
    free(list->items);
    *list = (struct principal_list){0};
}

static bool clashes(const struct principal_list *list, const struct principal *one)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, one->name) == 0 || principal_shared(&list->items[i], one))
            return true;
    }
    return false;
}

/* One that cannot be read is not let in, and one that the configuration has too neither: what an operator
 * wrote there holds. */
static bool add_stored(void *context, struct text name, struct text definition)
{
    struct principal_list *list = context;
    struct principal one;
    struct buf error = buf_make(1024);
    struct tree *tree = tree_new();
    int result = tree ? tree_fill(tree, definition) : BURSAR_E_NOMEM;
    if (result == 0)
        result = principal_read(name, tree_root(tree), &one, &error);
    if (result < 0) {
        LOG(LOG_ERROR, "a principal of the store cannot be read and may do nothing",
            LOG_T("principal", name), LOG_T("error", buf_text(&error)));
    } else if (clashes(list, &one)) {
        LOG(LOG_WARNING, "a principal of the store is one of the configuration too, which holds",
            LOG_T("principal", name));
        principal_fini(&one);
    } else {
        list->items = memory_resize(list->items, (list->count + 1) * sizeof *list->items);
        list->items[list->count++] = one;
    }
    tree_free(tree);
    buf_free(&error);
    return true;
}

int principals_read(const struct broker *broker, struct store_reader *reader,
                    const struct principal *configured, size_t count,
                    struct principals **out_principals)
{
    struct principal_list list = {memory_new((count + 1) * sizeof *list.items), 0};
    for (size_t i = 0; i < count; i++) {
        if (!principal_copy(&configured[i], &list.items[list.count++]))
            abort();
    }
    int result = broker->store->principals(reader, add_stored, &list);
    if (result == 0)
        *out_principals = principals_new(list.items, list.count, broker->uid);
    list_free(&list);
    return result;
}

/* ---- a new set ----------------------------------------------------------------------------------- */

static void make_due(struct principal_desk *desk)
{
    desk->is_due = true;
    desk->due_at_ms = 0;
}

/* What was committed and does not hold yet must: it is tried until the store can be read. */
static void try_later(struct principal_desk *desk)
{
    if (desk->again_ms == 0) {
        LOG(LOG_ERROR, "principals could not be read again: the old ones hold until they can");
        desk->again_ms = AGAIN_MS;
    }
    desk->due_at_ms = clock_boot_ms() + desk->again_ms;
    desk->again_ms = desk->again_ms * 2 < AGAIN_MAX_MS ? desk->again_ms * 2 : AGAIN_MAX_MS;
}

static void spread(struct query *self)
{
    struct principal_desk *desk = self->changes;
    struct principals *principals = NULL;
    if (principals_read(self->broker, self->reader, self->configured, self->configured_count,
                        &principals) < 0) {
        try_later(desk);
        return;
    }
    if (desk->again_ms > 0)
        LOG(LOG_INFO, "principals could be read again");
    principals_release(self->principals);
    self->principals = principals;
    struct principals_message *message = principals_message_new(principals);
    message->answer = desk->answer;
    desk->answer = NULL;
    desk->again_ms = 0;
    desk->is_due = false;
    publisher_send_principals(self->broker->publisher, message);
}

void query_reload(struct query *self, struct reload_message *message)
{
    query_forget_configured(self);
    self->configured = message->items;
    self->configured_count = message->count;
    message->items = NULL;
    message->count = 0;
    reload_message_free(message);
    make_due(self->changes);
}

void query_forget_configured(struct query *self)
{
    for (size_t i = 0; i < self->configured_count; i++)
        principal_fini(&self->configured[i]);
    free(self->configured);
    self->configured = NULL;
    self->configured_count = 0;
}

/* ---- principal.list, .get ------------------------------------------------------------------------ */

static bool is_configured(const struct query *self, struct text name)
{
    for (size_t i = 0; i < self->configured_count; i++) {
        if (text_is(name, self->configured[i].name))
            return true;
    }
    return false;
}

static void pack_one(const struct query *self, struct pack *map, const struct principal *principal)
{
    struct text name = text_of(principal->name);
    pack_text(map, "principal", name);
    pack_string(map, "from",
                is_configured(self, name) ? "configuration"
                : principal_is_name(name) ? "store"
                                          : "built_in");
    principal_pack(map, principal);
}

int query_principals(struct query *self, const struct job *job, struct answer *answer)
{
    struct pack map = pack_map(&answer->body);
    struct pack list = pack_array_in(&map, "principals");
    (void)job;
    for (size_t i = 0; i < principals_count(self->principals); i++) {
        struct pack one = pack_item_map(&list);
        pack_one(self, &one, principals_at(self->principals, i));
        pack_close(&one);
    }
    pack_close(&list);
    pack_close(&map);
    return 0;
}

int query_principal(struct query *self, const struct job *job, struct answer *answer)
{
    const struct principal *principal = principals_find(self->principals, job->principal);
    if (!principal) {
        buf_append_string(&answer->text, "no principal has this name");
        return BURSAR_E_NOT_FOUND;
    }
    struct pack map = pack_map(&answer->body);
    pack_one(self, &map, principal);
    pack_close(&map);
    return 0;
}

int query_operator(struct query *self, const struct job *job, struct answer *answer)
{
    bool is_operator = false;
    for (size_t i = 0; i < principals_count(self->principals) && !is_operator; i++) {
        const struct principal *one = principals_at(self->principals, i);
        is_operator =
            text_equal(text_of(one->email), job->email) && name_list_has(&one->scopes, job->scope);
    }
    struct pack map = pack_map(&answer->body);
    pack_bool(&map, "is_operator", is_operator);
    pack_close(&map);
    return 0;
}

/* ---- principal.add, .update, .remove ------------------------------------------------------------- */

static struct text why(int result, enum job_op op)
{
    if (result == BURSAR_E_CONFLICT && op == OP_PRINCIPAL_ADD)
        return TEXT_LITERAL("a principal of this name is there already");
    if (result == BURSAR_E_NOT_FOUND)
        return TEXT_LITERAL("no principal of this name was made by principal.add");
    return (struct text){NULL, 0};
}

static void changed(void *context, struct write_message *message)
{
    struct query *self = context;
    struct request *request = message->request;
    int result = message->change.result;
    message->request = NULL;
    write_free(message);
    self->changes->is_writing = false;
    if (result < 0) {
        query_refuse(self, request, result, why(result, request->job.op));
        return;
    }
    LOG(LOG_WARNING, "principals have changed", LOG_S("op", job_rule(request->job.op)->name),
        LOG_T("principal", request->job.principal), LOG_S("by", request->principal->name));
    struct answer *answer = answer_new(request->ticket);
    struct pack map = pack_map(&answer->body);
    pack_text(&map, "principal", request->job.principal);
    pack_close(&map);
    request_free(request);
    self->changes->answer = answer;
    make_due(self->changes);
}

/* Nobody may be recognised as two. */
static int check_others(const struct query *self, const struct principal *made, struct buf *error)
{
    for (size_t i = 0; i < principals_count(self->principals); i++) {
        const struct principal *other = principals_at(self->principals, i);
        const char *shared = principal_shared(made, other);
        bool is_built_in = !principal_is_name(text_of(other->name));
        if (!shared || is_built_in || strcmp(other->name, made->name) == 0)
            continue;
        buf_printf(error, "has a %s that %s has too", shared, other->name);
        return BURSAR_E_CONFLICT;
    }
    return 0;
}

/* The definition as it is kept: read and written anew, so that it is whole and known in all. */
static int make_definition(const struct query *self, const struct job *job, struct buf *out,
                           struct buf *error)
{
    struct principal made;
    int result = principal_read(job->principal, job->definition, &made, error);
    if (result < 0)
        return result;
    result = check_others(self, &made, error);
    struct pack map = pack_map(out);
    principal_pack(&map, &made);
    pack_close(&map);
    principal_fini(&made);
    return result == 0 ? buf_error(out) : result;
}

/* Takes the request. */
static void begin(struct query *self, struct request *request)
{
    const struct job *job = &request->job;
    struct buf error = buf_make(1024), definition = buf_make(DEFINITION_MAX);
    int result = 0;
    if (is_configured(self, job->principal)) {
        buf_append_string(&error, "this principal is in the configuration: change it there");
        result = BURSAR_E_CONFLICT;
    } else if (job->op != OP_PRINCIPAL_REMOVE) {
        result = make_definition(self, job, &definition, &error);
    }
    if (result < 0) {
        query_refuse(self, request, result, buf_text(&error));
    } else {
        struct write_message *message = write_new(CHANGE_PRINCIPAL, (struct text){NULL, 0});
        message->change.principal = job->principal;
        message->change.is_new = job->op == OP_PRINCIPAL_ADD;
        if (definition.len > 0)
            message->change.definition = write_keep(message, buf_text(&definition));
        message->request = request;
        self->changes->is_writing = true;
        query_write(self, message, changed, self);
    }
    buf_free(&error);
    buf_free(&definition);
}

/* ---- the desk ------------------------------------------------------------------------------------ */

void query_principals_start(struct query *self)
{
    self->changes = memory_new(sizeof *self->changes);
}

void query_principals_end(struct query *self)
{
    struct principal_desk *desk = self->changes;
    request_free_all(desk->waiting.first);
    if (desk->answer)
        answer_free(desk->answer);
    free(desk);
    self->changes = NULL;
}

void query_change_principal(struct query *self, struct request *request)
{
    request_queue_add(&self->changes->waiting, request);
}

int query_principals_step(struct query *self)
{
    struct principal_desk *desk = self->changes;
    if (desk->is_due && clock_boot_ms() >= desk->due_at_ms)
        spread(self);
    while (desk->waiting.first && !desk->is_writing && !desk->is_due)
        begin(self, request_queue_take(&desk->waiting));
    if (!desk->is_due)
        return -1;
    int64_t wait_ms = desk->due_at_ms - clock_boot_ms();
    return wait_ms > 0 ? (int)wait_ms : 0;
}
