#include "store/audit.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum { FORMAT = 1, BYTES_MAX = 1 << 16 };

static const char *const kind_names[AUDIT_KIND_END] = {[AUDIT_VEND] = "vend",
                                                       [AUDIT_EXPORT] = "export",
                                                       [AUDIT_CHANGE] = "change",
                                                       [AUDIT_REFUSED] = "refused",
                                                       [AUDIT_LOG] = "log"};

static const struct {
    const char *name;
    size_t at;
} texts[] = {
    {"principal", offsetof(struct audit_row, principal)},
    {"peer", offsetof(struct audit_row, peer)},
    {"op", offsetof(struct audit_row, op)},
    {"purpose", offsetof(struct audit_row, purpose)},
    {"owner", offsetof(struct audit_row, owner)},
    {"connection", offsetof(struct audit_row, connection)},
    {"provider", offsetof(struct audit_row, provider)},
    {"account", offsetof(struct audit_row, account)},
    {"outcome", offsetof(struct audit_row, outcome)},
    {"detail", offsetof(struct audit_row, detail)},
};
static_assert(sizeof texts / sizeof texts[0] == AUDIT_TEXTS, "one name a text");

const char *audit_kind_name(enum audit_kind kind)
{
    return kind > 0 && kind < AUDIT_KIND_END ? kind_names[kind] : NULL;
}

struct text *audit_text(struct audit_row *row, size_t index)
{
    return (struct text *)(void *)((char *)row + texts[index].at);
}

const char *audit_text_name(size_t index)
{
    return texts[index].name;
}

struct text audit_text_of(const struct audit_row *row, size_t index)
{
    struct text text;
    memcpy(&text, (const char *)row + texts[index].at, sizeof text);
    return text;
}

size_t audit_texts_len(const struct audit_row *row)
{
    size_t len = 0;
    for (size_t i = 0; i < AUDIT_TEXTS; i++)
        len += audit_text_of(row, i).len;
    return len;
}

void audit_move_texts(struct audit_row *row, char *to)
{
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        struct text *text = audit_text(row, i);
        if (!text->data)
            continue;
        memcpy(to, text->data, text->len);
        text->data = to;
        to += text->len;
    }
}

/* ---- the chain ----------------------------------------------------------------------------------- */

static void append_uint(struct buf *out, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    buf_append(out, bytes, sizeof bytes);
}

void audit_bytes(const struct audit_row *row, struct buf *out)
{
    buf_append_byte(out, FORMAT);
    const uint64_t numbers[] = {row->seq,   (uint64_t)row->at_ms, (uint64_t)row->last_ms,
                                row->count, (uint64_t)row->kind,  row->generation};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        append_uint(out, numbers[i]);
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        struct text text = audit_text_of(row, i);
        append_uint(out, text.data ? text.len : UINT64_MAX);
        buf_append_text(out, text);
    }
}

int audit_link(const uint8_t before[static CHAIN_LINK_LEN], const struct audit_row *row,
               struct buf *scratch, uint8_t out[static CHAIN_LINK_LEN])
{
    if (scratch->max == 0)
        *scratch = buf_make(BYTES_MAX);
    buf_clear(scratch);
    audit_bytes(row, scratch);
    int result = buf_error(scratch);
    if (result == 0)
        chain_link(before, buf_text(scratch), out);
    return result;
}

/* ---- MessagePack --------------------------------------------------------------------------------- */

