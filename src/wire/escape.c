#include "wire/escape.h"

#include <stdbool.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_unit(struct text text, uint32_t *out_unit)
{
    uint32_t unit = 0;
    if (text.len < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0)
            return false;
        unit = unit << 4 | (uint32_t)digit;
    }
    *out_unit = unit;
    return true;
}

size_t escape_read(struct text text, uint32_t *out_point)
{
    uint32_t unit = 0, low = 0;
    if (!read_unit(text, &unit))
        return 0;
    if (unit < 0xd800 || unit > 0xdfff) {
        *out_point = unit;
        return 4;
    }
    bool is_pair = unit < 0xdc00 && text.len >= 10 && memcmp(text.data + 4, "\\u", 2) == 0 &&
                   read_unit((struct text){text.data + 6, text.len - 6}, &low) && low >= 0xdc00 &&
                   low <= 0xdfff;
    *out_point = is_pair ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : ESCAPE_HALF_PAIR;
    return is_pair ? 10 : 4;
}

char escape_letter(char letter)
{
    static const char names[] = "\\/bfnrt";
    static const char values[] = "\\/\b\f\n\r\t";
    const char *found = letter ? strchr(names, letter) : NULL;
    return found ? values[found - names] : 0;
}

size_t escape_utf8(uint32_t point, char out[static 4])
{
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    out[0] = (char)(leads[more] | point >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | ((point >> (6 * (more - i))) & 0x3f));
    return more + 1;
}
