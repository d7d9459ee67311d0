#include "base/z85.h"

#include <string.h>

bool z85_decode(struct text text, size_t len, uint8_t *out)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 ".-:+=^!/*?&<>()[]{}@%$#";
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
