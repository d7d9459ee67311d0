#include "wire/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

enum {
    ID_MAX_BYTES = 1024,
    DEADLINE_MAX_MS = 3600 * 1000,
    TAGS_MAX = 64,
    PAIRS_MAX = 64,
    ITEM_MAX_BYTES = 2048,
    RATE_MAX = 100000,
    PRINCIPAL_MAX_BYTES = 64,
    CURSOR_MAX_BYTES = 2048, /* an owner, a provider and an account, each byte written as %XX */
};
#define TIME_MAX_S ((uint64_t)1 << 40)
static_assert((BURSAR_MAX_OWNER_BYTES + BURSAR_MAX_PROVIDER_BYTES + BURSAR_MAX_ACCOUNT_BYTES) * 3 +
                      3 <=
                  CURSOR_MAX_BYTES,
              "every cursor that is given out can be given back");

/* ---- the keys -------------------------------------------------------------------------------- */

enum key_type {
    KEY_TEXT,   /* 1 to max bytes, UTF-8 without control characters */
    KEY_UINT,   /* to max, into a uint64_t */
    KEY_UINT32, /* to max, into a uint32_t */
    KEY_INT64,  /* 0 to max, into an int64_t */
    KEY_BOOL,
    KEY_NODE_MAP,     /* map of texts, numbers or booleans */
    KEY_NODE_LIST,    /* list of texts */
    KEY_NODE_ANY_MAP, /* looked into by who takes it */
    KEY_INCLUDE,
    KEY_SELECT,
    KEY_ELSEWHERE, /* read before the others; stands here so that it stands once */
};

#define NO_FLAG SIZE_MAX
#define NAME(literal) (literal), sizeof(literal) - 1
#define AT(member) offsetof(struct job, member)

