#include "store/audit_journal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum {
    MASK_BYTES = 2,
    NUMBER_MAX = 10, /* bytes of one */
    NUMBERS = 5,
    HEAD_MAX = MASK_BYTES + NUMBERS * NUMBER_MAX
};
static_assert(AUDIT_TEXTS < MASK_BYTES * 8, "a bit for each text, and one that no row has");

/* ---- written ------------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *to, uint64_t value)
{
    for (; value > 127; value >>= 7)
        *to++ = (uint8_t)(value | 128);
    *to++ = (uint8_t)value;
    return to;
}

static uint64_t folded(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

/* Rows of one caller have mostly the very same bytes. */
static bool is_same(struct text one, struct text other)
{
    if ((one.data == NULL) != (other.data == NULL) || one.len != other.len)
        return false;
    return one.data == other.data || memcmp(one.data, other.data, one.len) == 0;
}

static void write_row(const struct audit_row *before, const struct audit_row *row, struct buf *out)
{
    struct text differing[AUDIT_TEXTS];
    size_t count = 0, len = HEAD_MAX;
    unsigned mask = 0;
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        struct text text = audit_text_of(row, i);
        if (is_same(text, audit_text_of(before, i)))
            continue;
        mask |= 1U << i;
        differing[count++] = text;
        len += NUMBER_MAX + text.len;
    }
    uint8_t *start = buf_reserve(out, len), *to = start;
    if (!start)
        return;
    *to++ = (uint8_t)mask;
    *to++ = (uint8_t)(mask >> 8);
    to = put(to, (uint64_t)row->kind);
    to = put(to, row->generation);
    to = put(to, row->count);
    to = put(to, folded((int64_t)((uint64_t)row->at_ms - (uint64_t)before->at_ms)));
    to = put(to, folded((int64_t)((uint64_t)row->last_ms - (uint64_t)row->at_ms)));
    for (size_t i = 0; i < count; i++) {
        to = put(to, differing[i].data ? differing[i].len + 1 : 0);
        if (differing[i].len > 0)
            memcpy(to, differing[i].data, differing[i].len);
        to += differing[i].len;
    }
    buf_added(out, (size_t)(to - start));
}

void audit_journal_write(const struct audit_row *rows, size_t count, struct buf *out)
{
    static const struct audit_row first;
    for (size_t i = 0; i < count; i++)
        write_row(i > 0 ? &rows[i - 1] : &first, &rows[i], out);
}

void audit_journal_write_mark(uint64_t settled, struct buf *out)
{
    uint8_t *start = buf_reserve(out, MASK_BYTES + NUMBER_MAX);
    if (!start)
        return;
    memset(start, 0xff, MASK_BYTES);
    buf_added(out, (size_t)(put(start + MASK_BYTES, settled) - start));
}

/* ---- read ---------------------------------------------------------------------------------------- */

struct reading {
    const uint8_t *at, *end;
    bool is_wrong;
};

static uint64_t take(struct reading *reading)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reading->at < reading->end; shift += 7) {
        uint8_t byte = *reading->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    reading->is_wrong = true;
    return 0;
}

static uint64_t take_folded(struct reading *reading)
{
    uint64_t value = take(reading);
    return value >> 1 ^ (value & 1 ? UINT64_MAX : 0);
}

static struct text take_text(struct reading *reading)
{
    uint64_t len = take(reading);
    if (len == 0)
        return (struct text){NULL, 0};
    if (len - 1 > (uint64_t)(reading->end - reading->at)) {
        reading->is_wrong = true;
        return (struct text){NULL, 0};
    }
    struct text text = {(const char *)reading->at, (size_t)(len - 1)};
    reading->at += text.len;
    return text;
}

/* row is the one before, and becomes the next. */
static void take_row(struct reading *reading, struct audit_row *row)
{
    if (reading->end - reading->at < MASK_BYTES) {
        reading->is_wrong = true;
        return;
    }
    unsigned mask = reading->at[0] | (unsigned)reading->at[1] << 8;
    reading->at += MASK_BYTES;
    uint64_t kind = take(reading);
    row->kind = kind < AUDIT_KIND_END ? (enum audit_kind)kind : 0;
    row->generation = take(reading);
    row->count = take(reading);
    row->at_ms = (int64_t)((uint64_t)row->at_ms + take_folded(reading));
    row->last_ms = (int64_t)((uint64_t)row->at_ms + take_folded(reading));
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        if (mask & 1U << i)
            *audit_text(row, i) = take_text(reading);
    }
    if (row->kind == 0 || row->count == 0 || mask >> AUDIT_TEXTS != 0)
        reading->is_wrong = true;
}

bool audit_journal_read(struct text bytes, audit_journal_fn *each, void *context)
{
    struct reading reading = {.at = (const uint8_t *)bytes.data,
                              .end = (const uint8_t *)bytes.data + bytes.len};
    struct audit_row row = {0};
    while (reading.at < reading.end) {
        take_row(&reading, &row);
        if (reading.is_wrong)
            return false;
        each(context, &row);
    }
    return true;
}

bool audit_journal_read_mark(struct text bytes, uint64_t *out_settled)
{
    static const uint8_t mark[MASK_BYTES] = {0xff, 0xff};
    if (bytes.len < sizeof mark || memcmp(bytes.data, mark, sizeof mark) != 0)
        return false;
    struct reading reading = {.at = (const uint8_t *)bytes.data + sizeof mark,
                              .end = (const uint8_t *)bytes.data + bytes.len};
    *out_settled = take(&reading);
    return !reading.is_wrong && reading.at == reading.end;
}
