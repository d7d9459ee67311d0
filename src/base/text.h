/* Borrowed pieces of text, and the small questions asked of them.
 * Thread: any; pure functions. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else; not NUL-terminated. data is NULL where the text is absent. */
struct text {
    const char *data;
    size_t len;
};

#define TEXT_LITERAL(s) ((struct text){(s), sizeof(s) - 1})

/* Borrows a C string; absent where it is NULL. */
static inline struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

/* Two absent texts are equal; an absent one and an empty one are not. */
static inline bool text_equal(struct text a, struct text b)
{
    if (!a.data || !b.data)
        return !a.data && !b.data;
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static inline bool text_is(struct text text, const char *string)
{
    return text_equal(text, text_of(string));
}

/* Gives a NUL-terminated copy, free() ends it; NULL for an absent text or without memory. */
char *text_copy(struct text text);
/* By bytes, a shorter one before what it begins: < 0, 0, > 0. */
int text_compare(struct text a, struct text b);

/* Whether text is a provider id: [a-z0-9][a-z0-9_-]{0,63}. */
bool text_is_provider_id(struct text text);

/* Whether text is valid UTF-8 without control characters (RFC 3629; U+0000-001F, U+007F-009F). */
bool text_is_printable(struct text text);

/* Bytes of the valid UTF-8 sequence that text begins with; 0 where there is none. */
size_t text_utf8_len(struct text text);

/* Whether all of text is valid UTF-8; an empty one is. */
bool text_is_utf8(struct text text);

/* A whole non-negative decimal number, at most max; false for anything else. */
bool text_to_uint(struct text text, uint64_t max, uint64_t *out_value);

/* Edits (insert, delete, replace, swap neighbours) that make a of b; texts over 64 bytes are as
 * far apart as the longer one is long. */
size_t text_distance(struct text a, struct text b);

/* The nearest of count names to name, or NULL where none is near enough to be meant. */
const char *text_nearest(struct text name, const char *const *names, size_t count);

#endif
