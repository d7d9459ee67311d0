#include "policy/secret_end.h"

#include <string.h>
#include <time.h>

bool secret_end_of(struct text day, int64_t *out_at)
{
    static const char shape[] = "YYYY-MM-DD";
    char copy[sizeof shape];
    struct tm utc = {0}, found;
    if (!day.data || day.len != sizeof shape - 1)
        return false;
    memcpy(copy, day.data, day.len);
    copy[day.len] = 0;
    const char *rest = strptime(copy, "%Y-%m-%d", &utc);
    if (!rest || *rest || strchr(copy, ' ')) /* strptime() passes over blanks */
        return false;
    found = utc;
    time_t at = timegm(&found); /* makes a day that there is of it */
    if (found.tm_mday != utc.tm_mday || found.tm_mon != utc.tm_mon)
        return false;
    *out_at = at;
    return true;
}

bool secret_ends_soon(int64_t ends_at, int64_t now)
{
    return now >= ends_at - (int64_t)SECRET_WARN_DAYS * SECRET_DAY_S;
}
