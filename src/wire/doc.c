#include "wire/doc.h"

#include <assert.h>
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "wire/pack.h"

enum { FIELD_MAX_BYTES = 49152, PARTS_MAX = 64 };

enum part_type { PART_TEXT, PART_LINE, PART_TEXT_MAP, PART_APPLY, PART_TEXT_LIST, PART_TIME };

/* Every part that a put may have, for which kinds ("" all of them), and where it goes. */
static const struct part {
    const char *kind;
    const char *name;
    enum part_type type;
    bool is_required;
    bool is_grant;
} parts[] = {
    {"oauth2", "access_token", PART_LINE, false, false},
    {"oauth2", "token_type", PART_LINE, false, false},
    {"oauth2", "scopes", PART_TEXT_LIST, false, false},
    {"oauth2", "refresh_token", PART_LINE, false, true},
    {"oauth2", "refresh_token_expires_at", PART_TIME, false, true},
    {"api_key", "api_key", PART_LINE, true, false},
    {"api_key", "api_secret", PART_TEXT, false, false},
    {"basic", "username", PART_TEXT, true, false},
    {"basic", "password", PART_TEXT, true, false},
    {"bearer", "token", PART_LINE, true, false},
    {"header", "name", PART_LINE, true, false},
    {"header", "value", PART_LINE, true, false},
    {"", "fields", PART_TEXT_MAP, false, false},
    {"", "apply", PART_APPLY, false, false},
    {"", "grant", PART_TEXT_MAP, false, true},
};
enum { PART_COUNT = sizeof parts / sizeof parts[0] };
static_assert(PART_COUNT <= 32, "seen is a 32-bit set");

static const char *const kinds[][2] = {{"oauth2", "access_token"},
                                       {"api_key", "api_key"},
                                       {"basic", "password"},
                                       {"bearer", "token"},
                                       {"header", "value"}};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const char *doc_main_part(struct text kind)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (text_is(kind, kinds[i][0]))
            return kinds[i][1];
    }
    return NULL;
}

static int refuse(struct buf *error, const char *name, const char *what)
{
    buf_printf(error, "secret.%s %s", name, what);
    return BURSAR_E_BAD_REQUEST;
}

/* Valid UTF-8 of a bounded length: a client that reads its reply strictly could not read another. */
static bool is_short_text(const struct node *node)
{
    struct text text = node_text(node);
    return node_type(node) == NODE_TEXT && text.len <= FIELD_MAX_BYTES && text_is_utf8(text);
}

/* Whether a key of the map's pair stands in an earlier pair too. */
static bool is_repeated(const struct node *map, size_t index)
{
    const struct node *key, *earlier, *value;
    node_pair(map, index, &key, &value);
    for (size_t i = 0; i < index; i++) {
        node_pair(map, i, &earlier, &value);
        if (text_equal(node_text(key), node_text(earlier)))
            return true;
    }
    return false;
}

static bool is_text_map(const struct node *node)
{
    if (node_type(node) != NODE_MAP || node_count(node) > PARTS_MAX)
        return false;
    for (size_t i = 0; i < node_count(node); i++) {
        const struct node *key, *value;
        node_pair(node, i, &key, &value);
        if (!is_short_text(key) || !is_short_text(value) || is_repeated(node, i))
            return false;
    }
    return true;
}

static bool is_text_list(const struct node *node)
{
    if (node_type(node) != NODE_ARRAY)
        return false;
    for (size_t i = 0; i < node_count(node); i++) {
        if (!is_short_text(node_item(node, i)))
            return false;
    }
    return true;
}

/* What can stand in a header: a line break in it would begin another one. */
static bool is_line(const struct node *node)
{
    struct text text = node_text(node);
    return is_short_text(node) && !memchr(text.data, '\n', text.len) &&
           !memchr(text.data, '\r', text.len) && !memchr(text.data, 0, text.len);
}

