#include "cmd/cmd_since.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

enum { YEARS_MAX_S = INT32_MAX };

static int64_t unit_of(char letter)
{
    switch (letter) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return 86400;
    default: return 0;
    }
}

static bool read_date(const char *text, int64_t *out_at)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);
        if (!end || *end != 0)
            continue;
        *out_at = (int64_t)timegm(&tm);
        return *out_at >= 0;
    }
    return false;
}

bool cmd_since_read(const char *text, int64_t now, int64_t *out_at)
{
    struct text whole = text_of(text);
    uint64_t number;
    if (whole.len == 0)
        return false;
    if (text_to_uint(whole, (uint64_t)1 << 40, &number)) {
        *out_at = (int64_t)number;
        return true;
    }
    int64_t unit = unit_of(text[whole.len - 1]);
    struct text digits = {text, whole.len - 1};
    if (unit == 0 || !text_to_uint(digits, (uint64_t)(YEARS_MAX_S / unit), &number))
        return read_date(text, out_at);
    *out_at = now - unit * (int64_t)number;
    if (*out_at < 0)
        *out_at = 0;
    return true;
}

bool cmd_since(const struct cmd_args *args, int64_t *out_at)
{
    if (cmd_since_read(cmd_option(args, "since"), clock_wall_s(), out_at))
        return true;
    cmd_usage(args->cmd, "--since: a time like 12h, 30d, 2026-11-22 or 2026-11-22T14:30:00Z");
    return false;
}