static const struct key {
    const char *name;
    size_t len; /* of the name */
    enum key_type type;
    size_t at;
    size_t flag_at; /* a bool that tells that the key is there */
    uint64_t max;
} keys[] = {
    {NAME("op"), KEY_ELSEWHERE, 0, NO_FLAG, 0},
    {NAME("id"), KEY_ELSEWHERE, 0, NO_FLAG, 0},
    {NAME("deadline_ms"), KEY_UINT32, AT(deadline_ms), NO_FLAG, DEADLINE_MAX_MS},
    {NAME("owner"), KEY_TEXT, AT(owner), NO_FLAG, BURSAR_MAX_OWNER_BYTES},
    {NAME("connection"), KEY_TEXT, AT(connection), NO_FLAG, 1024},
    {NAME("provider"), KEY_TEXT, AT(provider), NO_FLAG, 1024},
    {NAME("account"), KEY_TEXT, AT(account), NO_FLAG, BURSAR_MAX_ACCOUNT_BYTES},
    {NAME("ref"), KEY_TEXT, AT(ref), NO_FLAG, 1024},
    {NAME("purpose"), KEY_TEXT, AT(purpose), NO_FLAG, BURSAR_MAX_PURPOSE_BYTES},
    {NAME("min_ttl_s"), KEY_INT64, AT(min_ttl_s), NO_FLAG, (uint64_t)10 * 365 * 86400},
    {NAME("kind"), KEY_TEXT, AT(kind), NO_FLAG, 64},
    {NAME("include"), KEY_INCLUDE, AT(include_refresh_token), NO_FLAG, 0},
    {NAME("force"), KEY_BOOL, AT(force), NO_FLAG, 0},
    {NAME("async"), KEY_BOOL, AT(is_async), NO_FLAG, 0},
    {NAME("generation"), KEY_UINT, AT(generation), AT(has_generation), INT64_MAX},
    {NAME("access_token_sha256"), KEY_TEXT, AT(access_token_sha256), NO_FLAG, 64},
    {NAME("vend"), KEY_BOOL, AT(vend), NO_FLAG, 0},
    {NAME("secret"), KEY_NODE_ANY_MAP, AT(secret), NO_FLAG, 0},
    {NAME("scopes"), KEY_NODE_LIST, AT(scopes), NO_FLAG, 256},
    {NAME("expires_at"), KEY_INT64, AT(expires_at), AT(has_expires_at), TIME_MAX_S},
    {NAME("expect_generation"), KEY_UINT, AT(expect_generation), AT(has_expect_generation),
     INT64_MAX},
    {NAME("metadata"), KEY_NODE_MAP, AT(metadata), NO_FLAG, PAIRS_MAX},
    {NAME("tags"), KEY_NODE_LIST, AT(tags), NO_FLAG, TAGS_MAX},
    {NAME("at_provider"), KEY_BOOL, AT(at_provider), NO_FLAG, 0},
    {NAME("select"), KEY_SELECT, AT(select), NO_FLAG, 0},
    {NAME("dry_run"), KEY_BOOL, AT(dry_run), NO_FLAG, 0},
    {NAME("rate_per_s"), KEY_UINT32, AT(rate_per_s), NO_FLAG, RATE_MAX},
    {NAME("sweep"), KEY_TEXT, AT(sweep), NO_FLAG, 64},
    {NAME("wait"), KEY_BOOL, AT(wait), NO_FLAG, 0},
    {NAME("hold"), KEY_BOOL, AT(hold), NO_FLAG, 0},
    {NAME("reason"), KEY_TEXT, AT(reason), NO_FLAG, 64},
    {NAME("redirect_uri"), KEY_TEXT, AT(redirect_uri), NO_FLAG, 2048},
    {NAME("reconnect"), KEY_TEXT, AT(reconnect), NO_FLAG, 1024},
    {NAME("code"), KEY_TEXT, AT(code), NO_FLAG, 8192},
    {NAME("error"), KEY_TEXT, AT(error), NO_FLAG, 1024},
    {NAME("iss"), KEY_TEXT, AT(iss), NO_FLAG, 2048},
    {NAME("callback"), KEY_NODE_MAP, AT(callback), NO_FLAG, PAIRS_MAX},
    {NAME("fields"), KEY_NODE_MAP, AT(fields), NO_FLAG, PAIRS_MAX},
    {NAME("email"), KEY_TEXT, AT(email), NO_FLAG, 320},
    {NAME("scope"), KEY_TEXT, AT(scope), NO_FLAG, 128},
    {NAME("principal"), KEY_TEXT, AT(principal), NO_FLAG, PRINCIPAL_MAX_BYTES},
    {NAME("definition"), KEY_NODE_ANY_MAP, AT(definition), NO_FLAG, 0},
    {NAME("key"), KEY_TEXT, AT(key), NO_FLAG, 16},
    {NAME("activate"), KEY_BOOL, AT(activate), NO_FLAG, 0},
    {NAME("state"), KEY_TEXT, AT(state), NO_FLAG, 256},
    {NAME("cursor"), KEY_TEXT, AT(cursor), NO_FLAG, CURSOR_MAX_BYTES},
    {NAME("limit"), KEY_UINT32, AT(limit), NO_FLAG, 10000},
    {NAME("seq"), KEY_UINT, AT(seq), NO_FLAG, INT64_MAX},
    {NAME("since"), KEY_INT64, AT(since), NO_FLAG, TIME_MAX_S},
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };
static_assert(KEY_COUNT <= 64, "seen is a 64-bit set");

struct job_reader {
    struct tree *tree;
    struct buf id;
};

static int refuse(struct buf *error, const char *name, const char *what)
{
    buf_printf(error, "%s %s", name, what);
    return BURSAR_E_BAD_REQUEST;
}

static bool is_scalar(const struct node *node)
{
    switch (node_type(node)) {
    case NODE_BOOL:
    case NODE_UINT:
    case NODE_NEGATIVE:
    case NODE_DOUBLE: return true;
    case NODE_TEXT: return text_is_printable(node_text(node));
    default: return false;
    }
}

static bool is_scalar_map(const struct node *node, uint64_t max)
{
    if (node_type(node) != NODE_MAP || node_count(node) > max)
        return false;
    for (size_t i = 0; i < node_count(node); i++) {
        const struct node *name, *value;
        node_pair(node, i, &name, &value);
        if (node_type(name) != NODE_TEXT || !is_scalar(name) || !is_scalar(value) ||
            node_text(name).len > ITEM_MAX_BYTES || node_text(value).len > ITEM_MAX_BYTES)
            return false;
    }
    return true;
}