static bool is_apply(const struct node *node)
{
    if (node_type(node) != NODE_ARRAY || node_count(node) > PARTS_MAX)
        return false;
    for (size_t i = 0; i < node_count(node); i++) {
        const struct node *item = node_item(node, i);
        struct text in = node_text(node_get(item, "in"));
        if (!text_is(in, "header") && !text_is(in, "query") && !text_is(in, "cookie"))
            return false;
        if (!is_line(node_get(item, "name")) || !is_line(node_get(item, "value")))
            return false;
    }
    return true;
}

static int check_part(const struct part *part, const struct node *value, struct buf *error)
{
    switch (part->type) {
    case PART_TEXT:
        if (is_short_text(value) && node_text(value).len > 0)
            return 0;
        return refuse(error, part->name, "must be a non-empty text");
    case PART_LINE:
        if (!is_short_text(value) || node_text(value).len == 0)
            return refuse(error, part->name, "must be a non-empty text");
        return is_line(value) ? 0 : refuse(error, part->name, "must not have line breaks");
    case PART_TEXT_MAP:
        return is_text_map(value)
                   ? 0
                   : refuse(error, part->name, "must be a map of at most 64 texts, each once");
    case PART_TEXT_LIST:
        return is_text_list(value) ? 0 : refuse(error, part->name, "must be a list of texts");
    case PART_APPLY:
        if (is_apply(value))
            return 0;
        return refuse(error, part->name,
                      "must be a list of {in: header|query|cookie, name, value}");
    case PART_TIME:
        if (node_type(value) == NODE_UINT && node_uint(value) <= INT64_MAX)
            return 0;
        return refuse(error, part->name, "must be seconds since 1970");
    }
    return BURSAR_E_INTERNAL;
}

static const struct part *part_of(struct text kind, struct text name)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        if ((parts[i].kind[0] == 0 || text_is(kind, parts[i].kind)) && text_is(name, parts[i].name))
            return &parts[i];
    }
    return NULL;
}

static int check_parts(const struct node *secret, struct text kind, struct buf *error)
{
    bool is_known = false;
    for (size_t i = 0; i < KIND_COUNT; i++)
        is_known = is_known || text_is(kind, kinds[i][0]);
    if (!is_known)
        return refuse(error, "kind", "must be oauth2, api_key, basic, bearer or header");
    if (node_type(node_get(secret, "grant")) == NODE_MAP)
        return 0; /* the secret itself is made from it */
    if (text_is(kind, "api_key") && node_count(node_get(secret, "fields")) > 0)
        return 0; /* some providers have keys of several parts, and none that is the key */
    for (size_t i = 0; i < PART_COUNT; i++) {
        const struct node *value = node_get(secret, parts[i].name);
        if (parts[i].kind[0] != 0 && !text_is(kind, parts[i].kind))
            continue;
        if (parts[i].is_required && node_type(value) == NODE_NIL)
            return refuse(error, parts[i].name, "is required for this kind");
    }
    if (text_is(kind, "oauth2") && node_type(node_get(secret, "access_token")) == NODE_NIL &&
        node_type(node_get(secret, "refresh_token")) == NODE_NIL)
        return refuse(error, "access_token", "or refresh_token is required for this kind");
    return 0;
}

static void put_pair(struct pack *map, struct text name, const struct node *value)
{
    pack_item_text(map, name);
    node_pack(value, map->out);
}

static int take_pairs(const struct node *secret, struct text kind, struct doc_put *put,
                      struct buf *error)
{
    struct pack secret_map = pack_map(&put->secret);
    struct pack grant_map = pack_map(&put->grant);
    uint32_t seen = 0;
    int result = 0;
    pack_text(&secret_map, "kind", kind);
    for (size_t i = 0; i < node_count(secret) && result == 0; i++) {
        const struct node *key, *value;
        node_pair(secret, i, &key, &value);
        const struct part *part =
            node_type(key) == NODE_TEXT ? part_of(kind, node_text(key)) : NULL;
        if (!part || node_type(value) == NODE_NIL)
            continue; /* unknown keys are ignored, nil is absent */
        result = check_part(part, value, error);
        if (result == 0 && (seen & 1U << (part - parts)) != 0)
            result = refuse(error, part->name, "stands twice");
        seen |= 1U << (part - parts);
        if (result == 0)
            put_pair(part->is_grant ? &grant_map : &secret_map, node_text(key), value);
    }
    pack_close(&secret_map);
    pack_close(&grant_map);
    return result;
}

