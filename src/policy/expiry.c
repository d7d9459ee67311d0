#include "policy/expiry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NUMBER_MAX_CHARS = 40, AT_TIME = 10 /* where the `T` of a date stands */ };

/* What is called a life and is larger than any is a point in time: some providers do that. */
#define FIRST_EPOCH_S 1e9

int64_t expiry_lead_s(const struct expiry_rule *rule, int64_t life_s)
{
    double share = (1.0 - rule->expiry_ratio) * (double)life_s;
    if (!(share > 0))
        return 0;
    /* 1.0 - 0.9 is a little less than a tenth: a minute's tenth are 6 s and not 5. */
    share += 1e-6;
    return share < (double)rule->refresh_lead_s ? (int64_t)share : rule->refresh_lead_s;
}

int64_t expiry_due_at(const struct expiry_rule *rule, int64_t issued_at, int64_t expires_at,
                      double jitter)
{
    if (expires_at == EXPIRY_NEVER)
        return EXPIRY_NEVER;
    if (expires_at <= issued_at)
        return expires_at;
    int64_t lead_s = expiry_lead_s(rule, expires_at - issued_at);
    /* Later than the lead, but never so late that the secret has ended. */
    int64_t due_at = expires_at - lead_s + (int64_t)(jitter * 0.1 * (double)lead_s);
    return due_at < expires_at ? due_at : expires_at;
}

bool expiry_is_past_grace(int64_t since, int64_t grace_s, int64_t now)
{
    return since > now || now - since >= grace_s;
}

int64_t expiry_hinted_at(int64_t due_at, int64_t issued_at, int64_t expires_at, int64_t hinted_at,
                         bool may_delay, double jitter)
{
    bool is_ending = expires_at != EXPIRY_NEVER;
    double life_s = is_ending ? (double)(expires_at - issued_at) : 0;
    double age_s = hinted_at == EXPIRY_NEVER ? 0 : (double)(hinted_at - issued_at);
    if (!(age_s > 0) || age_s < EXPIRY_HINT_RATIO * life_s ||
        (is_ending && hinted_at >= expires_at))
        return due_at;
    if (hinted_at >= due_at)
        return may_delay ? hinted_at : due_at;
    /* What was given out together is to come back apart. */
    int64_t room_s = due_at == EXPIRY_NEVER ? hinted_at - issued_at : due_at - hinted_at;
    return hinted_at + (int64_t)(fabs(jitter) * 0.1 * (double)room_s);
}

static bool read_number(struct text text, double *out_number)
{
    char copy[NUMBER_MAX_CHARS + 1];
    char *end;
    if (text.len == 0 || text.len > NUMBER_MAX_CHARS || !strchr("0123456789.", text.data[0]))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (strpbrk(copy, "xXpP")) /* strtod reads hexadecimal too */
        return false;
    *out_number = strtod(copy, &end);
    return end == copy + text.len && isfinite(*out_number);
}

static bool read_two_digits(const char *p, int max, int *out_number)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out_number = (p[0] - '0') * 10 + p[1] - '0';
    return *out_number <= max;
}

/* Passes `+01:30`, `-0130` or `Z`; where nothing is there it is UTC. False for anything else. */
static bool read_offset(const char **rest, int *out_offset_s)
{
    const char *p = *rest;
    int hours = 0, minutes = 0;
    char sign = *p;
    if (sign == '+' || sign == '-') {
        if (!read_two_digits(p + 1, 23, &hours))
            return false;
        p += p[3] == ':' ? 4 : 3;
        if (!read_two_digits(p, 59, &minutes))
            return false;
        p += 2;
    } else {
        p += sign == 'Z' || sign == 'z';
    }
    *out_offset_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    *rest = p;
    return true;
}

/* strptime alone would take blanks and single digits. */
static bool begins_like_a_date(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00";
    for (size_t i = 0; form[i]; i++) {
        bool is_right = form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
        if (!is_right)
            return false;
    }
    return true;
}

/* RFC 3339 section 5.6, with a blank for the `T` too; without an offset it is taken as UTC. */
static bool read_date(struct text text, double *out_epoch_s)
{
    char copy[NUMBER_MAX_CHARS + 1];
    struct tm utc = {0};
    int offset_s;
    if (text.len <= AT_TIME || text.len > NUMBER_MAX_CHARS)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (copy[AT_TIME] == ' ' || copy[AT_TIME] == 't')
        copy[AT_TIME] = 'T';
    const char *rest = begins_like_a_date(copy) ? strptime(copy, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
    if (!rest)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (!read_offset(&rest, &offset_s) || rest != copy + text.len)
        return false;
    *out_epoch_s = (double)(timegm(&utc) - offset_s);
    return true;
}

bool expiry_read(struct text text, enum expiry_unit unit, int64_t now, int64_t *out_expires_at)
{
    double number;
    if (unit == EXPIRY_ISO8601 ? !read_date(text, &number) : !read_number(text, &number))
        return false;
    if (unit == EXPIRY_MS || unit == EXPIRY_EPOCH_MS)
        number /= 1000;
    bool is_life = (unit == EXPIRY_S || unit == EXPIRY_MS) && number < FIRST_EPOCH_S;
    double life_s = is_life ? number : number - (double)now;
    if (!(life_s > 0) || life_s > (double)EXPIRY_MAX_LIFE_S)
        return false;
    *out_expires_at = now + (int64_t)life_s;
    return true;
}

bool expiry_unit_of(struct text word, enum expiry_unit *out_unit)
{
    static const char *const words[] = {[EXPIRY_S] = "s",
                                        [EXPIRY_MS] = "ms",
                                        [EXPIRY_EPOCH_S] = "epoch_s",
                                        [EXPIRY_EPOCH_MS] = "epoch_ms",
                                        [EXPIRY_ISO8601] = "iso8601"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is(word, words[i])) {
            *out_unit = (enum expiry_unit)i;
            return true;
        }
    }
    return false;
}