static bool is_text_list(const struct node *node, uint64_t max)
{
    if (node_type(node) != NODE_ARRAY || node_count(node) > max)
        return false;
    for (size_t i = 0; i < node_count(node); i++) {
        const struct node *item = node_item(node, i);
        if (node_type(item) != NODE_TEXT || !is_scalar(item) ||
            node_text(item).len > ITEM_MAX_BYTES)
            return false;
    }
    return true;
}

static int take_text(const struct key *key, const struct node *node, struct text *to,
                     struct buf *error)
{
    struct text text = node_text(node);
    if (node_type(node) != NODE_TEXT)
        return refuse(error, key->name, "must be a text");
    if (text.len < 1 || text.len > key->max) {
        buf_printf(error, "%s must have 1 to %llu bytes", key->name, (unsigned long long)key->max);
        return BURSAR_E_BAD_REQUEST;
    }
    if (!text_is_printable(text))
        return refuse(error, key->name, "must be UTF-8 without control characters");
    *to = text;
    return 0;
}

static int take_number(const struct key *key, const struct node *node, void *to, struct buf *error)
{
    uint64_t value = node_uint(node);
    if (node_type(node) != NODE_UINT || value > key->max) {
        buf_printf(error, "%s must be a whole number from 0 to %llu", key->name,
                   (unsigned long long)key->max);
        return BURSAR_E_BAD_REQUEST;
    }
    if (key->type == KEY_UINT32)
        *(uint32_t *)to = (uint32_t)value;
    else if (key->type == KEY_INT64)
        *(int64_t *)to = (int64_t)value;
    else
        *(uint64_t *)to = value;
    return 0;
}

static int take_node(bool is_right, const struct key *key, const struct node *node, void *to,
                     const char *what, struct buf *error)
{
    if (!is_right)
        return refuse(error, key->name, what);
    *(const struct node **)to = node;
    return 0;
}

static int take_include(const struct node *node, bool *to, struct buf *error)
{
    if (!is_text_list(node, 8))
        return refuse(error, "include", "must be a list of texts");
    for (size_t i = 0; i < node_count(node); i++) {
        if (!text_is(node_text(node_item(node, i)), "refresh_token"))
            return refuse(error, "include", "can name only `refresh_token`");
        *to = true;
    }
    return 0;
}

/* A key of a selection that is not understood would make it wider than it was meant: all are known or
 * the job is refused. */
static int take_select_key(struct text name, const struct node *value, struct job_select *to,
                           struct buf *error)
{
    const struct {
        struct key key;
        struct text *to;
    } known[] = {{{.name = "select.provider", .max = 1024}, &to->provider},
                 {{.name = "select.owner", .max = BURSAR_MAX_OWNER_BYTES}, &to->owner},
                 {{.name = "select.tag", .max = ITEM_MAX_BYTES}, &to->tag},
                 {{.name = "select.client", .max = 1024}, &to->client},
                 {{.name = "select.principal", .max = PRINCIPAL_MAX_BYTES}, &to->principal}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!text_is(name, strchr(known[i].key.name, '.') + 1))
            continue;
        if (known[i].to->data)
            return refuse(error, known[i].key.name, "stands twice");
        return take_text(&known[i].key, value, known[i].to, error);
    }
    if (text_is(name, "vended_since")) {
        const struct key since = {
            .name = "select.vended_since", .type = KEY_INT64, .max = TIME_MAX_S};
        if (to->has_vended_since)
            return refuse(error, since.name, "stands twice");
        to->has_vended_since = true;
        return take_number(&since, value, &to->vended_since, error);
    }
    return refuse(error, "select",
                  "has provider, owner, tag, client, principal and vended_since, and no other"
                  " key");
}

static int take_select(const struct node *node, struct job_select *to, struct buf *error)
{
    if (node_type(node) != NODE_MAP || node_count(node) == 0)
        return refuse(error, "select", "must be a map with provider, owner, tag or client");
    for (size_t i = 0; i < node_count(node); i++) {
        const struct node *name, *value;
        node_pair(node, i, &name, &value);
        int result = take_select_key(node_text(name), value, to, error);
        if (result != 0)
            return result;
    }
    if ((to->principal.data != NULL) != to->has_vended_since)
        return refuse(error, "select.principal", "and select.vended_since go together");
    to->is_given = true;
    return 0;
}

