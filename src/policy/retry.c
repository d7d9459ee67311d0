#include "policy/retry.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

int64_t retry_delay_ms(unsigned failures, double jitter, int64_t retry_after_ms)
{
    int64_t delay_ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < failures && delay_ms < RETRY_MAX_MS; i++)
        delay_ms *= 2;
    if (delay_ms > RETRY_MAX_MS)
        delay_ms = RETRY_MAX_MS;
    delay_ms = (int64_t)((double)delay_ms * (0.5 + jitter));
    retry_after_ms += (int64_t)((double)retry_after_ms * jitter / 10);
    return delay_ms > retry_after_ms ? delay_ms : retry_after_ms;
}

/* The three forms of RFC 9110 section 5.6.7; the first is the one that is to be sent. */
static int read_http_date(struct text header, int64_t *out_epoch_s)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    char copy[48];
    if (header.len == 0 || header.len >= sizeof copy)
        return -1;
    memcpy(copy, header.data, header.len);
    copy[header.len] = 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm utc = {0};
        const char *rest = strptime(copy, forms[i], &utc);
        if (rest == copy + header.len) {
            *out_epoch_s = timegm(&utc);
            return 0;
        }
    }
    return -1;
}

static bool is_digits(struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.len > 0;
}

int64_t retry_after_ms(struct text header, int64_t now)
{
    uint64_t seconds = RETRY_AFTER_MAX_MS; /* of a number that is too large to be read */
    int64_t epoch_s;
    int64_t wait_s;
    if (text_to_uint(header, RETRY_AFTER_MAX_MS, &seconds) || is_digits(header))
        wait_s = (int64_t)seconds;
    else if (read_http_date(header, &epoch_s) == 0)
        wait_s = epoch_s - now;
    else
        return 0;
    if (wait_s <= 0)
        return 0;
    return wait_s < RETRY_AFTER_MAX_MS / 1000 ? wait_s * 1000 : RETRY_AFTER_MAX_MS;
}