void audit_hex(const uint8_t link[static CHAIN_LINK_LEN], char out[static AUDIT_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CHAIN_LINK_LEN; i++) {
        out[2 * i] = digits[link[i] >> 4];
        out[2 * i + 1] = digits[link[i] & 15];
    }
    out[2 * CHAIN_LINK_LEN] = 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool audit_unhex(struct text hex, uint8_t out[static CHAIN_LINK_LEN])
{
    uint8_t link[CHAIN_LINK_LEN];
    if (hex.len != sizeof link * 2)
        return false;
    for (size_t i = 0; i < sizeof link; i++) {
        int high = digit_of(hex.data[2 * i]), low = digit_of(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        link[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, link, sizeof link);
    return true;
}

void audit_pack(struct pack *map, const struct audit_row *row,
                const uint8_t link[static CHAIN_LINK_LEN])
{
    char hex[AUDIT_HEX_SIZE];
    audit_hex(link, hex);
    pack_uint(map, "seq", row->seq);
    pack_int(map, "at_ms", row->at_ms);
    pack_int(map, "last_ms", row->last_ms);
    pack_uint(map, "count", row->count);
    const char *kind = audit_kind_name(row->kind);
    pack_string(map, "kind", kind ? kind : "unknown");
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        struct text text = audit_text_of(row, i);
        if (text.data)
            pack_text(map, texts[i].name, text);
    }
    if (row->generation > 0)
        pack_uint(map, "generation", row->generation);
    pack_string(map, "hash", hex);
}

static enum audit_kind kind_of(struct text name)
{
    for (int i = 1; i < AUDIT_KIND_END; i++) {
        if (text_is(name, kind_names[i]))
            return (enum audit_kind)i;
    }
    return 0;
}

bool audit_read(const struct node *map, struct audit_row *out_row,
                uint8_t out_link[static CHAIN_LINK_LEN])
{
    struct audit_row row = {.seq = node_uint(node_get(map, "seq")),
                            .at_ms = node_int(node_get(map, "at_ms")),
                            .last_ms = node_int(node_get(map, "last_ms")),
                            .count = node_uint(node_get(map, "count")),
                            .kind = kind_of(node_text(node_get(map, "kind"))),
                            .generation = node_uint(node_get(map, "generation"))};
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        const struct node *node = node_get(map, texts[i].name);
        if (node && node_type(node) != NODE_TEXT)
            return false;
        *audit_text(&row, i) = node_text(node);
    }
    if (row.seq == 0 || row.kind == 0 || !audit_unhex(node_text(node_get(map, "hash")), out_link))
        return false;
    *out_row = row;
    return true;
}

/* ---- a walk -------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *text;
} problems[] = {
    [AUDIT_SOUND] = {"sound", "as it was written"},
    [AUDIT_ALTERED] = {"altered", "is not the row that was written here"},
    [AUDIT_MISSING] = {"missing", "rows before it are not there"},
    [AUDIT_BROKEN] = {"broken", "the daemon found the log changed when it started"},
    [AUDIT_CUT_OFF] = {"cut_off", "the newest rows behind it are not there"},
    [AUDIT_UNSEALED] = {"unsealed", "stands behind the sealed end"},
    [AUDIT_BAD_SEAL] = {"bad_seal", "the seal of beginning and end was not made with this keyring"},
    [AUDIT_NO_KEY] = {"unknown_key", "the key of the seal is not in the keyring"},
    [AUDIT_NO_SEAL] = {"no_seal", "beginning and end are not sealed"},
    [AUDIT_OTHER_HEAD] = {"other_head", "is not the row whose hash was noted"},
    [AUDIT_ROLLED_BACK] = {"rolled_back",
                           "its connection is of an earlier generation in the store"},
    [AUDIT_VANISHED] = {"vanished", "its connection is not in the store, and was not deleted"},
    [AUDIT_RETURNED] = {"returned", "its connection is in the store, though it was deleted"},
};

const char *audit_problem_name(enum audit_problem problem)
{
    return problems[problem].name;
}

const char *audit_problem_text(enum audit_problem problem)
{
    return problems[problem].text;
}

void audit_walk_from(struct audit_walk *walk, uint64_t seq,
                     const uint8_t link[static CHAIN_LINK_LEN])
{
    walk->seq = seq;
    memcpy(walk->link, link, CHAIN_LINK_LEN);
}

void audit_walk_free(struct audit_walk *walk)
{
    buf_free(&walk->scratch);
}

enum audit_problem audit_walk_row(struct audit_walk *walk, const struct audit_row *row,
                                  const uint8_t link[static CHAIN_LINK_LEN])
{
    uint8_t right[CHAIN_LINK_LEN];
    enum audit_problem problem = AUDIT_SOUND;
    if (row->seq > walk->seq + 1)
        problem = AUDIT_MISSING; /* what it is linked to is not there either */
    else if (row->seq != walk->seq + 1 || audit_link(walk->link, row, &walk->scratch, right) < 0 ||
             memcmp(right, link, sizeof right) != 0)
        problem = AUDIT_ALTERED;
    else if (text_is(row->op, AUDIT_OP_BREAK) && row->kind == AUDIT_LOG)
        problem = AUDIT_BROKEN;
    audit_walk_from(walk, row->seq, link);
    walk->rows++;
    return problem;
}
