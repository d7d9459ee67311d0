#include "base/z85.h"

#include <string.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             ".-:+=^!/*?&<>()[]{}@%$#";

bool z85_decode(struct text text, size_t len, uint8_t *out)
{
    if (len % 4 != 0 || text.len != len / 4 * 5)
        return false;
    for (size_t i = 0; i < text.len; i += 5) {
        uint64_t value = 0;
        for (size_t j = 0; j < 5; j++) {
            const char *at = text.data[i + j] ? strchr(digits, text.data[i + j]) : NULL;
            if (!at)
                return false;
            value = value * 85 + (uint64_t)(at - digits);
        }
        if (value > UINT32_MAX)
            return false;
        for (size_t j = 0; j < 4; j++)
            *out++ = (uint8_t)(value >> (24 - 8 * j));
    }
    return true;
}

void z85_encode(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i + 4 <= len; i += 4) {
        uint32_t value = (uint32_t)bytes[i] << 24 | (uint32_t)bytes[i + 1] << 16 |
                         (uint32_t)bytes[i + 2] << 8 | bytes[i + 3];
        for (size_t j = 5; j > 0; j--) {
            out[j - 1] = digits[value % 85];
            value /= 85;
        }
        out += 5;
    }
    *out = 0;
}
