#include "base/base64.h"

static void append(struct buf *out, struct text bytes, const char digits[static 64], bool is_padded)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    for (size_t left = bytes.len; left > 0;) {
        size_t n = left < 3 ? left : 3;
        uint32_t group = (uint32_t)at[0] << 16;
        group |= n > 1 ? (uint32_t)at[1] << 8 : 0;
        group |= n > 2 ? at[2] : 0;
        char quad[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        n > 1 ? digits[group >> 6 & 63] : '=', n > 2 ? digits[group & 63] : '='};
        buf_append(out, quad, is_padded ? sizeof quad : n + 1);
        at += n;
        left -= n;
    }
}

#define COMMON_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

void base64_append(struct buf *out, struct text bytes)
{
    append(out, bytes, COMMON_DIGITS "+/", true);
}

void base64url_append(struct buf *out, struct text bytes)
{
    append(out, bytes, COMMON_DIGITS "-_", false);
}