static int take_key(const struct key *key, const struct node *node, struct job *job,
                    struct buf *error)
{
    void *to = (char *)job + key->at;
    switch (key->type) {
    case KEY_TEXT: return take_text(key, node, to, error);
    case KEY_UINT:
    case KEY_UINT32:
    case KEY_INT64: return take_number(key, node, to, error);
    case KEY_BOOL:
        if (node_type(node) != NODE_BOOL)
            return refuse(error, key->name, "must be true or false");
        *(bool *)to = node_bool(node);
        return 0;
    case KEY_NODE_MAP:
        return take_node(is_scalar_map(node, key->max), key, node, to,
                         "must be a map of at most 64 texts, numbers or booleans", error);
    case KEY_NODE_LIST:
        return take_node(is_text_list(node, key->max), key, node, to,
                         "must be a short list of texts", error);
    case KEY_NODE_ANY_MAP:
        return take_node(node_type(node) == NODE_MAP, key, node, to, "must be a map", error);
    case KEY_INCLUDE: return take_include(node, to, error);
    case KEY_SELECT: return take_select(node, to, error);
    case KEY_ELSEWHERE: return 0;
    }
    return BURSAR_E_INTERNAL;
}

static size_t key_index(struct text name)
{
    size_t i = 0;
    while (i < KEY_COUNT &&
           (name.len != keys[i].len || memcmp(name.data, keys[i].name, name.len) != 0))
        i++;
    return i;
}

static int take_pairs(const struct node *root, struct job *job, struct buf *error)
{
    uint64_t seen = 0;
    for (size_t i = 0, count = node_count(root); i < count; i++) {
        const struct node *name, *value;
        node_pair(root, i, &name, &value);
        if (node_type(name) != NODE_TEXT)
            return refuse(error, "job", "must have texts as keys");
        size_t k = key_index(node_text(name));
        if (k == KEY_COUNT || node_type(value) == NODE_NIL)
            continue; /* unknown keys are ignored, nil is absent */
        if (seen & UINT64_C(1) << k)
            return refuse(error, keys[k].name, "stands twice");
        seen |= UINT64_C(1) << k;
        int result = take_key(&keys[k], value, job, error);
        if (result != 0)
            return result;
        if (keys[k].flag_at != NO_FLAG)
            *(bool *)((char *)job + keys[k].flag_at) = true;
    }
    return 0;
}

/* ---- what belongs together ------------------------------------------------------------------- */

static bool is_sweeping(enum job_op op)
{
    return op == OP_FREEZE || op == OP_THAW || op == OP_REVOKE;
}

/* What changes many connections names them by `select` and by nothing else: a job that lost its `owner` on
 * the way must not become one about everybody's. */
static int check_select(const struct job *job, struct buf *error)
{
    if (job->owner.data || job->connection.data || job->provider.data || job->account.data ||
        job->ref.data)
        return refuse(error, "select", "stands instead of owner, connection and provider");
    if (job->at_provider && job->op != OP_REVOKE)
        return refuse(error, "at_provider", "is for connection.revoke");
    if (job->reason.data)
        return refuse(error, "reason", "is for one connection");
    return 0;
}

static int check_name(const struct job *job, struct buf *error)
{
    if (is_sweeping(job->op)) {
        if (job->select.is_given)
            return check_select(job, error);
        if (job->dry_run || job->rate_per_s > 0)
            return refuse(error, job->dry_run ? "dry_run" : "rate_per_s", "goes with select");
    }
    if (job->ref.data) {
        if (job->owner.data || job->connection.data || job->provider.data || job->account.data)
            return refuse(error, "ref", "stands instead of owner, connection and provider");
        return 0;
    }
    if (!job->owner.data)
        return refuse(error, "owner", "is required");
    if (!job->connection.data && !job->provider.data)
        return refuse(error, "connection", "or provider is required");
    if (job->connection.data && (job->provider.data || job->account.data))
        return refuse(error, "connection", "stands instead of provider and account");
    return 0;
}

/* What belongs to a provider, and to an owner where something is to be kept. */
static int check_provider(const struct job *job, struct buf *error)
{
    if (job->ref.data || job->connection.data)
        return refuse(error, job->ref.data ? "ref" : "connection",
                      "has no place here: see provider");
    if (!job->provider.data)
        return refuse(error, "provider", "is required");
    bool needs_owner =
        job->op != OP_CONNECTOR_VALIDATE && job->op != OP_PAUSE && job->op != OP_RESUME;
    if (!job->owner.data && needs_owner)
        return refuse(error, "owner", "is required");
    return 0;
}