int doc_read_put(const struct node *secret, struct doc_put *out, struct buf *error)
{
    const struct node *kind_node = node_get(secret, "kind");
    struct text kind = node_text(node_type(kind_node) == NODE_TEXT ? kind_node : NULL);
    struct doc_put put = {.secret = buf_make_secret(BURSAR_MAX_JOB_BYTES * 2),
                          .grant = buf_make_secret(BURSAR_MAX_JOB_BYTES * 2)};
    int result = check_parts(secret, kind, error);
    if (result == 0)
        result = take_pairs(secret, kind, &put, error);
    if (result == 0 && buf_error(&put.secret) + buf_error(&put.grant) != 0) {
        buf_append_string(error, "secret is too large");
        result = BURSAR_E_BAD_REQUEST;
    }
    if (result != 0) {
        doc_put_free(&put);
        return result;
    }
    memcpy(put.kind, kind.data, kind.len); /* one of the known ones, which are short */
    const struct node *ends = node_get(secret, "refresh_token_expires_at");
    put.has_refresh_token = node_type(node_get(secret, "refresh_token")) == NODE_TEXT;
    put.has_refresh_expires_at = node_type(ends) == NODE_UINT;
    put.refresh_expires_at = node_int(ends);
    put.has_grant = put.has_refresh_token || node_type(node_get(secret, "grant")) == NODE_MAP;
    put.has_apply = node_type(node_get(secret, "apply")) == NODE_ARRAY;
    if (!put.has_grant)
        buf_free(&put.grant);
    *out = put;
    return 0;
}

void doc_put_free(struct doc_put *put)
{
    buf_free(&put->secret);
    buf_free(&put->grant);
}

struct text doc_part(const struct node *map, const char *name)
{
    const struct node *value = node_get(map, name);
    if (node_type(value) != NODE_TEXT)
        value = node_get(node_get(map, "fields"), name);
    return node_type(value) == NODE_TEXT ? node_text(value) : (struct text){NULL, 0};
}

static const struct doc_change *change_of(const struct doc_change *changes, size_t count,
                                          const struct node *key, bool is_field)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].is_field == is_field && text_is(node_text(key), changes[i].name))
            return &changes[i];
    }
    return NULL;
}

/* The pairs of before that no change replaces, then the changes. */
static void merge_level(const struct node *before, const struct doc_change *changes, size_t count,
                        bool is_field, struct pack *map)
{
    for (size_t i = 0; i < node_count(before); i++) {
        const struct node *key, *value;
        node_pair(before, i, &key, &value);
        if (!is_field && text_is(node_text(key), "fields"))
            continue;
        if (!change_of(changes, count, key, is_field))
            put_pair(map, node_text(key), value);
    }
    for (size_t i = 0; i < count; i++) {
        if (changes[i].is_field != is_field)
            continue;
        if (changes[i].is_packed)
            pack_raw(map, changes[i].name, changes[i].value);
        else if (changes[i].is_list)
            pack_words(map, changes[i].name, changes[i].value);
        else
            pack_text(map, changes[i].name, changes[i].value);
    }
}

void doc_merge(const struct node *before, const struct doc_change *changes, size_t count,
               struct buf *out)
{
    const struct node *fields = node_get(before, "fields");
    bool has_fields = node_type(fields) == NODE_MAP;
    for (size_t i = 0; i < count; i++)
        has_fields = has_fields || changes[i].is_field;
    struct pack map = pack_map(out);
    merge_level(before, changes, count, false, &map);
    if (has_fields) {
        struct pack inner = pack_map_in(&map, "fields");
        merge_level(fields, changes, count, true, &inner);
        pack_close(&inner);
    }
    pack_close(&map);
}
