#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/protocol.h>

enum { DISTANCE_MAX = 64 };

int text_compare(struct text a, struct text b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

char *text_copy(struct text text)
{
    if (!text.data)
        return NULL;
    char *copy = malloc(text.len + 1);
    if (copy) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = 0;
    }
    return copy;
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool text_is_provider_id(struct text text)
{
    if (text.len < 1 || text.len > BURSAR_MAX_PROVIDER_BYTES || !is_lower_or_digit(text.data[0]))
        return false;
    for (size_t i = 1; i < text.len; i++) {
        char c = text.data[i];
        if (!is_lower_or_digit(c) && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* Length of the UTF-8 sequence at p with its code point, or 0 where it is not valid. */
static size_t utf8_next(const unsigned char *p, size_t len, uint32_t *out_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t point = n == 1 ? p[0] : p[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (p[i] & 0x3fU);
    }
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *out_point = point;
    return n;
}

size_t text_utf8_len(struct text text)
{
    uint32_t point = 0;
    return text.len > 0 ? utf8_next((const unsigned char *)text.data, text.len, &point) : 0;
}

bool text_is_utf8(struct text text)
{
    while (text.len > 0) {
        size_t n = text_utf8_len(text);
        if (n == 0)
            return false;
        text = (struct text){text.data + n, text.len - n};
    }
    return true;
}

/* Whether eight bytes are all from 0x20 to 0x7e, which nearly all that is ever asked for are: no byte has its highest
 * bit set, nor has it after 1 was added (0x7f) or without carrying after 0x20 was taken away (a control character).
 * What is found in one byte may be said of its neighbour too, never of none. */
static bool is_plain(const unsigned char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return ((word | (word + ones) | (word - ones * 0x20)) & high) == 0;
}

bool text_is_printable(struct text text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.len;) {
        uint32_t point = 0;
        if (text.len - i >= 8 && is_plain(p + i)) {
            i += 8;
            continue;
        }
        if (p[i] >= 0x20 && p[i] < 0x7f) {
            i++;
            continue;
        }
        size_t n = utf8_next(p + i, text.len - i, &point);
        if (n == 0 || point < 0x20 || (point >= 0x7f && point <= 0x9f))
            return false;
        i += n;
    }
    return true;
}

bool text_to_uint(struct text text, uint64_t max, uint64_t *out_value)
{
    uint64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out_value = value;
    return true;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance, three rows at a time. */
size_t text_distance(struct text a, struct text b)
{
    size_t rows[3][DISTANCE_MAX + 1];
    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
        return a.len > b.len ? a.len : b.len;
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = a.data[i - 1] != b.data[j - 1];
            row[j] = least_of(least_of(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least_of(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

const char *text_nearest(struct text name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = name.len / 3 + 2; /* a third of the letters may be wrong, and one more */
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(name, text_of(names[i]));
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