static int check_complete(const struct job *job, struct buf *error)
{
    if (!job->state.data)
        return refuse(error, "state", "is required");
    if (job->code.data && job->error.data)
        return refuse(error, "code", "and error exclude each other");
    if (!job->code.data && !job->error.data && node_count(job->callback) == 0)
        return refuse(error, "code", "or error is required");
    return 0;
}

static bool is_sha256_hex(struct text text)
{
    if (text.len != 64)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr("0123456789abcdef", text.data[i]))
            return false;
    }
    return true;
}

/* Of one connection, or of one principal, or of both. */
static int check_vends(const struct job *job, struct buf *error)
{
    bool has_name = job->connection.data || job->provider.data || job->account.data;
    if (!has_name)
        return job->principal.data ? 0 : refuse(error, "connection", "or principal is required");
    if (!job->owner.data)
        return refuse(error, "owner", "is required");
    if (job->connection.data && (job->provider.data || job->account.data))
        return refuse(error, "connection", "stands instead of provider and account");
    return job->connection.data || job->provider.data ? 0
                                                      : refuse(error, "provider", "is required");
}

static int check_op(const struct job *job, struct buf *error)
{
    if (job->select.is_given && !is_sweeping(job->op))
        return refuse(error, "select", "is for connection.freeze, .thaw and .revoke");
    if (job->access_token_sha256.data && !is_sha256_hex(job->access_token_sha256))
        return refuse(error, "access_token_sha256", "must be 64 lower-case hexadecimal digits");
    switch (job->op) {
    case OP_INVALIDATE:
        if (job->has_generation && job->access_token_sha256.data)
            return refuse(error, "generation", "and access_token_sha256 exclude each other");
        return 0;
    case OP_REVOKE:
        if (job->reason.data && !text_is(job->reason, "transferred"))
            return refuse(error, "reason", "can only be `transferred`");
        return 0;
    case OP_FREEZE:
        if (job->reason.data && (job->select.is_given || !text_is(job->reason, "hand_over")))
            return refuse(error, "reason", "can only be `hand_over`, of one connection");
        return 0;
    case OP_PUT: return job->secret ? 0 : refuse(error, "secret", "is required");
    case OP_CREATE:
        return job->connection.data ? refuse(error, "connection", "is made by the broker") : 0;
    case OP_UPDATE:
        if (!job->metadata && !job->tags)
            return refuse(error, "metadata", "or tags is required");
        return 0;
    case OP_CONNECT_BEGIN:
        return job->redirect_uri.data ? 0 : refuse(error, "redirect_uri", "is required");
    case OP_CONNECT_COMPLETE: return check_complete(job, error);
    case OP_CONNECTOR_GET: return job->provider.data ? 0 : refuse(error, "provider", "is required");
    case OP_CONNECTOR_VALIDATE: return job->fields ? 0 : refuse(error, "fields", "is required");
    case OP_SWEEP_GET:
    case OP_SWEEP_RECEIPTS:
    case OP_SWEEP_CANCEL: return job->sweep.data ? 0 : refuse(error, "sweep", "is required");
    case OP_PRINCIPAL_GET:
    case OP_PRINCIPAL_REMOVE:
        return job->principal.data ? 0 : refuse(error, "principal", "is required");
    case OP_PRINCIPAL_ADD:
    case OP_PRINCIPAL_UPDATE:
        if (!job->principal.data || !job->definition)
            return refuse(error, job->principal.data ? "definition" : "principal", "is required");
        return 0;
    case OP_KEY_ROTATE:
        if (job->key.data && job->owner.data)
            return refuse(error, "key", "and owner exclude each other");
        return 0;
    case OP_KEY_RETIRE: return job->key.data ? 0 : refuse(error, "key", "is required");
    case OP_KEY_SHRED: return job->owner.data ? 0 : refuse(error, "owner", "is required");
    case OP_AUDIT_VENDS: return check_vends(job, error);
    case OP_IS_OPERATOR:
        if (!job->email.data || !job->scope.data)
            return refuse(error, job->email.data ? "scope" : "email", "is required");
        return 0;
    default: return 0;
    }
}

