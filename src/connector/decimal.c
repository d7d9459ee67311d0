#include "connector/decimal.h"

#include <stdint.h>
#include <string.h>

static const int64_t EXPONENT_MAX = 100000000000000000; /* far from the end of int64_t */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(struct text text, size_t from)
{
    size_t at = from;
    while (at < text.len && is_digit(text.data[at]))
        at++;
    return at - from;
}

static bool is_at(struct text text, size_t at, const char *any)
{
    return at < text.len && text.data[at] && strchr(any, text.data[at]);
}

size_t decimal_len(struct text text)
{
    size_t at = is_at(text, 0, "-") ? 1 : 0;
    size_t whole = digits(text, at);
    if (whole == 0 || (whole > 1 && text.data[at] == '0'))
        return 0;
    at += whole;
    if (is_at(text, at, ".")) {
        size_t count = digits(text, at + 1);
        if (count == 0)
            return 0;
        at += 1 + count;
    }
    if (is_at(text, at, "eE")) {
        at += is_at(text, at + 1, "+-") ? 2 : 1;
        size_t count = digits(text, at);
        if (count == 0)
            return 0;
        at += count;
    }
    return at;
}

bool decimal_is(struct text text)
{
    return text.len > 0 && decimal_len(text) == text.len;
}

/* 0.d1d2d3… times ten to the power of `exponent`; no digits: zero. */
struct decimal {
    bool is_negative;
    struct text digits; /* from the first to the last that is not 0; the point may be among them */
    int64_t exponent;
};

static int64_t read_exponent(struct text text, size_t at)
{
    if (at >= text.len)
        return 0;
    bool is_negative = is_at(text, at + 1, "-");
    int64_t value = 0;
    for (at += is_at(text, at + 1, "+-") ? 2 : 1; at < text.len; at++) {
        value = value * 10 + (text.data[at] - '0');
        if (value > EXPONENT_MAX)
            value = EXPONENT_MAX;
    }
    return is_negative ? -value : value;
}

static struct decimal decimal_of(struct text text)
{
    size_t start = text.data[0] == '-' ? 1 : 0;
    size_t point = start + digits(text, start);
    size_t end = is_at(text, point, ".") ? point + 1 + digits(text, point + 1) : point;
    struct decimal decimal = {.is_negative = start == 1, .exponent = read_exponent(text, end)};
    while (start < end && (text.data[start] == '0' || text.data[start] == '.'))
        start++;
    while (end > start && (text.data[end - 1] == '0' || text.data[end - 1] == '.'))
        end--;
    if (start == end)
        return (struct decimal){0};
    decimal.digits = (struct text){text.data + start, end - start};
    /* Behind the point the zeros before the first digit count, and the point itself does not. */
    decimal.exponent += (int64_t)point - (int64_t)start + (start > point ? 1 : 0);
    return decimal;
}

static bool is_same_digits(struct text a, struct text b)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        i += is_at(a, i, ".") ? 1 : 0;
        j += is_at(b, j, ".") ? 1 : 0;
        if (i >= a.len || j >= b.len)
            return i >= a.len && j >= b.len;
        if (a.data[i] != b.data[j])
            return false;
    }
}

bool decimal_equal(struct text a, struct text b)
{
    struct decimal left = decimal_of(a), right = decimal_of(b);
    return left.is_negative == right.is_negative && left.exponent == right.exponent &&
           is_same_digits(left.digits, right.digits);
}