static int take_op(const struct node *root, struct job *job, struct buf *error)
{
    const struct node *op = node_get(root, "op");
    if (node_type(op) != NODE_TEXT)
        return refuse(error, "op", op ? "must be a text" : "is required");
    job->op = job_op_of(node_text(op));
    if (job->op != OP_NONE)
        return 0;
    if (!text_is_printable(node_text(op)) || node_text(op).len > 64)
        return refuse(error, "op", "must be the name of an operation");
    const char *near = job_op_near(node_text(op));
    buf_append_string(error, "no operation ");
    buf_append_text(error, node_text(op));
    if (near)
        buf_printf(error, "; did you mean %s?", near);
    return BURSAR_E_UNSUPPORTED_OP;
}

static int take_id(struct job_reader *reader, const struct node *root, struct job *job,
                   struct buf *error)
{
    const struct node *id = node_get(root, "id");
    buf_clear(&reader->id);
    if (!id)
        return 0;
    switch (node_type(id)) {
    case NODE_ARRAY:
    case NODE_MAP:
    case NODE_OTHER: return refuse(error, "id", "must be a scalar");
    case NODE_TEXT:
        if (!text_is_printable(node_text(id)))
            return refuse(error, "id", "must be UTF-8 without control characters");
        node_pack(id, &reader->id);
        break;
    default: node_pack(id, &reader->id);
    }
    if (buf_error(&reader->id) != 0)
        return refuse(error, "id", "must have at most 1024 bytes");
    job->id = buf_text(&reader->id);
    return 0;
}

int job_read(struct job_reader *reader, struct text body, struct job *out_job, struct buf *error)
{
    *out_job = (struct job){.deadline_ms = BURSAR_DEFAULT_DEADLINE_MS};
    int result = tree_fill(reader->tree, body);
    if (result == BURSAR_E_BAD_REQUEST)
        buf_append_string(error, "body is not one MessagePack map within the limits");
    if (result != 0)
        return result;
    const struct node *root = tree_root(reader->tree);
    if (node_type(root) != NODE_MAP)
        return refuse(error, "body", "must be a map");
    result = take_id(reader, root, out_job, error);
    if (result == 0)
        result = take_op(root, out_job, error);
    if (result == 0)
        result = take_pairs(root, out_job, error);
    if (result == 0 && job_rule(out_job->op)->names_connection)
        result = check_name(out_job, error);
    if (result == 0 && job_rule(out_job->op)->names_provider)
        result = check_provider(out_job, error);
    if (result == 0)
        result = check_op(out_job, error);
    return result;
}

/* ---- another copy ---------------------------------------------------------------------------- */

static void move_text(struct text *text, struct text from, struct text to)
{
    uintptr_t at = (uintptr_t)text->data, begin = (uintptr_t)from.data;
    if (text->data && at >= begin && at - begin < from.len)
        text->data = to.data + (at - begin);
}

bool job_move(struct job *job, struct text from, struct text to)
{
    struct text *const selected[] = {&job->select.provider, &job->select.owner, &job->select.tag,
                                     &job->select.client, &job->select.principal};
    for (size_t i = 0; i < KEY_COUNT; i++) {
        bool is_node = keys[i].type == KEY_NODE_MAP || keys[i].type == KEY_NODE_LIST ||
                       keys[i].type == KEY_NODE_ANY_MAP;
        if (is_node && *(const struct node **)((char *)job + keys[i].at))
            return false;
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (keys[i].type == KEY_TEXT)
            move_text((struct text *)((char *)job + keys[i].at), from, to);
    }
    for (size_t i = 0; i < sizeof selected / sizeof selected[0]; i++)
        move_text(selected[i], from, to);
    job->id = (struct text){NULL, 0};
    return true;
}

struct job_reader *job_reader_new(void)
{
    struct job_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->id = buf_make(ID_MAX_BYTES);
    reader->tree = tree_new();
    if (!reader->tree) {
        free(reader);
        return NULL;
    }
    return reader;
}

void job_reader_free(struct job_reader *reader)
{
    if (!reader)
        return;
    tree_free(reader->tree);
    buf_free(&reader->id);
    free(reader);
}
